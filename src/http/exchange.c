/* exchange.c: one request's way from its head to the end of its answer, as its connection calls us.
 * See conn.h. */
#include "http/problems.h"
#include "http/server_own.h"

#include "base/log.h"

#include <stdlib.h>

/* The first allocation for a body whose length is not told. */
#define CHUNKED_START (64 << 10)
/* A body that is streamed must come on by so much in its time. */
#define STREAM_STEP_BYTES (1 << 20)
/* While bodies wait for memory, slower ones than this are cut off. */
#define PRESSED_RATE_BYTES (1 << 20)
/* What took some time to read and check is asked at once, not with the others that are ready. */
#define ASKED_AT_ONCE_BYTES (32 << 10)

#define SECOND_US INT64_C(1000000)

/* --- deadlines --- */

static void expect_within(struct request *req, int64_t us)
{
    int64_t at_us = clock_now().mono_us + us;
    conns_set_deadline(&req->server->conns, req->conn, at_us, NEVER_US);
}

static void expect_nothing(struct request *req)
{
    conns_set_deadline(&req->server->conns, req->conn, NEVER_US, NEVER_US);
}

/* So many bytes are to come, or to be taken by the client. */
static void expect_bytes(struct request *req, int64_t bytes, bool body)
{
    const struct server_options *o = &req->server->options;
    int64_t from_us = clock_now().mono_us + o->body_grace_us;
    int64_t pressed_us = from_us + bytes * SECOND_US / PRESSED_RATE_BYTES;
    conns_set_deadline(&req->server->conns, req->conn,
                       from_us + bytes * SECOND_US / o->body_min_rate_bytes,
                       body ? pressed_us : NEVER_US);
}

/* --- answering --- */

/* Whether the body is a stream whose length is told beforehand. */
static bool is_measured(const struct reply *r)
{
    return r->take && r->whole && r->bytes >= 0;
}

static void add_field(struct buf *out, const char *name, const char *value)
{
    buf_add_text(out, name);
    buf_add(out, ": ", 2);
    buf_add_text(out, value);
    buf_add(out, "\r\n", 2);
}

static void add_connection(const struct request *req, struct buf *out)
{
    if (req->conn->closes)
        buf_add_str(out, STR("Connection: close\r\n"));
    else if (!req->head.http_1_1)
        buf_add_str(out, STR("Connection: Keep-Alive\r\n"));
}

/* How long the body is, or how its end is told. */
static void add_length(const struct request *req, struct buf *out)
{
    const struct reply *r = &req->reply;
    bool told = !r->take || is_measured(r);
    if (r->bare)
        return;
    if (!told && req->head.http_1_1)
        buf_add_str(out, STR("Transfer-Encoding: chunked\r\n"));
    if (!told || r->status == 204)
        return;
    buf_add_str(out, STR("Content-Length: "));
    buf_add_i64(out, (int64_t)reply_bytes(r));
    buf_add(out, "\r\n", 2);
}

static void write_head(struct request *req)
{
    const struct reply *r = &req->reply;
    struct buf *out = &req->answer_head;
    out->len = 0;
    buf_add_str(out, STR("HTTP/1.1 "));
    buf_add_i64(out, r->status);
    buf_add_char(out, ' ');
    buf_add_text(out, http_status_phrase(r->status));
    buf_add_str(out, STR("\r\nDate: "));
    buf_add_text(out, loop_date(req->conn->loop, req->at.wall_us));
    buf_add(out, "\r\n", 2);
    if (r->status != 204)
        add_field(out, "Content-Type", r->content_type);
    for (size_t i = 0; i < r->header_count; i++)
        add_field(out, r->headers[i].name, r->headers[i].value);
    add_connection(req, out);
    add_length(req, out);
    buf_add(out, "\r\n", 2);
}

/* Whether the op's answer gives somebody work. */
static bool hands_out(const struct op *op)
{
    return op->kind == OP_CLAIM || op->kind == OP_TASK_CLAIM;
}

/* The connection sends a stream, piece by piece. */
static void start_sending(struct request *req)
{
    struct conn *c = req->conn;
    c->stage = CONN_STREAMING;
    waker_free(waker_new(req)); /* the request's own hold stays */
    if (req->reply.whole) {
        expect_bytes(req, 0, false); /* each piece has its own time */
        return;
    }
    const struct reply *r = &req->reply;
    if (r->ping)
        waker_set_ping(req->waker, r->ping_every_us);
    expect_within(req, r->ping ? r->ping_every_us : req->server->options.header_timeout_us);
    conns_set_waker(&req->server->conns, c, req->waker);
}

static bool send_reply(struct request *req)
{
    struct reply *r = &req->reply;
    struct conn *c = req->conn;
    const struct request_head *h = &req->head;
    /* Nobody would take the claim: the end of the request gives it back. */
    if (r->cut || (req->op_used && hands_out(&req->op) && atomic_load(&c->gone)))
        return false;
    bool ends_it = r->take && !is_measured(r);
    c->closes = r->close || h->closes || (!h->http_1_1 && (!h->keeps || ends_it)) ||
                atomic_load(&req->server->stopping);
    write_head(req);
    if (req->answer_head.full)
        return false;
    bool has_body = !r->take && r->status != 204 && strcmp(req->method, "HEAD") != 0;
    conn_answer(c, buf_str(&req->answer_head), r->parts, has_body ? r->part_count : 0);
    c->stage = CONN_SENDING;
    if (r->take && strcmp(req->method, "HEAD") != 0)
        start_sending(req);
    else
        expect_bytes(req, (int64_t)reply_bytes(r), false);
    return true;
}

static void engine_has_answered(struct op *op)
{
    struct request *req = op->context;
    conn_wake(req->conn, WAKE_ANSWER);
}

/* Where an op about tasks or flows that waits wants to be told that nobody waits for it; NULL: it
 * does not wait. */
static atomic_bool *given_up_of(struct op *op)
{
    switch (op->kind) {
    case OP_TASK_CLAIM:
        return op->task_claim.wait_until_us > 0 ? &op->task_claim.given_up : NULL;
    case OP_TASK_EXTEND:
        return op->task_extend.wait_until_us > 0 ? &op->task_extend.given_up : NULL;
    case OP_TASK_SHOW:
        return op->task_show.wait_until_us > 0 ? &op->task_show.given_up : NULL;
    case OP_FLOW_SHOW:
        return op->flow_show.wait_until_us > 0 ? &op->flow_show.given_up : NULL;
    case OP_FLOW_LOCK:
        return op->flow_lock.wait_until_us > 0 ? &op->flow_lock.given_up : NULL;
    case OP_STEP_JOB_SHOW:
        return op->step_job_show.wait_until_us > 0 ? &op->step_job_show.given_up : NULL;
    default:
        return NULL;
    }
}

static bool ask_engine(struct request *req)
{
    struct loop *l = req->conn->loop;
    req->asked_again = false;
    req->conn->stage = CONN_ASKED;
    req->op.done = engine_has_answered;
    req->op.context = req;
    expect_nothing(req);
    if (req->work) {
        helper_take(req->server->helper, req, &req->op, TAKE(req->work));
        return true;
    }
    if (req->op.kind == OP_CLAIM)
        req->op.claim.given_up = &req->conn->gone;
    atomic_bool *tells = given_up_of(&req->op);
    if (tells)
        atomic_store(tells, atomic_load(&req->conn->gone));
    loop_ask(l, &req->op);
    if (req->body_len > ASKED_AT_ONCE_BYTES)
        loop_ask_now(l);
    return true;
}

void exchange_left(struct request *req)
{
    atomic_bool *tells = given_up_of(&req->op);
    if (tells)
        atomic_store(tells, true);
    /* What waits is to be given up. */
    if (req->op.kind == OP_CLAIM || tells)
        intake_wake(req->server->options.intake);
}

/* Runs the handler, or the finish of what was asked. */
static bool run(struct request *req, route_finish *finish)
{
    struct err err = {0};
    route_handler *handle = req->whole ? req->whole : req->match.route->handle;
    bool ok = finish ? finish(req, &req->op, &req->reply, &err) : handle(req, &req->reply, &err);
    if (ok && req->asked_again)
        return ask_engine(req);
    if (!ok)
        request_fail(req, finish ? &req->op : NULL, &err, 0);
    return send_reply(req);
}

bool exchange_answered(struct request *req)
{
    struct op *op = &req->op;
    if (op->kind == OP_KEYS && op->err.code == ERR_NONE)
        auth_set_keys(req->server->auth, op->keys.keys, op->keys.count);
    if (op->err.code != ERR_NONE && !req->sees_failures) {
        request_fail(req, op, &op->err, 0);
        return send_reply(req);
    }
    return run(req, req->finish);
}

/* --- reading --- */

static int64_t body_limit(const struct request *req)
{
    int64_t limit = req->server->options.max_body_bytes;
    const struct route *route = req->match.route;
    if (route->body == BODY_NONE)
        return DRAIN_MAX_BYTES;
    if (route->body == BODY_STREAMED)
        limit = req->server->options.max_blob_bytes;
    return route->max_body_bytes > 0 && route->max_body_bytes < limit ? route->max_body_bytes
                                                                      : limit;
}

static void refuse_large(struct request *req, int64_t limit)
{
    struct err err = {0};
    err_set(&err, ERR_LIMIT, "the body is larger than %lld bytes", (long long)limit);
    request_fail(req, NULL, &err, 413);
    reply_close(&req->reply);
    req->refused = true;
}

/* Ends the connection with the refusal that was made; the client may still be sending. */
static bool send_away(struct request *req)
{
    req->conn->sent_away = true;
    reply_close(&req->reply);
    return send_reply(req);
}

/* Who is to take the body as it comes? */
static void start_stream(struct request *req)
{
    struct err err = {0};
    expect_bytes(req, STREAM_STEP_BYTES, false);
    if (req->match.route->handle(req, &req->reply, &err))
        return;
    request_fail(req, NULL, &err, 0);
    req->refused = true;
}

static void start_body(struct request *req)
{
    int64_t length = req->head.length;
    req->conn->stage = CONN_BODY;
    req->left_bytes = length;
    if (!req->refused && req->match.route->body == BODY_STREAMED) {
        start_stream(req);
        return;
    }
    if (length != 0)
        expect_bytes(req, length < 0 ? body_limit(req) : length, true);
    if (req->refused || req->match.route->body == BODY_NONE || length == 0)
        return;
    int64_t limit = body_limit(req), start = limit < CHUNKED_START ? limit : CHUNKED_START;
    req->body_cap = (size_t)(length < 0 ? start : length);
    req->body = malloc(req->body_cap + 1);
    if (!req->body) {
        struct err err = {0};
        err_set(&err, ERR_BUSY, "memory is used up");
        request_fail(req, NULL, &err, 0);
        req->refused = true;
    }
}

bool exchange_begin(struct conn *c, const char *text, size_t len)
{
    struct request *req = request_new(c, text, len);
    const struct request_head *h = &req->head;
    int64_t length = h->length;
    atomic_fetch_add(&req->server->active, 1);
    if (request_begin(req) && length > body_limit(req))
        refuse_large(req, body_limit(req));
    if (req->refused && (h->unclear || length < 0 || length > DRAIN_MAX_BYTES))
        return send_away(req);
    start_body(req);
    return true;
}

/* Only a body of unknown length grows. */
static bool grow_body(struct request *req, size_t more)
{
    size_t limit = (size_t)body_limit(req), need = req->body_len + more;
    if (need > limit) {
        refuse_large(req, (int64_t)limit);
        return false;
    }
    size_t cap = req->body_cap;
    while (cap < need)
        cap *= 2;
    char *grown = realloc(req->body, (cap < limit ? cap : limit) + 1);
    if (!grown)
        return false;
    req->body = grown;
    req->body_cap = cap < limit ? cap : limit;
    return true;
}

bool exchange_came(struct request *req, size_t count)
{
    req->body_len += count;
    if (!bodies_take(&req->server->bodies, req, (int64_t)count)) {
        req->conn->stage = CONN_ROOM;
        expect_nothing(req);
    }
    return true;
}

/* A piece of a body that is streamed. */
static void take_piece(struct request *req, struct str piece)
{
    struct err err = {0};
    req->body_len += piece.len;
    if ((int64_t)req->body_len > body_limit(req)) {
        refuse_large(req, body_limit(req));
        return;
    }
    if (req->body_len - req->expected_from >= STREAM_STEP_BYTES) {
        req->expected_from = req->body_len;
        expect_bytes(req, STREAM_STEP_BYTES, false);
    }
    if (req->take(req, piece, &err))
        return;
    request_fail(req, NULL, &err, 0);
    req->refused = true;
}

/* How much is read in all of a body that is refused, so that the client gets to see why. */
static size_t drain_limit(const struct request *req)
{
    size_t most = (size_t)req->server->options.max_body_bytes;
    bool streamed = req->match.route && req->match.route->body == BODY_STREAMED;
    return streamed ? (size_t)body_limit(req) + most : most;
}

bool exchange_bytes(struct request *req, const char *bytes, size_t count)
{
    if (req->take && !req->refused) {
        take_piece(req, (struct str){bytes, count});
        return true;
    }
    if (req->refused || !req->body) {
        /* Read to its end, that the client gets to see the answer; but not for ever. */
        req->body_len += count;
        return req->body_len <= drain_limit(req);
    }
    if (req->body_len + count > req->body_cap && !grow_body(req, count))
        return req->refused;
    memcpy(req->body + req->body_len, bytes, count);
    return exchange_came(req, count);
}

void exchange_sent_piece(struct request *req, size_t bytes)
{
    if (req->reply.whole)
        expect_bytes(req, (int64_t)bytes, false);
}

void exchange_has_room(struct request *req)
{
    req->conn->stage = CONN_BODY;
    expect_bytes(req, (int64_t)(req->body_cap - req->body_len), true);
}

bool exchange_broken(struct request *req, const char *why)
{
    if (!req->refused) {
        struct err err = {0};
        err_set(&err, ERR_INVALID, "%s", why);
        request_fail(req, NULL, &err, 0);
    }
    return send_away(req);
}

bool exchange_whole(struct request *req)
{
    bodies_read(&req->server->bodies, req);
    if (req->refused)
        return send_reply(req);
    if (!req->body)
        req->body_len = 0;
    else
        req->body[req->body_len] = '\0';
    return run(req, NULL);
}

/* --- the end --- */

static void log_request(const struct request *req, bool sent)
{
    struct log_line *line = log_begin(LOG_DEBUG, "http.request");
    log_value(line, "method", "%s", req->method);
    log_value(line, "path", "%.*s", (int)req->path.len, req->path.ptr);
    log_value(line, "status", "%d", sent ? req->reply.status : 0);
    log_value(line, "bytes", "%zu", reply_bytes(&req->reply));
    log_value(line, "us", "%lld", (long long)(clock_now().mono_us - req->at.mono_us));
    log_end(line);
}

void exchange_end(struct request *req, bool sent)
{
    struct conn *c = req->conn;
    struct server *s = req->server;
    if (!sent)
        request_release_claim(req);
    if (s->options.access_log)
        log_request(req, sent);
    if (req->waker)
        conns_set_waker(&s->conns, c, NULL);
    expect_within(req, s->options.idle_timeout_us);
    request_free(req);
    c->req = NULL;
    c->stage = CONN_HEAD;
    free(TAKE(c->out.own));
    if (atomic_fetch_sub(&s->active, 1) > 1 || !atomic_load(&s->stopping))
        return;
    pthread_mutex_lock(&s->active_lock);
    pthread_cond_signal(&s->none_active);
    pthread_mutex_unlock(&s->active_lock);
}
