/* steps_users.c: people in the simulation of steps: they draft, configure, start, cancel, retry and
 * delete jobs, upload and change artifacts (steps_sim.h). */
#include "steps_sim.h"

/* --- jobs ------------------------------------------------------------------------------------ */

static int some_job(void)
{
    return world->model.job_count ? pick(world->model.job_count) : NONE;
}

static void choose_fills(struct edit_ask *ask)
{
    int artifacts = world->model.artifact_count;
    ask->fill_count = artifacts ? pick(SLOTS + 1) : 0;
    for (int i = 0; i < ask->fill_count; i++) {
        ask->fills[i].slot = i;
        ask->fills[i].count = pick(IN_SLOT + 1);
        for (int k = 0; k < ask->fills[i].count; k++)
            ask->fills[i].artifacts[k] = pick(artifacts);
    }
}

static void choose_edit(struct edit_ask *ask)
{
    const struct model *m = &world->model;
    bool full = m->job_count == JOBS;
    *ask = (struct edit_ask){.owner = pick(OWNERS),
                             .job = full || pick(3) ? some_job() : NONE,
                             .parent = NONE,
                             .name = pick(NAMES),
                             .step = pick(8) ? pick(STEPS) : NONE,
                             .parameters = pick(PARAMETERS_COUNT),
                             .hidden = pick(2),
                             .output_deletable = pick(4),
                             .retries = pick(2),
                             .max_attempts = 1 + pick(3)};
    /* Mostly for who may, and mostly a few things only. */
    if (ask->job != NONE && pick(8))
        ask->owner = m->jobs[ask->job].owner;
    if (ask->job == NONE && m->job_count && pick(4) == 0)
        ask->parent = some_job();
    for (unsigned bit = 1; bit <= STEP_JOB_STARTS; bit <<= 1)
        ask->sets |= pick(4) == 0 ? bit : 0;
    choose_folder(ask->folder);
    if (pick(3) == 0)
        choose_fills(ask);
}

/* A rapid set-up that is likely to be all right. */
static void choose_rapid(struct edit_ask *ask)
{
    *ask = (struct edit_ask){.owner = pick(OWNERS),
                             .job = NONE,
                             .parent = NONE,
                             .name = pick(NAMES),
                             .parameters = PARAMETERS_WHOLE,
                             .step = pick(STEPS),
                             .output_deletable = true,
                             .retries = pick(2),
                             .max_attempts = 1 + pick(3),
                             .sets = STEP_JOB_SETS_NAME | STEP_JOB_SETS_STEP | STEP_JOB_STARTS |
                                     STEP_JOB_SETS_OPTIONS};
    if (step_kinds[ask->step].has_parameters)
        ask->sets |= STEP_JOB_SETS_PARAMETERS;
    if (step_kinds[ask->step].inputs && world->model.artifact_count) {
        ask->fill_count = 1;
        ask->fills[0].count = 1;
        ask->fills[0].artifacts[0] = pick(world->model.artifact_count);
        if (pick(8))
            ask->owner = world->model.artifacts[ask->fills[0].artifacts[0]].owner;
    }
    if (!step_kinds[ask->step].is_public && pick(8))
        ask->owner = step_kinds[ask->step].owner;
}

static void edit(const struct edit_ask *ask)
{
    const struct model *m = &world->model;
    struct step_fill_ask fills[SLOTS];
    int64_t ids[SLOTS][IN_SLOT + 1];
    struct op op;
    const char *text = parameter_texts[ask->parameters];
    op_init(&op, OP_STEP_JOB_EDIT);
    struct op_step_job_edit *e = &op.step_job_edit;
    e->by = asker(ask->owner);
    e->id = ask->job == NONE ? 0 : m->jobs[ask->job].id;
    e->parent = ask->parent == NONE ? 0 : m->jobs[ask->parent].id;
    e->sets = ask->sets;
    e->name = str_of(job_names[ask->name]);
    e->step = ask->step == NONE ? 0 : m->steps[ask->step].id;
    e->parameters = text ? str_of(text) : (struct str){NULL, 0};
    e->hidden = ask->hidden;
    e->output_deletable = ask->output_deletable;
    e->folder = str_of(ask->folder);
    e->max_attempts = ask->max_attempts;
    if (ask->retries)
        e->options = STR("{\"retry\":{\"kind\":\"fixed\",\"delay_s\":0}}");
    for (int i = 0; i < ask->fill_count; i++) {
        for (int k = 0; k < ask->fills[i].count; k++)
            ids[i][k] = m->artifacts[ask->fills[i].artifacts[k]].id;
        fills[i] = (struct step_fill_ask){
            .slot = ask->fills[i].slot, .ids = ids[i], .count = (size_t)ask->fills[i].count};
    }
    e->fills = fills;
    e->fill_count = (size_t)ask->fill_count;
    e->wants_view = pick(2);
    world->asked = *m;
    enum err_code expected = model_edit(&world->asked, ask);
    SAY("  job %lld, sets %x: expected %d\n", (long long)e->id, e->sets, (int)expected);
    if (dare(&op, expected) && ask->job == NONE)
        world->model.jobs[world->model.job_count - 1].id = e->job;
    op_release(&op);
}

void verb_edit(void)
{
    struct edit_ask ask;
    if (world->model.job_count < JOBS && pick(2))
        choose_rapid(&ask);
    else
        choose_edit(&ask);
    if (ask.job != NONE || world->model.job_count < JOBS)
        edit(&ask);
}

static bool end(int owner, int job, enum step_job_end how)
{
    struct op op;
    op_init(&op, OP_STEP_JOB_END);
    op.step_job_end.by = asker(owner);
    op.step_job_end.id = world->model.jobs[job].id;
    op.step_job_end.how = how;
    op.step_job_end.message = STR("somebody says so");
    world->asked = world->model;
    enum err_code expected = model_end(&world->asked, owner, job, how);
    SAY("  end %d of job %lld: expected %d\n", (int)how, (long long)op.step_job_end.id,
        (int)expected);
    bool good = dare(&op, expected);
    op_release(&op);
    return good;
}

void verb_end(void)
{
    int job = some_job();
    if (job != NONE)
        end(pick(8) ? world->model.jobs[job].owner : pick(OWNERS), job, (enum step_job_end)pick(3));
}

/* What the queue's verbs do to the task of a job: retried, cancelled, forgotten. */
void verb_retry(void)
{
    int job = some_job();
    struct op op;
    if (job == NONE)
        return;
    struct known_job *j = &world->asked.jobs[job];
    const int64_t id = world->model.jobs[job].id;
    world->asked = world->model;
    op_init(&op, OP_TASK_CONTROL);
    op.task_control.verb = pick(8) ? TASK_RETRY : pick(2) ? TASK_CANCEL : TASK_DELETE;
    op.task_control.filter.ids = &id;
    op.task_control.filter.id_count = 1;
    SAY("  verb %d of the task of job %lld\n", (int)op.task_control.verb, (long long)id);
    if (op.task_control.verb == TASK_RETRY)
        model_retry(&world->asked, job);
    else if (op.task_control.verb == TASK_DELETE)
        model_forget_task(&world->asked, job);
    else if (!j->gone && is_waiting_or_running(j))
        (void)model_end(&world->asked, j->owner, job, STEP_JOB_END_CANCEL);
    dare(&op, ERR_NONE);
    op_release(&op);
}

/* --- artifacts ------------------------------------------------------------------------------- */

void verb_upload(void)
{
    struct err err;
    char text[CONTENTS + 1] = "", folder[FOLDER_TEXT];
    int owner = pick(OWNERS), content = pick(CONTENTS);
    struct blob_pin *pin = NULL;
    struct op op;
    choose_folder(folder);
    memset(text, 'a' + content, (size_t)content + 1);
    world->asked = world->model;
    int place = model_new_artifact(&world->asked, owner, content, folder);
    if (place == NONE)
        return;
    MUST(blob_put(engine_blobs(sim_engine), str_of(text), &pin, &err), "put: %s", err.text);
    op_init(&op, OP_ARTIFACT_ADD);
    op.artifact_add.by = asker(owner);
    op.artifact_add.name = STR("a file");
    op.artifact_add.folder = str_of(folder);
    op.artifact_add.bytes = blob_pin_bytes(pin);
    op.artifact_add.slot = -1;
    memcpy(op.artifact_add.hash, blob_pin_hash(pin)->bytes, ARTIFACT_HASH_BYTES);
    bool good = dare(&op, ERR_NONE);
    if (good)
        world->model.artifacts[place].id = op.artifact_add.artifact->id;
    op_release(&op);
    blob_pin_free(pin, good);
}

static bool delete_artifact(int owner, int artifact)
{
    struct op op;
    op_init(&op, OP_ARTIFACT_EDIT);
    op.artifact_edit.by = asker(owner);
    op.artifact_edit.id = world->model.artifacts[artifact].id;
    op.artifact_edit.sets = ARTIFACT_DELETES;
    world->asked = world->model;
    bool good = dare(&op, model_delete_artifact(&world->asked, owner, artifact));
    op_release(&op);
    return good;
}

void allow_deletion(int artifact)
{
    struct op op;
    struct known_artifact *a = &world->asked.artifacts[artifact];
    world->asked = world->model;
    op_init(&op, OP_ARTIFACT_EDIT);
    op.artifact_edit.by = asker(a->owner);
    op.artifact_edit.id = a->id;
    op.artifact_edit.sets = ARTIFACT_SETS_DELETABLE;
    op.artifact_edit.deletable = a->deletable = true;
    dare(&op, a->gone ? ERR_NOT_FOUND : ERR_NONE);
    op_release(&op);
}

static void change_artifact(int owner, int artifact)
{
    struct op op;
    char folder[FOLDER_TEXT];
    struct known_artifact *a = &world->asked.artifacts[artifact];
    world->asked = world->model;
    enum err_code expected = a->gone || a->owner != owner ? ERR_NOT_FOUND : ERR_NONE;
    choose_folder(folder);
    op_init(&op, OP_ARTIFACT_EDIT);
    op.artifact_edit.by = asker(owner);
    op.artifact_edit.id = a->id;
    op.artifact_edit.sets = ARTIFACT_SETS_HIDDEN | ARTIFACT_SETS_DELETABLE | ARTIFACT_SETS_FOLDER;
    op.artifact_edit.hidden = pick(2);
    op.artifact_edit.deletable = pick(4);
    op.artifact_edit.folder = str_of(folder);
    if (expected == ERR_NONE) {
        a->hidden = op.artifact_edit.hidden;
        a->deletable = op.artifact_edit.deletable;
        memcpy(a->folder, folder, sizeof a->folder);
        model_need_folder(&world->asked, owner, folder);
    }
    dare(&op, expected);
    op_release(&op);
}

void verb_artifact(void)
{
    if (!world->model.artifact_count)
        return;
    int artifact = pick(world->model.artifact_count);
    int owner = pick(8) ? world->model.artifacts[artifact].owner : pick(OWNERS);
    if (pick(2))
        delete_artifact(owner, artifact);
    else
        change_artifact(owner, artifact);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void prepare_step(struct op *op, enum steps_verb verb, int step)
{
    world->asked = world->model;
    op_init(op, OP_STEPS);
    op->steps.verb = verb;
    op->steps.by = asker(step_kinds[step].owner);
    op->steps.id = world->model.steps[step].id;
}

/* The same again changes nothing. */
static void register_step(int step)
{
    struct op op;
    prepare_step(&op, STEPS_REGISTER, step);
    op.steps.manifest = str_of(step_kinds[step].manifest);
    op.steps.same_is_fine = true;
    if (!world->asked.steps[step].there)
        world->asked.steps[step] = (struct known_step){.id = NONE, .there = true};
    if (dare(&op, ERR_NONE))
        world->model.steps[step].id = op.steps.views[0].step->id;
    op_release(&op);
}

static void publish_step(int step)
{
    struct op op;
    prepare_step(&op, STEPS_EDIT, step);
    op.steps.sets = STEP_SETS_PUBLIC;
    op.steps.is_public = world->asked.steps[step].is_public = true;
    dare(&op, ERR_NONE);
    op_release(&op);
}

static void delete_step(int step)
{
    struct op op;
    enum err_code expected = ERR_NONE;
    prepare_step(&op, STEPS_DELETE, step);
    world->asked.steps[step].there = false;
    for (int i = 0; i < world->model.job_count; i++)
        if (!world->model.jobs[i].gone && world->model.jobs[i].step == step)
            expected = ERR_CONFLICT;
    dare(&op, expected);
    op_release(&op);
}

static void do_step(int step)
{
    const struct known_step *s = &world->model.steps[step];
    if (s->there && step_kinds[step].is_public && !s->is_public)
        publish_step(step);
    else if (s->there && s->id > 0 && pick(2))
        delete_step(step);
    else
        register_step(step);
}

void verb_register(void)
{
    do_step(pick(STEPS));
}

void register_all(void)
{
    for (int i = 0; i < STEPS; i++)
        while (world->model.steps[i].id == 0) {
            register_step(i);
            recover();
        }
}

/* --- all that hangs on a job ----------------------------------------------------------------- */

void delete_whole(int job)
{
    struct known_job *j = &world->model.jobs[job];
    for (int i = 0; i < world->model.job_count; i++)
        if (!world->model.jobs[i].gone && world->model.jobs[i].parent == job)
            delete_whole(i);
    if (j->state == JOB_DRAFT || j->state == JOB_READY || j->state == JOB_PENDING)
        end(j->owner, job, STEP_JOB_END_CANCEL);
    for (int i = 0; i < world->model.artifact_count; i++)
        if (!world->model.artifacts[i].gone && world->model.artifacts[i].job == job)
            delete_artifact(j->owner, i);
    end(j->owner, job, STEP_JOB_END_DELETE);
    for (int slot = 0; slot < SLOTS; slot++)
        for (int i = 0; j->gone && i < j->input_counts[slot]; i++)
            if (pick(2))
                delete_artifact(j->owner, j->inputs[slot][i]);
}

void verb_delete_whole(void)
{
    int job = some_job();
    if (job != NONE && !world->model.jobs[job].gone)
        delete_whole(job);
}
