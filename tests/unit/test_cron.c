/* When schedules are due: fields, calendars, clocks that are set forward and back. */
#include "core/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct zone *zone_named(const char *name)
{
    struct zone *z = NULL;
    struct err err;
    if (!zone_open(str_of(name), &z, &err))
        fail_msg("%s", err.text);
    return z;
}

static int64_t utc(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    assert_true(end && !*end);
    return timegm(&tm) * INT64_C(1000000);
}

/* The ticks after a moment, each as UTC. */
static void expect(const char *cron, const char *zone, const char *after, const char *const *ticks)
{
    struct cron c;
    struct err err;
    OWNED(zone) struct zone *z = zone_named(zone);
    if (!cron_read(str_of(cron), &c, &err))
        fail_msg("%s: %s", cron, err.text);
    int64_t at = utc(after), next = 0;
    for (size_t i = 0; ticks[i]; i++) {
        char got[CLOCK_TEXT_SIZE];
        assert_true(cron_next(&c, z, at, &next));
        clock_text(next, got);
        if (next != utc(ticks[i]))
            fail_msg("%s in %s: tick %zu is %s, not %s", cron, zone, i, got, ticks[i]);
        assert_true(next > at);
        at = next;
    }
}
#define EXPECT(cron, zone, after, ...)                                                             \
    expect(cron, zone, after, (const char *const[]){__VA_ARGS__, NULL})

static void fields_are_those_of_cron_5(void **state)
{
    (void)state;
    EXPECT("0 7 * * mon-fri", "UTC", "2026-11-20T07:00:00Z", "2026-11-23T07:00:00Z",
           "2026-11-24T07:00:00Z");
    EXPECT("*/20 9-10 * * *", "UTC", "2026-11-20T09:30:00Z", "2026-11-20T09:40:00Z",
           "2026-11-20T10:00:00Z", "2026-11-20T10:20:00Z", "2026-11-20T10:40:00Z",
           "2026-11-21T09:00:00Z");
    EXPECT("5,10/20 0 1 JAN,jul *", "UTC", "2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z",
           "2026-01-01T00:30:00Z", "2026-01-01T00:50:00Z", "2026-07-01T00:05:00Z");
    EXPECT("30 15 10 * * *", "UTC", "2026-11-20T10:15:29Z", "2026-11-20T10:15:30Z",
           "2026-11-21T10:15:30Z");
    EXPECT("*/7 * * * * *", "UTC", "2026-11-20T10:15:50Z", "2026-11-20T10:15:56Z",
           "2026-11-20T10:16:00Z");
    EXPECT("0 0 * * 7", "UTC", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z");
    EXPECT("0 0 * * fri-sun", "UTC", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z",
           "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z");
    EXPECT(" 0\t0  1 1 * ", "UTC", "2026-11-20T00:00:00Z", "2027-01-01T00:00:00Z");
}

static void nicknames_are_known(void **state)
{
    (void)state;
    EXPECT("@yearly", "UTC", "2026-11-20T00:00:00Z", "2027-01-01T00:00:00Z");
    EXPECT("@annually", "UTC", "2026-11-20T00:00:00Z", "2027-01-01T00:00:00Z");
    EXPECT("@monthly", "UTC", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z");
    EXPECT("@weekly", "UTC", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z");
    EXPECT("@Daily", "UTC", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
    EXPECT("@midnight", "UTC", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
    EXPECT("@hourly", "UTC", "2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z");
}

static void either_kind_of_day_is_enough_unless_one_is_a_star(void **state)
{
    (void)state;
    EXPECT("0 0 13 * fri", "UTC", "2026-11-10T00:00:00Z", "2026-11-13T00:00:00Z",
           "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z",
           "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z");
    EXPECT("0 0 */10 * fri", "UTC", "2026-11-10T00:00:00Z", "2026-12-11T00:00:00Z");
}

static void the_last_day_and_the_last_friday(void **state)
{
    (void)state;
    EXPECT("0 0 L * *", "UTC", "2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z",
           "2027-03-31T00:00:00Z");
    EXPECT("0 0 L 2 *", "UTC", "2027-03-01T00:00:00Z", "2028-02-29T00:00:00Z");
    EXPECT("0 0 * * 5L", "UTC", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z",
           "2026-12-25T00:00:00Z");
    EXPECT("0 0 1,L * *", "UTC", "2026-11-20T00:00:00Z", "2026-11-30T00:00:00Z",
           "2026-12-01T00:00:00Z");
}

static void leap_days_come_when_they_do(void **state)
{
    (void)state;
    EXPECT("0 12 29 2 *", "Europe/Vienna", "2026-11-20T00:00:00Z", "2028-02-29T11:00:00Z",
           "2032-02-29T11:00:00Z");
    EXPECT("0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z");
}

static void what_the_clocks_leave_out_is_at_the_first_moment_after_the_gap(void **state)
{
    (void)state;
    /* Vienna, 2027-03-28: 02:00 becomes 03:00 at 01:00 UTC. */
    EXPECT("30 2 * * *", "Europe/Vienna", "2027-03-27T00:00:00Z", "2027-03-27T01:30:00Z",
           "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z");
    EXPECT("0,15,30 2 * * *", "Europe/Vienna", "2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z",
           "2027-03-29T00:00:00Z");
    EXPECT("0 2 28 3 *", "Europe/Vienna", "2027-03-28T00:59:59Z", "2027-03-28T01:00:00Z");
    EXPECT("0 3 * * *", "Europe/Vienna", "2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z",
           "2027-03-29T01:00:00Z");
    /* New York the same year, two weeks before: 02:00 becomes 03:00 at 07:00 UTC. */
    EXPECT("30 2 * * *", "America/New_York", "2027-03-14T00:00:00Z", "2027-03-14T07:00:00Z",
           "2027-03-15T06:30:00Z");
}

static void what_the_clocks_show_twice_is_once(void **state)
{
    (void)state;
    /* Vienna, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC. */
    EXPECT("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z",
           "2026-10-26T01:30:00Z");
    EXPECT("0 2,3 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z",
           "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z");
    /* Asked within the second pass. */
    EXPECT("30 2 * * *", "Europe/Vienna", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z");
}

static void stars_and_steps_of_the_hour_follow_the_clock(void **state)
{
    (void)state;
    EXPECT("30 * * * *", "Europe/Vienna", "2026-10-24T23:40:00Z", "2026-10-25T00:30:00Z",
           "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z");
    EXPECT("0 */2 * * *", "Europe/Vienna", "2026-10-24T23:40:00Z", "2026-10-25T00:00:00Z",
           "2026-10-25T01:00:00Z", "2026-10-25T03:00:00Z");
    EXPECT("30 * * * *", "Europe/Vienna", "2027-03-28T00:00:00Z", "2027-03-28T00:30:00Z",
           "2027-03-28T01:30:00Z", "2027-03-28T02:30:00Z");
    EXPECT("30 2/24 28 3 *", "Europe/Vienna", "2027-01-01T00:00:00Z", "2028-03-28T00:30:00Z");
    EXPECT("10 1/24 1 11 *", "America/New_York", "2026-11-01T05:50:00Z", "2026-11-01T06:10:00Z",
           "2027-11-01T05:10:00Z");
}

static void a_day_that_never_was(void **state)
{
    (void)state;
    /* Samoa went from 2011-12-29 to 2011-12-31 at 10:00 UTC on the 30th. */
    EXPECT("0 7 * * *", "Pacific/Apia", "2011-12-28T20:00:00Z", "2011-12-29T17:00:00Z",
           "2011-12-30T10:00:00Z", "2011-12-30T17:00:00Z", "2011-12-31T17:00:00Z");
    EXPECT("0 * * * *", "Pacific/Apia", "2011-12-30T08:00:00Z", "2011-12-30T09:00:00Z",
           "2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z");
    EXPECT("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z",
           "2012-12-29T22:00:00Z");
}

static void half_hours_and_far_years(void **state)
{
    (void)state;
    /* Lord Howe moves by half an hour: 02:00 becomes 02:30 at 15:30 UTC. */
    EXPECT("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z",
           "2026-10-04T15:15:00Z");
    EXPECT("0 7 1 7 *", "Europe/Vienna", "2050-01-01T00:00:00Z", "2050-07-01T05:00:00Z");
    EXPECT("0 7 1 1 *", "Asia/Kolkata", "2050-01-01T05:00:00Z", "2051-01-01T01:30:00Z");
    EXPECT("59 23 31 12 *", "UTC", "1969-12-31T00:00:00Z", "1969-12-31T23:59:00Z");
}

static void what_can_never_be_is_refused_and_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "not 0 fields"},
        {"* * * *", "not 4 fields"},
        {"* * * * * * *", "7 fields"},
        {"0 0 30 2 *", "no such month has such a day"},
        {"0 0 */20 * 4L", "no such month has such a day"},
        {"0 0 31 4,6,9,11 *", "no such"},
        {"60 * * * *", "minute: 60"},
        {"* 24 * * *", "hour: 24"},
        {"* * 0 * *", "day of the month: 0"},
        {"* * * 13 *", "month: 13"},
        {"* * * * 8", "day of the week: 8"},
        {"5-1 * * * *", "minute: 5-1"},
        {"*/0 * * * *", "minute: */0"},
        {"*/ * * * *", "minute: */"},
        {", * * * *", "minute: "},
        {"1,,2 * * * *", "minute: "},
        {"-1 * * * *", "minute: -1"},
        {"+1 * * * *", "minute: +1"},
        {"x * * * *", "minute: x"},
        {"L * * * *", "minute: L"},
        {"* * 3L * *", "day of the month: 3L"},
        {"* * * mon *", "month: mon"},
        {"* * * * mo", "day of the week: mo"},
        {"@never", "not 1 fields"},
        {"*-5 * * * *", "minute: *-5"},
        {"* * * * 9L", "day of the week: 9L"},
        {"1-2-3 * * * *", "minute: 1-2-3"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cron c;
        struct err err;
        if (cron_read(str_of(bad[i][0]), &c, &err))
            fail_msg("%s was taken", bad[i][0]);
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("%s: \"%s\" lacks \"%s\"", bad[i][0], err.text, bad[i][1]);
    }
}

static void an_unknown_zone_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"Europe/Wien",      "",      "/etc/passwd",
                                      "../../etc/passwd", "UTC+3", "Europe",
                                      "Europe/",          "+3",    "Europe/Vienna\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct zone *z = NULL;
        struct err err;
        if (zone_open(str_of(bad[i]), &z, &err))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "there is no time zone"));
    }
}

static void zones_know_their_changes(void **state)
{
    (void)state;
    OWNED(zone) struct zone *z = zone_named("Europe/Vienna");
    int64_t at = 0, from = utc("2026-10-24T00:00:00Z") / 1000000;
    assert_int_equal(zone_offset_s(z, from), 7200);
    assert_true(zone_change(z, from, from + 2 * 86400, &at));
    assert_int_equal(at, utc("2026-10-25T01:00:00Z") / 1000000);
    assert_int_equal(zone_offset_s(z, at), 3600);
    assert_false(zone_change(z, at, at + 86400, &from));
}

static void an_interval_is_counted_from_1970(void **state)
{
    (void)state;
    assert_int_equal(interval_next(300, 0), 300);
    assert_int_equal(interval_next(300, 299), 300);
    assert_int_equal(interval_next(300, 300), 600);
    assert_int_equal(interval_next(300, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_those_of_cron_5),
        cmocka_unit_test(nicknames_are_known),
        cmocka_unit_test(either_kind_of_day_is_enough_unless_one_is_a_star),
        cmocka_unit_test(the_last_day_and_the_last_friday),
        cmocka_unit_test(leap_days_come_when_they_do),
        cmocka_unit_test(what_the_clocks_leave_out_is_at_the_first_moment_after_the_gap),
        cmocka_unit_test(what_the_clocks_show_twice_is_once),
        cmocka_unit_test(stars_and_steps_of_the_hour_follow_the_clock),
        cmocka_unit_test(a_day_that_never_was),
        cmocka_unit_test(half_hours_and_far_years),
        cmocka_unit_test(what_can_never_be_is_refused_and_named),
        cmocka_unit_test(an_unknown_zone_is_named),
        cmocka_unit_test(zones_know_their_changes),
        cmocka_unit_test(an_interval_is_counted_from_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
