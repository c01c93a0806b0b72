/* test_engine_flow_ends.c: flows that are stopped, cancelled, taken over, and cascades: what is
 * done at once and what a portion at a time. */
#include "flow_hand_temp.h"

static void an_abort_tells_what_runs_and_leaves_the_rest(void **state)
{
    struct bench *b = *state;
    struct op extend, show;
    struct outcomes o;
    start_flow(b, "1 2 3:1 4:3!", "");
    assert_taken(b, 9, "1 2");
    complete_node(b, 2);
    prepare(&extend, OP_TASK_EXTEND, "");
    memcpy(extend.task_extend.token, worker.token, sizeof worker.token);
    extend.task_extend.wait_until_us = b->now.mono_us + 3600 * SECOND_US;
    assert_true(STEP(b, &extend));
    prepare(&show, OP_FLOW_SHOW, "f");
    show.flow_show.wait_until_us = b->now.mono_us + 3600 * SECOND_US;
    assert_true(STEP(b, &show));
    assert_false(is_answered(&extend) || is_answered(&show));
    ask_flow(b, OP_FLOW_ABORT);
    assert_true(is_answered(&extend));
    assert_int_equal(extend.task_extend.abort_count, 1);
    op_release(&extend);
    assert_flow(b, "running 1R 2C 3P 4P");
    ask_flow(b, OP_FLOW_ABORT); /* once more */
    assert_taken(b, 9, "");
    outcomes_begin(&o, &worker);
    outcome(&o, task_of(b, 1), TASK_ABORTED, "");
    ask(b, &o.op);
    assert_went_well(&o.op);
    op_release(&o.op);
    assert_true(is_answered(&show));
    assert_int_equal(show.flow_show.view.state, JOB_CANCELLED);
    op_release(&show);
    for (int i = 0; i < 2; i++) {
        assert_flow(b, "cancelled 1A 2C 3P 4P");
        reopen_engine(b);
    }
    struct op again;
    prepare(&again, OP_FLOW_ABORT, "f");
    ask(b, &again);
    assert_refused(&again, REFUSED_OTHERWISE, ERR_CONFLICT, "flow f does not run: it is cancelled");
    op_release(&again);
    start_flow(b, "1 2 3:1 4:3!", "\"restart\":true");
    assert_flow(b, "running 1P 2C 3P 4P");
    assert_sound(b);
}

static void an_abort_holds_when_its_worker_is_gone(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1*5 2:1", "");
    assert_taken(b, 9, "1");
    ask_flow(b, OP_FLOW_ABORT);
    reopen_engine(b);
    assert_flow(b, "running 1R 2P");
    pass_time(b, 20 * SECOND_US);
    assert_flow(b, "cancelled 1A 2P");
}

static void who_waits_for_a_retry_is_aborted_at_once(void **state)
{
    struct bench *b = *state;
    struct started s;
    assert_went_well(start_flow_with(b, &s, "1*2", ""));
    started_release(&s);
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    ask_flow(b, OP_FLOW_ABORT);
    assert_flow(b, "cancelled 1A");
}

static void a_person_may_cancel_a_node(void **state)
{
    struct bench *b = *state;
    start_flow(b, DIAMOND, "");
    const int64_t ids[] = {task_of(b, 1)};
    assert_int_equal(control_tasks(b, TASK_CANCEL, (struct task_filter){.ids = ids, .id_count = 1}),
                     1);
    assert_flow(b, "failed 1A 2D 3D 4D");
    /* It comes back with its flow only. */
    assert_int_equal(control_tasks(b, TASK_RETRY, (struct task_filter){.ids = ids, .id_count = 1}),
                     0);
    assert_flow(b, "failed 1A 2D 3D 4D");
    assert_int_equal(control_tasks(b, TASK_DELETE, (struct task_filter){.queue = STR("flow/f")}),
                     4);
    assert_flow(b, "failed 1A 2D 3D 4D");
    start_flow(b, DIAMOND, "\"restart\":true");
    assert_flow(b, "running 1P 2P 3P 4P");
    assert_sound(b);
}

static void a_lost_worker_spends_an_attempt(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1*2 2 3:2", "");
    assert_taken(b, 9, "1 2");
    pass_time(b, 20 * SECOND_US);
    worker = (struct hand){.count = 0};
    assert_flow(b, "running 1P 2F 3D");
    assert_taken(b, 9, "1");
    complete_node(b, 1);
    assert_flow(b, "failed 1C 2F 3D");
}

static void what_was_given_back_is_pending_again(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_flow(b, "1", "");
    assert_taken(b, 9, "1");
    prepare(&op, OP_TASK_RELEASE, "");
    memcpy(op.task_release.token, worker.token, sizeof worker.token);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    worker = (struct hand){.count = 0};
    assert_flow(b, "running 1P");
    assert_taken(b, 9, "1");
    complete_node(b, 1);
    assert_flow(b, "completed 1C");
}

static void a_run_whose_engine_was_killed_is_taken_over(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2:1 3:1 4:2", "");
    assert_taken(b, 9, "1");
    complete_node(b, 1);
    assert_taken(b, 1, "2");
    reopen_engine(b);
    flow_refused(b, "1", "\"restart\":true", REFUSED_FLOW_RUNS, ERR_CONFLICT, "runs already");
    flow_refused(b, "1:9", "\"restart\":true,\"take_over\":true", REFUSED_OTHERWISE, ERR_INVALID,
                 "there is no node 9");
    assert_flow(b, "running 1C 2R 3P 4P");
    struct started s;
    assert_went_well(start_flow_with(b, &s, "1 2:1 3:1 4:2",
                                     "\"restart\":true,\"take_over\":true,\"dry_run\":true"));
    assert_non_null(strstr(s.op.flow_start.told.data, "was aborted in run 1"));
    started_release(&s);
    start_flow(b, "1 2:1 3:1 4:2", "\"restart\":true,\"take_over\":true");
    assert_flow(b, "running 1C 2P 3P 4P");
    /* What the old run's worker says now is stale. */
    struct outcomes o;
    outcomes_begin(&o, &worker);
    outcome(&o, worker.ids[0], TASK_COMPLETED, "1");
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_true(o.entries[0].stale);
    op_release(&o.op);
    assert_taken(b, 9, "2 3");
    assert_flow(b, "running 1C 2R 3R 4P");
    complete_node(b, 2);
    complete_node(b, 3);
    assert_taken(b, 9, "4");
    complete_node(b, 4);
    assert_flow(b, "completed 1C 2C 3C 4C");
    assert_sound(b);
}

/* --- a portion at a time --- */

static void step_on(struct bench *b, int steps)
{
    for (int i = 0; i < steps; i++)
        pass_time(b, 0);
}

/* Settled in one step, so that what follows is a portion. */
static void fail_in_one_step(struct bench *b, int32_t id)
{
    struct outcomes o;
    int64_t task = task_of(b, id);
    outcomes_begin(&o, &worker);
    outcome(&o, task, TASK_FAILED, "{\"code\":3}");
    assert_true(STEP(b, &o.op));
    assert_went_well(&o.op);
    op_release(&o.op);
}

/* The marks as of one step, which goes on with a portion, too. */
static void assert_marks(struct bench *b, const char *told)
{
    struct op nodes;
    char got[200] = "";
    prepare(&nodes, OP_FLOW_NODES, "f");
    nodes.flow_nodes.limit = 1000;
    assert_true(STEP(b, &nodes));
    assert_went_well(&nodes);
    for (size_t i = 0; i < nodes.flow_nodes.count; i++)
        sprintf(got + strlen(got), "%c", flow_mark_letter(nodes.flow_nodes.views[i].mark));
    assert_string_equal(got, told);
    op_release(&nodes);
}

static int begin_by_two(void **state)
{
    int failed = begin_flows(state);
    struct bench *b = *state;
    close_engine(b);
    b->options.flow_portion = 2;
    open_engine(b);
    return failed;
}
#define PORTION_TEST(name) cmocka_unit_test_setup_teardown(name, begin_by_two, bench_end)

static void a_cascade_goes_on_by_itself(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2:1 3:2 4:3 5:4 6:5 7:6 8:7! 9", "");
    assert_taken(b, 1, "1");
    fail_in_one_step(b, 1);
    assert_true(engine_next_us(b->engine) <= b->now.mono_us);
    assert_marks(b, "FDDDDPPPP");
    step_on(b, 3);
    assert_true(engine_next_us(b->engine) > b->now.mono_us);
    assert_marks(b, "FDDDDDDPP");
    assert_taken(b, 9, "8 9");
    complete_node(b, 8);
    complete(b, &worker, task_of(b, 9));
    assert_flow(b, "failed 1F 2D 3D 4D 5D 6D 7D 8C 9C");
    assert_sound(b);
}

static void a_cascade_halfway_goes_on_after_a_restart(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2:1 3:1 4:1 5:1 6:2,5 7:6", "");
    assert_taken(b, 1, "1");
    fail_in_one_step(b, 1);
    reopen_engine(b);
    assert_marks(b, "FDDDDPP");
    reopen_engine(b);
    step_on(b, 4);
    assert_flow(b, "failed 1F 2D 3D 4D 5D 6D 7D");
    assert_sound(b);
}

static void a_portion_that_was_not_stored_is_done_again(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2:1 3:2 4:3 5:4 6:5 7:6", "");
    assert_taken(b, 1, "1");
    fail_in_one_step(b, 1);
    plan_fault("store.commit:1:fail");
    step_on(b, 1);
    no_faults();
    assert_marks(b, "FDDPPPP");
    pass_time(b, 2 * SECOND_US);
    step_on(b, 4);
    assert_flow(b, "failed 1F 2D 3D 4D 5D 6D 7D");
    assert_sound(b);
}

/* Which has told of its end before the cascade came to its child. */
static void a_cascade_halfway_lets_nobody_start(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2 3:1 4:1 5:1 6:1 7:1,2", "");
    assert_taken(b, 2, "1 2");
    fail_in_one_step(b, 1);
    complete_node(b, 2);
    assert_taken(b, 9, "");
    step_on(b, 4);
    assert_flow(b, "failed 1F 2C 3D 4D 5D 6D 7D");
}

static void an_abort_leaves_a_portion_at_a_time(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_flow(b, "1 2 3 4 5 6 7 8:2", "");
    assert_taken(b, 1, "1");
    prepare(&op, OP_FLOW_ABORT, "f");
    assert_true(STEP(b, &op));
    assert_went_well(&op);
    assert_true(op.flow_abort.view.stops);
    op_release(&op);
    /* It starts nothing, whatever it has not come to yet. */
    struct hand other = {.count = 0};
    prepare_take(&op, &other, 9);
    assert_true(STEP(b, &op));
    assert_int_equal(op.task_claim.count, 0);
    op_release(&op);
    reopen_engine(b);
    prepare_take(&op, &other, 9);
    assert_true(STEP(b, &op));
    assert_int_equal(op.task_claim.count, 0);
    op_release(&op);
    step_on(b, 4);
    assert_flow(b, "running 1R 2P 3P 4P 5P 6P 7P 8P");
    pass_time(b, 20 * SECOND_US);
    assert_flow(b, "cancelled 1A 2P 3P 4P 5P 6P 7P 8P");
    assert_sound(b);
    start_flow(b, "1 2 3 4 5 6 7 8:2", "\"restart\":true");
    worker = (struct hand){.count = 0};
    assert_taken(b, 9, "1 2 3 4 5 6 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(an_abort_tells_what_runs_and_leaves_the_rest),
        FLOW_TEST(an_abort_holds_when_its_worker_is_gone),
        FLOW_TEST(who_waits_for_a_retry_is_aborted_at_once),
        FLOW_TEST(a_person_may_cancel_a_node),
        FLOW_TEST(a_lost_worker_spends_an_attempt),
        FLOW_TEST(what_was_given_back_is_pending_again),
        FLOW_TEST(a_run_whose_engine_was_killed_is_taken_over),
        PORTION_TEST(a_cascade_goes_on_by_itself),
        PORTION_TEST(a_cascade_halfway_goes_on_after_a_restart),
        PORTION_TEST(a_portion_that_was_not_stored_is_done_again),
        PORTION_TEST(a_cascade_halfway_lets_nobody_start),
        PORTION_TEST(an_abort_leaves_a_portion_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
