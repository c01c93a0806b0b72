/* The order of durability: what happens when a write, a sync or a commit fails, and what is told to
 * whom. group.c. */
#include "engine_temp.h"

#include "engine/feed.h"

static void no_wake(void *context)
{
    (void)context;
}

/* A fault of n passes in a row. */
static char *faults(const char *point, int first, int count, const char *action)
{
    struct buf plan;
    buf_init(&plan, BUF_NO_CAP);
    for (int i = 0; i < count; i++)
        buf_add_format(&plan, "%s%s:%d:%s", i ? "," : "", point, first + i, action);
    return buf_take(&plan);
}

static void a_settlement_is_in_the_output_and_the_ledger(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 3);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
    reopen_engine(b);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.done, 3);
    assert_int_equal(c.written, 3);
}

/* Whatever fails, its op is told so, nothing of it stands, and the same again goes well. */
static void a_failed_group_leaves_nothing_and_can_be_repeated(void **state)
{
    static const struct {
        const char *plan;
        enum err_code code;
    } cases[] = {
        {"sink.write:1:fail", ERR_IO},      {"sink.write:1:full", ERR_NO_SPACE},
        {"sink.written:1:fail", ERR_IO},    {"sink.written:1:full", ERR_NO_SPACE},
        {"file.write:1:fail", ERR_IO},      {"file.write:1:full", ERR_NO_SPACE},
        {"store.begin:1:fail", ERR_STORE},  {"store.begin:1:full", ERR_NO_SPACE},
        {"store.commit:1:fail", ERR_STORE}, {"store.commit:1:full", ERR_NO_SPACE},
        {"store.begin:2:fail", ERR_STORE},  {"store.commit:2:full", ERR_NO_SPACE},
    };
    struct bench *b = *state;
    start_lines(b, 40);
    assert_int_equal(claim(b, 40), 40);
    struct buf expected;
    buf_init(&expected, BUF_NO_CAP);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settling s;
        /* The first write of a job has a transaction of its own before it: later ones have not. */
        bool reached = i == 0 || !strchr(cases[i].plan, '2');
        prepare_results(&s, (int64_t)i * 3, 3);
        plan_fault(cases[i].plan);
        ask(b, &s.op);
        no_faults();
        if (reached) {
            assert_int_equal(s.op.err.code, cases[i].code);
            assert_int_equal(s.op.settle.written, 0);
            struct counts c = counts_of(b, "job");
            assert_int_equal(c.done, (int64_t)i * 3);
            assert_int_equal(c.written, (int64_t)i * 3);
            settle(b, (int64_t)i * 3, 3);
        }
        for (size_t r = i * 3; r < i * 3 + 3; r++)
            buf_add_format(&expected, "{\"r\":%zu}\n", r);
        OWNED_MEM char *text = xstrndup(expected.data, expected.len);
        assert_text(b, "data/out.jsonl", text);
    }
    buf_release(&expected);
    reopen_engine(b);
    assert_int_equal(counts_of(b, "job").done, (int64_t)(3 * sizeof cases / sizeof *cases));
}

static void the_first_write_of_a_job_can_fail_at_both_its_commits(void **state)
{
    struct bench *b = *state;
    for (int pass = 1; pass <= 2; pass++) {
        char name[16];
        snprintf(name, sizeof name, "out%d.jsonl", pass);
        free(b->spec.sink_path);
        b->spec.sink_path = xstrdup(name);
        if (pass == 1)
            put_lines(b, "data/in.jsonl", 0, 3);
        snprintf(name, sizeof name, "job%d", pass);
        start(b, name);
        struct op op;
        prepare_claim(&op, name, 3);
        ask(b, &op);
        op_release(&op);
        struct settling s;
        prepare_results(&s, 0, 3);
        s.op.job.name = str_of(name);
        OWNED_MEM char *plan = faults("store.commit", pass, 1, "full");
        plan_fault(plan);
        ask(b, &s.op);
        assert_int_equal(s.op.err.code, ERR_NO_SPACE);
        no_faults();
        assert_int_equal(counts_of(b, name).done, 0);
        reopen_engine(b);
        prepare_results(&s, 0, 3);
        s.op.job.name = str_of(name);
        ask(b, &s.op);
        assert_went_well(&s.op);
    }
    assert_text(b, "data/out1.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
    assert_text(b, "data/out2.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
}

static void a_failed_sync_ends_the_process(void **state)
{
    struct bench *b = *state;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 0, 1);
    struct settling s, t;
    struct op pause, later;
    settling_large(&s, 1);
    prepare_results(&t, 2, 1);
    prepare(&pause, OP_CONTROL, "job");
    pause.control.verb = CONTROL_PAUSE;
    plan_fault("file.sync:1:fail");
    assert_false(STEP(b, &s.op, &pause, &t.op));
    assert_int_equal(b->err.code, ERR_FATAL);
    assert_int_equal(s.op.err.code, ERR_FATAL);
    assert_int_equal(pause.err.code, ERR_FATAL);
    assert_int_equal(t.op.err.code, ERR_FATAL);
    /* Nothing is acknowledged any more. */
    prepare(&later, OP_REPORT, "job");
    assert_false(STEP(b, &later));
    assert_int_equal(later.err.code, ERR_FATAL);
    no_faults();
    reopen_engine(b);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n");
    settle(b, 1, 2);
    settling_release(&s);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
}

static void a_commit_whose_outcome_is_unknown_ends_the_process(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    prepare_start(b, &op, "job");
    plan_fault("store.committed:1:fail");
    assert_false(STEP(b, &op));
    assert_int_equal(op.err.code, ERR_FATAL);
    no_faults();
    reopen_engine(b);
    control(b, "job", CONTROL_DELETE); /* it was stored */
}

/* A follower that joins makes the group so far durable: the rest fails without it. */
static void what_is_durable_is_not_taken_back_with_what_fails_later(void **state)
{
    struct bench *b = *state;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 3, 1);
    struct settling first, second;
    struct op follow, leave;
    prepare_results(&first, 0, 2);
    prepare_results(&second, 2, 1);
    prepare(&follow, OP_SUBSCRIBE, "job");
    follow.subscribe.subscription = subscription_new(no_wake, NULL);
    follow.subscribe.after = -1;
    plan_fault("sink.write:2:full");
    assert_true(STEP(b, &first.op, &follow, &second.op));
    no_faults();
    assert_went_well(&first.op);
    assert_went_well(&follow);
    assert_int_equal(second.op.err.code, ERR_NO_SPACE);
    assert_int_equal(counts_of(b, "job").done, 3);
    settle(b, 2, 1);
    settle(b, 0, 2); /* repeats */
    assert_text(b, "data/out.jsonl", "{\"r\":3}\n{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
    prepare(&leave, OP_UNSUBSCRIBE, "");
    leave.subscribe.subscription = follow.subscribe.subscription;
    ask(b, &leave);
    subscription_free(follow.subscribe.subscription);
}

static void a_full_disk_does_not_keep_the_engine_busy(void **state)
{
    struct bench *b = *state;
    start_lines(b, 4);
    OWNED_MEM char *plan = faults("store.commit", 1, 3, "full");
    struct op op;
    plan_fault(plan);
    for (int i = 0; i < 3; i++) {
        /* One try a step, or the plan would be used up by the first. */
        prepare_claim(&op, "job", 4);
        ask(b, &op);
        assert_int_equal(op.err.code, ERR_NO_SPACE);
        assert_true(engine_next_us(b->engine) > b->now.mono_us);
        op_release(&op);
    }
    assert_int_equal(claim(b, 4), 4);
}

static void a_pause_that_was_not_stored_is_not_confirmed(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 4);
    plan_fault("store.commit:1:full");
    control_op(b, &op, "job", CONTROL_PAUSE);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    no_faults();
    /* It is stored as soon as that is possible, by itself. */
    int64_t next = engine_next_us(b->engine);
    assert_true(next < b->now.mono_us + 10 * SECOND_US);
    pass_time(b, next - b->now.mono_us);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    reopen_engine(b);
    struct job_view view = view_of(b, "job");
    assert_true(view.paused);
    job_view_release(&view);
}

static void a_failed_pause_can_be_repeated(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 4);
    plan_fault("store.commit:1:full,store.commit:2:full");
    control_op(b, &op, "job", CONTROL_PAUSE);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    control_op(b, &op, "job", CONTROL_PAUSE);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    control(b, "job", CONTROL_PAUSE);
    reopen_engine(b);
    struct job_view view = view_of(b, "job");
    assert_true(view.paused);
    job_view_release(&view);
}

static void a_repair_that_was_not_stored_is_not_confirmed(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    prepare_start(b, &op, "job");
    op.start.repair = true;
    plan_fault("store.commit:1:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    no_faults();
    prepare_start(b, &op, "job");
    op.start.repair = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(claim(b, 9), 4);
}

/* A length that is stored before the first write goes with the ledger as it is stored, not with
 * what a failed group has left in memory. */
static void a_first_write_after_a_failed_commit_stores_no_more_than_its_length(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 4);
    prepare_claim(&op, "job", 4);
    plan_fault("store.commit:1:full,store.commit:3:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    op_release(&op);
    struct settling s;
    prepare_results(&s, 0, 2);
    ask(b, &s.op); /* the second commit stores the length, the third should store the results */
    assert_int_equal(s.op.err.code, ERR_NO_SPACE);
    no_faults();
    reopen_engine(b);
    assert_int_equal(claim(b, 9), 4);
    settle(b, 0, 4);
    assert_int_equal(line_count(b, "data/out.jsonl"), 4);
}

/* What may be in somebody's hands must be known after a crash, or their results are refused. */
static void who_got_records_may_settle_them_after_a_crash(void **state)
{
    struct bench *b = *state;
    struct op one, two;
    start_lines(b, 8);
    prepare_claim(&one, "job", 2);
    prepare_claim(&two, "job", 2);
    plan_fault("store.commit:1:full");
    assert_true(STEP(b, &one, &two));
    assert_int_equal(one.err.code, ERR_NO_SPACE);
    assert_int_equal(two.err.code, ERR_NO_SPACE);
    no_faults();
    op_release(&one);
    op_release(&two);
    assert_int_equal(claim(b, 4), 4);
    reopen_engine(b);
    settle(b, 2, 2);
    assert_int_equal(counts_of(b, "job").done, 2);
}

static void the_late_result_of_a_completed_job_fails_whole(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settling_begin(&s, "job");
    settling_result(&s, 0);
    settling_add(&s, 1, true, "\"no\"");
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    for (int pass = 1; pass <= 2; pass++) {
        OWNED_MEM char *plan = faults("store.commit", pass, 1, "full");
        prepare_results(&s, 1, 1);
        plan_fault(plan);
        ask(b, &s.op);
        no_faults();
        assert_int_equal(s.op.err.code, ERR_NO_SPACE);
        struct counts c = counts_of(b, "job");
        assert_int_equal(c.done, 1);
        assert_int_equal(c.failed, 1);
        assert_int_equal(c.written, 1);
        assert_text(b, "data/out.jsonl", "{\"r\":0}\n");
    }
    settle(b, 1, 1);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n");
    pass_time(b, 10 * SECOND_US);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void one_job_whose_output_fails_does_not_fail_the_others(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("other.jsonl");
    start(b, "other");
    struct op op;
    prepare_claim(&op, "other", 2);
    ask(b, &op);
    op_release(&op);
    struct settling s, t;
    prepare_results(&s, 0, 2);
    prepare_results(&t, 0, 2);
    t.op.job.name = STR("other");
    plan_fault("sink.write:1:full");
    assert_true(STEP(b, &s.op, &t.op));
    assert_int_equal(s.op.err.code, ERR_NO_SPACE);
    assert_went_well(&t.op);
    assert_int_equal(counts_of(b, "job").done, 0);
    assert_int_equal(counts_of(b, "other").done, 2);
    reopen_engine(b);
    assert_int_equal(counts_of(b, "other").done, 2);
}

static void a_report_in_a_failed_group_tells_what_stands(void **state)
{
    struct bench *b = *state;
    struct settling s;
    struct op report;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    prepare_results(&s, 0, 2);
    prepare(&report, OP_REPORT, "job");
    plan_fault("sink.write:1:full");
    assert_true(STEP(b, &s.op, &report));
    assert_went_well(&report);
    assert_int_equal(report.report.view.done, 0);
    assert_int_equal(report.report.view.written, 0);
    op_release(&report);
}

static void a_leased_record_goes_back_to_its_lease(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    b->spec.lease_us = 60 * SECOND_US;
    start_lines(b, 3);
    prepare_claim(&op, "job", 3);
    ask(b, &op);
    assert_true(op.claim.has_lease);
    settling_begin(&s, "job");
    settling_result(&s, 0);
    settling_add(&s, 1, true, "\"no\"");
    s.op.settle.has_lease = true;
    memcpy(s.op.settle.token, op.claim.token, sizeof s.op.settle.token);
    plan_fault("store.commit:2:fail");
    ask(b, &s.op);
    assert_int_equal(s.op.err.code, ERR_STORE);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.served, 3);
    assert_int_equal(c.done, 0);
    s.op.context = NULL;
    s.op.err = (struct err){0};
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(s.op.settle.written, 1);
    assert_int_equal(s.op.settle.retried, 1);
    op_release(&op);
}

/* --- while a group is on its way to the disk ----------------------------------------------------
 */

/* Begins a step with this op; its group waits to be committed. */
static void begin(struct bench *b, struct op *op)
{
    bool pending = false;
    op->next = NULL;
    assert_true(engine_begin(b->engine, op, b->now, &pending, &b->err));
    assert_true(pending);
    assert_false(is_answered(op));
}

static void end(struct bench *b)
{
    bool pending = true;
    while (pending) {
        engine_commit(b->engine);
        assert_true(engine_finish(b->engine, b->now, &pending, &b->err));
    }
}

static void meanwhile(struct bench *b, struct op *op, int64_t max)
{
    prepare_claim(op, "job", max);
    engine_claim_meanwhile(b->engine, op, b->now);
}

static void a_claim_beside_the_last_results_is_told_of_the_end(void **state)
{
    struct bench *b = *state;
    struct settling s;
    struct op last;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    assert_int_equal(claim(b, 1), 0); /* the end of the input is known from here on */
    prepare_results(&s, 0, 2);
    begin(b, &s.op);
    meanwhile(b, &last, 1);
    assert_false(is_answered(&last));
    end(b);
    assert_true(is_answered(&last));
    assert_true(last.claim.finished);
    op_release(&last);
}

static void records_are_handed_out_while_the_disk_is_waited_for(void **state)
{
    struct bench *b = *state;
    struct settling s;
    struct op one, two;
    start_lines(b, 6);
    assert_int_equal(claim(b, 2), 2);
    prepare_results(&s, 0, 2);
    begin(b, &s.op);
    meanwhile(b, &one, 2);
    assert_went_well(&one);
    assert_int_equal(one.claim.count, 2);
    meanwhile(b, &two, 9);
    assert_int_equal(two.claim.count, 2);
    end(b);
    assert_went_well(&s.op);
    settle(b, 2, 4);
    assert_claim(b, 1, "[]");
    assert_int_equal(line_count(b, "data/out.jsonl"), 6);
    op_release(&one);
    op_release(&two);
}

static void who_meets_the_end_meanwhile_waits_for_the_commit(void **state)
{
    struct bench *b = *state;
    for (int failing = 0; failing < 2; failing++) {
        struct settling s;
        struct op op;
        if (failing)
            control(b, "job", CONTROL_REPAIR);
        else
            start_lines(b, 2);
        claim(b, 9);
        prepare_results(&s, 0, 2);
        s.op.settle.overwrite = failing;
        begin(b, &s.op);
        meanwhile(b, &op, 1);
        assert_false(is_answered(&op));
        if (failing)
            plan_fault("sink.write:1:full");
        end(b);
        no_faults();
        /* It never sees an error that is not its own. */
        assert_went_well(&op);
        assert_int_equal(op.claim.count, 0);
        op_release(&op);
    }
}

/* It would take the output in hand, which the commit may be writing. */
static void who_would_open_a_job_again_meanwhile_waits_for_the_commit(void **state)
{
    struct bench *b = *state;
    struct settling s;
    struct op op;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    assert_claim(b, 1, "[]");
    put_lines(b, "data/in.jsonl", 2, 1);
    prepare_results(&s, 0, 2); /* repeats: the job stays completed */
    begin(b, &s.op);
    meanwhile(b, &op, 1);
    assert_false(is_answered(&op));
    end(b);
    assert_went_well(&op);
    assert_true(str_is(buf_str(&op.claim.records), "[[2,{\"n\":2}]]"));
    op_release(&op);
}

static void a_failed_record_goes_out_again_when_its_failure_is_durable(void **state)
{
    struct bench *b = *state;
    struct settling s;
    struct op op;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 1, 1);
    settling_begin(&s, "job");
    settling_add(&s, 0, true, "\"no\"");
    begin(b, &s.op);
    meanwhile(b, &op, 1);
    assert_false(is_answered(&op));
    plan_fault("store.commit:1:full");
    end(b);
    assert_int_equal(s.op.err.code, ERR_NO_SPACE);
    no_faults();
    /* It was not stored that it failed; its worker may be gone, so it is served anew. */
    assert_went_well(&op);
    assert_true(str_is(buf_str(&op.claim.records), "[[0,{\"n\":0}]]"));
    assert_claim(b, 1, "[]");
    settle(b, 0, 1);
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_settlement_is_in_the_output_and_the_ledger),
        ENGINE_TEST(a_failed_group_leaves_nothing_and_can_be_repeated),
        ENGINE_TEST(the_first_write_of_a_job_can_fail_at_both_its_commits),
        ENGINE_TEST(a_failed_sync_ends_the_process),
        ENGINE_TEST(a_commit_whose_outcome_is_unknown_ends_the_process),
        ENGINE_TEST(what_is_durable_is_not_taken_back_with_what_fails_later),
        ENGINE_TEST(a_full_disk_does_not_keep_the_engine_busy),
        ENGINE_TEST(a_pause_that_was_not_stored_is_not_confirmed),
        ENGINE_TEST(a_failed_pause_can_be_repeated),
        ENGINE_TEST(a_repair_that_was_not_stored_is_not_confirmed),
        ENGINE_TEST(a_first_write_after_a_failed_commit_stores_no_more_than_its_length),
        ENGINE_TEST(who_got_records_may_settle_them_after_a_crash),
        ENGINE_TEST(the_late_result_of_a_completed_job_fails_whole),
        ENGINE_TEST(one_job_whose_output_fails_does_not_fail_the_others),
        ENGINE_TEST(a_report_in_a_failed_group_tells_what_stands),
        ENGINE_TEST(a_leased_record_goes_back_to_its_lease),
        ENGINE_TEST(a_claim_beside_the_last_results_is_told_of_the_end),
        ENGINE_TEST(records_are_handed_out_while_the_disk_is_waited_for),
        ENGINE_TEST(who_meets_the_end_meanwhile_waits_for_the_commit),
        ENGINE_TEST(who_would_open_a_job_again_meanwhile_waits_for_the_commit),
        ENGINE_TEST(a_failed_record_goes_out_again_when_its_failure_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
