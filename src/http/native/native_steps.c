/* native_steps.c: processing steps below /v1/steps, and the tags that are in use (native.h). */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"
#include "store/step_store.h"

#include <inttypes.h>
#include <stdio.h>

static struct op *steps_op(struct request *req, enum steps_verb verb)
{
    struct op *op = request_op(req, OP_STEPS);
    op->steps.verb = verb;
    request_step_asker(req, &op->steps.by);
    return op;
}

/* An op on the step that the path names. */
static struct op *named_op(struct request *req, enum steps_verb verb)
{
    struct op *op = steps_op(req, verb);
    step_name_read(request_path_param(req, "step"), &op->steps.id, &op->steps.name,
                   &op->steps.version);
    return op;
}

/* --- register --- */

static bool finish_registered(struct request *req, struct op *op, struct reply *reply,
                              struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    char place[sizeof "/v1/steps/" + 20];
    int64_t id = op->steps.views[0].step->id;
    snprintf(place, sizeof place, "/v1/steps/%" PRId64, id);
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "id");
    json_out_i64(&o, id);
    json_out_name(&o, "existing");
    json_out_bool(&o, op->steps.existing);
    json_out_close(&o, '}');
    reply_status(reply, op->steps.existing ? 200 : 201);
    reply_header(reply, "Location", place);
    return native_reply_end(reply, &b, err);
}

bool native_step_register(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct op *op = steps_op(req, STEPS_REGISTER);
    op->steps.manifest.ptr = request_body(req, &op->steps.manifest.len);
    op->steps.same_is_fine = true;
    return request_call(req, finish_registered);
}

/* --- show, list --- */

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    step_json_write(&o, &op->steps.views[0]);
    return native_reply_end(reply, &b, err);
}

bool native_step_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    (void)named_op(req, STEPS_SHOW);
    return request_call(req, finish_shown);
}

static bool finish_manifest(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req, (void)err;
    /* The op holds the step until the answer has left. */
    reply_add_borrowed(reply, str_of(op->steps.views[0].step->manifest.text));
    return true;
}

bool native_step_manifest(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    (void)named_op(req, STEPS_SHOW);
    return request_call(req, finish_manifest);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "steps");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->steps.count; i++)
        step_json_write(&o, &op->steps.views[i]);
    json_out_close(&o, ']');
    json_out_name(&o, "total");
    json_out_i64(&o, op->steps.total);
    if (op->steps.list.wants_tags)
        step_tags_json_write(&o, &op->steps.found);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_steps_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct op *op = steps_op(req, STEPS_LIST);
    request_list_asker(req, &op->steps.by);
    return steps_query_read(req, &op->steps, err) && request_call(req, finish_listed);
}

/* --- change, delete --- */

bool native_step_change(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct op *op = named_op(req, STEPS_EDIT);
    return step_body_read(req, &op->steps, err) && request_call(req, finish_shown);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_step_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    (void)named_op(req, STEPS_DELETE);
    return request_call(req, finish_deleted);
}

/* --- tags --- */

static bool finish_tags(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "tags");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->step_tags.tags.count; i++)
        json_out_text(&o, op->step_tags.tags.items[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_step_tags(struct request *req, struct reply *reply, struct err *err)
{
    static const char *const things[] = {"steps", "step-jobs", "artifacts"};
    enum { TAGS_MAX = 10000 };
    (void)reply;
    struct str thing = request_path_param(req, "thing");
    struct op *op = request_op(req, OP_STEP_TAGS);
    request_list_asker(req, &op->step_tags.by);
    op->step_tags.limit = TAGS_MAX;
    for (int i = 0; i < 3; i++)
        if (str_is(thing, things[i])) {
            op->step_tags.thing = i;
            return request_call(req, finish_tags);
        }
    return err_set(err, ERR_NOT_FOUND, "tags are of steps, step-jobs or artifacts");
}
