/* Dispatch: who runs next, what holds whom back, and that nothing is held back for good. The
 * simulation (tests/sim/sim_dispatch.c) compares with a plain model; here each rule stands alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/dispatch.h"

#include <stdio.h>

#define SECOND_US INT64_C(1000000)

static const struct instant start = {.mono_us = 1000 * SECOND_US, .wall_us = 5000 * SECOND_US};

static struct instant after(double seconds)
{
    int64_t us = (int64_t)(seconds * 1e6);
    return (struct instant){start.mono_us + us, start.wall_us + us};
}

/* An entry of queue q, function f. */
static struct task_entry entry(struct dispatch *d, int64_t id, const char *q, const char *f)
{
    return (struct task_entry){.id = id,
                               .queue = dispatch_queue(d, str_of(q)),
                               .function = dispatch_function(d, str_of(f)),
                               .max_attempts = 5};
}

static struct task *add(struct dispatch *d, int64_t id, int priority, const char *key,
                        const char *lock)
{
    struct task_entry e = entry(d, id, "q", "f");
    e.priority = (int16_t)priority;
    e.key = str_of(key);
    e.lock = str_of(lock);
    return dispatch_add(d, &e, start);
}

static struct task *take_at(struct dispatch *d, struct instant now)
{
    struct claim_ask all = {.max = 1};
    struct task *t = NULL;
    return dispatch_take(d, &all, 1, now, &t) ? t : NULL;
}

/* The next task's id, 0: none. */
static int64_t take(struct dispatch *d, struct instant now)
{
    struct task *t = take_at(d, now);
    return t ? t->id : 0;
}

static void end(struct dispatch *d, int64_t id)
{
    dispatch_remove(d, dispatch_find(d, id), start);
}

static enum task_hold hold(struct dispatch *d, int64_t id, int64_t *by)
{
    return dispatch_explain(d, dispatch_find(d, id), start, by);
}

static void the_highest_priority_runs_first_and_among_equals_the_oldest(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    add(d, 3, 0, "", "");
    add(d, 2, 0, "", "");
    add(d, 5, 7, "", "");
    add(d, 4, 7, "", "");
    add(d, 1, -9, "", "");
    static const int64_t order[] = {4, 5, 2, 3, 1, 0};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(take(d, start), order[i]);
}

static void a_start_counts_an_attempt_and_moves_the_fence(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct task *t = add(d, 1, 0, "", "");
    assert_ptr_equal(take_at(d, after(1)), t);
    assert_int_equal(t->state, JOB_RUNNING);
    assert_int_equal(t->run->session, 1);
    assert_int_equal(t->run->started_at_us, after(1).wall_us);
    assert_int_equal(t->attempts, 1);
    dispatch_return(d, t, false, 0, start);
    assert_null(t->run);
    assert_int_equal(t->attempts, 0);
    assert_int_equal(t->fence, 1);
    assert_int_equal(take(d, start), 1);
    dispatch_return(d, t, true, 0, start);
    assert_int_equal(t->attempts, 1);
    assert_int_equal(t->fence, 2);
}

static void keys_take_turns_among_equals(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    for (int64_t id = 1; id <= 3; id++)
        add(d, id, 0, "a", "");
    add(d, 4, 0, "b", "");
    add(d, 5, 0, "b", "");
    add(d, 6, 0, "", "");
    add(d, 7, 1, "b", "");
    static const int64_t order[] = {7, 1, 6, 4, 2, 5, 3, 0};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(take(d, start), order[i]);
}

static void newcomers_do_not_keep_a_key_from_its_turn(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    char key[16];
    add(d, 1, 0, "old", "");
    add(d, 2, 0, "old", "");
    assert_int_equal(take(d, start), 1);
    for (int64_t id = 3; id < 10; id++) {
        snprintf(key, sizeof key, "new-%d", (int)id);
        add(d, id, 0, key, "");
    }
    assert_int_equal(take(d, start), 2);
}

static void in_a_fair_queue_turns_come_before_priority(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    for (int64_t id = 1; id <= 3; id++)
        add(d, id, 100, "loud", "");
    add(d, 4, 0, "quiet", "");
    add(d, 5, 1, "quiet", "");
    assert_int_equal(take(d, start), 1);
    dispatch_set_queue_gate(d, 0, &(struct gate){.fair = true});
    static const int64_t order[] = {5, 2, 4, 3, 0};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(take(d, start), order[i]);
}

static void a_claim_takes_from_its_queues_and_functions_only(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    static const char *const names[] = {"a", "b"};
    for (int64_t i = 0; i < 4; i++) {
        struct task_entry e = entry(d, i + 1, names[i & 1], names[i >> 1]);
        dispatch_add(d, &e, start);
    }
    uint32_t queue = dispatch_queue(d, STR("b")), function = dispatch_function(d, STR("b"));
    struct claim_ask ask = {&queue, &function, 1, 1, 5};
    struct task *out[5];
    assert_true(dispatch_may_have(d, &ask));
    assert_int_equal(dispatch_take(d, &ask, 1, start, out), 1);
    assert_int_equal(out[0]->id, 4);
    assert_false(dispatch_may_have(d, &ask));
    ask.functions = NULL;
    assert_int_equal(dispatch_take(d, &ask, 1, start, out), 1);
    assert_int_equal(out[0]->id, 2);
    assert_int_equal(dispatch_queue_counts(d, queue).running, 2);
    assert_int_equal(dispatch_function_counts(d, function).pending, 1);
}

static void of_a_lock_one_runs_in_order_and_who_waits_stands_in_nobodys_way(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    int64_t by = 0;
    struct task_entry later = entry(d, 1, "q", "f");
    later.lock = STR("l");
    later.run_at_us = after(60).wall_us;
    dispatch_add(d, &later, start);
    add(d, 2, 0, "", "l");
    add(d, 3, 5, "", "l");
    assert_int_equal(hold(d, 2, &by), HOLD_LOCK);
    assert_int_equal(by, 3);
    assert_int_equal(take(d, start), 3);
    assert_int_equal(take(d, start), 0);
    dispatch_return(d, dispatch_find(d, 3), true, after(5).mono_us, start);
    assert_int_equal(take(d, start), 2);
    assert_int_equal(take(d, after(90)), 0);
    end(d, 2);
    assert_int_equal(take(d, after(90)), 3);
    end(d, 3);
    assert_int_equal(take(d, after(90)), 1);
}

static void the_same_lock_in_another_queue_is_another(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    add(d, 1, 0, "", "l");
    struct task_entry e = entry(d, 2, "r", "f");
    e.lock = STR("l");
    dispatch_add(d, &e, start);
    assert_int_equal(take(d, start), 1);
    assert_int_equal(take(d, start), 2);
}

static void a_better_newcomer_takes_the_place_before_its_lock(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    add(d, 1, 0, "a", "l");
    add(d, 2, 0, "b", "");
    add(d, 3, 1, "a", "l");
    end(d, 3);
    /* a had its turn before b all the time. */
    assert_int_equal(take(d, start), 1);
    assert_int_equal(take(d, start), 2);
}

static void a_task_waits_for_parents_and_time(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    int64_t by = 0;
    struct task_entry e = entry(d, 1, "q", "f");
    e.parents = 2;
    e.run_at_us = after(10).wall_us;
    struct task *t = dispatch_add(d, &e, start);
    assert_int_equal(t->state, JOB_BLOCKED);
    assert_int_equal(dispatch_next_us(d, start), after(10).mono_us);
    dispatch_parent_done(d, t, start);
    assert_int_equal(hold(d, 1, &by), HOLD_PARENTS);
    assert_false(dispatch_tick(d, after(11)));
    assert_int_equal(take(d, after(11)), 0);
    dispatch_parent_done(d, t, after(11));
    assert_int_equal(hold(d, 1, &by), HOLD_NOTHING);
    assert_int_equal(take(d, after(11)), 1);
}

static void a_jump_of_the_wall_clock_moves_only_what_is_bound_to_it(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct instant now = start;
    struct task_entry e = entry(d, 1, "q", "f");
    e.run_at_us = now.wall_us + 3600 * SECOND_US;
    dispatch_add(d, &e, now);
    e.id = 2;
    e.run_at_us = 0;
    e.retry_us = now.mono_us + 10 * SECOND_US;
    struct task *retried = dispatch_add(d, &e, now);
    assert_int_equal(task_waits_until_us(d, retried), now.wall_us + 10 * SECOND_US);
    now.wall_us -= 3600 * SECOND_US;
    now.mono_us += 10 * SECOND_US;
    assert_true(dispatch_tick(d, now));
    assert_int_equal(take(d, now), 2);
    assert_int_equal(dispatch_next_us(d, now), now.mono_us + 7200 * SECOND_US);
    now.wall_us += 7200 * SECOND_US;
    assert_true(dispatch_tick(d, now));
    assert_int_equal(take(d, now), 1);
}

static void what_a_take_lets_through_is_told_by_the_next_tick(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct task_entry e = entry(d, 1, "q", "f");
    e.run_at_us = after(1).wall_us;
    dispatch_add(d, &e, start);
    uint32_t other = dispatch_queue(d, STR("other"));
    struct claim_ask ask = {.queues = &other, .queue_count = 1, .max = 1};
    struct task *out = NULL;
    assert_int_equal(dispatch_take(d, &ask, 1, after(2), &out), 0);
    assert_true(dispatch_tick(d, after(2)));
    assert_false(dispatch_tick(d, after(2)));
}

static void limits_hold_back_what_they_concern_and_nothing_else(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct key_rule rule = {"per customer", "c-*", 1, 0};
    int64_t by = 0;
    dispatch_set_key_rules(d, &rule, 1);
    add(d, 1, 9, "c-1", "");
    add(d, 2, 9, "c-1", "");
    add(d, 3, 0, "c-2", "");
    add(d, 4, 0, "d", "");
    assert_int_equal(take(d, start), 1);
    assert_int_equal(hold(d, 2, &by), HOLD_KEY_LIMIT);
    assert_int_equal(take(d, start), 3);
    assert_int_equal(take(d, start), 4);
    assert_int_equal(take(d, start), 0);
    end(d, 1);
    assert_int_equal(take(d, start), 2);
    dispatch_set_queue_gate(d, 0, &(struct gate){.concurrency = 3});
    add(d, 5, 0, "e", "");
    assert_int_equal(hold(d, 5, &by), HOLD_QUEUE_LIMIT);
    assert_int_equal(take(d, start), 0);
    dispatch_set_queue_gate(d, 0, &(struct gate){.paused = true});
    assert_int_equal(hold(d, 5, &by), HOLD_QUEUE_PAUSED);
    dispatch_set_queue_gate(d, 0, &(struct gate){0});
    dispatch_set_function_gate(d, 0, &(struct gate){.concurrency = 3});
    assert_int_equal(hold(d, 5, &by), HOLD_FUNCTION_LIMIT);
    dispatch_set_function_gate(d, 0, &(struct gate){.paused = true});
    assert_int_equal(hold(d, 5, &by), HOLD_FUNCTION_PAUSED);
    assert_int_equal(take(d, start), 0);
    dispatch_set_function_gate(d, 0, &(struct gate){0});
    assert_int_equal(take(d, start), 5);
}

static void of_several_rules_the_lowest_figures_hold_and_none_concerns_no_key(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct key_rule rules[] = {{"all", "*", 3, 0}, {"some", "a*", 1, 0}, {"more", "?", 2, 0}};
    dispatch_set_key_rules(d, rules, 3);
    for (int64_t id = 1; id <= 4; id++) {
        add(d, id, 0, "a", "");
        add(d, id + 10, 0, "", "");
    }
    assert_int_equal(take(d, start), 1);
    for (int64_t id = 11; id <= 14; id++)
        assert_int_equal(take(d, start), id);
    assert_int_equal(take(d, start), 0);
    dispatch_set_key_rules(d, rules, 1);
    assert_int_equal(take(d, start), 2);
    assert_int_equal(take(d, start), 3);
    assert_int_equal(take(d, start), 0);
    dispatch_set_key_rules(d, NULL, 0);
    assert_int_equal(take(d, start), 4);
}

static void a_rate_opens_again_by_time_alone(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct claim_ask all = {.max = 1};
    dispatch_set_queue_gate(d, dispatch_queue(d, STR("q")), &(struct gate){.rpm = 60});
    add(d, 1, 0, "", "");
    add(d, 2, 0, "", "");
    assert_int_equal(take(d, start), 1);
    assert_int_equal(take(d, start), 0);
    assert_false(dispatch_may_have(d, &all));
    int64_t next = dispatch_next_us(d, start);
    assert_in_range(next, after(1).mono_us, after(1.01).mono_us);
    struct instant then = {next, start.wall_us};
    assert_true(dispatch_tick(d, then));
    assert_true(dispatch_may_have(d, &all));
    assert_int_equal(take(d, then), 2);
}

static void what_only_a_rate_holds_back_is_told(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct claim_ask all = {.max = 1};
    struct key_rule rules[] = {{"slow", "k", 0, 60}, {"one", "one", 1, 60}};
    dispatch_set_key_rules(d, rules, 2);
    add(d, 1, 0, "k", "");
    add(d, 2, 0, "one", "");
    assert_int_equal(take(d, start), 1);
    assert_int_equal(take(d, start), 2);
    assert_int_equal(take(d, start), 0);
    assert_true(dispatch_rates_open_us(d, &all, start) == NEVER_US);
    /* What must wait for another's end as well is not told of. */
    add(d, 3, 0, "one", "");
    assert_int_equal(take(d, start), 0);
    assert_true(dispatch_rates_open_us(d, &all, start) == NEVER_US);
    add(d, 4, 0, "k", "");
    assert_int_equal(take(d, start), 0);
    assert_in_range(dispatch_rates_open_us(d, &all, start), after(1).mono_us, after(1.01).mono_us);
    uint32_t other = dispatch_queue(d, STR("other"));
    struct claim_ask elsewhere = {.queues = &other, .queue_count = 1, .max = 1};
    assert_true(dispatch_rates_open_us(d, &elsewhere, start) == NEVER_US);
    /* The later one of two; and a queue that is paused opens never. */
    uint32_t queue = dispatch_queue(d, STR("q"));
    dispatch_set_queue_gate(d, queue, &(struct gate){.rpm = 30});
    add(d, 5, 1, "", "");
    assert_int_equal(take(d, start), 5);
    assert_int_equal(take(d, start), 0);
    assert_in_range(dispatch_rates_open_us(d, &all, start), after(2).mono_us, after(2.1).mono_us);
    dispatch_set_queue_gate(d, queue, &(struct gate){.rpm = 30, .paused = true});
    assert_true(dispatch_rates_open_us(d, &all, start) == NEVER_US);
}

static void a_keys_rate_is_remembered_when_nothing_of_it_is_left(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct key_rule rule = {"slow", "*", 0, 1};
    dispatch_set_key_rules(d, &rule, 1);
    add(d, 1, 0, "k", "");
    assert_int_equal(take(d, start), 1);
    end(d, 1);
    assert_int_equal(dispatch_count(d), 0);
    add(d, 2, 0, "k", "");
    assert_int_equal(take(d, after(59)), 0);
    int64_t next = dispatch_next_us(d, after(59));
    assert_in_range(next, after(60).mono_us, after(61).mono_us);
    assert_true(dispatch_tick(d, after(61)));
    assert_int_equal(take(d, after(61)), 2);
    dispatch_remove(d, dispatch_find(d, 2), after(61));
    /* Rested, it is forgotten: nothing is to be done any more. */
    assert_false(dispatch_tick(d, after(130)));
    assert_true(dispatch_next_us(d, after(130)) == NEVER_US);
}

static void a_rate_waits_after_a_restart(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    struct key_rule rule = {"slow", "*", 0, 60};
    dispatch_begin(d, start);
    dispatch_set_key_rules(d, &rule, 1);
    add(d, 1, 0, "k", "");
    assert_int_equal(take(d, after(0.9)), 0);
    assert_int_equal(take(d, after(1.1)), 1);
}

static void a_task_of_before_a_restart_runs_on(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    add(d, 1, 0, "", "l");
    struct task *t = add(d, 2, 0, "", "l");
    dispatch_set_queue_gate(d, 0, &(struct gate){.concurrency = 1});
    t->attempts = t->fence = 3;
    dispatch_resume(d, t, 77, 123);
    assert_int_equal(t->attempts, 3);
    assert_int_equal(t->run->session, 77);
    assert_int_equal(t->run->started_at_us, 123);
    assert_int_equal(take(d, start), 0);
    end(d, 2);
    assert_int_equal(take(d, start), 1);
}

static void a_change_moves_a_task_in_its_lane_and_in_time(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    add(d, 1, 0, "", "");
    struct task *t = add(d, 2, 0, "", "");
    dispatch_change(d, t, 5, DISPATCH_SAME_TIME, start);
    assert_int_equal(take(d, start), 2);
    dispatch_return(d, t, true, after(100).mono_us, start);
    dispatch_change(d, t, -5, DISPATCH_SAME_TIME, start);
    assert_int_equal(take(d, start), 1);
    assert_int_equal(take(d, start), 0);
    dispatch_change(d, t, -5, after(3).wall_us, start);
    assert_int_equal(take(d, after(2)), 0);
    assert_int_equal(take(d, after(3)), 2);
}

static void whatever_is_in_it_is_freed(void **state)
{
    (void)state;
    OWNED(dispatch) struct dispatch *d = dispatch_new();
    enum { TASKS = 5000 };
    for (int64_t id = 1; id <= TASKS; id++)
        add(d, id, (int)(id % 7), id % 3 ? "k" : "", id % 5 ? "" : "l");
    for (int i = 0; i < TASKS / 4; i++)
        take(d, start);
    for (int64_t id = 1; id <= TASKS; id += 2)
        end(d, id);
    assert_int_equal(dispatch_count(d), TASKS / 2);
    struct task_counts counts = dispatch_queue_counts(d, 0);
    assert_int_equal(counts.pending + counts.running, TASKS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_priority_runs_first_and_among_equals_the_oldest),
        cmocka_unit_test(a_start_counts_an_attempt_and_moves_the_fence),
        cmocka_unit_test(keys_take_turns_among_equals),
        cmocka_unit_test(newcomers_do_not_keep_a_key_from_its_turn),
        cmocka_unit_test(in_a_fair_queue_turns_come_before_priority),
        cmocka_unit_test(a_claim_takes_from_its_queues_and_functions_only),
        cmocka_unit_test(of_a_lock_one_runs_in_order_and_who_waits_stands_in_nobodys_way),
        cmocka_unit_test(the_same_lock_in_another_queue_is_another),
        cmocka_unit_test(a_better_newcomer_takes_the_place_before_its_lock),
        cmocka_unit_test(a_task_waits_for_parents_and_time),
        cmocka_unit_test(a_jump_of_the_wall_clock_moves_only_what_is_bound_to_it),
        cmocka_unit_test(what_a_take_lets_through_is_told_by_the_next_tick),
        cmocka_unit_test(limits_hold_back_what_they_concern_and_nothing_else),
        cmocka_unit_test(of_several_rules_the_lowest_figures_hold_and_none_concerns_no_key),
        cmocka_unit_test(a_rate_opens_again_by_time_alone),
        cmocka_unit_test(what_only_a_rate_holds_back_is_told),
        cmocka_unit_test(a_keys_rate_is_remembered_when_nothing_of_it_is_left),
        cmocka_unit_test(a_rate_waits_after_a_restart),
        cmocka_unit_test(a_task_of_before_a_restart_runs_on),
        cmocka_unit_test(a_change_moves_a_task_in_its_lane_and_in_time),
        cmocka_unit_test(whatever_is_in_it_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
