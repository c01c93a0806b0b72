/* exchange.c: one request's way from its first line to the end of its answer, as libmicrohttpd
 * calls us. See enum stage. */
#include "http/framing.h"
#include "http/server_own.h"

#include "base/log.h"
#include "base/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The first allocation for a body whose length is not told. */
#define CHUNKED_START (64 << 10)
/* A body that is streamed must come on by so much in its time. */
#define STREAM_STEP_BYTES (1 << 20)
/* While bodies wait for memory, slower ones than this are cut off. */
#define PRESSED_RATE_BYTES (1 << 20)

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

void exchange_expect(struct request *req, int64_t bytes)
{
    expect_bytes(req, bytes, false);
}

/* --- answering --- */

/* Whether the client has closed its side: then nobody reads the answer. */
static bool client_has_gone(const struct request *req)
{
    char byte = 0;
    ssize_t got = recv(req->conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static struct MHD_Response *response_of(struct request *req)
{
    struct reply *r = &req->reply;
    if (r->take)
        return waker_response(req);
    /* The parts live in the request, which outlives the response. */
    if (r->part_count <= 1) {
        struct str body = r->part_count == 1 ? r->parts[0] : (struct str){0};
        return MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
                                               MHD_RESPMEM_PERSISTENT);
    }
    struct MHD_IoVec parts[REPLY_PARTS_MAX];
    unsigned count = 0;
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i].len > 0)
            parts[count++] = (struct MHD_IoVec){r->parts[i].ptr, r->parts[i].len};
    return MHD_create_response_from_iovec(parts, count, NULL, NULL);
}

/* Whether the op's answer gives somebody work. */
static bool hands_out(const struct op *op)
{
    return op->kind == OP_CLAIM || op->kind == OP_TASK_CLAIM;
}

static enum MHD_Result send_reply(struct request *req)
{
    struct reply *r = &req->reply;
    req->stage = STAGE_ANSWERED;
    bool nobody = req->op_used && hands_out(&req->op) && atomic_load(&req->conn->gone);
    if (r->cut || nobody || (req->holds_claim && client_has_gone(req)))
        return MHD_NO; /* the end of the request gives the claim back */
    struct MHD_Response *response = response_of(req);
    if (!response)
        return MHD_NO;
    bool ok = MHD_add_response_header(response, "Content-Type", r->content_type) == MHD_YES;
    for (size_t i = 0; ok && i < r->header_count; i++)
        ok = MHD_add_response_header(response, r->headers[i].name, r->headers[i].value) == MHD_YES;
    if (ok && (r->close || atomic_load(&req->server->stopping)))
        ok = MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    ok = ok && MHD_queue_response(req->connection, (unsigned)r->status, response) == MHD_YES;
    MHD_destroy_response(response);
    if (r->take && !r->whole) {
        expect_within(req, req->server->options.header_timeout_us);
        conns_set_waker(&req->server->conns, req->conn, req->waker);
    } else {
        /* Of what is streamed each portion has its own time. */
        expect_bytes(req, r->take ? 0 : (int64_t)reply_bytes(r), false);
    }
    return ok ? MHD_YES : MHD_NO;
}

static void engine_has_answered(struct op *op)
{
    struct request *req = op->context;
    MHD_resume_connection(req->connection);
}

/* Where an op about tasks that waits wants to be told that nobody waits for it; NULL: it does not
 * wait. */
static atomic_bool *given_up_of(struct op *op)
{
    switch (op->kind) {
    case OP_TASK_CLAIM:
        return op->task_claim.wait_until_us > 0 ? &op->task_claim.given_up : NULL;
    case OP_TASK_EXTEND:
        return op->task_extend.wait_until_us > 0 ? &op->task_extend.given_up : NULL;
    case OP_TASK_SHOW:
        return op->task_show.wait_until_us > 0 ? &op->task_show.given_up : NULL;
    default:
        return NULL;
    }
}

/* Whoever may wait long is watched meanwhile. */
static void watch_client(struct request *req)
{
    atomic_bool *tells = given_up_of(&req->op);
    req->watched = req->op.kind == OP_CLAIM || tells;
    if (req->op.kind == OP_CLAIM)
        req->op.claim.given_up = &req->conn->gone;
    if (req->watched)
        conns_watch(&req->server->conns, req->conn, tells);
}

static enum MHD_Result ask_engine(struct request *req)
{
    req->asked_again = false;
    req->stage = STAGE_ASKED;
    req->op.done = engine_has_answered;
    req->op.context = req;
    expect_nothing(req);
    watch_client(req);
    /* First to sleep, then the question: the answer may come before intake_post returns. */
    MHD_suspend_connection(req->connection);
    intake_post(req->server->options.intake, &req->op);
    return MHD_YES;
}

/* Runs the handler, or the finish of what was asked. */
static enum MHD_Result run(struct request *req, route_finish *finish)
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

static enum MHD_Result on_answer(struct request *req)
{
    struct op *op = &req->op;
    if (req->watched)
        conns_unwatch(&req->server->conns, req->conn);
    if (op->kind == OP_KEYS && op->err.code == ERR_NONE)
        auth_set_keys(req->server->auth, op->keys.keys, op->keys.count);
    if (op->err.code != ERR_NONE && !req->sees_failures) {
        request_fail(req, op, &op->err, 0);
        return send_reply(req);
    }
    return run(req, req->finish);
}

/* --- reading --- */

/* The length of the body: -1 when it is not told. */
static int64_t told_length(const struct request *req)
{
    struct err err = {0};
    int64_t length = 0;
    if (request_header(req, "Transfer-Encoding"))
        return -1;
    const char *text = request_header(req, "Content-Length");
    if (text && !parse_i64(str_of(text), 0, INT64_MAX / 4, &length, &err))
        return INT64_MAX / 4;
    return length;
}

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

/* Who is to take the body as it comes? */
static void start_stream(struct request *req)
{
    struct err err = {0};
    exchange_expect(req, STREAM_STEP_BYTES);
    if (req->match.route->handle(req, &req->reply, &err))
        return;
    request_fail(req, NULL, &err, 0);
    req->refused = true;
}

static void start_body(struct request *req, int64_t length)
{
    req->stage = STAGE_BODY;
    if (!req->refused && req->match.route->body == BODY_STREAMED) {
        start_stream(req);
        return;
    }
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

static enum MHD_Result on_headers(struct request *req)
{
    const char *unclear = framing_fault(req->connection);
    int64_t length = unclear ? -1 : told_length(req);
    if (request_begin(req, unclear) && length > body_limit(req))
        refuse_large(req, body_limit(req));
    if (req->refused && (length < 0 || length > DRAIN_MAX_BYTES)) {
        req->conn->sent_away = true;
        reply_close(&req->reply);
        return send_reply(req);
    }
    start_body(req, length);
    return MHD_YES;
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

/* A piece of a body that is streamed. */
static enum MHD_Result on_piece(struct request *req, struct str piece)
{
    struct err err = {0};
    req->body_len += piece.len;
    if ((int64_t)req->body_len > body_limit(req)) {
        refuse_large(req, body_limit(req));
        return MHD_YES;
    }
    if (req->body_len - req->expected_from >= STREAM_STEP_BYTES) {
        req->expected_from = req->body_len;
        exchange_expect(req, STREAM_STEP_BYTES);
    }
    if (!req->take(req, piece, &err)) {
        request_fail(req, NULL, &err, 0);
        req->refused = true;
    }
    return MHD_YES;
}

/* How much is read in all of a body that is refused, so that the client gets to see why. */
static size_t drain_limit(const struct request *req)
{
    size_t most = (size_t)req->server->options.max_body_bytes;
    bool streamed = req->match.route && req->match.route->body == BODY_STREAMED;
    return streamed ? (size_t)body_limit(req) + most : most;
}

static enum MHD_Result on_bytes(struct request *req, const char *bytes, size_t *len)
{
    size_t count = *len;
    if (req->take && !req->refused) {
        *len = 0;
        return on_piece(req, (struct str){bytes, count});
    }
    if (req->refused || !req->body) {
        /* Read to its end, that the client gets to see the answer; but not for ever. */
        *len = 0;
        req->body_len += count;
        return req->body_len <= drain_limit(req) ? MHD_YES : MHD_NO;
    }
    if (req->waited) {
        req->waited = false;
        expect_bytes(req, (int64_t)(req->body_cap - req->body_len), true);
    } else if (!bodies_take(&req->server->bodies, req, (int64_t)count)) {
        req->waited = true;
        expect_nothing(req);
        return MHD_YES; /* called again with the same bytes */
    }
    *len = 0;
    if (req->body_len + count > req->body_cap && !grow_body(req, count))
        return req->refused ? MHD_YES : MHD_NO;
    memcpy(req->body + req->body_len, bytes, count);
    req->body_len += count;
    return MHD_YES;
}

static enum MHD_Result on_whole(struct request *req)
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

/* --- libmicrohttpd's callbacks --- */

void *exchange_begin(void *server, const char *uri, struct MHD_Connection *connection)
{
    struct server *s = server;
    struct request *req = request_new(s, uri);
    req->connection = connection;
    req->conn =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    pthread_mutex_lock(&s->active_lock);
    s->active++;
    pthread_mutex_unlock(&s->active_lock);
    expect_within(req, s->options.header_timeout_us);
    return req;
}

enum MHD_Result exchange_step(void *server, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *len, void **context)
{
    struct request *req = *context;
    (void)server, (void)connection, (void)url;
    req->method = method;
    req->http_1_1 = strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
    switch (req->stage) {
    case STAGE_HEADERS:
        return on_headers(req);
    case STAGE_BODY:
        return *len > 0 ? on_bytes(req, bytes, len) : on_whole(req);
    case STAGE_ASKED:
        return on_answer(req);
    case STAGE_ANSWERED:
        break;
    }
    return MHD_NO;
}

static void log_request(const struct request *req, bool sent)
{
    struct log_line *line = log_begin(LOG_DEBUG, "http.request");
    log_value(line, "method", "%s", req->method ? req->method : "-");
    log_value(line, "path", "%.*s", (int)req->path.len, req->path.ptr);
    log_value(line, "status", "%d", sent ? req->reply.status : 0);
    log_value(line, "bytes", "%zu", reply_bytes(&req->reply));
    log_value(line, "us", "%lld", (long long)(clock_now().mono_us - req->at.mono_us));
    log_end(line);
}

void exchange_end(void *server, struct MHD_Connection *connection, void **context,
                  enum MHD_RequestTerminationCode code)
{
    struct server *s = server;
    struct request *req = *context;
    (void)connection;
    if (!req)
        return;
    *context = NULL;
    bool sent = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (!sent)
        request_release_claim(req);
    if (s->options.access_log)
        log_request(req, sent);
    if (req->waker)
        conns_set_waker(&s->conns, req->conn, NULL);
    expect_within(req, s->options.idle_timeout_us);
    request_free(req);
    pthread_mutex_lock(&s->active_lock);
    if (--s->active == 0 && atomic_load(&s->stopping))
        pthread_cond_signal(&s->none_active);
    pthread_mutex_unlock(&s->active_lock);
}
