/* test_engine_step_reports.c: what runs of step jobs log and measure. */
#include "step_temp.h"

static void prepare_report(struct op *op, int64_t job, int64_t fence,
                           const struct step_log_line *lines, size_t count)
{
    prepare(op, OP_STEP_REPORT, "");
    op->step_report.by = nobody;
    op->step_report.job = job;
    op->step_report.fence = fence;
    op->step_report.lines = lines;
    op->step_report.count = count;
}

static const struct step_log_line two[] = {
    {.at_us = 5, .fence = 1, .level = STEP_LOG_WARNING, .message = {"first", 5}},
    {.at_us = 6, .fence = 1, .source = STEP_LOG_STDERR, .message = {"se\0cond", 7}},
};

static void report_two(struct bench *b, int64_t job)
{
    struct op op;
    prepare_report(&op, job, 1, two, 2);
    op.step_report.metrics = STR("{\"rows\":3}");
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

static struct op_step_report_show *report_shown(struct bench *b, struct op *op, int64_t job,
                                                int64_t offset, int64_t limit)
{
    prepare(op, OP_STEP_REPORT_SHOW, "");
    op->step_report_show.by = nobody;
    op->step_report_show.job = job;
    op->step_report_show.page.offset = offset;
    op->step_report_show.page.limit = limit;
    ask(b, op);
    assert_went_well(op);
    return &op->step_report_show;
}

static int64_t running_job(struct bench *b, struct hand *hand)
{
    int64_t id = start_job(b, register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody));
    take_steps(b, hand, 1);
    return id;
}

static void what_a_run_tells_is_kept_with_its_job(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t id = running_job(b, &hand);
    assert_int_equal(report_shown(b, &op, id, 0, 10)->count, 0);
    assert_null(op.step_report_show.metrics.json);
    op_release(&op);
    report_two(b, id);
    reopen_engine(b);
    struct op_step_report_show *shown = report_shown(b, &op, id, 0, 10);
    assert_int_equal(shown->count, 2);
    assert_int_equal(shown->page.total, 2);
    assert_int_equal(shown->lines[0].level, STEP_LOG_WARNING);
    assert_int_equal(shown->lines[1].source, STEP_LOG_STDERR);
    assert_int_equal(shown->lines[1].message.len, 7);
    assert_memory_equal(shown->lines[1].message.ptr, "se\0cond", 7);
    assert_string_equal(shown->metrics.json, "{\"rows\":3}");
    assert_string_equal(shown->metrics.worker, "hand");
    op_release(&op);
    complete(b, &hand, id);
    report_two(b, id); /* its last words */
    assert_int_equal(report_shown(b, &op, id, 0, 10)->count, 4);
    op_release(&op);
    end_job(b, id, STEP_JOB_END_DELETE);
    prepare(&op, OP_STEP_REPORT_SHOW, "");
    op.step_report_show.by = nobody;
    op.step_report_show.job = id;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no step job");
    op_release(&op);
    assert_sound(b);
}

static void only_the_last_run_tells(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t id = running_job(b, &hand);
    static const int64_t fences[] = {0, -1, 2};
    for (size_t i = 0; i < sizeof fences / sizeof *fences; i++) {
        prepare_report(&op, id, fences[i], two, 2);
        ask(b, &op);
        assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "is not its last");
        op_release(&op);
    }
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    int64_t draft = edited(b, &op);
    prepare_report(&op, draft, 0, two, 2);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "");
    op_release(&op);
    prepare_report(&op, id, 1, two, 2);
    op.step_report.by = owner("other");
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "");
    op_release(&op);
    prepare(&op, OP_STEP_REPORT_SHOW, "");
    op.step_report_show.by = owner("other");
    op.step_report_show.job = id;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "");
    op_release(&op);
}

static void what_is_told_of_a_job_that_goes_is_refused(void **state)
{
    struct bench *b = *state;
    struct op report, delete;
    struct hand hand = {.count = 0};
    int64_t id = running_job(b, &hand);
    complete(b, &hand, id);
    prepare_report(&report, id, 1, two, 2);
    prepare_end(&delete, id, STEP_JOB_END_DELETE);
    assert_true(STEP(b, &report, &delete));
    assert_true(is_answered(&report));
    assert_went_well(&delete);
    op_release(&report);
    op_release(&delete);
    assert_sound(b);
}

static void a_commit_that_fails_keeps_no_line(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t id = running_job(b, &hand);
    plan_fault("store.commit:1:fail");
    prepare_report(&op, id, 1, two, 2);
    ask(b, &op);
    assert_true(op.err.code != ERR_NONE);
    op_release(&op);
    no_faults();
    assert_int_equal(report_shown(b, &op, id, 0, 10)->count, 0);
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(what_a_run_tells_is_kept_with_its_job),
        ENGINE_TEST(only_the_last_run_tells),
        ENGINE_TEST(what_is_told_of_a_job_that_goes_is_refused),
        ENGINE_TEST(a_commit_that_fails_keeps_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
