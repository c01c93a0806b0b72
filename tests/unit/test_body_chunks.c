/* Bodies in chunks: put together however their bytes come, and refused where they are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/body_chunks.h"

static struct buf body;

/* Reads `bytes` in pieces of `piece`; what is left over behind the end. */
static enum chunks_got read_in_pieces(struct str bytes, size_t piece, size_t *left)
{
    struct body_chunks c = {0};
    body.len = 0;
    size_t at = 0;
    for (;;) {
        size_t here = bytes.len - at < piece ? bytes.len - at : piece, used = 0;
        struct str data = {0};
        enum chunks_got got = chunks_read(&c, (struct str){bytes.ptr + at, here}, &used, &data);
        assert_true(used <= here);
        at += used;
        *left = bytes.len - at;
        if (got == CHUNKS_DATA) {
            assert_true(data.len > 0);
            buf_add_str(&body, data);
        } else if (got != CHUNKS_MORE || at == bytes.len) {
            return got;
        }
    }
}

static void gives(const char *bytes, const char *want, size_t want_left)
{
    for (size_t piece = 1; piece <= strlen(bytes); piece++) {
        size_t left = 0;
        enum chunks_got got = read_in_pieces(str_of(bytes), piece, &left);
        if (got != CHUNKS_END || !str_is(buf_str(&body), want) || left != want_left)
            fail_msg("%s in pieces of %zu: %d, %.*s, %zu left", bytes, piece, (int)got,
                     (int)body.len, body.data, left);
    }
}

static void breaks(struct str bytes)
{
    for (size_t piece = 1; piece <= bytes.len; piece++) {
        size_t left = 0;
        if (read_in_pieces(bytes, piece, &left) != CHUNKS_BROKEN)
            fail_msg("taken: %.*s", (int)bytes.len, bytes.ptr);
    }
}

static void chunks_are_put_together(void **state)
{
    (void)state;
    gives("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", 0);
    gives("0\r\n\r\nGET", "", 3);
    gives("00005\r\nhello\r\n000\r\n\r\n", "hello", 0);
    gives("1;name=value;\"x\"\r\na\r\n1 \r\nb\r\n0;x\r\n\r\nrest", "ab", 4);
    gives("A\r\n0123456789\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n\r\n", "0123456789", 2);
}

static void what_is_no_chunk_is_refused(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "zz\r\n",      "\r\n",          "-1\r\n",    "0x1\r\na\r\n", "1\na\r\n0\r\n\r\n",
        "1\r\nab\r\n", "1\r\na\n",      "1\r\na\rx", ";x\r\n",       "1000000000000000\r\n",
        "1;a\nb\r\n",  "0\r\na\nb\r\n", "1\rx",      " 1\r\na\r\n",  "0\r\n\rx",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        breaks(str_of(odd[i]));
    breaks(STR("1;\0\r\na\r\n"));
}

static void what_is_skipped_has_an_end(void **state)
{
    (void)state;
    OWNED_BUF struct buf long_one;
    buf_init(&long_one, 1 << 20);
    buf_add_text(&long_one, "1;");
    for (int i = 0; i < 20000; i++)
        buf_add_char(&long_one, 'x');
    size_t left = 0;
    assert_int_equal(read_in_pieces(buf_str(&long_one), long_one.len, &left), CHUNKS_BROKEN);
    assert_true(left > 0);
}

static void a_body_that_is_cut_off_is_not_whole(void **state)
{
    (void)state;
    static const char whole[] = "3\r\nhel\r\n0\r\nA: b\r\n\r\n";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        size_t left = 0;
        assert_int_equal(read_in_pieces((struct str){whole, len}, 100, &left), CHUNKS_MORE);
    }
}

static int begin(void **state)
{
    (void)state;
    buf_init(&body, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_release(&body);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_put_together),
        cmocka_unit_test(what_is_no_chunk_is_refused),
        cmocka_unit_test(what_is_skipped_has_an_end),
        cmocka_unit_test(a_body_that_is_cut_off_is_not_whole),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
