/* flow_helper.c: see flow_helper.h.
 *
 * Each interpreter is a life, with a socket of its own, which is listened to until nobody holds its
 * other end: attempts speak through the socket of the life that forked them, also when it is over.
 * Attempts of a life that ended are told of by the keeper, whose children they have become. */
#include "run/flow_helper.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOST_US INT64_C(1000000)
enum { DEATHS_MOST = 3, START_FAILED = 905 };

struct life {
    uint64_t id;
    int fd; /* -1: closed */
    bool over, ready;
    int64_t heard_us;
    int64_t over_us;
    int64_t importing; /* the task whose module it imports; 0 */
};

struct attempt {
    int64_t task;
    struct life *life; /* NULL: it was told to none yet */
    pid_t pid;         /* 0: not forked yet */
    int deaths;        /* lives that ended before it was forked */
    char *order;       /* the message, until it is forked */
    size_t order_len;
};

struct flow_helper {
    struct flow_helper_plan plan;
    struct buf setup, text;
    int epoll_fd;
    struct life **lives;
    size_t life_count;
    struct life *current; /* NULL: none is alive */
    uint64_t next_id;
    struct attempt *attempts; /* in the order in which they came */
    size_t count, room;
    bool writable_awaited;
    bool setup_sent;
};

struct flow_helper *flow_helper_new(const struct flow_helper_plan *plan)
{
    struct flow_helper *h = xcalloc(1, sizeof *h);
    h->plan = *plan;
    h->epoll_fd = -1;
    h->next_id = FLOW_HELPER_ID_FIRST;
    buf_init(&h->setup, BUF_NO_CAP);
    buf_init(&h->text, BUF_NO_CAP);
    return h;
}

static void life_free(struct life *l)
{
    fd_drop(&l->fd);
    free(l);
}

void flow_helper_free(struct flow_helper *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->life_count; i++)
        life_free(h->lives[i]);
    for (size_t i = 0; i < h->count; i++)
        free(h->attempts[i].order);
    free(h->lives);
    free(h->attempts);
    buf_release(&h->setup);
    buf_release(&h->text);
    fd_drop(&h->epoll_fd);
    free(h);
}

int flow_helper_fd(const struct flow_helper *h)
{
    return h->epoll_fd;
}

/* ---- lives ---- */

static bool start_life(struct flow_helper *h, int their_fd, uint64_t id, struct err *err)
{
    const char *const argv[] = {h->plan.python, "-m", "penstock.flow.helper", NULL};
    const struct keeper_program program = {.id = id,
                                           .argv = argv,
                                           .environment = h->plan.environment,
                                           .output_fd = STDERR_FILENO,
                                           .control_fd = their_fd};
    return keeper_run(h->plan.keeper, &program, err);
}

bool flow_helper_warm(struct flow_helper *h, struct err *err)
{
    int ends[2];
    if (h->current)
        return true;
    if (h->epoll_fd < 0)
        h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll_fd < 0)
        return err_errno(err, errno, "epoll");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return err_errno(err, errno, "socket of the Python helper");
    OWNED_FD int ours = ends[0], theirs = ends[1];
    struct life *l = xcalloc(1, sizeof *l);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
    if (epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, ours, &event) != 0 ||
        !start_life(h, theirs, h->next_id, err)) {
        free(l);
        return false;
    }
    *l = (struct life){.id = h->next_id++, .fd = TAKE_FD(ours), .heard_us = clock_now().mono_us};
    h->lives = xrealloc(h->lives, (h->life_count + 1) * sizeof *h->lives);
    h->lives[h->life_count++] = l;
    h->current = l;
    h->setup_sent = h->writable_awaited = false;
    return true;
}

void flow_helper_set_up(struct flow_helper *h, const struct helper_setup *setup)
{
    h->setup.len = 0;
    helper_setup_write(setup, &h->setup);
}

static size_t attempts_of(const struct flow_helper *h, const struct life *l)
{
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++)
        count += h->attempts[i].life == l;
    return count;
}

/* Lives that are over, that nobody speaks through, and whose attempts have ended. */
static void drop_lives(struct flow_helper *h)
{
    for (size_t i = h->life_count; i-- > 0;) {
        struct life *l = h->lives[i];
        if (!l->over || l->fd >= 0 || attempts_of(h, l) > 0)
            continue;
        life_free(l);
        h->lives[i] = h->lives[--h->life_count];
    }
}

/* ---- attempts ---- */

static struct attempt *find(struct flow_helper *h, int64_t task)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->attempts[i].task == task)
            return &h->attempts[i];
    return NULL;
}

static void drop(struct flow_helper *h, struct attempt *a)
{
    size_t i = (size_t)(a - h->attempts);
    free(a->order);
    memmove(a, a + 1, (h->count - i - 1) * sizeof *a);
    h->count--;
}

bool flow_helper_run(struct flow_helper *h, const struct node_task *t, struct err *err)
{
    struct buf order;
    buf_init(&order, BUF_NO_CAP);
    if (!helper_run_write(t, &order, err) || !flow_helper_warm(h, err)) {
        buf_release(&order);
        return false;
    }
    if (h->count == h->room) {
        h->room = h->room ? h->room * 2 : 64;
        h->attempts = xrealloc(h->attempts, h->room * sizeof *h->attempts);
    }
    size_t len = order.len;
    h->attempts[h->count++] =
        (struct attempt){.task = t->task, .order_len = len, .order = buf_take(&order)};
    return true;
}

void flow_helper_forget(struct flow_helper *h, int64_t task)
{
    struct attempt *a = find(h, task);
    if (a)
        drop(h, a);
}

static void refuse(struct flow_helper *h, struct attempt *a, const char *message)
{
    OWNED_BUF struct buf error;
    struct json_out o;
    int64_t task = a->task;
    buf_init(&error, BUF_NO_CAP);
    json_out_init(&o, &error);
    json_out_open(&o, '{');
    json_out_name(&o, "type");
    json_out_text(&o, "HelperDied");
    json_out_name(&o, "message");
    json_out_text(&o, message);
    json_out_close(&o, '}');
    drop(h, a);
    h->plan.hooks->refused(h->plan.context, task, START_FAILED, buf_str(&error));
}

/* ---- messages ---- */

static void take_message(struct flow_helper *h, struct life *l, const struct helper_message *m)
{
    struct attempt *a = m->kind == HELPER_READY ? NULL : find(h, m->task);
    const struct flow_helper_hooks *hooks = h->plan.hooks;
    if (m->kind == HELPER_READY)
        l->ready = true;
    if (!a && m->kind == HELPER_STARTED)
        kill(-m->pid, SIGKILL);
    if (!a || a->life != l)
        return;
    if (m->kind == HELPER_IMPORTING)
        l->importing = m->task;
    else if (l->importing == m->task)
        l->importing = 0;
    if (m->kind == HELPER_STARTED) {
        a->pid = m->pid;
        free(TAKE(a->order));
        hooks->started(h->plan.context, m->task, m->pid);
    } else if (m->kind == HELPER_REFUSED) {
        drop(h, a);
        hooks->refused(h->plan.context, m->task, m->code, m->error);
    } else if (m->kind == HELPER_OUTCOME)
        hooks->outcome(h->plan.context, m->task, m->code, m->final, m->error);
    else if (m->kind == HELPER_EXITED) {
        drop(h, a);
        hooks->exited(h->plan.context, m->task, (int)m->status);
    }
}

/* All that has come. A Worker may write nonsense to the socket: that is passed over. */
static void read_life(struct flow_helper *h, struct life *l, int64_t now_us)
{
    static char bytes[2 * HELPER_MESSAGE_MAX_BYTES];
    while (l->fd >= 0) {
        struct helper_message m;
        struct err ignored;
        ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        /* Who ends with orders that it has not read resets the connection: that is told once, in
         * front of what it has said before. */
        if (n < 0 && (errno == EINTR || errno == ECONNRESET))
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            fd_drop(&l->fd);
            l->fd = -1;
            return;
        }
        l->heard_us = now_us;
        if (helper_message_read((struct str){bytes, (size_t)n}, &m, &ignored))
            take_message(h, l, &m);
    }
}

bool flow_helper_renew(struct flow_helper *h, int64_t task, int64_t now_us, struct err *err)
{
    struct attempt *a = find(h, task);
    struct life *l = a ? a->life : NULL;
    if (!l)
        return true;
    read_life(h, l, now_us);
    return l->over || !find(h, task) || keeper_signal(h->plan.keeper, l->id, SIGKILL, err);
}

static void await_writable(struct flow_helper *h, struct life *l, bool awaited)
{
    struct epoll_event event = {.events = EPOLLIN | (awaited ? (uint32_t)EPOLLOUT : 0u),
                                .data.ptr = l};
    if (h->writable_awaited != awaited && l->fd >= 0)
        (void)epoll_ctl(h->epoll_fd, EPOLL_CTL_MOD, l->fd, &event);
    h->writable_awaited = awaited;
}

static bool tell(struct flow_helper *h, struct life *l, struct str message)
{
    ssize_t n = 0;
    do
        n = send(l->fd, message.ptr, message.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
        await_writable(h, l, true);
    return n >= 0;
}

static void send_orders(struct flow_helper *h, int64_t now_us)
{
    struct life *l = h->current;
    if (!l || l->fd < 0 || h->setup.len == 0)
        return;
    if (!h->setup_sent && !(h->setup_sent = tell(h, l, buf_str(&h->setup))))
        return;
    for (size_t i = 0; i < h->count; i++) {
        struct attempt *a = &h->attempts[i];
        if (a->life)
            continue;
        if (!tell(h, l, (struct str){a->order, a->order_len}))
            return;
        a->life = l;
        l->heard_us = now_us; /* its time to answer begins anew */
    }
    await_writable(h, l, false);
}

/* ---- death ---- */

/* What it had not forked yet goes to the next life; whom it died of (or hung with) does not. */
static void end_life(struct flow_helper *h, struct life *l, int64_t now_us, const char *how)
{
    read_life(h, l, now_us);
    l->over = true;
    l->over_us = now_us;
    if (h->current == l)
        h->current = NULL;
    for (size_t i = 0; i < h->count;) {
        struct attempt *a = &h->attempts[i];
        if (a->life != l || a->pid > 0) {
            i++;
            continue;
        }
        a->life = NULL;
        /* Whom it died of is known by an import; else each may have been it. */
        bool blamed = a->task == l->importing || (!l->importing && ++a->deaths >= DEATHS_MOST);
        if (!blamed) {
            i++;
            continue;
        }
        OWNED_MEM char *text =
            a->task == l->importing
                ? xasprintf("the import of its module %s", how)
                : xasprintf("the Python helper ended %d times before it began", DEATHS_MOST);
        refuse(h, a, text);
    }
    l->importing = 0;
}

/* An attempt whose end nobody saw: its helper reaped it and was gone before it could say so. */
static void end_lost(struct flow_helper *h, struct life *l, int64_t now_us)
{
    for (size_t i = 0; i < h->count;) {
        struct attempt *a = &h->attempts[i];
        if (a->life != l || a->pid <= 0 || kill(a->pid, 0) == 0 || errno != ESRCH) {
            i++;
            continue;
        }
        int64_t task = a->task;
        drop(h, a);
        h->plan.hooks->exited(h->plan.context, task, SIGKILL);
    }
    l->over_us = now_us;
}

bool flow_helper_report(struct flow_helper *h, const struct keeper_report *r, int64_t now_us)
{
    if (r->kind != KEEPER_ORPHAN && r->id < FLOW_HELPER_ID_FIRST)
        return false;
    for (size_t i = 0; r->kind != KEEPER_ORPHAN && i < h->life_count; i++)
        if (h->lives[i]->id == r->id) {
            end_life(h, h->lives[i], now_us,
                     r->kind == KEEPER_FAILED ? "could not begin" : "ended the Python helper");
            drop_lives(h);
            return true;
        }
    for (size_t i = 0; r->kind == KEEPER_ORPHAN && i < h->count; i++) {
        if (h->attempts[i].pid != r->pid)
            continue;
        int64_t task = h->attempts[i].task;
        read_life(h, h->attempts[i].life, now_us);
        struct attempt *a = find(h, task);
        if (a) {
            drop(h, a);
            h->plan.hooks->exited(h->plan.context, task, r->status);
        }
        drop_lives(h);
        break;
    }
    return true;
}

/* ---- the step ---- */

static bool awaits_answer(const struct flow_helper *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->attempts[i].life == h->current && h->attempts[i].pid == 0)
            return true;
    return false;
}

static int64_t hung_us(const struct flow_helper *h)
{
    return h->current && awaits_answer(h) ? h->current->heard_us + h->plan.import_timeout_us
                                          : NEVER_US;
}

static bool has_waiting(const struct flow_helper *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (!h->attempts[i].life)
            return true;
    return false;
}

static bool has_orphans(const struct flow_helper *h, const struct life *l)
{
    return l->over && attempts_of(h, l) > 0;
}

bool flow_helper_step(struct flow_helper *h, int64_t now_us, struct err *err)
{
    struct epoll_event events[16];
    int n = h->epoll_fd >= 0 ? epoll_wait(h->epoll_fd, events, 16, 0) : 0;
    for (int i = 0; i < n; i++)
        read_life(h, events[i].data.ptr, now_us);
    if (hung_us(h) <= now_us) {
        struct life *l = h->current;
        if (!keeper_signal(h->plan.keeper, l->id, SIGKILL, err))
            return false;
        end_life(h, l, now_us, "took too long");
    }
    for (size_t i = 0; i < h->life_count; i++)
        if (has_orphans(h, h->lives[i]) && h->lives[i]->over_us + LOST_US <= now_us)
            end_lost(h, h->lives[i], now_us);
    drop_lives(h);
    if (has_waiting(h) && !flow_helper_warm(h, err))
        return false;
    send_orders(h, now_us);
    return true;
}

int64_t flow_helper_next_us(const struct flow_helper *h)
{
    int64_t next_us = hung_us(h);
    for (size_t i = 0; i < h->life_count; i++)
        if (has_orphans(h, h->lives[i]) && h->lives[i]->over_us + LOST_US < next_us)
            next_us = h->lives[i]->over_us + LOST_US;
    return next_us;
}
