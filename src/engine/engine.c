/* engine.c: the step: every op found is applied, then the group is made durable, then all are
 * answered; what follows (completions, claims that waited) makes further groups until nothing
 * stirs. */
#include "engine/engine.h"

#include "engine/engine_state.h"
#include "engine/held_lines.h"
#include "engine/resume.h"

#include <assert.h>
#include <stdlib.h>

void list_add(struct list *l, void *item)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->items = xrealloc(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->count++] = item;
}

void list_release(struct list *l)
{
    free(l->items);
    *l = (struct list){0};
}

static void list_drop(struct list *l, const void *item)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] != item)
            l->items[kept++] = l->items[i];
    l->count = kept;
}

void engine_activate(struct engine *e, struct data_job *job)
{
    if (job->active)
        return;
    job->active = true;
    list_add(&e->active, job);
}

void engine_forget_job(struct engine *e, struct data_job *job)
{
    list_drop(&e->building.touched, job);
    list_drop(&e->active, job);
    list_drop(&e->building.ended, job);
    list_drop(&e->settled, job);
    for (size_t i = 0; i < e->building.answers.count; i++) {
        struct op *op = e->building.answers.items[i];
        if (op->of == job)
            op->of = NULL;
    }
    if (job->spec.source_format == FORMAT_PROGRAM || job->spec.sink_format == FORMAT_PROGRAM)
        e->programs--;
    job_table_remove(&e->jobs, job);
    data_job_rest(job);
    engine_remove_spools(e, job);
    held_lines_forget(e, job);
    data_job_free(job);
}

typedef enum op_fate op_verb(struct engine *e, struct op *op);

static void apply(struct engine *e, struct op *op)
{
    static op_verb *const verbs[OP_KIND_COUNT] = {
        [OP_START] = op_start,
        [OP_CONTROL] = op_control,
        [OP_CLAIM] = op_claim,
        [OP_SETTLE] = op_settle,
        [OP_RELEASE] = op_release_claim,
        [OP_EXTEND] = op_extend,
        [OP_REPORT] = op_report,
        [OP_LIST] = op_list,
        [OP_SUBSCRIBE] = op_subscribe,
        [OP_UNSUBSCRIBE] = op_unsubscribe,
        [OP_KEYS] = op_keys,
        [OP_STATS] = op_stats,
        [OP_DOCTOR] = op_doctor,
        [OP_FRAGMENTS_PUT] = op_store,
        [OP_FRAGMENTS_READ] = op_fragments_read,
        [OP_FRAGMENTS_DELETE] = op_store,
        [OP_DATASETS] = op_datasets,
        [OP_BLOB_NOTE] = op_store,
        [OP_BLOB_FORGET] = op_blob_forget,
        [OP_SCHEDULES] = op_schedules,
        [OP_SCHEDULE_TICK] = op_store,
        [OP_ENQUEUE] = op_enqueue,
        [OP_TASK_CLAIM] = op_task_claim,
        [OP_TASK_SETTLE] = op_task_settle,
        [OP_TASK_EXTEND] = op_task_extend,
        [OP_TASK_RELEASE] = op_task_release,
        [OP_TASK_SHOW] = op_task_show,
        [OP_TASK_LIST] = op_task_list,
        [OP_TASK_ERRORS] = op_task_errors,
        [OP_TASK_STATUS] = op_task_status,
        [OP_TASK_CONTROL] = op_task_control,
        [OP_GATES] = op_gates,
        [OP_LIMITS] = op_limits,
        [OP_WORKERS] = op_workers,
        [OP_FLOW_START] = op_flow_start,
        [OP_FLOW_SHOW] = op_flow_show,
        [OP_FLOW_LIST] = op_flow_list,
        [OP_FLOW_NODES] = op_flow_nodes,
        [OP_FLOW_ABORT] = op_flow_abort,
        [OP_FLOW_DELETE] = op_flow_delete,
        [OP_FLOW_PUT] = op_flow_put,
        [OP_FLOW_GET] = op_flow_get,
        [OP_FLOW_LOCK] = op_flow_lock,
        [OP_STEPS] = op_steps,
        [OP_STEP_JOB_EDIT] = op_step_job_edit,
        [OP_STEP_JOB_END] = op_step_job_end,
        [OP_STEP_JOB_SHOW] = op_step_job_show,
        [OP_STEP_JOBS] = op_step_jobs,
        [OP_ARTIFACT_ADD] = op_artifact_add,
        [OP_ARTIFACT_EDIT] = op_artifact_edit,
        [OP_ARTIFACT_SHOW] = op_artifact_show,
        [OP_ARTIFACTS] = op_artifacts,
        [OP_LINEAGE] = op_lineage,
        [OP_STEP_TAGS] = op_step_tags,
        [OP_STEP_USAGE] = op_step_usage,
        [OP_STEP_REPORT] = op_step_report,
        [OP_STEP_REPORT_SHOW] = op_step_report_show,
        [OP_FOLDERS] = op_folders,
    };
    e->stats.ops++;
    enum op_fate fate = verbs[op->kind](e, op);
    /* Some verbs have a transaction of their own. */
    if (op->err.code == ERR_FATAL) {
        e->fatal = true;
        e->failure = op->err;
    }
    op_meet_fate(e, op, fate);
}

/* Whether a waiting claim of the job could get something now. */
static bool is_worth_a_look(const struct engine *e, const struct data_job *job)
{
    if (!job->waiting || job->row.paused)
        return false;
    if (job_state_is_final(job->row.state))
        return !job->owed; /* an end that is not stored is told later */
    return job->again_now || job->wake_us <= e->now.mono_us ||
           (job->held_up && !order_is_full(job->order)) ||
           ledger_count(job->ledger, RECORD_UNREAD) > 0;
}

/* Leases that are due, waits that are over; who has neither any more leaves the list. */
static void look_at_deadlines(struct engine *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->active.count; i++) {
        struct data_job *job = e->active.items[i];
        leases_end_due(e, job);
        delays_end_due(e, job);
        if (job->resume)
            resume_step(e, job);
        settles_go_on(e, job);
        if (job->looks_for_end)
            claims_look_for_end(e, job);
        if (is_worth_a_look(e, job))
            claims_feed(e, job);
        claims_time_out(e, job);
        job->active = job->waiting || job->reaching || job->looks_for_end || job->resume ||
                      leases_count(job->leases) || delays_count(job->delays);
        if (job->active)
            e->active.items[kept++] = job;
    }
    e->active.count = kept;
}

/* What follows from the group that was just made durable. */
static void follow_up(struct engine *e)
{
    for (size_t i = 0; i < e->settled.count; i++)
        delays_end_due(e, e->settled.items[i]);
    for (size_t i = 0; i < e->active.count; i++) {
        struct data_job *job = e->active.items[i];
        if (is_worth_a_look(e, job))
            claims_feed(e, job);
    }
    for (size_t i = 0; i < e->settled.count; i++)
        job_advance(e, e->settled.items[i]);
    e->settled.count = 0;
    for (size_t i = 0; e->programs && i < e->jobs.count; i++) {
        struct data_job *job = e->jobs.jobs[i];
        if (!job->feed_in && !job->feed_out)
            continue;
        job_advance(e, job);
        if (job->waiting && !job->row.paused)
            claims_feed(e, job);
    }
}

/* What follows from what happened goes into the next group; when nothing stirs, followers are shown
 * how far jobs are. Returns whether there is something to commit. */
static bool stage_next(struct engine *e)
{
    follow_up(e);
    if (group_stage(e))
        return true;
    feed_progress(e);
    return false;
}

/* The end: whoever was not answered is told that nothing is sure. */
static bool refuse_all(struct engine *e, struct op *ops, struct err *err)
{
    *err = e->failure;
    for (size_t i = 0; i < e->building.answers.count; i++) {
        struct op *op = e->building.answers.items[i];
        op->err = *err;
        op->done(op);
    }
    e->building.answers.count = 0;
    store_ops_end(e, err);
    engine_end_waits(e);
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        op->err = *err;
        op->done(op);
    }
    return false;
}

bool engine_begin(struct engine *e, struct op *ops, struct instant now, bool *pending,
                  struct err *err)
{
    e->now = now;
    if (e->fatal)
        return refuse_all(e, ops, err);
    engine_retry(e);
    engine_settle_due(e);
    blobs_collect_due(e);
    schedules_due(e);
    look_at_deadlines(e);
    steps_begin(e);
    steps_walk_step(e);
    tasks_begin(e);
    watch_drain(e);
    /* What went on may have flushed, as an op may on its way, and that may be the end. */
    if (e->fatal)
        return refuse_all(e, ops, err);
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        op->next = NULL;
        apply(e, op);
        if (e->fatal)
            return refuse_all(e, ops, err);
    }
    store_ops_build(e);
    tasks_feed(e);
    steps_shows_look(e);
    *pending = stage_next(e);
    return true;
}

void engine_commit(struct engine *e)
{
    group_commit(e);
}

void engine_claim_meanwhile(struct engine *e, struct op *claim, struct instant now)
{
    assert(e->in_commit && claim->kind == OP_CLAIM);
    e->now = now;
    apply(e, claim);
}

bool engine_finish(struct engine *e, struct instant now, bool *pending, struct err *err)
{
    e->now = now;
    group_finish(e);
    if (e->fatal)
        return refuse_all(e, NULL, err);
    *pending = stage_next(e);
    return true;
}

bool engine_step(struct engine *e, struct op *ops, struct instant now, struct err *err)
{
    bool pending = false, ok = engine_begin(e, ops, now, &pending, err);
    while (ok && pending) {
        engine_commit(e);
        ok = engine_finish(e, now, &pending, err);
    }
    return ok;
}

int64_t engine_next_us(const struct engine *e)
{
    int64_t next = e->progress_due_us < e->retry_at_us ? e->progress_due_us : e->retry_at_us;
    if (e->settle_due_us < next)
        next = e->settle_due_us;
    int64_t scheduled_us = schedules_next_us(e);
    if (scheduled_us < next)
        next = scheduled_us;
    if (e->blobs_due_us < next)
        next = e->blobs_due_us;
    if (e->store_ops.count)
        return 0;
    if (tasks_next_us(e) < next)
        next = tasks_next_us(e);
    if (steps_next_us(e) < next)
        next = steps_next_us(e);
    if (e->building.touched.count) /* decided while the engine was opened */
        return 0;
    for (size_t i = 0; i < e->active.count; i++) {
        const struct data_job *job = e->active.items[i];
        const struct lease *first = leases_first(job->leases);
        if (first && lease_ends_us(first) < next)
            next = lease_ends_us(first);
        if (delays_first_us(job->delays) < next)
            next = delays_first_us(job->delays);
        if (job->waiting && !job->row.paused && job->wake_us < next)
            next = job->wake_us;
        if ((job->again_now && job->waiting && !job->row.paused) || job->reaching || job->resume ||
            job->looks_for_end)
            return 0;
        for (const struct op *op = job->waiting; op; op = op->next)
            if (claim_is_given_up(op))
                next = 0;
            else if (op->claim.wait_until_us < next && !claim_is_held(job, op))
                next = op->claim.wait_until_us;
    }
    return next;
}
