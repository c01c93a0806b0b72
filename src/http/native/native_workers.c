/* native_workers.c: who works: the sessions that hold or wait for tasks (native.h). */
#include "http/native/native.h"

#include <string.h>

/* Names as they are kept, with commas between; null: all. */
static void write_names(struct json_out *o, const char *name, const char *names)
{
    json_out_name(o, name);
    if (!names) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '[');
    for (const char *at = names; *at;) {
        size_t len = strcspn(at, ",");
        if (len > 0)
            json_out_str(o, (struct str){at, len});
        at += len + (at[len] == ',');
    }
    json_out_close(o, ']');
}

static void write_session(struct json_out *o, const struct session_view *s)
{
    json_out_open(o, '{');
    json_out_name(o, "worker");
    json_out_text(o, s->worker && *s->worker ? s->worker : NULL);
    write_names(o, "queues", s->queues);
    write_names(o, "functions", s->functions);
    json_out_name(o, "holding");
    json_out_i64(o, s->holding);
    json_out_name(o, "tasks");
    json_out_open(o, '[');
    for (size_t i = 0; i < s->task_count; i++)
        json_out_i64(o, s->tasks[i]);
    json_out_close(o, ']');
    json_out_name(o, "since");
    native_time_write(o, s->since_at_us);
    json_out_name(o, "last_at");
    native_time_write(o, s->last_at_us);
    json_out_name(o, "ends_at");
    native_time_write(o, s->ends_at_us);
    json_out_close(o, '}');
}

static bool finish_workers(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "workers");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->workers.count; i++)
        write_session(&o, &op->workers.sessions[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_workers(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_op(req, OP_WORKERS);
    return request_call(req, finish_workers);
}
