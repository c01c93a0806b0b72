/* step_job_edit.c: jobs are made, configured and started. An op does all it was asked to a copy;
 * when nothing was wrong the copy takes the job's place, and what hangs on it follows. */
#include "engine/engine_state.h"

#include "base/json.h"
#include "core/json_schema.h"
#include "core/semver.h"

#include <inttypes.h>
#include <stdlib.h>

/* What becomes of a job. */
struct editing {
    struct engine *e;
    struct op *op;
    struct op_step_job_edit *ask;
    const struct step_job *before; /* NULL: it is new */
    struct step_job *job;          /* the copy */
    const struct step *step;       /* that it has selected; NULL */
};

static char *text_of(struct str text)
{
    return xstrndup(text.ptr ? text.ptr : "", text.len);
}

static void set_text(char **to, struct str text)
{
    free(*to);
    *to = text.ptr && text.len ? text_of(text) : NULL;
}

/* --- one by one --- */

static bool set_name(struct editing *d, struct err *err)
{
    struct str name = d->ask->name;
    bool good = name.len <= STEP_JOB_NAME_MAX_BYTES && str_is_utf8(name) &&
                !memchr(name.len ? name.ptr : "", '\0', name.len);
    if (!good)
        return err_set(err, ERR_INVALID, "name: expected up to %d bytes of UTF-8",
                       STEP_JOB_NAME_MAX_BYTES);
    free(d->job->name);
    d->job->name = text_of(name);
    return true;
}

static bool set_step(struct editing *d, struct err *err)
{
    const struct op_step_job_edit *ask = d->ask;
    struct step_entry *entry = NULL;
    if (!step_job_may(d->job, d->step, STEP_JOB_SELECT, err))
        return false;
    if (ask->step < 0 && ask->step_version.len && !semver_pattern_check(ask->step_version, err))
        return false;
    if (ask->step > 0)
        entry = steps_entry_for(d->e, &ask->by, ask->step, err);
    else if (ask->step < 0)
        entry = steps_find(d->e, &ask->by, ask->step_name, ask->step_version, err);
    if (ask->step && !entry)
        return false;
    d->step = entry ? entry->now : NULL;
    step_job_select(d->job, d->step);
    return true;
}

static bool set_parameters(struct editing *d, struct err *err)
{
    /* None for a step that has none: nothing is asked for. */
    bool nothing = !d->ask->parameters.ptr || json_same(str_trim(d->ask->parameters), STR("{}"));
    if (!(nothing && d->step && !step_has_parameters(d->step)) &&
        !step_job_may(d->job, d->step, STEP_JOB_CONFIGURE, err))
        return false;
    return step_job_configure(d->job, d->step, d->ask->parameters, err);
}

static bool set_tags(struct editing *d, struct err *err)
{
    struct step_tags tags;
    if (!step_tags_make(d->ask->tags, d->ask->tag_count, &tags, err))
        return false;
    step_tags_release(&d->job->tags);
    d->job->tags = tags;
    return true;
}

static bool set_hidden(struct editing *d, struct err *err)
{
    (void)err;
    d->job->hidden = d->ask->hidden;
    return true;
}

static bool set_output_deletable(struct editing *d, struct err *err)
{
    (void)err;
    d->job->output_deletable = d->ask->output_deletable;
    return true;
}

static bool set_folder(struct editing *d, struct err *err)
{
    char *folder = NULL;
    if (!steps_folder_wanted(d->e, &d->ask->by, d->ask->folder, d->ask->folder_id, &folder, err))
        return false;
    free(d->job->folder);
    d->job->folder = folder;
    return true;
}

static bool set_options(struct editing *d, struct err *err)
{
    if (!step_job_may(d->job, d->step, STEP_JOB_FILL, err))
        return false;
    set_text(&d->job->options, d->ask->options);
    d->job->priority = d->ask->priority;
    d->job->max_attempts = d->ask->max_attempts;
    return true;
}

static int64_t slot_of(const struct editing *d, const struct step_fill_ask *fill)
{
    const struct step_manifest *m = d->step ? &d->step->manifest : NULL;
    if (!m)
        return -1;
    if (fill->slot >= 0)
        return fill->slot < (int64_t)m->input_count ? fill->slot : -1;
    return step_slot_find(m->inputs, m->input_count, fill->name);
}

static bool fill(struct editing *d, const struct step_fill_ask *fill, struct err *err)
{
    int64_t slot = slot_of(d, fill);
    if (!step_job_may(d->job, d->step, STEP_JOB_FILL, err))
        return false;
    if (slot < 0 && fill->slot < 0)
        return err_set(err, ERR_INVALID, "inputs: there is no input slot %.*s",
                       fill->name.len > 100 ? 100 : (int)fill->name.len,
                       fill->name.ptr ? fill->name.ptr : "");
    if (slot < 0)
        return err_set(err, ERR_INVALID, "inputs: there is no input slot %" PRId64, fill->slot);
    for (size_t i = 0; i < fill->count; i++) {
        if (!steps_artifact_for(d->e, &d->ask->by, fill->ids[i], err))
            return err_add(err, "inputs");
        const struct artifact *a = steps_artifact(d->e, fill->ids[i], err);
        if (!a || strcmp(a->owner, d->job->owner) != 0)
            return err_set(err, ERR_NOT_FOUND, "inputs: there is no artifact %" PRId64,
                           fill->ids[i]);
    }
    return step_job_fill(d->job, d->step, (size_t)slot, fill->ids, fill->count, err);
}

/* --- the start --- */

static void write_artifact(struct json_out *o, const struct artifact *a)
{
    char name[BLOB_NAME_SIZE];
    struct blob_hash hash;
    memcpy(hash.bytes, a->hash, sizeof hash.bytes);
    blob_name(&hash, name);
    json_out_open(o, '{');
    json_out_name(o, "id");
    json_out_i64(o, a->id);
    json_out_name(o, "name");
    json_out_text(o, a->name);
    json_out_name(o, "media_type");
    json_out_text(o, a->media_type);
    json_out_name(o, "bytes");
    json_out_i64(o, a->bytes);
    json_out_name(o, "sha256");
    json_out_text(o, name);
    json_out_close(o, '}');
}

static bool write_inputs(struct editing *d, struct json_out *o, struct err *err)
{
    json_out_name(o, "inputs");
    json_out_open(o, '{');
    for (size_t i = 0; i < d->job->input_count; i++) {
        json_out_name(o, d->step->manifest.inputs[i].name);
        json_out_open(o, '[');
        for (size_t k = 0; k < d->job->inputs[i].count; k++) {
            const struct artifact *a = steps_artifact(d->e, d->job->inputs[i].ids[k], err);
            if (!a)
                return false;
            write_artifact(o, a);
        }
        json_out_close(o, ']');
    }
    json_out_close(o, '}');
    return true;
}

static void write_outputs(const struct step *step, struct json_out *o)
{
    json_out_name(o, "outputs");
    json_out_open(o, '{');
    for (size_t i = 0; i < step->manifest.output_count; i++) {
        const struct step_slot *slot = &step->manifest.outputs[i];
        json_out_name(o, slot->name);
        json_out_open(o, '{');
        json_out_name(o, "media_type");
        json_out_text(o, slot->media_type);
        json_out_name(o, "min");
        json_out_i64(o, slot->min);
        json_out_name(o, "max");
        if (slot->max >= 0)
            json_out_i64(o, slot->max);
        else
            json_out_null(o);
        json_out_close(o, '}');
    }
    json_out_close(o, '}');
}

/* All that a worker needs: the arguments of the task. */
static bool make_arguments(struct editing *d, struct err *err)
{
    const struct step *step = d->step;
    struct step_job *job = d->job;
    OWNED_BUF struct buf b;
    struct json_out o;
    const char *schema = step->manifest.parameters;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "job");
    json_out_i64(&o, job->id);
    json_out_name(&o, "name");
    json_out_text(&o, job->name);
    json_out_name(&o, "step");
    json_out_open(&o, '{');
    json_out_name(&o, "id");
    json_out_i64(&o, step->id);
    json_out_name(&o, "name");
    json_out_text(&o, step->manifest.name);
    json_out_name(&o, "version");
    json_out_text(&o, step->manifest.version);
    json_out_close(&o, '}');
    json_out_name(&o, "parameters");
    json_schema_fill(schema ? str_of(schema) : STR("{}"), str_of(job->parameters),
                     str_of(step->defaults), &b);
    o.comma = true;
    if (!write_inputs(d, &o, err))
        return false;
    write_outputs(step, &o);
    json_out_close(&o, '}');
    if (b.full)
        return err_set(err, ERR_BUSY, "memory is out");
    free(job->arguments);
    job->arguments = buf_take(&b);
    return true;
}

static bool start(struct editing *d, struct err *err)
{
    struct step_job *job = d->job;
    return step_job_may(job, d->step, STEP_JOB_START, err) &&
           job_next_state(job->state, JOB_START, &job->state, err) && make_arguments(d, err) &&
           steps_check_start(d->e, d->op, job);
}

static bool edit(struct editing *d, struct err *err)
{
    static const struct {
        unsigned bit;
        bool (*set)(struct editing *d, struct err *err);
    } setters[] = {
        {STEP_JOB_SETS_NAME, set_name},
        {STEP_JOB_SETS_STEP, set_step},
        {STEP_JOB_SETS_PARAMETERS, set_parameters},
        {STEP_JOB_SETS_TAGS, set_tags},
        {STEP_JOB_SETS_HIDDEN, set_hidden},
        {STEP_JOB_SETS_OUTPUT_DELETABLE, set_output_deletable},
        {STEP_JOB_SETS_FOLDER, set_folder},
        {STEP_JOB_SETS_OPTIONS, set_options},
    };
    for (size_t i = 0; i < sizeof setters / sizeof *setters; i++)
        if ((d->ask->sets & setters[i].bit) && !setters[i].set(d, err))
            return false;
    for (size_t i = 0; i < d->ask->fill_count; i++)
        if (!fill(d, &d->ask->fills[i], err))
            return false;
    step_job_settle(d->job, d->step, NULL);
    return !(d->ask->sets & STEP_JOB_STARTS) || start(d, err);
}

/* --- what hangs on it --- */

/* One job more or less has it as input. */
static void count_use(struct engine *e, int64_t id, int64_t change)
{
    struct err ignored;
    const struct artifact *a = steps_artifact(e, id, &ignored);
    if (!a)
        return;
    struct artifact *copy = artifact_copy(a);
    copy->used += change;
    steps_put_artifact(e, id, copy);
}

/* Whether it stands in the inputs before this place, too. */
static bool came_before(const struct step_job *job, size_t slot, size_t place)
{
    int64_t id = job->inputs[slot].ids[place];
    for (size_t i = 0; i <= slot; i++)
        for (size_t k = 0; k < (i == slot ? place : job->inputs[i].count); k++)
            if (job->inputs[i].ids[k] == id)
                return true;
    return false;
}

/* Counts what one has and the other has not. */
static void count_uses(struct engine *e, const struct step_job *of, const struct step_job *other,
                       int64_t change)
{
    for (size_t i = 0; of && i < of->input_count; i++)
        for (size_t k = 0; k < of->inputs[i].count; k++) {
            int64_t id = of->inputs[i].ids[k];
            if ((!other || !step_job_uses(other, id)) && !came_before(of, i, k))
                count_use(e, id, change);
        }
}

static void count_step(struct engine *e, int64_t id, int64_t change)
{
    struct step_entry *entry = id ? steps_entry(e, id) : NULL;
    if (entry)
        entry->jobs += change;
}

static void count_sub_job(struct engine *e, int64_t parent, int64_t change)
{
    struct err ignored;
    const struct step_job *job = parent ? steps_job(e, parent, &ignored) : NULL;
    if (!job)
        return;
    struct step_job *copy = step_job_copy(job);
    copy->sub_jobs += change;
    steps_put_job(e, parent, copy);
}

void steps_follow_job(struct engine *e, const struct step_job *before, const struct step_job *after)
{
    int64_t old = before ? before->step : 0, now = after ? after->step : 0;
    count_uses(e, before, after, -1);
    count_uses(e, after, before, 1);
    if (old != now) {
        count_step(e, old, -1);
        count_step(e, now, 1);
    }
    if (!before)
        count_sub_job(e, after->parent, 1);
    if (!after)
        count_sub_job(e, before->parent, -1);
}

static void mark_outputs(struct engine *e, const struct step_job *job)
{
    struct err ignored;
    for (size_t i = 0; i < job->output_count; i++) {
        const struct artifact *a = steps_artifact(e, job->outputs[i].artifact, &ignored);
        if (!a || a->deletable == job->output_deletable)
            continue;
        struct artifact *copy = artifact_copy(a);
        copy->deletable = job->output_deletable;
        steps_put_artifact(e, a->id, copy);
    }
}

/* --- the op --- */

/* Times of jobs grow, so that their order is that of their creation. */
static int64_t next_time(struct engine *e)
{
    int64_t *last = &e->steps->last_job_us;
    *last = e->now.wall_us > *last ? e->now.wall_us : *last + 1;
    return *last;
}

static bool check_parent(struct engine *e, const struct op_step_job_edit *ask, struct err *err)
{
    int64_t id = ask->parent;
    for (int depth = 0; id; depth++) {
        const struct step_job *parent = steps_job_for(e, &ask->by, id, err);
        if (!parent)
            return err_add(err, "parent");
        if (depth == STEP_JOB_DEPTH_MAX)
            return err_set(err, ERR_INVALID, "parent: sub jobs are %d deep at most",
                           STEP_JOB_DEPTH_MAX);
        id = parent->parent;
    }
    return true;
}

static struct step_job *new_job(struct engine *e, const struct op_step_job_edit *ask)
{
    struct step_job *job = step_job_new();
    struct err ignored;
    const struct step_job *parent = ask->parent ? steps_job(e, ask->parent, &ignored) : NULL;
    job->id = steps_new_id(e);
    job->owner = parent ? xstrdup(parent->owner) : text_of(ask->by.owner);
    job->created_by = text_of(ask->by.name);
    job->name = xstrdup("");
    job->folder = xstrdup("/");
    job->state = JOB_DRAFT;
    job->parent = ask->parent;
    job->output_deletable = true;
    job->created_at_us = next_time(e);
    return job;
}

/* The job and its copy. */
static bool begin(struct editing *d)
{
    struct err *err = &d->op->err;
    if (d->ask->id == 0) {
        if (!check_parent(d->e, d->ask, err))
            return false;
        d->job = new_job(d->e, d->ask);
        return true;
    }
    d->before = steps_job_for(d->e, &d->ask->by, d->ask->id, err);
    if (!d->before)
        return false;
    d->step = steps_step_of(d->e, d->before);
    d->job = step_job_copy(d->before);
    return true;
}

static void finish(struct editing *d)
{
    struct engine *e = d->e;
    struct step_job *job = d->job;
    bool starts = d->ask->sets & STEP_JOB_STARTS;
    if (starts)
        job->scheduled_at_us = e->now.wall_us;
    const struct step_job *before = d->before ? step_job_hold(d->before) : NULL;
    steps_put_job(e, job->id, job);
    steps_follow_job(e, before, job);
    step_job_free(before);
    if (d->ask->sets & STEP_JOB_SETS_OUTPUT_DELETABLE)
        mark_outputs(e, job);
    if (starts)
        steps_start(e, job);
    d->ask->job = job->id;
    d->ask->state = job->state;
}

static bool show(struct engine *e, struct op *op)
{
    struct op_step_job_edit *ask = &op->step_job_edit;
    const struct step_job *job = steps_job(e, ask->job, &op->err);
    ask->view = xcalloc(1, sizeof *ask->view);
    if (!job || !step_job_view_make(e, job, ask->view, &op->err))
        return false;
    step_job_view_explain(e, ask->view);
    return true;
}

enum op_fate op_step_job_edit(struct engine *e, struct op *op)
{
    struct op_step_job_edit *ask = &op->step_job_edit;
    struct editing d = {.e = e, .op = op, .ask = ask};
    if (!steps_are_ready(e, op, &ask->by, true) || !begin(&d))
        return FATE_NOW;
    if (!edit(&d, &op->err)) {
        step_job_free(d.job);
        return FATE_NOW;
    }
    finish(&d);
    /* What was done stands, whether it can be shown or not. */
    if (ask->wants_view && !show(e, op))
        op->err = (struct err){0};
    return steps_fate(e);
}
