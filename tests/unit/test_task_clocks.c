/* test_task_clocks.c: a wall clock that is set keeps no task waiting that wants no time of it; a
 * restart forgets no time-out; what a rate lets through while a commit is made is not missed. */
#include "task_temp.h"

#define DAY_US (INT64_C(86400) * SECOND_US)

static const char retried[] = "{\"retry\":{\"kind\":\"fixed\",\"delay_s\":5,\"jitter\":0}}";

static void set_clock(struct bench *b, int64_t us)
{
    b->now.wall_us += us;
    pass_time(b, 0);
}

static int64_t enqueue_delayed(struct bench *b)
{
    struct task_new task = new_task("f");
    task.delay_us = 20 * SECOND_US;
    return enqueue(b, task);
}

static void a_delay_is_as_long_when_the_clock_is_set_forward(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    enqueue_delayed(b);
    set_clock(b, DAY_US);
    pass_time(b, 19 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 0);
    pass_time(b, SECOND_US);
    assert_int_equal(take(b, &hand, 1), 1);
}

static void a_delay_is_as_long_when_the_clock_is_set_back(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    enqueue_delayed(b);
    set_clock(b, -DAY_US);
    pass_time(b, 20 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 1);
}

static void a_time_to_run_at_is_the_clocks(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.run_at_us = b->now.wall_us + DAY_US;
    enqueue(b, task);
    set_clock(b, DAY_US - 1);
    assert_int_equal(take(b, &hand, 1), 0);
    set_clock(b, 1);
    assert_int_equal(take(b, &hand, 1), 1);
}

static int64_t fail_once(struct bench *b, struct hand *hand)
{
    struct task_new task = new_task("f");
    task.options = str_of(retried);
    int64_t id = enqueue(b, task);
    pass_time(b, SECOND_US);
    assert_int_equal(take(b, hand, 1), 1);
    fail_task(b, hand, id, false);
    return id;
}

static void a_retry_waits_as_long_when_the_clock_is_set_back(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    fail_once(b, &hand);
    set_clock(b, -400 * DAY_US);
    pass_time(b, 5 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 1);
}

static void a_retry_waits_no_longer_when_the_clock_was_set_back_before_a_restart(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    fail_once(b, &hand);
    set_clock(b, -400 * DAY_US);
    reopen_engine(b);
    pass_time(b, 4 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 0);
    pass_time(b, SECOND_US);
    assert_int_equal(take(b, &hand, 1), 1);
    assert_sound(b);
}

static void what_runs_has_its_time_out_after_a_restart_as_well(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.options = STR("{\"timeout_s\":2}");
    int64_t id = enqueue(b, task);
    prepare_take(&op, &hand, 1);
    op.task_claim.lease_us = 60 * SECOND_US;
    ask(b, &op);
    taken(&hand, &op);
    reopen_engine(b);
    pass_time(b, 3 * SECOND_US);
    assert_int_equal(shown(b, &op, id)->abort, ABORT_TIMEOUT);
    op_release(&op);
    pass_time(b, 6 * SECOND_US);
    ASSERT_STATE(b, id, JOB_FAILED);
    assert_sound(b);
}

/* A step whose commit takes so long. */
static void slow_step(struct bench *b, struct op *op, int64_t us)
{
    bool pending = false;
    op->next = NULL;
    assert_true(engine_begin(b->engine, op, b->now, &pending, &b->err));
    while (pending) {
        engine_commit(b->engine);
        b->now.mono_us += us;
        b->now.wall_us += us;
        assert_true(engine_finish(b->engine, b->now, &pending, &b->err));
    }
}

static void set_rate(struct bench *b, double rpm)
{
    struct op op;
    prepare(&op, OP_GATES, "");
    op.gates.set = STR("default");
    op.gates.sets_rpm = true;
    op.gates.gate.rpm = rpm;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

static void a_rate_that_has_room_again_during_a_commit_wakes_who_waits(void **state)
{
    struct bench *b = *state;
    struct op first, second;
    struct hand one = {0}, two = {0};
    enqueue(b, new_task("f"));
    enqueue(b, new_task("f"));
    set_rate(b, 6000);
    pass_time(b, SECOND_US);
    prepare_take(&first, &one, 1);
    prepare_take(&second, &two, 1);
    second.task_claim.wait_until_us = b->now.mono_us + 60 * SECOND_US;
    assert_true(STEP(b, &first));
    assert_int_equal(taken(&one, &first), 1);
    /* The session of the second is stored; meanwhile the moment of the next start comes. */
    slow_step(b, &second, SECOND_US);
    assert_false(is_answered(&second));
    assert_true(engine_next_us(b->engine) <= b->now.mono_us);
    pass_time(b, 0);
    assert_int_equal(taken(&two, &second), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_delay_is_as_long_when_the_clock_is_set_forward),
        ENGINE_TEST(a_delay_is_as_long_when_the_clock_is_set_back),
        ENGINE_TEST(a_time_to_run_at_is_the_clocks),
        ENGINE_TEST(a_retry_waits_as_long_when_the_clock_is_set_back),
        ENGINE_TEST(a_retry_waits_no_longer_when_the_clock_was_set_back_before_a_restart),
        ENGINE_TEST(what_runs_has_its_time_out_after_a_restart_as_well),
        ENGINE_TEST(a_rate_that_has_room_again_during_a_commit_wakes_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
