#include "engine/step_runs.h"
#include "engine/step_token.h"
#include "http/server_own.h"

#include "base/log.h"
#include "base/parse.h"
#include "engine/engine.h"

#include <assert.h>
#include <stdlib.h>

/* What is kept for the next request: so many of a loop's. */
enum { SPARE_MAX = 64 };
/* A head's buffer that grew larger than this is not kept. */
enum { SPARE_HEAD_BYTES = 4 << 10 };

static struct request *take_spare(struct loop *l)
{
    struct request *req = l->spare;
    if (!req) {
        req = xcalloc(1, sizeof *req);
        buf_init(&req->answer_head, 256 << 10);
        return req;
    }
    l->spare = req->next_spare;
    l->spare_count--;
    memset(req, 0, offsetof(struct request, answer_head));
    return req;
}

static void keep_spare(struct loop *l, struct request *req)
{
    if (req->answer_head.cap > SPARE_HEAD_BYTES)
        buf_release(&req->answer_head);
    if (l->spare_count == SPARE_MAX) {
        buf_release(&req->answer_head);
        free(req);
        return;
    }
    req->next_spare = l->spare;
    l->spare = req;
    l->spare_count++;
}

void requests_release(struct loop *l)
{
    while (l->spare) {
        struct request *req = l->spare;
        l->spare = req->next_spare;
        buf_release(&req->answer_head);
        free(req);
    }
}

struct request *request_new(struct conn *c, const char *text, size_t len)
{
    struct request *req = take_spare(c->loop);
    c->req = req;
    req->conn = c;
    req->server = c->loop->server;
    req->at = clock_now();
    reply_init(&req->reply);
    if (len > 0) {
        req->text = len <= sizeof req->small ? req->small : xcalloc(1, len);
        memcpy(req->text, text, len);
        head_read(req->text, len, &req->head);
    } else {
        head_too_large(&req->head);
    }
    req->method = req->head.method;
    const char *uri = req->head.target, *mark = strchr(uri, '?');
    req->path = mark ? (struct str){uri, (size_t)(mark - uri)} : str_of(uri);
    if (req->path.len == 0)
        req->path = STR("/");
    if (mark)
        req->raw_query = str_of(mark + 1);
    return req;
}

void request_free(struct request *req)
{
    if (req->waker)
        waker_close(req->waker);
    if (req->reply.end)
        req->reply.end(req->reply.context);
    waker_free(req->waker);
    while (req->owned) {
        struct owned_thing *o = req->owned;
        req->owned = o->next;
        if (o->release)
            o->release(o->thing);
        free(o);
    }
    if (req->op_used)
        op_release(&req->op);
    if (req->query_read)
        query_release(&req->query);
    reply_reset(&req->reply);
    free(req->body);
    bodies_give(&req->server->bodies, req);
    if (req->text != req->small)
        free(req->text);
    keep_spare(req->conn->loop, req);
}

struct str request_method(const struct request *req)
{
    return str_of(req->method);
}

static struct query *query_of(struct request *req)
{
    if (!req->query_read)
        query_parse(req->raw_query, &req->query);
    req->query_read = true;
    return &req->query;
}

bool request_param(struct request *req, const char *name, struct str *value)
{
    const struct query_param *p = query_find(query_of(req), name);
    if (p)
        *value = p->value;
    return p != NULL;
}

size_t request_param_count(struct request *req)
{
    return query_of(req)->count;
}

void request_param_at(struct request *req, size_t i, struct str *name, struct str *value)
{
    const struct query *q = query_of(req);
    assert(i < q->count);
    *name = q->params[i].name;
    *value = q->params[i].value;
}

struct str request_path_param(const struct request *req, const char *name)
{
    size_t len = strlen(name), i = 0;
    for (const char *at = strchr(req->match.route->path, '{'); at; at = strchr(at, '{'), i++) {
        at++;
        if (strncmp(at, name, len) == 0 && at[len] == '}')
            return req->match.params[i];
    }
    abort(); /* the route has no such parameter: our mistake */
}

const char *request_header(const struct request *req, const char *name)
{
    return head_find(&req->head, name);
}

char *request_body(struct request *req, size_t *len)
{
    *len = req->body_len;
    return req->body;
}

bool request_take_body(struct request *req, request_taker *take, route_handler *whole)
{
    assert(req->match.route->body == BODY_STREAMED);
    req->take = take;
    req->whole = whole;
    return true;
}

void request_origin(const struct request *req, struct buf *out)
{
    const char *host = request_header(req, "Host"), *root = req->server->options.public_root;
    if (root && !req->conn->local) {
        buf_add_text(out, root);
        return;
    }
    bool tls = req->server->options.tls_cert_path && !req->conn->local;
    buf_add_text(out, tls ? "https://" : "http://");
    buf_add_text(out, host ? host : "localhost");
}

struct instant request_at(const struct request *req)
{
    return req->at;
}

enum scope request_scope(const struct request *req)
{
    return req->scope;
}

void request_step_asker(const struct request *req, struct step_asker *out)
{
    *out = (struct step_asker){.owner = str_of(req->who.owner),
                               .name = str_of(req->who.name),
                               .everyone = req->conn->local,
                               .job = req->step_job,
                               .fence = req->step_fence};
}

void request_list_asker(struct request *req, struct step_asker *out)
{
    request_step_asker(req, out);
    if (out->everyone)
        request_param(req, "owner", &out->owner);
}

void request_right(const struct request *req, enum scope needed, const struct str *token,
                   struct op_right *right)
{
    *right = (struct op_right){0};
    right->trusted = req->key_shown && req->scope >= needed;
    const char *header = token ? NULL : request_header(req, "Penstock-Token");
    struct str given = token ? *token : str_of(header);
    if (given.len > 0) {
        if (auth_key_scope(req->server->auth, given) >= needed)
            right->trusted = true;
        right->has_token = true;
        request_token_hash(req, given, right->token_hash);
    }
    right->strict = !right->trusted && req->scope < needed;
}

bool request_has_master(const struct request *req)
{
    return auth_has_master(req->server->auth);
}

void request_token_hash(const struct request *req, struct str token, uint8_t out[TOKEN_HASH_BYTES])
{
    engine_token_hash(req->server->options.engine, token, out);
}

struct op *request_op(struct request *req, enum op_kind kind)
{
    if (req->op_used)
        op_release(&req->op);
    op_init(&req->op, kind);
    req->op_used = true;
    req->holds_claim = false;
    return &req->op;
}

static bool ask(struct request *req, route_finish *finish, bool sees_failures)
{
    assert(req->op_used && !req->asked_again);
    req->finish = finish;
    req->sees_failures = sees_failures;
    req->asked_again = true;
    return true;
}

bool request_call(struct request *req, route_finish *finish)
{
    return ask(req, finish, false);
}

bool request_ask(struct request *req, route_finish *finish)
{
    return ask(req, finish, true);
}

bool request_hand_over(struct request *req, request_work *work, route_finish *finish)
{
    req->work = work;
    return ask(req, finish, false);
}

/* The tasks that an op hands out, NULL when it is about none. */
static const struct task_claim *claimed_tasks(const struct op *op)
{
    if (op->kind == OP_TASK_CLAIM)
        return &op->task_claim;
    return op->kind == OP_TASK_SETTLE ? &op->task_settle.claim : NULL;
}

void request_claims(struct request *req)
{
    const struct op *op = &req->op;
    assert(req->op_used);
    const struct task_claim *tasks = claimed_tasks(op);
    assert(tasks || op->kind == OP_CLAIM);
    req->holds_claim =
        tasks ? tasks->count > 0 || tasks->made : op->claim.count > 0 || op->claim.made;
}

/* A claim's records or tasks on their way back. */
struct giving_back {
    struct op op;
    struct buf records;
    char *name;
};

static void given_back(struct op *op)
{
    struct giving_back *g = op->context;
    if (op->err.code != ERR_NONE)
        LOG1(LOG_WARN, "http.claim_not_given_back", "error", "%s", op->err.text);
    op_release(&g->op);
    buf_release(&g->records);
    free(g->name);
    free(g);
}

/* Tasks need only be named by the answer that they were in. */
static void return_tasks(const struct op *op, struct giving_back *g)
{
    const struct task_claim *claim = claimed_tasks(op);
    assert(claim);
    op_init(&g->op, OP_TASK_RELEASE);
    bool within = op->kind == OP_TASK_SETTLE;
    memcpy(g->op.task_release.token, within ? op->task_settle.token : claim->token,
           LEASE_TOKEN_BYTES);
    g->op.task_release.answer = claim->answer;
    g->op.task_release.made = claim->made;
}

static void return_records(struct request *req, struct giving_back *g)
{
    op_init(&g->op, OP_RELEASE);
    g->name = xstrndup(req->op.job.name.ptr ? req->op.job.name.ptr : "", req->op.job.name.len);
    g->op.job = (struct job_ref){req->op.job.id, {g->name, req->op.job.name.len}};
    g->records = req->op.claim.records;
    buf_init(&req->op.claim.records, 0);
    g->op.lease.records = buf_str(&g->records);
    g->op.lease.has_lease = req->op.claim.has_lease;
    memcpy(g->op.lease.token, req->op.claim.token, LEASE_TOKEN_BYTES);
    g->op.lease.stays = req->op.claim.add && !req->op.claim.made;
    g->op.lease.answer = req->op.claim.answer;
}

void request_release_claim(struct request *req)
{
    if (!req->holds_claim)
        return;
    req->holds_claim = false;
    struct giving_back *g = xcalloc(1, sizeof *g);
    buf_init(&g->records, 0);
    if (req->op.kind == OP_CLAIM)
        return_records(req, g);
    else
        return_tasks(&req->op, g);
    g->op.done = given_back;
    g->op.context = g;
    g->op.right.trusted = true;
    intake_post(req->server->options.intake, &g->op);
}

static struct owned_thing *own(struct request *req, size_t bytes)
{
    struct owned_thing *o = calloc(1, sizeof *o + bytes);
    if (!o)
        return NULL;
    o->next = req->owned;
    req->owned = o;
    return o;
}

void *request_alloc(struct request *req, size_t bytes)
{
    struct owned_thing *o = own(req, bytes);
    return o ? o->memory : NULL;
}

char *request_strdup(struct request *req, struct str text)
{
    char *copy = request_alloc(req, text.len + 1);
    if (copy && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

void request_own(struct request *req, void *thing, void (*release)(void *thing))
{
    struct owned_thing *o = own(req, 0);
    if (!o) {
        release(thing);
        return;
    }
    o->thing = thing;
    o->release = release;
}

void request_set_state(struct request *req, void *state)
{
    req->state = state;
}

void *request_state(const struct request *req)
{
    return req->state;
}

struct intake *request_intake(const struct request *req)
{
    return req->server->options.intake;
}

struct engine *request_engine(const struct request *req)
{
    return req->server->options.engine;
}

void request_fail(struct request *req, const struct op *op, const struct err *err, int status)
{
    reply_reset(&req->reply);
    req->match.surface->fail(req, op, err, status, &req->reply);
    const char *resets = req->match.surface->resets;
    if (resets && str_is(req->path, resets) && status == 0 && err->code == ERR_BUSY)
        reply_abort(&req->reply);
}

/* --- what the headers decide --- */

static bool refuse(struct request *req, enum err_code code, int status, const char *text)
{
    struct err err = {0};
    err_set(&err, code, "%s", text);
    request_fail(req, NULL, &err, status);
    req->refused = true;
    return false;
}

/* Whether the request comes from one of our own pages, from a person or from a program. Browsers
 * tell no Origin with the GET of a link or a picture, but its site; where every GET only reads, who
 * is sent here by another page gets an answer that the page cannot see. */
static bool check_page(const struct request *req)
{
    const char *origin = request_header(req, "Origin"), *host = request_header(req, "Host");
    const char *site = request_header(req, "Sec-Fetch-Site");
    const char *root = req->server->options.public_root;
    if (origin && !auth_origin_is_own(origin, host) && !(root && strcasecmp(origin, root) == 0))
        return false;
    bool own = !site || strcasecmp(site, "same-origin") == 0 || strcasecmp(site, "none") == 0;
    return own || (strcmp(req->method, "GET") == 0 && !req->match.surface->get_changes);
}

/* A step token: it acts for the owner of its job, as long as its run goes on. */
static bool look_at_token(struct request *req, const char *text)
{
    struct step_token token;
    if (!step_token_read(req->server->options.engine, str_of(text), &token))
        return false;
    struct step_runs *runs = engine_step_runs(req->server->options.engine);
    req->scope = step_runs_has(runs, token.job, token.fence) ? SCOPE_WORK : SCOPE_NONE;
    req->step_job = token.job;
    req->step_fence = token.fence;
    memcpy(req->who.owner, token.owner, sizeof req->who.owner);
    return true;
}

/* What is shown, in whichever header, and what it allows. False: nothing is. */
static bool look_at_key(struct request *req)
{
    const char *authorization = request_header(req, "Authorization");
    const char *key = request_header(req, "x-api-key");
    const char *token = request_header(req, "x-access-token");
    if (!token)
        token = request_header(req, "Penstock-Step-Token");
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        key = authorization + 7;
    if (key)
        req->scope = auth_key_find(req->server->auth, str_trim(str_of(key)), &req->who);
    else if (token)
        (void)look_at_token(req, token);
    return authorization || key || token;
}

static bool check_asker(struct request *req)
{
    struct server *s = req->server;
    const char *host = request_header(req, "Host");
    if (req->conn->local) {
        req->scope = SCOPE_ADMIN;
        req->key_shown = true;
        return true;
    }
    if (req->head.http_1_1 && !host)
        return refuse(req, ERR_INVALID, 0, "the Host header is missing");
    const char *root = s->options.public_root;
    bool known = !host || auth_host_is_loopback(host) || (root && auth_origin_is_own(root, host));
    if (s->loopback && !known)
        return refuse(req, ERR_FORBIDDEN, 0, "this server answers to localhost only");
    if (!check_page(req))
        return refuse(req, ERR_FORBIDDEN, 0, "a page of another site may not call this server");
    bool shown = look_at_key(req);
    req->key_shown = req->scope != SCOPE_NONE;
    /* Where nobody is asked for a key, a key may still say whose things are meant. */
    if (s->options.auth == AUTH_NONE && !req->who.owner[0] && !req->step_job)
        req->scope = SCOPE_ADMIN;
    else if (shown && !req->key_shown)
        return refuse(req, ERR_UNAUTHORIZED, 0,
                      req->step_job ? "this token's run is over"
                                    : "this key is unknown or revoked");
    return true;
}

static bool redirect(struct request *req)
{
    OWNED_BUF struct buf where;
    buf_init(&where, 128 << 10);
    struct str path = req->path;
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    request_origin(req, &where);
    buf_add_str(&where, path);
    if (req->raw_query.len > 0) {
        buf_add_char(&where, '?');
        buf_add_str(&where, req->raw_query);
    }
    OWNED_MEM char *text = buf_take(&where);
    reply_status(&req->reply, 307);
    reply_header(&req->reply, "Location", text);
    req->refused = true;
    return false;
}

/* The house's things are not for keys of others. A run takes no work: what it claimed would have
 * tokens of its own, which outlive it. */
static bool is_open_to_owner(const struct request *req)
{
    const struct route_match *m = &req->match;
    const char *const *at = m->surface->owned;
    if (!req->who.owner[0] && !req->step_job)
        return true;
    if (req->step_job && strncmp(m->route->path, "/v1/work/", strlen("/v1/work/")) == 0)
        return false;
    for (; at && *at; at++)
        if (strncmp(m->route->path, *at, strlen(*at)) == 0)
            return true;
    return false;
}

static bool check_route(struct request *req)
{
    struct route_match *m = &req->match;
    if (m->redirects && !m->path_known)
        return redirect(req);
    if (!m->route && m->path_known) {
        OWNED_BUF struct buf allowed;
        buf_init(&allowed, 256);
        route_allowed(m->surface, req->path, &allowed);
        refuse(req, ERR_INVALID, 405, "this path does not take this method");
        reply_header(&req->reply, "Allow", allowed.full ? "" : allowed.data);
        return false;
    }
    if (!m->route)
        return refuse(req, ERR_NOT_FOUND, 404, "there is no such path");
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && m->params[i].len > 0; i++) {
        char *decoded = request_alloc(req, m->params[i].len + 1);
        size_t len = 0;
        if (!decoded || !query_decode_segment(m->params[i], decoded, &len))
            return refuse(req, ERR_NOT_FOUND, 404, "a part of this path is no text");
        m->params[i] = (struct str){decoded, len};
    }
    if (!is_open_to_owner(req))
        return refuse(req, ERR_FORBIDDEN, 0,
                      req->step_job ? "a step token does not open this path"
                                    : "a key with an owner does not open this path");
    if (m->route->scope > req->scope)
        return req->key_shown ? refuse(req, ERR_FORBIDDEN, 0, "this key does not allow that")
                              : refuse(req, ERR_UNAUTHORIZED, 0,
                                       "a key is needed: Authorization: Bearer pk_..., "
                                       "or x-api-key: pk_...");
    return true;
}

bool request_begin(struct request *req)
{
    struct server *s = req->server;
    route_find(s->options.surfaces, s->options.surface_count, req->method, req->path, &req->match);
    if (req->head.unclear)
        return refuse(req, ERR_INVALID, req->head.status, req->head.unclear);
    if (atomic_load(&s->stopping))
        return refuse(req, ERR_BUSY, 0, "the server is stopping");
    return check_asker(req) && check_route(req);
}
