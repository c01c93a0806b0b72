/* Several inputs as one: one numbering, lines counted in each file, places that say the file, and
 * only the last may grow. */
#include "source_tell.h"

#include "io/source_bytes.h"

#include <zlib.h>

static void set_inputs(struct temp *t, const char *const *names)
{
    data_spec_release(&t->spec);
    t->spec.source_format = FORMAT_JSONL;
    t->spec.source_path = xstrdup(names[0]);
    for (size_t i = 1; names[i]; i++) {
        t->spec.source_more = xrealloc(t->spec.source_more, i * sizeof(char *));
        t->spec.source_more[i - 1] = xstrdup(names[i]);
        t->spec.source_more_count = i;
    }
}

#define INPUTS(t, ...) set_inputs(t, (const char *const[]){__VA_ARGS__, NULL})

static struct source *must_open(struct temp *t)
{
    struct source *s = NULL;
    if (!source_open(&t->spec, t->folders, &s, &t->err))
        fail_msg("%s", t->err.text);
    return s;
}

static void write_gzip(struct temp *t, const char *name, const char *text)
{
    gzFile file = gzopen(temp_path(t, name), "wb");
    assert_int_equal(gzwrite(file, text, (unsigned)strlen(text)), (int)strlen(text));
    gzclose(file);
}

static void files_are_read_as_one_numbering(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a.jsonl", "1\n2\n");
    temp_write(t, "b.jsonl", "");
    temp_write(t, "c.jsonl", "3\n\n4");
    temp_write(t, "d.jsonl",
               "\xef\xbb\xbf"
               "5\r\n");
    INPUTS(t, "a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl");
    OWNED(source) struct source *s = must_open(t);
    assert_reads_on(t, s, "0:1 1:2 2:3 3! 4:4 5:5 .");
    assert_reads_on(t, s, ".");
    temp_append(t, "d.jsonl", "6\n");
    assert_reads_on(t, s, "6:6 .");
}

static void each_is_read_by_its_ending_and_first_bytes(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a.csv", "x,y\n1,2\n3,4\n");
    write_gzip(t, "b.csv.gz", "x\n5\n");
    write_gzip(t, "c.jsonl.gz", "{\"z\":6}\n");
    temp_write(t, "d", "7\n");
    INPUTS(t, "a.csv", "b.csv.gz", "c.jsonl.gz", "d");
    OWNED(source) struct source *s = must_open(t);
    assert_reads_on(t, s, "0:[1,2] 1:[3,4] 2:[5] 3:{\"z\":6} 4:7 .");
}

static void an_unfinished_line_in_the_middle_is_a_bad_record(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "1\n{\"half\":");
    temp_write(t, "b.csv", "x,y\n1,2\n3");
    temp_write(t, "c", "{\"tail\":");
    INPUTS(t, "a", "b.csv", "c");
    OWNED(source) struct source *s = must_open(t);
    assert_reads_on(t, s, "0:1 1! 2:[1,2] 3! 4?");
    assert_true(source_seek(s, (struct place){0, 0, 1}, &t->err));
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.file, "a");
    assert_int_equal(r.line, 2);
    assert_non_null(strstr(r.reason, "unfinished: no JSON"));
}

static void every_record_names_its_file_and_line(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "1\n2\n");
    temp_write(t, "b", "3\nbad\n");
    INPUTS(t, "a", "b");
    OWNED(source) struct source *s = must_open(t);
    struct source_record r;
    for (int i = 0; i < 3; i++)
        assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_string_equal(r.file, "b");
    assert_int_equal(r.line, 1);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.file, "b");
    assert_int_equal(r.line, 2);
    assert_string_equal(source_name(s), "b");
}

/* From every place that was given anywhere one comes, sooner or later, to the same records. */
static void every_place_leads_back(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "10\n11\nbad");
    temp_write(t, "b.csv", "x\n13\n14\n\n15\n");
    temp_write(t, "c", "");
    temp_write(t, "d", "16\r\n17\r\n");
    INPUTS(t, "a", "b.csv", "c", "d");
    OWNED(source) struct source *s = must_open(t);
    OWNED(source) struct source *other = must_open(t);
    struct source_record r;
    for (int i = 0; i < 9; i++) {
        struct place place = source_place(s);
        assert_true(place.record <= i);
        for (int64_t to = i; to < 8; to++) {
            assert_true(source_seek(other, place, &t->err));
            assert_true(source_skip_to(other, to, &t->err));
            assert_int_equal(source_next(other, &r, &t->err), to == 2 ? SOURCE_BAD : SOURCE_RECORD);
            assert_int_equal(r.number, to);
            /* {1n} or [1n] */
            if (to != 2)
                assert_int_equal(r.json.ptr[r.json.len - (to >= 3 && to <= 5 ? 2 : 1)], '0' + to);
        }
        assert_true(source_seek(other, place, &t->err));
        assert_true(source_skip_to(other, 100, &t->err));
        assert_int_equal(source_next(other, &r, &t->err), SOURCE_END);
        source_next(s, &r, &t->err);
    }
    struct place beyond = {.record = 1, .bytes = INT64_C(4) << 48, .line = 1};
    assert_false(source_seek(s, beyond, &t->err));
    assert_error(t, ERR_CONFLICT, "there are only 4 inputs");
}

/* However little is read at a time, the same comes. */
static void pauses_change_nothing(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "10\n11\nbad");
    temp_write(t, "b.csv", "x\n13\n14\n");
    temp_write(t, "c", "");
    write_gzip(t, "d.gz", "15\n16\n");
    INPUTS(t, "a", "b.csv", "c", "d.gz");
    OWNED(source) struct source *s = must_open(t);
    struct source_record r;
    int records = 0, pauses = 0;
    enum source_got got = SOURCE_PAUSE;
    source_allow(s, 0);
    for (; got != SOURCE_END; records += got == SOURCE_RECORD || got == SOURCE_BAD) {
        got = source_next(s, &r, &t->err);
        assert_int_not_equal(got, SOURCE_FAILED);
        if (got == SOURCE_PAUSE) {
            assert_true(source_paused(s));
            pauses++;
            source_allow_more(s, 1);
        } else if (got != SOURCE_END) {
            assert_int_equal(r.number, records);
        }
    }
    assert_int_equal(records, 7);
    assert_true(pauses > 8);
    source_allow(s, 0);
    struct place behind = {.record = 5, .bytes = (INT64_C(3) << 48) + 3, .line = 2};
    for (pauses = 0;; pauses++) {
        assert_true(source_seek(s, behind, &t->err));
        if (!source_paused(s))
            break;
        source_allow_more(s, 1);
    }
    source_allow(s, SOURCE_UNLIMITED);
    assert_reads_on(t, s, "5:16 .");
    assert_true(source_seek(s, (struct place){0, 0, 1}, &t->err));
    source_allow(s, 0);
    for (pauses = 0;; pauses++) {
        assert_true(source_skip_to(s, 6, &t->err));
        if (!source_paused(s))
            break;
        source_allow_more(s, 1);
    }
    assert_true(pauses > 3);
    source_allow(s, SOURCE_UNLIMITED);
    assert_reads_on(t, s, "6:16 .");
}

static void size_and_progress_are_those_of_all(void **state)
{
    struct temp *t = *state;
    int64_t size = 0, at = 0;
    temp_write(t, "a", "1\n2\n");
    temp_write(t, "b", "3\n");
    INPUTS(t, "a", "b");
    OWNED(source) struct source *s = must_open(t);
    assert_true(source_extent(s, &size, &at));
    assert_int_equal(size, 6);
    assert_int_equal(at, 0);
    assert_int_equal(source_fd(s), -1);
    assert_reads_on(t, s, "0:1 1:2 2:3 .");
    temp_append(t, "b", "4\n");
    assert_true(source_extent(s, &size, &at));
    assert_int_equal(size, 8);
    assert_int_equal(at, 6);
    assert_true(source_fd(s) >= 0);
}

static void one_that_cannot_be_opened_is_named(void **state)
{
    struct temp *t = *state;
    struct source *s = NULL;
    temp_write(t, "a", "1\n");
    INPUTS(t, "a", "b.csv");
    assert_false(source_open(&t->spec, t->folders, &s, &t->err));
    assert_error(t, ERR_NOT_FOUND, "b.csv");
    temp_write(t, "b.csv", "");
    assert_false(source_open(&t->spec, t->folders, &s, &t->err));
    assert_error(t, ERR_INVALID, "b.csv is empty");
    t->spec.source_format = FORMAT_NONE;
    assert_false(source_open(&t->spec, t->folders, &s, &t->err));
    assert_error(t, ERR_INVALID, "no reader for the format none");
}

static void a_file_that_is_named_twice_is_refused(void **state)
{
    struct temp *t = *state;
    struct source *s = NULL;
    temp_write(t, "a", "1\n");
    temp_write(t, "b", "2\n");
    OWNED_MEM char *whole = xstrdup(temp_path(t, "a"));
    INPUTS(t, "a", "b", whole);
    assert_false(source_open(&t->spec, t->folders, &s, &t->err));
    assert_error(t, ERR_INVALID, "two of the inputs, are one file");
}

static void one_that_goes_or_changes_while_it_is_read_fails(void **state)
{
    struct temp *t = *state;
    struct source_record r;
    temp_write(t, "a", "1\n");
    temp_write(t, "b", "2\n");
    temp_write(t, "c", "3\n");
    INPUTS(t, "a", "b", "c");
    OWNED(source) struct source *s = must_open(t);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    temp_append(t, "a", "4\n");
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_FAILED);
    assert_error(t, ERR_CONFLICT, "a has grown to 4 bytes, there were 2: only the last");
    temp_write(t, "a", "1\n");
    temp_append(t, "b", "4\n");
    OWNED(source) struct source *again = must_open(t);
    temp_write(t, "b", "2\n");
    assert_int_equal(source_next(again, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(source_next(again, &r, &t->err), SOURCE_FAILED);
    assert_error(t, ERR_CONFLICT, "b has become shorter: 2 bytes, there were 4");
    OWNED(source) struct source *third = must_open(t);
    unlink(temp_path(t, "b"));
    assert_false(source_skip_to(third, 3, &t->err));
    assert_error(t, ERR_NOT_FOUND, "b");
    assert_false(source_seek(third, (struct place){1, INT64_C(1) << 48, 1}, &t->err));
}

static void damage_in_one_is_told_with_its_name(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "1\n");
    temp_put(t, "b.gz", O_TRUNC, "\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff", 12);
    temp_write(t, "c", "3\n");
    INPUTS(t, "a", "b.gz", "c");
    OWNED(source) struct source *s = must_open(t);
    assert_reads_on(t, s, "0:1 #");
    assert_error(t, ERR_INVALID, "b.gz: damaged compressed data");
    OWNED(source) struct source *other = must_open(t);
    assert_false(source_skip_to(other, 2, &t->err));
}

/* --- the same inputs? ---------------------------------------------------------------------------
 */

static char *inputs_now(struct temp *t)
{
    OWNED(source) struct source *s = must_open(t);
    char *text = NULL;
    assert_true(source_inputs(s, &text, &t->err));
    return text;
}

static bool still_the_same(struct temp *t, const char *before)
{
    OWNED(source) struct source *s = must_open(t);
    return source_check_inputs(s, before, &t->err);
}

static void further_files_and_a_longer_last_one_are_growth(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "1\n");
    temp_write(t, "b", "2\n");
    INPUTS(t, "a", "b");
    OWNED_MEM char *before = inputs_now(t);
    assert_true(still_the_same(t, before));
    temp_append(t, "b", "3\n");
    assert_true(still_the_same(t, before));
    temp_write(t, "c", "4\n");
    INPUTS(t, "a", "b", "c");
    assert_true(still_the_same(t, before));
    OWNED_MEM char *then = inputs_now(t);
    temp_append(t, "b", "3\n");
    assert_false(still_the_same(t, then));
    assert_error(t, ERR_CONFLICT, "b has grown");
}

static void another_a_shorter_or_a_missing_file_is_not(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "1\n");
    temp_write(t, "b", "2\n");
    temp_write(t, "c", "");
    INPUTS(t, "a", "b", "c");
    OWNED_MEM char *before = inputs_now(t);
    temp_write(t, "b", "3\n");
    assert_false(still_the_same(t, before));
    assert_error(t, ERR_CONFLICT, "b is not the file that the job was started on");
    temp_write(t, "b", "2");
    assert_false(still_the_same(t, before));
    assert_error(t, ERR_CONFLICT, "b has become shorter");
    temp_write(t, "b", "2\n");
    temp_write(t, "c", "of an empty file nothing was known\n");
    assert_true(still_the_same(t, before));
    INPUTS(t, "b", "a", "c");
    assert_false(still_the_same(t, before));
    assert_error(t, ERR_CONFLICT, "b is not the file");
    INPUTS(t, "a", "b");
    assert_false(still_the_same(t, before));
    assert_error(t, ERR_CONFLICT, "started on 3 inputs, now there are 2");
    INPUTS(t, "a");
    assert_false(still_the_same(t, before));
    assert_error(t, ERR_CONFLICT, "several inputs, not on a alone");
    OWNED(source) struct source *one = must_open(t);
    char *none = "untouched";
    assert_true(source_inputs(one, &none, &t->err));
    assert_null(none);
}

static void a_damaged_memory_of_them_is_told(void **state)
{
    struct temp *t = *state;
    static const char *const damaged[] = {"", "[", "{}", "[[1]]", "[[2,2,\"x\"", "[[-1,0,\"\"]]"};
    temp_write(t, "a", "");
    temp_write(t, "b", "");
    INPUTS(t, "a", "b");
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        assert_false(still_the_same(t, damaged[i]));
        if (t->err.code != ERR_STORE && t->err.code != ERR_CONFLICT)
            fail_msg("%s: %s", damaged[i], t->err.text);
    }
}

static void with_ids_only_objects_are_records(void **state)
{
    struct temp *t = *state;
    temp_write(t, "a", "{\"id\":1}\n[1]\n5\nnull\n\"x\"\n {\"id\":2}\n{bad\n");
    INPUTS(t, "a");
    t->spec.id_key = xstrdup("id");
    OWNED(source) struct source *s = must_open(t);
    assert_reads_on(t, s, "0:{\"id\":1} 1! 2! 3! 4! 5:{\"id\":2} 6! .");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(files_are_read_as_one_numbering),
        UNIT(each_is_read_by_its_ending_and_first_bytes),
        UNIT(an_unfinished_line_in_the_middle_is_a_bad_record),
        UNIT(every_record_names_its_file_and_line),
        UNIT(every_place_leads_back),
        UNIT(pauses_change_nothing),
        UNIT(size_and_progress_are_those_of_all),
        UNIT(one_that_cannot_be_opened_is_named),
        UNIT(a_file_that_is_named_twice_is_refused),
        UNIT(one_that_goes_or_changes_while_it_is_read_fails),
        UNIT(damage_in_one_is_told_with_its_name),
        UNIT(further_files_and_a_longer_last_one_are_growth),
        UNIT(another_a_shorter_or_a_missing_file_is_not),
        UNIT(a_damaged_memory_of_them_is_told),
        UNIT(with_ids_only_objects_are_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
