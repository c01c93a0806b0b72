/* Results in the order of their records: early ones wait, are durable meanwhile, and go out once.
 * order.c. */
#include "engine_temp.h"

static void start_ordered(struct bench *b, int lines)
{
    b->spec.ordered = true;
    b->spec.max_attempts = 2;
    start_lines(b, lines);
    assert_int_equal(claim(b, lines), lines);
}

static void assert_out(struct bench *b, const char *numbers)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (; *numbers; numbers++)
        buf_add_format(&text, "{\"r\":%c}\n", *numbers);
    buf_add(&text, "", 1);
    assert_text(b, "data/out.jsonl", text.data);
    buf_release(&text);
}

static void settle_each(struct bench *b, const char *numbers)
{
    for (; *numbers; numbers++)
        settle(b, *numbers - '0', 1);
}

static void fail_now(struct bench *b, int64_t record, bool final)
{
    struct settling s;
    fail_one(&s, record, final);
    ask(b, &s.op);
    assert_went_well(&s.op);
}

static void an_early_result_waits_for_those_before_it(void **state)
{
    struct bench *b = *state;
    start_ordered(b, 6);
    settle_each(b, "31");
    assert_out(b, "");
    settle_each(b, "0");
    assert_out(b, "01");
    settle_each(b, "5");
    assert_out(b, "01");
    settle_each(b, "2");
    assert_out(b, "0123");
    assert_int_equal(counts_of(b, "job").written, 6 - 1);
    settle_each(b, "4");
    assert_out(b, "012345");
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void one_settlement_may_bring_them_in_any_order(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_ordered(b, 5);
    settling_begin(&s, "job");
    for (const char *at = "3104"; *at; at++)
        settling_result(&s, *at - '0');
    ask(b, &s.op);
    assert_settled(&s, 4, 0, 0, 0);
    assert_out(b, "01");
    settle(b, 2, 1);
    assert_out(b, "01234");
}

static void what_was_acknowledged_early_outlives_a_crash(void **state)
{
    struct bench *b = *state;
    start_ordered(b, 5);
    settle_each(b, "421");
    reopen_engine(b);
    assert_out(b, "");
    /* It is a repeat when it comes again, and is not served again. */
    struct settling s;
    prepare_results(&s, 2, 1);
    ask(b, &s.op);
    assert_settled(&s, 0, 1, 0, 0);
    assert_claim(b, 5, "[[0,{\"n\":0}],[3,{\"n\":3}]]");
    settle_each(b, "0");
    assert_out(b, "012");
    reopen_engine(b);
    assert_claim(b, 5, "[[3,{\"n\":3}]]");
    settle_each(b, "3");
    assert_out(b, "01234");
    reopen_engine(b);
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_out(b, "01234");
}

static void failed_skipped_and_bad_records_leave_no_gap(void **state)
{
    struct bench *b = *state;
    put(b, "data/in.jsonl", "{\"n\":0}\nbad\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    b->spec.ordered = true;
    start(b, "job");
    assert_int_equal(claim(b, 5), 4);
    settle_each(b, "4");
    fail_now(b, 3, true);
    struct settling s;
    settling_begin(&s, "job");
    s.entries[0] = (struct settle_entry){.record = 2, .skipped = true};
    s.op.settle.count = 1;
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_out(b, "");
    settle_each(b, "0");
    assert_out(b, "04");
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_record_that_is_tried_again_holds_the_line(void **state)
{
    struct bench *b = *state;
    start_ordered(b, 3);
    fail_now(b, 0, false);
    settle_each(b, "12");
    assert_out(b, "");
    assert_claim(b, 3, "[[0,{\"n\":0}]]");
    assert_out(b, "");
    settle_each(b, "0");
    assert_out(b, "012");
}

static void its_last_failure_lets_the_others_go(void **state)
{
    struct bench *b = *state;
    start_ordered(b, 3);
    fail_now(b, 0, false);
    settle_each(b, "12");
    assert_int_equal(claim(b, 3), 1);
    fail_now(b, 0, false);
    assert_out(b, "12");
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_lease_that_ends_on_the_last_attempt_lets_them_go(void **state)
{
    struct bench *b = *state;
    struct op op;
    b->spec.ordered = true;
    b->spec.max_attempts = 1;
    put_lines(b, "data/in.jsonl", 0, 3);
    start(b, "job");
    claim_leased(b, &op, 1, 10);
    op_release(&op);
    assert_int_equal(claim(b, 2), 2);
    settle_each(b, "12");
    assert_out(b, "");
    pass_time(b, 11 * SECOND_US);
    assert_out(b, "12");
}

static void what_failed_and_is_repaired_comes_late(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_ordered(b, 4);
    fail_now(b, 1, true);
    settle_each(b, "02");
    assert_out(b, "02");
    prepare(&op, OP_CONTROL, "job");
    op.control.verb = CONTROL_REPAIR;
    op.control.with_failed = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_claim(b, 9, "[[1,{\"n\":1}],[3,{\"n\":3}]]");
    settle_each(b, "3");
    assert_out(b, "02");
    settle_each(b, "1");
    assert_out(b, "0213");
}

static void only_so_much_is_held(void **state)
{
    struct bench *b = *state;
    close_engine(b);
    b->options.held_records = 3;
    open_engine(b);
    b->spec.ordered = true;
    put_lines(b, "data/in.jsonl", 0, 20);
    start(b, "job");
    assert_int_equal(claim(b, 8), 8);
    settle_each(b, "567");
    /* Full: nothing new, but what comes back before the first that waits. */
    assert_claim(b, 8, "[]");
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
    control(b, "job", CONTROL_REPAIR);
    assert_claim(b, 2, "[[0,{\"n\":0}],[1,{\"n\":1}]]");
    assert_claim(b, 9, "[[2,{\"n\":2}],[3,{\"n\":3}],[4,{\"n\":4}]]");
    /* Who waits is served as soon as they have gone out. */
    struct op op;
    prepare_claim(&op, "job", 1);
    op.claim.wait_until_us = NEVER_US;
    assert_true(STEP(b, &op));
    settle_each(b, "3124");
    assert_false(is_answered(&op));
    assert_true(engine_next_us(b->engine) == NEVER_US);
    settle_each(b, "0");
    assert_true(is_answered(&op));
    assert_true(str_is(buf_str(&op.claim.records), "[[8,{\"n\":8}]]"));
    op_release(&op);
    assert_out(b, "01234567");
}

static void large_results_are_bounded_by_their_bytes(void **state)
{
    struct bench *b = *state;
    const size_t len = 8 << 20;
    start_ordered(b, 12);
    put_lines(b, "data/in.jsonl", 12, 2);
    OWNED_MEM char *line = xcalloc(1, len + 3);
    memset(line, 'x', len);
    line[0] = line[len - 1] = '"';
    line[len] = '\n';
    for (int i = 1; i < 12; i++) {
        struct settle_entry entry = {.record = i, .len = (uint32_t)len + 1};
        struct op op;
        prepare(&op, OP_SETTLE, "job");
        op.settle.entries = &entry;
        op.settle.count = 1;
        op.settle.lines = line;
        ask(b, &op);
        assert_went_well(&op);
        if (i == 7 || i == 8)
            assert_int_equal(claim(b, 1), i == 7 ? 1 : 0);
    }
    settle_each(b, "0");
    assert_int_equal(line_count(b, "data/out.jsonl"), 12);
    assert_int_equal(claim(b, 1), 1);
}

static void a_group_that_fails_is_taken_back_and_done_again(void **state)
{
    static const char *const plans[] = {"sink.write:1:full", "store.commit:1:fail"};
    struct bench *b = *state;
    start_ordered(b, 6);
    settle_each(b, "2");
    for (size_t i = 0; i < 2; i++) {
        struct settling s;
        prepare_results(&s, 0, 2);
        settling_result(&s, 4);
        plan_fault(plans[i]);
        ask(b, &s.op);
        no_faults();
        assert_int_not_equal(s.op.err.code, ERR_NONE);
        assert_out(b, "");
        assert_int_equal(claim(b, 9), 3);
    }
    settle_each(b, "014");
    assert_out(b, "012");
    settle_each(b, "35");
    assert_out(b, "012345");
    reopen_engine(b);
    assert_int_equal(claim(b, 1), 0);
    assert_out(b, "012345");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_refused_settlement_leaves_nothing_behind(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.sink_format = FORMAT_CSV;
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    start_ordered(b, 4);
    settling_begin(&s, "job");
    settling_add(&s, 0, false, "{\"a\":0}");
    ask(b, &s.op);
    assert_settled(&s, 1, 0, 0, 0);
    settling_begin(&s, "job");
    settling_add(&s, 2, false, "{\"a\":2}");
    settling_add(&s, 3, false, "{\"b\":3}");
    ask(b, &s.op);
    assert_int_equal(s.op.err.code, ERR_INVALID);
    settling_begin(&s, "job");
    settling_add(&s, 1, false, "{\"a\":1}");
    ask(b, &s.op);
    assert_settled(&s, 1, 0, 0, 0);
    assert_text(b, "data/out.csv", "a\n0\n1\n");
}

/* Before the columns are known only their turn tells what fits. */
static void what_does_not_fit_when_its_turn_comes_has_failed(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.sink_format = FORMAT_CSV;
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    start_ordered(b, 3);
    const char *const lines[] = {"{\"a\":0}", "{\"b\":1}", "{\"a\":2}"};
    for (int64_t i = 2; i >= 0; i--) {
        settling_begin(&s, "job");
        settling_add(&s, i, false, lines[i]);
        ask(b, &s.op);
        assert_settled(&s, 1, 0, 0, 0);
    }
    assert_text(b, "data/out.csv", "a\n0\n2\n");
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.written, 2);
    assert_int_equal(claim(b, 1), 0);
    assert_text_has(b, "data/out.csv.errors.jsonl", "\"record\":1,\"kind\":\"failed\"");
}

static void a_clean_start_forgets_what_is_held(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_ordered(b, 3);
    settle_each(b, "21");
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(claim(b, 3), 3);
    settle_each(b, "0");
    assert_out(b, "0");
    reopen_engine(b);
    assert_int_equal(claim(b, 3), 2);
}

static void what_is_held_keeps_its_order_when_the_job_gives_it_up(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_ordered(b, 4);
    settle_each(b, "2");
    b->spec.ordered = false;
    prepare_start(b, &op, "job");
    op.start.repair = true;
    ask(b, &op);
    assert_went_well(&op);
    reopen_engine(b);
    assert_int_equal(claim(b, 4), 3);
    settle_each(b, "10");
    assert_out(b, "012");
    reopen_engine(b);
    assert_int_equal(claim(b, 4), 1);
    settle_each(b, "3");
    assert_out(b, "0123");
}

static void an_overwriting_result_is_written_at_once(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_ordered(b, 3);
    settle_each(b, "2");
    prepare_results(&s, 2, 1);
    s.op.settle.overwrite = true;
    ask(b, &s.op);
    assert_settled(&s, 1, 0, 0, 0);
    assert_out(b, "2");
    settle_each(b, "01");
    assert_out(b, "2012");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(an_early_result_waits_for_those_before_it),
        ENGINE_TEST(one_settlement_may_bring_them_in_any_order),
        ENGINE_TEST(what_was_acknowledged_early_outlives_a_crash),
        ENGINE_TEST(failed_skipped_and_bad_records_leave_no_gap),
        ENGINE_TEST(a_record_that_is_tried_again_holds_the_line),
        ENGINE_TEST(its_last_failure_lets_the_others_go),
        ENGINE_TEST(a_lease_that_ends_on_the_last_attempt_lets_them_go),
        ENGINE_TEST(what_failed_and_is_repaired_comes_late),
        ENGINE_TEST(only_so_much_is_held),
        ENGINE_TEST(large_results_are_bounded_by_their_bytes),
        ENGINE_TEST(a_group_that_fails_is_taken_back_and_done_again),
        ENGINE_TEST(a_refused_settlement_leaves_nothing_behind),
        ENGINE_TEST(what_does_not_fit_when_its_turn_comes_has_failed),
        ENGINE_TEST(a_clean_start_forgets_what_is_held),
        ENGINE_TEST(what_is_held_keeps_its_order_when_the_job_gives_it_up),
        ENGINE_TEST(an_overwriting_result_is_written_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
