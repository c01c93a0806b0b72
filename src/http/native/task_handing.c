/* task_handing.c: see task_handing.h. */
#include "http/native/task_handing.h"

#include "base/log.h"
#include "engine/engine.h"
#include "engine/intake.h"
#include "engine/step_token.h"
#include "http/native/native.h"
#include "http/native/native_large.h"

#include <stdio.h>
#include <stdlib.h>

/* What the disk could not read is tried again after so long. */
#define READ_AGAIN_US INT64_C(10000000)

static void write_text(struct json_out *o, const char *name, struct str text)
{
    json_out_name(o, name);
    if (text.len > 0)
        json_out_str(o, text);
    else
        json_out_null(o);
}

static void write_number(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

/* An answer that hands out tasks. */
struct task_handing {
    const struct blobs *blobs;
    const struct task_claim *claim;
    const uint8_t *token;
    struct large_opened *opened; /* owned: of the claim's tasks with large arguments, in order */
    size_t count;
    struct large_answer *answer; /* while it is written; NULL: nothing is large */
};

/* With it a run may ask for what its job may. */
static void write_step_token(struct request *req, struct json_out *o, const struct task_handed *t)
{
    struct step_token token = {.job = t->id, .fence = t->fence};
    char text[STEP_TOKEN_SIZE];
    const char *slash = memchr(t->queue.ptr, '/', t->queue.len);
    if (slash)
        snprintf(token.owner, sizeof token.owner, "%.*s",
                 (int)(t->queue.ptr + t->queue.len - slash - 1), slash + 1);
    step_token_write(request_engine(req), &token, text);
    json_out_name(o, "step_token");
    json_out_text(o, text);
}

static void write_task(struct request *req, struct json_out *o, const struct task_handed *t,
                       struct task_handing *h, struct large_opened *opened)
{
    struct str timeout = {NULL, 0};
    json_out_open(o, '{');
    write_number(o, "id", t->id);
    write_text(o, "function", t->function);
    write_text(o, "queue", t->queue);
    json_out_name(o, "arguments");
    if (opened)
        large_answer_splice(h->answer, o, opened);
    else
        json_out_raw(o, t->arguments.len > 0 ? t->arguments : STR("{}"));
    write_number(o, "attempt", t->attempt);
    write_number(o, "max_attempts", t->max_attempts);
    write_number(o, "fence", t->fence);
    write_number(o, "priority", t->priority);
    write_text(o, "key", t->key);
    write_text(o, "batch", t->batch);
    write_text(o, "lock", t->lock);
    json_out_name(o, "timeout_s");
    if (t->options.len > 0 && json_find(t->options, "timeout_s", &timeout))
        json_out_raw(o, timeout);
    else
        json_out_null(o);
    json_out_name(o, "created_at");
    native_time_write(o, t->created_at_us);
    if (step_queue_is(t->queue))
        write_step_token(req, o, t);
    json_out_close(o, '}');
}

void task_handing_write(struct request *req, struct json_out *o, const struct task_claim *claim,
                        struct task_handing *h)
{
    struct large_opened *next = h ? h->opened : NULL;
    json_out_name(o, "tasks");
    json_out_open(o, '[');
    for (size_t i = 0; i < claim->count; i++) {
        const struct task_handed *t = &claim->tasks[i];
        struct large_opened *opened = t->arguments_blob.bytes ? next++ : NULL;
        if (!opened || opened->reader)
            write_task(req, o, t, h, opened);
    }
    json_out_close(o, ']');
}

/* --- arguments that lie in blobs --- */

size_t task_handing_large(const struct task_claim *claim)
{
    size_t count = 0;
    for (size_t i = 0; i < claim->count; i++)
        count += claim->tasks[i].arguments_blob.bytes > 0;
    return count;
}

static void drop_handing_out(void *thing)
{
    struct task_handing *h = thing;
    for (size_t i = 0; i < h->count; i++)
        large_opened_release(&h->opened[i]);
    free(h->opened);
}

/* A helper's thread. */
static bool open_arguments(struct request *req, struct err *err)
{
    struct task_handing *h = request_state(req);
    (void)err;
    h->opened = xcalloc(task_handing_large(h->claim), sizeof *h->opened);
    for (size_t i = 0; i < h->claim->count; i++)
        if (h->claim->tasks[i].arguments_blob.bytes)
            large_open(&h->opened[h->count++], h->blobs, &h->claim->tasks[i].arguments_blob);
    return true;
}

bool task_handing_begin(struct request *req, const struct task_claim *claim, const uint8_t *token,
                        route_finish *finish, struct err *err)
{
    struct task_handing *h = request_alloc(req, sizeof *h);
    if (!h)
        return err_set(err, ERR_BUSY, "memory is out");
    *h = (struct task_handing){
        .blobs = engine_blobs(request_engine(req)), .claim = claim, .token = token};
    request_own(req, h, drop_handing_out);
    request_set_state(req, h);
    return request_hand_over(req, open_arguments, finish);
}

/* Tasks that fail, for nobody can get their arguments. */
struct failing {
    struct op op;
    struct task_settle_entry *entries;
    struct buf *reasons;
};

static void failing_free(struct failing *f)
{
    for (size_t i = 0; i < f->op.task_settle.count; i++)
        buf_release(&f->reasons[i]);
    free(f->reasons);
    free(f->entries);
    op_release(&f->op);
    free(f);
}

static void have_failed(struct op *op)
{
    if (op->err.code != ERR_NONE)
        LOG1(LOG_WARN, "http.task_not_failed", "error", "%s", op->err.text);
    failing_free(op->context);
}

static void add_failing(struct failing *f, int64_t id, const struct err *why)
{
    struct json_out o;
    struct buf *reason = &f->reasons[f->op.task_settle.count];
    buf_init(reason, BUF_NO_CAP);
    json_out_init(&o, reason);
    json_out_open(&o, '{');
    json_out_name(&o, "message");
    OWNED_MEM char *message = xasprintf("its arguments cannot be read: %s", why->text);
    json_out_text(&o, message);
    json_out_name(&o, "type");
    json_out_text(&o, "BlobError");
    json_out_close(&o, '}');
    /* What the disk could not read just now it may yet. */
    bool final = why->code == ERR_NOT_FOUND || why->code == ERR_STORE;
    f->entries[f->op.task_settle.count++] =
        (struct task_settle_entry){.id = id,
                                   .outcome = TASK_FAILED,
                                   .value = buf_str(reason),
                                   .type = STR("BlobError"),
                                   .final = final,
                                   .retry_after_us = final ? 0 : READ_AGAIN_US};
}

/* Fails what could not be opened, in the session's name; the answer need not wait for it. */
static void fail_unreadable(struct request *req, const struct task_handing *h)
{
    struct failing *f = xcalloc(1, sizeof *f);
    size_t next = 0;
    op_init(&f->op, OP_TASK_SETTLE);
    f->entries = xcalloc(h->count, sizeof *f->entries);
    f->reasons = xcalloc(h->count, sizeof *f->reasons);
    for (size_t i = 0; i < h->claim->count; i++) {
        const struct task_handed *t = &h->claim->tasks[i];
        const struct large_opened *opened = t->arguments_blob.bytes ? &h->opened[next++] : NULL;
        if (opened && !opened->reader)
            add_failing(f, t->id, &opened->err);
    }
    if (f->op.task_settle.count == 0) {
        failing_free(f);
        return;
    }
    memcpy(f->op.task_settle.token, h->token, LEASE_TOKEN_BYTES);
    f->op.task_settle.entries = f->entries;
    f->op.done = have_failed;
    f->op.context = f;
    f->op.right.trusted = true;
    intake_post(request_intake(req), &f->op);
}

bool task_handing_send(struct request *req, const struct op *op, struct reply *reply,
                       void (*write)(struct request *req, struct json_out *o, const struct op *op,
                                     struct task_handing *h))
{
    struct task_handing *h = request_state(req);
    struct json_out o;
    OWNED(large_answer) struct large_answer *a = large_answer_new(&o);
    fail_unreadable(req, h);
    h->answer = a;
    write(req, &o, op, h);
    large_answer_send(TAKE(a), reply);
    return true;
}
