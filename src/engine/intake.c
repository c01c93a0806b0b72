/* intake.c: see intake.h. Two threads: the engine's, and the committer, which waits for the disk
 * while the engine's hands out records. They never touch the same things: see engine_begin.
 *
 * The engine's thread sleeps in poll on an eventfd (ops, programs, commits done) and the engine's
 * inotify descriptor; posting writes the eventfd only when the thread is asleep or about to be. */
#include "engine/intake.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { CLAIM_WORTH_WAKING = 50 }; /* records */

struct intake {
    struct engine *engine;
    void (*on_fatal)(const struct err *err);
    pthread_t thread, committer;
    bool running; /* the threads were started and not joined; the owner's */
    int bell;     /* eventfd */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t commit_wanted;
    struct op *first, **end;
    bool asleep, stopping, stopped;
    enum { COMMIT_NONE, COMMIT_WANTED, COMMIT_DONE, COMMIT_QUIT } commit;
};

struct intake *intake_new(void)
{
    struct intake *in = xcalloc(1, sizeof *in);
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->commit_wanted, NULL);
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

/* While a commit is under way nothing but claims can be done. A claim of many records is worth
 * waking the engine's thread for, so that reading goes on while the disk is waited for; all else
 * gathers. */
static bool is_worth_waking(const struct intake *in, const struct op *op)
{
    if (!in->asleep)
        return false;
    return in->commit != COMMIT_WANTED ||
           (op->kind == OP_CLAIM && op->claim.max_records >= CLAIM_WORTH_WAKING);
}

static void refuse_list(struct op *ops)
{
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        refuse(op);
    }
}

void intake_post_all(struct intake *in, struct op *ops)
{
    bool wake = false;
    pthread_mutex_lock(&in->lock);
    bool taken = !in->stopped && !in->stopping;
    if (taken) {
        *in->end = ops;
        for (struct op *op = ops; op; op = op->next) {
            wake = wake || is_worth_waking(in, op);
            in->end = &op->next;
        }
        if (wake)
            in->asleep = false;
    }
    pthread_mutex_unlock(&in->lock);
    if (wake)
        ring(in);
    if (!taken)
        refuse_list(ops);
}

void intake_post(struct intake *in, struct op *op)
{
    op->next = NULL;
    intake_post_all(in, op);
}

/* All that is queued; NULL when there is nothing, then the thread counts as asleep. */
static struct op *take_all(struct intake *in, bool *stopping)
{
    pthread_mutex_lock(&in->lock);
    struct op *ops = in->first;
    in->first = NULL;
    in->end = &in->first;
    *stopping = in->stopping;
    in->asleep = !ops;
    pthread_mutex_unlock(&in->lock);
    return ops;
}

/* Until the bell rings, the moment comes, or `watch_fd` (-1: none) becomes readable. */
static void sleep_until(struct intake *in, int64_t until_us, int watch_fd)
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

static void start_taking(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->stopped = in->stopping = false;
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

static void *run_committer(void *context)
{
    struct intake *in = context;
    pthread_mutex_lock(&in->lock);
    for (;;) {
        while (in->commit != COMMIT_WANTED && in->commit != COMMIT_QUIT)
            pthread_cond_wait(&in->commit_wanted, &in->lock);
        if (in->commit == COMMIT_QUIT)
            break;
        pthread_mutex_unlock(&in->lock);
        engine_commit(in->engine);
        pthread_mutex_lock(&in->lock);
        in->commit = COMMIT_DONE;
        ring(in);
    }
    pthread_mutex_unlock(&in->lock);
    return NULL;
}

static void set_commit(struct intake *in, int commit)
{
    pthread_mutex_lock(&in->lock);
    in->commit = (__typeof__(in->commit))commit;
    pthread_cond_signal(&in->commit_wanted);
    pthread_mutex_unlock(&in->lock);
}

static bool commit_is_done(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    bool done = in->commit == COMMIT_DONE;
    pthread_mutex_unlock(&in->lock);
    return done;
}

/* Has the committer commit; hands out records meanwhile; puts all other ops behind `*held_end`. */
static struct op **commit(struct intake *in, struct op **held_end)
{
    bool stopping = false;
    set_commit(in, COMMIT_WANTED);
    while (!commit_is_done(in)) {
        struct op *ops = take_all(in, &stopping);
        if (!ops)
            sleep_until(in, NEVER_US, -1);
        while (ops) {
            struct op *op = ops;
            ops = op->next;
            op->next = NULL;
            if (op->kind == OP_CLAIM) {
                engine_claim_meanwhile(in->engine, op, clock_now());
                continue;
            }
            *held_end = op;
            held_end = &op->next;
        }
    }
    set_commit(in, COMMIT_NONE);
    return held_end;
}

/* Steps the engine until nothing is pending. `*held` becomes the ops that came meanwhile. */
static bool step(struct intake *in, struct op *ops, struct op **held, struct err *err)
{
    bool pending = false;
    *held = NULL;
    bool ok = engine_begin(in->engine, ops, clock_now(), &pending, err);
    while (ok && pending) {
        if (engine_commit_is_large(in->engine))
            held = commit(in, held);
        else
            engine_commit(in->engine);
        ok = engine_finish(in->engine, clock_now(), &pending, err);
    }
    return ok;
}

static void *run(void *context)
{
    struct intake *in = context;
    struct err err = {0};
    struct op *ops = NULL;
    for (bool stopping = false;;) {
        if (!ops)
            ops = take_all(in, &stopping);
        if (!ops && stopping)
            break;
        if (!ops) {
            sleep_until(in, engine_next_us(in->engine), engine_watch_fd(in->engine));
            ops = take_all(in, &stopping);
        }
        struct op *held = NULL;
        if (!step(in, ops, &held, &err)) {
            refuse_list(held);
            stop_taking(in);
            in->on_fatal(&err);
            return NULL;
        }
        ops = held;
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
    in->commit = COMMIT_NONE;
    int failed = pthread_create(&in->committer, NULL, run_committer, in);
    if (failed)
        return err_errno(err, failed, "start the committer");
    start_taking(in);
    failed = pthread_create(&in->thread, NULL, run, in);
    if (failed) {
        stop_taking(in);
        set_commit(in, COMMIT_QUIT);
        pthread_join(in->committer, NULL);
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
    set_commit(in, COMMIT_QUIT);
    pthread_join(in->committer, NULL);
    in->running = false;
}

void intake_free(struct intake *in)
{
    if (!in)
        return;
    intake_stop(in);
    pthread_mutex_destroy(&in->lock);
    pthread_cond_destroy(&in->commit_wanted);
    fd_drop(&in->bell);
    free(in);
}
