/* cmd_worker.c: `penstock worker`: hands for a job of a server, from any machine; and the process
 * that such hands are, when a supervisor of ours started it. */
#include "base/clock.h"
#include "base/parse.h"
#include "cli/command.h"
#include "cli/run_server.h"
#include "cli/run_tasks.h"
#include "run/exec_worker.h"
#include "run/worker_message.h"

#include <signal.h>
#include <stdlib.h>

static const struct option worker_options[] = {
    {.name = "job",
     .value = "NAME",
     .help = "the job whose records are to be worked on, or @ID (default: tasks of the queue)"},
    {.name = "queues", .value = "A,B", .help = "tasks of these queues (default: of all)"},
    {.name = "concurrency",
     .value = "N",
     .help = "tasks at once in one process (default: 10; with --exec 1)"},
    {.name = "manifest",
     .value = "FILE",
     .help = "the processing steps that --exec runs: JSON, a manifest or a list of them"},
    {.name = "max-tasks-per-process",
     .value = "N",
     .help = "replace a worker process after N tasks"},
    {.name = "one-shot", .help = "end when the queues have no task that could run"},
    {.name = "token",
     .value = "TOKEN",
     .help = "token of the job, or @FILE that holds it",
     .variable = "PENSTOCK_TOKEN"},
    {0},
};
static const struct option *const worker_tables[] = {worker_options, run_worker_options,
                                                     run_server_options, NULL};

enum { CONCURRENCY_MAX = 100000, TASKS_MAX = 1000000000 };

struct worker {
    struct run_settings settings;
    struct run_tasks tasks;
    bool both;     /* records of a job, and tasks */
    char **queues; /* NULL ends it; NULL: all */
    struct run_worker process;
    struct run_session *session;
    struct client *client;
    char *key, *token;
    struct shown_job end;
};

static void forget(char *secret)
{
    if (!secret)
        return;
    explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void worker_release(struct worker *w)
{
    shown_job_release(&w->end);
    run_session_end(w->session);
    client_free(w->client);
    run_session_free(w->session);
    run_worker_release(&w->process);
    run_settings_release(&w->settings);
    for (size_t i = 0; w->queues && w->queues[i]; i++)
        free(w->queues[i]);
    free(w->queues);
    forget(w->key);
    forget(w->token);
}

/* The names between the commas. */
static bool read_queues(struct worker *w, const char *text, struct err *err)
{
    size_t count = 0;
    for (const char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t len = strcspn(at, ",");
        if (len == 0)
            return err_set(err, ERR_INVALID, "--queues: a queue needs a name");
        w->queues = xrealloc(w->queues, (count + 2) * sizeof *w->queues);
        w->queues[count++] = xstrndup(at, len);
        w->queues[count] = NULL;
    }
    return true;
}

/* What is asked for that concerns tasks alone. */
static bool read_tasks(struct worker *w, const struct options *options, struct err *err)
{
    static const char *const odd[] = {"timeout", "batch-size", "config"};
    const char *queues = options_text(options, "queues");
    const char *server = options_text(options, "server");
    /* Tasks bring their own time-outs, and come one by one. */
    for (size_t i = 0; !options_has(options, "job") && i < sizeof odd / sizeof *odd; i++)
        if (w->settings.target && options_has(options, odd[i]))
            return err_set(err, ERR_INVALID, "--%s is for records: it goes with --job", odd[i]);
    /* A program has no app that would read the variable. */
    if (w->settings.exec)
        server = run_server_url(options);
    w->tasks = (struct run_tasks){
        .server = server,
        .key = w->key,
        .ca = options_text(options, "ca"),
        .job = options_text(options, "job"),
        .token = w->token,
        .one_shot = options_has(options, "one-shot"),
    };
    /* A copy of the program has one job at a time. */
    int64_t usual = w->settings.steps ? 1 : 0;
    if ((queues && !read_queues(w, queues, err)) ||
        !options_i64(options, "concurrency", 1, CONCURRENCY_MAX, usual, &w->tasks.concurrency,
                     err) ||
        !options_i64(options, "max-tasks-per-process", 1, TASKS_MAX, 0, &w->tasks.max_tasks, err))
        return false;
    w->tasks.queues = (const char *const *)w->queues;
    return true;
}

static bool hello_of(struct worker *w, struct str *hello, struct err *err)
{
    if (!run_session_hello(w->session, hello, err)) {
        run_worker_explain(&w->process, err);
        return false;
    }
    return run_session_log(w->session, err);
}

/* Steps of a program are an app's, which Python runs: the manifest stands in the target's place. */
static bool read_manifest(struct worker *w, const struct options *options, struct err *err)
{
    const char *manifest = options_text(options, "manifest");
    if (!manifest)
        return true;
    if (!w->settings.exec)
        return err_set(err, ERR_INVALID, "--manifest goes with --exec, the program of its steps");
    if (options_has(options, "job"))
        return err_set(err, ERR_INVALID, "--manifest is for steps, --job for records");
    w->settings.steps = TAKE(w->settings.exec);
    w->settings.target = xstrdup(manifest);
    return true;
}

static bool is_app(struct str hello)
{
    OWNED_MEM char *kind = worker_message_text(hello, "kind");
    return kind && strcmp(kind, "app") == 0;
}

/* Tasks of an app, or of a program. */
static bool work_on_tasks(struct worker *w, struct err *err)
{
    struct str hello;
    if (!hello_of(w, &hello, err))
        return false;
    if (w->settings.target && !is_app(hello))
        return err_set(err, ERR_INVALID,
                       "%s is a function of records: worker needs --job, or an app (module:app)",
                       w->settings.target);
    return run_session_tasks(w->session, &w->tasks, hello, err);
}

static bool check_records(const struct options *options, struct err *err)
{
    static const char *const names[] = {"queues", "concurrency", "max-tasks-per-process",
                                        "one-shot"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (options_has(options, names[i]))
            return err_set(err, ERR_INVALID, "--%s is for tasks, --job for records", names[i]);
    return true;
}

/* Records of a job; with an app tasks as well. */
static bool work(struct worker *w, const struct options *options, struct err *err)
{
    struct str hello;
    const struct run_work task = {
        .client = w->client,
        .job = options_text(options, "job"),
        .server = run_server_url(options),
        .key = w->key,
        .token = w->token,
        .ca = options_text(options, "ca"),
        .shows_progress = !w->settings.quiet,
    };
    if (!hello_of(w, &hello, err))
        return false;
    w->both = is_app(hello);
    if (w->both)
        return run_session_tasks(w->session, &w->tasks, hello, err);
    return check_records(options, err) && run_session_work(w->session, &task, err) &&
           run_session_ask(w->session, &w->end, err);
}

/* The job goes on without these hands, if need be. Of tasks there is always more to come. */
static bool judge(const struct worker *w, bool tasks, struct err *err)
{
    int signal = run_session_signal(w->session);
    const struct err *failure = run_session_failure(w->session);
    if (failure->code != ERR_NONE) {
        *err = *failure;
        return false;
    }
    if (tasks)
        return true;
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
    bool tasks = !options_has(options, "job");
    if (!tasks && !run_server_url(options))
        return err_set(err, ERR_INVALID, "worker --job needs --server, or PENSTOCK_SERVER");
    if (!run_settings_read(options, false, &w.settings, err) ||
        !run_server_secret(options, "key", &w.key, err) ||
        !run_server_secret(options, "token", &w.token, err) || !read_manifest(&w, options, err) ||
        !read_tasks(&w, options, err))
        return false;
    if (tasks) {
        if (!run_worker_init(&w.process, &w.settings, options, err))
            return false;
        run_worker_tell_server(&w.process);
        return run_session_open(&w.settings, &w.process, &w.session, err) &&
               work_on_tasks(&w, err) && judge(&w, true, err);
    }
    const struct client_target target = {.url = run_server_url(options),
                                         .key = w.key,
                                         .token = w.token,
                                         .ca = options_text(options, "ca")};
    return client_new(&target, &w.client, err) &&
           run_worker_init(&w.process, &w.settings, options, err) &&
           run_session_open(&w.settings, &w.process, &w.session, err) && work(&w, options, err) &&
           judge(&w, w.both, err);
}

const struct command cmd_worker = {
    .name = "worker",
    .arguments = "[TARGET]",
    .most = 1,
    .summary = "Work on tasks of the queue, or on the records of a server's job",
    .text =
        "TARGET is an app (module:app, or the file of one), whose tasks are run until a signal\n"
        "ends it; without --server on the server that the app names, which is the embedded one\n"
        "of the state folder when it names none. Or it is processing steps (module:step, several\n"
        "with commas between, module:* or a file), which are registered, and whose jobs are run;\n"
        "--exec with --manifest does so for programs in any language. With --job, TARGET and\n"
        "--exec are as for \"penstock run\", until the job has ended; or TARGET is an app that\n"
        "has a function of records, which works on both. Any number of workers, on any machines,\n"
        "may work side by side: limits hold over all of them. Where neither --server nor an app\n"
        "says where to work, PENSTOCK_SERVER does.\n",
    .options = worker_tables,
    .examples =
        "penstock worker shop:app --queues images,mail --concurrency 20 --processes 4\n"
        "penstock worker steps.py --server http://host:5005 --key @key\n"
        "penstock worker --exec ./fit --manifest fit.json --processes 4\n"
        "penstock worker task.py --server http://host:5005 --job titles\n"
        "penstock worker --exec ./enrich --processes 8 --server https://host:5005 --job t\n",
    .run = worker_run,
};
