/* Lines and rows as bytes, one after the other. io/line_reader.c. */
#include "io_temp.h"

#include "io/line_reader.h"

static void assert_lines(const char *text, size_t len, bool csv, const char *const *lines)
{
    struct err err;
    struct line line;
    struct line_reader r;
    char path[] = "/tmp/penstock-lines-XXXXXX";
    OWNED_FD int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    line_reader_init(&r, fd, "lines", -1, csv);
    for (; *lines; lines++) {
        assert_int_equal(line_reader_next(&r, &line, &err), LINE_HERE);
        if (!str_is(line.text, *lines))
            fail_msg("\"%.*s\", not \"%s\"", (int)line.text.len, line.text.ptr, *lines);
        assert_int_equal(line.ended, lines[1] || text[len - 1] == '\n');
        assert_false(line.too_long);
    }
    assert_int_equal(line_reader_next(&r, &line, &err), LINE_NONE);
    assert_int_equal(line_reader_at(&r), (int64_t)len);
    line_reader_release(&r);
}
#define LINES(text, csv, ...)                                                                      \
    assert_lines(text, sizeof(text) - 1, csv, (const char *const[]){__VA_ARGS__, NULL})

static void lines_come_one_after_the_other(void **state)
{
    (void)state;
    LINES("a\nb\n", false, "a", "b");
    LINES("a\n\nb", false, "a", "", "b");
    LINES("\xef\xbb\xbf{}\n\xef\xbb\xbf", false, "{}", "\xef\xbb\xbf");
    LINES("a\r\nb\n", false, "a\r", "b");
}

static void rows_keep_the_line_ends_within_their_quotes(void **state)
{
    (void)state;
    LINES("a,b\n1,\"x\ny\"\n2,z", true, "a,b", "1,\"x\ny\"", "2,z");
}

static void a_line_may_be_longer_than_a_read_and_reading_may_pause(void **state)
{
    (void)state;
    struct err err;
    struct line line;
    struct line_reader r;
    enum { LONG = 700000 };
    OWNED_MEM char *text = malloc(LONG + 3);
    memset(text, 'x', LONG);
    memcpy(text + LONG, "\ny\n", 3);
    char path[] = "/tmp/penstock-lines-XXXXXX";
    OWNED_FD int fd = mkstemp(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, text, LONG + 3), LONG + 3);
    line_reader_init(&r, fd, "lines", -1, false);
    enum line_got got = LINE_NONE;
    int pauses = 0;
    for (line_reader_allow(&r, 1); (got = line_reader_next(&r, &line, &err)) == LINE_PAUSE;
         line_reader_allow(&r, 1))
        pauses++;
    assert_int_equal(got, LINE_HERE);
    assert_true(pauses > 0);
    assert_int_equal(line.text.len, LONG);
    assert_int_equal(line_reader_next(&r, &line, &err), LINE_HERE);
    assert_int_equal(line.at_bytes, LONG + 1);
    assert_true(str_is(line.text, "y"));
    line_reader_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_one_after_the_other),
        cmocka_unit_test(rows_keep_the_line_ends_within_their_quotes),
        cmocka_unit_test(a_line_may_be_longer_than_a_read_and_reading_may_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
