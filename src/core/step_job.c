/* step_job.c: see step_job.h. */
#include "core/step_job.h"

#include "base/json.h"
#include "core/json_schema.h"
#include "core/task.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct step_job *step_job_new(void)
{
    struct step_job *job = xcalloc(1, sizeof *job);
    atomic_init(&job->refs, 1);
    return job;
}

static void inputs_release(struct step_job *job)
{
    for (size_t i = 0; i < job->input_count; i++)
        free(job->inputs[i].ids);
    free(job->inputs);
    job->inputs = NULL;
    job->input_count = 0;
}

static int64_t *copy_ids(const int64_t *ids, size_t count)
{
    if (count == 0)
        return NULL;
    int64_t *copy = xcalloc(count, sizeof *copy);
    memcpy(copy, ids, count * sizeof *copy);
    return copy;
}

static void copy_lists(const struct step_job *from, struct step_job *to)
{
    size_t inputs = from->input_count;
    step_tags_copy(&from->tags, &to->tags);
    to->inputs = inputs ? xcalloc(inputs, sizeof *to->inputs) : NULL;
    for (size_t i = 0; i < inputs; i++) {
        const struct step_fill *fill = &from->inputs[i];
        to->inputs[i] = (struct step_fill){copy_ids(fill->ids, fill->count), fill->count};
    }
    to->input_count = inputs;
    size_t outputs = from->output_count;
    to->outputs = outputs ? xcalloc(outputs, sizeof *to->outputs) : NULL;
    for (size_t i = 0; i < outputs; i++)
        to->outputs[i] = from->outputs[i];
    to->output_count = outputs;
}

struct step_job *step_job_copy(const struct step_job *job)
{
    struct step_job *copy = step_job_new();
    copy->id = job->id;
    copy->owner = xstrdup(job->owner);
    copy->created_by = xstrdup(job->created_by);
    copy->name = xstrdup(job->name);
    copy->folder = xstrdup(job->folder);
    copy->folder_id = job->folder_id;
    copy->state = job->state;
    copy->step = job->step;
    copy->parent = job->parent;
    copy->parameters = xstrdup_or_null(job->parameters);
    copy->arguments = xstrdup_or_null(job->arguments);
    copy->options = xstrdup_or_null(job->options);
    copy->priority = job->priority;
    copy->max_attempts = job->max_attempts;
    copy->hidden = job->hidden;
    copy->output_deletable = job->output_deletable;
    copy->sub_jobs = job->sub_jobs;
    copy->created_at_us = job->created_at_us;
    copy->scheduled_at_us = job->scheduled_at_us;
    copy->started_at_us = job->started_at_us;
    copy->ended_at_us = job->ended_at_us;
    copy->fence = job->fence;
    copy->worker = xstrdup_or_null(job->worker);
    copy->result = xstrdup_or_null(job->result);
    copy->error = xstrdup_or_null(job->error);
    copy_lists(job, copy);
    return copy;
}

const struct step_job *step_job_hold(const struct step_job *job)
{
    atomic_fetch_add(&((struct step_job *)(uintptr_t)job)->refs, 1);
    return job;
}

void step_job_free(const struct step_job *job)
{
    struct step_job *own = (struct step_job *)(uintptr_t)job;
    if (!own || atomic_fetch_sub(&own->refs, 1) > 1)
        return;
    char *const texts[] = {own->owner,      own->created_by, own->name,    own->folder,
                           own->parameters, own->arguments,  own->options, own->worker,
                           own->result,     own->error};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    step_tags_release(&own->tags);
    inputs_release(own);
    free(own->outputs);
    free(own);
}

int64_t step_job_attempts(const struct step_job *job)
{
    return job->max_attempts ? job->max_attempts : TASK_ATTEMPTS_DEFAULT;
}

/* --- what may be done --- */

static bool is_configurable(const struct step_job *job)
{
    return job->state == JOB_DRAFT || job->state == JOB_READY;
}

static bool is_under_way(const struct step_job *job)
{
    return job->state == JOB_BLOCKED || job->state == JOB_PENDING || job->state == JOB_RUNNING;
}

static bool may_configure(const struct step_job *job, struct err *err)
{
    return is_configurable(job) ||
           err_set(err, ERR_CONFLICT, "job %" PRId64 " is %s: it cannot be configured any more",
                   job->id, job_state_name(job->state));
}

static bool may_start(const struct step_job *job, const struct step *step, struct err *err)
{
    struct err why = {0};
    if (job->state == JOB_READY)
        return true;
    if (job->state != JOB_DRAFT)
        return err_set(err, ERR_CONFLICT, "job %" PRId64 " is %s: it was started already", job->id,
                       job_state_name(job->state));
    struct step_job *copy = step_job_copy(job);
    step_job_settle(copy, step, &why);
    step_job_free(copy);
    return err_set(err, ERR_CONFLICT, "job %" PRId64 " is not ready: %s", job->id, why.text);
}

static bool may_go(const struct step_job *job, struct err *err)
{
    if (is_under_way(job))
        return err_set(err, ERR_CONFLICT, "job %" PRId64 " is %s: cancel it first", job->id,
                       job_state_name(job->state));
    if (job->output_count)
        return err_set(err, ERR_CONFLICT, "job %" PRId64 " has %zu outputs: delete them first",
                       job->id, job->output_count);
    return job->sub_jobs == 0 ||
           err_set(err, ERR_CONFLICT, "job %" PRId64 " has %" PRId64 " sub jobs: delete them first",
                   job->id, job->sub_jobs);
}

bool step_job_may(const struct step_job *job, const struct step *step, enum step_job_verb verb,
                  struct err *err)
{
    switch (verb) {
    case STEP_JOB_SELECT:
    case STEP_JOB_FILL:
        return may_configure(job, err);
    case STEP_JOB_CONFIGURE:
        if (!may_configure(job, err))
            return false;
        if (!step)
            return err_set(err, ERR_CONFLICT, "job %" PRId64 " has no step selected", job->id);
        return step_has_parameters(step) ||
               err_set(err, ERR_CONFLICT, "the step of job %" PRId64 " has no parameters", job->id);
    case STEP_JOB_START:
        return may_start(job, step, err);
    case STEP_JOB_CANCEL:
        return !job_state_is_final(job->state) ||
               err_set(err, ERR_CONFLICT, "job %" PRId64 " is %s already", job->id,
                       job_state_name(job->state));
    case STEP_JOB_FAIL:
        return is_under_way(job) ||
               err_set(err, ERR_CONFLICT, "job %" PRId64 " is %s: it neither waits nor runs",
                       job->id, job_state_name(job->state));
    case STEP_JOB_DELETE:
        return may_go(job, err);
    case STEP_JOB_VERB_COUNT:
        break;
    }
    return err_set(err, ERR_INTERNAL, "there is no such verb");
}

/* --- configuring --- */

void step_job_select(struct step_job *job, const struct step *step)
{
    inputs_release(job);
    free(TAKE(job->parameters));
    job->step = step ? step->id : 0;
    if (!step || step->manifest.input_count == 0)
        return;
    job->input_count = step->manifest.input_count;
    job->inputs = xcalloc(job->input_count, sizeof *job->inputs);
}

void step_job_add_slots(struct step_job *job, const struct step *step)
{
    size_t all = step ? step->manifest.input_count : 0;
    if (job->input_count >= all)
        return;
    job->inputs = xrealloc(job->inputs, all * sizeof *job->inputs);
    for (; job->input_count < all; job->input_count++)
        job->inputs[job->input_count] = (struct step_fill){NULL, 0};
}

bool step_job_configure(struct step_job *job, const struct step *step, struct str parameters,
                        struct err *err)
{
    struct str given = str_trim(parameters);
    if (given.len == 0 || json_type_of(given) == JSON_NULL) {
        free(TAKE(job->parameters));
        return true;
    }
    if (json_type_of(given) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "parameters: expected an object");
    const char *schema = step->manifest.parameters;
    if (!schema && !json_same(given, STR("{}")))
        return err_set(err, ERR_INVALID, "parameters: the step has none");
    /* What is missing yet may come before the start: what is there already must fit. */
    if (schema && !json_schema_check_given(str_of(schema), given, "parameters", err))
        return false;
    free(job->parameters);
    job->parameters = xstrndup(given.ptr, given.len);
    return true;
}

bool step_job_fill(struct step_job *job, const struct step *step, size_t slot, const int64_t *ids,
                   size_t count, struct err *err)
{
    size_t all = count;
    if (slot >= job->input_count)
        return err_set(err, ERR_INVALID, "there is no input slot %zu", slot);
    const struct step_slot *says = &step->manifest.inputs[slot];
    if (says->max >= 0 && count > (size_t)says->max)
        return err_set(err, ERR_INVALID,
                       "input slot %s holds %" PRId64 " artifacts at most, not %zu", says->name,
                       says->max, count);
    for (size_t i = 0; i < job->input_count; i++)
        all += i == slot ? 0 : job->inputs[i].count;
    if (all > STEP_JOB_INPUTS_MAX)
        return err_set(err, ERR_INVALID, "a job holds %d artifacts at most", STEP_JOB_INPUTS_MAX);
    free(job->inputs[slot].ids);
    job->inputs[slot] = (struct step_fill){copy_ids(ids, count), count};
    return true;
}

/* Whether nothing is missing; *why says what is. */
static bool is_complete(const struct step_job *job, const struct step *step, struct err *why)
{
    struct str missing = {NULL, 0};
    if (!step)
        return err_set(why, ERR_CONFLICT, "no step is selected");
    if (step->manifest.parameters &&
        !json_schema_complete(str_of(step->manifest.parameters), str_of(job->parameters),
                              str_of(step->defaults), &missing))
        return err_set(why, ERR_CONFLICT, "the parameter %.*s is not configured",
                       missing.len > 100 ? 100 : (int)missing.len, missing.ptr);
    for (size_t i = 0; i < job->input_count; i++)
        if (job->inputs[i].count < (size_t)step->manifest.inputs[i].min)
            return err_set(why, ERR_CONFLICT, "input slot %s has %zu of %" PRId64 " artifacts",
                           step->manifest.inputs[i].name, job->inputs[i].count,
                           step->manifest.inputs[i].min);
    return true;
}

void step_job_settle(struct step_job *job, const struct step *step, struct err *why)
{
    struct err ignored = {0};
    if (is_configurable(job))
        job->state = is_complete(job, step, why ? why : &ignored) ? JOB_READY : JOB_DRAFT;
}

bool step_job_uses(const struct step_job *job, int64_t artifact)
{
    for (size_t i = 0; i < job->input_count; i++)
        for (size_t k = 0; k < job->inputs[i].count; k++)
            if (job->inputs[i].ids[k] == artifact)
                return true;
    return false;
}

/* --- outputs --- */

static int compare_places(const struct step_output *a, int64_t slot, int64_t place)
{
    if (a->slot != slot)
        return a->slot < slot ? -1 : 1;
    return (a->place > place) - (a->place < place);
}

void step_job_add_output(struct step_job *job, int64_t artifact, int64_t slot, int64_t place,
                         int64_t *before)
{
    size_t at = 0;
    while (at < job->output_count && compare_places(&job->outputs[at], slot, place) < 0)
        at++;
    *before = 0;
    if (slot >= 0 && at < job->output_count &&
        compare_places(&job->outputs[at], slot, place) == 0) {
        *before = job->outputs[at].artifact;
        job->outputs[at].artifact = artifact;
        return;
    }
    job->outputs = xrealloc(job->outputs, (job->output_count + 1) * sizeof *job->outputs);
    memmove(job->outputs + at + 1, job->outputs + at,
            (job->output_count - at) * sizeof *job->outputs);
    job->outputs[at] = (struct step_output){.artifact = artifact, .slot = slot, .place = place};
    job->output_count++;
}

void step_job_drop_output(struct step_job *job, int64_t artifact)
{
    size_t kept = 0;
    for (size_t i = 0; i < job->output_count; i++)
        if (job->outputs[i].artifact != artifact)
            job->outputs[kept++] = job->outputs[i];
    job->output_count = kept;
}
