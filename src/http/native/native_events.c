/* native_events.c: events as a stream (native.h).
 *
 * A follower holds a subscription; the engine's thread fills it and wakes the connection. The
 * engine is told to begin, to read on when the subscription was emptied and there is more history,
 * and to leave, by ops of the follower's own, as the request's op is spent by then. A follower is
 * counted: by its stream and by each op under way; the last to end frees it, whichever that is. */
#include "base/parse.h"
#include "engine/feed.h"
#include "engine/intake.h"
#include "http/native/native.h"
#include "http/native/native_body.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Values of OP_SUBSCRIBE's `after`. */
enum { AFTER_READ_ON = -2, AFTER_NOW = -1 };

struct follower {
    struct subscription *subscription;
    struct waker *waker;
    struct intake *intake;
    atomic_int holders;
    int64_t job_id;      /* 0: all jobs */
    bool trusted;        /* or whoever may see what this job holds */
    atomic_bool asking;  /* `ask` is with the engine */
    atomic_bool again;   /* meanwhile it is needed once more */
    atomic_bool refused; /* the engine cannot go on: the stream ends, the client comes back */
    struct op ask, leave;
};

static void follower_let_go(struct follower *f)
{
    if (atomic_fetch_sub(&f->holders, 1) > 1)
        return;
    subscription_free(f->subscription);
    waker_free(f->waker);
    free(f);
}

/* Whoever has the engine. */
static void answered(struct op *op)
{
    struct follower *f = op->context;
    if (op->err.code != ERR_NONE) {
        atomic_store(&f->refused, true);
        waker_wake(f->waker);
    }
    op_release(op);
    atomic_store(&f->asking, false);
    if (atomic_exchange(&f->again, false))
        waker_wake(f->waker);
    follower_let_go(f);
}

static void follower_ask(struct follower *f, int64_t after)
{
    /* The answer to the last one may not have come all the way: the stream is woken then and asks
     * again. */
    atomic_store(&f->again, true);
    if (atomic_exchange(&f->asking, true))
        return;
    atomic_store(&f->again, false);
    atomic_fetch_add(&f->holders, 1);
    op_init(&f->ask, OP_SUBSCRIBE);
    f->ask.done = answered;
    f->ask.context = f;
    f->ask.job.id = f->job_id;
    f->ask.right.trusted = f->trusted;
    f->ask.subscribe.subscription = f->subscription;
    f->ask.subscribe.after = after;
    intake_post(f->intake, &f->ask);
}

static ssize_t follower_take(void *context, char *out, size_t max)
{
    struct follower *f = context;
    size_t len = 0;
    bool more = false, any = subscription_take(f->subscription, out, max, &len, &more);
    if (any && !more)
        return (ssize_t)len;
    if (atomic_load(&f->refused))
        return any ? (ssize_t)len : -1;
    if (more)
        follower_ask(f, AFTER_READ_ON);
    return (ssize_t)len;
}

static void left(struct op *op)
{
    struct follower *f = op->context;
    op_release(op);
    follower_let_go(f);
}

/* The client has gone or the server stops. The stream's hold passes on to the op. */
static void follower_end(void *context)
{
    struct follower *f = context;
    op_init(&f->leave, OP_UNSUBSCRIBE);
    f->leave.done = left;
    f->leave.context = f;
    f->leave.subscribe.subscription = f->subscription;
    intake_post(f->intake, &f->leave);
}

static bool read_after(struct request *req, int64_t *after, struct err *err)
{
    const struct member members[] = {
        {.name = "after", .type = MEMBER_I64, .max = INT64_MAX, .out = after},
    };
    *after = AFTER_NOW;
    if (!native_query_read(req, members, 1, err))
        return false;
    const char *last = request_header(req, "Last-Event-ID");
    return !last || !*last || parse_i64(str_of(last), 0, INT64_MAX, after, err) ||
           err_add(err, "Last-Event-ID");
}

static bool follow(struct request *req, int64_t job_id, bool trusted, struct reply *reply,
                   struct err *err)
{
    int64_t after = 0;
    if (!read_after(req, &after, err))
        return false;
    struct follower *f = xcalloc(1, sizeof *f);
    atomic_init(&f->holders, 1);
    f->job_id = job_id;
    f->trusted = trusted;
    f->waker = waker_new(req);
    f->subscription = subscription_new(waker_wake, f->waker);
    f->intake = request_intake(req);
    reply_content_type(reply, "text/event-stream");
    reply_header(reply, "Cache-Control", "no-store");
    /* Proxies are to pass events on as they come. */
    reply_header(reply, "X-Accel-Buffering", "no");
    reply_stream(reply, follower_take, follower_end, f);
    follower_ask(f, after);
    return true;
}

bool native_events(struct request *req, struct reply *reply, struct err *err)
{
    struct op_right right;
    request_right(req, SCOPE_READ, NULL, &right);
    return follow(req, 0, right.trusted, reply, err);
}

static bool finish_job_found(struct request *req, struct op *op, struct reply *reply,
                             struct err *err)
{
    return follow(req, op->report.view.id, true, reply, err);
}

bool native_job_events(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct op *op = native_job_op(req, OP_REPORT, SCOPE_READ, err);
    if (!op)
        return false;
    op->report.contents = true;
    return request_call(req, finish_job_found);
}
