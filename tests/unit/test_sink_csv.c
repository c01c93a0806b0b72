/* A CSV sink: cells, columns and headers. */
#include "sink_temp.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
