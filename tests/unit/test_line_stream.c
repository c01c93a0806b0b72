/* test_line_stream.c: lines come whole, in whatever pieces they arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/line_stream.h"

#include <fcntl.h>
#include <unistd.h>

struct world {
    struct line_stream lines;
    struct buf got; /* each line followed by '|' */
    int ends[2];
};

static void take(void *context, struct str line)
{
    struct world *w = context;
    buf_add_str(&w->got, line);
    buf_add_char(&w->got, '|');
}

static void begin(struct world *w, size_t max_bytes)
{
    line_stream_init(&w->lines, max_bytes);
    buf_init(&w->got, BUF_NO_CAP);
    assert_int_equal(pipe2(w->ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void end(struct world *w)
{
    close(w->ends[0]);
    line_stream_release(&w->lines);
    buf_release(&w->got);
}

static void send_text(struct world *w, const char *text)
{
    assert_int_equal(write(w->ends[1], text, strlen(text)), strlen(text));
}

static void assert_got(struct world *w, bool more, const char *expected)
{
    w->got.len = 0;
    assert_int_equal(line_stream_read(&w->lines, w->ends[0], take, w), more);
    assert_int_equal(w->got.len, strlen(expected));
    assert_memory_equal(w->got.data ? w->got.data : "", expected, w->got.len);
}

static void a_line_comes_when_it_is_whole(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 100);
    assert_got(&w, true, "");
    send_text(&w, "on");
    assert_got(&w, true, "");
    send_text(&w, "e\ntwo\n\nthr");
    assert_got(&w, true, "one|two||");
    send_text(&w, "ee");
    close(w.ends[1]);
    assert_got(&w, false, "three|");
    end(&w);
}

static void a_stream_may_end_with_its_line(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 100);
    send_text(&w, "one\n");
    close(w.ends[1]);
    assert_got(&w, false, "one|");
    end(&w);
}

static void a_line_that_is_too_long_comes_in_pieces(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 4);
    send_text(&w, "abcdefgh");
    assert_got(&w, true, "abcd|");
    send_text(&w, "i\nxy\n");
    assert_got(&w, true, "efgh|i|xy|");
    close(w.ends[1]);
    assert_got(&w, false, "");
    end(&w);
}

static void a_broken_descriptor_ends_the_stream(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 4);
    int read_end = w.ends[0];
    w.ends[0] = w.ends[1]; /* cannot be read */
    assert_got(&w, false, "");
    w.ends[0] = read_end;
    close(w.ends[1]);
    end(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_comes_when_it_is_whole),
        cmocka_unit_test(a_stream_may_end_with_its_line),
        cmocka_unit_test(a_line_that_is_too_long_comes_in_pieces),
        cmocka_unit_test(a_broken_descriptor_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
