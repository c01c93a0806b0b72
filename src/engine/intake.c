/* intake.c: see intake.h. The engine belongs to whoever has its turn: mostly the engine's thread,
 * which steps it with all ops that are there, gives the turn away while it commits, and sleeps
 * without it. A thread that posts claims, or ops that only look at one thing, and finds the turn
 * free takes it and applies them itself: nobody has to be woken for what needs no disk. What such
 * an op on its way makes to be committed is left staged for the engine's thread.
 *
 * The engine's thread sleeps in ppoll on an eventfd (ops, programs) and the engine's inotify
 * descriptor; the eventfd is written only when the thread is asleep or about to be. */
#include "engine/intake.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Who has the turn looks so often for claims that have come meanwhile; others come then. */
enum { CLAIM_ROUNDS = 4 };

struct intake {
    struct engine *engine;
    void (*on_fatal)(const struct err *err);
    pthread_t thread;
    bool running; /* the thread was started and not joined; the owner's */
    int bell;     /* eventfd */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t turn_free;
    struct op *first, **end;
    bool taken;      /* somebody has the turn */
    bool wanted;     /* the engine's thread waits for it: nobody else takes it */
    bool committing; /* between engine_begin and engine_finish: claims only */
    bool staged; /* whoever had the turn has begun a commit, which the engine's thread is to do */
    bool failed; /* whoever had the turn has met the end: `failure` */
    struct err failure;
    bool asleep, stopping, stopped;
    int64_t sleeps_until_us; /* while asleep */
    int sleeps_on;           /* likewise: engine_watch_fd */
};

struct intake *intake_new(void)
{
    struct intake *in = xcalloc(1, sizeof *in);
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->turn_free, NULL);
    in->end = &in->first;
    in->stopped = true;
    in->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return in;
}

static void ring(struct intake *in)
{
    uint64_t one = 1;
    /* A full counter rings as well as one more. */
    if (write(in->bell, &one, sizeof one) < 0 && errno != EAGAIN)
        LOG1(LOG_ERROR, "intake.bell", "errno", "%d", errno);
}

void intake_wake(void *intake)
{
    ring(intake);
}

static void refuse(struct op *op)
{
    err_set(&op->err, ERR_BUSY, "the server is stopping");
    op->done(op);
}

static void refuse_list(struct op *ops)
{
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        refuse(op);
    }
}

/* --- the turn --- */

/* Whether a thread that is not the engine's may apply it. What only looks must not see what is on
 * its way to the disk: it waits for the end of a commit. */
static bool is_led(const struct op *op, bool committing)
{
    return op->kind == OP_CLAIM || (!committing && op_only_looks(op));
}

/* Under the lock: what is led, out of the queue, in order. */
static struct op *take_led(struct intake *in, bool committing)
{
    struct op *led = NULL, **end = &led, **at = &in->first;
    while (*at) {
        struct op *op = *at;
        if (!is_led(op, committing)) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op->next = NULL;
        *end = op;
        end = &op->next;
    }
    in->end = at;
    return led;
}

/* Under the lock: whether nothing else is queued. */
static bool only_led(const struct intake *in)
{
    for (const struct op *op = in->first; op; op = op->next)
        if (!is_led(op, false))
            return false;
    return in->first != NULL;
}

/* Under the lock: the ops that may be applied now by whoever has the turn and is not the
 * engine's thread. Between commits they overtake nothing, as all others wait for that thread. */
static struct op *take_what_is_led(struct intake *in)
{
    bool may = !in->wanted && !in->failed && !in->stopping && (in->committing || only_led(in));
    return may ? take_led(in, in->committing) : NULL;
}

static void claim_meanwhile(struct intake *in, struct op *claims)
{
    while (claims) {
        struct op *op = claims;
        claims = op->next;
        op->next = NULL;
        engine_claim_meanwhile(in->engine, op, clock_now());
    }
}

/* Back to the queue's front. */
static void put_back(struct intake *in, struct op *led)
{
    struct op *last = led;
    while (last->next)
        last = last->next;
    pthread_mutex_lock(&in->lock);
    last->next = in->first;
    if (!in->first)
        in->end = &last->next;
    in->first = led;
    pthread_mutex_unlock(&in->lock);
}

/* Applies them; who has the turn, not the engine's thread. False when that thread has more to
 * do than this, and is to do this, too. */
static bool apply_led(struct intake *in, struct op *led)
{
    bool pending = false;
    struct err err = {0};
    struct instant now = clock_now();
    if (in->committing) { /* only who has the turn changes it */
        claim_meanwhile(in, led);
        return true;
    }
    if (engine_next_us(in->engine) <= now.mono_us) {
        put_back(in, led);
        return false;
    }
    bool ok = engine_begin(in->engine, led, now, &pending, &err);
    pthread_mutex_lock(&in->lock);
    in->staged = in->committing = ok && pending;
    if (!ok) {
        in->failed = true;
        in->failure = err;
    }
    pthread_mutex_unlock(&in->lock);
    return true;
}

/* Has the turn, and is not the engine's thread: applies them, and wakes that thread if it has
 * something to do then, or to do earlier than it meant to. */
static void lead(struct intake *in, struct op *led)
{
    int64_t next_us = 0;
    int watch_fd = 0;
    for (int rounds = 1;; rounds++) {
        bool applied = apply_led(in, led);
        if (!in->committing) {
            next_us = engine_next_us(in->engine);
            watch_fd = engine_watch_fd(in->engine);
        }
        pthread_mutex_lock(&in->lock);
        led = applied && rounds < CLAIM_ROUNDS ? take_what_is_led(in) : NULL;
        if (!led)
            break;
        pthread_mutex_unlock(&in->lock);
    }
    bool other = !in->committing && (next_us < in->sleeps_until_us || watch_fd != in->sleeps_on);
    bool wake = in->asleep && (in->first || in->staged || in->failed || in->stopping || other);
    if (wake)
        in->asleep = false;
    in->taken = false;
    if (in->wanted)
        pthread_cond_signal(&in->turn_free);
    pthread_mutex_unlock(&in->lock);
    if (wake)
        ring(in);
}

/* The engine's thread. */
static void take_turn(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->wanted = true;
    while (in->taken)
        pthread_cond_wait(&in->turn_free, &in->lock);
    in->wanted = false;
    in->taken = true;
    pthread_mutex_unlock(&in->lock);
}

/* The engine's thread, before a commit: applies the claims that have come, then others may. */
static void give_turn(struct intake *in)
{
    for (int rounds = 0;; rounds++) {
        pthread_mutex_lock(&in->lock);
        struct op *claims = rounds < CLAIM_ROUNDS ? take_led(in, true) : NULL;
        in->committing = true;
        in->taken = claims != NULL;
        pthread_mutex_unlock(&in->lock);
        if (!claims)
            return;
        claim_meanwhile(in, claims);
    }
}

/* --- posting --- */

void intake_post_all(struct intake *in, struct op *ops)
{
    struct op *led = NULL;
    bool wake = false;
    pthread_mutex_lock(&in->lock);
    bool posted = !in->stopped && !in->stopping;
    if (posted) {
        *in->end = ops;
        for (struct op *op = ops; op; op = op->next)
            in->end = &op->next;
        led = in->taken ? NULL : take_what_is_led(in);
        in->taken = in->taken || led;
        /* Who has the turn looks at the queue before it is given back. */
        wake = in->asleep && !in->taken;
        if (wake)
            in->asleep = false;
    }
    pthread_mutex_unlock(&in->lock);
    if (wake)
        ring(in);
    if (led)
        lead(in, led);
    if (!posted)
        refuse_list(ops);
}

void intake_post(struct intake *in, struct op *op)
{
    op->next = NULL;
    intake_post_all(in, op);
}

/* --- the engine's thread --- */

/* All that is queued. */
static struct op *take_all(struct intake *in, bool *stopping)
{
    pthread_mutex_lock(&in->lock);
    struct op *ops = in->first;
    in->first = NULL;
    in->end = &in->first;
    *stopping = in->stopping;
    pthread_mutex_unlock(&in->lock);
    return ops;
}

/* Waits until the bell rings, the moment comes, or `watch_fd` (-1: none) becomes readable. */
static void wait_for_bell(struct intake *in, int64_t until_us, int watch_fd)
{
    struct pollfd fds[2] = {{.fd = in->bell, .events = POLLIN}, {.fd = watch_fd, .events = POLLIN}};
    struct timespec left, *timeout = NULL;
    if (until_us != NEVER_US) {
        int64_t us = until_us - clock_now().mono_us;
        us = us < 0 ? 0 : us;
        left = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        timeout = &left;
    }
    if (ppoll(fds, watch_fd >= 0 ? 2 : 1, timeout, NULL) > 0 && (fds[0].revents & POLLIN)) {
        uint64_t count = 0;
        if (read(in->bell, &count, sizeof count) < 0 && errno != EAGAIN)
            LOG1(LOG_ERROR, "intake.bell", "errno", "%d", errno);
    }
}

/* Gives the turn away, sleeps as long as the engine may and nothing is queued, takes it again. */
static void sleep_without_turn(struct intake *in)
{
    int64_t until_us = engine_next_us(in->engine);
    int watch_fd = engine_watch_fd(in->engine);
    pthread_mutex_lock(&in->lock);
    bool sleeps = !in->first && !in->stopping;
    if (sleeps) {
        in->asleep = true;
        in->taken = false;
        in->sleeps_until_us = until_us;
        in->sleeps_on = watch_fd;
    }
    pthread_mutex_unlock(&in->lock);
    if (!sleeps)
        return;
    wait_for_bell(in, until_us, watch_fd);
    pthread_mutex_lock(&in->lock);
    in->asleep = false;
    pthread_mutex_unlock(&in->lock);
    take_turn(in);
}

static void start_taking(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->stopped = in->stopping = in->taken = in->committing = in->staged = in->failed = false;
    pthread_mutex_unlock(&in->lock);
}

static void stop_taking(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    struct op *left = in->first;
    in->first = NULL;
    in->end = &in->first;
    in->stopped = true;
    pthread_mutex_unlock(&in->lock);
    refuse_list(left);
}

/* What was begun by somebody else, if there is something. */
static bool is_begun(struct intake *in, bool *ok, struct err *err)
{
    pthread_mutex_lock(&in->lock);
    bool begun = in->staged || in->failed;
    *ok = !in->failed;
    if (in->failed)
        *err = in->failure;
    in->staged = false;
    pthread_mutex_unlock(&in->lock);
    return begun;
}

static void end_commit(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->committing = false;
    pthread_mutex_unlock(&in->lock);
}

/* Commits what is staged and what follows from it. Has the turn before and after. */
static bool commit_all(struct intake *in, struct err *err)
{
    bool pending = true, ok = true;
    while (ok && pending) {
        give_turn(in);
        engine_commit(in->engine);
        take_turn(in);
        ok = engine_finish(in->engine, clock_now(), &pending, err);
    }
    end_commit(in);
    return ok;
}

/* Steps the engine with the ops, or commits what was begun with others'. */
static bool step(struct intake *in, struct op *ops, bool begun, struct err *err)
{
    bool pending = begun;
    return (begun || engine_begin(in->engine, ops, clock_now(), &pending, err)) &&
           (!pending || commit_all(in, err));
}

static void *run(void *context)
{
    struct intake *in = context;
    struct err err = {0};
    bool ok = true, stopping = false;
    take_turn(in);
    for (bool slept = false;;) {
        bool begun = is_begun(in, &ok, &err);
        struct op *ops = begun ? NULL : take_all(in, &stopping);
        if (!begun && !ops && stopping)
            break;
        /* Once it has slept it is time for something, if not for an op. */
        if (!begun && !ops && !slept) {
            sleep_without_turn(in);
            slept = true;
            continue;
        }
        slept = false;
        if (!ok || !step(in, ops, begun, &err)) {
            stop_taking(in);
            in->on_fatal(&err);
            return NULL;
        }
    }
    stop_taking(in);
    engine_end_waits(in->engine);
    if (!engine_settle(in->engine, clock_now(), &err))
        LOG1(LOG_ERROR, "stop.not-settled", "reason", "%s", err.text);
    return NULL;
}

bool intake_start(struct intake *in, struct engine *engine, void (*on_fatal)(const struct err *err),
                  struct err *err)
{
    assert(!in->running);
    if (in->bell < 0)
        return err_set(err, ERR_BUSY, "no descriptor is left for the engine's bell");
    in->engine = engine;
    in->on_fatal = on_fatal;
    start_taking(in);
    int failed = pthread_create(&in->thread, NULL, run, in);
    if (failed) {
        stop_taking(in);
        return err_errno(err, failed, "start the engine's thread");
    }
    in->running = true;
    return true;
}

/* What intake_call waits on. */
struct call {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void call_done(struct op *op)
{
    struct call *call = op->context;
    pthread_mutex_lock(&call->lock);
    call->is_done = true;
    pthread_cond_signal(&call->done);
    pthread_mutex_unlock(&call->lock);
}

bool intake_call(struct intake *in, struct op *op)
{
    struct call call = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    op->context = &call;
    op->done = call_done;
    intake_post(in, op);
    pthread_mutex_lock(&call.lock);
    while (!call.is_done)
        pthread_cond_wait(&call.done, &call.lock);
    pthread_mutex_unlock(&call.lock);
    return op->err.code == ERR_NONE;
}

void intake_stop(struct intake *in)
{
    if (!in->running)
        return;
    pthread_mutex_lock(&in->lock);
    in->stopping = true;
    pthread_mutex_unlock(&in->lock);
    ring(in);
    pthread_join(in->thread, NULL);
    in->running = false;
}

void intake_free(struct intake *in)
{
    if (!in)
        return;
    intake_stop(in);
    pthread_mutex_destroy(&in->lock);
    pthread_cond_destroy(&in->turn_free);
    fd_drop(&in->bell);
    free(in);
}
