/* test_engine_steps.c: steps, step jobs and artifacts in the engine. */
#include "step_temp.h"

/* --- steps --- */

static void a_step_is_registered_once(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t id = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_REGISTER;
    op.steps.manifest = STR(STEP_MANIFEST("add", "1.0.0"));
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "already");
    op_release(&op);
    op.steps.same_is_fine = true;
    op.steps.verb = STEPS_REGISTER;
    op.steps.manifest = STR(" " STEP_MANIFEST("add", "1.0.0"));
    op.err = (struct err){0};
    op.done = count_answer;
    ask(b, &op);
    assert_went_well(&op);
    assert_true(op.steps.existing);
    assert_int_equal(op.steps.views[0].step->id, id);
    op_release(&op);
    reopen_engine(b);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_SHOW;
    op.steps.name = STR("add");
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.steps.views[0].step->id, id);
    assert_string_equal(op.steps.views[0].step->manifest.text, STEP_MANIFEST("add", "1.0.0"));
    op_release(&op);
}

static void a_name_means_the_highest_current_version(void **state)
{
    struct bench *b = *state;
    struct op op;
    register_step(b, STEP_MANIFEST("add", "9.0.0"), nobody);
    int64_t best = register_step(b, STEP_MANIFEST("add", "10.0.0"), nobody);
    register_step(b, STEP_MANIFEST("add", "11.0.0-beta"), nobody);
    int64_t old = register_step(b, STEP_MANIFEST("add", "12.0.0"), nobody);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_EDIT;
    op.steps.id = old;
    op.steps.sets = STEP_SETS_DEPRECATION;
    op.steps.deprecation = STR("wrong");
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_SHOW;
    op.steps.name = STR("add");
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.steps.views[0].step->id, best);
    op_release(&op);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_LIST;
    op.steps.list.limit = 10;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.steps.total, 4);
    assert_int_equal(op.steps.views[0].step->id, old);
    assert_string_equal(op.steps.views[3].step->manifest.version, "9.0.0");
    op_release(&op);
}

/* --- jobs --- */

static void a_job_is_configured_bit_by_bit_and_runs(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    int64_t data = add_artifact(b, "a.csv", "1,2\n");
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    int64_t id = edited(b, &op);
    assert_job_state(b, id, JOB_DRAFT);
    prepare_edit(&op, id, STEP_JOB_SETS_STEP);
    op.step_job_edit.step = step;
    edited(b, &op);
    assert_job_state(b, id, JOB_DRAFT);
    prepare_edit(&op, id, STEP_JOB_SETS_PARAMETERS);
    op.step_job_edit.parameters = STR("{\"x\":5}");
    struct step_fill_ask fill = {.slot = -1, .name = STR("data"), .ids = &data, .count = 1};
    op.step_job_edit.fills = &fill;
    op.step_job_edit.fill_count = 1;
    edited(b, &op);
    assert_job_state(b, id, JOB_READY);
    reopen_engine(b);
    assert_job_state(b, id, JOB_READY);
    prepare_edit(&op, id, STEP_JOB_STARTS);
    edited(b, &op);
    assert_job_state(b, id, JOB_PENDING);
    assert_int_equal(take(b, &(struct hand){.count = 0}, 1), 0);
    assert_int_equal(take_steps(b, &hand, 1), 1);
    assert_int_equal(hand.ids[0], id);
    assert_job_state(b, id, JOB_RUNNING);
    reopen_engine(b);
    assert_job_state(b, id, JOB_RUNNING);
    complete(b, &hand, id);
    const struct step_job_view *view = job_shown(b, &op, id);
    assert_int_equal(view->job->state, JOB_COMPLETED);
    assert_string_equal(view->job->result, "{\"r\":1}");
    assert_string_equal(view->job->worker, "hand");
    assert_non_null(strstr(view->job->arguments, "\"parameters\":{\"x\":5,\"y\":2}"));
    assert_non_null(strstr(view->job->arguments, "\"inputs\":{\"data\":[{\"id\""));
    assert_int_equal(view->input_count, 1);
    assert_int_equal(view->inputs[0]->used, 1);
    assert_true(view->job->ended_at_us > 0);
    op_release(&op);
    reopen_engine(b);
    assert_job_state(b, id, JOB_COMPLETED);
    assert_sound(b);
}

/* What a draft lacks is still missing when it was read from the store again. */
static void a_draft_that_is_read_again_has_its_empty_slots(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t step = register_step(
        b,
        "{\"function_name\":\"copy\",\"version\":\"1\",\"parameters\":{\"type\":\"object\"},"
        "\"input_dataslots\":[{\"name\":\"a\",\"minSlots\":1,\"maxSlots\":1},"
        "{\"name\":\"b\",\"minSlots\":1,\"maxSlots\":1}]}",
        nobody);
    int64_t data = add_artifact(b, "a.csv", "1,2\n");
    prepare_edit(&op, 0, STEP_JOB_SETS_STEP);
    op.step_job_edit.step = step;
    int64_t id = edited(b, &op);
    for (int64_t slot = 0; slot < 2; slot++) {
        reopen_engine(b);
        const struct step_job_view *view = job_shown(b, &op, id);
        assert_int_equal(view->job->input_count, 2);
        op_release(&op);
        prepare_edit(&op, id, STEP_JOB_SETS_PARAMETERS);
        op.step_job_edit.parameters = STR("{}");
        edited(b, &op);
        assert_job_state(b, id, JOB_DRAFT);
        prepare_edit(&op, id, STEP_JOB_STARTS);
        ask(b, &op);
        assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "has 0 of 1 artifacts");
        op_release(&op);
        struct step_fill_ask fill = {.slot = slot, .ids = &data, .count = 1};
        prepare_edit(&op, id, 0);
        op.step_job_edit.fills = &fill;
        op.step_job_edit.fill_count = 1;
        edited(b, &op);
    }
    assert_job_state(b, id, JOB_READY);
    assert_sound(b);
}

static void a_rapid_set_up_is_all_or_nothing(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody), none = 999;
    static const struct {
        const char *parameters;
        enum err_code code;
        const char *said;
        bool with_input;
    } rows[] = {
        {"{\"x\":\"a\"}", ERR_INVALID, "parameters.x: expected an integer", false},
        {"{\"z\":1}", ERR_INVALID, "no such member", false},
        {"{}", ERR_CONFLICT, "the parameter \"x\" is not configured", false},
        {"{\"x\":1}", ERR_NOT_FOUND, "no artifact 999", true},
    };
    struct step_fill_ask fill = {.slot = 0, .ids = &none, .count = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        prepare_edit(&op, 0, STEP_JOB_SETS_STEP | STEP_JOB_SETS_PARAMETERS | STEP_JOB_STARTS);
        op.step_job_edit.step = step;
        op.step_job_edit.parameters = str_of(rows[i].parameters);
        op.step_job_edit.fills = &fill;
        op.step_job_edit.fill_count = rows[i].with_input;
        ask(b, &op);
        assert_refused(&op, REFUSED_OTHERWISE, rows[i].code, rows[i].said);
        op_release(&op);
    }
    prepare(&op, OP_STEP_JOBS, "");
    op.step_jobs.page = (struct step_page){.limit = 10, .descending = true};
    op.step_jobs.wants_total = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.step_jobs.count, 0);
    assert_int_equal(op.step_jobs.total, 0);
    op_release(&op);
    assert_int_equal(take_steps(b, &(struct hand){.count = 0}, 1), 0);
}

static void a_started_job_is_not_configured_any_more(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    int64_t id = start_job(b, step);
    static const unsigned sets[] = {STEP_JOB_SETS_STEP, STEP_JOB_SETS_PARAMETERS,
                                    STEP_JOB_SETS_OPTIONS, STEP_JOB_STARTS};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        prepare_edit(&op, id, sets[i]);
        op.step_job_edit.step = step;
        ask(b, &op);
        assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "");
        op_release(&op);
    }
    prepare_edit(&op, id, STEP_JOB_SETS_TAGS | STEP_JOB_SETS_NAME | STEP_JOB_SETS_HIDDEN);
    op.step_job_edit.tags = &(struct str){"a = b", 5};
    op.step_job_edit.tag_count = 1;
    op.step_job_edit.hidden = true;
    edited(b, &op);
    assert_string_equal(job_shown(b, &op, id)->job->tags.items[0], "a=b");
    op_release(&op);
    prepare_end(&op, id, STEP_JOB_END_DELETE);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "cancel it first");
}

static void a_failure_and_its_retry_are_the_jobs_too(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t id = start_job(b, register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody));
    take_steps(b, &hand, 1);
    fail_task(b, &hand, id, false);
    const struct step_job_view *view = job_shown(b, &op, id);
    assert_int_equal(view->job->state, JOB_FAILED);
    assert_non_null(strstr(view->job->error, "\"message\":\"no\""));
    op_release(&op);
    assert_int_equal(control_tasks(b, TASK_RETRY, (struct task_filter){.ids = &id, .id_count = 1}),
                     1);
    assert_job_state(b, id, JOB_PENDING);
    take_steps(b, &hand, 1);
    assert_job_state(b, id, JOB_RUNNING);
    complete(b, &hand, id);
    view = job_shown(b, &op, id);
    assert_int_equal(view->job->state, JOB_COMPLETED);
    assert_null(view->job->error);
    op_release(&op);
    assert_sound(b);
}

static void a_job_is_cancelled_or_said_to_have_failed(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    int64_t waits = start_job(b, step), other = start_job(b, step);
    end_job(b, waits, STEP_JOB_END_CANCEL);
    assert_job_state(b, waits, JOB_CANCELLED);
    end_job(b, other, STEP_JOB_END_FAIL);
    assert_job_state(b, other, JOB_FAILED);
    assert_non_null(strstr(job_shown(b, &op, other)->job->error, "somebody says so"));
    op_release(&op);
    int64_t runs = start_job(b, step);
    assert_int_equal(take_steps(b, &hand, 5), 1);
    end_job(b, runs, STEP_JOB_END_FAIL);
    assert_job_state(b, runs, JOB_FAILED);
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    int64_t draft = edited(b, &op);
    prepare_end(&op, draft, STEP_JOB_END_FAIL);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "neither waits nor runs");
    end_job(b, draft, STEP_JOB_END_CANCEL);
    assert_job_state(b, draft, JOB_CANCELLED);
    assert_sound(b);
}

/* --- artifacts --- */

static void refused_to_delete_artifact(struct bench *b, int64_t id, const char *said)
{
    struct op op;
    prepare_artifact_edit(&op, id, ARTIFACT_DELETES);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, said);
    op_release(&op);
}

static void delete_artifact(struct bench *b, int64_t id)
{
    struct op op;
    prepare_artifact_edit(&op, id, ARTIFACT_DELETES);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

static void what_is_an_input_stays(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    int64_t data[2] = {add_artifact(b, "a", "1"), add_artifact(b, "b", "2")};
    struct step_fill_ask fill = {.slot = 0, .ids = data, .count = 2};
    prepare_edit(&op, 0, STEP_JOB_SETS_STEP);
    op.step_job_edit.step = step;
    op.step_job_edit.fills = &fill;
    op.step_job_edit.fill_count = 1;
    int64_t id = edited(b, &op);
    refused_to_delete_artifact(b, data[0], "is an input of 1 jobs");
    fill.count = 1;
    prepare_edit(&op, id, 0);
    op.step_job_edit.fills = &fill;
    op.step_job_edit.fill_count = 1;
    edited(b, &op);
    delete_artifact(b, data[1]);
    end_job(b, id, STEP_JOB_END_DELETE);
    delete_artifact(b, data[0]);
    assert_sound(b);
}

/* Puts an output of a run; its id, 0 when it was refused. */
static int64_t put_output(struct bench *b, int64_t job, int64_t fence, const char *bytes)
{
    struct op op;
    struct blob_pin *pin = prepare_artifact(b, &op, "", bytes);
    op.artifact_add.job = job;
    op.artifact_add.fence = fence;
    op.artifact_add.slot_name = STR("plot");
    ask(b, &op);
    int64_t id = op.err.code == ERR_NONE ? op.artifact_add.artifact->id : 0;
    if (!id)
        assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "is over");
    blob_pin_free(pin, id != 0);
    op_release(&op);
    return id;
}

static void outputs_are_put_by_the_run_that_goes_on(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t id = start_job(b, register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody));
    assert_int_equal(put_output(b, id, 1, "early"), 0);
    take_steps(b, &hand, 1);
    int64_t first = put_output(b, id, 1, "one");
    assert_true(first > 0);
    int64_t second = put_output(b, id, 1, "two");
    const struct step_job_view *view = job_shown(b, &op, id);
    assert_int_equal(view->output_count, 1);
    assert_int_equal(view->outputs[0]->id, second);
    assert_string_equal(view->outputs[0]->media_type, "image/png");
    assert_string_equal(view->outputs[0]->name, "plot");
    op_release(&op);
    assert_int_equal(put_output(b, id, 2, "another run"), 0);
    complete(b, &hand, id);
    assert_int_equal(put_output(b, id, 1, "late"), 0);
    prepare_end(&op, id, STEP_JOB_END_DELETE);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "has 1 outputs");
    reopen_engine(b);
    prepare_edit(&op, id, STEP_JOB_SETS_OUTPUT_DELETABLE);
    edited(b, &op);
    refused_to_delete_artifact(b, second, "not deletable");
    prepare_edit(&op, id, STEP_JOB_SETS_OUTPUT_DELETABLE);
    op.step_job_edit.output_deletable = true;
    edited(b, &op);
    delete_artifact(b, second);
    end_job(b, id, STEP_JOB_END_DELETE);
    prepare(&op, OP_STEP_JOB_SHOW, "");
    op.step_job_show.id = id;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no step job");
    assert_sound(b);
}

static void outputs_of_runs_before_go_with_the_end(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    prepare_edit(&op, 0,
                 STEP_JOB_SETS_STEP | STEP_JOB_SETS_PARAMETERS | STEP_JOB_SETS_OPTIONS |
                     STEP_JOB_STARTS);
    op.step_job_edit.step = step;
    op.step_job_edit.parameters = STR("{\"x\":5}");
    op.step_job_edit.max_attempts = 2;
    op.step_job_edit.options = STR("{\"retry\":{\"kind\":\"fixed\",\"delay_s\":0}}");
    int64_t id = edited(b, &op);
    take_steps(b, &hand, 1);
    assert_true(put_output(b, id, 1, "one") > 0);
    fail_task(b, &hand, id, false);
    assert_job_state(b, id, JOB_PENDING);
    b->now.mono_us += SECOND_US;
    b->now.wall_us += SECOND_US;
    assert_int_equal(take_steps(b, &hand, 1), 1);
    assert_int_equal(job_shown(b, &op, id)->output_count, 1);
    op_release(&op);
    complete(b, &hand, id);
    assert_int_equal(job_shown(b, &op, id)->output_count, 0);
    op_release(&op);
    assert_sound(b);
}

static void lineage_goes_both_ways(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody), made[3] = {0};
    made[0] = add_artifact(b, "raw", "raw");
    int64_t jobs[2];
    for (int i = 0; i < 2; i++) {
        struct step_fill_ask fill = {.slot = 0, .ids = &made[i], .count = 1};
        prepare_edit(&op, 0, STEP_JOB_SETS_STEP | STEP_JOB_SETS_PARAMETERS | STEP_JOB_STARTS);
        op.step_job_edit.step = step;
        op.step_job_edit.parameters = STR("{\"x\":5}");
        op.step_job_edit.fills = &fill;
        op.step_job_edit.fill_count = 1;
        jobs[i] = edited(b, &op);
        take_steps(b, &hand, 1);
        made[i + 1] = put_output(b, jobs[i], 1, i ? "second" : "first");
        complete(b, &hand, jobs[i]);
    }
    prepare(&op, OP_LINEAGE, "");
    op.lineage.artifact = made[1];
    op.lineage.up = op.lineage.down = 20;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.lineage.count, 2);
    assert_int_equal(op.lineage.jobs[0].job->id, jobs[0]);
    assert_int_equal(op.lineage.jobs[1].job->id, jobs[1]);
    assert_int_equal(op.lineage.jobs[0].inputs[0]->id, made[0]);
    op_release(&op);
    prepare(&op, OP_LINEAGE, "");
    op.lineage.artifact = made[2];
    op.lineage.up = op.lineage.down = 1;
    ask(b, &op);
    assert_int_equal(op.lineage.count, 1);
    op_release(&op);
    refused_to_delete_artifact(b, made[1], "is an input");
    assert_sound(b);
}

/* --- sub jobs, owners, lists --- */

static void a_job_with_sub_jobs_stays(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    int64_t parent = edited(b, &op);
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    op.step_job_edit.parent = parent;
    int64_t child = edited(b, &op);
    prepare_end(&op, parent, STEP_JOB_END_DELETE);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "has 1 sub jobs");
    end_job(b, child, STEP_JOB_END_DELETE);
    end_job(b, parent, STEP_JOB_END_DELETE);
    assert_sound(b);
}

static void nobody_sees_what_is_another_owners(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), owner("a"));
    prepare_edit(&op, 0, STEP_JOB_SETS_STEP);
    op.step_job_edit.by = owner("b");
    op.step_job_edit.step = step;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no step");
    op_release(&op);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_EDIT;
    op.steps.by = owner("a");
    op.steps.id = step;
    op.steps.sets = STEP_SETS_PUBLIC;
    op.steps.is_public = true;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare_edit(&op, 0, STEP_JOB_SETS_STEP | STEP_JOB_SETS_PARAMETERS | STEP_JOB_STARTS);
    op.step_job_edit.by = owner("b");
    op.step_job_edit.step = step;
    op.step_job_edit.parameters = STR("{\"x\":1}");
    int64_t id = edited(b, &op);
    static const char *const others[] = {"a", ""};
    for (size_t i = 0; i < 2; i++) {
        prepare(&op, OP_STEP_JOB_SHOW, "");
        op.step_job_show.by = owner(others[i]);
        op.step_job_show.id = id;
        ask(b, &op);
        assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no step job");
        op_release(&op);
        prepare(&op, OP_STEP_JOBS, "");
        op.step_jobs.by = owner(others[i]);
        op.step_jobs.page = (struct step_page){.limit = 10, .descending = true};
        ask(b, &op);
        assert_int_equal(op.step_jobs.count, 0);
        op_release(&op);
    }
    assert_int_equal(take_steps(b, &(struct hand){.count = 0}, 1), 0); /* another queue */
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_DELETE;
    op.steps.by = owner("b");
    op.steps.id = step;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_FORBIDDEN, "another owner's");
    op_release(&op);
    op.steps.verb = STEPS_DELETE;
    op.steps.by = owner("a");
    op.steps.id = step;
    op.err = (struct err){0};
    op.done = count_answer;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "1 jobs have selected");
}

static int64_t list_page(struct bench *b, struct step_page *page, struct step_filter filter,
                         int64_t *ids)
{
    struct op op;
    prepare(&op, OP_STEP_JOBS, "");
    op.step_jobs.by = nobody;
    op.step_jobs.filter = filter;
    op.step_jobs.page = *page;
    op.step_jobs.wants_total = true;
    ask(b, &op);
    assert_went_well(&op);
    int64_t count = (int64_t)op.step_jobs.count;
    for (int64_t i = 0; i < count; i++)
        ids[i] = op.step_jobs.views[i].job->id;
    page->goes_on = op.step_jobs.more;
    if (op.step_jobs.last) {
        page->after_id = op.step_jobs.last->id;
        page->after_number = op.step_jobs.last->number;
        page->offset = 0;
    }
    assert_int_equal(op.step_jobs.more, op.step_jobs.total > count && page->goes_on);
    op_release(&op);
    return count;
}

static void no_page_shifts_while_jobs_go(struct bench *b)
{
    struct op op;
    int64_t ids[25], page_ids[10];
    for (int i = 0; i < 25; i++) {
        prepare_edit(&op, 0, STEP_JOB_SETS_NAME | STEP_JOB_SETS_TAGS);
        op.step_job_edit.tags = &(struct str){"even", i % 2 ? 0 : 4};
        op.step_job_edit.tag_count = i % 2 ? 0 : 1;
        ids[i] = edited(b, &op);
    }
    struct step_page page = {.limit = 10, .descending = true};
    int seen = 0;
    do {
        int64_t count = list_page(b, &page, (struct step_filter){.name = STR("job")}, page_ids);
        for (int64_t i = 0; i < count; i++) {
            assert_int_equal(page_ids[i], ids[24 - seen++]);
            end_job(b, page_ids[i], STEP_JOB_END_DELETE);
        }
    } while (page.goes_on);
    assert_int_equal(seen, 25);
}

static void pages_do_not_shift_while_jobs_go(void **state)
{
    no_page_shifts_while_jobs_go(*state);
}

/* From now on every page takes longer than it may. */
static void seek_all_pages(struct bench *b)
{
    b->options.list_work = 1;
    b->options.slice_rows = 2;
    reopen_engine(b);
}

static void pages_that_are_picked_out_do_not_shift_either(void **state)
{
    seek_all_pages(*state);
    no_page_shifts_while_jobs_go(*state);
}

static void all_filters_find_what_fits(struct bench *b)
{
    struct op op;
    int64_t ids[3], got[10];
    static const char *const names[] = {"alpha", "beta", "gamma"};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    for (int i = 0; i < 3; i++) {
        struct str tags[] = {STR("all"), str_of(names[i])};
        prepare_edit(&op, 0,
                     STEP_JOB_SETS_NAME | STEP_JOB_SETS_TAGS | (i ? STEP_JOB_SETS_STEP : 0u));
        op.step_job_edit.name = str_of(names[i]);
        op.step_job_edit.tags = tags;
        op.step_job_edit.tag_count = 2;
        op.step_job_edit.step = step;
        op.step_job_edit.parent = i == 2 ? ids[0] : 0;
        ids[i] = edited(b, &op);
    }
    const struct {
        struct step_filter filter;
        int64_t count, first;
    } rows[] = {
        {{.name = STR("a")}, 3, 2},
        {{.name = STR("A")}, 0, 0},
        {{.tags_all = STR("[\"all\",\"beta\"]")}, 1, 1},
        {{.tags_any = STR("[\"beta\",\"gamma\",\"none\"]")}, 2, 2},
        {{.tags_all = STR("[\"all\"]"), .name = STR("alp")}, 1, 0},
        {{.step = step}, 2, 2},
        {{.parent = ids[0]}, 1, 2},
        {{.sub_job = STEP_ONLY_NOT}, 2, 1},
        {{.by_state = true, .state = JOB_DRAFT}, 3, 2},
        {{.by_state = true, .state = JOB_READY}, 0, 0},
        {{.hidden = STEP_ONLY}, 0, 0},
        {{.folder = STR("/"), .below = true}, 3, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct step_page page = {.limit = 10, .descending = true};
        int64_t count = list_page(b, &page, rows[i].filter, got);
        if (count != rows[i].count || (count && got[0] != ids[rows[i].first]))
            fail_msg("row %zu: %lld", i, (long long)count);
    }
    struct step_page by_name = {.limit = 2, .sort = STEP_SORT_NAME};
    assert_int_equal(list_page(b, &by_name, (struct step_filter){.hidden = STEP_BOTH}, got), 2);
    assert_int_equal(got[0], ids[0]);
    assert_int_equal(got[1], ids[1]);
}

static void filters_find_what_fits(void **state)
{
    all_filters_find_what_fits(*state);
}

static void filters_find_the_same_in_slices(void **state)
{
    seek_all_pages(*state);
    all_filters_find_what_fits(*state);
}

/* A list of hidden jobs, or of all. */
static void prepare_list(struct op *op, enum step_only hidden)
{
    prepare(op, OP_STEP_JOBS, "");
    op->step_jobs.by = nobody;
    op->step_jobs.filter.hidden = hidden;
    op->step_jobs.page = (struct step_page){.limit = 5, .descending = true};
}

static void few_of_many_are_found_in_slices_and_others_go_on(void **state)
{
    enum { JOBS = 300, SLICE = 50 };
    struct bench *b = *state;
    struct op rare, usual, op;
    int64_t first = 0;
    b->options.list_work = 10;
    b->options.slice_rows = SLICE;
    reopen_engine(b);
    for (int i = 0; i < JOBS; i++) {
        prepare_edit(&op, 0, STEP_JOB_SETS_NAME | STEP_JOB_SETS_HIDDEN);
        op.step_job_edit.hidden = i == 0;
        int64_t id = edited(b, &op);
        first = first ? first : id;
    }
    prepare_list(&rare, STEP_ONLY);
    assert_true(STEP(b, &rare));
    int steps = 1;
    for (; !is_answered(&rare); steps++) {
        assert_int_equal(engine_next_us(b->engine), 0);
        prepare_list(&usual, STEP_BOTH); /* an index leads to it: answered at once */
        assert_true(STEP(b, &usual));
        assert_went_well(&usual);
        assert_int_equal(usual.step_jobs.count, 5);
        assert_true(usual.step_jobs.more);
        op_release(&usual);
    }
    assert_went_well(&rare);
    assert_in_range(steps, JOBS / SLICE, JOBS / SLICE + 2);
    assert_int_equal(rare.step_jobs.count, 1);
    assert_int_equal(rare.step_jobs.views[0].job->id, first);
    assert_false(rare.step_jobs.more);
    op_release(&rare);
}

static void a_page_that_is_picked_out_is_ended_with_the_engine(void **state)
{
    struct bench *b = *state;
    struct op op;
    b->options.list_work = b->options.slice_rows = 1;
    reopen_engine(b);
    for (int i = 0; i < 40; i++) {
        prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
        edited(b, &op);
    }
    prepare_list(&op, STEP_ONLY);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    reopen_engine(b);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_BUSY, "");
    op_release(&op);
}

/* A list of the jobs with a tag, with all that it sums up. */
static void prepare_sum(struct op *op, const char *tag)
{
    prepare(op, OP_STEP_JOBS, "");
    op->step_jobs.by = nobody;
    op->step_jobs.filter.tags_all = str_of(tag);
    op->step_jobs.page = (struct step_page){.limit = 2, .descending = true};
    op->step_jobs.wants_total = op->step_jobs.wants_tags = true;
}

static void add_tagged_jobs(struct bench *b, int count)
{
    struct op op;
    for (int i = 0; i < count; i++) {
        char own[8];
        snprintf(own, sizeof own, "n%d", i % 3);
        struct str tags[] = {STR("all"), str_of(own)};
        prepare_edit(&op, 0, STEP_JOB_SETS_NAME | STEP_JOB_SETS_TAGS);
        op.step_job_edit.tags = tags;
        op.step_job_edit.tag_count = 2;
        edited(b, &op);
    }
}

static void a_list_sums_up_in_slices_and_others_go_on(void **state)
{
    struct bench *b = *state;
    struct op sum, other, late;
    b->options.slice_rows = 2;
    reopen_engine(b);
    add_tagged_jobs(b, 9);
    prepare_sum(&sum, "[\"all\"]");
    prepare_sum(&other, "[\"n1\"]");
    assert_true(STEP(b, &sum, &other));
    assert_false(is_answered(&sum));
    assert_int_equal(engine_next_us(b->engine), 0);
    job_shown(b, &late, sum.step_jobs.reached);
    op_release(&late);
    assert_false(is_answered(&sum));
    while (!is_answered(&sum) || !is_answered(&other))
        pass_time(b, 0);
    assert_went_well(&sum);
    assert_int_equal(sum.step_jobs.total, 9);
    assert_int_equal(sum.step_jobs.count, 2);
    assert_true(sum.step_jobs.more);
    assert_int_equal(sum.step_jobs.tags.count, 3);
    assert_string_equal(sum.step_jobs.tags.items[0], "n0");
    assert_string_equal(sum.step_jobs.tags.items[2], "n2");
    assert_int_equal(other.step_jobs.total, 3);
    assert_int_equal(other.step_jobs.tags.count, 1);
    assert_string_equal(other.step_jobs.tags.items[0], "all");
    op_release(&sum);
    op_release(&other);
}

static void sums_that_are_known_need_no_slices(void **state)
{
    struct bench *b = *state;
    struct op op;
    b->options.slice_rows = 1;
    reopen_engine(b);
    add_tagged_jobs(b, 4);
    prepare_sum(&op, NULL);
    assert_true(STEP(b, &op));
    assert_went_well(&op);
    assert_int_equal(op.step_jobs.total, 4);
    assert_int_equal(op.step_jobs.tags.count, 4);
    op_release(&op);
    prepare_sum(&op, "[\"none\"]");
    assert_true(STEP(b, &op));
    assert_went_well(&op);
    assert_int_equal(op.step_jobs.total, 0);
    assert_int_equal(op.step_jobs.count, 0);
    op_release(&op);
}

static void sums_are_ended_with_the_engine(void **state)
{
    struct bench *b = *state;
    struct op sum;
    b->options.slice_rows = 1;
    reopen_engine(b);
    add_tagged_jobs(b, 3);
    prepare_sum(&sum, "[\"all\"]");
    assert_true(STEP(b, &sum));
    assert_false(is_answered(&sum));
    reopen_engine(b);
    assert_refused(&sum, REFUSED_OTHERWISE, ERR_BUSY, "");
    op_release(&sum);
}

static void tags_of_artifacts_and_steps_are_summed_up(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct str tags[] = {STR("a"), STR("b")};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    prepare_artifact_edit(&op, add_artifact(b, "a.csv", "1"), ARTIFACT_SETS_TAGS);
    op.artifact_edit.by = nobody;
    op.artifact_edit.tags = tags;
    op.artifact_edit.tag_count = 2;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare(&op, OP_ARTIFACTS, "");
    op.artifacts.by = nobody;
    op.artifacts.page.limit = 10;
    op.artifacts.wants_tags = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.artifacts.total, -1);
    assert_int_equal(op.artifacts.tags.count, 2);
    op_release(&op);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_EDIT;
    op.steps.id = step;
    op.steps.sets = STEP_SETS_TAGS;
    op.steps.tags = tags;
    op.steps.tag_count = 2;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_LIST;
    op.steps.list.limit = 10;
    op.steps.list.tags_all = tags;
    op.steps.list.all_count = 1;
    op.steps.list.wants_tags = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.steps.found.count, 1);
    assert_string_equal(op.steps.found.items[0], "b");
    op_release(&op);
}

/* --- what fails --- */

static void a_commit_that_fails_leaves_nothing(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    plan_fault("store.commit:1:fail");
    prepare_edit(&op, 0, STEP_JOB_SETS_STEP | STEP_JOB_SETS_PARAMETERS | STEP_JOB_STARTS);
    op.step_job_edit.step = step;
    op.step_job_edit.parameters = STR("{\"x\":5}");
    ask(b, &op);
    assert_true(op.err.code != ERR_NONE);
    op_release(&op);
    no_faults();
    b->now.mono_us += 2 * SECOND_US;
    b->now.wall_us += 2 * SECOND_US;
    assert_int_equal(take_steps(b, &(struct hand){.count = 0}, 1), 0);
    int64_t id = start_job(b, step);
    assert_job_state(b, id, JOB_PENDING);
    assert_sound(b);
}

static void a_wait_ends_with_the_job(void **state)
{
    struct bench *b = *state;
    struct op show;
    struct hand hand = {.count = 0};
    int64_t id = start_job(b, register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody));
    take_steps(b, &hand, 1);
    prepare(&show, OP_STEP_JOB_SHOW, "");
    show.step_job_show.id = id;
    show.step_job_show.wait_until_us = b->now.mono_us + 30 * SECOND_US;
    assert_true(STEP(b, &show));
    assert_false(is_answered(&show));
    complete(b, &hand, id);
    struct op nothing;
    job_shown(b, &nothing, id);
    op_release(&nothing);
    assert_true(is_answered(&show));
    assert_int_equal(show.step_job_show.view.job->state, JOB_COMPLETED);
    op_release(&show);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_step_is_registered_once),
        ENGINE_TEST(a_name_means_the_highest_current_version),
        ENGINE_TEST(a_job_is_configured_bit_by_bit_and_runs),
        ENGINE_TEST(a_draft_that_is_read_again_has_its_empty_slots),
        ENGINE_TEST(a_rapid_set_up_is_all_or_nothing),
        ENGINE_TEST(a_started_job_is_not_configured_any_more),
        ENGINE_TEST(a_failure_and_its_retry_are_the_jobs_too),
        ENGINE_TEST(a_job_is_cancelled_or_said_to_have_failed),
        ENGINE_TEST(what_is_an_input_stays),
        ENGINE_TEST(outputs_are_put_by_the_run_that_goes_on),
        ENGINE_TEST(outputs_of_runs_before_go_with_the_end),
        ENGINE_TEST(lineage_goes_both_ways),
        ENGINE_TEST(a_job_with_sub_jobs_stays),
        ENGINE_TEST(nobody_sees_what_is_another_owners),
        ENGINE_TEST(pages_do_not_shift_while_jobs_go),
        ENGINE_TEST(pages_that_are_picked_out_do_not_shift_either),
        ENGINE_TEST(filters_find_what_fits),
        ENGINE_TEST(filters_find_the_same_in_slices),
        ENGINE_TEST(few_of_many_are_found_in_slices_and_others_go_on),
        ENGINE_TEST(a_page_that_is_picked_out_is_ended_with_the_engine),
        ENGINE_TEST(a_list_sums_up_in_slices_and_others_go_on),
        ENGINE_TEST(sums_that_are_known_need_no_slices),
        ENGINE_TEST(sums_are_ended_with_the_engine),
        ENGINE_TEST(tags_of_artifacts_and_steps_are_summed_up),
        ENGINE_TEST(a_commit_that_fails_leaves_nothing),
        ENGINE_TEST(a_wait_ends_with_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
