/* A job is made, or started again: what is looked at, in which order, and what stays. start.c. */
#include "engine_temp.h"

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = value ? xstrdup(value) : NULL;
}

static void refused_start(struct bench *b, const char *job, enum op_refusal refusal,
                          enum err_code code, const char *part)
{
    struct op op;
    prepare_start(b, &op, job);
    ask(b, &op);
    assert_refused(&op, refusal, code, part);
}

static void start_flags(struct bench *b, struct op *op, const char *job, bool clean_start,
                        bool repair, bool force)
{
    prepare_start(b, op, job);
    op->start.clean_start = clean_start;
    op->start.repair = repair;
    op->start.force_overwrite = force;
    ask(b, op);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void a_job_is_made_and_found_again(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 1);
    int64_t id = start(b, "job");
    assert_true(id > 0);
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.id, id);
    assert_int_equal(view.state, JOB_PENDING);
    assert_int_equal(view.created_at_us, b->now.wall_us);
    assert_string_equal(view.spec.sink_path, "out.jsonl");
    job_view_release(&view);
    reopen_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_PENDING);
}

static void what_does_not_fit_together_is_refused(void **state)
{
    struct bench *b = *state;
    OWNED_MEM char *long_name = xcalloc(1, 514);
    memset(long_name, 'x', 513);
    put_lines(b, "data/in.jsonl", 0, 1);
    refused_start(b, "", REFUSED_OTHERWISE, ERR_INVALID, "1 to 512 bytes");
    refused_start(b, long_name, REFUSED_OTHERWISE, ERR_INVALID, "1 to 512 bytes");
    refused_start(b, "a\nb", REFUSED_OTHERWISE, ERR_INVALID, "control character");
    refused_start(b, "\xff", REFUSED_OTHERWISE, ERR_INVALID, "not UTF-8");
    b->spec.mode = MODE_WRITE;
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_INVALID, "no use for a source");
    set_text(&b->spec.sink_path, "in.jsonl");
    b->spec.mode = MODE_READ_WRITE;
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_INVALID, "cannot be input and output at once");
    set_text(&b->spec.sink_path, "./in.jsonl");
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_INVALID, "cannot be input and output at once");
}

/* The list of its own failures is written like an output: it must not be what it reads. */
static void an_input_that_its_error_file_would_overwrite_is_refused(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/out.jsonl.errors.jsonl", 0, 3);
    set_text(&b->spec.source_path, "out.jsonl.errors.jsonl");
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_INVALID, "would be overwritten");
    set_text(&b->spec.sink_path, "./out.jsonl");
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_INVALID, "would be overwritten");
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 3);
}

static void ends_that_are_not_there_are_refused(void **state)
{
    struct bench *b = *state;
    refused_start(b, "job", REFUSED_INPUT, ERR_NOT_FOUND, "in.jsonl");
    set_text(&b->spec.source_path, "/etc/passwd");
    refused_start(b, "job", REFUSED_INPUT, ERR_FORBIDDEN, "/etc/passwd");
    set_text(&b->spec.source_path, "in.csv");
    b->spec.source_format = FORMAT_CSV;
    put(b, "data/in.csv", "");
    refused_start(b, "job", REFUSED_INPUT, ERR_INVALID, "in.csv");
    put(b, "data/in.csv", "a,b\n1,2\n");
    set_text(&b->spec.sink_path, "away/out.jsonl");
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_NOT_FOUND, "away/out.jsonl");
    set_text(&b->spec.sink_path, "/etc/out.jsonl");
    refused_start(b, "job", REFUSED_OTHERWISE, ERR_FORBIDDEN, "/etc/out.jsonl");
    set_text(&b->spec.sink_path, "out.jsonl");
    start(b, "job");
}

static void programs_that_nobody_named_are_refused(void **state)
{
    struct bench *b = *state;
    b->spec.source_format = FORMAT_PROGRAM;
    set_text(&b->spec.source_path, NULL);
    set_text(&b->spec.source_program, "numbers");
    refused_start(b, "job", REFUSED_NO_PROGRAM, ERR_INVALID, "no reader is named numbers");
    assert_true(programs_add(b->readers, "numbers=seq 3", &b->err));
    b->spec.sink_format = FORMAT_PROGRAM;
    set_text(&b->spec.sink_path, NULL);
    set_text(&b->spec.sink_program, "counter");
    refused_start(b, "job", REFUSED_NO_PROGRAM, ERR_INVALID, "no writer is named counter");
}

/* Of several reasons the first in this order is told: token, input, output, name. */
static void refusals_come_in_their_order(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    prepare_start(b, &op, "job");
    op.start.set_token = true;
    engine_token_hash(b->engine, STR("open"), op.start.token_hash);
    ask(b, &op);
    assert_went_well(&op);

    set_text(&b->spec.source_path, "away.jsonl");
    start_flags(b, &op, "job", true, false, false);
    assert_refused(&op, REFUSED_TOKEN, ERR_FORBIDDEN, "needs its token");
    start_flags(b, &op, "job", false, true, false);
    assert_refused(&op, REFUSED_TOKEN, ERR_FORBIDDEN, "needs its token");
    refused_start(b, "job", REFUSED_INPUT, ERR_NOT_FOUND, "away.jsonl");
    set_text(&b->spec.source_path, "in.jsonl");
    refused_start(b, "job", REFUSED_OUTPUT_TAKEN, ERR_CONFLICT,
                  "out.jsonl is the output of job job (pending)");
    refused_start(b, "other", REFUSED_OUTPUT_TAKEN, ERR_CONFLICT, "output of job job");
    start_flags(b, &op, "job", false, false, true);
    assert_refused(&op, REFUSED_NAME_TAKEN, ERR_CONFLICT, "job job exists already");
    set_text(&b->spec.sink_path, "other.jsonl");
    refused_start(b, "job", REFUSED_NAME_TAKEN, ERR_CONFLICT, "job job exists already");
}

static void a_start_that_cannot_be_stored_leaves_no_job(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    prepare_start(b, &op, "job");
    plan_fault("store.commit:1:full");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    no_faults();
    prepare(&op, OP_REPORT, "job");
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_NOT_FOUND);
    start(b, "job");
}

/* --- outputs -------------------------------------------------------------------------------------
 */

static void finish(struct bench *b, const char *job, int records)
{
    struct op op;
    struct settling s;
    prepare_claim(&op, job, records);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare_results(&s, 0, records);
    s.op.job.name = str_of(job);
    ask(b, &s.op);
    assert_went_well(&s.op);
    prepare_claim(&op, job, 1);
    ask(b, &op);
    assert_true(op.claim.finished);
    op_release(&op);
}

static void an_output_is_taken_over_from_a_job_that_has_ended_only(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    start_lines(b, 2);
    start_flags(b, &op, "new", false, false, true);
    assert_refused(&op, REFUSED_OUTPUT_TAKEN, ERR_CONFLICT, "output of job job (pending)");
    finish(b, "job", 2);
    refused_start(b, "new", REFUSED_OUTPUT_TAKEN, ERR_CONFLICT, "output of job job (completed)");
    start_flags(b, &op, "new", false, false, true);
    assert_went_well(&op);
    finish(b, "new", 2);
    assert_int_equal(line_count(b, "data/out.jsonl"), 4);
    /* The first has lost it for good. */
    for (int restarts = 0; restarts < 2; restarts++) {
        prepare_results(&s, 0, 1);
        s.op.settle.overwrite = true;
        ask(b, &s.op);
        assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "the output of job job cannot be");
        reopen_engine(b);
    }
    assert_int_equal(line_count(b, "data/out.jsonl"), 4);
}

static void an_output_taken_back_by_an_earlier_job_stays_with_it(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    start_lines(b, 2);
    finish(b, "job", 2);
    start_flags(b, &op, "new", false, false, true);
    finish(b, "new", 2);
    start_flags(b, &op, "job", true, false, true);
    assert_went_well(&op);
    reopen_engine(b);
    finish(b, "job", 2);
    reopen_engine(b);
    prepare_results(&s, 0, 1);
    s.op.settle.overwrite = true;
    ask(b, &s.op);
    assert_went_well(&s.op);
    prepare_results(&s, 0, 1);
    s.op.settle.overwrite = true;
    s.op.job.name = STR("new");
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "the output of job new cannot be");
}

static void an_output_is_emptied_once_when_the_job_overwrites(void **state)
{
    struct bench *b = *state;
    put(b, "data/out.jsonl", "old\n");
    b->spec.sink_overwrite = true;
    start_lines(b, 3);
    assert_text(b, "data/out.jsonl", "old\n");
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 1);
    settle(b, 1, 1);
    reopen_engine(b);
    settle(b, 2, 1);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n");
}

static void an_output_is_appended_to_otherwise(void **state)
{
    struct bench *b = *state;
    put(b, "data/out.jsonl", "old");
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    settle(b, 0, 1);
    assert_text(b, "data/out.jsonl", "old\n{\"r\":0}\n");
}

/* --- starting again ------------------------------------------------------------------------------
 */

static void a_clean_start_forgets_what_was_done_and_leaves_the_output(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    settling_begin(&s, "job");
    settling_add(&s, 2, true, "\"no\"");
    s.op.settle.final = true;
    ask(b, &s.op);
    start_flags(b, &op, "job", true, false, false);
    assert_went_well(&op);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.state, JOB_PENDING);
    assert_int_equal(c.known + c.done + c.failed + c.written, 0);
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
    for (int restarts = 0; restarts < 2; restarts++) {
        assert_int_equal(counts_of(b, "job").known, 0);
        reopen_engine(b);
    }
    assert_int_equal(claim(b, 9), 3);
    settle(b, 0, 3);
    assert_int_equal(line_count(b, "data/out.jsonl"), 5);
}

static void a_clean_start_may_go_to_other_ends(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    put_lines(b, "data/in2.jsonl", 7, 1);
    set_text(&b->spec.source_path, "in2.jsonl");
    set_text(&b->spec.sink_path, "out2.jsonl");
    start_flags(b, &op, "job", true, false, false);
    assert_went_well(&op);
    reopen_engine(b);
    assert_claim(b, 9, "[[0,{\"n\":7}]]");
    settle(b, 0, 1);
    assert_text(b, "data/out2.jsonl", "{\"r\":0}\n");
    /* The first output is free. */
    set_text(&b->spec.sink_path, "out.jsonl");
    start(b, "other");
}

static void a_repair_serves_again_what_is_in_flight(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    start_lines(b, 4);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 1, 1);
    settling_begin(&s, "job");
    settling_add(&s, 2, true, "\"no\"");
    s.op.settle.final = true;
    ask(b, &s.op);
    start_flags(b, &op, "job", false, true, false);
    assert_went_well(&op);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.served, 0);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.failed, 1);
    assert_claim(b, 9, "[[0,{\"n\":0}],[3,{\"n\":3}]]");
    settle(b, 0, 1);
    settle(b, 3, 1);
    assert_int_equal(line_count(b, "data/out.jsonl"), 3);
}

static void a_repair_of_a_job_that_is_not_there_makes_it(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    start_flags(b, &op, "job", false, true, false);
    assert_went_well(&op);
    assert_int_equal(claim(b, 9), 1);
}

static void a_repair_goes_on_with_the_same_input_only(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    put_lines(b, "data/other.jsonl", 5, 3);
    set_text(&b->spec.source_path, "other.jsonl");
    start_flags(b, &op, "job", false, true, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "was started on another input");
    b->spec.source_format = FORMAT_CSV;
    set_text(&b->spec.source_path, "in.jsonl");
    start_flags(b, &op, "job", false, true, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "was started on another input");
    b->spec.source_format = FORMAT_JSONL;
    /* Another name of the same is fine, and so are more lines. */
    put_lines(b, "data/copy.jsonl", 0, 4);
    set_text(&b->spec.source_path, "copy.jsonl");
    start_flags(b, &op, "job", false, true, false);
    assert_went_well(&op);
    assert_int_equal(claim(b, 9), 4);
}

/* Shorter than what a print covers, and of another length than it was. */
static void a_repair_does_not_go_on_with_another_header(void **state)
{
    struct bench *b = *state;
    struct op op;
    b->spec.source_format = FORMAT_CSV;
    b->spec.csv_objects = true;
    set_text(&b->spec.source_path, "in.csv");
    put(b, "data/in.csv", "a,b\n1,x\n2,y\n");
    start(b, "job");
    assert_int_equal(claim(b, 1), 1);
    put(b, "data/in.csv", "a,ccc\n1,x\n2,y\n");
    start_flags(b, &op, "job", false, true, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT,
                   "the header of in.csv is [\"a\",\"ccc\"] now, it was [\"a\",\"b\"]");
    b->spec.csv_objects = false; /* the beginning is another all the same */
    start_flags(b, &op, "job", false, true, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "was started on another input");
    b->spec.csv_objects = true;
    put(b, "data/in.csv", "a,b\n1,x\n");
    start_flags(b, &op, "job", false, true, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "in.csv has become shorter");
    put(b, "data/in.csv", "a,b\n1,x\n2,y\n3,z\n");
    start_flags(b, &op, "job", false, true, false);
    assert_went_well(&op);
    assert_int_equal(claim(b, 9), 3);
}

static void a_repair_may_go_on_in_another_output(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    set_text(&b->spec.sink_path, "more.jsonl");
    start_flags(b, &op, "job", false, true, false);
    assert_went_well(&op);
    assert_claim(b, 9, "[[2,{\"n\":2}]]");
    settle(b, 2, 1);
    assert_text(b, "data/more.jsonl", "{\"r\":2}\n");
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
    assert_int_equal(counts_of(b, "job").written, 1);
}

static void a_new_token_comes_with_the_right_of_the_old_one(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_lines(b, "data/in.jsonl", 0, 1);
    prepare_start(b, &op, "job");
    op.start.set_token = true;
    engine_token_hash(b->engine, STR("one"), op.start.token_hash);
    ask(b, &op);
    prepare_start(b, &op, "job");
    op.start.repair = op.start.set_token = op.right.has_token = true;
    engine_token_hash(b->engine, STR("one"), op.right.token_hash);
    engine_token_hash(b->engine, STR("two"), op.start.token_hash);
    ask(b, &op);
    assert_went_well(&op);
    reopen_engine(b);
    prepare_claim(&op, "job", 1);
    op.right.has_token = true;
    engine_token_hash(b->engine, STR("one"), op.right.token_hash);
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_FORBIDDEN);
    op_release(&op);
    prepare_claim(&op, "job", 1);
    op.right.has_token = true;
    engine_token_hash(b->engine, STR("two"), op.right.token_hash);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

/* --- opening -------------------------------------------------------------------------------------
 */

static void a_state_folder_belongs_to_one_engine(void **state)
{
    struct bench *b = *state;
    struct engine *second = NULL;
    struct err err;
    OWNED_MEM char *mine = xasprintf("in use by process %ld", (long)getpid());
    assert_false(engine_open(&b->options, b->now, &second, &err));
    assert_int_equal(err.code, ERR_BUSY);
    assert_non_null(strstr(err.text, mine));
}

static void a_state_folder_that_cannot_be_made_is_told(void **state)
{
    struct bench *b = *state;
    struct engine *second = NULL;
    struct err err;
    struct engine_options options = b->options;
    options.state_dir = path_of(b, "no/such");
    assert_false(engine_open(&options, b->now, &second, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    put(b, "file", "");
    options.state_dir = path_of(b, "file");
    assert_false(engine_open(&options, b->now, &second, &err));
    assert_int_equal(err.code, ERR_IO);
}

static void a_folder_that_is_gone_does_not_keep_others_from_being_served(void **state)
{
    struct bench *b = *state;
    struct op op;
    assert_int_equal(mkdir(path_of(b, "data/sub"), 0700), 0);
    put_lines(b, "data/in.jsonl", 0, 2);
    set_text(&b->spec.sink_path, "sub/out.jsonl");
    start(b, "lost");
    set_text(&b->spec.sink_path, "out.jsonl");
    start(b, "job");
    close_engine(b);
    assert_int_equal(rmdir(path_of(b, "data/sub")), 0);
    open_engine(b);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    prepare_claim(&op, "lost", 1);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    struct settling s;
    prepare_results(&s, 0, 1);
    s.op.job.name = STR("lost");
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "its folder is gone");
}

/* --- the error file ----------------------------------------------------------------------------
 */

static void fail_all(struct bench *b, int count)
{
    struct settling s;
    assert_int_equal(claim(b, count), count);
    settling_begin(&s, "job");
    for (int i = 0; i < count; i++)
        settling_add(&s, i, true, "\"no\"");
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_went_well(&s.op);
}

static void a_file_of_the_users_own_is_no_error_file(void **state)
{
    static const char *const files[] = {"my notes\n", "{\"record\":1}\n", "\n", "[1]\n",
                                        "no line end"};
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 2);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct op op;
        put(b, "data/out.jsonl.errors.jsonl", files[i]);
        prepare_start(b, &op, "job");
        ask(b, &op);
        assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "no job has made");
        assert_text(b, "data/out.jsonl.errors.jsonl", files[i]);
    }
    put(b, "data/out.jsonl.errors.jsonl", "");
    start(b, "job");
}

static void an_earlier_jobs_error_file_is_replaced(void **state)
{
    struct bench *b = *state;
    start_lines(b, 2);
    fail_all(b, 2);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 2);
    control(b, "job", CONTROL_DELETE);
    start(b, "job");
    fail_all(b, 1);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 1);
}

static void a_job_goes_on_behind_what_it_has_listed(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 2);
    fail_all(b, 1);
    OWNED_MEM char *list = text_of(b, "data/out.jsonl.errors.jsonl");
    list[0] = '?'; /* whatever became of it */
    put(b, "data/out.jsonl.errors.jsonl", list);
    prepare_start(b, &op, "job");
    op.start.repair = true;
    ask(b, &op);
    assert_went_well(&op);
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "no job has made");
}

static void a_file_that_came_after_the_start_stays_too(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    put(b, "data/out.jsonl.errors.jsonl", "my notes\n");
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 1);
    fail_one(&s, 1, true);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "no job has made");
    assert_text(b, "data/out.jsonl.errors.jsonl", "my notes\n");
    assert_int_equal(unlink(path_of(b, "data/out.jsonl.errors.jsonl")), 0);
    fail_one(&s, 1, true);
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_job_is_made_and_found_again),
        ENGINE_TEST(what_does_not_fit_together_is_refused),
        ENGINE_TEST(an_input_that_its_error_file_would_overwrite_is_refused),
        ENGINE_TEST(ends_that_are_not_there_are_refused),
        ENGINE_TEST(programs_that_nobody_named_are_refused),
        ENGINE_TEST(refusals_come_in_their_order),
        ENGINE_TEST(a_start_that_cannot_be_stored_leaves_no_job),
        ENGINE_TEST(an_output_is_taken_over_from_a_job_that_has_ended_only),
        ENGINE_TEST(an_output_taken_back_by_an_earlier_job_stays_with_it),
        ENGINE_TEST(an_output_is_emptied_once_when_the_job_overwrites),
        ENGINE_TEST(an_output_is_appended_to_otherwise),
        ENGINE_TEST(a_clean_start_forgets_what_was_done_and_leaves_the_output),
        ENGINE_TEST(a_clean_start_may_go_to_other_ends),
        ENGINE_TEST(a_repair_serves_again_what_is_in_flight),
        ENGINE_TEST(a_repair_of_a_job_that_is_not_there_makes_it),
        ENGINE_TEST(a_repair_goes_on_with_the_same_input_only),
        ENGINE_TEST(a_repair_does_not_go_on_with_another_header),
        ENGINE_TEST(a_repair_may_go_on_in_another_output),
        ENGINE_TEST(a_new_token_comes_with_the_right_of_the_old_one),
        ENGINE_TEST(a_state_folder_belongs_to_one_engine),
        ENGINE_TEST(a_state_folder_that_cannot_be_made_is_told),
        ENGINE_TEST(a_folder_that_is_gone_does_not_keep_others_from_being_served),
        ENGINE_TEST(a_file_of_the_users_own_is_no_error_file),
        ENGINE_TEST(an_earlier_jobs_error_file_is_replaced),
        ENGINE_TEST(a_job_goes_on_behind_what_it_has_listed),
        ENGINE_TEST(a_file_that_came_after_the_start_stays_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
