/* native_schedules.c: schedules (native.h). What a schedule says of its task is read as a task that
 * is enqueued (new_tasks.h), so that it is refused now and not at its first tick. */
#include "http/native/native.h"
#include "http/native/native_value.h"
#include "http/native/new_tasks.h"

#include <stdlib.h>

#define EVERY_MIN_US INT64_C(1000000)
#define EVERY_MAX_US (INT64_C(366) * 24 * 3600 * 1000000)

/* --- what a body says --- */

/* A schedule on its way. */
struct schedule_body {
    struct schedule spec; /* texts owned */
    struct buf tasks;     /* {"tasks":[{...}]}: the task's members */
    bool any;             /* of them */
    struct new_tasks read;
};

static void body_end(void *thing)
{
    struct schedule_body *b = thing;
    schedule_release(&b->spec);
    new_tasks_release(&b->read);
    buf_release(&b->tasks);
}

static bool take_text(const char *name, struct str raw, char **out, struct err *err)
{
    struct str text = {0};
    if (!value_name(name, raw, &text, err))
        return false;
    free(*out);
    *out = text.ptr ? xstrndup(text.ptr, text.len) : NULL;
    return true;
}

/* What a schedule decides of its tasks by itself. */
static bool check_apart(struct str name, struct err *err)
{
    static const char *const apart[] = {"run_at", "delay_s", "unique", "after", "after_when", "of"};
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
        if (json_name_is(name, apart[i]))
            return err_set(err, ERR_INVALID, "%s: a schedule has none", apart[i]);
    return true;
}

static bool read_member(struct schedule_body *b, struct str name, struct str raw, struct err *err)
{
    struct schedule *s = &b->spec;
    int word = (int)s->missed;
    if (json_name_is(name, "cron"))
        return take_text("cron", raw, &s->cron, err);
    if (json_name_is(name, "zone"))
        return take_text("zone", raw, &s->zone, err);
    if (json_name_is(name, "every_s"))
        return value_seconds("every_s", raw, EVERY_MIN_US, EVERY_MAX_US, &s->every_us, err);
    if (json_name_is(name, "paused"))
        return value_bool("paused", raw, &s->paused, err);
    if (json_name_is(name, "pass_time"))
        return value_bool("pass_time", raw, &s->pass_time, err);
    if (json_name_is(name, "missed")) {
        bool good = value_word("missed", raw, schedule_missed_names, &word, err);
        s->missed = (enum schedule_missed)word;
        return good;
    }
    if (!check_apart(name, err))
        return false;
    /* The name is a string in JSON, escapes and all; so it goes on. */
    buf_add_text(&b->tasks, b->any ? "," : "");
    buf_add_str(&b->tasks, name);
    buf_add_char(&b->tasks, ':');
    buf_add_str(&b->tasks, raw);
    b->any = true;
    return true;
}

/* "tasks[0].priority: ..." is said of a list that nobody has sent. */
static bool without_place(struct err *err)
{
    static const char place[] = "tasks[0].", other[] = "tasks[0]: ";
    size_t len = strncmp(err->text, place, sizeof place - 1) == 0   ? sizeof place - 1
                 : strncmp(err->text, other, sizeof other - 1) == 0 ? sizeof other - 1
                                                                    : 0;
    memmove(err->text, err->text + len, strlen(err->text + len) + 1);
    return false;
}

static char *text_of(struct str text)
{
    return text.len ? xstrndup(text.ptr, text.len) : NULL;
}

static bool read_task(struct schedule_body *b, struct err *err)
{
    struct schedule *s = &b->spec;
    if (!new_tasks_read(&b->read, b->tasks.data, b->tasks.len, err))
        return without_place(err);
    const struct task_new *t = &b->read.tasks[0];
    s->function = text_of(t->function);
    s->queue = text_of(t->queue);
    s->arguments = text_of(t->arguments);
    s->options = text_of(t->options);
    s->key = text_of(t->key);
    s->batch = text_of(t->batch);
    s->lock = text_of(t->lock);
    s->priority = t->priority;
    s->max_attempts = t->max_attempts;
    return true;
}

static bool read_body(struct request *req, struct schedule_body *b, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str name, raw;
    size_t len = 0;
    char *body = request_body(req, &len);
    buf_add_text(&b->tasks, "{\"tasks\":[{");
    json_open(&j, (struct str){body, len});
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &raw))
            if (!value_once(&seen, name, err) || !read_member(b, name, raw, err))
                return false;
    if (!json_end(&j))
        return value_fault(err, &j);
    buf_add_text(&b->tasks, "}]}");
    return b->tasks.full ? err_set(err, ERR_BUSY, "memory is out") : read_task(b, err);
}

/* --- what is shown --- */

static void write_text(struct json_out *o, const char *name, const char *text)
{
    json_out_name(o, name);
    json_out_text(o, text);
}

/* retry, timeout_s, keep_s, as they were given. */
static void write_options(struct json_out *o, const char *options)
{
    struct json j;
    struct str name, raw;
    json_open(&j, str_of(options ? options : "{}"));
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &raw)) {
            OWNED_MEM char *text = json_take_text(name);
            json_out_name(o, text ? text : "");
            json_out_raw(o, raw);
        }
}

static void write_task(struct json_out *o, const struct schedule *s)
{
    write_text(o, "function", s->function);
    write_text(o, "queue", s->queue ? s->queue : "default");
    json_out_name(o, "arguments");
    json_out_raw(o, str_of(s->arguments ? s->arguments : "{}"));
    json_out_name(o, "priority");
    json_out_i64(o, s->priority);
    write_text(o, "key", s->key);
    write_text(o, "batch", s->batch);
    write_text(o, "lock", s->lock);
    json_out_name(o, "max_attempts");
    if (s->max_attempts > 0)
        json_out_i64(o, s->max_attempts);
    else
        json_out_null(o);
    write_options(o, s->options);
}

static void write_schedule(struct json_out *o, const struct schedule_view *v)
{
    const struct schedule *s = &v->spec;
    json_out_open(o, '{');
    write_text(o, "name", s->name);
    write_task(o, s);
    write_text(o, "cron", s->cron);
    json_out_name(o, "every_s");
    if (s->cron)
        json_out_null(o);
    else
        json_out_double(o, (double)s->every_us / 1e6);
    write_text(o, "zone", s->cron && !s->zone ? "UTC" : s->zone);
    write_text(o, "missed", schedule_missed_names[s->missed]);
    json_out_name(o, "paused");
    json_out_bool(o, s->paused);
    json_out_name(o, "pass_time");
    json_out_bool(o, s->pass_time);
    json_out_name(o, "created_at");
    native_time_write(o, v->created_at_us);
    json_out_name(o, "next_at");
    native_time_write(o, v->next_at_us);
    json_out_name(o, "last_at");
    native_time_write(o, v->last_at_us);
    json_out_name(o, "last_task");
    if (v->last_task_id)
        json_out_i64(o, v->last_task_id);
    else
        json_out_null(o);
    write_text(o, "failure", v->failure);
    json_out_close(o, '}');
}

/* --- the routes --- */

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "schedules");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->schedules.count; i++)
        write_schedule(&o, &op->schedules.views[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool finish_one(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    if (op->schedules.count != 1)
        return err_set(err, ERR_INTERNAL, "the engine does not show the schedule");
    native_reply_begin(&o, &b);
    write_schedule(&o, &op->schedules.views[0]);
    return native_reply_end(reply, &b, err);
}

bool native_schedules_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_op(req, OP_SCHEDULES)->schedules.verb = SCHEDULES_LIST;
    return request_call(req, finish_listed);
}

/* An op about the schedule that the path names. */
static struct op *named_op(struct request *req, enum schedules_verb verb, struct err *err)
{
    char *name = request_strdup(req, request_path_param(req, "name"));
    if (!name) {
        err_set(err, ERR_BUSY, "memory is out");
        return NULL;
    }
    struct op *op = request_op(req, OP_SCHEDULES);
    op->schedules.verb = verb;
    op->schedules.name = name;
    return op;
}

bool native_schedule_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return named_op(req, SCHEDULES_LIST, err) && request_call(req, finish_one);
}

bool native_schedule_set(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct schedule_body *b = request_alloc(req, sizeof *b);
    if (!b)
        return err_set(err, ERR_BUSY, "memory is out");
    buf_init(&b->tasks, BUF_NO_CAP);
    request_own(req, b, body_end);
    struct str name = request_path_param(req, "name");
    b->spec.name = xstrndup(name.ptr, name.len);
    if (!read_body(req, b, err))
        return false;
    struct op *op = request_op(req, OP_SCHEDULES);
    op->schedules.verb = SCHEDULES_SET;
    op->schedules.spec = &b->spec;
    return request_call(req, finish_one);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_schedule_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return named_op(req, SCHEDULES_DELETE, err) && request_call(req, finish_deleted);
}

static bool finish_run(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "id");
    json_out_i64(&o, op->schedules.task_id);
    json_out_close(&o, '}');
    reply_status(reply, 201);
    return native_reply_end(reply, &b, err);
}

bool native_schedule_run(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return named_op(req, SCHEDULES_RUN, err) && request_call(req, finish_run);
}
