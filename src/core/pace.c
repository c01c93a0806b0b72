/* pace.c: see pace.h. Moments are doubles of microseconds: exact to the microsecond for centuries,
 * and an even spacing does not add up its rounding. */
#include "core/pace.h"

#include <assert.h>

#define MINUTE_US 60e6
#define SEEN_SPAN_US 20e6 /* what was seen longer ago counts half */
#define SEEN_LEAST_US 1e6

void pace_init(struct pace *p, double rpm, bool adaptive)
{
    *p = (struct pace){.limit_rpm = rpm, .adaptive = adaptive, .rpm = rpm, .top_rpm = rpm};
}

bool pace_is_on(const struct pace *p)
{
    return p->rpm > 0;
}

double pace_every_us(const struct pace *p)
{
    return MINUTE_US / (p->rpm * PACE_PART);
}

/* What a slowed rate has won back since. */
static void climb(struct pace *p, int64_t now_us)
{
    double step = p->top_rpm * (double)(now_us - p->climbed_us) / (double)PACE_CLIMB_US;
    p->climbed_us = now_us;
    if (!p->halved || step <= 0)
        return;
    p->rpm += step;
    if (p->limit_rpm > 0 && p->rpm > p->limit_rpm)
        p->rpm = p->limit_rpm;
    if (p->rpm > p->top_rpm)
        p->top_rpm = p->rpm;
}

int64_t pace_free(struct pace *p, int64_t now_us)
{
    double now = (double)now_us;
    assert(pace_is_on(p));
    climb(p, now_us);
    double first = p->next_us > now ? p->next_us : now;
    if (first > now + PACE_REFILL_US)
        return 0;
    return 1 + (int64_t)((now + PACE_AHEAD_US - first) / pace_every_us(p));
}

int64_t pace_next_us(const struct pace *p)
{
    return (int64_t)(p->next_us - PACE_REFILL_US) + 1;
}

void pace_take(struct pace *p, int64_t now_us, int64_t count, double *first_us, double *every)
{
    double now = (double)now_us, first = p->next_us > now ? p->next_us : now;
    assert(count > 0);
    *first_us = first - now;
    *every = pace_every_us(p);
    p->next_us = first + (double)count * *every;
}

void pace_see(struct pace *p, int64_t now_us, int64_t count)
{
    double now = (double)now_us, span = now - p->seen_from_us;
    if (p->seen <= 0) {
        p->seen_from_us = now;
    } else if (span > SEEN_SPAN_US) {
        p->seen /= 2;
        p->seen_from_us += span / 2;
    }
    p->seen += (double)count;
}

static double seen_rpm(const struct pace *p, int64_t now_us)
{
    double span = (double)now_us - p->seen_from_us;
    return p->seen * MINUTE_US / (span > SEEN_LEAST_US ? span : SEEN_LEAST_US);
}

static double floor_rpm(const struct pace *p)
{
    return p->limit_rpm > 0 && p->limit_rpm < PACE_FLOOR_RPM ? p->limit_rpm : PACE_FLOOR_RPM;
}

bool pace_slow(struct pace *p, int64_t now_us, bool again)
{
    p->throttled++;
    if (!p->adaptive || (p->halved && !again))
        return false;
    if (!pace_is_on(p))
        p->rpm = p->top_rpm = seen_rpm(p, now_us);
    else
        climb(p, now_us);
    p->climbed_us = now_us;
    p->halved++;
    p->rpm /= 2;
    if (p->rpm < floor_rpm(p))
        p->rpm = floor_rpm(p);
    if (p->top_rpm < p->rpm)
        p->top_rpm = p->rpm;
    if (p->lowest_rpm <= 0 || p->rpm < p->lowest_rpm)
        p->lowest_rpm = p->rpm;
    return true;
}
