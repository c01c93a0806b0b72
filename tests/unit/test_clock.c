/* test_clock.c: the clocks, and instants as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <time.h>

static void instants_are_written_in_utc_with_milliseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999, "1970-01-01T00:00:00.000Z"},
        {1000, "1970-01-01T00:00:00.001Z"},
        {INT64_C(1763802000123456), "2025-11-22T09:00:00.123Z"},
        {INT64_C(1709164799999999), "2024-02-28T23:59:59.999Z"},
        {INT64_C(1709251199000000), "2024-02-29T23:59:59.000Z"},
        {INT64_C(4102444800000000), "2100-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000000, "1969-12-31T23:59:59.000Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CLOCK_TEXT_SIZE];
        clock_text(rows[i].wall_us, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void any_instant_fits_its_text(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_SIZE + 1];
    text[CLOCK_TEXT_SIZE] = '#';
    clock_text(INT64_MAX, text);
    assert_true(text[CLOCK_TEXT_SIZE] == '#');
    clock_text(INT64_MIN, text);
    assert_true(text[CLOCK_TEXT_SIZE] == '#');
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
    (void)state;
    struct instant last = clock_now();
    assert_in_range(last.wall_us / 1000000, (uintmax_t)time(NULL) - 2, (uintmax_t)time(NULL) + 2);
    for (int i = 0; i < 1000; i++) {
        struct instant now = clock_now();
        assert_true(now.mono_us >= last.mono_us);
        last = now;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_written_in_utc_with_milliseconds),
        cmocka_unit_test(any_instant_fits_its_text),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
