/* Records go out: in which order, to whom, and what a claim is told that finds nothing. claim.c.
 * Claims that wait are in test_engine_wait.c. */
#include "engine_temp.h"

/* --- order and amounts ------------------------------------------------------------------------ */

static void records_come_in_order_with_their_numbers(void **state)
{
    struct bench *b = *state;
    start_lines(b, 5);
    assert_claim(b, 2, "[[0,{\"n\":0}],[1,{\"n\":1}]]");
    assert_claim(b, 2, "[[2,{\"n\":2}],[3,{\"n\":3}]]");
    assert_claim(b, 2, "[[4,{\"n\":4}]]");
    assert_claim(b, 2, "[]");
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
}

static void what_came_back_goes_out_first(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 6);
    assert_int_equal(claim(b, 4), 4);
    settling_begin(&s, "job");
    settling_add(&s, 3, true, "\"no\"");
    settling_add(&s, 1, true, "\"no\"");
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_claim(b, 3, "[[1,{\"n\":1}],[3,{\"n\":3}],[4,{\"n\":4}]]");
    assert_claim(b, 3, "[[5,{\"n\":5}]]");
}

static void nothing_is_taken_for_nothing(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    assert_claim(b, 0, "[]");
    assert_claim(b, -7, "[]");
    assert_int_equal(counts_of(b, "job").served, 0);
}

static void an_answer_ends_at_its_cap_but_has_one_record(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 9);
    for (int64_t cap = 0; cap < 3; cap++) {
        prepare_claim(&op, "job", 9);
        op.claim.max_bytes = cap;
        ask(b, &op);
        assert_went_well(&op);
        assert_int_equal(op.claim.count, 1);
        assert_true(json_check(buf_str(&op.claim.records), NULL, NULL));
        op_release(&op);
    }
    prepare_claim(&op, "job", 9);
    op.claim.max_bytes = 20;
    ask(b, &op);
    assert_int_equal(op.claim.count, 2);
    op_release(&op);
    /* The same for what came back. */
    control(b, "job", CONTROL_REPAIR);
    prepare_claim(&op, "job", 9);
    op.claim.max_bytes = 0;
    ask(b, &op);
    assert_int_equal(op.claim.count, 1);
    op_release(&op);
}

static void a_claim_of_an_absurd_size_gets_what_there_is(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, INT64_MAX), 3);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void a_claim_is_refused_where_there_is_nothing_to_claim(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare_claim(&op, "nobody", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "no job named nobody");
    op_release(&op);
    prepare_claim(&op, "", 1);
    op.job.id = 77;
    ask(b, &op);
    assert_refused(&op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "no job 77");
    op_release(&op);
    b->spec.mode = MODE_WRITE;
    b->spec.source_format = FORMAT_NONE;
    free(TAKE(b->spec.source_path));
    start(b, "job");
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_WRITE_ONLY, ERR_CONFLICT, "job job only takes results");
    op_release(&op);
}

static void a_job_with_a_token_takes_only_its_token(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 3);
    prepare_start(b, &op, "job");
    op.start.set_token = true;
    engine_token_hash(b->engine, STR("open sesame"), op.start.token_hash);
    ask(b, &op);
    assert_went_well(&op);
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_TOKEN, ERR_FORBIDDEN, "needs its token");
    op_release(&op);
    prepare_claim(&op, "job", 1);
    op.right.has_token = true;
    engine_token_hash(b->engine, STR("sesame"), op.right.token_hash);
    ask(b, &op);
    assert_refused(&op, REFUSED_TOKEN, ERR_FORBIDDEN, "needs its token");
    op_release(&op);
    reopen_engine(b); /* hashes are kept under the same secret */
    prepare_claim(&op, "job", 1);
    op.right.has_token = true;
    engine_token_hash(b->engine, STR("open sesame"), op.right.token_hash);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare_claim(&op, "job", 1);
    op.right.trusted = true;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

static void a_server_that_asks_for_keys_closes_jobs_without_tokens_too(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    prepare_claim(&op, "job", 1);
    op.right.strict = true;
    ask(b, &op);
    assert_refused(&op, REFUSED_TOKEN, ERR_FORBIDDEN, "needs its token");
    op_release(&op);
}

static void an_input_that_is_gone_or_another_is_told(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    reopen_engine(b);
    put(b, "data/in.jsonl", "{\"n\":\"another\"}\n{\"n\":\"another\"}\n{\"n\":\"another\"}\n");
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "is not the file that job job was");
    op_release(&op);
    assert_int_equal(unlink(path_of(b, "data/in.jsonl")), 0);
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "in.jsonl");
    op_release(&op);
    put_lines(b, "data/in.jsonl", 0, 3);
    assert_int_equal(claim(b, 9), 3);
}

static void a_record_that_was_changed_after_it_came_back_is_told_once(void **state)
{
    struct bench *b = *state;
    struct op op;
    put(b, "data/in.jsonl", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    start(b, "job");
    assert_int_equal(claim(b, 3), 3);
    control(b, "job", CONTROL_REPAIR);
    assert_claim(b, 1, "[[0,{\"n\":0}]]");
    /* What is behind the print changes under the reader's hands. */
    put(b, "data/in.jsonl", "{\"n\":0}\n");
    prepare_claim(&op, "job", 3);
    ask(b, &op);
    assert_int_not_equal(op.err.code, ERR_NONE);
    op_release(&op);
    put(b, "data/in.jsonl", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    assert_claim(b, 3, "[[1,{\"n\":1}],[2,{\"n\":2}]]");
}

/* --- bad lines ---------------------------------------------------------------------------------
 */

static void bad_lines_are_counted_listed_and_keep_their_numbers(void **state)
{
    struct bench *b = *state;
    put(b, "data/in.jsonl", "1\n{oops\n\n\"\xff\"\n2\n");
    start(b, "job");
    assert_claim(b, 9, "[[0,1],[4,2]]");
    settle(b, 0, 1);
    settle(b, 4, 1);
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.bad, 3);
    assert_int_equal(view.failed, 3);
    assert_string_equal(view.errors_path, "out.jsonl.errors.jsonl");
    int fd;
    assert_true(engine_open_errors(b->engine, &view, &fd, &b->err));
    close(fd);
    job_view_release(&view);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 3);
    assert_text_has(b, "data/out.jsonl.errors.jsonl",
                    "{\"record\":1,\"kind\":\"unreadable\",\"reason\":");
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "\"file\":\"in.jsonl\",\"line\":4,");
    assert_claim(b, 9, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_job_without_failures_has_no_error_file(void **state)
{
    struct bench *b = *state;
    int fd;
    start_lines(b, 1);
    struct job_view view = view_of(b, "job");
    assert_null(view.errors_path);
    assert_false(engine_open_errors(b->engine, &view, &fd, &b->err));
    assert_int_equal(b->err.code, ERR_NOT_FOUND);
    job_view_release(&view);
}

/* So many bad lines that their list must be written before the next good record is found. */
static void a_long_stretch_of_bad_lines_does_not_pile_up(void **state)
{
    enum { BAD = 20000 };
    struct bench *b = *state;
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < BAD; i++)
        buf_add_text(&text, "{oops\n");
    buf_add_text(&text, "{\"n\":1}\n");
    put_bytes(b, "data/in.jsonl", O_TRUNC, text.data, text.len);
    buf_release(&text);
    start(b, "job");
    assert_claim(b, 5, "[[20000,{\"n\":1}]]");
    assert_int_equal(counts_of(b, "job").failed, BAD);
    settle(b, BAD, 1);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), BAD);
}

static void a_stretch_of_bad_lines_that_cannot_be_listed_is_told_who_asked(void **state)
{
    enum { BAD = 20000 };
    struct bench *b = *state;
    struct op op;
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < BAD; i++)
        buf_add_text(&text, "{oops\n");
    put_bytes(b, "data/in.jsonl", O_TRUNC, text.data, text.len);
    buf_release(&text);
    start(b, "job");
    prepare_claim(&op, "job", 5);
    plan_fault("sink.write:1:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    op_release(&op);
    no_faults();
    assert_int_equal(claim(b, 5), 0);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), BAD);
}

static void marking_far_ahead_lists_bad_lines_as_it_goes(void **state)
{
    enum { BAD = 20000 };
    struct bench *b = *state;
    struct settling s;
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < BAD; i++)
        buf_add_text(&text, "{oops\n");
    buf_add_text(&text, "1\n2\n");
    put_bytes(b, "data/in.jsonl", O_TRUNC, text.data, text.len);
    buf_release(&text);
    start(b, "job");
    settling_begin(&s, "job");
    settling_add(&s, BAD, true, "\"no\"");
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), BAD + 1);
    assert_claim(b, 5, "[[20001,2]]");
}

/* --- the end, and what is behind it ------------------------------------------------------------
 */

static void an_unfinished_last_line_is_told_and_served_when_it_is_whole(void **state)
{
    struct bench *b = *state;
    put(b, "data/in.jsonl", "{\"n\":0}\n{\"n\":");
    start(b, "job");
    assert_claim(b, 9, "[[0,{\"n\":0}]]");
    assert_claim(b, 9, "[]");
    struct job_view view = view_of(b, "job");
    assert_non_null(view.tail);
    assert_non_null(strstr(view.tail, "line 2: "));
    job_view_release(&view);
    put_more(b, "data/in.jsonl", "1}\n");
    assert_claim(b, 9, "[[1,{\"n\":1}]]");
    view = view_of(b, "job");
    assert_null(view.tail);
    job_view_release(&view);
}

static void a_claim_after_the_end_is_told_that_it_is_finished(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    prepare_claim(&op, "job", 2);
    ask(b, &op);
    assert_false(op.claim.finished); /* they are still in flight */
    op_release(&op);
    settle(b, 0, 2);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    prepare_claim(&op, "job", 2);
    ask(b, &op);
    assert_true(op.claim.finished);
    op_release(&op);
}

static void lines_appended_to_a_completed_jobs_input_open_it_again(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    assert_claim(b, 2, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    put_lines(b, "data/in.jsonl", 2, 1);
    assert_claim(b, 2, "[[2,{\"n\":2}]]");
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
    settle(b, 2, 1);
    assert_claim(b, 2, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_int_equal(line_count(b, "data/out.jsonl"), 3);
}

/* Claims on a completed job come all day; they must not read the whole input each time. */
static void a_completed_jobs_compressed_input_is_read_again_only_when_it_grew(void **state)
{
    struct bench *b = *state;
    gzip_more(b, "data/in.jsonl.gz", "wb", 0, 50000);
    free(b->spec.source_path);
    b->spec.source_path = xstrdup("in.jsonl.gz");
    start(b, "job");
    assert_int_equal(claim(b, 50000), 50000);
    for (int64_t i = 0; i < 50000; i += 50)
        settle(b, i, 50);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    for (int restarts = 0; restarts < 2; restarts++) {
        assert_claim(b, 1, "[]"); /* after a restart it must look once */
        /* The first bytes of the input are compared; whatever is read beyond fails. */
        for (int again = 0; again < 2; again++) {
            plan_fault("file.read:2:fail");
            assert_claim(b, 1, "[]");
        }
        no_faults();
        reopen_engine(b);
    }
    assert_claim(b, 1, "[]");
    gzip_more(b, "data/in.jsonl.gz", "ab", 50000, 1);
    assert_claim(b, 2, "[[50000,{\"n\":50000}]]");
}

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_completed_job_lets_go_of_what_a_claim_has_looked_at(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    assert_claim(b, 2, "[]");
    int files = open_files();
    assert_claim(b, 2, "[]");
    assert_int_equal(open_files(), files);
    reopen_engine(b);
    assert_claim(b, 2, "[]");
    assert_int_equal(open_files(), files);
}

/* --- attempts -----------------------------------------------------------------------------------
 */

static void fail_records(struct bench *b, int64_t first, int count)
{
    struct settling s;
    settling_begin(&s, "job");
    for (int i = 0; i < count; i++)
        settling_add(&s, first + i, true, "\"no\"");
    ask(b, &s.op);
    assert_went_well(&s.op);
}

static void the_last_attempt_is_made_alone(void **state)
{
    struct bench *b = *state;
    b->spec.max_attempts = 2;
    start_lines(b, 4);
    assert_int_equal(claim(b, 3), 3);
    fail_records(b, 0, 3);
    assert_claim(b, 9, "[[0,{\"n\":0}]]");
    assert_claim(b, 9, "[[1,{\"n\":1}]]");
    fail_records(b, 0, 1);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.failed, 1);
    assert_text_has(b, "data/out.jsonl.errors.jsonl",
                    "{\"record\":0,\"kind\":\"failed\",\"reason\":\"no\",\"file\":\"in.jsonl\","
                    "\"attempts\":2,");
    /* Attempts outlive a restart. */
    reopen_engine(b);
    assert_claim(b, 9, "[[1,{\"n\":1}]]");
    assert_claim(b, 9, "[[2,{\"n\":2}]]");
    assert_claim(b, 9, "[[3,{\"n\":3}]]");
}

static void with_one_attempt_all_go_together(void **state)
{
    struct bench *b = *state;
    b->spec.max_attempts = 1;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    fail_records(b, 0, 2);
    assert_int_equal(counts_of(b, "job").failed, 2);
    control(b, "job", CONTROL_REPAIR);
    assert_int_equal(claim(b, 4), 2);
}

/* --- reading alone ------------------------------------------------------------------------------
 */

static void what_a_reading_job_has_handed_out_is_stored(void **state)
{
    struct bench *b = *state;
    b->spec.mode = MODE_READ;
    b->spec.sink_format = FORMAT_NONE;
    free(TAKE(b->spec.sink_path));
    start_lines(b, 4);
    assert_int_equal(claim(b, 3), 3);
    reopen_engine(b);
    assert_int_equal(counts_of(b, "job").served, 3);
    assert_claim(b, 9, "[[3,{\"n\":3}]]");
    assert_claim(b, 9, "[]");
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
    control(b, "job", CONTROL_REPAIR);
    assert_int_equal(claim(b, 9), 4);
}

static void a_reading_job_that_cannot_store_hands_out_nothing(void **state)
{
    struct bench *b = *state;
    struct op op;
    b->spec.mode = MODE_READ;
    b->spec.sink_format = FORMAT_NONE;
    free(TAKE(b->spec.sink_path));
    b->spec.lease_us = 60 * SECOND_US;
    start_lines(b, 4);
    prepare_claim(&op, "job", 2);
    plan_fault("store.commit:1:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    op_release(&op);
    no_faults();
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.served, 0);
    assert_int_equal(c.unread, 2);
    assert_int_equal(claim(b, 9), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(records_come_in_order_with_their_numbers),
        ENGINE_TEST(what_came_back_goes_out_first),
        ENGINE_TEST(nothing_is_taken_for_nothing),
        ENGINE_TEST(an_answer_ends_at_its_cap_but_has_one_record),
        ENGINE_TEST(a_claim_of_an_absurd_size_gets_what_there_is),
        ENGINE_TEST(a_claim_is_refused_where_there_is_nothing_to_claim),
        ENGINE_TEST(a_job_with_a_token_takes_only_its_token),
        ENGINE_TEST(a_server_that_asks_for_keys_closes_jobs_without_tokens_too),
        ENGINE_TEST(an_input_that_is_gone_or_another_is_told),
        ENGINE_TEST(a_record_that_was_changed_after_it_came_back_is_told_once),
        ENGINE_TEST(bad_lines_are_counted_listed_and_keep_their_numbers),
        ENGINE_TEST(a_job_without_failures_has_no_error_file),
        ENGINE_TEST(a_long_stretch_of_bad_lines_does_not_pile_up),
        ENGINE_TEST(a_stretch_of_bad_lines_that_cannot_be_listed_is_told_who_asked),
        ENGINE_TEST(marking_far_ahead_lists_bad_lines_as_it_goes),
        ENGINE_TEST(an_unfinished_last_line_is_told_and_served_when_it_is_whole),
        ENGINE_TEST(a_claim_after_the_end_is_told_that_it_is_finished),
        ENGINE_TEST(lines_appended_to_a_completed_jobs_input_open_it_again),
        ENGINE_TEST(a_completed_jobs_compressed_input_is_read_again_only_when_it_grew),
        ENGINE_TEST(a_completed_job_lets_go_of_what_a_claim_has_looked_at),
        ENGINE_TEST(the_last_attempt_is_made_alone),
        ENGINE_TEST(with_one_attempt_all_go_together),
        ENGINE_TEST(what_a_reading_job_has_handed_out_is_stored),
        ENGINE_TEST(a_reading_job_that_cannot_store_hands_out_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
