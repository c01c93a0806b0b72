/* native_folders.c: folders of steps, step jobs and artifacts below /v1/folders (native.h). */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const type_names[] = {
    [STEP_THING_STEP] = "step",
    [STEP_THING_JOB] = "job",
    [STEP_THING_ARTIFACT] = "artifact",
};

/* The folder in the path: an id, or "root". */
static struct op *folder_op(struct request *req, enum folders_verb verb, struct err *err)
{
    int64_t id = 0;
    if (!str_is(request_path_param(req, "folder"), "root") &&
        !step_path_id(req, "folder", &id, err))
        return NULL;
    struct op *op = request_op(req, OP_FOLDERS);
    request_step_asker(req, &op->folders.by);
    op->folders.verb = verb;
    op->folders.id = id;
    op->folders.parent = -1;
    return op;
}

static struct op *pathless_op(struct request *req, enum folders_verb verb)
{
    struct op *op = request_op(req, OP_FOLDERS);
    request_step_asker(req, &op->folders.by);
    op->folders.verb = verb;
    op->folders.id = op->folders.parent = -1;
    return op;
}

/* --- answers --- */

static void write_folder(struct json_out *o, const struct folder_view *view)
{
    struct str path = str_of(view->path);
    size_t at = path.len - 1;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    json_out_open(o, '{');
    json_out_name(o, "id");
    json_out_i64(o, view->id);
    json_out_name(o, "path");
    json_out_str(o, path);
    json_out_name(o, "name");
    json_out_str(o, (struct str){path.ptr + at, path.len - 1 - at});
    json_out_name(o, "parent");
    if (view->parent)
        json_out_i64(o, view->parent);
    else
        json_out_null(o);
    json_out_name(o, "owner");
    json_out_text(o, view->owner);
    json_out_name(o, "created_by");
    json_out_text(o, view->created_by);
    json_out_name(o, "created_at");
    native_time_write(o, view->created_at_us);
    json_out_close(o, '}');
}

static bool finish_folder(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    char place[sizeof "/v1/folders/" + 20];
    (void)req;
    if (op->folders.verb == FOLDERS_CREATE) {
        snprintf(place, sizeof place, "/v1/folders/%" PRId64, op->folders.views[0].id);
        reply_status(reply, 201);
        reply_header(reply, "Location", place);
    }
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    write_folder(&o, &op->folders.views[0]);
    return native_reply_end(reply, &b, err);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_folders *ask = &op->folders;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "folders");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->count; i++)
        write_folder(&o, &ask->views[i]);
    json_out_close(&o, ']');
    json_out_name(&o, "next");
    json_out_text(&o, ask->more && ask->count ? ask->views[ask->count - 1].path : NULL);
    json_out_name(&o, "total");
    json_out_i64(&o, ask->total);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool finish_suggested(struct request *req, struct op *op, struct reply *reply,
                             struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "paths");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->folders.count; i++)
        json_out_text(&o, op->folders.views[i].path);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static void write_item(struct json_out *o, const struct folder_item *item)
{
    enum step_thing thing = item->step.step ? STEP_THING_STEP
                            : item->job.job ? STEP_THING_JOB
                                            : STEP_THING_ARTIFACT;
    json_out_open(o, '{');
    json_out_name(o, "type");
    json_out_text(o, type_names[thing]);
    json_out_name(o, type_names[thing]);
    if (item->step.step)
        step_json_write(o, &item->step);
    else if (item->job.job)
        step_job_json_write(o, &item->job);
    else
        artifact_json_write(o, item->artifact);
    json_out_close(o, '}');
}

static int64_t id_of(const struct folder_item *item)
{
    return item->step.step ? item->step.step->id
           : item->job.job ? item->job.job->id
                           : item->artifact->id;
}

static bool finish_contents(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    const struct op_folders *ask = &op->folders;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "contents");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->item_count; i++)
        write_item(&o, &ask->items[i]);
    json_out_close(&o, ']');
    json_out_name(&o, "next");
    if (ask->more && ask->item_count)
        json_out_i64(&o, id_of(&ask->items[ask->item_count - 1]));
    else
        json_out_null(&o);
    json_out_name(&o, "total");
    json_out_i64(&o, ask->total);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static void write_outcome(struct json_out *o, const struct folder_outcome *outcome)
{
    json_out_open(o, '{');
    json_out_name(o, "type");
    json_out_text(o, type_names[outcome->thing]);
    json_out_name(o, "id");
    json_out_i64(o, outcome->id);
    json_out_name(o, "deleted");
    json_out_bool(o, !outcome->reason);
    json_out_name(o, "reason");
    json_out_text(o, outcome->reason);
    json_out_close(o, '}');
}

static bool finish_cleared(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_folders *ask = &op->folders;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "deleted");
    json_out_i64(&o, ask->deleted);
    json_out_name(&o, "stayed");
    json_out_i64(&o, (int64_t)ask->outcome_count - ask->deleted);
    json_out_name(&o, "more");
    json_out_bool(&o, ask->more);
    json_out_name(&o, "outcomes");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->outcome_count; i++)
        write_outcome(&o, &ask->outcomes[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

/* --- requests --- */

bool native_folders_list(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = pathless_op(req, FOLDERS_LIST);
    request_list_asker(req, &op->folders.by);
    (void)reply;
    op->folders.path = STR("/");
    return folders_query_read(req, &op->folders, err) && request_call(req, finish_listed);
}

bool native_folders_suggest(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = pathless_op(req, FOLDERS_SUGGEST);
    request_list_asker(req, &op->folders.by);
    (void)reply;
    return folders_query_read(req, &op->folders, err) && request_call(req, finish_suggested);
}

bool native_folder_contents(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = folder_op(req, FOLDERS_CONTENTS, err);
    (void)reply;
    return op && folders_query_read(req, &op->folders, err) && request_call(req, finish_contents);
}

bool native_folder_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return folder_op(req, FOLDERS_SHOW, err) && request_call(req, finish_folder);
}

bool native_folder_create(struct request *req, struct reply *reply, struct err *err)
{
    char *path = NULL;
    const struct member members[] = {
        {.name = "path", .type = MEMBER_TEXT, .required = true, .out = &path},
    };
    (void)reply;
    if (!native_body_read(req, members, 1, err))
        return false;
    struct op *op = pathless_op(req, FOLDERS_CREATE);
    op->folders.path = str_of(path);
    return request_call(req, finish_folder);
}

bool native_folder_change(struct request *req, struct reply *reply, struct err *err)
{
    char *name = NULL, *parent = NULL;
    const struct member members[] = {
        {.name = "name", .type = MEMBER_TEXT, .out = &name},
        {.name = "parent", .type = MEMBER_TEXT, .out = &parent},
    };
    (void)reply;
    if (!native_body_read(req, members, 2, err))
        return false;
    struct op *op = folder_op(req, FOLDERS_EDIT, err);
    if (!op)
        return false;
    op->folders.name = str_of(name);
    op->folders.parent_path = str_of(parent);
    return request_call(req, finish_folder);
}

bool native_folder_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return folder_op(req, FOLDERS_DELETE, err) && request_call(req, finish_deleted);
}

bool native_folder_clear(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = folder_op(req, FOLDERS_CLEAR, err);
    (void)reply;
    if (!op)
        return false;
    op->folders.keeps_steps = request_scope(req) < SCOPE_ADMIN;
    return request_call(req, finish_cleared);
}
