/* native_queues.c: what holds tasks back: queues, functions, limits of keys (native.h). */
#include "core/task.h"
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_value.h"

#include <math.h>

#define CONCURRENCY_MAX 1000000
#define RPM_MAX 60e6

/* --- queues and functions --- */

static void write_count(struct json_out *o, const char *name, int64_t count)
{
    json_out_name(o, name);
    json_out_i64(o, count);
}

/* null: no limit. */
static void write_limit(struct json_out *o, int64_t concurrency, double rpm)
{
    json_out_name(o, "concurrency");
    if (concurrency > 0)
        json_out_i64(o, concurrency);
    else
        json_out_null(o);
    json_out_name(o, "rpm");
    json_out_double(o, rpm > 0 ? rpm : (double)NAN);
}

static void write_gate(struct json_out *o, const struct gate_view *v, bool of_functions)
{
    json_out_open(o, '{');
    json_out_name(o, "name");
    json_out_text(o, v->name);
    json_out_name(o, "paused");
    json_out_bool(o, v->gate.paused);
    write_limit(o, v->gate.concurrency, v->gate.rpm);
    if (!of_functions) {
        json_out_name(o, "fair");
        json_out_bool(o, v->gate.fair);
    }
    json_out_name(o, "counts");
    json_out_open(o, '{');
    write_count(o, "blocked", v->counts.blocked);
    write_count(o, "pending", v->counts.pending);
    write_count(o, "running", v->counts.running);
    write_count(o, "completed", v->completed);
    write_count(o, "failed", v->failed);
    write_count(o, "cancelled", v->cancelled);
    json_out_close(o, '}');
    write_count(o, "workers", v->workers);
    json_out_close(o, '}');
}

static bool finish_gates(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, op->gates.of_functions ? "functions" : "queues");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->gates.count; i++)
        write_gate(&o, &op->gates.views[i], op->gates.of_functions);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool list(struct request *req, bool of_functions)
{
    request_op(req, OP_GATES)->gates.of_functions = of_functions;
    return request_call(req, finish_gates);
}

bool native_queues_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    return list(req, false);
}

bool native_functions_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    return list(req, true);
}

static bool finish_changed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    if (op->gates.count != 1)
        return err_set(err, ERR_INTERNAL, "the engine does not show what it has changed");
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    write_gate(&o, &op->gates.views[0], op->gates.of_functions);
    return native_reply_end(reply, &b, err);
}

/* A limit: a number from 1 on, or null: none any more. */
static bool read_concurrency(struct str raw, int64_t *out, struct err *err)
{
    *out = 0;
    return value_i64("concurrency", raw, 1, CONCURRENCY_MAX, out, err);
}

static bool read_rpm(struct str raw, double *out, struct err *err)
{
    *out = 0;
    return value_double("rpm", raw, 1e-3, RPM_MAX, out, err);
}

static bool read_flag(const char *name, struct str raw, bool *out, struct err *err)
{
    return json_bool(raw, out) || value_wrong(err, name, "true or false", raw);
}

/* A member that is there is set, also when it is null: hence not by a table of members. */
static bool read_gate_member(struct op_gates *g, struct str name, struct str raw, struct err *err)
{
    if (json_name_is(name, "paused")) {
        g->sets_paused = true;
        return read_flag("paused", raw, &g->gate.paused, err);
    }
    if (json_name_is(name, "concurrency")) {
        g->sets_concurrency = true;
        return read_concurrency(raw, &g->gate.concurrency, err);
    }
    if (json_name_is(name, "rpm")) {
        g->sets_rpm = true;
        return read_rpm(raw, &g->gate.rpm, err);
    }
    if (!g->of_functions && json_name_is(name, "fair")) {
        g->sets_fair = true;
        return read_flag("fair", raw, &g->gate.fair, err);
    }
    return value_unknown(err, name);
}

static bool read_gate(struct request *req, struct op_gates *g, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str body = {NULL, 0}, name, raw;
    body.ptr = request_body(req, &body.len);
    json_open(&j, body);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &raw))
            if (!value_once(&seen, name, err) || !read_gate_member(g, name, raw, err))
                return false;
    return json_end(&j) || value_fault(err, &j);
}

/* The {name} of the path. */
static bool path_name(struct request *req, struct str *out, struct err *err)
{
    struct err ignored;
    *out = request_path_param(req, "name");
    return job_name_check(*out, &ignored) ||
           err_set(err, ERR_INVALID, "name: expected 1 to %d bytes without control characters",
                   TASK_NAME_MAX_BYTES);
}

static bool change(struct request *req, bool of_functions, struct err *err)
{
    struct op_gates gates = {.of_functions = of_functions};
    if (!path_name(req, &gates.set, err) || !read_gate(req, &gates, err))
        return false;
    request_op(req, OP_GATES)->gates = gates;
    return request_call(req, finish_changed);
}

bool native_queue_change(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return change(req, false, err);
}

bool native_function_change(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return change(req, true, err);
}

/* --- limits of keys --- */

static bool finish_limits(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "limits");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->limits.count; i++) {
        const struct key_rule *rule = &op->limits.rules[i];
        json_out_open(&o, '{');
        json_out_name(&o, "name");
        json_out_text(&o, rule->name);
        json_out_name(&o, "pattern");
        json_out_text(&o, rule->pattern);
        write_limit(&o, rule->concurrency, rule->rpm);
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_limits_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_op(req, OP_LIMITS)->limits.verb = LIMITS_LIST;
    return request_call(req, finish_limits);
}

bool native_limit_put(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct str name, raw_rpm = {NULL, 0};
    struct key_rule rule = {0};
    const struct member members[] = {
        {.name = "pattern", .type = MEMBER_TEXT, .required = true, .out = &rule.pattern},
        {.name = "concurrency",
         .type = MEMBER_I64,
         .min = 1,
         .max = CONCURRENCY_MAX,
         .out = &rule.concurrency},
        {.name = "rpm", .type = MEMBER_RAW, .out = &raw_rpm},
    };
    if (!path_name(req, &name, err) ||
        !native_body_read(req, members, sizeof members / sizeof *members, err) ||
        (raw_rpm.len > 0 && !read_rpm(raw_rpm, &rule.rpm, err)))
        return false;
    rule.name = request_strdup(req, name);
    if (!rule.name)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!key_rule_check(&rule, err))
        return false;
    struct op *op = request_op(req, OP_LIMITS);
    op->limits.verb = LIMITS_PUT;
    op->limits.rule = rule;
    return request_call(req, finish_limits);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_limit_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct str name;
    struct key_rule rule = {0};
    if (!path_name(req, &name, err))
        return false;
    rule.name = request_strdup(req, name);
    if (!rule.name)
        return err_set(err, ERR_BUSY, "memory is out");
    struct op *op = request_op(req, OP_LIMITS);
    op->limits.verb = LIMITS_DELETE;
    op->limits.rule = rule;
    return request_call(req, finish_deleted);
}
