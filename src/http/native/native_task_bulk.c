/* native_task_bulk.c: cancel, retry and delete all tasks that a filter means (native.h). */
#include "http/native/native.h"
#include "http/native/native_task_filter.h"
#include "http/native/native_value.h"

#include <stdlib.h>

bool filter_texts_apply(const struct filter_texts *texts, struct task_filter *out, struct err *err)
{
    const struct {
        const char *name, *text;
    } all[] = {{"queue", texts->queue}, {"function", texts->function}, {"key", texts->key},
               {"batch", texts->batch}, {"lock", texts->lock},         {"error", texts->error}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].text && !*all[i].text)
            return err_set(err, ERR_INVALID, "%s: is empty; leave it out for any", all[i].name);
    if (texts->state && (!job_state_parse(str_of(texts->state), &out->state) ||
                         out->state == JOB_DRAFT || out->state == JOB_READY))
        return err_set(
            err, ERR_INVALID,
            "state: %.60s is none of blocked, pending, running, completed, failed, cancelled",
            texts->state);
    out->by_state = texts->state != NULL;
    out->queue = str_of(texts->queue);
    out->function = str_of(texts->function);
    out->key = str_of(texts->key);
    out->batch = str_of(texts->batch);
    out->lock = str_of(texts->lock);
    out->error_type = str_of(texts->error);
    return true;
}

static const int64_t no_id;

/* The ids of a request. */
struct id_list {
    int64_t *ids; /* owned */
    size_t count, cap;
};

static void drop_ids(void *thing)
{
    struct id_list *list = thing;
    free(list->ids);
}

static bool finish_changed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "matched");
    json_out_i64(&o, op->task_control.matched);
    json_out_name(&o, "changed");
    json_out_i64(&o, op->task_control.changed);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

/* A filter that says nothing is a slip of the hand; who means all tasks says so. */
static bool check_meant(const struct task_filter *f, bool all, struct err *err)
{
    bool narrow = f->ids || f->by_state || f->queue.len || f->function.len || f->key.len ||
                  f->batch.len || f->lock.len || f->error_type.len;
    if (narrow && all)
        return err_set(err, ERR_INVALID, "all: goes without a filter");
    return narrow || all ||
           err_set(err, ERR_INVALID,
                   "which tasks? say ids, queue, function, state, key, batch, lock or error, or "
                   "\"all\":true");
}

static bool control(struct request *req, enum task_verb verb, struct err *err)
{
    struct filter_texts texts = {0};
    struct task_filter filter = {0};
    struct str raw_ids = {NULL, 0};
    bool all = false;
    const struct member members[] = {
        FILTER_MEMBERS(texts),
        {.name = "ids", .type = MEMBER_RAW, .out = &raw_ids},
        {.name = "all", .type = MEMBER_BOOL, .out = &all},
    };
    struct id_list *list = request_alloc(req, sizeof *list);
    if (!list)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, list, drop_ids);
    if (!native_body_read(req, members, sizeof members / sizeof *members, err) ||
        !filter_texts_apply(&texts, &filter, err))
        return false;
    if (raw_ids.len > 0) {
        if (!value_ids("ids", raw_ids, 1, &list->ids, &list->count, &list->cap, err))
            return false;
        /* An empty list means no task, not any. */
        filter.ids = list->ids ? list->ids : &no_id;
        filter.id_count = list->count;
    }
    if (!check_meant(&filter, all, err))
        return false;
    struct op *op = request_op(req, OP_TASK_CONTROL);
    op->task_control.verb = verb;
    op->task_control.filter = filter;
    return request_call(req, finish_changed);
}

bool native_tasks_cancel(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control(req, TASK_CANCEL, err);
}

bool native_tasks_retry(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control(req, TASK_RETRY, err);
}

bool native_tasks_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control(req, TASK_DELETE, err);
}
