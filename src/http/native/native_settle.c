/* native_settle.c: a worker reports results and failures (native.h). */
#include "http/native/native.h"
#include "http/native/native_settlement.h"

static void drop_settlement(void *thing)
{
    settlement_release(thing);
}

static bool finish_settled(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {{"written", op->settle.written},
                  {"skipped", op->settle.skipped},
                  {"repeats", op->settle.repeats},
                  {"failed", op->settle.failed},
                  {"retried", op->settle.retried}};
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_out_name(&o, counts[i].name);
        json_out_i64(&o, counts[i].count);
    }
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool ask_to_settle(struct request *req, struct op *op, const struct settlement *s)
{
    op->settle.entries = s->entries;
    op->settle.count = s->count;
    op->settle.lines = s->body;
    return request_call(req, finish_settled);
}

/* Without a lease: only jobs that give none. */
static bool finish_looked(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)reply;
    const struct job_view *view = &op->report.view;
    if (view->spec.mode != MODE_WRITE && view->spec.lease_us > 0)
        return err_set(err, ERR_INVALID, "lease: is required");
    struct job_ref ref = {.id = view->id};
    struct op_right right = op->right;
    op = request_op(req, OP_SETTLE);
    op->job = ref;
    op->right = right;
    return ask_to_settle(req, op, request_state(req));
}

static bool read_lease(const struct settlement *s, uint8_t out[LEASE_TOKEN_BYTES], struct err *err)
{
    OWNED_MEM char *token = json_take_text(s->lease);
    return native_token_read(token ? str_of(token) : s->lease, out, err);
}

bool native_settle(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct settlement *s = request_alloc(req, sizeof *s);
    if (!s)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, s, drop_settlement);
    request_set_state(req, s);
    size_t len = 0;
    char *body = request_body(req, &len);
    uint8_t token[LEASE_TOKEN_BYTES];
    if (!settlement_read(s, body, len, err) || (s->lease.len && !read_lease(s, token, err)))
        return false;
    struct op *op = native_job_op(req, s->lease.len ? OP_SETTLE : OP_REPORT, SCOPE_WORK, err);
    if (!op)
        return false;
    if (!s->lease.len)
        return request_call(req, finish_looked);
    op->settle.has_lease = true;
    memcpy(op->settle.token, token, sizeof token);
    return ask_to_settle(req, op, s);
}
