/* worker_message.c: see worker_message.h. */
#include "run/worker_message.h"

#include "base/json.h"

static const char *const names[WORKER_MESSAGE_KIND_COUNT] = {
    [WORKER_HELLO] = "hello", [WORKER_ERROR] = "error", [WORKER_FAILED] = "failed",
    [WORKER_READY] = "ready", [WORKER_ALIVE] = "alive", [WORKER_LEASE] = "lease",
    [WORKER_LOG] = "log",     [WORKER_BYE] = "bye",
};

bool worker_message_read(struct str line, enum worker_message_kind *kind, struct str *body,
                         struct err *err)
{
    struct json j;
    struct str name, value, second;
    json_open(&j, line);
    if (json_enter(&j, '{') && json_member(&j, &name) && json_value(&j, &value) &&
        !json_member(&j, &second) && json_end(&j))
        for (int i = 0; i < WORKER_MESSAGE_KIND_COUNT; i++)
            if (json_name_is(name, names[i])) {
                *kind = (enum worker_message_kind)i;
                *body = value;
                return true;
            }
    return err_set(err, ERR_INVALID, "a worker said what is no message: %.*s",
                   line.len > 80 ? 80 : (int)line.len, line.ptr);
}

char *worker_message_text(struct str body, const char *member)
{
    struct str value;
    return json_find(body, member, &value) ? json_take_text(value) : NULL;
}

static void add_i64(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void add_names(struct json_out *o, const char *name, const char *const *names_given)
{
    json_out_name(o, name);
    if (!names_given) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '[');
    for (; *names_given; names_given++)
        json_out_text(o, *names_given);
    json_out_close(o, ']');
}

void worker_go_write(const struct worker_go *go, struct buf *out)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"server", go->server}, {"key", go->key},     {"ca", go->ca},
                 {"job", go->job},       {"token", go->token}, {"worker", go->worker}};
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "go");
    json_out_open(&o, '{');
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_out_name(&o, texts[i].name);
        json_out_text(&o, texts[i].text);
    }
    json_out_name(&o, "timeout_s");
    json_out_double(&o, go->timeout_s);
    json_out_name(&o, "alive_s");
    json_out_double(&o, go->alive_s);
    add_i64(&o, "max_memory_bytes", go->max_memory_bytes);
    add_i64(&o, "max_records", go->max_records);
    add_i64(&o, "slots_hint", go->slots_hint);
    add_i64(&o, "concurrency", go->concurrency);
    add_names(&o, "queues", go->queues);
    json_out_name(&o, "one_shot");
    json_out_bool(&o, go->one_shot);
    json_out_close(&o, '}');
    json_out_close(&o, '}');
    buf_add_char(out, '\n');
}

void worker_stop_write(double grace_s, struct buf *out)
{
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "stop");
    json_out_open(&o, '{');
    json_out_name(&o, "grace_s");
    json_out_double(&o, grace_s);
    json_out_close(&o, '}');
    json_out_close(&o, '}');
    buf_add_char(out, '\n');
}
