/* native_artifacts.c: artifacts below /v1/artifacts, but for their bytes (native.h). */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"

enum { FAR_DEFAULT = 20, FAR_MAX = 1000 };

static bool write_artifact(const struct artifact *a, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    artifact_json_write(&o, a);
    return native_reply_end(reply, &b, err);
}

/* --- show, list --- */

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return write_artifact(op->artifact_show.artifact, reply, err);
}

bool native_artifact_show(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    (void)reply;
    if (!step_path_id(req, "artifact", &id, err))
        return false;
    struct op *op = request_op(req, OP_ARTIFACT_SHOW);
    request_step_asker(req, &op->artifact_show.by);
    op->artifact_show.id = id;
    return request_call(req, finish_shown);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_artifacts *ask = &op->artifacts;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "artifacts");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->count; i++)
        artifact_json_write(&o, ask->artifacts[i]);
    json_out_close(&o, ']');
    step_next_write(&o, ask->more ? ask->last : NULL, ask->page.sort);
    step_sum_write(&o, ask->total, ask->wants_tags ? &ask->tags : NULL);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_artifacts_list(struct request *req, struct reply *reply, struct err *err)
{
    struct step_list_query query = {.wants_total = false};
    (void)reply;
    if (!artifacts_query_read(req, &query, err))
        return false;
    struct op *op = request_op(req, OP_ARTIFACTS);
    request_list_asker(req, &op->artifacts.by);
    op->artifacts.filter = query.filter;
    op->artifacts.page = query.page;
    op->artifacts.wants_total = query.wants_total;
    op->artifacts.wants_tags = query.wants_tags;
    return request_call(req, finish_listed);
}

/* --- change, delete --- */

static struct op *edit_op(struct request *req, struct err *err)
{
    int64_t id = 0;
    if (!step_path_id(req, "artifact", &id, err))
        return NULL;
    struct op *op = request_op(req, OP_ARTIFACT_EDIT);
    request_step_asker(req, &op->artifact_edit.by);
    op->artifact_edit.id = id;
    return op;
}

static bool finish_changed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return write_artifact(op->artifact_edit.artifact, reply, err);
}

bool native_artifact_change(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = edit_op(req, err);
    (void)reply;
    return op && artifact_body_read(req, &op->artifact_edit, err) &&
           request_call(req, finish_changed);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_artifact_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = edit_op(req, err);
    (void)reply;
    if (!op)
        return false;
    op->artifact_edit.sets = ARTIFACT_DELETES;
    return request_call(req, finish_deleted);
}

/* --- lineage --- */

static bool finish_traced(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_lineage *ask = &op->lineage;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "artifact");
    artifact_json_write(&o, ask->of);
    json_out_name(&o, "jobs");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->count; i++)
        step_job_json_write(&o, &ask->jobs[i]);
    json_out_close(&o, ']');
    json_out_name(&o, "more");
    json_out_bool(&o, ask->more);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_artifact_lineage(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0, up = FAR_DEFAULT, down = FAR_DEFAULT;
    const struct member members[] = {
        {.name = "up", .type = MEMBER_I64, .max = FAR_MAX, .out = &up},
        {.name = "down", .type = MEMBER_I64, .max = FAR_MAX, .out = &down},
    };
    (void)reply;
    if (!step_path_id(req, "artifact", &id, err) || !native_query_read(req, members, 2, err))
        return false;
    struct op *op = request_op(req, OP_LINEAGE);
    request_step_asker(req, &op->lineage.by);
    op->lineage.artifact = id;
    op->lineage.up = up;
    op->lineage.down = down;
    return request_call(req, finish_traced);
}
