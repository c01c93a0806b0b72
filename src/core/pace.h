/* pace.h: when attempts of a job may start: evenly, at most so many a minute, over all its workers.
 *
 * A permit is one start at one moment. Permits are handed out a little ahead of their moments, so
 * that a worker never waits for the next answer, and a little slower than the limit, so that what
 * jitters on the way never makes a second too full. What is not asked for in time is lost: there
 * are no bursts. Adaptive: when a service says that it is too much the rate halves, and climbs back
 * in even steps. Pure: the time (monotonic) is an argument. */
#ifndef PENSTOCK_CORE_PACE_H
#define PENSTOCK_CORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_PART 0.992      /* of the limit that is really handed out */
#define PACE_AHEAD_US 100000 /* permits lie at most so far ahead (or are one) */
#define PACE_REFILL_US 50000 /* more are handed out when no more than so much is left */
/* Who comes beside others starts so much later: by then they know, and catch up no more. */
#define PACE_JOIN_US 600000
/* What who is alone is told of that: less, as answers travel. */
#define PACE_ALONE_US 550000
#define PACE_FLOOR_RPM 6.0 /* an adaptive rate never falls below, unless the limit does */
#define PACE_CLIMB_US INT64_C(60000000) /* from nothing to the top */

struct pace {
    double limit_rpm; /* 0: none */
    bool adaptive;
    double rpm;                /* now; 0: not paced */
    double top_rpm;            /* what it climbs to; without a limit it goes on climbing, slowly */
    double next_us;            /* moment of the next permit */
    int64_t climbed_us;        /* up to when climbing is accounted for */
    double seen, seen_from_us; /* starts while not paced, and since when, for the first halving */
    double lowest_rpm;         /* of all halvings; 0: none */
    int64_t halved, throttled; /* how often */
};

/* A rate of `rpm` starts a minute, 0: none (yet, when adaptive). */
void pace_init(struct pace *p, double rpm, bool adaptive);
/* Whether starts have moments now. */
bool pace_is_on(const struct pace *p);
/* How far apart starts are now, when it is on. */
double pace_every_us(const struct pace *p);
/* How many permits can be had now. */
int64_t pace_free(struct pace *p, int64_t now_us);
/* When there will be some again; only after pace_free was 0. */
int64_t pace_next_us(const struct pace *p);
/* Takes `count` > 0 of the free permits: the first *first_us after now, each further one *every_us
 * later. */
void pace_take(struct pace *p, int64_t now_us, int64_t count, double *first_us, double *every_us);
/* Without a pace: so many were started. Counted for pace_slow. */
void pace_see(struct pace *p, int64_t now_us, int64_t count);
/* A service said that it was too much; `again` when that was meant for the rate since the last
 * halving. Halves an adaptive rate then; returns whether it did. Without a limit it begins at half
 * of what was seen. */
bool pace_slow(struct pace *p, int64_t now_us, bool again);

#endif
