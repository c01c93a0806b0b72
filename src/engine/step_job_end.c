/* step_job_end.c: jobs are cancelled, told to have failed, deleted. */
#include "engine/engine_state.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>

static bool cancel_draft(struct engine *e, const struct step_job *job, struct err *err)
{
    struct step_job *copy = step_job_copy(job);
    if (!job_next_state(copy->state, JOB_CANCEL, &copy->state, err)) {
        step_job_free(copy);
        return false;
    }
    copy->ended_at_us = e->now.wall_us;
    steps_put_job(e, copy->id, copy);
    return true;
}

static bool cancel(struct engine *e, const struct step_job *job, struct err *err)
{
    if (job->state == JOB_DRAFT || job->state == JOB_READY)
        return cancel_draft(e, job, err);
    return task_control_one(e, TASK_CANCEL, job->id, err) || err->code == ERR_NONE;
}

static bool fail(struct engine *e, const struct step_job *job, struct str message, struct err *err)
{
    struct task *t = dispatch_find(e->tasks->dispatch, job->id);
    if (!t)
        return err_set(err, ERR_CONFLICT, "job %" PRId64 " has no task any more", job->id);
    struct task_note *note = note_need(e, t, err);
    if (!note)
        return false;
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "message");
    json_out_str(&o, message);
    json_out_name(&o, "type");
    json_out_text(&o, "SetToFailed");
    json_out_close(&o, '}');
    task_end_failed(e, note, buf_str(&b), STR("SetToFailed"));
    return true;
}

static bool delete_job(struct engine *e, const struct step_job *job, struct err *err)
{
    const struct step_job *held = step_job_hold(job);
    bool good = job->scheduled_at_us == 0 || task_control_one(e, TASK_DELETE, job->id, err) ||
                err->code == ERR_NONE;
    if (good) {
        steps_put_job(e, held->id, NULL);
        steps_follow_job(e, held, NULL);
    }
    step_job_free(held);
    return good;
}

bool steps_delete_job(struct engine *e, const struct step_job *job, struct err *err)
{
    return step_job_may(job, steps_step_of(e, job), STEP_JOB_DELETE, err) &&
           delete_job(e, job, err);
}

static bool end(struct engine *e, struct op *op)
{
    static const enum step_job_verb verbs[] = {[STEP_JOB_END_CANCEL] = STEP_JOB_CANCEL,
                                               [STEP_JOB_END_FAIL] = STEP_JOB_FAIL,
                                               [STEP_JOB_END_DELETE] = STEP_JOB_DELETE};
    const struct op_step_job_end *ask = &op->step_job_end;
    const struct step_job *job = steps_job_for(e, &ask->by, ask->id, &op->err);
    if (!job || !step_job_may(job, steps_step_of(e, job), verbs[ask->how], &op->err))
        return false;
    switch (ask->how) {
    case STEP_JOB_END_CANCEL:
        return cancel(e, job, &op->err);
    case STEP_JOB_END_FAIL:
        return fail(e, job, ask->message, &op->err);
    case STEP_JOB_END_DELETE:
        return delete_job(e, job, &op->err);
    }
    return err_set(&op->err, ERR_INTERNAL, "there is no such end");
}

enum op_fate op_step_job_end(struct engine *e, struct op *op)
{
    if (!steps_are_ready(e, op, &op->step_job_end.by, true))
        return FATE_NOW;
    return end(e, op) ? steps_fate(e) : FATE_NOW;
}
