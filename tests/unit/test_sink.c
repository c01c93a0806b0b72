/* A sink: what was committed is in the file, once, and nothing else, whatever failed when. */
#include "io_temp.h"

#include "io/sink.h"
#include "io/source_bytes.h"

#include <sys/file.h>

static struct sink *open_at(struct temp *t, const char *path, int64_t committed,
                            const char *columns)
{
    size_t len = strlen(path);
    struct sink *s = NULL;
    struct sink_start start = {.committed_bytes = committed, .columns = columns};
    t->spec.sink_format = len > 4 && strstr(path, ".csv") ? FORMAT_CSV : FORMAT_JSONL;
    free(t->spec.sink_path);
    t->spec.sink_path = xstrdup(path);
    if (!sink_open(&t->spec, t->folders, &start, &s, &t->err))
        return NULL;
    return s;
}

static struct sink *open_new(struct temp *t, const char *path)
{
    struct sink *s = open_at(t, path, -1, NULL);
    if (!s)
        fail_msg("%s", t->err.text);
    return s;
}

static void add(struct temp *t, struct sink *s, const char *line)
{
    if (!sink_add(s, str_of(line), &t->err))
        fail_msg("%s", t->err.text);
}

static void flush(struct temp *t, struct sink *s)
{
    if (!sink_flush(s, &t->err))
        fail_msg("%s", t->err.text);
}

static void commit(struct temp *t, struct sink *s)
{
    flush(t, s);
    sink_commit(s);
}

static void nothing_is_made_before_the_first_write(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    assert_int_equal(access(temp_path(t, "out"), F_OK), -1);
    assert_int_equal(sink_length(s), -1);
    assert_false(sink_pending(s));
    flush(t, s);
    assert_int_equal(access(temp_path(t, "out"), F_OK), -1);
    add(t, s, "1\n");
    assert_true(sink_pending(s));
    flush(t, s);
    assert_true(sink_pending(s));
    assert_int_equal(sink_length(s), 2);
    sink_commit(s);
    assert_false(sink_pending(s));
    assert_file(t, "out", "1\n");
}

static void what_cannot_become_an_output_is_refused(void **state)
{
    struct temp *t = *state;
    mkdir(temp_path(t, "sub"), 0755);
    assert_null(open_at(t, "sub", -1, NULL));
    assert_error(t, ERR_INVALID, "folder");
    assert_null(open_at(t, "none/out", -1, NULL));
    assert_error(t, ERR_NOT_FOUND, "none/out");
    assert_null(open_at(t, "/etc/out", -1, NULL));
    assert_error(t, ERR_FORBIDDEN, "outside");
}

static void an_append_begins_on_a_line_of_its_own(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "old");
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    commit(t, s);
    add(t, s, "2\n");
    commit(t, s);
    assert_file(t, "out", "old\n1\n2\n");
}

static void the_length_before_us_is_known_before_we_write(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "old");
    bool moved;
    {
        OWNED(sink) struct sink *s = open_new(t, "out");
        assert_true(sink_begin(s, &moved, &t->err));
        assert_true(moved);
        assert_int_equal(sink_length(s), 3);
        assert_true(sink_begin(s, &moved, &t->err));
        assert_false(moved);
        add(t, s, "lost\n");
        flush(t, s);
    } /* killed before the commit */
    assert_file(t, "out", "old\nlost\n");
    OWNED(sink) struct sink *s = open_at(t, "out", 3, NULL);
    assert_file(t, "out", "old");
    add(t, s, "1\n");
    commit(t, s);
    assert_file(t, "out", "old\n1\n");
}

static void an_overwrite_empties_once(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "old\n");
    t->spec.sink_overwrite = true;
    int64_t length;
    {
        OWNED(sink) struct sink *s = open_new(t, "out");
        assert_file(t, "out", "old\n");
        add(t, s, "1\n");
        commit(t, s);
        add(t, s, "2\n");
        commit(t, s);
        length = sink_length(s);
    }
    OWNED(sink) struct sink *s = open_at(t, "out", length, NULL);
    add(t, s, "3\n");
    commit(t, s);
    assert_file(t, "out", "1\n2\n3\n");
}

static void opening_cuts_off_what_was_not_committed(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "1\n2\ntorn");
    OWNED(sink) struct sink *s = open_at(t, "out", 4, NULL);
    assert_file(t, "out", "1\n2\n");
    assert_int_equal(sink_length(s), 4);
}

static void a_file_that_became_shorter_or_vanished_is_refused(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "1\n");
    assert_null(open_at(t, "out", 4, NULL));
    assert_error(t, ERR_CONFLICT, "shorter");
    assert_null(open_at(t, "none", 4, NULL));
    assert_error(t, ERR_NOT_FOUND, "none");
    OWNED(sink) struct sink *s = open_at(t, "out", 2, NULL);
    unlink(temp_path(t, "out"));
    add(t, s, "2\n");
    assert_false(sink_flush(s, &t->err));
    assert_error(t, ERR_CONFLICT, "removed");
    assert_true(sink_undo(s, &t->err));
}

static void a_file_that_was_cut_while_it_was_open_gets_no_hole(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n2\n");
    commit(t, s);
    assert_int_equal(truncate(temp_path(t, "out"), 2), 0);
    add(t, s, "3\n");
    assert_false(sink_flush(s, &t->err));
    assert_error(t, ERR_CONFLICT, "was cut to 2 bytes");
    assert_true(sink_undo(s, &t->err));
    assert_file(t, "out", "1\n");
}

static void two_writers_of_one_file_are_refused(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    commit(t, s);
    assert_null(open_at(t, "out", 2, NULL));
    assert_error(t, ERR_CONFLICT, "being written");
    OWNED(sink) struct sink *later = open_new(t, "./out");
    add(t, later, "2\n");
    assert_false(sink_flush(later, &t->err));
    assert_error(t, ERR_CONFLICT, "being written");
    assert_true(sink_undo(later, &t->err));
    assert_false(sink_remove(later, &t->err));
    assert_error(t, ERR_CONFLICT, "being written");
    assert_file(t, "out", "1\n");
}

static void rewinding_forgets_what_was_added_since(void **state)
{
    struct temp *t = *state;
    static const char lines[] = "1\n22\n333\n4444\n";
    OWNED(sink) struct sink *s = open_new(t, "out");
    size_t empty = sink_mark(s);
    assert_true(sink_add(s, (struct str){lines, 2}, &t->err));
    assert_true(sink_add(s, (struct str){lines + 2, 3}, &t->err));
    size_t mark = sink_mark(s);
    assert_true(sink_add(s, (struct str){lines + 5, 4}, &t->err));
    add(t, s, "x\n");
    add(t, s, "y\n");
    sink_rewind(s, mark);
    assert_true(sink_add(s, (struct str){lines + 9, 5}, &t->err));
    commit(t, s);
    assert_file(t, "out", "1\n22\n4444\n");
    add(t, s, "5\n");
    sink_rewind(s, empty);
    assert_false(sink_pending(s));
}

static void many_scattered_lines_are_written_in_order(void **state)
{
    struct temp *t = *state;
    enum { COUNT = 5000 };
    struct buf expected;
    buf_init(&expected, BUF_NO_CAP);
    static char lines[COUNT][16];
    OWNED(sink) struct sink *s = open_new(t, "out");
    for (int i = 0; i < COUNT; i++) {
        snprintf(lines[i], sizeof lines[i], "%d\n", i);
        buf_add_text(&expected, lines[i]);
        add(t, s, lines[i]);
    }
    commit(t, s);
    char *text = buf_take(&expected);
    assert_file(t, "out", text);
    free(text);
}

static void room_that_was_reserved_and_not_used_is_given_back(void **state)
{
    struct temp *t = *state;
    struct stat st;
    struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    commit(t, s);
    add(t, s, "2\n");
    commit(t, s);
    assert_int_equal(stat(temp_path(t, "out"), &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_true(st.st_blocks * 512 > 65536); /* so that a small append need not look for blocks */
    sink_rest(s);
    assert_int_equal(stat(temp_path(t, "out"), &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_true(st.st_blocks * 512 <= 65536);
    sink_free(s);
}

static void a_removed_output_begins_anew(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    assert_true(sink_remove(s, &t->err));
    add(t, s, "1\n");
    commit(t, s);
    assert_true(sink_remove(s, &t->err));
    assert_int_equal(access(temp_path(t, "out"), F_OK), -1);
    assert_int_equal(sink_length(s), -1);
    add(t, s, "2\n");
    commit(t, s);
    assert_file(t, "out", "2\n");
}

static void a_resting_sink_lets_others_write_and_goes_on_behind_them(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    commit(t, s);
    sink_rest(s);
    {
        OWNED(sink) struct sink *other = open_new(t, "out");
        add(t, other, "other\n");
        commit(t, other);
    }
    bool moved;
    assert_true(sink_begin(s, &moved, &t->err));
    assert_true(moved);
    assert_int_equal(sink_length(s), 8);
    add(t, s, "2\n");
    commit(t, s);
    assert_file(t, "out", "1\nother\n2\n");
}

static void lines_of_the_committed_part_are_counted(void **state)
{
    struct temp *t = *state;
    int64_t lines;
    temp_write(t, "out", "a\nb");
    OWNED(sink) struct sink *s = open_new(t, "out");
    assert_true(sink_count_lines(s, &lines, &t->err));
    assert_int_equal(lines, 0);
    add(t, s, "1\n");
    commit(t, s);
    add(t, s, "2\n");
    flush(t, s);
    assert_true(sink_count_lines(s, &lines, &t->err));
    assert_int_equal(lines, 3);
    sink_commit(s);
    sink_rest(s);
    assert_true(sink_count_lines(s, &lines, &t->err));
    assert_int_equal(lines, 4);
}

static void unpack(struct temp *t, const char *name, struct buf *out)
{
    OWNED_FD int fd = open(temp_path(t, name), O_RDONLY);
    struct source_bytes b;
    bool ended = false;
    source_bytes_init(&b, fd, name, -1);
    while (!ended) {
        assert_true(source_bytes_fill(&b, &ended, &t->err));
        if (source_bytes_left(&b))
            buf_add(out, source_bytes_at(&b), source_bytes_left(&b));
        source_bytes_pass(&b, source_bytes_left(&b));
    }
    source_bytes_release(&b);
}

static void compressed_groups_are_frames_that_can_be_cut(void **state)
{
    static const char *const names[] = {"out.jsonl.gz", "out.jsonl.zst"};
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        OWNED_BUF struct buf got;
        buf_init(&got, BUF_NO_CAP);
        int64_t length, lines;
        {
            OWNED(sink) struct sink *s = open_new(t, names[i]);
            add(t, s, "1\n");
            add(t, s, "2\n");
            commit(t, s);
            length = sink_length(s);
            add(t, s, "lost\n");
            flush(t, s);
        }
        OWNED(sink) struct sink *s = open_at(t, names[i], length, NULL);
        add(t, s, "3\n");
        commit(t, s);
        unpack(t, names[i], &got);
        assert_true(str_is(buf_str(&got), "1\n2\n3\n"));
        assert_true(sink_count_lines(s, &lines, &t->err));
        assert_int_equal(lines, 3);
    }
}

/* More than the compressor's buffer, and hardly compressible. */
static void large_compressed_groups_stay_whole(void **state)
{
    static const char *const names[] = {"out.gz", "out.zst"};
    struct temp *t = *state;
    size_t len = 3 << 20;
    OWNED_MEM char *line = xcalloc(1, len + 1);
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        line[i] = (char)('0' + (x >> 24) % 64);
    }
    line[len - 1] = '\n';
    for (size_t i = 0; i < 2; i++) {
        OWNED_BUF struct buf got;
        buf_init(&got, BUF_NO_CAP);
        OWNED(sink) struct sink *s = open_new(t, names[i]);
        add(t, s, line);
        add(t, s, "2\n");
        commit(t, s);
        unpack(t, names[i], &got);
        assert_int_equal(got.len, len + 2);
        assert_memory_equal(got.data, line, len);
    }
}

static void assert_csv(struct temp *t, const char *const *lines, const char *expected)
{
    unlink(temp_path(t, "out.csv"));
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    for (; *lines; lines++)
        add(t, s, *lines);
    commit(t, s);
    assert_file(t, "out.csv", expected);
}
#define LINES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void cells_are_written_as_their_users_expect(void **state)
{
    assert_csv(*state, LINES("[null,true,false,1,1.50,1e22,\"a\"]\n"),
               ",True,False,1,1.50,1e22,a\n");
    assert_csv(*state, LINES("[\"a,b\",\"q\\\"q\",\"l\\nl\",\"c\\rc\",\" b \",\"\"]\n"),
               "\"a,b\",\"q\"\"q\",\"l\nl\",\"c\rc\", b ,\n");
    assert_csv(*state, LINES("[\"\\u00e9\\\\\",\"\xc3\xa9\"]\n"), "\xc3\xa9\\,\xc3\xa9\n");
    assert_csv(*state, LINES("[123456789012345678901234567890,0.1000000000000000055511151]\n"),
               "123456789012345678901234567890,0.1000000000000000055511151\n");
}

static void lists_and_objects_in_a_cell_are_what_python_prints(void **state)
{
    assert_csv(*state, LINES("[[1,\"a\",null,true,false,[]],{\"k\":{\"x\":1.5}},{}]\n"),
               "\"[1, 'a', None, True, False, []]\",{'k': {'x': 1.5}},{}\n");
    assert_csv(*state, LINES("[[\"it's\"],[\"\\\"\"],[\"'\\\"\"]]\n"),
               "\"[\"\"it's\"\"]\",\"['\"\"']\",\"['\\'\"\"']\"\n");
    assert_csv(*state, LINES("[[\"\\u0000\\n\\t\\r\\\\\\u007f\"]]\n"),
               "['\\x00\\n\\t\\r\\\\\\x7f']\n");
    assert_csv(*state,
               LINES("[[\"\xc3\xa9\\u00a0\\u200b\\u2028\\ud83d\\ude00\\ue000\\udb80\\udc00\"]]\n"),
               "['\xc3\xa9\\xa0\\u200b\\u2028\xf0\x9f\x98\x80\\ue000\\U000f0000']\n");
}

static void a_lonely_empty_cell_is_still_a_row(void **state)
{
    assert_csv(*state, LINES("[null]\n", "[\" \"]\n", "[\"a\"]\n"), "\"\"\n\" \"\na\n");
}

static void the_first_row_fixes_the_width(void **state)
{
    struct temp *t = *state;
    assert_csv(t, LINES("[1,2,3]\n", "[4]\n", "[]\n"), "1,2,3\n4,,\n,,\n");
    OWNED(sink) struct sink *s = open_at(t, "out.csv", 6, "[null,null,null]");
    assert_false(sink_add(s, STR("[1,2,3,4]\n"), &t->err));
    assert_error(t, ERR_INVALID, "4 cells, the output has 3 columns");
    assert_false(sink_add(s, STR("1\n"), &t->err));
    assert_error(t, ERR_INVALID, "list or an object");
    assert_false(sink_pending(s));
    OWNED(sink) struct sink *new = open_new(t, "new.csv");
    assert_false(sink_add(new, STR("[]\n"), &t->err));
    assert_error(t, ERR_INVALID, "no cells");
    assert_null(sink_columns(new));
}

static void the_first_object_fixes_the_columns_and_names_them(void **state)
{
    struct temp *t = *state;
    assert_csv(
        t, LINES("{\"b\":1,\"a\":\"x\"}\n", "{\"a\":2}\n", "{\"a\":3,\"b\":4}\n", "[5]\n", "{}\n"),
        "b,a\n1,x\n,2\n4,3\n5,\n,\n");
    assert_csv(t, LINES("{\"a\":1,\"b\":0,\"a\":2}\n", "{\"b\":3,\"b\":4}\n"), "a,b\n2,0\n,4\n");
    assert_csv(t, LINES("{\"a,\\\"\":1,\"\\u00e9\":2}\n", "{\"\xc3\xa9\":3}\n"),
               "\"a,\"\"\",\xc3\xa9\n1,2\n,3\n");
    OWNED(sink) struct sink *s = open_at(t, "out.csv", 9, "[\"a\",\"b\"]");
    assert_false(sink_add(s, STR("{\"a\":1,\"c\":2}\n"), &t->err));
    assert_error(t, ERR_INVALID, "no column \"c\", only a, b");
    assert_string_equal(sink_columns(s), "[\"a\",\"b\"]");
}

static void an_existing_file_gets_rows_and_no_header(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out.csv", "x,y\n0,0");
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    add(t, s, "{\"a\":1,\"b\":2}\n");
    commit(t, s);
    assert_file(t, "out.csv", "x,y\n0,0\n1,2\n");
}

static void an_overwritten_file_gets_the_header(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out.csv", "x,y\n0,0");
    t->spec.sink_overwrite = true;
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    add(t, s, "{\"a\":1,\"b\":2}\n");
    commit(t, s);
    add(t, s, "{\"a\":3}\n");
    commit(t, s);
    assert_file(t, "out.csv", "a,b\n1,2\n3,\n");
}

static void names_may_come_after_the_width(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    add(t, s, "[1,2,3]\n");
    commit(t, s);
    assert_string_equal(sink_columns(s), "[null,null,null]");
    assert_false(sink_add(s, STR("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}\n"), &t->err));
    assert_error(t, ERR_INVALID, "4 members, the output has 3 columns");
    add(t, s, "{\"b\":4,\"a\":5}\n");
    flush(t, s);
    assert_string_equal(sink_columns(s), "[\"b\",\"a\",null]");
    /* The commit fails: the names must not stay. */
    assert_true(sink_undo(s, &t->err));
    assert_string_equal(sink_columns(s), "[null,null,null]");
    add(t, s, "{\"c\":6}\n");
    commit(t, s);
    assert_file(t, "out.csv", "1,2,3\n6,,\n");
}

static void rewound_rows_take_their_columns_along(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    add(t, s, "{\"a\":1}\n");
    sink_rewind(s, 0);
    assert_null(sink_columns(s));
    add(t, s, "[1,2]\n");
    size_t mark = sink_mark(s);
    add(t, s, "{\"a\":1,\"b\":2}\n");
    sink_rewind(s, mark);
    assert_string_equal(sink_columns(s), "[null,null]");
    add(t, s, "{\"c\":1,\"d\":2}\n");
    commit(t, s);
    assert_string_equal(sink_columns(s), "[\"c\",\"d\"]");
    assert_file(t, "out.csv", "1,2\n1,2\n");
}

static void a_restart_goes_on_with_the_stored_columns(void **state)
{
    struct temp *t = *state;
    int64_t length;
    OWNED_MEM char *columns = NULL;
    {
        OWNED(sink) struct sink *s = open_new(t, "out.csv");
        add(t, s, "{\"a\":1,\"b\\n\":2}\n");
        commit(t, s);
        length = sink_length(s);
        columns = xstrdup(sink_columns(s));
    }
    OWNED(sink) struct sink *s = open_at(t, "out.csv", length, columns);
    add(t, s, "{\"b\\n\":3}\n");
    commit(t, s);
    assert_file(t, "out.csv", "a,\"b\n\"\n1,2\n,3\n");
    int64_t lines;
    assert_true(sink_count_lines(s, &lines, &t->err));
    assert_int_equal(lines, 3);
    assert_null(open_at(t, "out2.csv", -1, "[1,"));
    assert_error(t, ERR_STORE, "damaged");
    assert_null(open_at(t, "out2.csv", -1, "[]"));
    assert_error(t, ERR_STORE, "damaged");
}

static void many_scrambled_columns_are_found(void **state)
{
    struct temp *t = *state;
    enum { WIDTH = 300 };
    OWNED_BUF struct buf one, two, expected;
    buf_init(&one, BUF_NO_CAP);
    buf_init(&two, BUF_NO_CAP);
    buf_init(&expected, BUF_NO_CAP);
    for (int i = 0; i < WIDTH; i++) {
        buf_add_format(&one, "%c\"k%d\":%d", i ? ',' : '{', i, i);
        buf_add_format(&two, "%c\"k%d\":%d", i ? ',' : '{', WIDTH - 1 - i, i);
        buf_add_format(&expected, "%sk%d", i ? "," : "", i);
    }
    buf_add_text(&one, "}\n");
    buf_add_text(&two, "}\n");
    for (int i = 0; i < 2 * WIDTH; i++)
        buf_add_format(&expected, "%c%d", i % WIDTH ? ',' : '\n',
                       i < WIDTH ? i : 2 * WIDTH - 1 - i);
    buf_add(&expected, "\n", 2);
    OWNED(sink) struct sink *s = open_new(t, "out.csv");
    assert_true(sink_add(s, buf_str(&one), &t->err));
    assert_true(sink_add(s, buf_str(&two), &t->err));
    commit(t, s);
    assert_file(t, "out.csv", expected.data);
}

#ifdef PENSTOCK_FAULTS
/* Each fault at each place: an error of the right kind, and after sink_undo the file and the sink
 * are as before; the next group is written. */
static void a_failed_group_leaves_no_trace(void **state)
{
    static const struct {
        const char *plan;
        enum err_code code;
    } faults[] = {
        {"sink.write:1:full", ERR_NO_SPACE}, {"sink.written:1:fail", ERR_IO},
        {"sink.synced:1:fail", ERR_IO},      {"file.write:1:full", ERR_NO_SPACE},
        {"file.write:1:fail", ERR_IO},       {"file.sync:1:fail", ERR_FATAL},
    };
    static const char *const names[] = {"out.jsonl", "out.csv", "out.jsonl.gz", "out.csv.zst"};
    struct temp *t = *state;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            OWNED(sink) struct sink *s = open_new(t, names[k]);
            OWNED_BUF struct buf got;
            buf_init(&got, BUF_NO_CAP);
            add(t, s, "[0,0]\n");
            commit(t, s);
            int64_t length = sink_length(s);
            add(t, s, "{\"lost\":1}\n");
            fault_set(faults[i].plan);
            assert_false(sink_flush(s, &t->err));
            fault_set(NULL);
            assert_int_equal(t->err.code, faults[i].code);
            assert_true(sink_undo(s, &t->err));
            assert_int_equal(sink_length(s), length);
            struct stat st;
            assert_int_equal(stat(temp_path(t, names[k]), &st), 0);
            assert_int_equal(st.st_size, length);
            add(t, s, "[1,1]\n");
            commit(t, s);
            unpack(t, names[k], &got);
            assert_true(str_is(buf_str(&got), k % 2 ? "0,0\n1,1\n" : "[0,0]\n[1,1]\n"));
            assert_true(sink_remove(s, &t->err));
        }
    }
}

static void a_failed_cut_is_tried_again_before_the_next_write(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    commit(t, s);
    add(t, s, "a long line that is lost\n");
    fault_set("sink.written:1:fail,sink.cut:1:fail");
    assert_false(sink_flush(s, &t->err));
    assert_false(sink_undo(s, &t->err));
    assert_error(t, ERR_IO, "cut out");
    assert_false(sink_pending(s));
    add(t, s, "2\n");
    fault_set("sink.cut:1:fail");
    assert_false(sink_flush(s, &t->err));
    fault_set(NULL);
    assert_true(sink_undo(s, &t->err));
    add(t, s, "2\n");
    commit(t, s);
    assert_file(t, "out", "1\n2\n");
}

static void a_failed_commit_is_undone(void **state)
{
    struct temp *t = *state;
    OWNED(sink) struct sink *s = open_new(t, "out");
    add(t, s, "1\n");
    flush(t, s);
    assert_true(sink_undo(s, &t->err));
    assert_file(t, "out", "");
    add(t, s, "2\n");
    commit(t, s);
    assert_file(t, "out", "2\n");
}

static void an_opening_that_cannot_cut_fails(void **state)
{
    struct temp *t = *state;
    temp_write(t, "out", "1\ntorn");
    fault_set("sink.cut:1:fail");
    assert_null(open_at(t, "out", 2, NULL));
    fault_set(NULL);
    assert_error(t, ERR_IO, "cut out");
    t->spec.sink_overwrite = true;
    OWNED(sink) struct sink *s = open_new(t, "out");
    bool moved;
    fault_set("file.cut:1:fail");
    assert_false(sink_begin(s, &moved, &t->err));
    fault_set(NULL);
    assert_int_equal(sink_length(s), -1);
    assert_true(sink_begin(s, &moved, &t->err));
    assert_int_equal(sink_length(s), 0);
}
#endif

static void other_formats_are_refused(void **state)
{
    struct temp *t = *state;
    struct sink *s;
    struct sink_start start = {.committed_bytes = -1};
    t->spec.sink_format = FORMAT_PROGRAM;
    assert_false(sink_open(&t->spec, t->folders, &start, &s, &t->err));
    assert_error(t, ERR_INVALID, "program");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(nothing_is_made_before_the_first_write),
        UNIT(what_cannot_become_an_output_is_refused),
        UNIT(an_append_begins_on_a_line_of_its_own),
        UNIT(the_length_before_us_is_known_before_we_write),
        UNIT(an_overwrite_empties_once),
        UNIT(opening_cuts_off_what_was_not_committed),
        UNIT(a_file_that_became_shorter_or_vanished_is_refused),
        UNIT(a_file_that_was_cut_while_it_was_open_gets_no_hole),
        UNIT(two_writers_of_one_file_are_refused),
        UNIT(rewinding_forgets_what_was_added_since),
        UNIT(many_scattered_lines_are_written_in_order),
        UNIT(room_that_was_reserved_and_not_used_is_given_back),
        UNIT(a_removed_output_begins_anew),
        UNIT(a_resting_sink_lets_others_write_and_goes_on_behind_them),
        UNIT(lines_of_the_committed_part_are_counted),
        UNIT(compressed_groups_are_frames_that_can_be_cut),
        UNIT(large_compressed_groups_stay_whole),
        UNIT(cells_are_written_as_their_users_expect),
        UNIT(lists_and_objects_in_a_cell_are_what_python_prints),
        UNIT(a_lonely_empty_cell_is_still_a_row),
        UNIT(the_first_row_fixes_the_width),
        UNIT(the_first_object_fixes_the_columns_and_names_them),
        UNIT(an_existing_file_gets_rows_and_no_header),
        UNIT(an_overwritten_file_gets_the_header),
        UNIT(names_may_come_after_the_width),
        UNIT(rewound_rows_take_their_columns_along),
        UNIT(a_restart_goes_on_with_the_stored_columns),
        UNIT(many_scrambled_columns_are_found),
#ifdef PENSTOCK_FAULTS
        UNIT(a_failed_group_leaves_no_trace),
        UNIT(a_failed_cut_is_tried_again_before_the_next_write),
        UNIT(a_failed_commit_is_undone),
        UNIT(an_opening_that_cannot_cut_fails),
#endif
        UNIT(other_formats_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
