/* native_tasks.c: tasks below /v1/tasks: enqueue, list, show (native.h). */
#include "base/parse.h"
#include "engine/engine.h"
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_large.h"
#include "http/native/native_task_filter.h"
#include "http/native/new_tasks.h"

#include <inttypes.h>
#include <stdio.h>

#define WAIT_MAX_US (INT64_C(60) * 1000000)
enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

/* --- enqueue --- */

/* A list on its way. */
struct enqueueing {
    struct new_tasks tasks;
    struct large_put large;
};

static void drop_tasks(void *thing)
{
    struct enqueueing *x = thing;
    large_put_release(&x->large);
    new_tasks_release(&x->tasks);
}

static void write_enqueued(const struct task_new *t, struct json_out *o)
{
    if (t->id == 0) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '{');
    json_out_name(o, "id");
    json_out_i64(o, t->id);
    json_out_name(o, "existing");
    json_out_bool(o, t->existing);
    json_out_close(o, '}');
}

void native_enqueued_write(const struct op_enqueue *enqueue, struct json_out *o)
{
    json_out_open(o, '[');
    for (size_t i = 0; i < enqueue->count; i++)
        write_enqueued(&enqueue->tasks[i], o);
    json_out_close(o, ']');
}

bool native_enqueue_refused(const struct op_enqueue *enqueue, const char *list, struct err *err)
{
    if (enqueue->refused < enqueue->count)
        err_add(err, "%s[%zu]", list, enqueue->refused);
    return false;
}

static bool finish_enqueued(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    struct enqueueing *x = request_state(req);
    if (op->err.code != ERR_NONE) {
        *err = op->err;
        return native_enqueue_refused(&op->enqueue, "tasks", err);
    }
    x->large.known = enqueue_needs_all_blobs(&op->enqueue);
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "tasks");
    native_enqueued_write(&op->enqueue, &o);
    json_out_close(&o, '}');
    reply_status(reply, 201);
    return native_reply_end(reply, &b, err);
}

static bool ask_enqueue(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct enqueueing *x = request_state(req);
    (void)reply, (void)err;
    op->enqueue.tasks = x->tasks.tasks;
    op->enqueue.count = x->tasks.count;
    op->enqueue.refused = SIZE_MAX;
    return request_ask(req, finish_enqueued);
}

/* A helper's thread. */
static bool put_arguments(struct request *req, struct err *err)
{
    struct enqueueing *x = request_state(req);
    return large_put_tasks(&x->large, engine_blobs(request_engine(req)), x->tasks.tasks,
                           x->tasks.count, err);
}

bool native_tasks_enqueue(struct request *req, struct reply *reply, struct err *err)
{
    struct enqueueing *x = request_alloc(req, sizeof *x);
    size_t len = 0;
    char *body = request_body(req, &len);
    if (!x)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, x, drop_tasks);
    request_set_state(req, x);
    if (!new_tasks_read(&x->tasks, body, len, err))
        return false;
    struct op *op = request_op(req, OP_ENQUEUE);
    if (large_tasks(x->tasks.tasks, x->tasks.count))
        return request_hand_over(req, put_arguments, ask_enqueue);
    return ask_enqueue(req, op, reply, err);
}

/* --- list --- */

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "tasks");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->task_list.count; i++)
        native_task_write(&op->task_list.views[i], false, NULL, &o);
    json_out_close(&o, ']');
    json_out_name(&o, "more");
    json_out_bool(&o, op->task_list.more);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_tasks_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct filter_texts texts = {0};
    struct task_filter filter = {0};
    int64_t after = 0, limit = PAGE_DEFAULT;
    const struct member members[] = {
        FILTER_MEMBERS(texts),
        {.name = "after", .type = MEMBER_I64, .max = INT64_MAX, .out = &after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = PAGE_MAX, .out = &limit},
    };
    if (!native_query_read(req, members, sizeof members / sizeof *members, err) ||
        !filter_texts_apply(&texts, &filter, err))
        return false;
    struct op *op = request_op(req, OP_TASK_LIST);
    op->task_list.filter = filter;
    op->task_list.after = after;
    op->task_list.limit = limit;
    return request_call(req, finish_listed);
}

/* --- one task --- */

/* An op on the task that the path names. */
static struct op *task_op(struct request *req, struct err *err)
{
    int64_t id = 0, wait_us = 0;
    struct str text = request_path_param(req, "task");
    struct err ignored;
    const struct member members[] = {
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = WAIT_MAX_US, .out = &wait_us},
    };
    if (!parse_i64(text, 1, INT64_MAX, &id, &ignored)) {
        err_set(err, ERR_INVALID, "task %.*s: expected an id", text.len > 60 ? 60 : (int)text.len,
                text.ptr);
        return NULL;
    }
    if (!native_query_read(req, members, 1, err))
        return NULL;
    struct op *op = request_op(req, OP_TASK_SHOW);
    op->task_show.id = id;
    op->task_show.wait_until_us = wait_us ? request_at(req).mono_us + wait_us : 0;
    return op;
}

/* --- what of it lies in blobs --- */

static void drop_texts(void *thing)
{
    struct task_texts *texts = thing;
    large_opened_release(&texts->arguments);
    large_opened_release(&texts->result);
}

/* A helper's thread. */
static bool open_blobs(struct request *req, struct err *err)
{
    struct task_texts *texts = request_state(req);
    const struct blobs *blobs = engine_blobs(request_engine(req));
    (void)err;
    if (texts->of->arguments_blob.bytes)
        large_open(&texts->arguments, blobs, &texts->of->arguments_blob);
    if (texts->of->result_blob.bytes)
        large_open(&texts->result, blobs, &texts->of->result_blob);
    return true;
}

/* Has them opened, and goes on with `send`. */
static bool open_texts(struct request *req, const struct task_view *of, route_finish *send,
                       struct err *err)
{
    struct task_texts *texts = request_alloc(req, sizeof *texts);
    if (!texts)
        return err_set(err, ERR_BUSY, "memory is out");
    texts->of = of;
    request_own(req, texts, drop_texts);
    request_set_state(req, texts);
    return request_hand_over(req, open_blobs, send);
}

static bool send_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct task_texts *texts = request_state(req);
    struct json_out o;
    (void)err;
    OWNED(large_answer) struct large_answer *a = large_answer_new(&o);
    texts->answer = a;
    native_task_write(&op->task_show.view, true, texts, &o);
    large_answer_send(TAKE(a), reply);
    return true;
}

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct task_view *v = &op->task_show.view;
    if (v->arguments_blob.bytes || v->result_blob.bytes)
        return open_texts(req, v, send_shown, err);
    OWNED_BUF struct buf b;
    struct json_out o;
    /* As long as its arguments and its result are. */
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    native_task_write(v, true, NULL, &o);
    return native_reply_end(reply, &b, err);
}

bool native_task_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return task_op(req, err) && request_call(req, finish_shown);
}

static bool send_result(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct task_texts *texts = request_state(req);
    struct json_out o;
    (void)op;
    if (!texts->result.reader) {
        *err = texts->result.err;
        err->code = ERR_STORE; /* the task is there */
        return false;
    }
    OWNED(large_answer) struct large_answer *a = large_answer_new(&o);
    large_answer_splice(a, &o, &texts->result);
    large_answer_send(TAKE(a), reply);
    return true;
}

static bool finish_result(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct task_view *v = &op->task_show.view;
    if (v->state != JOB_COMPLETED)
        return err_set(err, ERR_CONFLICT, "task %" PRId64 " is %s, it has no result", v->id,
                       job_state_name(v->state));
    if (v->result_blob.bytes)
        return open_texts(req, v, send_result, err);
    reply_add_borrowed(reply, v->result ? str_of(v->result) : STR("null"));
    return true;
}

bool native_task_result(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return task_op(req, err) && request_call(req, finish_result);
}
