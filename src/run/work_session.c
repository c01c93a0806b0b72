/* work_session.c: see work_session.h. */
#include "run/work_session.h"

#include "base/clock.h"
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* On their way at once: while some are written and synced others are read and checked, and
     * share the next commit. */
    SETTLES = 4,
    LEASE_S = 30,            /* how long the server waits for a sign of us */
    TOUCH_US = 10000000,     /* how long we give none at most */
    TASK_LEASE_S = 10,       /* with tasks: the server waits for a sign so long, */
    TASK_EXTEND_S = 3,       /* and an extend at the server that something is to be stopped */
    ABORTING_US = 1000000,   /* and so long we leave it alone when it has said so */
    AGAIN_FIRST_US = 50000,  /* waits before something is sent again: the first */
    AGAIN_MOST_US = 5000000, /* and the longest */
    PATIENCE_US = 60000000,  /* a server that is away so long is gone */
    RELEASE_US = 2000000,    /* how long the answer to a release is waited for */
    BODY_MAX_BYTES = 32 << 20
};

/* Outcomes on their way, or waiting for their turn. */
struct settle {
    struct settle *next;
    struct call *call; /* NULL: it waits for a place */
    struct outcomes outcomes;
    int64_t again_us; /* to be sent (again) then; NEVER_US: it is on its way, or there is nothing */
};

struct work_session {
    struct client *client;
    enum work_kind kind;
    char *claim_path, *settle_path, *extend_path, *release_path, *worker;
    char *asks;         /* of tasks: the claim's members "queues" and "functions" */
    char *lease;        /* NULL: none */
    int64_t touched_us; /* when the server last heard of us */

    struct call *claim, *extend;
    struct buf claim_body, extend_body, answer;
    struct buf aborts; /* [[id,"why"],...] */
    int64_t claim_again_us, extend_again_us;
    bool must_tell;

    struct settle settles[SETTLES];
    struct settle *waiting; /* halves of bodies that were too long */

    int64_t again_wait_us; /* the next wait */
    int64_t away_us;       /* since when the server gives no answer; 0: it does */
    struct err away;       /* why */
};

static char *path_of(const struct work_source *source, const char *verb)
{
    return source->job ? client_job_path(source->job, verb) : xasprintf("/v1/work%s", verb);
}

/* What each claim of tasks says besides. */
static char *asks_of(const struct work_source *source)
{
    struct str all = STR("null");
    struct str queues = source->queues.len ? source->queues : all;
    struct str functions = source->functions.len ? source->functions : all;
    return xasprintf("\"queues\":%.*s,\"functions\":%.*s", (int)queues.len, queues.ptr,
                     (int)functions.len, functions.ptr);
}

struct work_session *work_session_new(struct client *client, const struct work_source *source,
                                      const char *worker)
{
    struct work_session *s = xcalloc(1, sizeof *s);
    s->client = client;
    s->kind = source->job ? WORK_RECORDS : WORK_TASKS;
    s->claim_path = path_of(source, "/claim");
    s->settle_path = path_of(source, "/settle");
    s->extend_path = path_of(source, "/extend");
    s->release_path = path_of(source, "/release");
    s->asks = asks_of(source);
    s->worker = xstrdup(worker);
    s->claim = call_new(client);
    s->extend = call_new(client);
    buf_init(&s->claim_body, BODY_MAX_BYTES);
    buf_init(&s->extend_body, BODY_MAX_BYTES);
    buf_init(&s->answer, BODY_MAX_BYTES);
    buf_init(&s->aborts, BODY_MAX_BYTES);
    for (int i = 0; i < SETTLES; i++) {
        s->settles[i] = (struct settle){.call = call_new(client), .again_us = NEVER_US};
        outcomes_init(&s->settles[i].outcomes, s->kind);
    }
    s->again_wait_us = AGAIN_FIRST_US;
    return s;
}

static void drop_waiting(struct work_session *s)
{
    while (s->waiting) {
        struct settle *t = s->waiting;
        s->waiting = t->next;
        outcomes_release(&t->outcomes);
        free(t);
    }
}

void work_session_free(struct work_session *s)
{
    if (!s)
        return;
    call_free(s->claim);
    call_free(s->extend);
    for (int i = 0; i < SETTLES; i++) {
        call_free(s->settles[i].call);
        outcomes_release(&s->settles[i].outcomes);
    }
    drop_waiting(s);
    buf_release(&s->claim_body);
    buf_release(&s->extend_body);
    buf_release(&s->answer);
    buf_release(&s->aborts);
    free(s->claim_path);
    free(s->settle_path);
    free(s->extend_path);
    free(s->release_path);
    free(s->worker);
    free(s->asks);
    free(s->lease);
    free(s);
}

/* A request whose answer is of no interest any more. */
static void give_up(struct call **call, struct client *client)
{
    if (!call_pending(*call))
        return;
    call_free(*call);
    *call = call_new(client);
}

static void lose(struct work_session *s)
{
    give_up(&s->claim, s->client);
    give_up(&s->extend, s->client);
    for (int i = 0; i < SETTLES; i++) {
        give_up(&s->settles[i].call, s->client);
        s->settles[i].again_us = NEVER_US;
        outcomes_clear(&s->settles[i].outcomes);
    }
    drop_waiting(s);
    free(TAKE(s->lease));
    s->must_tell = false;
}

static void came_through(struct work_session *s, int64_t now_us)
{
    s->touched_us = now_us;
    s->away_us = 0;
    s->again_wait_us = AGAIN_FIRST_US;
}

const struct err *work_session_away(const struct work_session *s)
{
    return s->away_us ? &s->away : NULL;
}

/* After a request that failed with `err`: true when it is to be sent again, then at *again_us. */
static bool may_try_again(struct work_session *s, int64_t now_us, int64_t *again_us,
                          struct err *err)
{
    if (err->code != ERR_BUSY && err->code != ERR_NO_SPACE)
        return false;
    if (!s->away_us)
        s->away_us = now_us;
    s->away = *err;
    if (now_us - s->away_us > PATIENCE_US)
        return false;
    *again_us = now_us + s->again_wait_us;
    s->again_wait_us *= 2;
    if (s->again_wait_us > AGAIN_MOST_US)
        s->again_wait_us = AGAIN_MOST_US;
    return true;
}

static bool is_free(const struct settle *t)
{
    return !call_pending(t->call) && t->again_us == NEVER_US;
}

static bool send_settle(struct work_session *s, struct settle *t, struct err *err)
{
    struct str body;
    t->again_us = NEVER_US;
    return outcomes_body(&t->outcomes, s->lease, &body, err) &&
           call_begin(t->call, "POST", s->settle_path, body, err);
}

/* The server takes no body of that length, or does not take what a task asks for: it gets two, or
 * is told that there is no result. */
static void divide(struct work_session *s, struct settle *t, const struct err *why)
{
    if (t->outcomes.result_count <= 1) {
        outcomes_refuse(
            &t->outcomes,
            &(struct failure){.message = str_of(why->text),
                              .type = why->code == ERR_LIMIT ? STR("TooLong") : STR("NotEnqueued"),
                              .final = true});
        return;
    }
    struct settle *half = xcalloc(1, sizeof *half);
    outcomes_init(&half->outcomes, s->kind);
    outcomes_halve(&t->outcomes, &half->outcomes);
    half->next = s->waiting;
    s->waiting = half;
}

/* Whether a settle that was refused so may be taken in smaller parts. */
static bool is_divisible(const struct outcomes *o, const struct err *err)
{
    if (o->result_count == 0)
        return false;
    return err->code == ERR_LIMIT ||
           (o->enqueue.len && (err->code == ERR_INVALID || err->code == ERR_NOT_FOUND));
}

/* Keeps what the answer says is to be stopped. */
static bool has_aborts(struct work_session *s, const struct buf *answer)
{
    struct str raw;
    s->aborts.len = 0;
    if (s->kind == WORK_RECORDS || !json_find(buf_str(answer), "aborts", &raw) || raw.len <= 2)
        return false;
    buf_add_str(&s->aborts, raw);
    return true;
}

static bool take_settled(struct work_session *s, struct settle *t, int64_t now_us,
                         enum session_news *news, struct err *err)
{
    OWNED_BUF struct buf answer;
    long status = 0;
    buf_init(&answer, BODY_MAX_BYTES);
    if (call_end(t->call, &status, &answer, err)) {
        came_through(s, now_us);
        outcomes_clear(&t->outcomes);
        *news = SESSION_SETTLED;
        return true;
    }
    if (err->code == ERR_CONFLICT) {
        lose(s);
        *news = SESSION_LOST;
        return true;
    }
    if (is_divisible(&t->outcomes, err)) {
        divide(s, t, err);
        return send_settle(s, t, err);
    }
    return may_try_again(s, now_us, &t->again_us, err) || err_add(err, "report results");
}

static bool step_settle(struct work_session *s, struct settle *t, int64_t now_us,
                        enum session_news *news, struct err *err)
{
    if (call_ended(t->call))
        return take_settled(s, t, now_us, news, err);
    if (t->again_us <= now_us)
        return send_settle(s, t, err);
    if (s->waiting && is_free(t)) {
        struct settle *half = s->waiting;
        struct outcomes taken = t->outcomes;
        s->waiting = half->next;
        t->outcomes = half->outcomes;
        outcomes_release(&taken);
        free(half);
        return send_settle(s, t, err);
    }
    return true;
}

static bool step_claim(struct work_session *s, int64_t now_us, enum session_news *news,
                       struct err *err)
{
    long status = 0;
    if (!call_ended(s->claim))
        return true;
    if (call_end(s->claim, &status, &s->answer, err)) {
        came_through(s, now_us);
        *news = SESSION_CLAIMED;
        s->must_tell = false;
        return true;
    }
    if (err->code == ERR_CONFLICT && s->lease) {
        lose(s);
        *news = SESSION_LOST;
        return true;
    }
    /* It may have been answered, with records we know nothing of. */
    s->must_tell |= s->lease != NULL;
    return may_try_again(s, now_us, &s->claim_again_us, err) || err_add(err, "claim records");
}

static int64_t next_touch_us(const struct work_session *s)
{
    if (!s->lease || call_pending(s->extend))
        return NEVER_US;
    /* Always one is at the server, which so can tell us what is to be stopped. */
    if (s->kind == WORK_TASKS)
        return s->extend_again_us;
    /* While a claim waits at the server, the server knows that we live. */
    return call_pending(s->claim) ? NEVER_US : s->touched_us + TOUCH_US;
}

static bool step_extend(struct work_session *s, int64_t now_us, enum session_news *news,
                        struct err *err)
{
    OWNED_BUF struct buf answer;
    struct json_out o;
    long status = 0;
    int64_t again_us = 0;
    buf_init(&answer, BODY_MAX_BYTES);
    if (call_ended(s->extend)) {
        if (call_end(s->extend, &status, &answer, err)) {
            came_through(s, now_us);
            s->extend_again_us = now_us;
            if (has_aborts(s, &answer)) {
                /* It would be told again at once, until it is settled. */
                s->extend_again_us = now_us + ABORTING_US;
                *news = SESSION_ABORTS;
            }
            return true;
        }
        if (err->code == ERR_CONFLICT) {
            lose(s);
            *news = SESSION_LOST;
            return true;
        }
        if (!may_try_again(s, now_us, &again_us, err))
            return err_add(err, "keep the lease");
        s->touched_us = again_us - TOUCH_US;
        s->extend_again_us = again_us;
    }
    if (next_touch_us(s) > now_us)
        return true;
    s->touched_us = now_us;
    s->extend_body.len = 0;
    json_out_init(&o, &s->extend_body);
    json_out_open(&o, '{');
    json_out_name(&o, "lease");
    json_out_text(&o, s->lease);
    json_out_name(&o, s->kind == WORK_TASKS ? "wait_s" : "lease_s");
    json_out_i64(&o, s->kind == WORK_TASKS ? TASK_EXTEND_S : LEASE_S);
    json_out_close(&o, '}');
    return call_begin(s->extend, "POST", s->extend_path, buf_str(&s->extend_body), err);
}

bool work_session_step(struct work_session *s, int64_t now_us, enum session_news *news,
                       struct err *err)
{
    *news = SESSION_QUIET;
    for (int i = 0; i < SETTLES && *news == SESSION_QUIET; i++)
        if (!step_settle(s, &s->settles[i], now_us, news, err))
            return false;
    return (*news != SESSION_QUIET || step_claim(s, now_us, news, err)) &&
           (*news != SESSION_QUIET || step_extend(s, now_us, news, err));
}

int64_t work_session_next_us(const struct work_session *s)
{
    int64_t next_us = next_touch_us(s);
    for (int i = 0; i < SETTLES; i++)
        if (s->settles[i].again_us < next_us)
            next_us = s->settles[i].again_us;
    return next_us;
}

int64_t work_session_claim_again_us(const struct work_session *s)
{
    return s->claim_again_us;
}

struct str work_session_aborts(const struct work_session *s)
{
    return buf_str(&s->aborts);
}

struct buf *work_session_answer(struct work_session *s)
{
    return &s->answer;
}

void work_session_set_lease(struct work_session *s, const char *lease)
{
    if (lease && s->lease && strcmp(lease, s->lease) == 0)
        return;
    free(s->lease);
    s->lease = xstrdup_or_null(lease);
}

const char *work_session_lease(const struct work_session *s)
{
    return s->lease;
}

bool work_session_may_claim(const struct work_session *s, int64_t now_us)
{
    return !call_pending(s->claim) && s->claim_again_us <= now_us;
}

bool work_session_is_claiming(const struct work_session *s)
{
    return call_pending(s->claim);
}

bool work_session_must_tell(const struct work_session *s)
{
    return s->must_tell;
}

static void add_number(void *context, int64_t record)
{
    json_out_i64(context, record);
}

/* All that we hold: what the program and the queue have, and what is on its way back. */
static void write_holds(const struct work_session *s, struct str holds, struct json_out *o)
{
    json_out_name(o, "holds");
    json_out_open(o, '[');
    if (holds.len)
        json_out_raw(o, holds);
    for (int i = 0; i < SETTLES; i++)
        outcomes_each(&s->settles[i].outcomes, add_number, o);
    for (const struct settle *t = s->waiting; t; t = t->next)
        outcomes_each(&t->outcomes, add_number, o);
    json_out_close(o, ']');
}

bool work_session_claim(struct work_session *s, size_t max, double wait_s, size_t running,
                        struct str holds, struct err *err)
{
    struct json_out o;
    s->claim_body.len = 0;
    json_out_init(&o, &s->claim_body);
    json_out_open(&o, '{');
    json_out_name(&o, "max");
    json_out_i64(&o, (int64_t)max);
    json_out_name(&o, "wait_s");
    json_out_double(&o, wait_s);
    json_out_name(&o, "lease_s");
    json_out_i64(&o, s->kind == WORK_TASKS ? TASK_LEASE_S : LEASE_S);
    json_out_name(&o, "worker");
    json_out_text(&o, s->worker);
    if (s->kind == WORK_TASKS) {
        buf_add_char(&s->claim_body, ',');
        buf_add_text(&s->claim_body, s->asks);
    } else {
        json_out_name(&o, "running");
        json_out_i64(&o, (int64_t)running);
    }
    if (s->lease) {
        json_out_name(&o, "lease");
        json_out_text(&o, s->lease);
        if (s->must_tell)
            write_holds(s, holds, &o);
    } else if (s->kind == WORK_RECORDS) {
        json_out_name(&o, "keep");
        json_out_bool(&o, true);
    }
    json_out_close(&o, '}');
    if (s->claim_body.full)
        return err_set(err, ERR_INTERNAL, "a claim would be too long");
    return call_begin(s->claim, "POST", s->claim_path, buf_str(&s->claim_body), err);
}

void work_session_give_back(struct work_session *s)
{
    give_up(&s->claim, s->client);
    s->must_tell = s->lease != NULL;
}

void work_session_stop_claiming(struct work_session *s)
{
    give_up(&s->claim, s->client);
}

bool work_session_may_settle(const struct work_session *s)
{
    for (int i = 0; i < SETTLES && !s->waiting; i++)
        if (is_free(&s->settles[i]))
            return true;
    return false;
}

size_t work_session_settling(const struct work_session *s)
{
    size_t count = s->waiting != NULL;
    for (int i = 0; i < SETTLES; i++)
        count += !is_free(&s->settles[i]);
    return count;
}

bool work_session_settle(struct work_session *s, struct outcomes *o, struct err *err)
{
    int i = 0;
    while (i < SETTLES && !is_free(&s->settles[i]))
        i++;
    assert(i < SETTLES && s->lease);
    struct settle *t = &s->settles[i];
    struct outcomes taken = t->outcomes;
    t->outcomes = *o;
    *o = taken;
    outcomes_clear(o);
    return send_settle(s, t, err);
}

/* Sends the release and waits a moment for its answer; not reached, the lease ends by itself. */
static bool release(struct work_session *s, struct str body, struct err *err)
{
    int64_t until_us = clock_now().mono_us + RELEASE_US, now_us = 0;
    if (!call_begin(s->extend, "POST", s->release_path, body, err))
        return false;
    while (!call_ended(s->extend) && (now_us = clock_now().mono_us) < until_us)
        if (!client_wait(s->client, NULL, 0, until_us - now_us, err))
            return false;
    return true;
}

void work_session_leave(struct work_session *s)
{
    struct err ignored;
    struct json_out o;
    OWNED_MEM char *lease = TAKE(s->lease);
    lose(s);
    if (!lease)
        return;
    s->extend_body.len = 0;
    json_out_init(&o, &s->extend_body);
    json_out_open(&o, '{');
    json_out_name(&o, "lease");
    json_out_text(&o, lease);
    json_out_close(&o, '}');
    (void)!release(s, buf_str(&s->extend_body), &ignored);
    give_up(&s->extend, s->client);
}
