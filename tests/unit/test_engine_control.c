/* What a person does to a job: pause, resume, cancel, delete, clean, repair, purge; and what the
 * engine tells of its jobs. control.c, report.c, engine_keys.c. */
#include "engine_temp.h"

static void refused_control(struct bench *b, const char *job, enum control_verb verb,
                            enum err_code code, const char *part)
{
    struct op op;
    control_op(b, &op, job, verb);
    if (op.err.code != code || !strstr(op.err.text, part))
        fail_msg("%s \"%s\"", err_name(op.err.code), op.err.text);
}

static void complete(struct bench *b, int records)
{
    assert_int_equal(claim(b, records), records);
    settle(b, 0, records);
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static bool is_paused(struct bench *b)
{
    struct job_view view = view_of(b, "job");
    bool paused = view.paused;
    job_view_release(&view);
    return paused;
}

static void every_verb_of_an_unknown_job_is_refused(void **state)
{
    struct bench *b = *state;
    for (int verb = CONTROL_PAUSE; verb < CONTROL_PURGE; verb++)
        refused_control(b, "nobody", (enum control_verb)verb, ERR_NOT_FOUND, "no job named nobody");
}

static void every_verb_asks_for_the_token(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    prepare_start(b, &op, "job");
    op.start.set_token = true;
    ask(b, &op);
    for (int verb = CONTROL_PAUSE; verb < CONTROL_PURGE; verb++)
        refused_control(b, "job", (enum control_verb)verb, ERR_FORBIDDEN, "needs its token");
    refused_control(b, "", CONTROL_PURGE, ERR_FORBIDDEN, "a purge needs the master token");
}

static void a_pause_outlives_a_restart(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    control(b, "job", CONTROL_PAUSE);
    control(b, "job", CONTROL_PAUSE); /* again is fine */
    reopen_engine(b);
    assert_true(is_paused(b));
    assert_int_equal(claim(b, 1), 0);
    control(b, "job", CONTROL_RESUME);
    control(b, "job", CONTROL_RESUME);
    assert_int_equal(claim(b, 1), 1);
}

static void an_ended_job_cannot_be_paused(void **state)
{
    struct bench *b = *state;
    start_lines(b, 1);
    complete(b, 1);
    refused_control(b, "job", CONTROL_PAUSE, ERR_CONFLICT, "job job is completed");
}

/* A paused job takes results and may so complete; more of its input is not lost behind the gate. */
static void a_job_that_completed_while_it_was_paused_can_be_resumed(void **state)
{
    struct bench *b = *state;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    assert_int_equal(claim(b, 1), 0);
    control(b, "job", CONTROL_PAUSE);
    settle(b, 0, 1);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    put_lines(b, "data/in.jsonl", 1, 1);
    assert_int_equal(claim(b, 1), 0);
    control(b, "job", CONTROL_RESUME);
    assert_int_equal(claim(b, 1), 1);
}

static void a_cancelled_job_gives_nothing_and_a_repair_brings_it_back(void **state)
{
    struct bench *b = *state;
    struct op waiting;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    prepare_claim(&waiting, "job", 1);
    waiting.claim.wait_until_us = NEVER_US;
    assert_true(STEP(b, &waiting));
    control(b, "job", CONTROL_CANCEL);
    assert_went_well(&waiting);
    assert_true(waiting.claim.finished);
    op_release(&waiting);
    control(b, "job", CONTROL_CANCEL);
    assert_int_equal(claim(b, 1), 0);
    refused_control(b, "job", CONTROL_PAUSE, ERR_CONFLICT, "is cancelled");
    reopen_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_CANCELLED);
    control(b, "job", CONTROL_REPAIR);
    assert_int_equal(claim(b, 9), 2);
}

static void a_completed_job_cannot_be_cancelled(void **state)
{
    struct bench *b = *state;
    start_lines(b, 1);
    complete(b, 1);
    refused_control(b, "job", CONTROL_CANCEL, ERR_CONFLICT,
                    "job job is completed: it cannot be cancelled");
}

static void a_deleted_job_is_gone_and_its_output_stays(void **state)
{
    struct bench *b = *state;
    struct op waiting, op;
    int64_t id;
    put_lines(b, "data/in.jsonl", 0, 1);
    id = start(b, "job");
    assert_int_equal(claim(b, 1), 1);
    settle(b, 0, 1);
    put_lines(b, "data/in.jsonl", 1, 1);
    assert_int_equal(claim(b, 1), 1);
    prepare_claim(&waiting, "job", 1);
    waiting.claim.wait_until_us = NEVER_US;
    assert_true(STEP(b, &waiting));
    assert_false(is_answered(&waiting));
    control_op(b, &op, "job", CONTROL_DELETE);
    assert_went_well(&op);
    assert_int_equal(op.control.jobs, 1);
    assert_int_equal(waiting.err.code, ERR_NOT_FOUND);
    op_release(&waiting);
    refused_control(b, "job", CONTROL_DELETE, ERR_NOT_FOUND, "no job named job");
    assert_int_equal(line_count(b, "data/out.jsonl"), 1);
    /* Its name and its output are free; its number is not given again. */
    assert_true(start(b, "job") > id);
    reopen_engine(b);
    assert_int_equal(counts_of(b, "job").known, 0);
}

static void a_job_is_deleted_in_the_middle_of_a_group(void **state)
{
    struct bench *b = *state;
    struct settling before, after;
    struct op delete, report;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    prepare_results(&before, 0, 1);
    prepare(&delete, OP_CONTROL, "job");
    delete.control.verb = CONTROL_DELETE;
    delete.control.with_output = true;
    prepare_results(&after, 1, 1);
    prepare(&report, OP_REPORT, "job");
    assert_true(STEP(b, &before.op, &delete, &after.op, &report));
    assert_went_well(&before.op);
    assert_went_well(&delete);
    assert_int_equal(after.op.err.code, ERR_NOT_FOUND);
    assert_int_equal(report.err.code, ERR_NOT_FOUND);
    assert_int_equal(access(path_of(b, "data/out.jsonl"), F_OK), -1);
}

static void a_delete_that_cannot_be_stored_leaves_the_job(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    plan_fault("store.commit:1:full");
    refused_control(b, "job", CONTROL_DELETE, ERR_NO_SPACE, "no space");
    no_faults();
    assert_int_equal(claim(b, 9), 2);
    control(b, "job", CONTROL_DELETE);
}

static void a_clean_forgets_what_is_in_flight_and_takes_the_output_away(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 4);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 1);
    control(b, "job", CONTROL_CLEAN);
    assert_int_equal(line_count(b, "data/out.jsonl"), 1);
    assert_int_equal(claim(b, 2), 2);
    prepare(&op, OP_CONTROL, "job");
    op.control.verb = CONTROL_CLEAN;
    op.control.with_output = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(access(path_of(b, "data/out.jsonl"), F_OK), -1);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.served, 0);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.written, 0);
    reopen_engine(b);
    assert_int_equal(claim(b, 9), 3);
    settle(b, 1, 3);
    assert_int_equal(line_count(b, "data/out.jsonl"), 3);
}

/* First it is stored, then it goes: what cannot be stored is not taken away. */
static void a_clean_that_cannot_be_stored_leaves_the_output(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 1);
    prepare(&op, OP_CONTROL, "job");
    op.control.verb = CONTROL_CLEAN;
    op.control.with_output = true;
    plan_fault("store.commit:1:full,store.commit:2:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    no_faults();
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n");
    settle(b, 1, 1);
    reopen_engine(b);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n");
    assert_int_equal(counts_of(b, "job").written, 2);
}

static void a_repair_serves_failed_records_only_when_it_is_told_to(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    b->spec.max_attempts = 1;
    put(b, "data/in.jsonl", "1\n{oops\n3\n");
    start(b, "job");
    assert_int_equal(claim(b, 9), 2);
    settle(b, 0, 1);
    settling_begin(&s, "job");
    settling_add(&s, 2, true, "\"no\"");
    ask(b, &s.op);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    control(b, "job", CONTROL_REPAIR);
    assert_claim(b, 1, "[]");
    put(b, "data/in.jsonl", "1\n\"ok!\"\n3\n"); /* mended in place */
    prepare(&op, OP_CONTROL, "job");
    op.control.verb = CONTROL_REPAIR;
    op.control.with_failed = true;
    ask(b, &op);
    assert_went_well(&op);
    prepare_claim(&op, "job", 9);
    ask(b, &op);
    /* The print of the input's beginning tells that it is another: no silent mixing of the two. */
    assert_int_equal(op.err.code, ERR_CONFLICT);
    op_release(&op);
    put(b, "data/in.jsonl", "1\n{oops\n3\n");
    assert_claim(b, 9, "[[2,3]]");
    assert_int_equal(counts_of(b, "job").failed, 1);
}

static void a_purge_deletes_all_jobs(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    settle(b, 0, 1);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("other.jsonl");
    start(b, "other");
    prepare(&op, OP_CONTROL, "");
    op.control.verb = CONTROL_PURGE;
    op.control.with_output = op.right.trusted = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.control.jobs, 2);
    assert_int_equal(access(path_of(b, "data/out.jsonl"), F_OK), -1);
    reopen_engine(b);
    prepare(&op, OP_LIST, "");
    ask(b, &op);
    assert_int_equal(op.list.count, 0);
    op_release(&op);
}

/* --- telling
 * -------------------------------------------------------------------------------------- */

static void jobs_are_listed_in_pages_and_by_state(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    b->spec.mode = MODE_READ;
    b->spec.sink_format = FORMAT_NONE;
    free(TAKE(b->spec.sink_path));
    for (int i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "j%d", i);
        start(b, name);
    }
    control(b, "j1", CONTROL_CANCEL);
    control(b, "j3", CONTROL_CANCEL);
    prepare(&op, OP_LIST, "");
    op.list.limit = 2;
    ask(b, &op);
    assert_int_equal(op.list.count, 2);
    assert_true(op.list.more);
    assert_string_equal(op.list.views[1].name, "j1");
    int64_t after = op.list.views[1].id;
    op_release(&op);
    prepare(&op, OP_LIST, "");
    op.list.after_id = after;
    op.list.by_state = true;
    op.list.state = JOB_CANCELLED;
    ask(b, &op);
    assert_int_equal(op.list.count, 1);
    assert_false(op.list.more);
    assert_string_equal(op.list.views[0].name, "j3");
    op_release(&op);
}

static void figures_tell_of_all_jobs(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    settle(b, 0, 1);
    prepare(&op, OP_STATS, "");
    ask(b, &op);
    assert_int_equal(op.stats.jobs, 1);
    assert_int_equal(op.stats.jobs_by_state[JOB_RUNNING], 1);
    assert_int_equal(op.stats.served_total, 3);
    assert_int_equal(op.stats.written_total, 2);
    assert_int_equal(op.stats.repeats_total, 1);
    assert_int_equal(op.stats.in_flight, 1);
    assert_int_equal(op.stats.finished_count, 0);
    op_release(&op);
    settle(b, 2, 1);
    assert_int_equal(claim(b, 1), 0);
    prepare(&op, OP_STATS, "");
    ask(b, &op);
    assert_int_equal(op.stats.finished_count, 1);
    assert_string_equal(op.stats.finished[0], "job");
    op_release(&op);
}

static void rate_and_time_left_follow_the_work(void **state)
{
    struct bench *b = *state;
    start_lines(b, 100);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(claim(b, 5), 5);
        settle(b, i * 5, 5);
        pass_time(b, SECOND_US);
    }
    struct job_view view = view_of(b, "job");
    assert_true(view.rate > 2 && view.rate < 8);
    assert_true(view.total >= 50);
    assert_true(view.eta_s > 0);
    job_view_release(&view);
    pass_time(b, 3600 * SECOND_US);
    view = view_of(b, "job");
    assert_true(view.rate == 0 && view.eta_s == -1);
    job_view_release(&view);
}

static void keys_are_made_listed_and_revoked(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare(&op, OP_KEYS, "");
    op.keys.verb = KEYS_CREATE;
    op.keys.name = "ci";
    op.keys.scopes = "read work";
    memset(op.keys.hash, 7, sizeof op.keys.hash);
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.keys.count, 1);
    assert_string_equal(op.keys.keys[0].name, "ci");
    op_release(&op);
    prepare(&op, OP_KEYS, "");
    op.keys.verb = KEYS_CREATE;
    op.keys.name = "ci";
    op.keys.scopes = "read";
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_CONFLICT);
    op_release(&op);
    prepare(&op, OP_KEYS, "");
    op.keys.verb = KEYS_REVOKE;
    op.keys.name = "nobody";
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NOT_FOUND);
    op_release(&op);
    prepare(&op, OP_KEYS, "");
    op.keys.verb = KEYS_REVOKE;
    op.keys.name = "ci";
    plan_fault("store.commit:1:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    op_release(&op);
    no_faults();
    prepare(&op, OP_KEYS, "");
    op.keys.verb = KEYS_REVOKE;
    op.keys.name = "ci";
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.keys.keys[0].revoked_at_us, b->now.wall_us);
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(every_verb_of_an_unknown_job_is_refused),
        ENGINE_TEST(every_verb_asks_for_the_token),
        ENGINE_TEST(a_pause_outlives_a_restart),
        ENGINE_TEST(an_ended_job_cannot_be_paused),
        ENGINE_TEST(a_job_that_completed_while_it_was_paused_can_be_resumed),
        ENGINE_TEST(a_cancelled_job_gives_nothing_and_a_repair_brings_it_back),
        ENGINE_TEST(a_completed_job_cannot_be_cancelled),
        ENGINE_TEST(a_deleted_job_is_gone_and_its_output_stays),
        ENGINE_TEST(a_job_is_deleted_in_the_middle_of_a_group),
        ENGINE_TEST(a_delete_that_cannot_be_stored_leaves_the_job),
        ENGINE_TEST(a_clean_forgets_what_is_in_flight_and_takes_the_output_away),
        ENGINE_TEST(a_clean_that_cannot_be_stored_leaves_the_output),
        ENGINE_TEST(a_repair_serves_failed_records_only_when_it_is_told_to),
        ENGINE_TEST(a_purge_deletes_all_jobs),
        ENGINE_TEST(jobs_are_listed_in_pages_and_by_state),
        ENGINE_TEST(figures_tell_of_all_jobs),
        ENGINE_TEST(rate_and_time_left_follow_the_work),
        ENGINE_TEST(keys_are_made_listed_and_revoked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
