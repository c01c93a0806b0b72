/* cmd_worker.c: `penstock worker`: hands for a job of a server, from any machine; and the process
 * that such hands are, when a supervisor of ours started it. */
#include "base/clock.h"
#include "base/parse.h"
#include "cli/command.h"
#include "cli/run_server.h"
#include "cli/run_session.h"
#include "run/exec_worker.h"
#include "run/worker_message.h"

#include <signal.h>
#include <stdlib.h>

static const struct option worker_options[] = {
    {.name = "job", .value = "NAME", .help = "the job to work for, or @ID"},
    {.name = "token",
     .value = "TOKEN",
     .help = "token of the job, or @FILE that holds it",
     .variable = "PENSTOCK_TOKEN"},
    {0},
};
static const struct option *const worker_tables[] = {worker_options, run_worker_options,
                                                     run_server_options, NULL};

struct worker {
    struct run_settings settings;
    struct run_worker process;
    struct run_session *session;
    struct client *client;
    char *key, *token;
    struct shown_job end;
};

static void worker_release(struct worker *w)
{
    shown_job_release(&w->end);
    run_session_end(w->session);
    client_free(w->client);
    run_session_free(w->session);
    run_worker_release(&w->process);
    run_settings_release(&w->settings);
    if (w->key)
        explicit_bzero(w->key, strlen(w->key));
    if (w->token)
        explicit_bzero(w->token, strlen(w->token));
    free(w->key);
    free(w->token);
}

static bool work(struct worker *w, const struct options *options, struct err *err)
{
    struct str hello;
    const struct run_work task = {
        .client = w->client,
        .job = options_text(options, "job"),
        .server = options_text(options, "server"),
        .key = w->key,
        .token = w->token,
        .ca = options_text(options, "ca"),
        .shows_progress = !w->settings.quiet,
    };
    if (!run_session_hello(w->session, &hello, err)) {
        run_worker_explain(&w->process, err);
        return false;
    }
    return run_session_log(w->session, err) && run_session_work(w->session, &task, err) &&
           run_session_ask(w->session, &w->end, err);
}

/* The job goes on without these hands, if need be. */
static bool judge(const struct worker *w, struct err *err)
{
    int signal = run_session_signal(w->session);
    const struct err *failure = run_session_failure(w->session);
    if (failure->code != ERR_NONE) {
        *err = *failure;
        return false;
    }
    if (signal && !shown_job_ended(&w->end))
        return err_set(err, signal == SIGINT ? ERR_INTERRUPTED : ERR_TERMINATED,
                       "stopped by %s; the job goes on without this worker",
                       signal == SIGINT ? "SIGINT" : "SIGTERM");
    return !run_session_shutdown_failure(w->session) ||
           err_set(err, ERR_IO, "on_shutdown failed: %s", run_session_shutdown_failure(w->session));
}

/* A process that a supervisor of ours started: it gives the orders. */
static bool work_as_told(const struct options *options, const char *descriptor, struct err *err)
{
    struct exec_worker_options exec = {.command = options_text(options, "exec")};
    int64_t fd = 0;
    if (!exec.command || !parse_i64(str_of(descriptor), 3, INT32_MAX, &fd, err))
        return err_set(err, ERR_INVALID, WORKER_CONTROL_VARIABLE " is set: only --exec works then");
    struct err told; /* the supervisor, which tells the person */
    exec.control_fd = (int)fd;
    (void)!exec_worker_run(&exec, &told);
    return true;
}

static bool worker_run(const struct options *options, struct err *err)
{
    const char *descriptor = getenv(WORKER_CONTROL_VARIABLE);
    if (descriptor)
        return work_as_told(options, descriptor, err);
    __attribute__((cleanup(worker_release))) struct worker w = {0};
    if (!options_text(options, "server"))
        return err_set(err, ERR_INVALID, "worker needs --server");
    if (!options_text(options, "job"))
        return err_set(err, ERR_INVALID, "worker needs --job");
    if (!run_settings_read(options, false, &w.settings, err) ||
        !run_server_secret(options, "key", &w.key, err) ||
        !run_server_secret(options, "token", &w.token, err))
        return false;
    const struct client_target target = {.url = options_text(options, "server"),
                                         .key = w.key,
                                         .token = w.token,
                                         .ca = options_text(options, "ca")};
    return client_new(&target, &w.client, err) &&
           run_worker_init(&w.process, &w.settings, options, err) &&
           run_session_open(&w.settings, &w.process, &w.session, err) && work(&w, options, err) &&
           judge(&w, err);
}

const struct command cmd_worker = {
    .name = "worker",
    .arguments = "[TARGET]",
    .most = 1,
    .summary = "Work for a job of a running server, until it has ended",
    .text = "TARGET and --exec are as for \"penstock run\". Any number of workers, on any\n"
            "machines, may work for one job: its limits hold over all of them.\n",
    .options = worker_tables,
    .examples =
        "penstock worker task.py --server http://host:5005 --job titles\n"
        "penstock worker --exec ./enrich --processes 8 --server https://host:5005 --job t\n",
    .run = worker_run,
};
