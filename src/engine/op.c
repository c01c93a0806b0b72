/* op.c: an op's beginning and end, and the job it means. */
#include "engine/engine_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void op_init(struct op *op, enum op_kind kind)
{
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->refused_record = -1;
    if (kind == OP_CLAIM) {
        buf_init(&op->claim.records, BUF_NO_CAP);
        op->claim.running = op->claim.slots = -1;
    }
    if (kind == OP_DOCTOR)
        buf_init(&op->doctor.findings, BUF_NO_CAP);
    fragment_op_init(op);
    if (kind >= OP_ENQUEUE)
        task_op_init(op);
    flow_op_init(op);
}

bool op_only_looks(const struct op *op)
{
    return op->kind == OP_ARTIFACT_SHOW || op->kind == OP_STEP_USAGE ||
           (op->kind == OP_STEPS && op->steps.verb == STEPS_SHOW) ||
           (op->kind == OP_STEP_JOB_SHOW && op->step_job_show.wait_until_us == 0);
}

void job_view_release(struct job_view *view)
{
    free(view->name);
    free(view->failure);
    free(view->errors_path);
    free(view->tail);
    for (size_t i = 0; i < view->worker_count; i++)
        free(view->workers[i].name);
    free(view->workers);
    data_spec_release(&view->spec);
    *view = (struct job_view){0};
}

void op_release(struct op *op)
{
    switch (op->kind) {
    case OP_CLAIM:
        buf_release(&op->claim.records);
        break;
    case OP_REPORT:
        job_view_release(&op->report.view);
        break;
    case OP_LIST:
        for (size_t i = 0; i < op->list.count; i++)
            job_view_release(&op->list.views[i]);
        free(op->list.views);
        break;
    case OP_KEYS:
        for (size_t i = 0; i < op->keys.count; i++) {
            free(op->keys.keys[i].name);
            free(op->keys.keys[i].owner);
            free(op->keys.keys[i].scopes);
        }
        free(op->keys.keys);
        break;
    case OP_STATS:
        for (size_t i = 0; i < op->stats.finished_count; i++)
            free(op->stats.finished[i]);
        free(op->stats.finished);
        break;
    case OP_DOCTOR:
        buf_release(&op->doctor.findings);
        break;
    default:
        fragment_op_release(op);
        schedule_op_release(op);
        task_op_release(op);
        flow_op_release(op);
        step_op_release(op);
        break;
    }
    op_init(op, op->kind);
}

enum op_fate op_refuse(struct op *op, enum op_refusal refusal, enum err_code code,
                       const char *format, ...)
{
    char text[sizeof op->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    op->refusal = refusal;
    err_set(&op->err, code, "%s", text);
    return FATE_NOW;
}

void op_meet_fate(struct engine *e, struct op *op, enum op_fate fate)
{
    if (fate == FATE_NOW)
        op->done(op);
    else if (fate == FATE_DURABLE)
        list_add(&e->building.answers, op);
}

bool op_find_job(struct engine *e, struct op *op)
{
    struct data_job *job = op->job.id > 0 ? job_table_by_id(&e->jobs, op->job.id)
                                          : job_table_by_name(&e->jobs, op->job.name);
    if (!job) {
        if (op->job.id > 0)
            op_refuse(op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "there is no job %lld",
                      (long long)op->job.id);
        else
            op_refuse(op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "there is no job named %.*s",
                      (int)(op->job.name.len > 200 ? 200 : op->job.name.len), op->job.name.ptr);
        return false;
    }
    /* Counts are nobody's secret. */
    bool open = op->kind == OP_REPORT && !op->report.contents;
    if (!open && !data_job_allows(job, &op->right)) {
        op_refuse(op, REFUSED_TOKEN, ERR_FORBIDDEN, "job %s needs its token", job->row.name);
        return false;
    }
    bool shown = op->kind == OP_REPORT || op->kind == OP_SUBSCRIBE;
    bool deleted = op->kind == OP_CONTROL && op->control.verb == CONTROL_DELETE;
    if (job->unreadable && !shown && !deleted) {
        op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT,
                  "what is stored of job %s cannot be read: %.120s; delete it or start it clean",
                  job->row.name, job->unreadable);
        return false;
    }
    op->of = job;
    /* Whoever does something with it is told when it still cannot be stored. */
    if (job->owed && op->kind != OP_REPORT)
        engine_touch(e, job);
    return true;
}
