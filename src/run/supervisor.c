/* supervisor.c: see supervisor.h. */
#include "run/supervisor.h"

#include "base/json.h"
#include "run/child.h"
#include "run/worker_process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define BACKOFF_FIRST_US (SECOND_US / 10)
#define BACKOFF_MAX_US (10 * SECOND_US)
/* What a process has, behind its grace or its bye, for on_shutdown and its way out. */
#define MARGIN_US (10 * SECOND_US)
#define MEMORY_LOOK_US SECOND_US
enum { EVENTS_AT_ONCE = 32, DEATHS_MAX = 5, LAST_LINE_BYTES = 512 };

struct child {
    struct supervisor *of;
    int number;
    enum child_state state;
    struct worker_process process; /* when child_is_there */
    int64_t due_us;                /* when the time of this state is over; NEVER_US */
    int64_t heard_us;              /* when it said last that it is alive; NEVER_US: it never did */
    bool ready;                    /* it said that on_startup is done */
    int deaths;                    /* in a row without being ready */
    char *lease;                   /* the last it told of; NULL */
    const char *killed_for;        /* why we killed it; NULL: we did not */
    int64_t oom_kills;             /* worker_process_oom_kills when it was started */
    char last_line[LAST_LINE_BYTES]; /* that it printed */
};

struct supervisor {
    struct supervisor_plan plan;
    struct child *children;
    int64_t count; /* of those that were ever started */
    int epoll_fd;
    const struct worker_go *go; /* NULL: not yet */
    char host[64];
    bool stopping, said_hello;
    int64_t grace_us; /* of the stop */
    int64_t look_us;  /* when memory is looked at next */
    int64_t now_us;
    int64_t deaths;
    struct err failure;
};

static void tell_go(struct child *c)
{
    OWNED_BUF struct buf message;
    OWNED_MEM char *name = xasprintf("%s:%ld", c->of->host, (long)c->process.pid);
    struct worker_go go = *c->of->go;
    go.worker = name;
    buf_init(&message, WORKER_MESSAGE_MAX_BYTES);
    worker_go_write(&go, &message);
    worker_process_tell(&c->process, &message);
}

static void tell_stop(struct child *c)
{
    OWNED_BUF struct buf message;
    buf_init(&message, WORKER_MESSAGE_MAX_BYTES);
    worker_stop_write((double)c->of->grace_us / 1e6, &message);
    worker_process_tell(&c->process, &message);
}

/* ---- what becomes of a process ---- */

static bool happen(struct child *c, enum child_event event);
static void start_process(struct child *c);

/* A process that dies before it is of use is not started again at once, and not for ever. */
static int64_t backoff_us(struct child *c)
{
    int64_t wait = BACKOFF_FIRST_US;
    for (int i = 1; i < c->deaths && wait < BACKOFF_MAX_US; i++)
        wait *= 2;
    return wait < BACKOFF_MAX_US ? wait : BACKOFF_MAX_US;
}

/* What belongs to arriving in a state. */
static void enter(struct child *c, enum child_state from)
{
    struct supervisor *s = c->of;
    c->due_us = NEVER_US;
    switch (c->state) {
    case CHILD_RESTING:
        c->due_us = s->now_us + (from == CHILD_RECYCLING ? 0 : backoff_us(c));
        break;
    case CHILD_STARTING:
        start_process(c);
        break;
    case CHILD_WORKING:
        tell_go(c);
        break;
    case CHILD_LEAVING:
        tell_stop(c);
        c->due_us = s->now_us + s->grace_us + MARGIN_US;
        break;
    case CHILD_LEFT:
    case CHILD_RECYCLING:
        c->due_us = s->now_us + MARGIN_US;
        break;
    case CHILD_KILLED:
    case CHILD_ENDED:
        if (from != CHILD_KILLED && from != CHILD_ENDED)
            worker_process_kill(&c->process);
        break;
    case CHILD_WAITING:
    case CHILD_GONE:
    case CHILD_STATE_COUNT:
        break;
    }
}

/* The only writer of a child's state. False when the event cannot come there. */
static bool happen(struct child *c, enum child_event event)
{
    enum child_state from = c->state, to = from;
    if (!child_next(from, event, &to))
        return false;
    c->state = to;
    if (to != from || event == CHILD_STOP)
        enter(c, from);
    return true;
}

static void fail(struct supervisor *s, enum err_code code, const char *text)
{
    if (s->failure.code == ERR_NONE)
        err_set(&s->failure, code, "%s", text);
}

static void stop_now(struct supervisor *s)
{
    supervisor_stop(s, s->plan.grace_us, (struct instant){.mono_us = s->now_us});
}

static void start_process(struct child *c)
{
    struct supervisor *s = c->of;
    struct err err;
    c->heard_us = NEVER_US;
    c->ready = false;
    c->killed_for = NULL;
    c->last_line[0] = '\0';
    c->oom_kills = worker_process_oom_kills();
    if (worker_process_start(&c->process, s->plan.argv, s->plan.environment, s->epoll_fd,
                             (uint64_t)(c - s->children) * WORKER_END_COUNT, &err))
        return;
    /* Processes or memory may be short for a moment; a program that is missing stays missing. */
    c->deaths++;
    happen(c, CHILD_EXIT);
    if (c->deaths < DEATHS_MAX && err.code == ERR_BUSY)
        return;
    fail(s, err.code, err.text);
    stop_now(s);
}

/* ---- what a process says ---- */

static void take_output(void *child, struct str line)
{
    struct child *c = child;
    size_t len = line.len < sizeof c->last_line ? line.len : sizeof c->last_line - 1;
    if (len > 0) {
        memcpy(c->last_line, line.ptr, len);
        c->last_line[len] = '\0';
    }
    c->of->plan.hooks->line(c->of->plan.context, c->number, line);
}

static void take_hello(struct child *c, struct str body)
{
    struct supervisor *s = c->of;
    if (!happen(c, CHILD_HELLO))
        return;
    if (!s->said_hello) {
        s->said_hello = true;
        s->plan.hooks->hello(s->plan.context, body);
    }
    if (s->go && c->state == CHILD_WAITING)
        happen(c, CHILD_GO);
}

/* The process cannot do its work. What fails at the end of one does not stop the others. */
static void take_failure(struct child *c, enum worker_message_kind kind, struct str body)
{
    struct supervisor *s = c->of;
    OWNED_MEM char *where = worker_message_text(body, "where");
    OWNED_MEM char *text = worker_message_text(body, "text");
    OWNED_MEM char *traceback = worker_message_text(body, "traceback");
    bool at_end = where && strcmp(where, "on_shutdown") == 0;
    s->plan.hooks->failed(s->plan.context, where ? where : "", text ? text : "no reason was given",
                          traceback ? traceback : "");
    if (at_end)
        return;
    /* What others run could not be written either. */
    bool gone = where && strcmp(where, "output") == 0;
    bool usage = (kind == WORKER_ERROR && !s->go) || (where && strcmp(where, "command") == 0);
    fail(s, gone ? ERR_GONE : usage ? ERR_INVALID : ERR_IO, text ? text : "the worker failed");
    happen(c, CHILD_FAILURE);
    supervisor_stop(s, gone ? 0 : s->plan.grace_us, (struct instant){.mono_us = s->now_us});
}

static void take_bye(struct child *c, struct str body)
{
    const struct supervisor *s = c->of;
    OWNED_MEM char *reason = worker_message_text(body, "reason");
    struct str value;
    int64_t ran = 0;
    if (json_find(body, "ran", &value) && !json_i64(value, 0, INT64_MAX, &ran))
        ran = 0;
    bool again = reason && strcmp(reason, "recycle") == 0;
    /* It has given back what it held. */
    free(TAKE(c->lease));
    if (again && !s->stopping)
        s->plan.hooks->recycled(s->plan.context, c->number, ran);
    happen(c, again ? CHILD_RECYCLE : CHILD_BYE);
}

static void take_control(void *child, struct str line)
{
    struct child *c = child;
    const struct supervisor *s = c->of;
    enum worker_message_kind kind = WORKER_MESSAGE_KIND_COUNT;
    struct str body;
    struct err err;
    if (!worker_message_read(line, &kind, &body, &err)) {
        s->plan.hooks->line(s->plan.context, c->number, str_of(err.text));
        return;
    }
    switch (kind) {
    case WORKER_HELLO:
        take_hello(c, body);
        break;
    case WORKER_ERROR:
    case WORKER_FAILED:
        take_failure(c, kind, body);
        break;
    case WORKER_READY:
        c->ready = true;
        c->deaths = 0;
        break;
    case WORKER_ALIVE:
        c->heard_us = s->now_us;
        break;
    case WORKER_LEASE:
        free(c->lease);
        c->lease = json_take_text(body);
        break;
    case WORKER_LOG:
        s->plan.hooks->log(s->plan.context, c->number, body);
        break;
    case WORKER_BYE:
        take_bye(c, body);
        break;
    case WORKER_MESSAGE_KIND_COUNT:
        break;
    }
}

/* ---- how it ends ---- */

/* Whether it was the kernel's way to get memory: it does so with SIGKILL, and counts. */
static bool was_short_of_memory(const struct child *c, int status)
{
    return WTERMSIG(status) == SIGKILL && c->oom_kills >= 0 &&
           worker_process_oom_kills() > c->oom_kills;
}

static void describe_end(const struct child *c, int status, char *out, size_t size)
{
    if (c->killed_for && WIFSIGNALED(status))
        snprintf(out, size, "was killed: %s", c->killed_for);
    else if (WIFSIGNALED(status) && was_short_of_memory(c, status))
        snprintf(out, size, "was killed by signal %d (%s), as the kernel ran out of memory",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WIFSIGNALED(status))
        snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}

/* A process that never was of use, again and again: nothing will come of it. */
static void give_up(struct child *c, enum child_state before, const char *how)
{
    char text[sizeof c->of->failure.text];
    if (before == CHILD_STARTING)
        snprintf(text, sizeof text, "the worker process %s before it said a word%s%.300s", how,
                 c->last_line[0] ? ": " : "", c->last_line);
    else
        snprintf(text, sizeof text, "the worker process died %d times before it was ready (%s)",
                 c->deaths, how);
    fail(c->of, ERR_IO, text);
    stop_now(c->of);
}

static void died(struct child *c, enum child_state before, int status)
{
    struct supervisor *s = c->of;
    char how[160];
    describe_end(c, status, how, sizeof how);
    s->deaths++;
    c->deaths = c->ready ? 0 : c->deaths + 1;
    bool leaves = s->stopping || before == CHILD_LEAVING || before == CHILD_ENDED;
    bool hopeless = c->deaths >= DEATHS_MAX || (before == CHILD_STARTING && !s->said_hello);
    s->plan.hooks->died(s->plan.context, c->number, how, c->lease, !leaves && !hopeless);
    if (!leaves && hopeless)
        give_up(c, before, how);
}

/* The pidfd is readable: the process has ended. All it said comes first; what it left running may
 * hold the pipe open, and goes with it. */
static void reap(struct child *c)
{
    worker_process_read(&c->process, WORKER_CONTROL, take_control, c);
    worker_process_read(&c->process, WORKER_OUTPUT, take_output, c);
    int status = worker_process_reap(&c->process);
    worker_process_read(&c->process, WORKER_OUTPUT, take_output, c);
    enum child_state before = c->state;
    if (before != CHILD_LEFT && before != CHILD_RECYCLING)
        died(c, before, status);
    worker_process_release(&c->process);
    free(TAKE(c->lease));
    happen(c, CHILD_EXIT);
}

/* ---- what is due ---- */

static int64_t hangs_at_us(const struct child *c)
{
    const struct supervisor *s = c->of;
    if (c->state != CHILD_WORKING || c->heard_us == NEVER_US || !(s->plan.timeout_s > 0))
        return NEVER_US;
    return c->heard_us + (int64_t)(s->plan.timeout_s * 1e6) + s->plan.grace_us;
}

static void kill_for(struct child *c, const char *why)
{
    if (!c->killed_for)
        c->killed_for = why;
    happen(c, CHILD_KILL);
}

static void do_what_is_due(struct supervisor *s)
{
    bool look = s->plan.max_memory_bytes > 0 && s->now_us >= s->look_us;
    for (int64_t i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        if (c->due_us <= s->now_us)
            happen(c, CHILD_DUE);
        if (hangs_at_us(c) <= s->now_us)
            kill_for(c, "it gave no sign of life for longer than --timeout and --grace");
        if (look && c->state == CHILD_WORKING &&
            worker_process_memory_bytes(&c->process) > 2 * s->plan.max_memory_bytes)
            kill_for(c, "it had grown to twice --max-memory-per-process");
    }
    if (look)
        s->look_us = s->now_us + MEMORY_LOOK_US;
}

int64_t supervisor_next_us(const struct supervisor *s)
{
    int64_t next = NEVER_US;
    bool any = false;
    for (int64_t i = 0; i < s->count; i++) {
        const struct child *c = &s->children[i];
        int64_t hangs = hangs_at_us(c);
        next = c->due_us < next ? c->due_us : next;
        next = hangs < next ? hangs : next;
        any |= c->state == CHILD_WORKING;
    }
    return any && s->plan.max_memory_bytes > 0 && s->look_us < next ? s->look_us : next;
}

void supervisor_step(struct supervisor *s, struct instant now)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    s->now_us = now.mono_us;
    int count = epoll_wait(s->epoll_fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < count; i++) {
        struct child *c = &s->children[events[i].data.u64 / WORKER_END_COUNT];
        /* Its end may have been dealt with in this round; what follows it is started later. */
        if (!child_is_there(c->state))
            continue;
        switch ((enum worker_end)(events[i].data.u64 % WORKER_END_COUNT)) {
        case WORKER_EXIT:
            reap(c);
            break;
        case WORKER_CONTROL:
            worker_process_read(&c->process, WORKER_CONTROL, take_control, c);
            break;
        case WORKER_OUTPUT:
            worker_process_read(&c->process, WORKER_OUTPUT, take_output, c);
            break;
        case WORKER_END_COUNT:
            break;
        }
    }
    /* Messages first: a sign of life that has come counts, however late we look. */
    do_what_is_due(s);
}

/* ---- the whole ---- */

bool supervisor_start(const struct supervisor_plan *plan, struct instant now,
                      struct supervisor **out, struct err *err)
{
    OWNED(supervisor) struct supervisor *s = xcalloc(1, sizeof *s);
    assert(plan->processes > 0);
    s->plan = *plan;
    s->now_us = now.mono_us;
    s->look_us = now.mono_us + MEMORY_LOOK_US;
    if (gethostname(s->host, sizeof s->host - 1))
        snprintf(s->host, sizeof s->host, "localhost");
    s->children = xcalloc((size_t)plan->processes, sizeof *s->children);
    for (int64_t i = 0; i < plan->processes; i++)
        s->children[i] = (struct child){.of = s,
                                        .number = (int)i + 1,
                                        .state = CHILD_RESTING,
                                        .due_us = NEVER_US,
                                        .heard_us = NEVER_US};
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0)
        return err_errno(err, errno, "epoll");
    s->count = 1;
    happen(&s->children[0], CHILD_DUE);
    if (s->failure.code != ERR_NONE) {
        *err = s->failure;
        return false;
    }
    *out = TAKE(s);
    return true;
}

void supervisor_free(struct supervisor *s)
{
    if (!s)
        return;
    for (int64_t i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        if (child_is_there(c->state)) {
            worker_process_kill(&c->process);
            worker_process_reap(&c->process);
            worker_process_release(&c->process);
        }
        free(c->lease);
    }
    fd_drop(&s->epoll_fd);
    free(s->children);
    free(s);
}

void supervisor_go(struct supervisor *s, const struct worker_go *go, struct instant now)
{
    s->now_us = now.mono_us;
    s->go = go;
    if (s->stopping)
        return;
    int64_t there = s->count;
    s->count = s->plan.processes;
    for (int64_t i = 0; i < s->count; i++)
        if (i >= there)
            happen(&s->children[i], CHILD_DUE);
        else if (s->children[i].state == CHILD_WAITING)
            happen(&s->children[i], CHILD_GO);
}

void supervisor_stop(struct supervisor *s, int64_t grace_us, struct instant now)
{
    s->now_us = now.mono_us;
    s->stopping = true;
    s->grace_us = grace_us;
    for (int64_t i = 0; i < s->count; i++)
        happen(&s->children[i], CHILD_STOP);
}

void supervisor_kill(struct supervisor *s)
{
    s->stopping = true;
    for (int64_t i = 0; i < s->count; i++) {
        happen(&s->children[i], CHILD_STOP);
        happen(&s->children[i], CHILD_KILL);
    }
}

int supervisor_fd(const struct supervisor *s)
{
    return s->epoll_fd;
}

bool supervisor_is_over(const struct supervisor *s)
{
    for (int64_t i = 0; i < s->count; i++)
        if (s->children[i].state != CHILD_GONE)
            return false;
    return true;
}

const struct err *supervisor_failure(const struct supervisor *s)
{
    return &s->failure;
}

int64_t supervisor_deaths(const struct supervisor *s)
{
    return s->deaths;
}
