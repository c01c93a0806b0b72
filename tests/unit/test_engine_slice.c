/* A long way through one job's input keeps no other job waiting: reading goes in slices.
 * data_job_reader.c, claim.c, settle.c. */
#include "engine_temp.h"

#include "io/source.h"

enum { LINES = 200000 };

/* Reading pauses wherever it can. */
static void slice_finely(struct bench *b)
{
    b->options.slice_bytes = 1;
    reopen_engine(b);
}

static void read_from(struct bench *b, const char *path)
{
    free(b->spec.source_path);
    b->spec.source_path = xstrdup(path);
}

/* A second job, whose claims are answered in one step whatever the first is about. */
static void start_other(struct bench *b)
{
    put(b, "data/other.jsonl", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    read_from(b, "other.jsonl");
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("other-out.jsonl");
    start(b, "other");
}

static void assert_other_is_served(struct bench *b)
{
    struct op op;
    prepare_claim(&op, "other", 1);
    assert_true(STEP(b, &op));
    assert_went_well(&op);
    assert_int_equal(op.claim.count, 1);
    op_release(&op);
}

/* Steps until the op is answered; how many that took. */
static int steps_until(struct bench *b, const struct op *op)
{
    int steps = 0;
    for (; !is_answered(op); steps++) {
        assert_int_equal(engine_next_us(b->engine), 0);
        pass_time(b, 1);
    }
    return steps;
}

static void a_line_that_is_far_too_long_keeps_nobody_else_waiting(void **state)
{
    struct bench *b = *state;
    struct op op;
    char filler[1 << 20];
    memset(filler, 'x', sizeof filler);
    gzFile f = gzopen(path_of(b, "data/in.jsonl.gz"), "wb1");
    for (int i = 0; i < (SOURCE_LINE_MAX >> 20) + 4; i++)
        assert_int_equal(gzwrite(f, filler, sizeof filler), sizeof filler);
    assert_int_equal(gzputs(f, "\n1\n"), 3);
    assert_int_equal(gzclose(f), Z_OK);
    read_from(b, "in.jsonl.gz");
    start(b, "job");
    start_other(b);
    prepare_claim(&op, "job", 5); /* it is not told that there is nothing, either */
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    assert_other_is_served(b);
    assert_true(steps_until(b, &op) > 5);
    assert_true(str_is(buf_str(&op.claim.records), "[[1,1]]"));
    op_release(&op);
    assert_int_equal(counts_of(b, "job").failed, 1);
}

static void prepare_mark(struct settling *s, int64_t record)
{
    settling_begin(s, "job");
    settling_add(s, record, true, "\"no\"");
    s->op.settle.final = true;
}

static void marking_far_ahead_keeps_nobody_else_waiting(void **state)
{
    struct bench *b = *state;
    struct settling far, near;
    slice_finely(b);
    start_lines(b, LINES);
    start_other(b);
    prepare_mark(&far, LINES - 1);
    prepare_mark(&near, LINES - 2);
    assert_true(STEP(b, &far.op, &near.op));
    assert_false(is_answered(&far.op));
    assert_other_is_served(b);
    assert_true(steps_until(b, &far.op) > 3);
    steps_until(b, &near.op);
    assert_went_well(&far.op);
    assert_went_well(&near.op);
    assert_int_equal(counts_of(b, "job").failed, 2);
    assert_int_equal(counts_of(b, "job").unread, LINES - 2);
    assert_int_equal(engine_next_us(b->engine), NEVER_US);
}

static void marking_behind_the_end_is_refused_in_the_end(void **state)
{
    struct bench *b = *state;
    struct settling far;
    slice_finely(b);
    start_lines(b, LINES);
    prepare_mark(&far, LINES);
    assert_true(STEP(b, &far.op));
    steps_until(b, &far.op);
    assert_refused(&far.op, REFUSED_NEVER_SERVED, ERR_INVALID, "never served");
}

static void who_marks_far_ahead_is_told_when_the_job_goes(void **state)
{
    struct bench *b = *state;
    struct settling far;
    slice_finely(b);
    start_lines(b, LINES);
    prepare_mark(&far, LINES - 1);
    assert_true(STEP(b, &far.op));
    control(b, "job", CONTROL_DELETE);
    assert_refused(&far.op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "deleted");
    start(b, "job");
    prepare_mark(&far, LINES - 1);
    assert_true(STEP(b, &far.op));
    control(b, "job", CONTROL_CANCEL);
    steps_until(b, &far.op);
    assert_refused(&far.op, REFUSED_OTHERWISE, ERR_CONFLICT, "cancelled");
    start_other(b);
    prepare_mark(&far, 1);
    close_engine(b);
    open_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_CANCELLED);
}

static void who_marks_far_ahead_is_told_when_the_server_stops(void **state)
{
    struct bench *b = *state;
    struct settling far;
    slice_finely(b);
    start_lines(b, LINES);
    prepare_mark(&far, LINES - 1);
    assert_true(STEP(b, &far.op));
    close_engine(b);
    assert_refused(&far.op, REFUSED_OTHERWISE, ERR_BUSY, "stopping");
    open_engine(b);
}

static void claim_all(struct bench *b)
{
    for (int64_t got = 0; got < LINES;)
        got += claim(b, LINES);
}

/* What is given out is no reason for a pause. */
static void a_large_claim_is_answered_whole(void **state)
{
    struct bench *b = *state;
    gzip_more(b, "data/in.jsonl.gz", "wb", 0, LINES);
    read_from(b, "in.jsonl.gz");
    b->options.slice_bytes = 1 << 20;
    reopen_engine(b);
    start(b, "job");
    struct op op;
    prepare_claim(&op, "job", LINES);
    op.claim.max_bytes = INT64_C(1) << 30;
    ask(b, &op);
    assert_int_equal(op.claim.count, LINES);
    op_release(&op);
}

/* What came back lies at the beginning and the end of a compressed input. */
static void what_came_back_from_far_apart_is_read_in_slices(void **state)
{
    struct bench *b = *state;
    struct op op;
    slice_finely(b);
    gzip_more(b, "data/in.jsonl.gz", "wb", 0, LINES);
    read_from(b, "in.jsonl.gz");
    start(b, "job");
    claim_all(b);
    for (int64_t first = 5; first < LINES - 1; first += 50)
        settle(b, first, first + 50 < LINES - 1 ? 50 : (int)(LINES - 1 - first));
    for (int restarts = 0; restarts < 2; restarts++) {
        reopen_engine(b);
        start_other(b);
        prepare_claim(&op, "job", 5);
        ask(b, &op);
        assert_int_equal(op.claim.count, 5);
        op_release(&op);
        prepare_claim(&op, "job", 5);
        assert_true(STEP(b, &op));
        assert_false(is_answered(&op));
        assert_other_is_served(b);
        steps_until(b, &op);
        assert_int_equal(op.claim.count, 1);
        op_release(&op);
        control(b, "other", CONTROL_DELETE);
    }
    assert_claim(b, 1, "[]");
    settle(b, 0, 5);
    settle(b, LINES - 1, 1);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_int_equal(line_count(b, "data/out.jsonl"), LINES);
}

/* Its end is far away, and nobody may be left to ask for it. */
static void a_compressed_input_with_nothing_left_completes_by_itself(void **state)
{
    struct bench *b = *state;
    slice_finely(b);
    gzip_more(b, "data/in.jsonl.gz", "wb", 0, LINES);
    read_from(b, "in.jsonl.gz");
    start(b, "job");
    start_other(b);
    claim_all(b);
    for (int64_t first = 0; first < LINES; first += 50)
        settle(b, first, 50);
    reopen_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
    assert_other_is_served(b);
    int steps = 0;
    for (; engine_next_us(b->engine) != NEVER_US; steps++) {
        assert_int_equal(engine_next_us(b->engine), 0);
        pass_time(b, 1);
    }
    assert_true(steps > 3);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_paused_job_s_look_waits_with_it(void **state)
{
    struct bench *b = *state;
    struct op op;
    slice_finely(b);
    gzip_more(b, "data/in.jsonl.gz", "wb", 0, LINES);
    read_from(b, "in.jsonl.gz");
    start(b, "job");
    struct settling mark;
    prepare_mark(&mark, LINES - 1);
    ask(b, &mark.op);
    assert_went_well(&mark.op);
    reopen_engine(b);
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    op_release(&op);
    control(b, "job", CONTROL_REPAIR);
    prepare_claim(&op, "job", LINES);
    op.claim.max_bytes = INT64_C(1) << 30;
    op.claim.wait_until_us = b->now.mono_us + SECOND_US;
    control(b, "job", CONTROL_PAUSE);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    pass_time(b, 2 * SECOND_US);
    assert_went_well(&op);
    assert_int_equal(op.claim.count, 0);
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_line_that_is_far_too_long_keeps_nobody_else_waiting),
        ENGINE_TEST(marking_far_ahead_keeps_nobody_else_waiting),
        ENGINE_TEST(marking_behind_the_end_is_refused_in_the_end),
        ENGINE_TEST(who_marks_far_ahead_is_told_when_the_job_goes),
        ENGINE_TEST(who_marks_far_ahead_is_told_when_the_server_stops),
        ENGINE_TEST(a_large_claim_is_answered_whole),
        ENGINE_TEST(what_came_back_from_far_apart_is_read_in_slices),
        ENGINE_TEST(a_compressed_input_with_nothing_left_completes_by_itself),
        ENGINE_TEST(a_paused_job_s_look_waits_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
