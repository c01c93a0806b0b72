/* Pace: permits are even, never too many, never much too few; an adaptive rate halves and climbs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define WEEK_US (7 * 86400 * SECOND_US)

/* The moments of the last second's starts, as a ring: any window of a second is looked at. */
struct window {
    double *at;
    size_t cap, first, count, most;
};

static void start_at(struct window *w, double at_us)
{
    while (w->count && w->at[w->first] <= at_us - 1e6) {
        w->first = (w->first + 1) % w->cap;
        w->count--;
    }
    if (w->count)
        assert_true(at_us >= w->at[(w->first + w->count - 1) % w->cap]);
    assert_true(w->count < w->cap);
    w->at[(w->first + w->count++) % w->cap] = at_us;
    if (w->count > w->most)
        w->most = w->count;
}

/* Workers claim at random moments, for random numbers, as if for `span_us`; returns all starts. */
static int64_t work_for(struct pace *p, struct window *w, struct rng *rng, int64_t begin_us,
                        int64_t span_us, int64_t idle_us, int64_t *now_us)
{
    int64_t all = 0;
    for (*now_us = begin_us; *now_us < begin_us + span_us;) {
        int64_t free = pace_free(p, *now_us);
        if (free == 0) {
            int64_t next = pace_next_us(p);
            assert_true(next > *now_us);
            *now_us = next + (int64_t)rng_below(rng, 20000);
            continue;
        }
        int64_t count = 1 + (int64_t)rng_below(rng, (uint64_t)free);
        double first = 0, every = 0;
        pace_take(p, *now_us, count, &first, &every);
        assert_true(first >= 0 && first <= PACE_REFILL_US);
        assert_true(count == 1 || first + (double)(count - 1) * every <= PACE_AHEAD_US + 1);
        for (int64_t i = 0; i < count; i++)
            start_at(w, (double)*now_us + first + (double)i * every);
        all += count;
        if (idle_us && rng_below(rng, 50) == 0)
            *now_us += (int64_t)rng_below(rng, (uint64_t)idle_us);
    }
    return all;
}

static void no_second_of_a_week_has_too_many(void **state)
{
    (void)state;
    static const double rates[] = {1, 59, 60, 61, 600};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct pace p;
        struct rng rng;
        struct window w = {.cap = 2000};
        int64_t now = 0;
        w.at = calloc(w.cap, sizeof *w.at);
        rng_init(&rng, 5 + i);
        pace_init(&p, rates[i], false);
        int64_t all = work_for(&p, &w, &rng, 1, WEEK_US, 0, &now);
        double want = rates[i] * (double)WEEK_US / 60e6;
        assert_true((double)w.most <= ceil(rates[i] / 60));
        assert_true((double)all <= want + 1 && (double)all >= want * 0.99);
        free(w.at);
    }
}

static void a_high_rate_is_within_one_percent_and_never_above(void **state)
{
    (void)state;
    struct pace p;
    struct rng rng;
    struct window w = {.cap = 3000};
    int64_t now = 0;
    w.at = calloc(w.cap, sizeof *w.at);
    rng_init(&rng, 3);
    pace_init(&p, 60000, false);
    int64_t all = work_for(&p, &w, &rng, 77, 3600 * SECOND_US, 0, &now);
    assert_true(w.most <= 1000);
    assert_true(all >= 3600 * 990 && all <= 3600 * 1000);
    free(w.at);
}

static void what_was_not_asked_for_in_time_is_lost(void **state)
{
    (void)state;
    struct pace p;
    struct rng rng;
    struct window w = {.cap = 3000};
    int64_t now = 0;
    w.at = calloc(w.cap, sizeof *w.at);
    rng_init(&rng, 9);
    pace_init(&p, 6000, false);
    (void)work_for(&p, &w, &rng, 0, 3600 * SECOND_US, 5 * SECOND_US, &now);
    assert_true(w.most <= 100);
    free(w.at);
}

static void without_a_rate_there_is_no_pace(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, 0, false);
    assert_false(pace_is_on(&p));
    assert_false(pace_slow(&p, 5, true));
    assert_false(pace_is_on(&p));
    assert_int_equal(p.throttled, 1);
    pace_init(&p, 100, false);
    assert_true(pace_is_on(&p));
    assert_false(pace_slow(&p, 5, true));
    assert_true(p.rpm > 99.9);
}

static void an_adaptive_rate_halves_once_a_round_and_climbs_to_the_limit(void **state)
{
    (void)state;
    struct pace p;
    int64_t now = 50 * SECOND_US;
    pace_init(&p, 600, true);
    (void)pace_free(&p, now);
    assert_true(pace_slow(&p, now, true));
    assert_true(fabs(p.rpm - 300) < 1e-6);
    assert_false(pace_slow(&p, now, false)); /* of the same round */
    assert_true(fabs(p.rpm - 300) < 1e-6);
    assert_true(pace_slow(&p, now, true));
    assert_true(fabs(p.rpm - 150) < 1e-6);
    /* Even steps: the same in each second. */
    double before = p.rpm;
    for (int i = 0; i < 40; i++, before = p.rpm) {
        now += SECOND_US;
        (void)pace_free(&p, now);
        assert_true(fabs(p.rpm - before - 10) < 1e-6);
    }
    now += 3600 * SECOND_US;
    (void)pace_free(&p, now);
    assert_true(fabs(p.rpm - 600) < 1e-6);
    assert_int_equal(p.halved, 2);
    assert_int_equal(p.throttled, 3);
    assert_true(fabs(p.lowest_rpm - 150) < 1e-6);
}

static void an_adaptive_rate_has_a_floor(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, 600, true);
    for (int i = 0; i < 20; i++)
        pace_slow(&p, SECOND_US, true);
    assert_true(fabs(p.rpm - PACE_FLOOR_RPM) < 1e-6);
    pace_init(&p, 2, true); /* a limit below it is the floor */
    pace_slow(&p, SECOND_US, true);
    assert_true(fabs(p.rpm - 2) < 1e-6);
}

static void without_a_limit_it_begins_at_half_of_what_was_seen(void **state)
{
    (void)state;
    struct pace p;
    int64_t now = SECOND_US;
    pace_init(&p, 0, true);
    for (int i = 0; i < 600; i++, now += SECOND_US / 10)
        pace_see(&p, now, 2); /* 20 a second, for a minute */
    assert_true(pace_slow(&p, now, true));
    assert_true(p.rpm > 500 && p.rpm < 700);
    /* It climbs to what was seen in half a minute, and on from there: nobody said where it ends. */
    now += 30 * SECOND_US;
    (void)pace_free(&p, now);
    assert_true(p.rpm > 1000 && p.rpm < 1400);
    now += 120 * SECOND_US;
    (void)pace_free(&p, now);
    assert_true(p.rpm > 2000);
    /* The very first answer may be a refusal. */
    pace_init(&p, 0, true);
    assert_true(pace_slow(&p, now, true));
    assert_true(fabs(p.rpm - PACE_FLOOR_RPM) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_second_of_a_week_has_too_many),
        cmocka_unit_test(a_high_rate_is_within_one_percent_and_never_above),
        cmocka_unit_test(what_was_not_asked_for_in_time_is_lost),
        cmocka_unit_test(without_a_rate_there_is_no_pace),
        cmocka_unit_test(an_adaptive_rate_halves_once_a_round_and_climbs_to_the_limit),
        cmocka_unit_test(an_adaptive_rate_has_a_floor),
        cmocka_unit_test(without_a_limit_it_begins_at_half_of_what_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
