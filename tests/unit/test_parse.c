/* test_parse.c: numbers and sizes from outside: what is taken, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parse.h"

static const int64_t untouched = 4711;

static void whole_numbers_are_taken_within_their_bounds(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        int64_t min, max, want;
    } rows[] = {
        {STR_INIT("0"), 0, 9, 0},
        {STR_INIT("-0"), 0, 9, 0},
        {STR_INIT("007"), 0, 9, 7},
        {STR_INIT("+7"), 0, 9, 7},
        {STR_INIT("-7"), -7, 9, -7},
        {STR_INIT("9"), 0, 9, 9},
        {STR_INIT("9223372036854775807"), INT64_MIN, INT64_MAX, INT64_MAX},
        {STR_INIT("-9223372036854775808"), INT64_MIN, INT64_MAX, INT64_MIN},
        {STR_INIT("0000000000000000000000000000001"), 0, 9, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t out = untouched;
        struct err err = {0};
        if (!parse_i64(rows[i].text, rows[i].min, rows[i].max, &out, &err))
            fail_msg("%s: %s", rows[i].text.ptr, err.text);
        assert_int_equal(out, rows[i].want);
    }
}

static void what_is_no_whole_number_within_bounds_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        int64_t min, max;
    } rows[] = {
        {STR_INIT(""), INT64_MIN, INT64_MAX},
        {{NULL, 0}, INT64_MIN, INT64_MAX},
        {STR_INIT("-"), INT64_MIN, INT64_MAX},
        {STR_INIT("+-1"), INT64_MIN, INT64_MAX},
        {STR_INIT(" 1"), INT64_MIN, INT64_MAX},
        {STR_INIT("1 "), INT64_MIN, INT64_MAX},
        {STR_INIT("1\0"), INT64_MIN, INT64_MAX},
        {STR_INIT("1.0"), INT64_MIN, INT64_MAX},
        {STR_INIT("1e3"), INT64_MIN, INT64_MAX},
        {STR_INIT("0x10"), INT64_MIN, INT64_MAX},
        {STR_INIT("１"), INT64_MIN, INT64_MAX},
        {STR_INIT("9223372036854775808"), INT64_MIN, INT64_MAX},
        {STR_INIT("-9223372036854775809"), INT64_MIN, INT64_MAX},
        {STR_INIT("99999999999999999999999999"), INT64_MIN, INT64_MAX},
        {STR_INIT("10"), 0, 9},
        {STR_INIT("-1"), 0, 9},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t out = untouched;
        struct err err = {0};
        if (parse_i64(rows[i].text, rows[i].min, rows[i].max, &out, &err))
            fail_msg("row %zu was taken", i);
        assert_int_equal(out, untouched);
        assert_int_equal(err.code, ERR_INVALID);
    }
    struct err err;
    int64_t out;
    assert_false(parse_i64(STR("ten"), 1, 9, &out, &err));
    assert_string_equal(err.text, "'ten' is not a whole number from 1 to 9");
}

static void sizes_may_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        int64_t want; /* -1: refused */
    } rows[] = {
        {STR_INIT("0"), 0},
        {STR_INIT("512"), 512},
        {STR_INIT("4K"), 4096},
        {STR_INIT("4k"), 4096},
        {STR_INIT("3M"), 3 << 20},
        {STR_INIT("2g"), INT64_C(2) << 30},
        {STR_INIT("1T"), INT64_C(1) << 40},
        {STR_INIT("1025T"), -1},
        {STR_INIT("9223372036854775807T"), -1},
        {STR_INIT("K"), -1},
        {STR_INIT(""), -1},
        {STR_INIT("4KB"), -1},
        {STR_INIT("4 K"), -1},
        {STR_INIT("4\0"), -1},
        {STR_INIT("-4K"), -1},
        {STR_INIT("4P"), -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t out = untouched;
        struct err err = {0};
        bool ok = parse_bytes(rows[i].text, 0, INT64_C(1) << 50, &out, &err);
        if (ok != (rows[i].want >= 0) || (ok && out != rows[i].want))
            fail_msg("row %zu: %s", i, rows[i].text.ptr);
        if (!ok) {
            assert_int_equal(out, untouched);
            assert_int_equal(err.code, ERR_INVALID);
            assert_non_null(strstr(err.text, "1125899906842624"));
        }
    }
}

static void seconds_may_have_a_fraction(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        int64_t want_us; /* -1: refused */
    } rows[] = {
        {STR_INIT("0"), 0},
        {STR_INIT("30"), 30000000},
        {STR_INIT("0.5"), 500000},
        {STR_INIT("1.000001"), 1000001},
        {STR_INIT("3600"), INT64_C(3600000000)},
        {STR_INIT("3600.000001"), -1},
        {STR_INIT("3601"), -1},
        {STR_INIT("-1"), -1},
        {STR_INIT("-0.5"), -1},
        {STR_INIT("1."), -1},
        {STR_INIT(".5"), -1},
        {STR_INIT("1.-5"), -1},
        {STR_INIT("1.+5"), -1},
        {STR_INIT("1.0000001"), -1},
        {STR_INIT("1.5.5"), -1},
        {STR_INIT("1e3"), -1},
        {STR_INIT("nan"), -1},
        {STR_INIT("inf"), -1},
        {STR_INIT("30s"), -1},
        {STR_INIT(""), -1},
        {STR_INIT("9223372036854775807"), -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t out = untouched;
        struct err err = {0};
        bool ok = parse_seconds(rows[i].text, 0, INT64_C(3600000000), &out, &err);
        if (ok != (rows[i].want_us >= 0) || (ok && out != rows[i].want_us))
            fail_msg("row %zu: %s", i, rows[i].text.ptr);
        if (!ok) {
            assert_int_equal(out, untouched);
            assert_int_equal(err.code, ERR_INVALID);
        }
    }
}

static void yes_and_no_have_their_words(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "True", "1", "on", "YES", "t", "y"};
    static const char *const no[] = {"false", "FALSE", "0", "off", "No", "f", "N"};
    static const char *const neither[] = {"", "2", "tru", "truee", " true", "enable"};
    bool out = false;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(parse_bool(str_of(yes[i]), &out) && out);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_true(parse_bool(str_of(no[i]), &out) && !out);
    for (size_t i = 0; i < sizeof neither / sizeof *neither; i++)
        assert_false(parse_bool(str_of(neither[i]), &out));
    assert_false(parse_bool((struct str){NULL, 0}, &out));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_taken_within_their_bounds),
        cmocka_unit_test(what_is_no_whole_number_within_bounds_is_refused),
        cmocka_unit_test(sizes_may_have_a_unit),
        cmocka_unit_test(seconds_may_have_a_fraction),
        cmocka_unit_test(yes_and_no_have_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
