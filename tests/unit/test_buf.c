/* test_buf.c: borrowed text, UTF-8 and bytes that grow up to a cap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

#include <stdlib.h>

static void text_is_compared_by_bytes(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a"), str_of("a")));
    assert_true(str_eq((struct str){NULL, 0}, STR("")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_false(str_eq(STR("a"), STR("b")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_is(STR("a"), "a"));
    assert_int_equal(str_of(NULL).len, 0);
}

static void trimming_takes_blanks_at_both_ends(void **state)
{
    (void)state;
    assert_true(str_is(str_trim(STR(" \t\r\n a b \n")), "a b"));
    assert_true(str_is(str_trim(STR("  ")), ""));
    assert_true(str_is(str_trim((struct str){NULL, 0}), ""));
    assert_true(str_is(str_trim(STR("\va\f")), "\va\f"));
}

static void utf8_is_what_unicode_says(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        bool good;
    } rows[] = {
        {STR_INIT(""), true},
        {STR_INIT("plain"), true},
        {STR_INIT("\0"), true},
        {STR_INIT("\x7f"), true},
        {STR_INIT("\xc2\x80"), true},
        {STR_INIT("\xdf\xbf"), true},
        {STR_INIT("\xe0\xa0\x80"), true},
        {STR_INIT("\xed\x9f\xbf"), true},
        {STR_INIT("\xee\x80\x80"), true},
        {STR_INIT("\xef\xbf\xbf"), true},
        {STR_INIT("\xf0\x90\x80\x80"), true},
        {STR_INIT("\xf4\x8f\xbf\xbf"), true},
        {STR_INIT("\x80"), false},             /* continues nothing */
        {STR_INIT("\xc0\x80"), false},         /* overlong */
        {STR_INIT("\xc1\xbf"), false},         /* overlong */
        {STR_INIT("\xe0\x9f\xbf"), false},     /* overlong */
        {STR_INIT("\xf0\x8f\xbf\xbf"), false}, /* overlong */
        {STR_INIT("\xed\xa0\x80"), false},     /* surrogate */
        {STR_INIT("\xed\xbf\xbf"), false},     /* surrogate */
        {STR_INIT("\xf4\x90\x80\x80"), false}, /* above U+10FFFF */
        {STR_INIT("\xf5\x80\x80\x80"), false},
        {STR_INIT("\xff"), false},
        {STR_INIT("\xc3"), false}, /* cut off */
        {STR_INIT("\xe2\x82"), false},
        {STR_INIT("\xf0\x9f\x9a"), false},
        {STR_INIT("\xc3("), false},
        {STR_INIT("\xe2\x82("), false},
        {STR_INIT("\xf0\x9f\x9a("), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is_utf8(rows[i].text) != rows[i].good)
            fail_msg("row %zu", i);
    assert_int_equal(str_utf8_length(STR("\xe2\x82\xac!")), 3);
    assert_int_equal(str_utf8_length(STR("")), 0);
}

static void a_buf_keeps_what_is_added(void **state)
{
    (void)state;
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "a");
    buf_add_char(&b, '-');
    buf_add_str(&b, STR("b\0c"));
    buf_add_str(&b, (struct str){NULL, 0});
    buf_add(&b, NULL, 0);
    buf_add_format(&b, "[%s %d]", "x", 7);
    assert_true(str_eq(buf_str(&b), STR("a-b\0c[x 7]")));
    assert_false(b.full);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 100010);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[10 + i], 'a' + i % 26);
}

static void numbers_are_written_in_decimal(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        const char *text;
    } rows[] = {{0, "0"},
                {7, "7"},
                {-1, "-1"},
                {1234567890123, "1234567890123"},
                {INT64_MAX, "9223372036854775807"},
                {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        OWNED_BUF struct buf b;
        buf_init(&b, BUF_NO_CAP);
        buf_add_i64(&b, rows[i].number);
        assert_true(str_is(buf_str(&b), rows[i].text));
    }
}

static void past_the_cap_nothing_is_added_and_full_stays(void **state)
{
    (void)state;
    OWNED_BUF struct buf b;
    buf_init(&b, 300);
    for (int i = 0; i < 30; i++)
        buf_add(&b, "0123456789", 10);
    assert_int_equal(b.len, 300);
    assert_false(b.full);
    buf_add_char(&b, 'x');
    assert_true(b.full);
    assert_int_equal(b.len, 300);
    buf_release(&b);
    assert_int_equal(b.len, 0);
    assert_false(b.full);

    buf_add(&b, "0123456789", 10);
    assert_false(buf_reserve(&b, 291));
    assert_true(b.full);
    buf_add_char(&b, 'x');
    buf_add_format(&b, "%d", 1);
    assert_true(str_is(buf_str(&b), "0123456789"));
}

static void a_formatted_text_may_fill_the_buf_to_its_cap(void **state)
{
    (void)state;
    OWNED_BUF struct buf b;
    buf_init(&b, 4);
    buf_add_format(&b, "%d", 1234);
    assert_false(b.full);
    assert_true(str_is(buf_str(&b), "1234"));
    OWNED_MEM char *text = buf_take(&b);
    assert_string_equal(text, "1234");
    buf_add_format(&b, "%s", "");
    assert_int_equal(b.len, 0);
    assert_false(b.full);
    buf_add_format(&b, "%d", 12345);
    assert_true(b.full);
    assert_int_equal(b.len, 0);
}

static void taking_leaves_an_empty_buf_with_the_same_cap(void **state)
{
    (void)state;
    OWNED_BUF struct buf b;
    buf_init(&b, 5);
    OWNED_MEM char *nothing = buf_take(&b);
    assert_string_equal(nothing, "");
    buf_add_text(&b, "12345");
    OWNED_MEM char *text = buf_take(&b);
    assert_string_equal(text, "12345");
    assert_int_equal(b.len, 0);
    buf_add_text(&b, "123456");
    assert_true(b.full);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_compared_by_bytes),
        cmocka_unit_test(trimming_takes_blanks_at_both_ends),
        cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(a_buf_keeps_what_is_added),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(past_the_cap_nothing_is_added_and_full_stays),
        cmocka_unit_test(a_formatted_text_may_fill_the_buf_to_its_cap),
        cmocka_unit_test(taking_leaves_an_empty_buf_with_the_same_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
