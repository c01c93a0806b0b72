/* native_flows.c: flows below /v1/flows: start, show, list, nodes, abort, delete, lock (native.h).
 */
#include "base/parse.h"
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_flow.h"
#include "http/native/new_flow.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MAX_US (INT64_C(3600) * 1000000)
#define LOCK_WAIT_MAX_US (INT64_C(3600) * 1000000)
enum { PAGE_DEFAULT = 100, PAGE_MAX = 10000 };

bool native_flow_ref(const struct request *req, struct job_ref *out, struct err *err)
{
    struct str text = request_path_param(req, "flow");
    struct err ignored;
    *out = (struct job_ref){.name = text};
    if (text.len == 0 || text.ptr[0] != '@')
        return true;
    if (parse_i64((struct str){text.ptr + 1, text.len - 1}, 1, INT64_MAX, &out->id, &ignored))
        return true;
    return err_set(err, ERR_INVALID, "flow %.*s: expected a name, or @ and an id",
                   text.len > 60 ? 60 : (int)text.len, text.ptr);
}

static struct op *flow_op(struct request *req, enum op_kind kind, struct err *err)
{
    struct job_ref ref;
    if (!native_flow_ref(req, &ref, err))
        return NULL;
    struct op *op = request_op(req, kind);
    op->job = ref;
    return op;
}

/* --- start --- */

static void drop_flow(void *thing)
{
    new_flow_release(thing);
}

static void write_plan(const struct op_flow_start *start, struct json_out *o)
{
    json_out_name(o, "plan");
    json_out_open(o, '{');
    for (int does = 0; does < FLOW_DOES_COUNT; does++) {
        json_out_name(o, flow_does_names[does]);
        json_out_i64(o, (int64_t)start->does[does]);
    }
    json_out_close(o, '}');
    json_out_name(o, "fresh");
    json_out_bool(o, start->fresh);
    json_out_name(o, "edited");
    json_out_open(o, '[');
    for (size_t i = 0; i < start->edited_count; i++)
        json_out_i64(o, start->edited[i]);
    json_out_close(o, ']');
}

static bool finish_started(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_flow_start *start = &op->flow_start;
    const struct new_flow *f = request_state(req);
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "id");
    if (start->id)
        json_out_i64(&o, start->id);
    else
        json_out_null(&o);
    json_out_name(&o, "name");
    json_out_str(&o, f->ask.name);
    json_out_name(&o, "run");
    json_out_i64(&o, start->run);
    write_plan(start, &o);
    if (start->dry_run) {
        json_out_name(&o, "nodes");
        json_out_raw(&o, buf_str(&start->told));
    } else {
        char place[48];
        snprintf(place, sizeof place, "/v1/flows/@%lld", (long long)start->id);
        reply_status(reply, 201);
        reply_header(reply, "Location", place);
    }
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_flows_start(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct new_flow *f = request_alloc(req, sizeof *f);
    struct str body = {NULL, 0};
    if (!f)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, f, drop_flow);
    request_set_state(req, f);
    body.ptr = request_body(req, &body.len);
    if (!new_flow_read(f, body, err))
        return false;
    struct op *op = request_op(req, OP_FLOW_START);
    struct buf told = op->flow_start.told;
    op->flow_start = f->ask;
    op->flow_start.told = told;
    return request_call(req, finish_started);
}

/* --- show --- */

static void write_number(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void write_time(struct json_out *o, const char *name, int64_t at_us)
{
    json_out_name(o, name);
    native_time_write(o, at_us);
}

/* Seconds; null below 0. */
static void write_seconds(struct json_out *o, const char *name, int64_t us)
{
    json_out_name(o, name);
    if (us >= 0)
        json_out_double(o, (double)us / 1e6);
    else
        json_out_null(o);
}

static void write_counts(struct json_out *o, const struct flow_view *v)
{
    json_out_name(o, "counts");
    json_out_open(o, '{');
    for (int mark = 0; mark < FLOW_MARK_COUNT; mark++) {
        char letter[] = {flow_mark_letter((enum flow_mark)mark), '\0'};
        write_number(o, letter, v->counts[mark]);
    }
    json_out_close(o, '}');
}

static void write_running(struct json_out *o, const struct flow_view *v)
{
    json_out_name(o, "running");
    json_out_open(o, '[');
    for (size_t i = 0; i < v->running_count; i++) {
        json_out_open(o, '{');
        write_number(o, "id", v->running[i].id);
        json_out_name(o, "name");
        json_out_text(o, v->running[i].name);
        write_time(o, "since", v->running[i].since_us);
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
    json_out_name(o, "failed");
    json_out_open(o, '[');
    for (size_t i = 0; i < v->failed_count; i++)
        json_out_i64(o, v->failed[i]);
    json_out_close(o, ']');
}

static void write_limits(struct json_out *o, const struct flow_view *v)
{
    json_out_name(o, "max_running");
    if (v->max_running)
        json_out_i64(o, v->max_running);
    else
        json_out_null(o);
    write_seconds(o, "gap_s", v->gap_us);
    json_out_name(o, "pools");
    json_out_raw(o, str_of(v->pools));
}

void native_flow_write(const struct flow_view *v, bool whole, struct json_out *o)
{
    json_out_open(o, '{');
    write_number(o, "id", v->id);
    json_out_name(o, "name");
    json_out_text(o, v->name);
    json_out_name(o, "mode");
    json_out_text(o, v->mode == FLOW_SHELL ? "shell" : "python");
    json_out_name(o, "state");
    json_out_text(o, job_state_name(v->state));
    json_out_name(o, "stopping");
    json_out_bool(o, v->stops);
    write_number(o, "run", v->run);
    write_number(o, "nodes", v->nodes);
    write_counts(o, v);
    write_time(o, "created_at", v->created_at_us);
    write_time(o, "started_at", v->started_at_us);
    write_time(o, "ended_at", v->ended_at_us);
    write_seconds(o, "eta_s", v->eta_us);
    write_seconds(o, "elapsed_s", v->elapsed_us);
    write_limits(o, v);
    if (whole) {
        write_running(o, v);
        json_out_name(o, "variables");
        json_out_raw(o, str_of(v->variables));
        json_out_name(o, "lock");
        if (v->lock_task)
            json_out_i64(o, v->lock_task);
        else
            json_out_null(o);
    }
    json_out_close(o, '}');
}

static bool reply_flow(struct reply *reply, const struct flow_view *v, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    native_flow_write(v, true, &o);
    return native_reply_end(reply, &b, err);
}

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return reply_flow(reply, &op->flow_show.view, err);
}

bool native_flow_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    int64_t wait_us = 0;
    const struct member members[] = {
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = WAIT_MAX_US, .out = &wait_us},
    };
    if (!native_query_read(req, members, 1, err))
        return false;
    struct op *op = flow_op(req, OP_FLOW_SHOW, err);
    if (!op)
        return false;
    op->flow_show.wait_until_us = wait_us ? request_at(req).mono_us + wait_us : 0;
    return request_call(req, finish_shown);
}

static bool finish_aborted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return reply_flow(reply, &op->flow_abort.view, err);
}

bool native_flow_abort(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return flow_op(req, OP_FLOW_ABORT, err) && request_call(req, finish_aborted);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_flow_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return flow_op(req, OP_FLOW_DELETE, err) && request_call(req, finish_deleted);
}

/* --- list --- */

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "flows");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->flow_list.count; i++)
        native_flow_write(&op->flow_list.views[i], false, &o);
    json_out_close(&o, ']');
    json_out_name(&o, "more");
    json_out_bool(&o, op->flow_list.more);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_flows_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *text = NULL;
    enum job_state state = JOB_STATE_COUNT;
    int64_t after = 0, limit = PAGE_DEFAULT;
    const struct member members[] = {
        {.name = "state", .type = MEMBER_TEXT, .out = &text},
        {.name = "after", .type = MEMBER_I64, .max = INT64_MAX, .out = &after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = PAGE_MAX, .out = &limit},
    };
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (text && !job_state_parse(str_of(text), &state))
        return err_set(err, ERR_INVALID, "state: expected running, completed, failed or cancelled");
    struct op *op = request_op(req, OP_FLOW_LIST);
    op->flow_list.by_state = text != NULL;
    op->flow_list.state = state;
    op->flow_list.after = after;
    op->flow_list.limit = limit;
    return request_call(req, finish_listed);
}

/* --- nodes --- */

void native_flow_node_write(const struct flow_node_view *v, struct json_out *o)
{
    char mark[] = {flow_mark_letter(v->mark), '\0'};
    json_out_open(o, '{');
    write_number(o, "id", v->id);
    json_out_name(o, "name");
    json_out_text(o, v->name);
    json_out_name(o, "mark");
    json_out_text(o, mark);
    json_out_name(o, "task");
    if (v->task)
        json_out_i64(o, v->task);
    else
        json_out_null(o);
    write_number(o, "run", v->run);
    write_number(o, "attempts", v->attempts);
    json_out_name(o, "code");
    if (v->has_code)
        json_out_i64(o, v->code);
    else
        json_out_null(o);
    json_out_name(o, "error");
    json_out_raw(o, v->error ? str_of(v->error) : STR("null"));
    write_time(o, "started_at", v->started_at_us);
    write_time(o, "ended_at", v->ended_at_us);
    write_seconds(o, "elapsed_s", v->elapsed_us);
    json_out_name(o, "logfile");
    json_out_text(o, v->logfile);
    json_out_name(o, "after");
    json_out_raw(o, v->after ? str_of(v->after) : STR("[]"));
    json_out_close(o, '}');
}

static bool finish_nodes(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "nodes");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->flow_nodes.count; i++)
        native_flow_node_write(&op->flow_nodes.views[i], &o);
    json_out_close(&o, ']');
    json_out_name(&o, "more");
    json_out_bool(&o, op->flow_nodes.more);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_flow_nodes(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *text = NULL;
    enum flow_mark mark = FLOW_PENDING;
    int64_t after = 0, limit = PAGE_DEFAULT;
    const struct member members[] = {
        {.name = "mark", .type = MEMBER_TEXT, .out = &text},
        {.name = "after", .type = MEMBER_I64, .max = FLOW_ID_MAX, .out = &after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = PAGE_MAX, .out = &limit},
    };
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (text && !flow_mark_read(str_of(text), &mark))
        return err_set(err, ERR_INVALID, "mark: expected one of P, R, C, F, D, N, A, not %.20s",
                       text);
    struct op *op = flow_op(req, OP_FLOW_NODES, err);
    if (!op)
        return false;
    op->flow_nodes.by_mark = text != NULL;
    op->flow_nodes.mark = mark;
    op->flow_nodes.after = (int32_t)after;
    op->flow_nodes.limit = limit;
    return request_call(req, finish_nodes);
}

/* --- lock --- */

static bool finish_locked(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "locked");
    json_out_bool(&o, op->flow_lock.locked);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool ask_lock(struct request *req, bool unlock, struct err *err)
{
    int64_t task = 0, fence = 0, wait_us = 0;
    const struct member members[] = {
        {.name = "task",
         .type = MEMBER_I64,
         .required = true,
         .min = 1,
         .max = INT64_MAX,
         .out = &task},
        {.name = "fence",
         .type = MEMBER_I64,
         .required = true,
         .min = 1,
         .max = INT64_MAX,
         .out = &fence},
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = LOCK_WAIT_MAX_US, .out = &wait_us},
    };
    if (!native_body_read(req, members, unlock ? 2 : 3, err))
        return false;
    struct op *op = flow_op(req, OP_FLOW_LOCK, err);
    if (!op)
        return false;
    op->flow_lock.unlock = unlock;
    op->flow_lock.task = task;
    op->flow_lock.fence = fence;
    op->flow_lock.wait_until_us = wait_us ? request_at(req).mono_us + wait_us : 0;
    return request_call(req, finish_locked);
}

bool native_flow_lock(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_lock(req, false, err);
}

bool native_flow_unlock(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_lock(req, true, err);
}
