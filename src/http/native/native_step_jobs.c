/* native_step_jobs.c: step jobs below /v1/step-jobs (native.h). */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"

#include <inttypes.h>
#include <stdio.h>

#define WAIT_MAX_US (INT64_C(60) * 1000000)

static bool write_view(const struct step_job_view *view, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    /* As long as its parameters and its result are. */
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    step_job_json_write(&o, view);
    return native_reply_end(reply, &b, err);
}

/* --- make, change --- */

static bool finish_edited(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_step_job_edit *ask = &op->step_job_edit;
    char place[sizeof "/v1/step-jobs/" + 20];
    (void)req;
    if (!ask->view || !ask->view->job)
        return err_set(err, ERR_STORE, "step job %" PRId64 " was changed, and cannot be shown",
                       ask->job);
    if (!ask->id) {
        snprintf(place, sizeof place, "/v1/step-jobs/%" PRId64, ask->job);
        reply_status(reply, 201);
        reply_header(reply, "Location", place);
    }
    return write_view(ask->view, reply, err);
}

static bool edit(struct request *req, int64_t id, struct err *err)
{
    struct op *op = request_op(req, OP_STEP_JOB_EDIT);
    struct op_step_job_edit *ask = &op->step_job_edit;
    request_step_asker(req, &ask->by);
    ask->id = id;
    ask->wants_view = true;
    return step_job_body_read(req, ask, err) && request_call(req, finish_edited);
}

bool native_step_job_create(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return edit(req, 0, err);
}

bool native_step_job_change(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    (void)reply;
    return step_path_id(req, "job", &id, err) && edit(req, id, err);
}

/* --- show, list --- */

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return write_view(&op->step_job_show.view, reply, err);
}

bool native_step_job_show(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0, wait_us = 0;
    const struct member members[] = {
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = WAIT_MAX_US, .out = &wait_us},
    };
    (void)reply;
    if (!step_path_id(req, "job", &id, err) || !native_query_read(req, members, 1, err))
        return false;
    struct op *op = request_op(req, OP_STEP_JOB_SHOW);
    request_step_asker(req, &op->step_job_show.by);
    op->step_job_show.id = id;
    op->step_job_show.wait_until_us = wait_us ? request_at(req).mono_us + wait_us : 0;
    return request_call(req, finish_shown);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_step_jobs *ask = &op->step_jobs;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "jobs");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->count; i++)
        step_job_json_write(&o, &ask->views[i]);
    json_out_close(&o, ']');
    step_next_write(&o, ask->more ? ask->last : NULL, ask->page.sort);
    step_sum_write(&o, ask->total, ask->wants_tags ? &ask->tags : NULL);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_step_jobs_list(struct request *req, struct reply *reply, struct err *err)
{
    struct step_list_query query = {.wants_total = false};
    (void)reply;
    if (!step_jobs_query_read(req, &query, err))
        return false;
    struct op *op = request_op(req, OP_STEP_JOBS);
    request_list_asker(req, &op->step_jobs.by);
    op->step_jobs.filter = query.filter;
    op->step_jobs.page = query.page;
    op->step_jobs.wants_total = query.wants_total;
    op->step_jobs.wants_tags = query.wants_tags;
    return request_call(req, finish_listed);
}

/* --- ends --- */

static bool finish_ended(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

static struct op *end_op(struct request *req, enum step_job_end how, struct err *err)
{
    int64_t id = 0;
    if (!step_path_id(req, "job", &id, err))
        return NULL;
    struct op *op = request_op(req, OP_STEP_JOB_END);
    request_step_asker(req, &op->step_job_end.by);
    op->step_job_end.id = id;
    op->step_job_end.how = how;
    return op;
}

bool native_step_job_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return end_op(req, STEP_JOB_END_DELETE, err) && request_call(req, finish_ended);
}

bool native_step_job_cancel(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return end_op(req, STEP_JOB_END_CANCEL, err) && request_call(req, finish_ended);
}

bool native_step_job_fail(struct request *req, struct reply *reply, struct err *err)
{
    char *message = NULL;
    const struct member members[] = {
        {.name = "message", .type = MEMBER_TEXT, .required = true, .out = &message},
    };
    (void)reply;
    if (!native_body_read(req, members, 1, err))
        return false;
    struct op *op = end_op(req, STEP_JOB_END_FAIL, err);
    if (!op)
        return false;
    op->step_job_end.message = str_of(message);
    return request_call(req, finish_ended);
}
