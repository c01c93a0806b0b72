/* run_session.c: see run_session.h. */
#include "cli/run_session_own.h"

#include "base/clock.h"
#include "base/json.h"
#include "cli/run_place.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
/* A process that may be timed says so often that it is alive. */
#define ALIVE_S 1.0
/* How long a server may be away before the processes are called back. */
#define AWAY_MAX_US (300 * SECOND_US)
/* With no process of our own, how often the job is looked at. */
#define LOOK_US SECOND_US
enum { LOG_TIME_BYTES = 25, LOG_LINE_MAX = 16 << 10, WAIT_MAX_MS = 3600 * 1000 };

enum waited { WAIT_SIGNAL, WAIT_WORKERS, WAIT_LOG, WAITED_COUNT };

/* ---- opening ---- */

/* A second SIGINT or SIGTERM comes the same way as the first: what is to be killed then is ours. */
static bool take_signals(struct run_session *r, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a write that fails */
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return err_set(err, ERR_INTERNAL, "signals cannot be blocked");
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signal_fd >= 0 || err_errno(err, errno, "signalfd");
}

/* Until there is a log file, what the engine has to say comes through a pipe, so that it stands
 * above the progress; only what somebody should know of. */
static bool take_log(struct run_session *r, struct err *err)
{
    if (pipe2(r->log_ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_errno(err, errno, "pipe");
    log_set_level(r->settings->quiet ? LOG_ERROR : LOG_WARN);
    log_set_fd(r->log_ends[1]);
    return true;
}

static bool is_live(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && !(term && strcmp(term, "dumb") == 0);
}

static enum progress_form progress_form(const struct run_settings *settings)
{
    if (settings->quiet)
        return PROGRESS_NONE;
    if (settings->progress == RUN_PROGRESS_JSON)
        return PROGRESS_JSON;
    return is_live() ? PROGRESS_LIVE : PROGRESS_PLAIN;
}

bool run_session_open(const struct run_settings *settings, const struct run_worker *worker,
                      struct run_session **out, struct err *err)
{
    OWNED(run_session) struct run_session *r = xcalloc(1, sizeof *r);
    r->settings = settings;
    r->signal_fd = r->log_fd = r->log_ends[0] = r->log_ends[1] = -1;
    buf_init(&r->hello, WORKER_MESSAGE_MAX_BYTES);
    buf_init(&r->answer, 16 << 20);
    buf_init(&r->release_body, 4096);
    line_stream_init(&r->log_lines, LOG_LINE_MAX);
    r->progress = progress_new(stderr, progress_form(settings));
    const struct supervisor_plan plan = {
        .argv = (const char *const *)worker->argv,
        .environment = (const char *const *)worker->environment,
        .processes = settings->processes,
        .timeout_s = settings->timeout_s,
        .grace_us = settings->grace_us,
        .max_memory_bytes = settings->max_memory_bytes,
        .hooks = &run_hooks,
        .context = r,
    };
    if (!take_signals(r, err) || !take_log(r, err) ||
        (settings->processes > 0 && !supervisor_start(&plan, clock_now(), &r->supervisor, err)))
        return false;
    *out = TAKE(r);
    return true;
}

void run_session_end(struct run_session *r)
{
    if (!r)
        return;
    supervisor_free(TAKE(r->supervisor));
    call_free(TAKE(r->report));
    call_free(TAKE(r->release));
}

void run_session_free(struct run_session *r)
{
    if (!r)
        return;
    run_session_end(r);
    progress_free(r->progress);
    log_set_fd(STDERR_FILENO);
    fd_drop(&r->signal_fd);
    fd_drop(&r->log_fd);
    fd_drop(&r->log_ends[0]);
    fd_drop(&r->log_ends[1]);
    line_stream_release(&r->log_lines);
    buf_release(&r->hello);
    buf_release(&r->answer);
    buf_release(&r->release_body);
    shown_job_release(&r->before);
    shown_job_release(&r->now);
    for (size_t i = 0; i < r->lost_count; i++)
        lost_lease_release(&r->lost[i]);
    free(r->lost);
    for (size_t i = 0; i < SHOWN_KEPT; i++)
        free(r->shown[i]);
    free(r->shutdown_failure);
    free(r->path);
    free(r->release_path);
    free(r);
}

bool run_session_log(struct run_session *r, struct err *err)
{
    const char *path = r->settings->log;
    if (!path)
        return true;
    if (!run_make_folders(path, err))
        return err_add(err, "log");
    r->log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (r->log_fd < 0) {
        err_errno(err, errno, "log %s cannot be written", path);
        err->code = err->code == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_INVALID;
        return false;
    }
    log_set_level(r->settings->log_level);
    log_set_fd(r->log_fd);
    return true;
}

/* ---- the loop ---- */

static void take_log_line(void *session, struct str line)
{
    struct run_session *r = session;
    struct str text = line;
    /* The time in front differs always. */
    if (text.len > LOG_TIME_BYTES) {
        text.ptr += LOG_TIME_BYTES;
        text.len -= LOG_TIME_BYTES;
    }
    run_session_show(r, text, line);
}

/* The first signal asks, the second does not. */
static void on_signal(struct run_session *r, int number)
{
    bool first = r->signal == 0;
    r->signal = number;
    if (!r->supervisor)
        return;
    if (!first) {
        supervisor_kill(r->supervisor);
        return;
    }
    run_session_say(
        r, "%s: what is in flight may finish, for up to %g s; once more ends it at once",
        number == SIGINT ? "stopping" : "stopping (SIGTERM)", (double)r->settings->grace_us / 1e6);
    supervisor_stop(r->supervisor, r->settings->grace_us, clock_now());
}

static void read_signals(struct run_session *r)
{
    struct signalfd_siginfo info;
    while (read(r->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(r, (int)info.ssi_signo);
}

static int wait_ms(int64_t until_us, int64_t now_us)
{
    if (until_us == NEVER_US)
        return WAIT_MAX_MS;
    int64_t ms = until_us <= now_us ? 0 : (until_us - now_us + 999) / 1000;
    return ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)ms;
}

bool run_session_turn(struct run_session *r, int64_t until_us, struct err *err)
{
    int64_t next = r->supervisor ? supervisor_next_us(r->supervisor) : NEVER_US;
    int ms = wait_ms(next < until_us ? next : until_us, clock_now().mono_us);
    struct pollfd fds[WAITED_COUNT] = {
        [WAIT_SIGNAL] = {.fd = r->signal_fd, .events = POLLIN},
        [WAIT_WORKERS] = {.fd = r->supervisor ? supervisor_fd(r->supervisor) : -1,
                          .events = POLLIN},
        [WAIT_LOG] = {.fd = r->log_ends[0], .events = POLLIN},
    };
    if (r->work.client) {
        if (!client_wait(r->work.client, fds, WAITED_COUNT, ms, err))
            return false;
    } else if (poll(fds, WAITED_COUNT, ms) < 0 && errno != EINTR)
        return err_errno(err, errno, "poll");
    if (fds[WAIT_SIGNAL].revents)
        read_signals(r);
    if (fds[WAIT_LOG].revents)
        (void)!line_stream_read(&r->log_lines, r->log_ends[0], take_log_line, r);
    if (r->supervisor)
        supervisor_step(r->supervisor, clock_now());
    return true;
}

static bool stopped(const struct run_session *r, struct err *err)
{
    return err_set(err, r->signal == SIGINT ? ERR_INTERRUPTED : ERR_TERMINATED,
                   "stopped by %s before anything was done",
                   r->signal == SIGINT ? "SIGINT" : "SIGTERM");
}

bool run_session_hello(struct run_session *r, struct str *body, struct err *err)
{
    *body = STR("{}");
    if (!r->supervisor)
        return true;
    while (!r->has_hello && !supervisor_is_over(r->supervisor))
        if (!run_session_turn(r, NEVER_US, err))
            return false;
    const struct err *failure = supervisor_failure(r->supervisor);
    if (failure->code != ERR_NONE) {
        *err = *failure;
        return false;
    }
    if (r->signal)
        return stopped(r, err);
    *body = buf_str(&r->hello);
    return true;
}

/* ---- the server's side ---- */

void run_session_figures(const struct shown_job *before, const struct shown_job *now,
                         struct progress_figures *out)
{
    int64_t passed_over = now->done_before + now->duplicates + now->left_out;
    int64_t done = now->done - passed_over;
    int64_t begun = before->done - (before->done_before + before->duplicates + before->left_out);
    *out = (struct progress_figures){
        .done = done - now->skipped - (begun - before->skipped),
        .failed = now->failed,
        .skipped = now->skipped - before->skipped,
        .before = begun + now->done_before,
        .total = now->total,
        .total_is_exact = now->exhausted,
        .in_flight = now->in_flight,
        .waiting = now->waiting,
        /* A server that was started anew counts from 0 again. */
        .retried = now->retried - (now->retried >= before->retried ? before->retried : 0),
        .rate_per_s = now->rate_per_s,
        .eta_s = now->eta_s,
        .rpm = now->rpm,
    };
}

/* Whatever the answer is: a server that is away comes back, or is given up after a while. */
static bool take_report(struct run_session *r, struct err *err)
{
    long status = 0;
    struct progress_figures figures;
    int64_t now_us = clock_now().mono_us;
    struct shown_job job;
    if (!call_end(r->report, &status, &r->answer, err) ||
        !shown_job_read(buf_str(&r->answer), &job, err)) {
        if (err->code != ERR_BUSY)
            return false;
        if (!r->away_us) {
            r->away_us = now_us;
            run_session_say(r, "%s; waiting for it", err->text);
        }
        return now_us - r->away_us < AWAY_MAX_US;
    }
    r->away_us = 0;
    shown_job_release(&r->now);
    r->now = job;
    run_session_figures(&r->before, &r->now, &figures);
    progress_show(r->progress, &figures, now_us);
    return true;
}

void lost_lease_release(struct lost_lease *lost)
{
    free(TAKE(lost->token));
    free(TAKE(lost->how));
}

static bool give_back(struct run_session *r, struct err *err)
{
    struct json_out o;
    __attribute__((cleanup(lost_lease_release))) struct lost_lease lost = r->lost[--r->lost_count];
    r->release_body.len = 0;
    json_out_init(&o, &r->release_body);
    json_out_open(&o, '{');
    json_out_name(&o, "lease");
    json_out_text(&o, lost.token);
    json_out_name(&o, "died");
    json_out_bool(&o, true);
    json_out_name(&o, "how");
    json_out_text(&o, lost.how);
    json_out_close(&o, '}');
    return call_begin(r->release, "POST", r->release_path, buf_str(&r->release_body), err);
}

bool run_session_release(struct run_session *r, struct err *err)
{
    struct err ignored;
    long status = 0;
    if (call_pending(r->release) && call_ended(r->release))
        /* A lease that is gone already, or a server that is away: it ends by itself then. */
        (void)!call_end(r->release, &status, &r->answer, &ignored);
    return call_pending(r->release) || r->lost_count == 0 || give_back(r, err);
}

/* Begins and ends what is asked of the server. */
static bool talk(struct run_session *r, struct err *err)
{
    int64_t now_us = clock_now().mono_us;
    if (!run_session_release(r, err))
        return false;
    if (call_pending(r->report))
        return !call_ended(r->report) || take_report(r, err);
    if (now_us < r->look_us)
        return true;
    int64_t next = r->work.shows_progress ? progress_next_us(r->progress) : NEVER_US;
    r->look_us = !r->supervisor && next > now_us + LOOK_US ? now_us + LOOK_US : next;
    if (r->look_us <= now_us)
        r->look_us = now_us + LOOK_US / 10;
    return call_begin(r->report, "GET", r->path, STR(""), err);
}

static bool is_over(const struct run_session *r)
{
    if (r->supervisor)
        return supervisor_is_over(r->supervisor);
    return r->signal || (r->now.state && shown_job_ended(&r->now));
}

bool run_session_ask(struct run_session *r, struct shown_job *out, struct err *err)
{
    OWNED_BUF struct buf answer;
    buf_init(&answer, 16 << 20);
    return client_ask(r->work.client, "GET", r->path, STR(""), &answer, err) &&
           shown_job_read(buf_str(&answer), out, err);
}

void run_session_release_all(struct run_session *r)
{
    struct err ignored;
    while (r->lost_count > 0 || call_pending(r->release)) {
        if (!call_pending(r->release) && !give_back(r, &ignored))
            return;
        if (!client_wait(r->work.client, NULL, 0, WAIT_MAX_MS, &ignored))
            return;
        long status = 0;
        if (call_ended(r->release))
            (void)!call_end(r->release, &status, &r->answer, &ignored);
    }
}

/* What each of them has of it, rounded up. */
static int64_t share_of(int64_t concurrency, int64_t processes)
{
    return processes > 0 ? (concurrency + processes - 1) / processes : 0;
}

bool run_session_work(struct run_session *r, const struct run_work *work, struct err *err)
{
    r->work = *work;
    r->path = client_job_path(work->job, "");
    r->release_path = client_job_path(work->job, "/release");
    r->report = call_new(work->client);
    r->release = call_new(work->client);
    if (!run_session_ask(r, &r->before, err))
        return false;
    r->go = (struct worker_go){
        .server = work->server,
        .key = work->key,
        .token = work->token,
        .ca = work->ca,
        .job = r->before.name,
        .timeout_s = r->settings->timeout_s,
        .alive_s = r->settings->timeout_s > 0 ? ALIVE_S : 0,
        .max_memory_bytes = r->settings->max_memory_bytes,
        .slots_hint = share_of(r->settings->concurrency, r->settings->processes),
    };
    r->look_us = work->shows_progress ? progress_next_us(r->progress) : NEVER_US;
    if (r->supervisor)
        supervisor_go(r->supervisor, &r->go, clock_now());
    else
        r->look_us = clock_now().mono_us;
    while (!is_over(r))
        if (!talk(r, err) || !run_session_turn(r, r->look_us, err))
            return false;
    run_session_release_all(r);
    return true;
}

const struct shown_job *run_session_before(const struct run_session *r)
{
    return &r->before;
}

int run_session_signal(const struct run_session *r)
{
    return r->signal;
}

const struct err *run_session_failure(const struct run_session *r)
{
    static const struct err none = {.code = ERR_NONE};
    return r->supervisor ? supervisor_failure(r->supervisor) : &none;
}

const char *run_session_shutdown_failure(const struct run_session *r)
{
    return r->shutdown_failure;
}

int64_t run_session_deaths(const struct run_session *r)
{
    return r->supervisor ? supervisor_deaths(r->supervisor) : 0;
}
