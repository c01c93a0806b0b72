/* helper_message.c: see helper_message.h. */
#include "run/helper_message.h"

#include "base/json.h"

#include <stdlib.h>

static const char *const names[HELPER_MESSAGE_KIND_COUNT] = {
    [HELPER_READY] = "ready",     [HELPER_IMPORTING] = "importing", [HELPER_STARTED] = "started",
    [HELPER_REFUSED] = "refused", [HELPER_EXITED] = "exited",       [HELPER_OUTCOME] = "outcome",
};

static void open_message(struct json_out *o, struct buf *out, const char *name)
{
    json_out_init(o, out);
    json_out_open(o, '{');
    json_out_name(o, name);
    json_out_open(o, '{');
}

static void close_message(struct json_out *o)
{
    json_out_close(o, '}');
    json_out_close(o, '}');
}

static void add_text(struct json_out *o, const char *name, const char *text)
{
    json_out_name(o, name);
    json_out_text(o, text);
}

static void add_i64(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

void helper_setup_write(const struct helper_setup *s, struct buf *out)
{
    struct json_out o;
    open_message(&o, out, "setup");
    json_out_name(&o, "path");
    json_out_open(&o, '[');
    for (const char *const *p = s->path; p && *p; p++)
        json_out_text(&o, *p);
    json_out_close(&o, ']');
    add_text(&o, "server", s->server);
    add_text(&o, "key", s->key);
    json_out_name(&o, "interactive");
    json_out_bool(&o, s->interactive);
    json_out_name(&o, "no_retry_code");
    if (s->no_retry_code >= 0)
        json_out_i64(&o, s->no_retry_code);
    else
        json_out_null(&o);
    close_message(&o);
}

bool helper_run_write(const struct node_task *t, struct buf *out, struct err *err)
{
    struct json_out o;
    size_t before = out->len;
    open_message(&o, out, "run");
    add_i64(&o, "task", t->task);
    add_i64(&o, "fence", t->fence);
    add_i64(&o, "flow", t->flow);
    add_i64(&o, "node", t->node);
    add_text(&o, "name", t->name);
    add_text(&o, "module", t->module);
    add_text(&o, "worker", t->worker);
    json_out_name(&o, "argv");
    json_out_raw(&o, t->arguments);
    add_text(&o, "logfile", t->logfile);
    add_i64(&o, "attempt", t->attempt);
    add_i64(&o, "max_attempts", t->max_attempts);
    json_out_name(&o, "variables");
    json_out_raw(&o, t->variables);
    close_message(&o);
    return (!out->full && out->len - before <= HELPER_MESSAGE_MAX_BYTES) ||
           err_set(err, ERR_LIMIT, "its arguments and variables are longer than %d KiB",
                   HELPER_MESSAGE_MAX_BYTES >> 10);
}

static int64_t number_of(struct str body, const char *member)
{
    struct str raw;
    int64_t number = -1;
    return json_find(body, member, &raw) && json_i64(raw, INT32_MIN, INT64_MAX, &number) ? number
                                                                                         : -1;
}

static bool read_body(struct str body, struct helper_message *m)
{
    struct str raw;
    if (json_type_of(body) != JSON_OBJECT)
        return false;
    m->task = number_of(body, "task");
    m->code = number_of(body, "code");
    m->status = number_of(body, "status");
    m->pid = (pid_t)number_of(body, "pid");
    if (json_find(body, "final", &raw))
        (void)json_bool(raw, &m->final);
    if (json_find(body, "error", &raw) && json_type_of(raw) == JSON_OBJECT)
        m->error = raw;
    bool has_pid = m->kind == HELPER_STARTED || m->kind == HELPER_EXITED;
    return m->kind == HELPER_READY || (m->task > 0 && (!has_pid || m->pid > 1));
}

bool helper_message_read(struct str text, struct helper_message *out, struct err *err)
{
    struct json j;
    struct str name, body, second;
    json_open(&j, text);
    if (json_enter(&j, '{') && json_member(&j, &name) && json_value(&j, &body) &&
        !json_member(&j, &second) && json_end(&j))
        for (int i = 0; i < HELPER_MESSAGE_KIND_COUNT; i++)
            if (json_name_is(name, names[i])) {
                *out = (struct helper_message){.kind = (enum helper_message_kind)i};
                if (read_body(body, out))
                    return true;
            }
    return err_set(err, ERR_INVALID, "the helper said what is no message: %.*s",
                   text.len > 80 ? 80 : (int)text.len, text.ptr);
}
