/* test_engine_flows.c: flows in the engine: marks as their tasks go, restarts, lists, all of it
 * after a crash. Ends by force are in test_engine_flow_ends.c. */
#include "engine/feed.h"
#include "flow_hand_temp.h"

static void nodes_run_when_their_parents_are_complete(void **state)
{
    struct bench *b = *state;
    start_flow(b, DIAMOND, "");
    assert_flow(b, "running 1P 2P 3P 4P");
    assert_taken(b, 9, "1");
    assert_flow(b, "running 1R 2P 3P 4P");
    complete_node(b, 1);
    assert_taken(b, 9, "2 3");
    complete_node(b, 3);
    assert_taken(b, 9, "");
    assert_flow(b, "running 1C 2R 3C 4P");
    complete_node(b, 2);
    assert_taken(b, 9, "4");
    complete_node(b, 4);
    assert_flow(b, "completed 1C 2C 3C 4C");
    assert_sound(b);
}

static void a_settlement_claims_what_it_has_made_ready(void **state)
{
    struct bench *b = *state;
    struct outcomes o;
    start_flow(b, "1 2:1", "");
    assert_taken(b, 1, "1");
    outcomes_begin(&o, &worker);
    outcome(&o, worker.ids[0], TASK_COMPLETED, "{\"code\":0}");
    o.op.task_settle.claims = true;
    o.op.task_settle.claim.max = 4;
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_int_equal(o.op.task_settle.claim.count, 1);
    assert_int_equal(o.op.task_settle.claim.tasks[0].id, task_of(b, 2));
    op_release(&o.op);
    assert_flow(b, "running 1C 2R");
}

static void a_worker_gets_the_node_and_the_variables(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_flow(b, "7", "\"variables\":{\"A\":\"b\"}");
    prepare_take(&op, &worker, 1);
    ask(b, &op);
    assert_went_well(&op);
    const struct task_handed *task = &op.task_claim.tasks[0];
    assert_true(str_is(task->function, "penstock.flow.node"));
    assert_true(str_is(task->queue, "flow/f"));
    OWNED_MEM char *got = xstrndup(task->arguments.ptr, task->arguments.len);
    assert_string_equal(
        got, "{\"flow\":1,\"name\":\"f\",\"run\":1,\"mode\":\"python\",\"node\":{\"id\":7,"
             "\"name\":\"node 7\",\"module\":\"m\",\"worker\":\"W\",\"always\":false,"
             "\"max_attempts\":1},\"variables\":{\"A\":\"b\"}}");
    struct op shown_op;
    assert_string_equal(shown(b, &shown_op, task->id)->arguments, got);
    op_release(&shown_op);
    op_release(&op);
}

static void a_failed_node_makes_its_descendants_d_and_no_others(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2:1 3:1 4:2 5:3 6:4,5 7:6!", "");
    assert_taken(b, 9, "1");
    complete_node(b, 1);
    assert_taken(b, 9, "2 3");
    fail_node(b, 2);
    assert_flow(b, "running 1C 2F 3R 4D 5P 6D 7P");
    assert_taken(b, 9, "7");
    complete_node(b, 3);
    assert_taken(b, 9, "5");
    complete(b, &worker, task_of(b, 7));
    assert_flow(b, "running 1C 2F 3C 4D 5R 6D 7C");
    complete_node(b, 5);
    assert_flow(b, "failed 1C 2F 3C 4D 5C 6D 7C");
    assert_sound(b);
}

static void a_retry_waits_so_long_and_holds_no_place(void **state)
{
    struct bench *b = *state;
    struct started s;
    struct op op;
    assert_went_well(start_flow_with(b, &s, "1*3 2", "\"max_running\":1"));
    started_release(&s);
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    assert_flow(b, "running 1P 2P");
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    assert_flow(b, "running 1F 2P");
    assert_int_equal(flow_node(b, &op, 1)->attempts, 3);
    op_release(&op);
    assert_taken(b, 9, "2");
    complete_node(b, 2);
    assert_flow(b, "failed 1F 2C");
}

static void what_a_try_ended_with_is_kept(void **state)
{
    struct bench *b = *state;
    struct outcomes o;
    struct op op;
    start_flow(b, "1 2", "");
    assert_taken(b, 9, "1 2");
    outcomes_begin(&o, &worker);
    outcome(&o, worker.ids[0], TASK_FAILED, "{\"message\":\"no\",\"type\":\"X\",\"code\":-11}");
    outcome(&o, worker.ids[1], TASK_COMPLETED, "{\"code\":0}");
    b->now.wall_us += 3 * SECOND_US;
    ask(b, &o.op);
    assert_went_well(&o.op);
    op_release(&o.op);
    for (int again = 0; again < 2; again++) {
        const struct flow_node_view *v = flow_node(b, &op, 1);
        assert_true(v->has_code);
        assert_int_equal(v->code, -11);
        assert_int_equal(v->elapsed_us, 3 * SECOND_US);
        assert_non_null(strstr(v->error, "\"message\":\"no\""));
        v = &op.flow_nodes.views[1];
        assert_true(v->has_code && v->code == 0 && !v->error);
        op_release(&op);
        reopen_engine(b);
    }
}

/* --- restarts --- */

static void run_to_failure(struct bench *b)
{
    start_flow(b, DIAMOND, "");
    assert_taken(b, 9, "1");
    complete_node(b, 1);
    assert_taken(b, 9, "2 3");
    fail_node(b, 2);
    complete_node(b, 3);
    assert_flow(b, "failed 1C 2F 3C 4D");
}

static void a_restart_runs_what_is_not_complete(void **state)
{
    struct bench *b = *state;
    run_to_failure(b);
    for (int i = 0; i < 3; i++) {
        start_flow(b, DIAMOND, "\"restart\":true");
        assert_flow(b, "running 1C 2P 3C 4P");
        assert_taken(b, 9, "2");
        fail_node(b, 2);
        assert_flow(b, "failed 1C 2F 3C 4D");
        reopen_engine(b);
    }
    start_flow(b, DIAMOND, "\"restart\":true");
    assert_taken(b, 9, "2");
    complete_node(b, 2);
    assert_taken(b, 9, "4");
    complete_node(b, 4);
    assert_flow(b, "completed 1C 2C 3C 4C");
    start_flow(b, DIAMOND, "\"restart\":true");
    assert_flow(b, "running 1P 2P 3P 4P");
    assert_sound(b);
}

static void a_fresh_run_forgets_marks(void **state)
{
    struct bench *b = *state;
    run_to_failure(b);
    start_flow(b, DIAMOND, "");
    assert_flow(b, "running 1P 2P 3P 4P");
}

static void the_tasks_of_earlier_runs_are_forgotten(void **state)
{
    struct bench *b = *state;
    struct op op;
    run_to_failure(b);
    start_flow(b, DIAMOND, "\"restart\":true");
    prepare(&op, OP_TASK_LIST, "");
    op.task_list.limit = 100;
    ask(b, &op);
    assert_int_equal(op.task_list.count, 2);
    op_release(&op);
    assert_sound(b);
}

static void a_list_may_be_edited_before_a_restart(void **state)
{
    struct bench *b = *state;
    struct started s;
    run_to_failure(b);
    /* 3 is gone, 5 is new, 1 waits for it and stays complete. */
    assert_went_well(start_flow_with(b, &s, "1:5 2:1*2 4:2 5", "\"restart\":true"));
    assert_int_equal(s.op.flow_start.does[FLOW_DOES_RUN], 3);
    assert_int_equal(s.op.flow_start.edited_count, 1);
    assert_int_equal(s.op.flow_start.edited[0], 1);
    started_release(&s);
    assert_flow(b, "running 1C 2P 4P 5P");
    assert_taken(b, 9, "2 5");
    complete_node(b, 5);
    complete_node(b, 2);
    assert_taken(b, 9, "4");
    complete_node(b, 4);
    assert_flow(b, "completed 1C 2C 4C 5C");
}

static void a_run_with_nothing_to_do_ends_at_once(void **state)
{
    struct bench *b = *state;
    run_to_failure(b);
    start_flow(b, "1 3:1", "\"restart\":true");
    assert_flow(b, "completed 1C 3C");
    start_flow(b, "1", "\"select\":{\"norun\":[1]}");
    assert_flow(b, "completed 1N");
    reopen_engine(b);
    assert_flow(b, "completed 1N");
}

static void what_is_not_selected_stands_in_nobodys_way(void **state)
{
    struct bench *b = *state;
    start_flow(b, DIAMOND, "\"select\":{\"only\":[2,4]}");
    assert_flow(b, "running 1N 2P 3N 4P");
    assert_taken(b, 9, "2");
    complete_node(b, 2);
    assert_taken(b, 9, "4");
    complete_node(b, 4);
    assert_flow(b, "completed 1N 2C 3N 4C");
}

static void a_selection_on_restart_runs_again(void **state)
{
    struct bench *b = *state;
    run_to_failure(b);
    start_flow(b, DIAMOND, "\"restart\":true,\"select\":{\"only\":[3]}");
    assert_flow(b, "running 1C 2F 3P 4D");
    assert_taken(b, 9, "3");
    complete_node(b, 3);
    assert_flow(b, "completed 1C 2F 3C 4D");
    /* What is kept keeps what it ended with. */
    struct op op;
    assert_non_null(strstr(flow_node(b, &op, 2)->error, "ValueError"));
    op_release(&op);
    start_flow(b, DIAMOND, "\"restart\":true");
    assert_flow(b, "running 1C 2P 3C 4P");
}

static void a_dry_run_changes_nothing(void **state)
{
    struct bench *b = *state;
    struct started s;
    assert_went_well(start_flow_with(b, &s, "1 2:1", "\"dry_run\":true"));
    assert_int_equal(s.op.flow_start.id, 0);
    assert_true(str_is(buf_str(&s.op.flow_start.told),
                       "[{\"id\":1,\"does\":\"run\",\"why\":\"a fresh run\"},"
                       "{\"id\":2,\"does\":\"run\",\"why\":\"a fresh run\"}]"));
    started_release(&s);
    struct op op;
    prepare(&op, OP_FLOW_SHOW, "f");
    ask(b, &op);
    assert_refused(&op, REFUSED_FLOW_UNKNOWN, ERR_NOT_FOUND, "there is no flow named f");
    op_release(&op);
    run_to_failure(b);
    assert_went_well(start_flow_with(b, &s, DIAMOND, "\"dry_run\":true,\"restart\":true"));
    assert_non_null(strstr(s.op.flow_start.told.data, "\"why\":\"failed in run 1\""));
    started_release(&s);
    assert_flow(b, "failed 1C 2F 3C 4D");
}

/* --- refusals --- */

static void what_cannot_be_is_refused(void **state)
{
    struct bench *b = *state;
    struct op op;
    flow_refused(b, "1:2 2:1", "", REFUSED_OTHERWISE, ERR_INVALID, "cycle");
    flow_refused(b, "1:3", "", REFUSED_OTHERWISE, ERR_INVALID, "node 1: after: there is no node 3");
    flow_refused(b, "1", "\"select\":{\"only\":[2]}", REFUSED_OTHERWISE, ERR_INVALID,
                 "select.only: there is no node 2");
    flow_refused(b, "1", "\"name\":\"a*b\"", REFUSED_OTHERWISE, ERR_INVALID, "name: expected");
    flow_refused(b, "1", "\"name\":\"@1\"", REFUSED_OTHERWISE, ERR_INVALID, "name: expected");
    flow_refused(b, "1", "\"pools\":{\"a?\":1}", REFUSED_OTHERWISE, ERR_INVALID, "pools: expected");
    start_flow(b, "1", "");
    flow_refused(b, "1", "", REFUSED_FLOW_RUNS, ERR_CONFLICT, "flow f runs already: run 1");
    prepare(&op, OP_FLOW_DELETE, "f");
    ask(b, &op);
    assert_refused(&op, REFUSED_FLOW_RUNS, ERR_CONFLICT, "abort it first");
    op_release(&op);
    const enum op_kind kinds[] = {OP_FLOW_SHOW, OP_FLOW_NODES, OP_FLOW_ABORT, OP_FLOW_DELETE,
                                  OP_FLOW_PUT,  OP_FLOW_GET,   OP_FLOW_LOCK};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        prepare(&op, kinds[i], "");
        op.job.id = 99;
        ask(b, &op);
        assert_refused(&op, REFUSED_FLOW_UNKNOWN, ERR_NOT_FOUND, "there is no flow 99");
        op_release(&op);
    }
    prepare(&op, OP_FLOW_NODES, "f");
    op.flow_nodes.after = 5;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "flow f has no node 5");
    op_release(&op);
}

/* --- stopping --- */

static void two_starts_of_one_step_are_two_runs(void **state)
{
    struct bench *b = *state;
    struct started s[2];
    for (int i = 0; i < 2; i++) {
        struct err err;
        s[i].flow = (struct new_flow){.node_cap = 0};
        s[i].body = flow_body(i ? "1 2" : "1 2 3", "\"take_over\":true,\"restart\":true");
        assert_true(new_flow_read(&s[i].flow, str_of(s[i].body), &err));
        prepare(&s[i].op, OP_FLOW_START, "");
        struct buf told = s[i].op.flow_start.told;
        s[i].op.flow_start = s[i].flow.ask;
        s[i].op.flow_start.told = told;
    }
    assert_true(STEP(b, &s[0].op, &s[1].op));
    assert_went_well(&s[0].op);
    assert_went_well(&s[1].op);
    assert_int_equal(s[1].op.flow_start.run, 2);
    assert_flow(b, "running 1P 2P");
    started_release(&s[0]);
    started_release(&s[1]);
    assert_sound(b);
}

/* --- limits --- */

static void limits_hold_and_go_with_the_flow(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct started s;
    /* Of two nodes of the pool one runs. */
    s.flow = (struct new_flow){.node_cap = 0};
    struct err err;
    char body[] = "{\"name\":\"f\",\"max_running\":2,\"pools\":{\"api\":1},\"nodes\":["
                  "{\"id\":1,\"name\":\"a\",\"module\":\"m\",\"worker\":\"W\",\"pool\":\"api\"},"
                  "{\"id\":2,\"name\":\"b\",\"module\":\"m\",\"worker\":\"W\",\"pool\":\"api\"},"
                  "{\"id\":3,\"name\":\"c\",\"module\":\"m\",\"worker\":\"W\"},"
                  "{\"id\":4,\"name\":\"d\",\"module\":\"m\",\"worker\":\"W\"}]}";
    assert_true(new_flow_read(&s.flow, str_of(body), &err));
    prepare(&s.op, OP_FLOW_START, "");
    struct buf told = s.op.flow_start.told;
    s.op.flow_start = s.flow.ask;
    s.op.flow_start.told = told;
    ask(b, &s.op);
    assert_went_well(&s.op);
    op_release(&s.op);
    new_flow_release(&s.flow);
    take(b, &worker, 9);
    assert_int_equal(worker.count, 2);
    assert_flow(b, "running 1R 2P 3R 4P");
    ask_flow(b, OP_FLOW_ABORT);
    prepare(&op, OP_TASK_RELEASE, "");
    memcpy(op.task_release.token, worker.token, sizeof worker.token);
    ask(b, &op);
    op_release(&op);
    assert_flow(b, "cancelled 1A 2P 3A 4P");
    prepare(&op, OP_LIMITS, "");
    ask(b, &op);
    assert_int_equal(op.limits.count, 1);
    assert_string_equal(op.limits.rules[0].pattern, "flow/f/api");
    op_release(&op);
    ask_flow(b, OP_FLOW_DELETE);
    reopen_engine(b);
    prepare(&op, OP_LIMITS, "");
    ask(b, &op);
    assert_int_equal(op.limits.count, 0);
    op_release(&op);
    prepare(&op, OP_GATES, "");
    ask(b, &op);
    for (size_t i = 0; i < op.gates.count; i++)
        assert_int_equal(op.gates.views[i].gate.concurrency, 0);
    op_release(&op);
    prepare(&op, OP_FLOW_LIST, "");
    op.flow_list.limit = 10;
    ask(b, &op);
    assert_int_equal(op.flow_list.count, 0);
    op_release(&op);
}

static void who_is_earlier_in_the_list_starts_first(void **state)
{
    struct bench *b = *state;
    start_flow(b, "5@ 1 4 2@ 3", "\"pools\":{\"p\":9}");
    assert_taken(b, 1, "5");
    assert_taken(b, 1, "1");
    assert_taken(b, 1, "4");
    reopen_engine(b);
    assert_taken(b, 1, "2");
    assert_taken(b, 1, "3");
}

static void starts_are_so_far_apart(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2", "\"gap_s\":10");
    assert_taken(b, 9, "1");
    assert_taken(b, 9, "");
    pass_time(b, 9 * SECOND_US);
    assert_taken(b, 9, "");
    worker = (struct hand){.count = 0};
    pass_time(b, 2 * SECOND_US);
    assert_taken(b, 9, "2");
}

/* --- when the disk fails --- */

static void what_was_not_stored_did_not_happen(void **state)
{
    struct bench *b = *state;
    struct started s;
    plan_fault("store.commit:1:fail");
    struct op *op = start_flow_with(b, &s, "1 2:1", "");
    assert_int_equal(op->err.code, ERR_STORE);
    started_release(&s);
    no_faults();
    pass_time(b, 2 * SECOND_US);
    start_flow(b, "1 2:1", "");
    assert_taken(b, 9, "1");
    struct outcomes o;
    outcomes_begin(&o, &worker);
    outcome(&o, worker.ids[0], TASK_COMPLETED, "1");
    plan_fault("store.commit:1:fail");
    ask(b, &o.op);
    assert_int_equal(o.op.err.code, ERR_STORE);
    op_release(&o.op);
    no_faults();
    pass_time(b, 2 * SECOND_US);
    assert_flow(b, "running 1R 2P");
    complete_node(b, 1);
    plan_fault("store.commit:1:fail");
    struct op abort;
    prepare(&abort, OP_FLOW_ABORT, "f");
    ask(b, &abort);
    assert_int_equal(abort.err.code, ERR_STORE);
    op_release(&abort);
    no_faults();
    pass_time(b, 2 * SECOND_US);
    assert_flow(b, "running 1C 2P");
    assert_taken(b, 9, "2");
    complete_node(b, 2);
    assert_flow(b, "completed 1C 2C");
    assert_sound(b);
}

/* --- what is told --- */

static void pages_of_flows_and_nodes(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_flow(b, "5 4 3 2 1", "");
    assert_taken(b, 2, "5 4");
    prepare(&op, OP_FLOW_NODES, "f");
    op.flow_nodes.limit = 2;
    op.flow_nodes.after = 5;
    ask(b, &op);
    assert_int_equal(op.flow_nodes.count, 2);
    assert_int_equal(op.flow_nodes.views[0].id, 4);
    assert_true(op.flow_nodes.more);
    op_release(&op);
    prepare(&op, OP_FLOW_NODES, "f");
    op.flow_nodes.limit = 1;
    op.flow_nodes.by_mark = true;
    op.flow_nodes.mark = FLOW_RUNNING;
    ask(b, &op);
    assert_int_equal(op.flow_nodes.count, 1);
    assert_int_equal(op.flow_nodes.views[0].id, 5);
    assert_true(op.flow_nodes.more);
    op_release(&op);
    start_flow(b, "1", "\"name\":\"g\",\"select\":{\"norun\":[1]}");
    prepare(&op, OP_FLOW_LIST, "");
    op.flow_list.limit = 1;
    ask(b, &op);
    assert_int_equal(op.flow_list.count, 1);
    assert_true(op.flow_list.more);
    op_release(&op);
    prepare(&op, OP_FLOW_LIST, "");
    op.flow_list.limit = 9;
    op.flow_list.by_state = true;
    op.flow_list.state = JOB_COMPLETED;
    ask(b, &op);
    assert_int_equal(op.flow_list.count, 1);
    assert_string_equal(op.flow_list.views[0].name, "g");
    op_release(&op);
}

static void how_long_the_rest_takes_is_known_from_before(void **state)
{
    struct bench *b = *state;
    struct op op;
    for (int run = 0; run < 2; run++) {
        start_flow(b, "1 2:1", "");
        prepare(&op, OP_FLOW_SHOW, "f");
        ask(b, &op);
        assert_int_equal(op.flow_show.view.eta_us, run ? 30 * SECOND_US : -1);
        op_release(&op);
        for (int32_t id = 1; id <= 2; id++) {
            worker = (struct hand){.count = 0};
            take(b, &worker, 1);
            b->now.wall_us += (id == 1 ? 10 : 20) * SECOND_US;
            complete_node(b, id);
        }
    }
}

static void events_tell_of_a_flow(void **state)
{
    struct bench *b = *state;
    run_to_failure(b);
    start_flow(b, "1", "\"restart\":true");
    struct op op;
    struct subscription *feed = subscription_new(NULL, NULL);
    prepare(&op, OP_SUBSCRIBE, "");
    op.subscribe.subscription = feed;
    op.subscribe.after = 0;
    op.right.trusted = true;
    ask(b, &op);
    assert_went_well(&op);
    char text[20000] = "";
    size_t len = 0;
    bool refill = false;
    assert_true(subscription_take(feed, text, sizeof text - 1, &len, &refill));
    text[len] = '\0';
    const char *started = strstr(text, "flow.started"), *failed = strstr(text, "flow.failed"),
               *dead = strstr(text, "task.dead"), *restarted = strstr(text, "flow.restarted");
    assert_true(started && failed && dead && restarted);
    assert_true(started < dead && dead < failed && failed < restarted);
    op_release(&op);
    prepare(&op, OP_UNSUBSCRIBE, "");
    op.subscribe.subscription = feed;
    ask(b, &op);
    op_release(&op);
    subscription_free(feed);
}

static struct op *answered_first;

static void note_answer(struct op *op)
{
    if (!answered_first)
        answered_first = op;
    count_answer(op);
}

/* A claim that waits gets what a settlement makes ready: when it may be told early, before the
 * settlement is answered, whose answer waits for the disk. */
static void an_early_claim_is_told_before_the_disk_has_synced(void **state)
{
    struct bench *b = *state;
    start_flow(b, "1 2:1 3:2", "");
    assert_taken(b, 1, "1");
    for (int32_t id = 1; id <= 2; id++) {
        bool early = id == 1;
        struct op claim;
        struct outcomes o;
        int64_t task = task_of(b, id);
        prepare_take(&claim, &worker, 1);
        claim.task_claim.early = early;
        claim.task_claim.wait_until_us = b->now.mono_us + 60 * SECOND_US;
        claim.done = note_answer;
        assert_true(STEP(b, &claim));
        assert_false(is_answered(&claim));
        outcomes_begin(&o, &worker);
        outcome(&o, task, TASK_COMPLETED, "{}");
        o.op.done = note_answer;
        answered_first = NULL;
        ask(b, &o.op);
        assert_went_well(&o.op);
        assert_ptr_equal(answered_first, early ? &claim : &o.op);
        op_release(&o.op);
        assert_int_equal(taken(&worker, &claim), 1);
        reopen_engine(b);
        assert_flow(b, early ? "running 1C 2R 3P" : "running 1C 2C 3R");
    }
    complete_node(b, 3);
    assert_flow(b, "completed 1C 2C 3C");
    assert_sound(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(nodes_run_when_their_parents_are_complete),
        FLOW_TEST(a_settlement_claims_what_it_has_made_ready),
        FLOW_TEST(an_early_claim_is_told_before_the_disk_has_synced),
        FLOW_TEST(a_worker_gets_the_node_and_the_variables),
        FLOW_TEST(a_failed_node_makes_its_descendants_d_and_no_others),
        FLOW_TEST(a_retry_waits_so_long_and_holds_no_place),
        FLOW_TEST(what_a_try_ended_with_is_kept),
        FLOW_TEST(a_restart_runs_what_is_not_complete),
        FLOW_TEST(a_fresh_run_forgets_marks),
        FLOW_TEST(the_tasks_of_earlier_runs_are_forgotten),
        FLOW_TEST(a_list_may_be_edited_before_a_restart),
        FLOW_TEST(a_run_with_nothing_to_do_ends_at_once),
        FLOW_TEST(what_is_not_selected_stands_in_nobodys_way),
        FLOW_TEST(a_selection_on_restart_runs_again),
        FLOW_TEST(a_dry_run_changes_nothing),
        FLOW_TEST(what_cannot_be_is_refused),
        FLOW_TEST(two_starts_of_one_step_are_two_runs),
        FLOW_TEST(limits_hold_and_go_with_the_flow),
        FLOW_TEST(who_is_earlier_in_the_list_starts_first),
        FLOW_TEST(starts_are_so_far_apart),
        FLOW_TEST(what_was_not_stored_did_not_happen),
        FLOW_TEST(pages_of_flows_and_nodes),
        FLOW_TEST(how_long_the_rest_takes_is_known_from_before),
        FLOW_TEST(events_tell_of_a_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
