/* test_task_session.c: tasks go out, come back, are lost, aborted, and waited for. */
#include "task_temp.h"

static const char retried[] = "{\"retry\":{\"kind\":\"fixed\",\"delay_s\":5,\"jitter\":0}}";

static void a_failed_attempt_waits_as_the_policy_says_and_the_last_is_the_end(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.options = str_of(retried);
    task.max_attempts = 2;
    int64_t id = enqueue(b, task);
    take(b, &hand, 1);
    fail_task(b, &hand, id, false);
    ASSERT_STATE(b, id, JOB_BLOCKED);
    assert_int_equal(take(b, &hand, 1), 0);
    pass_time(b, 5 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 1);
    fail_task(b, &hand, id, false);
    const struct task_view *view = shown(b, &op, id);
    assert_int_equal(view->state, JOB_FAILED);
    assert_int_equal(view->attempts, 2);
    assert_int_equal(view->fence, 2);
    assert_non_null(strstr(view->error, "\"type\":\"ValueError\",\"attempt\":2"));
    op_release(&op);
    assert_sound(b);
}

static void without_a_policy_a_failure_is_final(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t id = enqueue(b, new_task("f"));
    take(b, &hand, 1);
    fail_task(b, &hand, id, false);
    ASSERT_STATE(b, id, JOB_FAILED);
}

static void a_session_that_is_silent_loses_its_tasks_and_its_settlement_is_stale(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand dead = {0}, other = {0};
    int64_t id = enqueue(b, new_task("f"));
    take(b, &dead, 1);
    pass_time(b, 11 * SECOND_US);
    assert_int_equal(take(b, &other, 1), 1);
    assert_int_equal(shown(b, &op, id)->attempts, 2);
    op_release(&op);
    struct outcomes o;
    outcomes_begin(&o, &dead);
    outcome(&o, id, TASK_COMPLETED, "1");
    ask(b, &o.op);
    assert_refused(&o.op, REFUSED_LEASE_ENDED, ERR_CONFLICT, "lease has ended");
    op_release(&o.op);
    complete(b, &other, id);
    assert_sound(b);
}

static void what_is_lost_on_its_last_attempt_has_failed(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.max_attempts = 1;
    int64_t id = enqueue(b, task);
    take(b, &hand, 1);
    pass_time(b, 11 * SECOND_US);
    const struct task_view *view = shown(b, &op, id);
    assert_int_equal(view->state, JOB_FAILED);
    assert_non_null(strstr(view->error, "WorkerLost"));
    op_release(&op);
    assert_sound(b);
}

static void a_session_outlives_a_restart(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t id = enqueue(b, new_task("f"));
    take(b, &hand, 1);
    pass_time(b, 9 * SECOND_US);
    reopen_engine(b);
    pass_time(b, 9 * SECOND_US);
    complete(b, &hand, id);
    assert_sound(b);
}

static void an_outcome_of_what_is_not_held_is_stale_and_changes_nothing(void **state)
{
    struct bench *b = *state;
    struct hand one = {0}, two = {0};
    struct outcomes o;
    int64_t id = enqueue(b, new_task("f"));
    take(b, &one, 1);
    take(b, &two, 1);
    struct task_new next[2] = {new_task("g"), new_task("h")};
    outcomes_begin(&o, &two);
    outcome(&o, id, TASK_COMPLETED, "1");
    o.op.task_settle.enqueue.tasks = next;
    o.op.task_settle.enqueue.count = 2;
    const int64_t after[] = {-1};
    next[0].of = id;
    next[1].after = after;
    next[1].after_count = 1;
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_true(o.entries[0].stale);
    assert_true(next[0].left_out && next[1].left_out);
    op_release(&o.op);
    ASSERT_STATE(b, id, JOB_RUNNING);
    /* The same twice in one settlement: the second is stale. */
    outcomes_begin(&o, &one);
    outcome(&o, id, TASK_COMPLETED, "1");
    outcome(&o, id, TASK_COMPLETED, "2");
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_false(o.entries[0].stale);
    assert_true(o.entries[1].stale);
    op_release(&o.op);
    assert_sound(b);
}

static void a_settlement_enqueues_and_claims_with_its_outcome(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct outcomes o;
    int64_t id = enqueue(b, new_task("f"));
    take(b, &hand, 1);
    struct task_new next = new_task("g");
    next.of = id;
    next.after = &id;
    next.after_count = 1;
    outcomes_begin(&o, &hand);
    outcome(&o, id, TASK_COMPLETED, "1");
    o.op.task_settle.enqueue.tasks = &next;
    o.op.task_settle.enqueue.count = 1;
    o.op.task_settle.claims = true;
    o.op.task_settle.claim.max = 5;
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_int_equal(o.op.task_settle.claim.count, 1);
    assert_int_equal(o.op.task_settle.claim.tasks[0].id, next.id);
    assert_true(str_is(o.op.task_settle.claim.tasks[0].function, "g"));
    op_release(&o.op);
    assert_sound(b);
}

static void a_settlement_that_is_not_stored_can_be_sent_again(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct outcomes o;
    int64_t id = enqueue(b, new_task("f"));
    take(b, &hand, 1);
    outcomes_begin(&o, &hand);
    outcome(&o, id, TASK_COMPLETED, "1");
    plan_fault("store.commit:1:full");
    ask(b, &o.op);
    no_faults();
    assert_true(o.op.err.code != ERR_NONE);
    op_release(&o.op);
    ASSERT_STATE(b, id, JOB_RUNNING);
    pass_time(b, 2 * SECOND_US);
    complete(b, &hand, id);
    assert_sound(b);
}

static void a_claim_that_waits_is_fed_with_the_group_that_brings_a_task(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op claim, op;
    struct task_new task = new_task("f");
    prepare_take(&claim, &hand, 5);
    claim.task_claim.wait_until_us = b->now.mono_us + 30 * SECOND_US;
    assert_true(STEP(b, &claim));
    assert_false(is_answered(&claim));
    prepare_enqueue(&op, &task, 1);
    assert_true(STEP(b, &op));
    assert_went_well(&op);
    assert_int_equal(taken(&hand, &claim), 1);
    complete(b, &hand, task.id);
    assert_sound(b);
}

/* What is in memory is read anew then, and queues have other places. */
static void a_claim_that_waits_for_a_queue_outlives_a_failed_commit(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op claim, op;
    struct str queue = STR("b"), function = STR("g");
    struct task_new first = new_task("f"), second = new_task("g");
    first.queue = STR("a");
    second.queue = queue;
    prepare_take(&claim, &hand, 5);
    claim.task_claim.queues = &queue;
    claim.task_claim.functions = &function;
    claim.task_claim.queue_count = claim.task_claim.function_count = 1;
    claim.task_claim.wait_until_us = b->now.mono_us + 30 * SECOND_US;
    assert_true(STEP(b, &claim));
    prepare_enqueue(&op, &first, 1);
    plan_fault("store.commit:1:full");
    assert_true(STEP(b, &op));
    no_faults();
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    op_release(&op);
    pass_time(b, 2 * SECOND_US);
    enqueue(b, first);
    assert_false(is_answered(&claim));
    enqueue(b, second);
    assert_int_equal(taken(&hand, &claim), 1);
    complete(b, &hand, hand.ids[0]);
    assert_sound(b);
}

static void a_claim_that_waits_ends_at_its_time_and_its_session_lives(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op claim;
    prepare_take(&claim, &hand, 5);
    claim.task_claim.wait_until_us = b->now.mono_us + 30 * SECOND_US;
    assert_true(STEP(b, &claim));
    assert_true(engine_next_us(b->engine) <= claim.task_claim.wait_until_us);
    pass_time(b, 30 * SECOND_US);
    assert_int_equal(taken(&hand, &claim), 0);
    pass_time(b, 9 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 0);
}

static void what_an_answer_held_that_was_lost_goes_back_without_an_attempt(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    int64_t first = enqueue(b, new_task("f")), second = enqueue(b, new_task("f"));
    take(b, &hand, 1);
    take(b, &hand, 1);
    prepare(&op, OP_TASK_RELEASE, "");
    memcpy(op.task_release.token, hand.token, sizeof hand.token);
    op.task_release.answer = hand.answer;
    ask(b, &op);
    assert_went_well(&op);
    ASSERT_STATE(b, first, JOB_RUNNING);
    const struct task_view *view = shown(b, &op, second);
    assert_int_equal(view->state, JOB_PENDING);
    assert_int_equal(view->attempts, 0);
    assert_int_equal(view->fence, 1);
    op_release(&op);
    prepare_take(&op, &hand, 0);
    op.task_claim.has_holds = true;
    ask(b, &op);
    taken(&hand, &op);
    ASSERT_STATE(b, first, JOB_PENDING);
    assert_sound(b);
}

static void a_release_ends_the_session_and_a_death_spends_attempts(void **state)
{
    struct bench *b = *state;
    struct op op;
    for (int died = 0; died < 2; died++) {
        struct hand hand = {0};
        int64_t id = enqueue(b, new_task("f"));
        take(b, &hand, 10);
        prepare(&op, OP_TASK_RELEASE, "");
        memcpy(op.task_release.token, hand.token, sizeof hand.token);
        op.task_release.died = died;
        ask(b, &op);
        assert_went_well(&op);
        assert_int_equal(shown(b, &op, id)->attempts, died);
        op_release(&op);
    }
    prepare(&op, OP_WORKERS, "");
    ask(b, &op);
    assert_int_equal(op.workers.count, 0);
    op_release(&op);
    assert_sound(b);
}

static void prepare_extend(struct op *op, const struct hand *hand, int64_t wait_until_us)
{
    prepare(op, OP_TASK_EXTEND, "");
    memcpy(op->task_extend.token, hand->token, sizeof hand->token);
    op->task_extend.wait_until_us = wait_until_us;
}

static void a_running_task_that_is_cancelled_is_told_at_once_and_over_a_restart(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op extend;
    struct outcomes o;
    int64_t id = enqueue(b, new_task("f"));
    take(b, &hand, 1);
    prepare_extend(&extend, &hand, b->now.mono_us + 3 * SECOND_US);
    assert_true(STEP(b, &extend));
    assert_false(is_answered(&extend));
    struct task_filter filter = {.ids = &id, .id_count = 1};
    assert_int_equal(control_tasks(b, TASK_CANCEL, filter), 1);
    assert_went_well(&extend);
    assert_int_equal(extend.task_extend.abort_count, 1);
    assert_int_equal(extend.task_extend.aborts[0].id, id);
    assert_int_equal(extend.task_extend.aborts[0].why, ABORT_CANCELLED);
    op_release(&extend);
    reopen_engine(b);
    prepare_extend(&extend, &hand, 0);
    ask(b, &extend);
    assert_int_equal(extend.task_extend.abort_count, 1);
    op_release(&extend);
    /* Told once: now it waits again. */
    prepare_extend(&extend, &hand, b->now.mono_us + 3 * SECOND_US);
    assert_true(STEP(b, &extend));
    assert_false(is_answered(&extend));
    outcomes_begin(&o, &hand);
    outcome(&o, id, TASK_ABORTED, "");
    ask(b, &o.op);
    assert_int_equal(o.op.task_settle.cancelled, 1);
    op_release(&o.op);
    ASSERT_STATE(b, id, JOB_CANCELLED);
    pass_time(b, 4 * SECOND_US);
    assert_went_well(&extend);
    op_release(&extend);
    assert_sound(b);
}

static void a_run_that_takes_too_long_is_aborted_and_then_lost_to_its_worker(void **state)
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
    pass_time(b, 3 * SECOND_US);
    assert_int_equal(shown(b, &op, id)->abort, ABORT_TIMEOUT);
    op_release(&op);
    pass_time(b, 6 * SECOND_US);
    const struct task_view *view = shown(b, &op, id);
    assert_int_equal(view->state, JOB_FAILED);
    assert_non_null(strstr(view->error, "TimeoutError"));
    op_release(&op);
    assert_sound(b);
}

static void a_show_waits_for_the_end(void **state)
{
    struct bench *b = *state;
    struct op show;
    struct hand hand = {0};
    int64_t id = enqueue(b, new_task("f"));
    prepare(&show, OP_TASK_SHOW, "");
    show.task_show.id = id;
    show.task_show.wait_until_us = b->now.mono_us + 60 * SECOND_US;
    assert_true(STEP(b, &show));
    assert_false(is_answered(&show));
    take(b, &hand, 1);
    complete(b, &hand, id);
    assert_went_well(&show);
    assert_int_equal(show.task_show.view.state, JOB_COMPLETED);
    assert_string_equal(show.task_show.view.result, "{\"r\":1}");
    op_release(&show);
}

static void counts_follow_what_happens_and_what_is_old_is_forgotten(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.key = STR("d");
    task.batch = STR("b");
    for (int i = 0; i < 5; i++)
        enqueue(b, task);
    take(b, &hand, 3);
    complete(b, &hand, 1);
    fail_task(b, &hand, 2, true);
    prepare(&op, OP_TASK_STATUS, "");
    op.task_status.key = STR("d");
    ask(b, &op);
    assert_int_equal(op.task_status.count, 1);
    assert_string_equal(op.task_status.leaves[0].batch, "b");
    assert_int_equal(op.task_status.leaves[0].counts[JOB_PENDING], 2);
    assert_int_equal(op.task_status.leaves[0].counts[JOB_RUNNING], 1);
    assert_int_equal(op.task_status.leaves[0].counts[JOB_COMPLETED], 1);
    assert_int_equal(op.task_status.leaves[0].counts[JOB_FAILED], 1);
    op_release(&op);
    complete(b, &hand, 3);
    assert_sound(b);
    pass_time(b, INT64_C(8) * 24 * 3600 * SECOND_US);
    for (int i = 0; i < 3; i++)
        pass_time(b, 2 * SECOND_US);
    prepare(&op, OP_TASK_LIST, "");
    ask(b, &op);
    assert_int_equal(op.task_list.count, 2);
    op_release(&op);
    assert_sound(b);
}

static void gates_and_limits_hold_back_and_outlive_a_restart(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.queue = STR("q");
    task.key = STR("data-1");
    enqueue(b, task);
    enqueue(b, task);
    prepare(&op, OP_GATES, "");
    op.gates.set = STR("q");
    op.gates.sets_paused = op.gates.gate.paused = true;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare(&op, OP_LIMITS, "");
    op.limits.verb = LIMITS_PUT;
    op.limits.rule = (struct key_rule){.name = "r", .pattern = "data-*", .concurrency = 1};
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.limits.count, 1);
    op_release(&op);
    reopen_engine(b);
    assert_int_equal(take(b, &hand, 5), 0);
    prepare(&op, OP_GATES, "");
    op.gates.set = STR("q");
    op.gates.sets_paused = true;
    ask(b, &op);
    op_release(&op);
    assert_int_equal(take(b, &hand, 5), 1);
    prepare(&op, OP_LIMITS, "");
    op.limits.verb = LIMITS_DELETE;
    op.limits.rule.name = "r";
    ask(b, &op);
    assert_int_equal(op.limits.count, 0);
    op_release(&op);
    assert_int_equal(take(b, &hand, 5), 1);
    assert_sound(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_failed_attempt_waits_as_the_policy_says_and_the_last_is_the_end),
        ENGINE_TEST(without_a_policy_a_failure_is_final),
        ENGINE_TEST(a_session_that_is_silent_loses_its_tasks_and_its_settlement_is_stale),
        ENGINE_TEST(what_is_lost_on_its_last_attempt_has_failed),
        ENGINE_TEST(a_session_outlives_a_restart),
        ENGINE_TEST(an_outcome_of_what_is_not_held_is_stale_and_changes_nothing),
        ENGINE_TEST(a_settlement_enqueues_and_claims_with_its_outcome),
        ENGINE_TEST(a_settlement_that_is_not_stored_can_be_sent_again),
        ENGINE_TEST(a_claim_that_waits_is_fed_with_the_group_that_brings_a_task),
        ENGINE_TEST(a_claim_that_waits_for_a_queue_outlives_a_failed_commit),
        ENGINE_TEST(a_claim_that_waits_ends_at_its_time_and_its_session_lives),
        ENGINE_TEST(what_an_answer_held_that_was_lost_goes_back_without_an_attempt),
        ENGINE_TEST(a_release_ends_the_session_and_a_death_spends_attempts),
        ENGINE_TEST(a_running_task_that_is_cancelled_is_told_at_once_and_over_a_restart),
        ENGINE_TEST(a_run_that_takes_too_long_is_aborted_and_then_lost_to_its_worker),
        ENGINE_TEST(a_show_waits_for_the_end),
        ENGINE_TEST(counts_follow_what_happens_and_what_is_old_is_forgotten),
        ENGINE_TEST(gates_and_limits_hold_back_and_outlive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
