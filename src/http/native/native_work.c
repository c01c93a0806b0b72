/* native_work.c: what a worker asks for: claims, more time, to give back (native.h).
 *
 * A claim's records are spliced into the answer as the engine read them: they are not parsed or
 * copied here. Should the answer not get through, they are given back (request_claims). */
#include "http/native/native.h"
#include "http/native/native_body.h"

#define SECOND_US INT64_C(1000000)
#define LEASE_MAX_US (86400 * SECOND_US)
#define WAIT_MAX_US (60 * SECOND_US)
#define ANSWER_MAX_BYTES (INT64_C(16) << 20)
enum { CLAIM_DEFAULT = 100, CLAIM_MAX = 100000 };

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

static bool finish_claimed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf head;
    struct json_out o;
    native_reply_begin(&o, &head);
    json_out_open(&o, '{');
    json_out_name(&o, "lease");
    if (op->claim.has_lease)
        write_lease(&o, op->claim.token, op->claim.lease_ends_at_us);
    else
        json_out_null(&o);
    json_out_name(&o, "records");
    bool any = op->claim.count > 0;
    if (any)
        request_claims(req);
    if (!native_reply_end(reply, &head, err))
        return false;
    reply_add_borrowed(reply, any ? buf_str(&op->claim.records) : STR("[]"));
    reply_add_borrowed(reply, op->claim.finished ? STR(",\"finished\":true}")
                                                 : STR(",\"finished\":false}"));
    return true;
}

bool native_claim(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    int64_t max = CLAIM_DEFAULT, wait_us = 0, lease_us = 0;
    const struct member members[] = {
        {.name = "max", .type = MEMBER_I64, .min = 1, .max = CLAIM_MAX, .out = &max},
        {.name = "wait_s", .type = MEMBER_SECONDS, .max = WAIT_MAX_US, .out = &wait_us},
        {.name = "lease_s",
         .type = MEMBER_SECONDS,
         .min = 1,
         .max = LEASE_MAX_US,
         .out = &lease_us},
    };
    if (!native_body_read(req, members, sizeof members / sizeof *members, err))
        return false;
    struct op *op = native_job_op(req, OP_CLAIM, SCOPE_WORK, err);
    if (!op)
        return false;
    op->claim.max_records = max;
    op->claim.max_bytes = ANSWER_MAX_BYTES;
    op->claim.wait_until_us = wait_us ? request_at(req).mono_us + wait_us : 0;
    op->claim.lease_us = lease_us;
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
        {.name = "lease_s",
         .type = MEMBER_SECONDS,
         .min = 1,
         .max = LEASE_MAX_US,
         .out = &lease_us},
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

bool native_release(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *token = NULL;
    const struct member members[] = {
        {.name = "lease", .type = MEMBER_TEXT, .required = true, .out = &token},
    };
    return native_body_read(req, members, 1, err) && lease_op(req, OP_RELEASE, token, err) &&
           request_call(req, finish_released);
}
