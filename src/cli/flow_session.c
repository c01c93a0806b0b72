/* flow_session.c: see flow_session.h. */
#include "cli/flow_session.h"

#include "base/clock.h"
#include "base/json.h"
#include "run/flow_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define DRAW_US SECOND_US
#define LOOK_US (2 * SECOND_US)
/* When the server does not say that the flow was stopped, we go anyway. */
#define STOP_MOST_US (20 * SECOND_US)
/* So long the nodes are left alone until the server knows that the flow is to be stopped. */
#define ABORT_MOST_US SECOND_US
#define PATIENCE_US (60 * SECOND_US)
enum { OWN_WAIT_S = 3600, WAIT_S = 30, UNLIMITED = 100000, CTLLOG_PART = 20, STATE_BYTES = 16 };

struct flow_session {
    struct flow_session_plan plan;
    struct flow_session_work work;
    struct keeper *keeper;
    struct flow_runner *runner;
    struct call *wait, *look, *abort;
    struct buf answer;
    char *path, *worker, *queue;
    char state[STATE_BYTES];
    int signal_fd, signal;
    unsigned signals; /* how many have come, and for how many of them the nodes were stopped */
    unsigned acted;
    double eta_s;
    bool ended, defaulted; /* defaulted: there may be new D marks on the server */
    bool changed;          /* since the state file was written */
    int64_t ctllog_us, draw_us, look_us, wait_again_us, away_us, leave_us;
    int64_t stop_us; /* the nodes are stopped then at the latest; NEVER_US: they are not to be */
};

/* ---- opening ---- */

static bool take_signals(struct flow_session *s, struct err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction now;
        /* Who was started with nohup stays so. */
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN &&
            numbers[i] == SIGHUP)
            continue;
        sigaddset(&set, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return err_set(err, ERR_INTERNAL, "signals cannot be blocked");
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 || err_errno(err, errno, "signalfd");
}

static void on_started(void *context, const struct node_seen *node)
{
    struct flow_session *s = context;
    flow_report_started(s->work.report, node);
    if (s->work.mirror)
        flow_mirror_set(s->work.mirror, node->task->node, 'R', 0);
    s->changed = true;
}

static void on_ended(void *context, const struct node_seen *node)
{
    static const char marks[] = {'C', 'F', 'P', 'A'};
    struct flow_session *s = context;
    flow_report_ended(s->work.report, node);
    if (s->work.mirror)
        flow_mirror_set(s->work.mirror, node->task->node, marks[node->end], node->elapsed_s);
    s->changed = true;
    s->defaulted |= node->end == NODE_FAILED;
}

static void on_lost(void *context)
{
    struct flow_session *s = context;
    flow_report_say(s->work.report, "the server has given this runner up: what ran is stopped, "
                                    "and runs elsewhere");
}

static void on_trouble(void *context, const char *text)
{
    struct flow_session *s = context;
    flow_report_say(s->work.report, "%s; what was done is told again until it is taken", text);
}

static char *worker_name(void)
{
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "host");
    return xasprintf("%.150s:%ld", host, (long)getpid());
}

bool flow_session_open(const struct flow_session_plan *plan, struct flow_session **out,
                       struct err *err)
{
    static const struct flow_runner_hooks hooks = {
        .started = on_started, .ended = on_ended, .lost = on_lost, .trouble = on_trouble};
    OWNED(flow_session) struct flow_session *s = xcalloc(1, sizeof *s);
    s->plan = *plan;
    s->signal_fd = -1;
    s->eta_s = -1;
    s->leave_us = s->stop_us = NEVER_US;
    buf_init(&s->answer, BUF_NO_CAP);
    s->worker = worker_name();
    s->queue = plan->name ? xasprintf("flow/%s", plan->name) : NULL;
    if (!take_signals(s, err) || !keeper_start(&s->keeper, err))
        return false;
    int64_t most = plan->settings->max_running;
    const struct flow_runner_plan runner = {
        .queue = s->queue,
        .worker = s->worker,
        .own = plan->own,
        .places = most > 0 ? (size_t)most : UNLIMITED,
        .keeper = s->keeper,
        .python = plan->python,
        .python_environment = plan->python_environment,
        .import_timeout_us = plan->settings->import_timeout_us,
        .no_retry_code = plan->settings->no_retry_code,
        .hooks = &hooks,
        .context = s,
    };
    s->runner = flow_runner_new(&runner);
    if (plan->python && plan->name && !plan->settings->dry_run && !flow_runner_warm(s->runner, err))
        return false;
    *out = TAKE(s);
    return true;
}

void flow_session_free(struct flow_session *s)
{
    if (!s)
        return;
    call_free(s->wait);
    call_free(s->look);
    call_free(s->abort);
    flow_runner_free(s->runner);
    keeper_free(s->keeper);
    fd_drop(&s->signal_fd);
    buf_release(&s->answer);
    free(s->path);
    free(s->worker);
    free(s->queue);
    free(s);
}

int flow_session_signal(const struct flow_session *s)
{
    return s->signal;
}

const char *flow_session_state(const struct flow_session *s)
{
    return s->state;
}

static void look_for_signals(struct flow_session *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
        if (!s->signal)
            s->signal = (int)info.ssi_signo;
        s->signals++;
    }
}

/* ---- stopping ---- */

static bool begin_abort(struct flow_session *s, struct err *err)
{
    OWNED_MEM char *path = xasprintf("%s/abort", s->path);
    return call_pending(s->abort) || call_begin(s->abort, "POST", path, STR("{}"), err);
}

/* The nodes are stopped once the server has stopped the flow: an end that it hears of before is one
 * that the node came to by itself. The second signal waits for nothing. */
static bool step_signals(struct flow_session *s, int64_t now_us, struct err *err)
{
    look_for_signals(s);
    if (s->signals && s->leave_us == NEVER_US) {
        s->leave_us = now_us + STOP_MOST_US;
        s->stop_us = now_us + ABORT_MOST_US;
        flow_report_say(s->work.report, "stopping: %zu running; a second signal kills them",
                        flow_runner_running(s->runner));
        if (s->path && !begin_abort(s, err))
            return false;
    }
    long status = 0;
    struct err ignored; /* that the flow had ended, or that the server is gone: it is seen below */
    if (call_ended(s->abort) && !call_end(s->abort, &status, &s->answer, &ignored))
        s->ended |= status == 404;
    bool now = s->signals > 1 || s->stop_us <= now_us || !call_pending(s->abort);
    for (; now && s->acted < s->signals && s->acted < 2; s->acted++) {
        flow_runner_stop(s->runner, now_us);
        s->stop_us = NEVER_US;
    }
    return true;
}

/* ---- the flow's end ---- */

static void take_state(struct flow_session *s)
{
    struct str raw;
    OWNED_MEM char *state = NULL;
    if (json_find(buf_str(&s->answer), "state", &raw))
        state = json_take_text(raw);
    if (!state || strcmp(state, "running") == 0)
        return;
    s->ended = true;
    snprintf(s->state, sizeof s->state, "%s", state);
}

static bool step_wait(struct flow_session *s, int64_t now_us, struct err *err)
{
    long status = 0;
    if (!s->path || s->ended)
        return true;
    if (call_ended(s->wait)) {
        if (call_end(s->wait, &status, &s->answer, err)) {
            s->away_us = 0;
            take_state(s);
        } else if (err->code == ERR_BUSY) {
            s->away_us = s->away_us ? s->away_us : now_us;
            s->wait_again_us = now_us + SECOND_US;
            if (now_us - s->away_us > PATIENCE_US)
                return err_add(err, "wait for the flow");
        } else
            return err_add(err, "wait for the flow");
    }
    if (s->ended || call_pending(s->wait) || s->wait_again_us > now_us)
        return true;
    OWNED_MEM char *path = xasprintf("%s?wait_s=%d", s->path, s->plan.own ? OWN_WAIT_S : WAIT_S);
    return call_begin(s->wait, "GET", path, (struct str){0}, err);
}

/* ---- what is shown ---- */

static bool step_draw(struct flow_session *s, int64_t now_us, struct err *err)
{
    long status = 0;
    struct err ignored;
    struct str raw;
    if (!flow_report_is_live(s->work.report))
        return true;
    if (call_ended(s->look) && call_end(s->look, &status, &s->answer, &ignored) &&
        (!json_find(buf_str(&s->answer), "eta_s", &raw) || !json_double(raw, &s->eta_s)))
        s->eta_s = -1;
    if (s->path && !call_pending(s->look) && s->look_us <= now_us) {
        s->look_us = now_us + LOOK_US;
        if (!call_begin(s->look, "GET", s->path, (struct str){0}, err))
            return false;
    }
    if (s->draw_us <= now_us) {
        flow_report_draw(s->work.report, s->runner, s->eta_s);
        s->draw_us = now_us + DRAW_US;
    }
    return true;
}

/* A failure to write it is no reason to stop: the truth is in the store. */
static void write_ctllog(struct flow_session *s, int64_t now_us)
{
    struct err err;
    bool good = true;
    if (s->defaulted)
        good = flow_mirror_load(s->work.mirror, s->work.client, s->path, 'D', &err);
    s->defaulted = s->changed = false;
    good = good && flow_mirror_write(s->work.mirror, s->work.ctllog, &err);
    /* Of a flow with very many nodes that costs something. */
    int64_t took_us = clock_now().mono_us - now_us;
    s->ctllog_us = now_us + (took_us * CTLLOG_PART > SECOND_US ? took_us * CTLLOG_PART : SECOND_US);
    if (!good)
        flow_report_say(s->work.report, "the state file is not up to date: %s", err.text);
}

/* ---- the loop ---- */

static bool is_over(const struct flow_session *s, int64_t now_us)
{
    if (s->signal && s->leave_us <= now_us)
        return true;
    bool idle = flow_runner_is_idle(s->runner);
    return idle && (s->path ? s->ended : s->signal != 0);
}

static int64_t next_us(const struct flow_session *s)
{
    bool live = flow_report_is_live(s->work.report);
    int64_t times[] = {
        flow_runner_next_us(s->runner),
        s->work.ctllog && s->changed ? s->ctllog_us : NEVER_US,
        live ? s->draw_us : NEVER_US,
        s->leave_us,
        s->stop_us,
        s->path && !s->ended && !call_pending(s->wait) ? s->wait_again_us : NEVER_US,
    };
    int64_t least = NEVER_US;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        least = times[i] < least ? times[i] : least;
    return least;
}

static bool wait_for_something(struct flow_session *s, struct err *err)
{
    int own[FLOW_RUNNER_FDS];
    struct pollfd fds[FLOW_RUNNER_FDS + 1];
    size_t count = flow_runner_fds(s->runner, own);
    for (size_t i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = own[i], .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    int64_t until_us = next_us(s), now_us = clock_now().mono_us;
    int64_t wait_us = until_us == NEVER_US ? NEVER_US : until_us > now_us ? until_us - now_us : 0;
    return client_wait(s->work.client, fds, count, wait_us, err);
}

static bool turn(struct flow_session *s, bool *over, struct err *err)
{
    int64_t now_us = clock_now().mono_us;
    if (!flow_runner_step(s->runner, now_us, err) || !step_signals(s, now_us, err) ||
        !step_wait(s, now_us, err) || !step_draw(s, now_us, err))
        return false;
    if (s->work.ctllog && s->changed && s->ctllog_us <= now_us)
        write_ctllog(s, now_us);
    *over = is_over(s, now_us);
    return *over || wait_for_something(s, err);
}

bool flow_session_work(struct flow_session *s, const struct flow_session_work *work,
                       struct err *err)
{
    const struct helper_setup setup = {
        .path = s->plan.folders,
        .server = work->server,
        .key = work->key,
        .interactive = s->plan.settings->interactive,
        .no_retry_code = s->plan.settings->no_retry_code,
    };
    s->work = *work;
    s->path = NULL;
    if (s->plan.name) {
        OWNED_BUF struct buf path;
        buf_init(&path, BUF_NO_CAP);
        buf_add_text(&path, "/v1/flows/");
        client_escape(&path, s->plan.name);
        s->path = xstrndup(path.data, path.len);
    }
    s->wait = call_new(work->client);
    s->look = call_new(work->client);
    s->abort = call_new(work->client);
    if (s->plan.own)
        call_wait_long(s->wait);
    flow_runner_begin(s->runner, work->client, &setup);
    bool good = true;
    for (bool over = false; good && !over;)
        good = turn(s, &over, err);
    flow_runner_leave(s->runner);
    return good;
}
