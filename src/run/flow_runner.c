/* flow_runner.c: see flow_runner.h. */
#include "run/flow_runner_own.h"

#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_NOT_STARTED = 905 };

static const struct flow_helper_hooks helper_hooks;

struct flow_runner *flow_runner_new(const struct flow_runner_plan *plan)
{
    struct flow_runner *r = xcalloc(1, sizeof *r);
    r->plan = *plan;
    r->next_program = 1;
    r->runs_end = &r->runs;
    const struct flow_helper_plan helper = {.keeper = plan->keeper,
                                            .python = plan->python,
                                            .environment = plan->python_environment,
                                            .import_timeout_us = plan->import_timeout_us,
                                            .hooks = &helper_hooks,
                                            .context = r};
    r->helper = flow_helper_new(&helper);
    return r;
}

void flow_runner_free(struct flow_runner *r)
{
    if (!r)
        return;
    node_session_free(r->session);
    flow_helper_free(r->helper);
    ended_list_clear(&r->ended);
    while (r->runs) {
        struct run *run = r->runs;
        r->runs = run->next;
        run_free(run);
    }
    free(r);
}

bool flow_runner_warm(struct flow_runner *r, struct err *err)
{
    return flow_helper_warm(r->helper, err);
}

void flow_runner_begin(struct flow_runner *r, struct client *client,
                       const struct helper_setup *setup)
{
    r->plan.client = client;
    r->session = node_session_new(client, r->plan.queue, r->plan.worker, r->plan.own);
    flow_helper_set_up(r->helper, setup);
}

static struct run *find_task(const struct flow_runner *r, int64_t task)
{
    struct run *run = r->runs;
    while (run && (run->forgotten || run->task->task != task))
        run = run->next;
    return run;
}

/* ---- starts ---- */

static void never_began(struct flow_runner *r, struct run *run, const char *why)
{
    if (!run->outcome.code)
        run->outcome = (struct node_outcome){
            .code = CODE_NOT_STARTED, .type = xstrdup("NotStarted"), .message = xstrdup(why)};
    run_end(r, run, 0);
}

static bool start_shell(struct flow_runner *r, struct run *run, int log_fd, struct err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", run->task->command, NULL};
    run->program = r->next_program++;
    const struct keeper_program program = {
        .id = run->program,
        .argv = argv,
        .environment = (const char *const *)run->task->environment,
        .output_fd = log_fd,
        .control_fd = -1,
    };
    return keeper_run(r->plan.keeper, &program, err);
}

static bool start_python(struct flow_runner *r, struct run *run, struct err *err)
{
    if (!r->plan.python)
        return err_set(err, ERR_NOT_FOUND, "there is no Python to run it with");
    return flow_helper_run(r->helper, run->task, err);
}

static bool start_run(struct flow_runner *r, struct run *run, struct err *err)
{
    OWNED_FD int log_fd = -1;
    const struct node_task *t = run->task;
    struct node_banner banner = node_banner_of(t);
    if (!node_log_open(t->logfile, &log_fd, &run->log_from_bytes, err))
        return false;
    node_log_begin(log_fd, &banner);
    if (t->timeout_s > 0)
        run->timeout_at_us = r->now_us + (int64_t)(t->timeout_s * 1e6);
    return t->command ? start_shell(r, run, log_fd, err) : start_python(r, run, err);
}

static void on_task(void *context, struct str raw)
{
    struct flow_runner *r = context;
    struct node_task *t = NULL;
    struct err err;
    int64_t task = 0;
    if (!node_task_read(raw, &t, &task, &err)) {
        const struct node_failure why = {.message = str_of(err.text),
                                         .type = STR("NotStarted"),
                                         .code = CODE_NOT_STARTED,
                                         .final = true};
        if (task > 0) {
            node_session_fail(r->session, task, &why);
            flow_runner_add_ended(r, xcalloc(1, sizeof(struct ended)));
        }
        return;
    }
    struct run *run = xcalloc(1, sizeof *run);
    *run = (struct run){
        .task = t, .began_us = r->now_us, .timeout_at_us = NEVER_US, .kill_at_us = NEVER_US};
    *r->runs_end = run;
    r->runs_end = &run->next;
    r->running++;
    run_started(r, run);
    if (!start_run(r, run, &err)) {
        if (err.code == ERR_INTERNAL)
            flow_runner_fail(r, &err);
        never_began(r, run, err.text);
    }
}

/* ---- the helper ---- */

static void on_started(void *context, int64_t task, pid_t pid)
{
    struct flow_runner *r = context;
    struct run *run = r->runs;
    while (run && run->task->task != task)
        run = run->next;
    if (!run) {
        kill(-pid, SIGKILL);
        return;
    }
    run->group = pid;
    if (run->forgotten)
        kill(-pid, SIGKILL);
    else if (run->stop != STOP_NOT)
        kill(-pid, SIGTERM);
}

static struct run *of_helper(struct flow_runner *r, int64_t task)
{
    struct run *run = r->runs;
    while (run && (run->program || run->task->task != task))
        run = run->next;
    return run;
}

static void on_outcome(void *context, int64_t task, int64_t code, bool final, struct str error)
{
    struct run *run = of_helper(context, task);
    if (!run)
        return;
    run->outcome.code = code;
    run->outcome.final = final;
    node_outcome_take(&run->outcome, error);
}

static void on_refused(void *context, int64_t task, int64_t code, struct str error)
{
    struct run *run = of_helper(context, task);
    if (!run)
        return;
    run->outcome.code = code > 0 ? code : CODE_NOT_STARTED;
    node_outcome_take(&run->outcome, error);
    never_began(context, run, "it could not be started");
}

static void on_exited(void *context, int64_t task, int status)
{
    struct run *run = of_helper(context, task);
    if (run)
        run_end(context, run, status);
}

static const struct flow_helper_hooks helper_hooks = {
    .started = on_started, .refused = on_refused, .outcome = on_outcome, .exited = on_exited};

/* ---- the keeper ---- */

static void take_report(struct flow_runner *r, const struct keeper_report *report)
{
    if (flow_helper_report(r->helper, report, r->now_us))
        return;
    struct run *run = r->runs;
    while (run && run->program != report->id)
        run = run->next;
    if (!run)
        return;
    if (report->kind == KEEPER_ENDED) {
        run_end(r, run, report->status);
        return;
    }
    OWNED_MEM char *why = xasprintf("/bin/sh could not be started: %s", strerror(report->status));
    never_began(r, run, why);
}

static bool take_reports(struct flow_runner *r, struct err *err)
{
    struct keeper_report report;
    for (bool got = true; got;) {
        if (!keeper_next(r->plan.keeper, &report, &got, err))
            return false;
        if (got)
            take_report(r, &report);
    }
    return true;
}

/* ---- the session ---- */

static void on_abort(void *context, int64_t task, bool timeout)
{
    struct flow_runner *r = context;
    struct run *run = find_task(r, task);
    if (run)
        run_stop(r, run, timeout ? STOP_TIMEOUT : STOP_ABORT);
}

static void on_lost(void *context)
{
    struct flow_runner *r = context;
    flow_runner_drop_ended(r);
    for (struct run *run = r->runs, *next = NULL; run; run = next) {
        next = run->next;
        run->forgotten = true;
        run_kill(r, run);
    }
    r->plan.hooks->lost(r->plan.context);
}

static void on_trouble(void *context, const char *text)
{
    struct flow_runner *r = context;
    r->plan.hooks->trouble(r->plan.context, text);
}

static void tell_holds(void *context, void (*each)(void *to, int64_t task), void *to)
{
    const struct flow_runner *r = context;
    for (const struct run *run = r->runs; run; run = run->next)
        if (!run->forgotten)
            each(to, run->task->task);
}

/* ---- the step ---- */

static void watch_times(struct flow_runner *r)
{
    for (struct run *run = r->runs, *next = NULL; run; run = next) {
        next = run->next;
        if (run->timeout_at_us <= r->now_us)
            run_stop(r, run, STOP_TIMEOUT);
        if (run->kill_at_us <= r->now_us)
            run_kill(r, run);
    }
}

size_t flow_runner_fds(const struct flow_runner *r, int fds[FLOW_RUNNER_FDS])
{
    fds[0] = keeper_fd(r->plan.keeper);
    fds[1] = flow_helper_fd(r->helper);
    return fds[1] >= 0 ? 2 : 1;
}

bool flow_runner_step(struct flow_runner *r, int64_t now_us, struct err *err)
{
    const struct node_news news = {.task = on_task,
                                   .abort = on_abort,
                                   .lost = on_lost,
                                   .settled = flow_runner_settled,
                                   .trouble = on_trouble,
                                   .holds = tell_holds,
                                   .context = r};
    r->now_us = now_us;
    if (!flow_helper_step(r->helper, now_us, err) || !take_reports(r, err))
        return false;
    watch_times(r);
    node_session_set_free(r->session,
                          r->running < r->plan.places ? r->plan.places - r->running : 0);
    if (!node_session_step(r->session, &news, now_us, err))
        return false;
    /* What was claimed is told to the helper, what never began is settled. */
    if (!flow_helper_step(r->helper, now_us, err))
        return false;
    if (r->failure.code != ERR_NONE) {
        *err = r->failure;
        return false;
    }
    return true;
}

int64_t flow_runner_next_us(const struct flow_runner *r)
{
    int64_t next_us = node_session_next_us(r->session);
    int64_t helper_us = flow_helper_next_us(r->helper);
    next_us = helper_us < next_us ? helper_us : next_us;
    for (const struct run *run = r->runs; run; run = run->next) {
        next_us = run->timeout_at_us < next_us ? run->timeout_at_us : next_us;
        next_us = run->kill_at_us < next_us ? run->kill_at_us : next_us;
    }
    return next_us;
}

void flow_runner_stop(struct flow_runner *r, int64_t now_us)
{
    r->now_us = now_us;
    if (r->session)
        node_session_stop_claiming(r->session);
    for (struct run *run = r->runs, *next = NULL; run; run = next) {
        next = run->next;
        if (r->stopping)
            run_kill(r, run);
        else
            run_stop(r, run, STOP_ABORT);
    }
    r->stopping = true;
}

size_t flow_runner_running(const struct flow_runner *r)
{
    return r->running;
}

bool flow_runner_is_idle(const struct flow_runner *r)
{
    return r->running == 0 && !node_session_unsettled(r->session);
}

void flow_runner_each(const struct flow_runner *r,
                      void (*each)(void *context, const struct node_task *task, double elapsed_s),
                      void *context)
{
    int64_t now_us = clock_now().mono_us;
    for (const struct run *run = r->runs; run; run = run->next)
        if (!run->forgotten)
            each(context, run->task, (double)(now_us - run->began_us) / 1e6);
}

void flow_runner_leave(struct flow_runner *r)
{
    if (r->session)
        node_session_leave(r->session);
}
