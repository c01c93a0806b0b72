/* Blobs in the state folder: named by their bytes, whole or not there, kept while somebody needs
 * them. */
#include "io_temp.h"

#include "io/blob.h"

#include <dirent.h>

#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_PLACE "blobs/2c/f2/" HELLO
#define BAD_DIGIT "zcf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct blobs *open_blobs(struct temp *t)
{
    struct blobs *b = NULL;
    OWNED_FD int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(blobs_open(fd, &b, &t->err));
    return b;
}

static struct blob_hash hash_of(const char *name)
{
    struct blob_hash hash;
    struct err err;
    assert_true(blob_name_read(str_of(name), &hash, &err));
    return hash;
}

static void put(struct temp *t, struct blobs *b, const char *text, bool known)
{
    struct blob_pin *pin = NULL;
    assert_true(blob_put(b, str_of(text), &pin, &t->err));
    assert_int_equal(blob_pin_bytes(pin), (int64_t)strlen(text));
    blob_pin_free(pin, known);
}

/* How many names are in a folder. */
static int count_in(struct temp *t, const char *name)
{
    DIR *dir = opendir(temp_path(t, name));
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *entry = NULL; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static bool is_there(struct temp *t, const char *name)
{
    return access(temp_path(t, name), F_OK) == 0;
}

/* What a sweep is told of every blob, and how often it asked. */
struct answer {
    int known, asked;
};

static int answer(void *context, const struct blob_hash *hash, struct err *err)
{
    struct answer *a = context;
    (void)hash;
    a->asked++;
    if (a->known < 0)
        err_set(err, ERR_STORE, "the store is gone");
    return a->known;
}

static void sweep(struct temp *t, struct blobs *b, int known, int asked)
{
    struct answer a = {known, 0};
    assert_true(blobs_sweep(b, answer, &a, &t->err));
    assert_int_equal(a.asked, asked);
}

static void bytes_come_back_under_their_hash(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    OWNED_BUF struct buf got;
    buf_init(&got, 5);
    put(t, b, "hello", true);
    assert_file(t, HELLO_PLACE, "hello");
    struct blob_hash hash = hash_of(HELLO), same;
    assert_true(blob_load(b, &hash, &got, &t->err));
    assert_true(str_is(buf_str(&got), "hello"));
    blob_hash_of(STR("hello"), &same);
    assert_true(blob_hash_same(&hash, &same));
    assert_int_equal(count_in(t, "blobs/new"), 0);
}

static void nothing_is_a_blob_too(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    OWNED_BUF struct buf got;
    buf_init(&got, 100);
    put(t, b, "", true);
    struct blob_hash hash = hash_of(NOTHING);
    assert_true(blob_load(b, &hash, &got, &t->err));
    assert_int_equal(got.len, 0);
}

static void a_name_is_64_hexadecimal_digits(void **state)
{
    struct temp *t = *state;
    struct blob_hash hash;
    char name[BLOB_NAME_SIZE];
    assert_true(blob_name_read(STR("2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B98"
                                   "24"),
                               &hash, &t->err));
    blob_name(&hash, name);
    assert_string_equal(name, HELLO);
    static const char *const bad[] = {"", "2cf2", HELLO "0", "../../../../etc/passwd", BAD_DIGIT};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(blob_name_read(str_of(bad[i]), &hash, &t->err));
        assert_error(t, ERR_INVALID, "64 hexadecimal");
    }
}

static void a_blob_may_come_and_go_piece_by_piece(void **state)
{
    struct temp *t = *state;
    enum { PIECES = 6000, PIECE = 1000 };
    OWNED(blobs) struct blobs *b = open_blobs(t);
    OWNED(blob_writer) struct blob_writer *w = NULL;
    struct blob_pin *pin = NULL;
    char piece[PIECE], back[777];
    assert_true(blob_begin(b, &w, &t->err));
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        assert_true(blob_write(w, (struct str){piece, sizeof piece}, &t->err));
    }
    assert_int_equal(blob_written(w), PIECES * PIECE);
    assert_true(blob_finish(w, NULL, &pin, &t->err));
    OWNED(blob_reader) struct blob_reader *r = NULL;
    assert_true(blob_open(b, blob_pin_hash(pin), &r, &t->err));
    assert_int_equal(blob_reader_bytes(r), PIECES * PIECE);
    size_t got = 1, at = 0;
    while (assert_true(blob_read(r, back, sizeof back, &got, &t->err)), got > 0) {
        for (size_t i = 0; i < got; i++, at++)
            assert_int_equal(back[i], 'a' + (int)(at / PIECE % 26));
    }
    assert_int_equal(at, PIECES * PIECE);
    blob_pin_free(pin, true);
}

static void what_is_not_finished_leaves_nothing(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    struct blob_writer *w = NULL;
    assert_true(blob_begin(b, &w, &t->err));
    assert_true(blob_write(w, STR("half"), &t->err));
    assert_int_equal(count_in(t, "blobs/new"), 1);
    blob_writer_free(w);
    assert_int_equal(count_in(t, "blobs/new"), 0);
}

static void leftovers_of_a_dead_process_go_at_the_next_start_but_marks_stay(void **state)
{
    struct temp *t = *state;
    blobs_free(open_blobs(t));
    temp_write(t, "blobs/new/17", "half");
    temp_write(t, "blobs/new/" HELLO ".3", "");
    blobs_free(open_blobs(t));
    assert_false(is_there(t, "blobs/new/17"));
    assert_true(is_there(t, "blobs/new/" HELLO ".3"));
}

static void a_blob_whose_row_never_came_is_swept(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    put(t, b, "hello", false);
    assert_int_equal(count_in(t, "blobs/new"), 1);
    sweep(t, b, 0, 1);
    assert_false(is_there(t, HELLO_PLACE));
    assert_int_equal(count_in(t, "blobs/new"), 0);
    sweep(t, b, 0, 0);
}

static void a_mark_of_a_blob_with_a_row_is_all_that_is_swept(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    put(t, b, "hello", false);
    sweep(t, b, 1, 1);
    assert_true(is_there(t, HELLO_PLACE));
    assert_int_equal(count_in(t, "blobs/new"), 0);
}

static void a_pin_keeps_a_blob_from_the_sweep(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    struct blob_hash hash = hash_of(HELLO);
    struct blob_pin *pin = NULL;
    put(t, b, "hello", true);
    assert_true(blobs_mark(b, &hash, &t->err)); /* its row goes, and meanwhile it is put again */
    assert_true(blob_put(b, STR("hello"), &pin, &t->err));
    sweep(t, b, 0, 0);
    assert_file(t, HELLO_PLACE, "hello");
    blob_pin_free(pin, true);
    sweep(t, b, 1, 1);
    assert_file(t, HELLO_PLACE, "hello");
    assert_int_equal(count_in(t, "blobs/new"), 0);
}

static void a_marked_blob_that_is_gone_already_is_no_error(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    struct blob_hash hash = hash_of(HELLO);
    put(t, b, "hello", true);
    assert_true(blobs_mark(b, &hash, &t->err));
    assert_int_equal(unlink(temp_path(t, HELLO_PLACE)), 0);
    sweep(t, b, 0, 1);
    assert_int_equal(count_in(t, "blobs/new"), 0);
}

static void a_store_that_does_not_answer_ends_the_sweep_and_nothing_is_lost(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    struct answer gone = {-1, 0};
    put(t, b, "hello", false);
    assert_false(blobs_sweep(b, answer, &gone, &t->err));
    assert_error(t, ERR_STORE, "the store is gone");
    assert_file(t, HELLO_PLACE, "hello");
    sweep(t, b, 0, 1);
}

static void a_damaged_blob_is_noticed_before_its_end_is_given(void **state)
{
    struct temp *t = *state;
    static const char *const damages[] = {"hellp", "hell", "hello!", ""};
    OWNED(blobs) struct blobs *b = open_blobs(t);
    struct blob_hash hash = hash_of(HELLO);
    put(t, b, "hello", true);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        OWNED(blob_reader) struct blob_reader *r = NULL;
        OWNED_BUF struct buf got;
        buf_init(&got, 100);
        char byte = 0;
        size_t len = 0, given = 0;
        temp_write(t, HELLO_PLACE, damages[i]);
        assert_false(blob_load(b, &hash, &got, &t->err));
        assert_error(t, ERR_STORE, HELLO);
        assert_int_equal(got.len, 0);
        assert_true(blob_open(b, &hash, &r, &t->err));
        while (blob_read(r, &byte, 1, &len, &t->err))
            given++;
        assert_true(given < strlen(damages[i]) || !*damages[i]);
        assert_false(blob_read(r, &byte, 1, &len, &t->err));
        assert_error(t, ERR_STORE, "damaged");
    }
}

static void one_that_is_cut_while_it_is_read_is_noticed(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    OWNED(blob_reader) struct blob_reader *r = NULL;
    struct blob_hash hash = hash_of(HELLO);
    char bytes[3];
    size_t got = 0;
    put(t, b, "hello", true);
    assert_true(blob_open(b, &hash, &r, &t->err));
    assert_true(blob_read(r, bytes, sizeof bytes, &got, &t->err));
    temp_write(t, HELLO_PLACE, "hel");
    assert_false(blob_read(r, bytes, sizeof bytes, &got, &t->err));
    assert_error(t, ERR_STORE, "damaged");
}

static void putting_it_again_mends_a_damaged_one(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    put(t, b, "hello", true);
    temp_write(t, HELLO_PLACE, "jello");
    put(t, b, "hello", true);
    assert_file(t, HELLO_PLACE, "hello");
    assert_int_equal(count_in(t, "blobs/2c/f2"), 1);
}

static void what_is_not_there_and_what_is_too_large_is_said(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    OWNED_BUF struct buf got;
    buf_init(&got, 4);
    struct blob_hash hash = hash_of(HELLO);
    assert_false(blob_load(b, &hash, &got, &t->err));
    assert_error(t, ERR_NOT_FOUND, HELLO);
    put(t, b, "hello", true);
    assert_false(blob_load(b, &hash, &got, &t->err));
    assert_error(t, ERR_LIMIT, "5 bytes");
}

#ifdef PENSTOCK_FAULTS
static void a_put_that_fails_keeps_nothing_that_a_sweep_does_not_find(void **state)
{
    struct temp *t = *state;
    static const struct {
        const char *plan;
        enum err_code code;
    } faults[] = {
        {"file.write:1:full", ERR_NO_SPACE}, {"file.write:1:fail", ERR_IO},
        {"blob.sync:1:fail", ERR_IO},        {"blob.sync:1:full", ERR_NO_SPACE},
        {"blob.sync:2:fail", ERR_IO},        {"blob.sync:3:fail", ERR_IO},
        {"blob.sync:4:fail", ERR_IO},        {"blob.marked:1:full", ERR_NO_SPACE},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        OWNED(blobs) struct blobs *b = open_blobs(t);
        struct blob_pin *pin = NULL;
        struct answer unknown = {0, 0};
        fault_set(faults[i].plan);
        bool ok = blob_put(b, STR("hello"), &pin, &t->err);
        fault_set(NULL);
        if (ok)
            fail_msg("%s", faults[i].plan);
        if (t->err.code != faults[i].code)
            fail_msg("%s: %s: %s", faults[i].plan, err_name(t->err.code), t->err.text);
        assert_true(blobs_sweep(b, answer, &unknown, &t->err));
        assert_false(is_there(t, HELLO_PLACE));
        assert_int_equal(count_in(t, "blobs/new"), 0);
    }
}

static void a_blob_that_cannot_be_removed_stays_marked(void **state)
{
    struct temp *t = *state;
    OWNED(blobs) struct blobs *b = open_blobs(t);
    struct answer unknown = {0, 0};
    put(t, b, "hello", false);
    fault_set("blob.remove:1:fail");
    assert_false(blobs_sweep(b, answer, &unknown, &t->err));
    assert_error(t, ERR_IO, HELLO);
    fault_set(NULL);
    assert_int_equal(count_in(t, "blobs/new"), 1);
    sweep(t, b, 0, 1);
    assert_false(is_there(t, HELLO_PLACE));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(bytes_come_back_under_their_hash),
        UNIT(nothing_is_a_blob_too),
        UNIT(a_name_is_64_hexadecimal_digits),
        UNIT(a_blob_may_come_and_go_piece_by_piece),
        UNIT(what_is_not_finished_leaves_nothing),
        UNIT(leftovers_of_a_dead_process_go_at_the_next_start_but_marks_stay),
        UNIT(a_blob_whose_row_never_came_is_swept),
        UNIT(a_mark_of_a_blob_with_a_row_is_all_that_is_swept),
        UNIT(a_pin_keeps_a_blob_from_the_sweep),
        UNIT(a_marked_blob_that_is_gone_already_is_no_error),
        UNIT(a_store_that_does_not_answer_ends_the_sweep_and_nothing_is_lost),
        UNIT(a_damaged_blob_is_noticed_before_its_end_is_given),
        UNIT(one_that_is_cut_while_it_is_read_is_noticed),
        UNIT(putting_it_again_mends_a_damaged_one),
        UNIT(what_is_not_there_and_what_is_too_large_is_said),
#ifdef PENSTOCK_FAULTS
        UNIT(a_put_that_fails_keeps_nothing_that_a_sweep_does_not_find),
        UNIT(a_blob_that_cannot_be_removed_stays_marked),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
