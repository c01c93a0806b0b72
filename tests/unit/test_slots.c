/* Slots: what runs is never more than there are, and every slot is used once the dust has settled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/slots.h"

#include <string.h>

static void the_first_gets_all_and_makes_room_for_the_second(void **state)
{
    (void)state;
    OWNED(slots) struct slots *s = slots_new();
    slots_set_total(s, 10);
    slots_join(s, 1);
    assert_int_equal(slots_offer(s, 1), 10);
    assert_int_equal(slots_grant(s, 1, 100), 10);
    slots_join(s, 2);
    assert_int_equal(slots_offer(s, 2), 0); /* the first may run ten still */
    assert_int_equal(slots_even(s, 2), 5);
    assert_int_equal(slots_even(s, 3), 0);
    assert_int_equal(slots_offer(s, 1), 5);
    assert_int_equal(slots_grant(s, 1, 100), 5);
    assert_int_equal(slots_used(s), 10);
    assert_int_equal(slots_grant(s, 2, 0), 0);
    slots_report(s, 1, 8);
    assert_int_equal(slots_grant(s, 2, 0), 2);
    slots_report(s, 1, 3); /* fewer than its share: the share is its */
    assert_int_equal(slots_grant(s, 2, 50), 5);
    assert_int_equal(slots_used(s), 10);
    slots_leave(s, 1);
    assert_int_equal(slots_grant(s, 2, 50), 10);
    slots_leave(s, 99);
    slots_clear(s);
    assert_int_equal(slots_used(s), 0);
    assert_int_equal(slots_grant(s, 2, 1), 0);
    assert_int_equal(slots_share(s, 2), 0);
}

static void what_it_does_not_hold_it_cannot_run(void **state)
{
    (void)state;
    OWNED(slots) struct slots *s = slots_new();
    slots_set_total(s, 10);
    slots_join(s, 1);
    slots_grant(s, 1, 0);
    slots_join(s, 2);
    slots_grant(s, 1, 2); /* it was told ten, and has two records only */
    assert_int_equal(slots_offer(s, 2), 5);
}

static void more_sessions_than_slots_wait_for_those_before_them(void **state)
{
    (void)state;
    OWNED(slots) struct slots *s = slots_new();
    slots_set_total(s, 2);
    for (int64_t id = 1; id <= 4; id++) {
        slots_join(s, id);
        slots_grant(s, id, 9);
    }
    assert_int_equal(slots_grant(s, 1, 9), 1); /* from now on it knows */
    assert_int_equal(slots_grant(s, 2, 9), 0);
    slots_report(s, 1, 1);
    assert_int_equal(slots_grant(s, 2, 9), 1);
    assert_int_equal(slots_grant(s, 3, 9), 0);
    slots_leave(s, 1);
    assert_int_equal(slots_grant(s, 4, 9), 0);
    assert_int_equal(slots_grant(s, 3, 9), 1);
}

/* Workers as the protocol has them, against the promise: what really runs is never more than there
 * are. Answers may get lost; then the worker says so, or says nothing of what it runs. */
enum { WORKERS = 12, ROUNDS = 200000 };

struct worker {
    int64_t id;   /* 0: away */
    int64_t told; /* the share it knows */
    int64_t runs;
    bool unsure; /* it may have missed an answer */
};

static int64_t all_running(const struct worker *workers)
{
    int64_t all = 0;
    for (int i = 0; i < WORKERS; i++)
        all += workers[i].runs;
    return all;
}

static void ask(struct slots *s, struct worker *w, struct rng *rng)
{
    if (!w->unsure && rng_below(rng, 4))
        slots_report(s, w->id, w->runs);
    /* It goes on while the claim is on its way. */
    while (w->runs < w->told && rng_below(rng, 2))
        w->runs++;
    int64_t share = slots_grant(s, w->id, 1000);
    w->unsure = rng_below(rng, 10) == 0;
    if (!w->unsure)
        w->told = share;
}

static void never_more_run_than_there_are_whoever_comes_and_goes(void **state)
{
    (void)state;
    OWNED(slots) struct slots *s = slots_new();
    struct worker workers[WORKERS] = {0};
    struct rng rng;
    int64_t id = 0, total = 50;
    rng_init(&rng, 11);
    slots_set_total(s, total);
    for (int round = 0; round < ROUNDS; round++) {
        struct worker *w = &workers[rng_below(&rng, WORKERS)];
        switch (rng_below(&rng, 8)) {
        case 0:
            if (!w->id) {
                *w = (struct worker){.id = ++id};
                slots_join(s, w->id);
                ask(s, w, &rng);
            } else if (rng_below(&rng, 20) == 0) {
                slots_leave(s, w->id);
                *w = (struct worker){0};
            }
            break;
        case 1:
        case 2:
            if (w->id)
                ask(s, w, &rng);
            break;
        case 3:
        case 4:
        case 5:
            if (w->runs < w->told)
                w->runs++;
            break;
        default:
            if (w->runs)
                w->runs--;
        }
        assert_true(slots_used(s) <= total);
        assert_true(all_running(workers) <= slots_used(s));
    }
    /* At rest every slot is somebody's. */
    for (int times = 0; times < 3; times++)
        for (int i = 0; i < WORKERS; i++) {
            struct worker *w = &workers[i];
            w->runs = w->runs < w->told ? w->runs : w->told;
            slots_report(s, w->id, w->runs);
            w->told = slots_grant(s, w->id, 1000);
        }
    int64_t told = 0, least = total, most = 0;
    for (int i = 0; i < WORKERS; i++) {
        if (!workers[i].id)
            continue;
        told += workers[i].told;
        least = workers[i].told < least ? workers[i].told : least;
        most = workers[i].told > most ? workers[i].told : most;
    }
    assert_int_equal(told, total);
    assert_true(most - least <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_gets_all_and_makes_room_for_the_second),
        cmocka_unit_test(what_it_does_not_hold_it_cannot_run),
        cmocka_unit_test(more_sessions_than_slots_wait_for_those_before_them),
        cmocka_unit_test(never_more_run_than_there_are_whoever_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
