/* control.c: what a person does to a job: pause, resume, cancel, delete, clean, repair; and purge.
 */
#include "base/fault.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "engine/held_lines.h"

#include <stdlib.h>

/* First it is stored that the job has written nothing, then the file goes: a crash between the two
 * leaves a file too many, never a job that misses what it wrote. */
static bool remove_output(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->spec.sink_format == FORMAT_NONE || job->spec.sink_format == FORMAT_PROGRAM ||
        !job->out_name)
        return true;
    if (!engine_flush(e, err))
        return false;
    data_job_rest(job);
    struct data_progress *p = &job->row.progress;
    p->sink_bytes = -1;
    p->tail_bytes = 0;
    free(TAKE(p->sink_columns));
    job->live.written = 0; /* it tells of the output that is there */
    if (engine_store(e, job, err)) {
        (void)FAULT("output.forgotten");
        return data_job_open_sink(e, job, err) && sink_remove(job->sink, err);
    }
    p->sink_bytes = job->stored.sink_bytes;
    p->tail_bytes = job->stored.tail_bytes;
    p->sink_columns = xstrdup_or_null(job->stored.sink_columns);
    job->live.written = job->stored.written;
    return false;
}

static bool store_delete(struct engine *e, struct data_job *job, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && job_store_delete(tx, &job->row.id, 1, err) &&
           tx_commit(tx, err);
}

/* What was cut out of an output that stays, to be done again, belongs to it. */
static bool restore_output(struct engine *e, struct data_job *job, struct err *err)
{
    if (!job->spec.id_key)
        return true;
    data_job_rest(job);
    return held_lines_restore(e, job, err);
}

static bool delete_job(struct engine *e, struct data_job *job, bool with_output, struct err *err)
{
    if (with_output && !remove_output(e, job, err))
        return false;
    if (!engine_flush_output(e, job, err) || (!with_output && !restore_output(e, job, err)) ||
        !store_delete(e, job, err))
        return false;
    (void)FAULT("job.deleted");
    struct err gone;
    err_set(&gone, ERR_NOT_FOUND, "job %s was deleted", job->row.name);
    claims_end(job, &gone);
    settles_end(job, &gone);
    engine_event(e, job, "job.deleted", (struct str){0});
    LOG1(LOG_INFO, "job.deleted", "job", "%s", job->row.name);
    engine_forget_job(e, job);
    return true;
}

static bool clean_job(struct engine *e, struct data_job *job, bool with_output, struct err *err)
{
    data_job_unserve(job);
    engine_touch(e, job);
    if (with_output && !remove_output(e, job, err))
        return false;
    claims_feed(e, job);
    return true;
}

static bool pause_job(struct engine *e, struct data_job *job, bool paused, struct err *err)
{
    if (job->row.paused == paused && !(paused && job_state_is_final(job->row.state)))
        return true;
    /* A paused job takes results, and may have completed by them: then it is resumed all the same,
     * for its input may grow. */
    if (paused && job_state_is_final(job->row.state))
        return err_set(err, ERR_CONFLICT, "job %s is %s: it cannot be paused", job->row.name,
                       job_state_name(job->row.state));
    if (!paused && job->portion_over && !engine_go_beyond(e, job, err))
        return false;
    job->row.paused = paused;
    engine_touch(e, job);
    engine_event(e, job, paused ? "job.paused" : "job.resumed", (struct str){0});
    if (!paused)
        claims_feed(e, job);
    return true;
}

static bool cancel_job(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->row.state == JOB_CANCELLED)
        return true;
    if (job_state_is_final(job->row.state))
        return err_set(err, ERR_CONFLICT, "job %s is %s: it cannot be cancelled", job->row.name,
                       job_state_name(job->row.state));
    if (!engine_move(e, job, JOB_CANCEL, err))
        return false;
    data_job_unserve(job);
    claims_end(job, NULL);
    list_add(&e->building.ended, job);
    return true;
}

static bool repair_job(struct engine *e, struct data_job *job, bool with_failed, struct err *err)
{
    /* Read again from a fresh look at the files, as after a restart. */
    if (!engine_flush_output(e, job, err))
        return false;
    data_job_rest(job);
    engine_reopen(e, job, with_failed);
    claims_feed(e, job);
    claims_look_for_end(e, job);
    return true;
}

static bool control_one(struct engine *e, struct data_job *job, struct op *op)
{
    struct err *err = &op->err;
    switch (op->control.verb) {
    case CONTROL_PAUSE:
        return pause_job(e, job, true, err);
    case CONTROL_RESUME:
        return pause_job(e, job, false, err);
    case CONTROL_CANCEL:
        return cancel_job(e, job, err);
    case CONTROL_CLEAN:
        return clean_job(e, job, op->control.with_output, err);
    case CONTROL_REPAIR:
        return repair_job(e, job, op->control.with_failed, err);
    case CONTROL_DELETE:
    case CONTROL_PURGE:
        return delete_job(e, job, op->control.with_output, err);
    }
    return err_set(err, ERR_INTERNAL, "unknown control verb");
}

static enum op_fate purge(struct engine *e, struct op *op)
{
    if (!op->right.trusted)
        return op_refuse(op, REFUSED_TOKEN, ERR_FORBIDDEN, "a purge needs the master token");
    while (e->jobs.count) {
        if (!control_one(e, e->jobs.jobs[e->jobs.count - 1], op))
            return FATE_NOW;
        op->control.jobs++;
    }
    return FATE_DURABLE;
}

enum op_fate op_control(struct engine *e, struct op *op)
{
    if (op->control.verb == CONTROL_PURGE)
        return purge(e, op);
    if (!op_find_job(e, op))
        return FATE_NOW;
    struct data_job *job = op->of;
    if (op->control.verb == CONTROL_DELETE)
        op->of = NULL; /* it will be gone, and durably so, whatever becomes of the group */
    if (!control_one(e, job, op))
        return FATE_NOW;
    op->control.jobs = 1;
    return FATE_DURABLE;
}
