/* cron.h: when a schedule is due: the fields of cron(5), and intervals. Pure: time zones come as
 * data. */
#ifndef PENSTOCK_CORE_CRON_H
#define PENSTOCK_CORE_CRON_H

#include "base/zone.h"

/* Sets of numbers, a bit each. Made by cron_read, compared by nobody. */
struct cron {
    uint64_t seconds, minutes;
    uint32_t hours, days;      /* of the month: 1 to 31 */
    uint16_t months;           /* 1 to 12 */
    uint8_t weekdays;          /* 0 to 6, from Sunday */
    uint8_t last_weekdays;     /* the last such day of the month */
    bool last_day;             /* of the month */
    bool any_day, any_weekday; /* the field begins with a star */
    bool by_hours;             /* the hours are a star or have a step */
};

/* Minute, hour, day of the month, month, day of the week, or these with the second before them:
 * numbers, names ("mon", "JAN"), lists, ranges, steps ("5-50/5", "10/5" goes to the end), "L" as
 * the last day of the month, "5L" as its last Friday, Sunday is 0 and 7; or "@daily" and its like.
 * As in cron(5) it is enough that the day of the month or that of the week fits when neither begins
 * with a star. ERR_INVALID names the field; also of what can never be, as the 30th of February. */
MUST_CHECK bool cron_read(struct str text, struct cron *out, struct err *err);

/* The first tick after a moment (wall clock, UTC). What the zone's clocks leave out is at the first
 * moment after the gap; what they show twice is at the first time, but where the hours are a star
 * or have a step both passes count, and what is left out is. False: not within 400 years. */
MUST_CHECK bool cron_next(const struct cron *c, const struct zone *zone, int64_t after_us,
                          int64_t *next_us);

/* The first multiple of an interval (> 0) since 1970 after a moment. */
int64_t interval_next(int64_t every_us, int64_t after_us);

#endif
