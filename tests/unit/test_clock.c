/* test_clock.c: the clocks, and instants as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <stdio.h>
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

static void an_instant_is_written_as_the_c_library_would(void **state)
{
    (void)state;
    /* Steps of some hours that fall on every date, up to the year 10000 and beyond. */
    for (int64_t s = 0; s < INT64_C(253402387200); s += 86400 * 3 + 12345) {
        char text[CLOCK_TEXT_SIZE], expected[40], date[24];
        struct tm utc = {0};
        time_t seconds = (time_t)s;
        gmtime_r(&seconds, &utc);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(expected, sizeof expected, "%s.%03dZ", date, (int)(s % 1000));
        clock_text(s * 1000000 + s % 1000 * 1000, text);
        assert_string_equal(text, expected);
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

static void a_text_is_read_as_the_instant_it_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t wall_us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2025-11-22T09:00:00.123456Z", INT64_C(1763802000123456)},
        {"2025-11-22T10:00:00.1234567890123+01:00", INT64_C(1763802000123456)},
        {"2025-11-21 23:30:00.123-09:30", INT64_C(1763802000123000)},
        {"2024-02-29t23:59:59z", INT64_C(1709251199000000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
        {"1969-12-31T23:59:59.5Z", -500000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t wall_us = 42;
        assert_true(clock_parse(str_of(rows[i].text), &wall_us));
        assert_int_equal(wall_us, rows[i].wall_us);
    }
}

static void what_is_no_instant_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2025-11-22",
        "2025-11-22T09:00:00",
        "2025-11-22T09:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2025-11-22T24:00:00Z",
        "2025-11-22T09:60:00Z",
        "2025-11-22T09:00:61Z",
        "2025-11-22T09:00:00.Z",
        "2025-11-22T09:00:00Zx",
        "2025-11-22T09:00:00+1:00",
        "2025-11-22T09:00:00+24:00",
        "+025-11-22T09:00:00Z",
        "20251122T090000Z",
        " 2025-11-22T09:00:00Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t wall_us = 42;
        if (clock_parse(str_of(texts[i]), &wall_us))
            fail_msg("%s was taken", texts[i]);
        assert_int_equal(wall_us, 42);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_written_in_utc_with_milliseconds),
        cmocka_unit_test(an_instant_is_written_as_the_c_library_would),
        cmocka_unit_test(any_instant_fits_its_text),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
        cmocka_unit_test(a_text_is_read_as_the_instant_it_names),
        cmocka_unit_test(what_is_no_instant_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
