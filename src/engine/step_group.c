/* step_group.c: what a group has changed of steps, jobs and artifacts, into the store: for each the
 * difference between what was stored and what it is now. When that fails, memory is thrown away and
 * read again. */
#include "engine/engine_state.h"
#include "engine/step_feed.h"
#include "engine/step_runs.h"

#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>

bool steps_stir(const struct group *g)
{
    return g->steps.thing_count || g->steps.step_count || g->steps.folder_count;
}

/* --- events --- */

static void add_event(struct engine *e, int64_t id, const char *name, const char *kind,
                      struct buf *detail)
{
    engine_step_event(e, id, name, kind, buf_str(detail));
}

static void detail_begin(struct json_out *o, struct buf *b, const char *owner)
{
    b->len = 0;
    json_out_init(o, b);
    json_out_open(o, '{');
    json_out_name(o, "owner");
    json_out_text(o, owner);
}

static const char *job_kind(const struct thing *t)
{
    static const char *const states[JOB_STATE_COUNT] = {
        [JOB_PENDING] = "step-job.pending",     [JOB_RUNNING] = "step-job.running",
        [JOB_COMPLETED] = "step-job.completed", [JOB_FAILED] = "step-job.failed",
        [JOB_CANCELLED] = "step-job.cancelled",
    };
    if (!t->job)
        return "step-job.deleted";
    if (!t->stored_job)
        return "step-job.created";
    bool moved = t->stored_job->state != t->job->state;
    return moved && states[t->job->state] ? states[t->job->state] : "step-job.changed";
}

static void job_event(struct engine *e, const struct thing *t, struct buf *b)
{
    struct json_out o;
    const struct step_job *job = t->job ? t->job : t->stored_job;
    detail_begin(&o, b, job->owner);
    json_out_name(&o, "state");
    json_out_text(&o, job_state_name(job->state));
    json_out_close(&o, '}');
    add_event(e, job->id, job->name, job_kind(t), b);
}

static void artifact_event(struct engine *e, const struct thing *t, struct buf *b)
{
    struct json_out o;
    const struct artifact *a = t->artifact ? t->artifact : t->stored_artifact;
    if (t->artifact && t->stored_artifact)
        return;
    detail_begin(&o, b, a->owner);
    json_out_name(&o, "job");
    if (a->job)
        json_out_i64(&o, a->job);
    else
        json_out_null(&o);
    json_out_close(&o, '}');
    add_event(e, a->id, a->name, t->artifact ? "artifact.created" : "artifact.deleted", b);
}

static void step_event(struct engine *e, const struct step_entry *entry, struct buf *b)
{
    struct json_out o;
    const struct step *s = entry->now ? entry->now : entry->stored;
    detail_begin(&o, b, s->owner);
    json_out_name(&o, "version");
    json_out_text(&o, s->manifest.version);
    json_out_close(&o, '}');
    add_event(e, s->id, s->manifest.name,
              !entry->now      ? "step.deleted"
              : !entry->stored ? "step.registered"
                               : "step.changed",
              b);
}

void steps_stage(struct engine *e, struct group *group)
{
    struct step_group *g = &group->steps;
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    g->at_us = e->now.wall_us;
    for (size_t i = 0; i < g->step_count; i++) {
        struct step_entry *entry = g->steps[i];
        entry->in_group = false;
        if (entry->stored != entry->now)
            step_event(e, entry, &b);
    }
    for (size_t i = 0; i < g->thing_count; i++) {
        struct thing *t = g->things[i];
        if (t->stored == t->now)
            continue;
        if (t->kind == THING_JOB)
            job_event(e, t, &b);
        else
            artifact_event(e, t, &b);
    }
    e->tasks->events += (int64_t)(g->step_count + g->thing_count);
}

/* --- storing: the committer --- */

static bool store_thing(struct tx *tx, const struct thing *t, int64_t now_us, struct err *err)
{
    if (t->kind == THING_JOB)
        return step_job_store_change(tx, t->stored_job, t->job, err);
    return artifact_store_change(tx, t->stored_artifact, t->artifact, now_us, err);
}

bool steps_store(struct tx *tx, const struct group *group, struct err *err)
{
    const struct step_group *g = &group->steps;
    if (!steps_folders_store(tx, g, err))
        return false;
    for (size_t i = 0; i < g->step_count; i++)
        if (g->steps[i]->stored != g->steps[i]->now &&
            !step_store_change(tx, g->steps[i]->stored, g->steps[i]->now, err))
            return false;
    for (size_t i = 0; i < g->thing_count; i++)
        if (!store_thing(tx, g->things[i], g->at_us, err))
            return false;
    return true;
}

/* --- the outcome --- */

/* Tells those who follow of a job whose change is durable. */
static void tell_job(struct engine *e, const struct thing *t)
{
    const struct step_job *before = t->stored_job, *after = t->job;
    enum step_feed_kind kind = STEP_FEED_CHANGED;
    if (!after)
        kind = STEP_FEED_DELETED;
    else if (!before)
        kind = STEP_FEED_CREATED;
    else if (before->state != after->state)
        kind = STEP_FEED_STATE;
    const struct step_job *job = after ? after : before;
    if (kind != STEP_FEED_CHANGED || job->state == JOB_RUNNING)
        step_runs_set(e->step_runs, job->id,
                      after && after->state == JOB_RUNNING ? after->fence : 0);
    step_feed_add(e->step_feed, str_of(job->owner), job->id, kind, e->now.mono_us);
}

/* What it is now is what the store holds. */
static void settle_thing(struct engine *e, struct thing *t)
{
    t->in_group = false;
    if (t->stored == t->now)
        return;
    if (t->kind == THING_JOB) {
        tell_job(e, t);
        steps_count_job(e, t->stored_job, t->job);
        step_job_free(t->stored_job);
        t->stored = t->job ? step_job_hold(t->job) : NULL;
    } else {
        if (!t->artifact)
            blobs_stir(e);
        steps_count_artifact(e, t->stored_artifact, t->artifact);
        artifact_free(t->stored_artifact);
        t->stored = t->artifact ? artifact_hold(t->artifact) : NULL;
    }
}

static void settle_step(struct step_entry *entry)
{
    if (entry->stored == entry->now)
        return;
    step_free(entry->stored);
    entry->stored = entry->now ? step_hold(entry->now) : NULL;
}

/* Entries of steps that are gone. */
static void sweep_steps(struct steps *steps)
{
    size_t kept = 0;
    for (size_t i = 0; i < steps->count; i++)
        if (steps->entries[i]->now || steps->entries[i]->stored)
            steps->entries[kept++] = steps->entries[i];
        else
            free(steps->entries[i]);
    steps->count = kept;
}

void steps_committed(struct engine *e, struct group *group)
{
    struct step_group *g = &group->steps;
    for (size_t i = 0; i < g->step_count; i++)
        settle_step(g->steps[i]);
    if (g->step_count)
        sweep_steps(e->steps);
    for (size_t i = 0; i < g->thing_count; i++)
        settle_thing(e, g->things[i]);
    if (g->thing_count)
        step_feed_wake(e->step_feed);
}

void steps_failed(struct engine *e, struct group *group, const struct err *why)
{
    struct err err;
    if (!steps_stir(group))
        return;
    for (size_t i = 0; i < group->answers.count; i++) {
        struct op *op = group->answers.items[i];
        if (op->kind >= OP_STEPS && op->kind <= OP_FOLDERS && op->err.code == ERR_NONE)
            op->err = *why;
    }
    if (why->code != ERR_FATAL && !steps_load(e, &err))
        LOG1(LOG_ERROR, "steps.unread", "reason", "%s", err.text);
}

void step_group_release(struct step_group *g)
{
    for (size_t i = 0; i < g->held_count; i++)
        step_job_free(g->held[i]);
    free(g->held);
    steps_folders_release(g);
    free(g->things);
    free(g->steps);
    *g = (struct step_group){0};
}
