/* What a schedule is, and what becomes of its ticks, also of those that were missed. */
#include "core/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

#include <string.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define NOON_US (INT64_C(1795867200) * SECOND_US) /* 2026-11-28T12:00:00Z */

static struct schedule_clock every(int64_t us)
{
    return (struct schedule_clock){.every_us = us};
}

static void a_tick_is_due_at_its_time_and_then_the_next(void **state)
{
    (void)state;
    struct schedule_clock c = every(5 * MINUTE_US);
    int64_t next_us = NOON_US, tick_us = 0;
    assert_false(schedule_due(&c, MISSED_SKIP, NOON_US - 1, &next_us, &tick_us));
    assert_int_equal(next_us, NOON_US);
    assert_true(schedule_due(&c, MISSED_SKIP, NOON_US, &next_us, &tick_us));
    assert_int_equal(tick_us, NOON_US);
    assert_int_equal(next_us, NOON_US + 5 * MINUTE_US);
}

static void a_little_late_is_not_missed(void **state)
{
    (void)state;
    struct schedule_clock c = every(10 * SECOND_US);
    int64_t next_us = NOON_US, tick_us = 0, now_us = NOON_US + 25 * SECOND_US;
    for (int i = 0; i < 3; i++) {
        assert_true(schedule_due(&c, MISSED_SKIP, now_us, &next_us, &tick_us));
        assert_int_equal(tick_us, NOON_US + i * 10 * SECOND_US);
    }
    assert_false(schedule_due(&c, MISSED_SKIP, now_us, &next_us, &tick_us));
}

static void missed_ticks_are_skipped(void **state)
{
    (void)state;
    struct schedule_clock c = every(60 * MINUTE_US);
    int64_t next_us = NOON_US, tick_us = 0;
    assert_false(schedule_due(&c, MISSED_SKIP, NOON_US + 210 * MINUTE_US, &next_us, &tick_us));
    assert_int_equal(next_us, NOON_US + 240 * MINUTE_US);
    /* One that is just due is not among them. */
    next_us = NOON_US;
    assert_true(schedule_due(&c, MISSED_SKIP, NOON_US + 180 * MINUTE_US + 5, &next_us, &tick_us));
    assert_int_equal(tick_us, NOON_US + 180 * MINUTE_US);
}

static void a_long_time_is_clipped_to_its_end(void **state)
{
    (void)state;
    struct schedule_clock c = every(10 * SECOND_US);
    int64_t year_us = INT64_C(365) * 24 * 60 * MINUTE_US;
    assert_int_equal(schedule_clip(&c, NOON_US, NOON_US + 4 * MINUTE_US, 25), NOON_US);
    assert_int_equal(schedule_clip(&c, NOON_US, NOON_US + 4 * MINUTE_US, 24),
                     NOON_US + 10 * SECOND_US);
    for (int64_t more_us = 0; more_us < 10 * SECOND_US; more_us += 3333333)
        assert_int_equal(schedule_clip(&c, NOON_US, NOON_US + year_us + more_us, 100),
                         NOON_US + year_us - 99 * 10 * SECOND_US);
}

static void of_missed_ticks_one_is_made_up_for(void **state)
{
    (void)state;
    struct schedule_clock c = every(60 * MINUTE_US);
    int64_t next_us = NOON_US, tick_us = 0;
    assert_true(schedule_due(&c, MISSED_ONCE, NOON_US + 210 * MINUTE_US, &next_us, &tick_us));
    assert_int_equal(tick_us,
                     NOON_US + 180 * MINUTE_US); /* so that what is noted covers them all */
    assert_false(schedule_due(&c, MISSED_ONCE, NOON_US + 210 * MINUTE_US, &next_us, &tick_us));
    assert_int_equal(next_us, NOON_US + 240 * MINUTE_US);
}

static void all_missed_ticks_are_made_up_for(void **state)
{
    (void)state;
    struct schedule_clock c = every(60 * MINUTE_US);
    int64_t next_us = NOON_US, tick_us = 0;
    for (int i = 0; i < 4; i++) {
        assert_true(schedule_due(&c, MISSED_ALL, NOON_US + 210 * MINUTE_US, &next_us, &tick_us));
        assert_int_equal(tick_us, NOON_US + i * 60 * MINUTE_US);
    }
    assert_false(schedule_due(&c, MISSED_ALL, NOON_US + 210 * MINUTE_US, &next_us, &tick_us));
}

static void a_clock_that_was_set_back_makes_no_tick_twice(void **state)
{
    (void)state;
    struct schedule_clock c = every(60 * MINUTE_US);
    int64_t next_us = NOON_US, tick_us = 0;
    assert_true(schedule_due(&c, MISSED_SKIP, NOON_US, &next_us, &tick_us));
    assert_false(schedule_due(&c, MISSED_SKIP, NOON_US - 90 * MINUTE_US, &next_us, &tick_us));
    assert_false(schedule_due(&c, MISSED_SKIP, NOON_US, &next_us, &tick_us));
    assert_int_equal(next_us, NOON_US + 60 * MINUTE_US);
}

static void cron_counts_by_the_clocks_of_its_zone(void **state)
{
    (void)state;
    struct schedule s = {.name = "x", .function = "f", .cron = "0 7 * * *", .zone = "Asia/Tokyo"};
    struct schedule_clock c = {.every_us = 0};
    struct err err;
    assert_true(schedule_check(&s, &c, &err));
    assert_int_equal(schedule_next(&c, NOON_US), NOON_US + 10 * 60 * MINUTE_US);
    schedule_clock_release(&c);
    s.zone = NULL; /* UTC */
    assert_true(schedule_check(&s, &c, &err));
    assert_int_equal(schedule_next(&c, NOON_US), NOON_US + 19 * 60 * MINUTE_US);
    schedule_clock_release(&c);
}

static void what_cannot_be_right_is_named(void **state)
{
    (void)state;
    char long_name[SCHEDULE_NAME_MAX_BYTES + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const struct {
        struct schedule s;
        const char *why;
    } bad[] = {
        {{.name = "", .every_us = 1}, "the schedule's name"},
        {{.name = "a\nb", .every_us = 1}, "the schedule's name"},
        {{.name = long_name, .every_us = 1}, "more than 200 bytes"},
        {{.name = "x"}, "either cron or every_s"},
        {{.name = "x", .cron = "* * * * *", .every_us = 1}, "either cron or every_s"},
        {{.name = "x", .every_us = 1, .zone = "UTC"}, "zone: goes with cron only"},
        {{.name = "x", .cron = "x"}, "cron: "},
        {{.name = "x", .cron = "@daily", .zone = "Europe/Wien"}, "no time zone Europe/Wien"},
        {{.name = "x", .every_us = 1, .pass_time = true, .arguments = "[1]"}, "pass_time: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct schedule_clock c = {.every_us = 0};
        struct err err;
        assert_false(schedule_check(&bad[i].s, &c, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, bad[i].why))
            fail_msg("\"%s\" lacks \"%s\"", err.text, bad[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tick_is_due_at_its_time_and_then_the_next),
        cmocka_unit_test(a_little_late_is_not_missed),
        cmocka_unit_test(missed_ticks_are_skipped),
        cmocka_unit_test(a_long_time_is_clipped_to_its_end),
        cmocka_unit_test(of_missed_ticks_one_is_made_up_for),
        cmocka_unit_test(all_missed_ticks_are_made_up_for),
        cmocka_unit_test(a_clock_that_was_set_back_makes_no_tick_twice),
        cmocka_unit_test(cron_counts_by_the_clocks_of_its_zone),
        cmocka_unit_test(what_cannot_be_right_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
