/* native_work_tasks.c: what a worker asks for about tasks: claim, settle, extend, release
 * (native.h).
 *
 * Arguments are spliced into the answer as they were enqueued, results stay where they came in:
 * neither is parsed here. What is large goes into blobs and comes from them (native_large.h,
 * task_handing.h). Should an answer that hands out tasks not get through, they are given
 * back (request_claims). */
#include "engine/engine.h"
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_large.h"
#include "http/native/native_value.h"
#include "http/native/task_handing.h"
#include "http/native/task_settlement.h"

#include <math.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define EXTEND_WAIT_MAX_US (3600 * SECOND_US)

/* --- answers --- */

static void write_lease(struct json_out *o, const uint8_t token[LEASE_TOKEN_BYTES],
                        int64_t ends_at_us)
{
    char text[NATIVE_TOKEN_TEXT + 1];
    native_token_write(token, text);
    json_out_name(o, "lease");
    json_out_open(o, '{');
    json_out_name(o, "token");
    json_out_text(o, text);
    json_out_name(o, "ends_at");
    native_time_write(o, ends_at_us);
    json_out_close(o, '}');
}

static void write_number(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void write_aborts(struct json_out *o, const struct task_aborted *aborts, size_t count)
{
    json_out_name(o, "aborts");
    json_out_open(o, '[');
    for (size_t i = 0; i < count; i++) {
        json_out_open(o, '[');
        json_out_i64(o, aborts[i].id);
        json_out_text(o, task_abort_name(aborts[i].why));
        json_out_close(o, ']');
    }
    json_out_close(o, ']');
}

/* An answer as long as it has to be: the engine has seen to it that it is no longer. */
static void begin(struct json_out *o, struct buf *b)
{
    buf_init(b, BUF_NO_CAP);
    json_out_init(o, b);
}

/* --- claim --- */

static void drop_claim(void *thing)
{
    task_claim_body_release(thing);
}

static void write_claimed(struct request *req, struct json_out *o, const struct op *op,
                          struct task_handing *h)
{
    const struct task_claim *claim = &op->task_claim;
    json_out_open(o, '{');
    write_lease(o, claim->token, claim->lease_ends_at_us);
    task_handing_write(req, o, claim, h);
    write_aborts(o, claim->aborts, claim->abort_count);
    json_out_name(o, "slots");
    json_out_null(o);
    json_out_name(o, "again_s");
    if (claim->again_us == NEVER_US)
        json_out_null(o);
    else
        json_out_double(o, (double)claim->again_us / SECOND_US);
    json_out_close(o, '}');
}

static bool send_claimed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)err;
    return task_handing_send(req, op, reply, write_claimed);
}

static bool finish_claimed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct task_claim *claim = &op->task_claim;
    request_claims(req);
    if (task_handing_large(claim))
        return task_handing_begin(req, claim, claim->token, send_claimed, err);
    OWNED_BUF struct buf b;
    struct json_out o;
    begin(&o, &b);
    write_claimed(req, &o, op, NULL);
    return native_reply_end(reply, &b, err);
}

/* An owner's workers take that owner's step jobs and nothing else; nobody takes another's. */
static bool keep_to_own_queue(struct request *req, struct task_claim *claim, struct err *err)
{
    struct step_asker by;
    request_step_asker(req, &by);
    OWNED_MEM char *name = step_queue_name(by.owner);
    for (size_t i = 0; i < claim->queue_count; i++) {
        bool own = str_is(claim->queues[i], name);
        if (!own && (by.owner.len || step_queue_is(claim->queues[i])) && !by.everyone)
            return err_set(err, ERR_FORBIDDEN, "queue %.*s is not for this key",
                           value_shown(claim->queues[i]), claim->queues[i].ptr);
    }
    if (!by.owner.len || claim->queues)
        return true;
    struct str *queue = request_alloc(req, sizeof *queue);
    char *kept = request_strdup(req, str_of(name));
    if (!queue || !kept)
        return err_set(err, ERR_BUSY, "memory is out");
    *queue = str_of(kept);
    claim->queues = queue;
    claim->queue_count = 1;
    return true;
}

/* Tasks are the house's. */
static bool may_enqueue(struct request *req, struct err *err)
{
    struct step_asker by;
    request_step_asker(req, &by);
    return by.owner.len == 0 ||
           err_set(err, ERR_FORBIDDEN, "enqueue: a key with an owner enqueues nothing");
}

static bool read_claim(struct request *req, struct task_claim_body *c, struct err *err)
{
    struct json j;
    struct str body = {NULL, 0};
    body.ptr = request_body(req, &body.len);
    /* A session begins with what its worker says: an empty request is a mistake. */
    if (str_trim(body).len == 0)
        return err_set(err, ERR_INVALID, "body: is required");
    json_open(&j, body);
    if (!task_claim_body_read(c, &j, false, err))
        return false;
    return json_end(&j) || value_fault(err, &j);
}

bool native_task_claim(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct task_claim_body *c = request_alloc(req, sizeof *c);
    uint8_t token[LEASE_TOKEN_BYTES];
    if (!c)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, c, drop_claim);
    if (!read_claim(req, c, err) || (c->lease.len && !native_token_read(c->lease, token, err)))
        return false;
    struct op *op = request_op(req, OP_TASK_CLAIM);
    struct task_claim *claim = &op->task_claim;
    task_claim_body_apply(c, claim);
    if (!keep_to_own_queue(req, claim, err))
        return false;
    claim->wait_until_us = c->wait_us ? request_at(req).mono_us + c->wait_us : 0;
    claim->has_lease = c->lease.len > 0;
    if (claim->has_lease)
        memcpy(claim->token, token, sizeof token);
    return request_call(req, finish_claimed);
}

/* --- settle --- */

/* A settlement on its way. */
struct settling {
    struct task_settlement body;
    struct large_put large;
    uint8_t token[LEASE_TOKEN_BYTES];
};

static void drop_settlement(void *thing)
{
    struct settling *x = thing;
    large_put_release(&x->large);
    task_settlement_release(&x->body);
}

static void write_stale(struct json_out *o, const struct op_task_settle *settle)
{
    json_out_name(o, "stale");
    json_out_open(o, '[');
    for (size_t i = 0; i < settle->count; i++)
        if (settle->entries[i].stale)
            json_out_i64(o, settle->entries[i].id);
    json_out_close(o, ']');
}

static void write_settled(struct request *req, struct json_out *o, const struct op *op,
                          struct task_handing *h)
{
    const struct op_task_settle *settle = &op->task_settle;
    json_out_open(o, '{');
    write_number(o, "completed", settle->completed);
    write_number(o, "retried", settle->retried);
    write_number(o, "failed", settle->failed);
    write_number(o, "cancelled", settle->cancelled);
    write_stale(o, settle);
    json_out_name(o, "enqueued");
    native_enqueued_write(&settle->enqueue, o);
    task_handing_write(req, o, &settle->claim, h);
    write_aborts(o, settle->aborts, settle->abort_count);
    json_out_close(o, '}');
}

static bool send_settled(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)err;
    return task_handing_send(req, op, reply, write_settled);
}

/* Whether the store needs all of the settlement's blobs. */
static bool all_needed(const struct op_task_settle *settle)
{
    for (size_t i = 0; i < settle->count; i++)
        if (settle->entries[i].value_blob.bytes &&
            (settle->entries[i].stale || settle->entries[i].keeps_value))
            return false;
    return enqueue_needs_all_blobs(&settle->enqueue);
}

static bool finish_settled(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_task_settle *settle = &op->task_settle;
    struct settling *x = request_state(req);
    if (op->err.code != ERR_NONE) {
        *err = op->err;
        return native_enqueue_refused(&settle->enqueue, "enqueue", err);
    }
    x->large.known = all_needed(settle);
    request_claims(req);
    if (task_handing_large(&settle->claim))
        return task_handing_begin(req, &settle->claim, settle->token, send_settled, err);
    OWNED_BUF struct buf b;
    struct json_out o;
    begin(&o, &b);
    write_settled(req, &o, op, NULL);
    return native_reply_end(reply, &b, err);
}

/* Whether something in it is to go into blobs. */
static bool has_large(const struct task_settlement *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].outcome == TASK_COMPLETED && large_text(s->entries[i].value))
            return true;
    return large_tasks(s->enqueue.tasks, s->enqueue.count);
}

/* A helper's thread. */
static bool put_large(struct request *req, struct err *err)
{
    struct settling *x = request_state(req);
    struct blobs *blobs = engine_blobs(request_engine(req));
    for (size_t i = 0; i < x->body.count; i++) {
        struct task_settle_entry *entry = &x->body.entries[i];
        struct str value = entry->value;
        if (entry->outcome == TASK_COMPLETED &&
            !large_put(&x->large, blobs, &value, &entry->value_blob, err))
            return false;
    }
    return large_put_tasks(&x->large, blobs, x->body.enqueue.tasks, x->body.enqueue.count, err);
}

static bool ask_settle(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct settling *x = request_state(req);
    const struct task_settlement *s = &x->body;
    struct op_task_settle *settle = &op->task_settle;
    (void)reply, (void)err;
    memcpy(settle->token, x->token, sizeof x->token);
    settle->entries = s->entries;
    settle->count = s->count;
    settle->enqueue.tasks = s->enqueue.tasks;
    settle->enqueue.count = s->enqueue.count;
    settle->enqueue.refused = SIZE_MAX;
    settle->claims = s->claims;
    if (s->claims) {
        task_claim_body_apply(&s->claim, &settle->claim);
        if (!keep_to_own_queue(req, &settle->claim, err))
            return false;
        settle->claim.has_lease = true;
        memcpy(settle->claim.token, x->token, sizeof x->token);
    }
    return request_ask(req, finish_settled);
}

bool native_task_settle(struct request *req, struct reply *reply, struct err *err)
{
    struct settling *x = request_alloc(req, sizeof *x);
    size_t len = 0;
    char *body = request_body(req, &len);
    if (!x)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, x, drop_settlement);
    request_set_state(req, x);
    if (!task_settlement_read(&x->body, body, len, err) ||
        !native_token_read(x->body.lease, x->token, err) ||
        (x->body.enqueue.count && !may_enqueue(req, err)))
        return false;
    struct op *op = request_op(req, OP_TASK_SETTLE);
    if (has_large(&x->body))
        return request_hand_over(req, put_large, ask_settle);
    return ask_settle(req, op, reply, err);
}

/* --- extend --- */

/* What an extend's body says. */
struct extension {
    char *lease;
    int64_t wait_us;
    struct str raw_progress, raw_holds;
    struct task_progress *progress; /* owned */
    size_t progress_count, progress_cap;
    int64_t *holds; /* owned */
    size_t holds_count, holds_cap;
};

static void drop_extension(void *thing)
{
    struct extension *x = thing;
    free(x->progress);
    free(x->holds);
}

static bool finish_extended(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    const struct op_task_extend *extend = &op->task_extend;
    begin(&o, &b);
    json_out_open(&o, '{');
    write_lease(&o, extend->token, extend->lease_ends_at_us);
    write_aborts(&o, extend->aborts, extend->abort_count);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

/* One [id, part, text]; part and text may be null or left out. */
static bool read_progress(struct extension *x, struct str raw, size_t index, struct err *err)
{
    struct task_progress p = {.part = -1};
    struct json j;
    struct str value;
    bool fits = json_type_of(raw) == JSON_ARRAY;
    size_t parts = 0;
    json_open(&j, raw);
    if (fits)
        json_enter(&j, '[');
    while (fits && json_item(&j) && json_value(&j, &value)) {
        bool none = json_type_of(value) == JSON_NULL;
        if (parts == 0)
            fits = json_i64(value, 1, INT64_MAX, &p.id);
        else if (parts == 1)
            fits = none || (json_double(value, &p.part) && p.part >= 0 && p.part <= 1);
        else
            fits = parts == 2 && (none || value_decode(value, &p.text));
        parts++;
    }
    if (!fits || parts == 0)
        return err_set(err, ERR_INVALID,
                       "progress[%zu]: expected [id, part from 0 to 1, text], not %.*s", index,
                       value_shown(raw), raw.ptr);
    if (x->progress_count == x->progress_cap) {
        x->progress_cap = x->progress_cap ? 2 * x->progress_cap : 8;
        x->progress = xrealloc(x->progress, x->progress_cap * sizeof *x->progress);
    }
    x->progress[x->progress_count++] = p;
    return true;
}

static bool read_extension(struct request *req, struct extension *x, struct err *err)
{
    const struct member members[] = {
        {.name = "lease", .type = MEMBER_TEXT, .required = true, .out = &x->lease},
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = EXTEND_WAIT_MAX_US, .out = &x->wait_us},
        {.name = "progress", .type = MEMBER_RAW, .out = &x->raw_progress},
        {.name = "holds", .type = MEMBER_RAW, .out = &x->raw_holds},
    };
    struct json j;
    struct str item;
    if (!native_body_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (x->raw_holds.len > 0 &&
        !value_ids("holds", x->raw_holds, 1, &x->holds, &x->holds_count, &x->holds_cap, err))
        return false;
    if (x->raw_progress.len == 0)
        return true;
    if (json_type_of(x->raw_progress) != JSON_ARRAY)
        return value_wrong(err, "progress", "a list", x->raw_progress);
    json_open(&j, x->raw_progress);
    json_enter(&j, '[');
    for (size_t i = 0; json_item(&j) && json_value(&j, &item); i++)
        if (!read_progress(x, item, i, err))
            return false;
    return true;
}

bool native_task_extend(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct extension *x = request_alloc(req, sizeof *x);
    uint8_t token[LEASE_TOKEN_BYTES];
    if (!x)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, x, drop_extension);
    if (!read_extension(req, x, err) || !native_token_read(str_of(x->lease), token, err))
        return false;
    struct op *op = request_op(req, OP_TASK_EXTEND);
    struct op_task_extend *extend = &op->task_extend;
    memcpy(extend->token, token, sizeof token);
    extend->progress = x->progress;
    extend->progress_count = x->progress_count;
    extend->holds = x->holds;
    extend->holds_count = x->holds_count;
    extend->has_holds = x->raw_holds.len > 0;
    extend->wait_until_us = x->wait_us ? request_at(req).mono_us + x->wait_us : 0;
    return request_call(req, finish_extended);
}

/* --- release --- */

static bool finish_released(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_task_release(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *text = NULL, *how = NULL;
    bool died = false;
    uint8_t token[LEASE_TOKEN_BYTES];
    const struct member members[] = {
        {.name = "lease", .type = MEMBER_TEXT, .required = true, .out = &text},
        {.name = "died", .type = MEMBER_BOOL, .out = &died},
        {.name = "how", .type = MEMBER_TEXT, .out = &how},
    };
    if (!native_body_read(req, members, sizeof members / sizeof *members, err) ||
        !native_check_how(how, err) || !native_token_read(str_of(text), token, err))
        return false;
    struct op *op = request_op(req, OP_TASK_RELEASE);
    memcpy(op->task_release.token, token, sizeof token);
    op->task_release.died = died;
    op->task_release.how = str_of(how);
    return request_call(req, finish_released);
}
