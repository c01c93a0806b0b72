/* node_session.c: see node_session.h.
 *
 * A settlement claims as many nodes as it frees places; a claim that waits holds the places that
 * were free before. So a node that is made ready by the end of the one before it costs one round
 * trip, and never are more asked for than may run. In a server of our own a claim that waits is
 * answered before a settlement is, while the disk syncs: there it is to get what comes. */
#include "run/node_session.h"

#include "base/clock.h"
#include "base/json.h"
#include "run/node_task.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define AGAIN_FIRST_US (SECOND_US / 20)
#define AGAIN_MOST_US (5 * SECOND_US)
#define PATIENCE_US (60 * SECOND_US)
#define RELEASE_US (2 * SECOND_US)
/* When the server has said what is to be stopped, it is left alone for so long. */
#define ABORTING_US SECOND_US
enum {
    OWN_LEASE_S = 86400,
    OWN_WAIT_S = 3600,
    LEASE_S = 30,
    WAIT_S = 10,
    CLAIM_MOST = 1000,
    BODY_MAX_BYTES = 32 << 20
};

/* The members of a settlement's body, each the inside of a JSON array. */
struct gathered {
    struct buf completed, failures, aborted;
    size_t count;
};

struct request {
    struct call *call;
    struct buf body;
    int64_t again_us; /* to be sent (again) then; NEVER_US: nothing is to be sent */
};

struct node_session {
    struct client *client;
    char *asks, *worker, *lease;
    bool own, stopped, must_tell;
    size_t free, claim_max; /* places; those that the waiting claim holds */
    size_t settle_claims;   /* and those of the settlement on its way */
    struct gathered next;   /* to be sent */
    struct gathered sent;   /* on its way; sent again as it is */
    struct request claim, settle, extend;
    struct buf answer;
    int64_t again_wait_us, away_us;
};

static void gathered_init(struct gathered *g)
{
    buf_init(&g->completed, BUF_NO_CAP);
    buf_init(&g->failures, BUF_NO_CAP);
    buf_init(&g->aborted, BUF_NO_CAP);
    g->count = 0;
}

static void gathered_release(struct gathered *g)
{
    buf_release(&g->completed);
    buf_release(&g->failures);
    buf_release(&g->aborted);
}

static void gathered_clear(struct gathered *g)
{
    g->completed.len = g->failures.len = g->aborted.len = 0;
    g->count = 0;
}

static struct call *new_call(struct client *client, bool own)
{
    struct call *call = call_new(client);
    if (own)
        call_wait_long(call);
    return call;
}

static void request_init(struct request *r, struct client *client, bool own)
{
    r->call = new_call(client, own);
    buf_init(&r->body, BODY_MAX_BYTES);
    r->again_us = NEVER_US;
}

static void request_release(struct request *r)
{
    call_free(r->call);
    buf_release(&r->body);
}

struct node_session *node_session_new(struct client *client, const char *queue, const char *worker,
                                      bool own)
{
    struct node_session *s = xcalloc(1, sizeof *s);
    OWNED_BUF struct buf asks;
    struct json_out o;
    buf_init(&asks, BODY_MAX_BYTES);
    json_out_init(&o, &asks);
    json_out_text(&o, queue);
    s->asks = queue ? xasprintf("[%.*s]", (int)asks.len, asks.data) : xstrdup("null");
    s->worker = xstrdup(worker);
    s->client = client;
    s->own = own;
    gathered_init(&s->next);
    gathered_init(&s->sent);
    request_init(&s->claim, client, own);
    request_init(&s->settle, client, own);
    request_init(&s->extend, client, own);
    s->claim.again_us = 0;
    buf_init(&s->answer, BODY_MAX_BYTES);
    s->again_wait_us = AGAIN_FIRST_US;
    return s;
}

void node_session_free(struct node_session *s)
{
    if (!s)
        return;
    request_release(&s->claim);
    request_release(&s->settle);
    request_release(&s->extend);
    gathered_release(&s->next);
    gathered_release(&s->sent);
    buf_release(&s->answer);
    free(s->asks);
    free(s->worker);
    free(s->lease);
    free(s);
}

/* ---- outcomes ---- */

/* A list begins anew, behind a comma when it has elements. */
static struct json_out list_go_on(struct buf *list)
{
    struct json_out o;
    json_out_init(&o, list);
    o.comma = list->len > 0;
    return o;
}

void node_session_complete(struct node_session *s, int64_t task)
{
    struct json_out o = list_go_on(&s->next.completed);
    json_out_open(&o, '[');
    json_out_i64(&o, task);
    json_out_raw(&o, STR("{\"code\":0}"));
    json_out_close(&o, ']');
    s->next.count++;
}

static void add_text(struct json_out *o, const char *name, struct str text)
{
    if (!text.len)
        return;
    json_out_name(o, name);
    json_out_str(o, text);
}

void node_session_fail(struct node_session *s, int64_t task, const struct node_failure *why)
{
    struct json_out o = list_go_on(&s->next.failures);
    json_out_open(&o, '[');
    json_out_i64(&o, task);
    json_out_open(&o, '{');
    add_text(&o, "message", why->message.len ? why->message : STR("failed"));
    add_text(&o, "type", why->type);
    add_text(&o, "traceback", why->traceback);
    json_out_name(&o, "code");
    json_out_i64(&o, why->code);
    if (why->final) {
        json_out_name(&o, "final");
        json_out_bool(&o, true);
    }
    json_out_close(&o, '}');
    json_out_close(&o, ']');
    s->next.count++;
}

void node_session_abort(struct node_session *s, int64_t task)
{
    struct json_out o = list_go_on(&s->next.aborted);
    json_out_i64(&o, task);
    s->next.count++;
}

bool node_session_unsettled(const struct node_session *s)
{
    return s->next.count > 0 || s->sent.count > 0;
}

void node_session_set_free(struct node_session *s, size_t places)
{
    s->free = places;
}

/* ---- failures of requests ---- */

static void give_up(struct request *r, const struct node_session *s)
{
    r->again_us = NEVER_US;
    if (!call_pending(r->call))
        return;
    call_free(r->call);
    r->call = new_call(s->client, s->own);
}

static void lose(struct node_session *s, const struct node_news *news)
{
    give_up(&s->claim, s);
    give_up(&s->settle, s);
    give_up(&s->extend, s);
    gathered_clear(&s->next);
    gathered_clear(&s->sent);
    s->claim_max = s->settle_claims = 0;
    s->claim.again_us = 0;
    s->must_tell = false;
    free(TAKE(s->lease));
    news->lost(news->context);
}

static void came_through(struct node_session *s)
{
    s->away_us = 0;
    s->again_wait_us = AGAIN_FIRST_US;
}

/* After a request that failed: true when it is to be sent again. */
static bool may_try_again(struct node_session *s, struct request *r, const struct node_news *news,
                          int64_t now_us, struct err *err)
{
    if (err->code != ERR_BUSY && err->code != ERR_NO_SPACE)
        return false;
    if (!s->away_us) {
        s->away_us = now_us;
        news->trouble(news->context, err->text);
    }
    /* A disk may be full for long; a server that is away may not. */
    if (err->code == ERR_BUSY && now_us - s->away_us > PATIENCE_US)
        return false;
    r->again_us = now_us + s->again_wait_us;
    s->again_wait_us *= 2;
    if (s->again_wait_us > AGAIN_MOST_US)
        s->again_wait_us = AGAIN_MOST_US;
    return true;
}

static bool may_settle(const struct node_session *s)
{
    return !call_pending(s->settle.call) && s->settle.again_us == NEVER_US && s->next.count > 0;
}

/* ---- answers ---- */

static void take_lease(struct node_session *s, struct str answer)
{
    struct str lease, token;
    if (!json_find(answer, "lease", &lease) || !json_find(lease, "token", &token))
        return;
    char *text = json_take_text(token);
    if (text) {
        free(s->lease);
        s->lease = text;
    }
}

static void take_tasks(struct node_session *s, struct str answer, const struct node_news *news)
{
    struct json j;
    struct str list, raw;
    if (!json_find(answer, "tasks", &list))
        return;
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &raw)) {
            s->free -= s->free > 0;
            news->task(news->context, raw);
        }
}

/* Whether anything is to be stopped. */
static bool take_aborts(struct str answer, const struct node_news *news)
{
    struct json j, pair;
    struct str list, raw, id, why;
    int64_t task = 0;
    bool any = false;
    if (!json_find(answer, "aborts", &list))
        return false;
    json_open(&j, list);
    if (!json_enter(&j, '['))
        return false;
    while (json_item(&j) && json_value(&j, &raw)) {
        json_open(&pair, raw);
        if (json_enter(&pair, '[') && json_item(&pair) && json_value(&pair, &id) &&
            json_i64(id, 1, INT64_MAX, &task) && json_item(&pair) && json_value(&pair, &why)) {
            news->abort(news->context, task, json_name_is(why, "timeout"));
            any = true;
        }
    }
    return any;
}

static bool step_claim(struct node_session *s, const struct node_news *news, int64_t now_us,
                       struct err *err)
{
    long status = 0;
    if (!call_ended(s->claim.call))
        return true;
    s->claim_max = 0;
    if (call_end(s->claim.call, &status, &s->answer, err)) {
        came_through(s);
        s->claim.again_us = 0;
        s->must_tell = false;
        take_lease(s, buf_str(&s->answer));
        take_tasks(s, buf_str(&s->answer), news);
        take_aborts(buf_str(&s->answer), news);
        if (s->extend.again_us == NEVER_US && !call_pending(s->extend.call))
            s->extend.again_us = now_us;
        return true;
    }
    if (err->code == ERR_CONFLICT && s->lease) {
        lose(s, news);
        return true;
    }
    /* It may have been answered, with nodes that we know nothing of. */
    s->must_tell |= s->lease != NULL;
    return may_try_again(s, &s->claim, news, now_us, err) || err_add(err, "claim nodes");
}

static bool step_settle(struct node_session *s, const struct node_news *news, int64_t now_us,
                        struct err *err)
{
    long status = 0;
    if (!call_ended(s->settle.call))
        return true;
    bool claimed = s->settle_claims > 0;
    s->settle_claims = 0;
    if (call_end(s->settle.call, &status, &s->answer, err)) {
        struct str stale = {NULL, 0};
        came_through(s);
        (void)json_find(buf_str(&s->answer), "stale", &stale);
        news->settled(news->context, s->sent.count, stale);
        gathered_clear(&s->sent);
        take_tasks(s, buf_str(&s->answer), news);
        take_aborts(buf_str(&s->answer), news);
        return true;
    }
    if (err->code == ERR_CONFLICT) {
        lose(s, news);
        return true;
    }
    s->must_tell |= claimed;
    return may_try_again(s, &s->settle, news, now_us, err) || err_add(err, "report nodes");
}

static bool step_extend(struct node_session *s, const struct node_news *news, int64_t now_us,
                        struct err *err)
{
    long status = 0;
    if (!call_ended(s->extend.call))
        return true;
    if (call_end(s->extend.call, &status, &s->answer, err)) {
        came_through(s);
        s->extend.again_us = now_us;
        /* It would be told again at once, until it is settled. */
        if (take_aborts(buf_str(&s->answer), news))
            s->extend.again_us = now_us + ABORTING_US;
        return true;
    }
    if (err->code == ERR_CONFLICT) {
        lose(s, news);
        return true;
    }
    return may_try_again(s, &s->extend, news, now_us, err) || err_add(err, "keep the lease");
}

/* ---- requests ---- */

static void open_body(struct node_session *s, struct request *r, struct json_out *o)
{
    r->body.len = 0;
    json_out_init(o, &r->body);
    json_out_open(o, '{');
    if (s->lease) {
        json_out_name(o, "lease");
        json_out_text(o, s->lease);
    }
}

static void add_i64(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void write_filter(const struct node_session *s, struct json_out *o)
{
    json_out_name(o, "queues");
    json_out_raw(o, str_of(s->asks));
    json_out_name(o, "functions");
    json_out_raw(o, STR("[\"" NODE_FUNCTION "\"]"));
}

static void hold(void *to, int64_t task)
{
    json_out_i64(to, task);
}

static bool send_claim(struct node_session *s, const struct node_news *news, struct err *err)
{
    struct json_out o;
    open_body(s, &s->claim, &o);
    s->claim_max = s->free < CLAIM_MOST ? s->free : CLAIM_MOST;
    add_i64(&o, "max", (int64_t)s->claim_max);
    add_i64(&o, "wait_s", s->own ? OWN_WAIT_S : WAIT_S);
    add_i64(&o, "lease_s", s->own ? OWN_LEASE_S : LEASE_S);
    json_out_name(&o, "worker");
    json_out_text(&o, s->worker);
    write_filter(s, &o);
    if (s->own) {
        json_out_name(&o, "early");
        json_out_bool(&o, true);
    }
    if (s->lease && s->must_tell) {
        json_out_name(&o, "holds");
        json_out_open(&o, '[');
        news->holds(news->context, hold, &o);
        json_out_close(&o, ']');
    }
    json_out_close(&o, '}');
    s->claim.again_us = NEVER_US;
    return call_begin(s->claim.call, "POST", "/v1/work/claim", buf_str(&s->claim.body), err);
}

static void write_list(struct json_out *o, const char *name, const struct buf *list)
{
    if (!list->len)
        return;
    json_out_name(o, name);
    json_out_open(o, '[');
    json_out_raw(o, buf_str(list));
    json_out_close(o, ']');
}

/* The places that these nodes held, and no more: the others are the waiting claim's. */
static size_t places_for_settle(const struct node_session *s)
{
    if (s->stopped || s->must_tell || s->free <= s->claim_max)
        return 0;
    /* It is answered earlier than the settlement: by the time the end of one node is synced, the
     * next one runs. */
    if (s->own && s->claim_max > 0)
        return 0;
    size_t more = s->free - s->claim_max;
    return more < CLAIM_MOST ? more : CLAIM_MOST;
}

static bool send_settle(struct node_session *s, struct err *err)
{
    struct json_out o;
    if (s->sent.count == 0) {
        struct gathered empty = s->sent;
        s->sent = s->next;
        s->next = empty;
    }
    s->settle.again_us = NEVER_US;
    s->settle_claims = places_for_settle(s);
    open_body(s, &s->settle, &o);
    write_list(&o, "completed", &s->sent.completed);
    write_list(&o, "failures", &s->sent.failures);
    write_list(&o, "aborted", &s->sent.aborted);
    if (s->settle_claims > 0) {
        json_out_name(&o, "claim");
        json_out_open(&o, '{');
        add_i64(&o, "max", (int64_t)s->settle_claims);
        add_i64(&o, "wait_s", 0);
        write_filter(s, &o);
        json_out_close(&o, '}');
    }
    json_out_close(&o, '}');
    if (s->settle.body.full)
        return err_set(err, ERR_INTERNAL, "a settlement would be too long");
    return call_begin(s->settle.call, "POST", "/v1/work/settle", buf_str(&s->settle.body), err);
}

static bool send_extend(struct node_session *s, struct err *err)
{
    struct json_out o;
    open_body(s, &s->extend, &o);
    add_i64(&o, "wait_s", s->own ? OWN_WAIT_S : WAIT_S);
    json_out_close(&o, '}');
    s->extend.again_us = NEVER_US;
    return call_begin(s->extend.call, "POST", "/v1/work/extend", buf_str(&s->extend.body), err);
}

/* While outcomes are on their way, their settlement claims. */
static bool may_claim(const struct node_session *s, int64_t now_us)
{
    return !s->stopped && !call_pending(s->claim.call) && s->claim.again_us <= now_us &&
           s->free > 0 && !node_session_unsettled(s);
}

bool node_session_step(struct node_session *s, const struct node_news *news, int64_t now_us,
                       struct err *err)
{
    if (!step_settle(s, news, now_us, err) || !step_claim(s, news, now_us, err) ||
        !step_extend(s, news, now_us, err))
        return false;
    /* What was done under a lease that is gone is done again elsewhere. */
    if (!s->lease && s->next.count > 0)
        lose(s, news);
    if ((may_settle(s) || s->settle.again_us <= now_us) && !send_settle(s, err))
        return false;
    /* With all places taken or about to be taken by a settlement, nothing is claimed besides. */
    if (may_claim(s, now_us) && !send_claim(s, news, err))
        return false;
    return s->extend.again_us > now_us || !s->lease || call_pending(s->extend.call) ||
           send_extend(s, err);
}

int64_t node_session_next_us(const struct node_session *s)
{
    int64_t next_us = may_settle(s) ? 0 : s->settle.again_us;
    if (s->lease && s->extend.again_us < next_us)
        next_us = s->extend.again_us;
    bool claims = !s->stopped && !call_pending(s->claim.call) && s->free > 0;
    if (claims && s->claim.again_us > 0 && s->claim.again_us < next_us)
        next_us = s->claim.again_us;
    return next_us;
}

void node_session_stop_claiming(struct node_session *s)
{
    s->stopped = true;
    give_up(&s->claim, s);
    s->claim_max = 0;
}

void node_session_leave(struct node_session *s)
{
    struct err ignored;
    struct json_out o;
    int64_t until_us = clock_now().mono_us + RELEASE_US, now_us = 0;
    give_up(&s->claim, s);
    give_up(&s->settle, s);
    give_up(&s->extend, s);
    if (!s->lease)
        return;
    open_body(s, &s->extend, &o);
    json_out_close(&o, '}');
    free(TAKE(s->lease));
    if (!call_begin(s->extend.call, "POST", "/v1/work/release", buf_str(&s->extend.body), &ignored))
        return;
    while (!call_ended(s->extend.call) && (now_us = clock_now().mono_us) < until_us)
        if (!client_wait(s->client, NULL, 0, until_us - now_us, &ignored))
            return;
}
