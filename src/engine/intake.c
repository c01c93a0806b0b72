/* intake.c: see intake.h. The thread sleeps in poll on an eventfd (ops, programs) and the engine's
 * inotify descriptor; posting writes the eventfd only when the thread is asleep or about to be. */
#include "engine/intake.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct intake {
    struct engine *engine;
    void (*on_fatal)(const struct err *err);
    pthread_t thread;
    bool running; /* the thread was started and not joined; the owner's */
    int bell;     /* eventfd */

    pthread_mutex_t lock; /* guards the rest */
    struct op *first, **end;
    bool asleep, stopping, stopped;
};

struct intake *intake_new(void)
{
    struct intake *in = xcalloc(1, sizeof *in);
    pthread_mutex_init(&in->lock, NULL);
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

void intake_post(struct intake *in, struct op *op)
{
    op->next = NULL;
    pthread_mutex_lock(&in->lock);
    bool taken = !in->stopped && !in->stopping;
    bool wake = false;
    if (taken) {
        *in->end = op;
        in->end = &op->next;
        wake = in->asleep;
        in->asleep = false;
    }
    pthread_mutex_unlock(&in->lock);
    if (wake)
        ring(in);
    if (!taken)
        refuse(op);
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

static void sleep_until(struct intake *in, int64_t until_us)
{
    struct pollfd fds[2] = {{.fd = in->bell, .events = POLLIN},
                            {.fd = engine_watch_fd(in->engine), .events = POLLIN}};
    struct timespec left, *timeout = NULL;
    if (until_us != NEVER_US) {
        int64_t us = until_us - clock_now().mono_us;
        us = us < 0 ? 0 : us;
        left = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        timeout = &left;
    }
    if (ppoll(fds, fds[1].fd >= 0 ? 2 : 1, timeout, NULL) > 0 && (fds[0].revents & POLLIN)) {
        uint64_t count = 0;
        if (read(in->bell, &count, sizeof count) < 0 && errno != EAGAIN)
            LOG1(LOG_ERROR, "intake.bell", "errno", "%d", errno);
    }
}

static void stop_taking(struct intake *in)
{
    pthread_mutex_lock(&in->lock);
    struct op *left = in->first;
    in->first = NULL;
    in->end = &in->first;
    in->stopped = true;
    pthread_mutex_unlock(&in->lock);
    while (left) {
        struct op *op = left;
        left = op->next;
        refuse(op);
    }
}

static void *run(void *context)
{
    struct intake *in = context;
    struct err err = {0};
    for (bool stopping = false;;) {
        struct op *ops = take_all(in, &stopping);
        if (!ops && stopping)
            break;
        if (!ops) {
            sleep_until(in, engine_next_us(in->engine));
            ops = take_all(in, &stopping);
        }
        if (!engine_step(in->engine, ops, clock_now(), &err)) {
            stop_taking(in);
            in->on_fatal(&err);
            return NULL;
        }
    }
    stop_taking(in);
    engine_end_waits(in->engine);
    return NULL;
}

bool intake_start(struct intake *in, struct engine *engine, void (*on_fatal)(const struct err *err),
                  struct err *err)
{
    assert(!in->running);
    in->engine = engine;
    in->on_fatal = on_fatal;
    in->stopped = in->stopping = false;
    int failed = pthread_create(&in->thread, NULL, run, in);
    if (failed)
        return err_errno(err, failed, "start the engine's thread");
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
    fd_drop(&in->bell);
    free(in);
}
