/* worker_control.c: see worker_control.h. */
#include "run/worker_control.h"

#include "base/json.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX_BYTES = 1 << 20, READ_BYTES = 4096, LOG_TEXT_BYTES = 1024 };
static const double grace_max_s = 1e6;

void worker_orders_release(struct worker_orders *o)
{
    char *texts[] = {o->server, o->key,    o->ca,     o->job,
                     o->token,  o->worker, o->queues, o->functions};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *o = (struct worker_orders){0};
}

void worker_control_init(struct worker_control *c, int fd)
{
    *c = (struct worker_control){.fd = fd};
    buf_init(&c->got, MESSAGE_MAX_BYTES);
}

void worker_control_release(struct worker_control *c)
{
    buf_release(&c->got);
}

static char *take_names(struct str body, const char *name)
{
    struct str raw;
    if (!json_find(body, name, &raw) || json_type_of(raw) != JSON_ARRAY)
        return NULL;
    return xstrndup(raw.ptr, raw.len);
}

static bool read_orders(struct str body, struct worker_orders *o)
{
    const struct {
        const char *name;
        char **text;
    } texts[] = {{"server", &o->server}, {"key", &o->key},     {"ca", &o->ca},
                 {"job", &o->job},       {"token", &o->token}, {"worker", &o->worker}};
    struct str raw;
    worker_orders_release(o);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (json_find(body, texts[i].name, &raw))
            *texts[i].text = json_take_text(raw);
    o->queues = take_names(body, "queues");
    o->functions = take_names(body, "functions");
    if (json_find(body, "one_shot", &raw))
        (void)!json_bool(raw, &o->one_shot);
    if (json_find(body, "timeout_s", &raw))
        (void)!json_double(raw, &o->timeout_s);
    if (json_find(body, "alive_s", &raw))
        (void)!json_double(raw, &o->alive_s);
    if (json_find(body, "max_memory_bytes", &raw))
        (void)!json_i64(raw, 0, INT64_MAX, &o->max_memory_bytes);
    if (json_find(body, "max_records", &raw))
        (void)!json_i64(raw, 0, INT64_MAX, &o->max_records);
    if (json_find(body, "slots_hint", &raw))
        (void)!json_i64(raw, 0, INT64_MAX, &o->slots_hint);
    return o->server != NULL;
}

static bool read_grace(struct str body, int64_t *grace_us)
{
    struct str raw;
    double grace_s = 0;
    if (!json_find(body, "grace_s", &raw) || !json_double(raw, &grace_s) || grace_s < 0)
        return false;
    *grace_us = (int64_t)((grace_s < grace_max_s ? grace_s : grace_max_s) * 1e6);
    return true;
}

static bool read_message(struct str line, enum control_news *news, struct worker_orders *orders,
                         int64_t *grace_us)
{
    struct str body;
    if (!json_check(line, NULL, NULL))
        return false;
    if (json_find(line, "go", &body)) {
        *news = CONTROL_GO;
        return read_orders(body, orders);
    }
    if (json_find(line, "stop", &body)) {
        *news = CONTROL_STOP;
        return read_grace(body, grace_us);
    }
    return true; /* of a later version */
}

/* Takes the first line out of what has come. */
static bool take_message(struct worker_control *c, enum control_news *news,
                         struct worker_orders *orders, int64_t *grace_us, struct err *err)
{
    const char *end = c->got.len ? memchr(c->got.data, '\n', c->got.len) : NULL;
    if (!end)
        return true;
    struct str line = {c->got.data, (size_t)(end - c->got.data)};
    bool good = read_message(line, news, orders, grace_us);
    c->got.len -= line.len + 1;
    memmove(c->got.data, end + 1, c->got.len);
    return good || err_set(err, ERR_INVALID,
                           "descriptor %d: what the supervisor says is no message", c->fd);
}

bool worker_control_read(struct worker_control *c, enum control_news *news,
                         struct worker_orders *orders, int64_t *grace_us, struct err *err)
{
    char bytes[READ_BYTES];
    *news = CONTROL_QUIET;
    if (c->fd < 0)
        return true;
    if (!take_message(c, news, orders, grace_us, err))
        return false;
    if (*news != CONTROL_QUIET)
        return true;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        *news = CONTROL_CLOSED;
        c->fd = -1;
        return true;
    }
    if (n > 0)
        buf_add(&c->got, bytes, (size_t)n);
    if (c->got.full)
        return err_set(err, ERR_INVALID, "descriptor %d: a message is too long", c->fd);
    return take_message(c, news, orders, grace_us, err);
}

bool worker_control_wait(struct worker_control *c, struct err *err)
{
    struct pollfd fd = {.fd = c->fd, .events = POLLIN};
    if (poll(&fd, 1, -1) < 0 && errno != EINTR)
        return err_errno(err, errno, "poll");
    return true;
}

/* A message under way: {"name": and what the caller writes. */
struct message {
    struct buf text;
    struct json_out out;
};

static struct json_out *begin(struct message *m, const char *name)
{
    buf_init(&m->text, MESSAGE_MAX_BYTES);
    json_out_init(&m->out, &m->text);
    json_out_open(&m->out, '{');
    json_out_name(&m->out, name);
    return &m->out;
}

static void end(struct worker_control *c, struct message *m)
{
    json_out_close(&m->out, '}');
    buf_add_char(&m->text, '\n');
    struct str left = buf_str(&m->text);
    while (c->fd >= 0 && !m->text.full && left.len > 0) {
        ssize_t n = send(c->fd, left.ptr, left.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        left.ptr += n;
        left.len -= (size_t)n;
    }
    buf_release(&m->text);
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

void worker_control_hello(struct worker_control *c, const char *what, const char *kind)
{
    struct message m;
    struct json_out *o = begin(&m, "hello");
    json_out_open(o, '{');
    add_i64(o, "pid", getpid());
    add_text(o, "what", what);
    add_text(o, "kind", kind);
    add_i64(o, "batch_size", 1);
    json_out_name(o, "retry");
    json_out_null(o);
    json_out_name(o, "settings");
    json_out_null(o);
    json_out_close(o, '}');
    end(c, &m);
}

static void say_empty(struct worker_control *c, const char *name)
{
    struct message m;
    struct json_out *o = begin(&m, name);
    json_out_open(o, '{');
    json_out_close(o, '}');
    end(c, &m);
}

void worker_control_ready(struct worker_control *c)
{
    say_empty(c, "ready");
}

void worker_control_alive(struct worker_control *c)
{
    say_empty(c, "alive");
}

void worker_control_lease(struct worker_control *c, const char *token)
{
    struct message m;
    json_out_text(begin(&m, "lease"), token);
    end(c, &m);
}

void worker_control_failed(struct worker_control *c, const char *where, const char *text)
{
    struct message m;
    struct json_out *o = begin(&m, "failed");
    json_out_open(o, '{');
    add_text(o, "where", where);
    add_text(o, "text", text);
    add_text(o, "traceback", "");
    json_out_close(o, '}');
    end(c, &m);
}

void worker_control_bye(struct worker_control *c, int64_t ran, const char *reason)
{
    struct message m;
    struct json_out *o = begin(&m, "bye");
    json_out_open(o, '{');
    add_i64(o, "ran", ran);
    add_text(o, "reason", reason);
    json_out_close(o, '}');
    end(c, &m);
}

static void say_log(struct worker_control *c, const int64_t *record, const bool *away,
                    const char *level, struct str text)
{
    struct message m;
    struct json_out *o = begin(&m, "log");
    json_out_open(o, '{');
    add_text(o, "level", level);
    if (record)
        add_i64(o, "record", *record);
    if (away) {
        json_out_name(o, "away");
        json_out_bool(o, *away);
    }
    json_out_name(o, "text");
    json_out_str(o, text);
    json_out_close(o, '}');
    end(c, &m);
}

void worker_control_log_record(struct worker_control *c, int64_t record, const char *level,
                               struct str text)
{
    if (text.len > LOG_TEXT_BYTES)
        text.len = LOG_TEXT_BYTES;
    say_log(c, &record, NULL, level, text);
}

void worker_control_log(struct worker_control *c, const char *level, const char *format, ...)
{
    char text[LOG_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say_log(c, NULL, NULL, level, str_of(text));
}

void worker_control_away(struct worker_control *c, bool away, const char *text)
{
    say_log(c, NULL, &away, away ? "warning" : "info", str_of(text));
}
