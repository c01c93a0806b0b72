/* native_work.c: what a worker asks for: claims, more time, to give back (native.h).
 *
 * A claim's records are spliced into the answer as the engine read them: they are not parsed or
 * copied here. Should the answer not get through, they are given back (request_claims). */
#include "core/ledger.h"
#include "http/native/native.h"
#include "http/native/native_body.h"

#define SECOND_US INT64_C(1000000)
#define LEASE_MAX_US (86400 * SECOND_US)
#define WAIT_MAX_US (60 * SECOND_US)
#define ANSWER_MAX_BYTES (INT64_C(16) << 20)
enum {
    CLAIM_DEFAULT = 100,
    CLAIM_MAX = 100000,
    RUNNING_MAX = 1000000,
    WORKER_MAX_BYTES = 200,
    HOW_MAX_BYTES = 300
};

static void write_lease(struct json_out *o, const uint8_t token[LEASE_TOKEN_BYTES], int64_t ends_at)
{
    char text[NATIVE_TOKEN_TEXT + 1];
    native_token_write(token, text);
    json_out_open(o, '{');
    json_out_name(o, "token");
    json_out_text(o, text);
    json_out_name(o, "ends_at");
    native_time_write(o, ends_at);
    json_out_close(o, '}');
}

/* What the worker may do now, and the end of the answer. */
static void write_limits(const struct op *op, struct json_out *o)
{
    json_out_name(o, "finished");
    json_out_bool(o, op->claim.finished);
    json_out_name(o, "slots");
    if (op->claim.slots >= 0)
        json_out_i64(o, op->claim.slots);
    else
        json_out_null(o);
    json_out_name(o, "starts");
    if (op->claim.paced) {
        json_out_open(o, '{');
        json_out_name(o, "first_s");
        json_out_double(o, op->claim.first_us / 1e6);
        json_out_name(o, "every_s");
        json_out_double(o, op->claim.every_us / 1e6);
        json_out_name(o, "clock_s");
        json_out_double(o, (double)op->claim.clock_us / 1e6);
        json_out_name(o, "alone_s");
        json_out_double(o, (double)op->claim.alone_us / 1e6);
        json_out_close(o, '}');
    } else {
        json_out_null(o);
    }
    json_out_name(o, "alone");
    json_out_bool(o, op->claim.alone);
    json_out_close(o, '}');
}

static bool finish_claimed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf head;
    OWNED_BUF struct buf tail;
    struct json_out o;
    native_reply_begin(&o, &head);
    json_out_open(&o, '{');
    json_out_name(&o, "lease");
    if (op->claim.has_lease)
        write_lease(&o, op->claim.token, op->claim.lease_ends_at_us);
    else
        json_out_null(&o);
    json_out_name(&o, "records");
    native_reply_begin(&o, &tail);
    o.comma = true;
    write_limits(op, &o);
    if (op->claim.count > 0 || op->claim.made)
        request_claims(req);
    if (!native_reply_end(reply, &head, err))
        return false;
    reply_add_borrowed(reply, op->claim.count > 0 ? buf_str(&op->claim.records) : STR("[]"));
    return native_reply_end(reply, &tail, err);
}

/* How long a lease is asked for. */
static struct member lease_member(int64_t *out)
{
    return (struct member){
        .name = "lease_s", .type = MEMBER_SECONDS, .min = 1, .max = LEASE_MAX_US, .out = out};
}

/* What a claim's body says. */
struct claim_body {
    int64_t max, wait_us, lease_us, running;
    bool keep;
    char *lease, *worker;
    struct str holds;
};

static bool read_claim(struct request *req, struct claim_body *c, struct err *err)
{
    const struct member members[] = {
        {.name = "max", .type = MEMBER_I64, .min = 1, .max = CLAIM_MAX, .out = &c->max},
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = WAIT_MAX_US, .out = &c->wait_us},
        lease_member(&c->lease_us),
        {.name = "keep", .type = MEMBER_BOOL, .out = &c->keep},
        {.name = "lease", .type = MEMBER_TEXT, .out = &c->lease},
        {.name = "worker", .type = MEMBER_TEXT, .out = &c->worker},
        {.name = "running", .type = MEMBER_I64, .max = RUNNING_MAX, .out = &c->running},
        {.name = "holds", .type = MEMBER_RAW, .out = &c->holds},
    };
    if (!native_body_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (c->worker && strlen(c->worker) > WORKER_MAX_BYTES)
        return err_set(err, ERR_INVALID, "worker: expected a name of up to %d bytes",
                       WORKER_MAX_BYTES);
    if (c->holds.len && !c->lease)
        return err_set(err, ERR_INVALID, "holds: goes with lease");
    return true;
}

/* The numbers that the worker holds, in memory of the request. */
static bool read_holds(struct request *req, struct str raw, struct op *op, struct err *err)
{
    size_t cap = raw.len / 2 + 1; /* a digit and a comma each */
    int64_t *holds = request_alloc(req, cap * sizeof *holds);
    struct json j;
    struct str number;
    if (!holds)
        return err_set(err, ERR_BUSY, "memory is out");
    if (json_type_of(raw) != JSON_ARRAY)
        return err_set(err, ERR_INVALID, "holds: expected a list of records' numbers");
    json_open(&j, raw);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &number)) {
        if (!json_i64(number, 0, LEDGER_RECORDS_MAX - 1, &holds[op->claim.hold_count]))
            return err_set(err, ERR_INVALID, "holds[%zu]: expected a record's number",
                           op->claim.hold_count);
        op->claim.hold_count++;
    }
    op->claim.has_holds = true;
    op->claim.holds = holds;
    return true;
}

bool native_claim(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct claim_body c = {.max = CLAIM_DEFAULT, .running = -1};
    uint8_t token[LEASE_TOKEN_BYTES];
    if (!read_claim(req, &c, err) || (c.lease && !native_token_read(str_of(c.lease), token, err)))
        return false;
    struct op *op = native_job_op(req, OP_CLAIM, SCOPE_WORK, err);
    if (!op || (c.holds.len && !read_holds(req, c.holds, op, err)))
        return false;
    op->claim.max_records = c.max;
    op->claim.max_bytes = ANSWER_MAX_BYTES;
    op->claim.wait_until_us = c.wait_us ? request_at(req).mono_us + c.wait_us : 0;
    op->claim.lease_us = c.lease_us;
    op->claim.keep = c.keep;
    op->claim.add = c.lease != NULL;
    if (c.lease)
        memcpy(op->claim.token, token, sizeof token);
    op->claim.running = c.running;
    op->claim.worker = str_of(c.worker);
    return request_call(req, finish_claimed);
}

/* An op on the lease that the body names. */
static struct op *lease_op(struct request *req, enum op_kind kind, const char *token,
                           struct err *err)
{
    uint8_t bytes[LEASE_TOKEN_BYTES];
    if (!native_token_read(str_of(token), bytes, err))
        return NULL;
    struct op *op = native_job_op(req, kind, SCOPE_WORK, err);
    if (!op)
        return NULL;
    op->lease.has_lease = true;
    memcpy(op->lease.token, bytes, sizeof bytes);
    return op;
}

static bool finish_extended(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    write_lease(&o, op->lease.token, op->lease.lease_ends_at_us);
    return native_reply_end(reply, &b, err);
}

bool native_extend(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *token = NULL;
    int64_t lease_us = 0;
    const struct member members[] = {
        {.name = "lease", .type = MEMBER_TEXT, .required = true, .out = &token},
        lease_member(&lease_us),
    };
    if (!native_body_read(req, members, sizeof members / sizeof *members, err))
        return false;
    struct op *op = lease_op(req, OP_EXTEND, token, err);
    if (!op)
        return false;
    op->lease.lease_us = lease_us;
    return request_call(req, finish_extended);
}

static bool finish_released(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_check_how(const char *how, struct err *err)
{
    return !how || strlen(how) <= HOW_MAX_BYTES ||
           err_set(err, ERR_INVALID, "how: expected a text of up to %d bytes", HOW_MAX_BYTES);
}

bool native_release(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *token = NULL, *how = NULL;
    bool died = false;
    const struct member members[] = {
        {.name = "lease", .type = MEMBER_TEXT, .required = true, .out = &token},
        {.name = "died", .type = MEMBER_BOOL, .out = &died},
        {.name = "how", .type = MEMBER_TEXT, .out = &how},
    };
    struct op *op = NULL;
    if (!native_body_read(req, members, sizeof members / sizeof *members, err) ||
        !native_check_how(how, err) || !(op = lease_op(req, OP_RELEASE, token, err)))
        return false;
    op->lease.died = died;
    op->lease.how = str_of(how);
    return request_call(req, finish_released);
}
