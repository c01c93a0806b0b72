/* Results and failures come in: what is written, what is refused, what stays after an
 * end. settle.c. Leases are in test_engine_lease.c; what happens when a write fails is in
 * test_engine_group.c. */
#include "engine_temp.h"

/* --- results ------------------------------------------------------------------------------------
 */

static void results_are_written_in_the_order_they_come(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settling_begin(&s, "job");
    settling_result(&s, 2);
    settling_result(&s, 0);
    ask(b, &s.op);
    assert_settled(&s, 2, 0, 0, 0);
    assert_text(b, "data/out.jsonl", "{\"r\":2}\n{\"r\":0}\n");
}

static void the_same_result_again_is_a_repeat(void **state)
{
    struct bench *b = *state;
    struct settling s, t;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settling_begin(&s, "job");
    settling_result(&s, 0);
    settling_result(&s, 0); /* within one request */
    prepare_results(&t, 0, 2);
    assert_true(STEP(b, &s.op, &t.op)); /* and within one group */
    assert_settled(&s, 1, 1, 0, 0);
    assert_settled(&t, 1, 1, 0, 0);
    prepare_results(&t, 0, 2);
    reopen_engine(b); /* and after a restart */
    ask(b, &t.op);
    assert_settled(&t, 0, 2, 0, 0);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n");
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.repeats, 4);
    assert_int_equal(view.written, 2);
    job_view_release(&view);
}

static void overwrite_writes_again(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    prepare_results(&s, 0, 1);
    s.op.settle.overwrite = true;
    ask(b, &s.op);
    assert_settled(&s, 1, 0, 0, 0);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":0}\n");
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.done, 2);
    assert_int_equal(c.written, 3);
}

static void a_job_that_allows_repeats_writes_them(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.allow_repeats = true;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    settle(b, 0, 1);
    prepare_results(&s, 0, 1);
    ask(b, &s.op);
    assert_settled(&s, 1, 0, 0, 0);
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
}

static void a_writing_job_takes_whatever_comes(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.mode = MODE_WRITE;
    b->spec.source_format = FORMAT_NONE;
    free(TAKE(b->spec.source_path));
    start(b, "job");
    settling_begin(&s, "job");
    settling_result(&s, 7);
    settling_result(&s, 7);
    settling_result(&s, -1);
    ask(b, &s.op);
    assert_settled(&s, 3, 0, 0, 0);
    assert_text(b, "data/out.jsonl", "{\"r\":7}\n{\"r\":7}\n{\"r\":-1}\n");
    plan_fault("sink.write:1:full");
    prepare_results(&s, 1, 1);
    ask(b, &s.op);
    assert_int_equal(s.op.err.code, ERR_NO_SPACE);
    no_faults();
    assert_int_equal(counts_of(b, "job").written, 3);
    reopen_engine(b);
    settle(b, 8, 1);
    assert_int_equal(line_count(b, "data/out.jsonl"), 4);
}

/* A job that only writes has no records to fail: what is told of them is kept in its error file. */
static void failures_told_to_a_writing_job_are_listed(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.mode = MODE_WRITE;
    b->spec.source_format = FORMAT_NONE;
    free(TAKE(b->spec.source_path));
    start(b, "job");
    settling_begin(&s, "job");
    settling_add(&s, 3, true, "");
    s.entries[0].len = 0;
    settling_add(&s, 4, true, "\"no\"");
    settling_result(&s, 5);
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_settled(&s, 1, 0, 2, 0);
    assert_text(b, "data/out.jsonl", "{\"r\":5}\n");
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 2);
    settling_begin(&s, "job");
    settling_add(&s, 3, true, "\"no\"");
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    struct job_view view = view_of(b, "job");
    assert_string_equal(view.errors_path, "out.jsonl.errors.jsonl");
    job_view_release(&view);
}

static void an_empty_settlement_goes_well(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 1);
    settling_begin(&s, "job");
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 0, 0);
    assert_int_equal(access(path_of(b, "data/out.jsonl"), F_OK), -1);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void a_record_that_was_never_served_is_refused_and_nothing_written(void **state)
{
    static const int64_t numbers[] = {2, 4, 9, 70000, INT64_C(1) << 50, -1};
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 5);
    assert_int_equal(claim(b, 2), 2);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        settling_begin(&s, "job");
        settling_result(&s, 0);
        settling_result(&s, numbers[i]);
        ask(b, &s.op);
        assert_refused(&s.op, REFUSED_NEVER_SERVED, ERR_INVALID, "was never served");
        assert_true(s.op.refused_record == numbers[i]);
    }
    assert_int_equal(counts_of(b, "job").done, 0);
    assert_int_equal(access(path_of(b, "data/out.jsonl"), F_OK), -1);
}

/* A line that could not be read has a number and has failed, but nobody was served it. That does
 * not keep a late result of a record that has failed in somebody's hands. */
static void a_line_that_could_not_be_read_takes_no_result(void **state)
{
    struct bench *b = *state;
    struct settling s;
    put(b, "data/in.jsonl", "{\"n\":0}\noops\n{\"n\":2}\n{\"n\":3}\n");
    b->spec.ordered = true;
    start(b, "job");
    assert_int_equal(claim(b, 9), 3);
    fail_one(&s, 3, true);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    settle(b, 0, 1);
    settle(b, 2, 1);
    for (int i = 0; i < 2; i++) {
        settling_begin(&s, "job");
        settling_result(&s, 3);
        settling_result(&s, 1);
        ask(b, &s.op);
        assert_refused(&s.op, REFUSED_NEVER_SERVED, ERR_INVALID, "record 1 was never served");
        assert_int_equal(counts_of(b, "job").failed, 2);
        reopen_engine(b); /* the same after a restart */
    }
    fail_one(&s, 1, false); /* it has: that is no news */
    ask(b, &s.op);
    assert_settled(&s, 0, 1, 0, 0);
    settle(b, 3, 1);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":2}\n{\"r\":3}\n");
    assert_int_equal(counts_of(b, "job").failed, 1);
}

static void results_are_refused_where_nothing_can_take_them(void **state)
{
    struct bench *b = *state;
    struct settling s;
    put_lines(b, "data/in.jsonl", 0, 2);
    b->spec.sink_format = FORMAT_NONE;
    free(TAKE(b->spec.sink_path));
    start(b, "job");
    assert_int_equal(claim(b, 2), 2);
    prepare_results(&s, 0, 1);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_NO_WRITER, ERR_CONFLICT, "job job has no output");
    settling_begin(&s, "job");
    s.op.settle.results_only = true; /* even when there are none */
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_NO_WRITER, ERR_CONFLICT, "no output");
    fail_one(&s, 0, true);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    b->spec.mode = MODE_READ;
    start(b, "reading");
    prepare_results(&s, 0, 1);
    s.op.job.name = STR("reading");
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_READ_ONLY, ERR_CONFLICT, "job reading only reads");
    prepare_results(&s, 0, 1);
    s.op.job.name = STR("nobody");
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "nobody");
}

static void a_cancelled_job_takes_nothing(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    control(b, "job", CONTROL_CANCEL);
    prepare_results(&s, 0, 1);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "job job is cancelled");
}

static void a_paused_job_takes_results(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    control(b, "job", CONTROL_PAUSE);
    settle(b, 0, 2);
    assert_int_equal(counts_of(b, "job").done, 2);
}

/* What a sink refuses leaves no trace of its request, not of the results before it either. */
static void a_result_that_does_not_fit_refuses_its_whole_request(void **state)
{
    struct bench *b = *state;
    struct settling s, t;
    struct op leased;
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    b->spec.sink_format = FORMAT_CSV;
    start_lines(b, 6);
    claim_leased(b, &leased, 6, 30);
    settling_begin(&t, "job");
    settling_add(&t, 0, false, "[1,2]");
    with_lease(&t, &leased);
    settling_begin(&s, "job");
    settling_add(&s, 1, false, "[3,4]");
    settling_add(&s, 2, true, "\"no\"");
    settling_add(&s, 3, false, "17");
    settling_add(&s, 4, false, "[5,6]");
    with_lease(&s, &leased);
    assert_true(STEP(b, &t.op, &s.op));
    assert_settled(&t, 1, 0, 0, 0);
    assert_int_equal(s.op.err.code, ERR_INVALID);
    assert_non_null(strstr(s.op.err.text, "record 3: "));
    assert_int_equal(s.op.refused_record, 3);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.done, 1);
    assert_int_equal(c.served, 5);
    assert_text(b, "data/out.csv", "1,2\n");
    /* The lease still holds them all. */
    settling_begin(&s, "job");
    for (int i = 1; i < 6; i++)
        settling_add(&s, i, false, "[7,8]");
    with_lease(&s, &leased);
    ask(b, &s.op);
    assert_settled(&s, 5, 0, 0, 0);
    op_release(&leased);
}

/* --- failures -----------------------------------------------------------------------------------
 */

static void a_failed_record_is_tried_again_until_its_attempts_are_used_up(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.max_attempts = 3;
    start_lines(b, 1);
    for (int attempt = 1; attempt <= 3; attempt++) {
        assert_int_equal(claim(b, 1), 1);
        fail_one(&s, 0, false);
        ask(b, &s.op);
        assert_settled(&s, 0, 0, attempt == 3, attempt < 3);
    }
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 1);
}

static void a_final_failure_is_final(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 1), 1);
    fail_one(&s, 0, true);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    fail_one(&s, 1, true); /* never served: it will not be */
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    assert_claim(b, 9, "[]");
    assert_int_equal(counts_of(b, "job").failed, 2);
}

/* Its worker asks again, since the answer got lost: that costs no second attempt. */
static void the_same_failure_again_is_a_repeat(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.max_attempts = 2;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    settling_begin(&s, "job");
    settling_add(&s, 0, true, "\"no\"");
    settling_add(&s, 0, true, "\"no\"");
    ask(b, &s.op);
    assert_settled(&s, 0, 1, 0, 1);
    fail_one(&s, 0, false);
    ask(b, &s.op);
    assert_settled(&s, 0, 1, 0, 0);
    assert_int_equal(claim(b, 1), 1);
    fail_one(&s, 0, false);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    fail_one(&s, 0, false);
    ask(b, &s.op);
    assert_settled(&s, 0, 1, 0, 0);
}

static void a_record_that_is_done_cannot_fail_but_marks_before_it_stay(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 1, 1);
    settling_begin(&s, "job");
    settling_add(&s, 0, true, "\"no\"");
    settling_add(&s, 1, true, "\"no\"");
    settling_add(&s, 2, true, "\"no\"");
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_ALREADY_DONE, ERR_CONFLICT, "record 1 is done already");
    assert_int_equal(s.op.refused_record, 1);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.served, 1);
    reopen_engine(b);
    assert_int_equal(counts_of(b, "job").failed, 1);
}

static void a_failures_reason_is_told_in_the_error_file(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settling_begin(&s, "job");
    settling_add(&s, 0, true, "\"zw\\u00f6lf\"");
    settling_add(&s, 1, true, "");
    s.entries[1].len = 0;
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 2, 0);
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "\"reason\":\"zw\\u00f6lf\",");
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "\"reason\":\"marked by its worker\",");
}

static void a_late_result_of_a_failed_record_is_taken(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    fail_one(&s, 0, true);
    ask(b, &s.op);
    settle(b, 0, 2);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.failed, 0);
    assert_int_equal(c.done, 2);
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
}

/* Whoever only marks errors needs no output that can be written. */
static void failures_need_no_output(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 1);
    reopen_engine(b);
    assert_int_equal(claim(b, 2), 1);
    close_engine(b);
    assert_int_equal(unlink(path_of(b, "data/out.jsonl")), 0);
    open_engine(b);
    fail_one(&s, 1, true);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    prepare_results(&s, 1, 1);
    ask(b, &s.op);
    assert_int_not_equal(s.op.err.code, ERR_NONE);
}

/* --- after an end, after a restart
 * ---------------------------------------------------------------- */

static void a_late_result_opens_a_completed_job_and_completes_it_again(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 1);
    fail_one(&s, 1, true);
    ask(b, &s.op);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    settle(b, 1, 1);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
}

/* The output of a job that has ended is its owner's, who may go on with it. */
static void what_was_added_to_the_output_after_the_end_stays(void **state)
{
    struct bench *b = *state;
    for (int restarts = 0; restarts < 2; restarts++) {
        OWNED_MEM char *name = xasprintf("out%d.jsonl", restarts);
        OWNED_MEM char *path = xasprintf("data/%s", name);
        free(b->spec.sink_path);
        b->spec.sink_path = xstrdup(name);
        unlink(path_of(b, "data/in.jsonl"));
        if (restarts)
            control(b, "job", CONTROL_DELETE);
        start_lines(b, 2);
        assert_int_equal(claim(b, 2), 2);
        settle(b, 0, 2);
        assert_claim(b, 1, "[]");
        put_more(b, path, "my own\n");
        if (restarts)
            reopen_engine(b);
        assert_claim(b, 1, "[]");
        put_lines(b, "data/in.jsonl", 2, 1);
        assert_claim(b, 1, "[[2,{\"n\":2}]]");
        reopen_engine(b);
        settle(b, 2, 1);
        assert_text(b, path, "{\"r\":0}\n{\"r\":1}\nmy own\n{\"r\":2}\n");
    }
}

static void workers_of_before_a_crash_may_settle_what_they_hold(void **state)
{
    struct bench *b = *state;
    start_lines(b, 6);
    assert_int_equal(claim(b, 6), 6);
    settle(b, 5, 1);
    reopen_engine(b);
    settle(b, 3, 2);
    assert_claim(b, 9, "[[0,{\"n\":0}],[1,{\"n\":1}],[2,{\"n\":2}]]");
}

static void an_output_of_before_a_crash_is_cut_back_to_what_was_acknowledged(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 1);
    close_engine(b);
    put_more(b, "data/out.jsonl", "{\"r\":1}\n{\"r\"");
    open_engine(b);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n");
    settle(b, 1, 2);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(results_are_written_in_the_order_they_come),
        ENGINE_TEST(the_same_result_again_is_a_repeat),
        ENGINE_TEST(overwrite_writes_again),
        ENGINE_TEST(a_job_that_allows_repeats_writes_them),
        ENGINE_TEST(a_writing_job_takes_whatever_comes),
        ENGINE_TEST(failures_told_to_a_writing_job_are_listed),
        ENGINE_TEST(an_empty_settlement_goes_well),
        ENGINE_TEST(a_record_that_was_never_served_is_refused_and_nothing_written),
        ENGINE_TEST(a_line_that_could_not_be_read_takes_no_result),
        ENGINE_TEST(results_are_refused_where_nothing_can_take_them),
        ENGINE_TEST(a_cancelled_job_takes_nothing),
        ENGINE_TEST(a_paused_job_takes_results),
        ENGINE_TEST(a_result_that_does_not_fit_refuses_its_whole_request),
        ENGINE_TEST(a_failed_record_is_tried_again_until_its_attempts_are_used_up),
        ENGINE_TEST(a_final_failure_is_final),
        ENGINE_TEST(the_same_failure_again_is_a_repeat),
        ENGINE_TEST(a_record_that_is_done_cannot_fail_but_marks_before_it_stay),
        ENGINE_TEST(a_failures_reason_is_told_in_the_error_file),
        ENGINE_TEST(a_late_result_of_a_failed_record_is_taken),
        ENGINE_TEST(failures_need_no_output),
        ENGINE_TEST(a_late_result_opens_a_completed_job_and_completes_it_again),
        ENGINE_TEST(what_was_added_to_the_output_after_the_end_stays),
        ENGINE_TEST(workers_of_before_a_crash_may_settle_what_they_hold),
        ENGINE_TEST(an_output_of_before_a_crash_is_cut_back_to_what_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
