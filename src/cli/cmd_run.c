/* cmd_run.c: `penstock run`: a function over every record of a file.
 *
 * The command is a server, its client and the supervisor of its workers in one process: a job like
 * any other, on a socket that nobody else reaches. The first worker process is started first, and
 * the engine is opened while it imports what it needs; its hello brings the settings of the user's
 * config.py, from which the job is made. */
#include "base/clock.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/run_dry.h"
#include "cli/run_job.h"
#include "cli/run_place.h"
#include "cli/run_server.h"
#include "cli/run_session.h"
#include "run/summary.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX_BYTES = 16 << 20, KEY_MAX_BYTES = 4096 };

const struct option run_server_options[] = {
    {.name = "server",
     .value = "URL",
     .help = "work with this server, such as http://host:5005; paths are below its data folders"},
    {.name = "key",
     .value = "KEY",
     .help = "API key for it, or @FILE that holds one",
     .variable = "PENSTOCK_KEY"},
    {.name = "ca",
     .value = "FILE",
     .help = "certificates to trust instead of the system's, for https"},
    {0},
};
static const struct option *const run_tables[] = {run_job_options, run_worker_options,
                                                  run_server_options, NULL};

const char *run_server_url(const struct options *options)
{
    const char *given = options_text(options, "server"), *told = getenv("PENSTOCK_SERVER");
    return given || !told || !*told ? given : told;
}

bool run_server_secret(const struct options *options, const char *name, char **out, struct err *err)
{
    OWNED_BUF struct buf text;
    const char *given = options_text(options, name);
    buf_init(&text, KEY_MAX_BYTES);
    *out = NULL;
    if (!given)
        return true;
    if (given[0] == '@') {
        if (!file_read_all(given + 1, KEY_MAX_BYTES, &text, err))
            return err_add(err, "--%s", name);
    } else
        buf_add_text(&text, given);
    struct str secret = str_trim(buf_str(&text));
    *out = xstrndup(secret.len ? secret.ptr : "", secret.len);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return true;
}

struct run {
    const struct options *options;
    struct run_settings settings;
    struct run_worker worker;
    struct run_session *session;
    struct run_place *place; /* NULL with --server */
    struct client *client;
    char *job, *key, *errors;
    struct instant started;
    struct shown_job end;
};

static void run_release(struct run *r)
{
    shown_job_release(&r->end);
    run_session_end(r->session);
    client_free(r->client);
    run_place_free(r->place);
    run_session_free(r->session);
    run_worker_release(&r->worker);
    run_settings_release(&r->settings);
    if (r->key)
        explicit_bzero(r->key, strlen(r->key));
    free(r->job);
    free(r->key);
    free(r->errors);
}

static const char *server_of(const struct run *r)
{
    return options_text(r->options, "server");
}

/* The engine of this run, when its output is known and it has not been opened yet. */
static bool need_place(struct run *r, struct err *err)
{
    if (server_of(r) || r->place || !r->settings.output || r->settings.dry_run)
        return true;
    return run_place_open(r->settings.output, &r->place, err);
}

static bool begin(struct run *r, struct err *err)
{
    struct str hello;
    if (!run_settings_read(r->options, true, &r->settings, err) ||
        (!server_of(r) && !run_job_check_inputs(&r->settings, err)) ||
        !run_server_secret(r->options, "key", &r->key, err) ||
        !run_worker_init(&r->worker, &r->settings, r->options, err) ||
        !run_session_open(&r->settings, &r->worker, &r->session, err) || !need_place(r, err))
        return false;
    if (!run_session_hello(r->session, &hello, err)) {
        run_worker_explain(&r->worker, err);
        return false;
    }
    r->errors = NULL;
    if (!run_settings_complete(&r->settings, r->options, hello, err))
        return false;
    r->errors =
        r->settings.errors ? xstrdup(r->settings.errors) : run_job_errors_path(r->settings.output);
    return true;
}

static bool make_job(struct run *r, struct err *err)
{
    OWNED_BUF struct buf body;
    const char *asked = options_text(r->options, "job");
    buf_init(&body, BODY_MAX_BYTES);
    if (!need_place(r, err) || !run_session_log(r->session, err))
        return false;
    if (r->place)
        r->job = xstrdup("run");
    else
        r->job = asked ? xstrdup(asked) : xasprintf("run:%s", r->settings.output);
    const struct client_target target = {
        .url = r->place ? run_place_url(r->place) : server_of(r),
        .key = r->place ? NULL : r->key,
        .ca = options_text(r->options, "ca"),
    };
    if (!run_job_write(&r->settings, r->job, r->place != NULL, &body, err) ||
        !client_new(&target, &r->client, err) ||
        !client_ask(r->client, "POST", "/v1/jobs", buf_str(&body), NULL, err))
        return false;
    if (!r->place && !r->settings.quiet)
        run_session_say(r->session, "job %s is on %s; \"penstock worker\" adds hands", r->job,
                        server_of(r));
    return true;
}

static bool work(struct run *r, struct err *err)
{
    const struct run_work task = {
        .client = r->client,
        .job = r->job,
        .server = r->place ? run_place_url(r->place) : server_of(r),
        .key = r->place ? NULL : r->key,
        .ca = options_text(r->options, "ca"),
        .shows_progress = !r->settings.quiet,
    };
    return run_session_work(r->session, &task, err) && run_session_ask(r->session, &r->end, err);
}

/* ---- the end ---- */

/* Whether all there was to do is done: the input's end was met, or this run's portion is used up,
 * for which the job rests. */
static bool is_complete(const struct run *r)
{
    return shown_job_ended(&r->end) || r->end.paused;
}

/* What came of it, as an error when not everything went well. */
static bool judge(const struct run *r, const struct progress_figures *f, struct err *err)
{
    char count[COUNT_TEXT_SIZE];
    int signal = run_session_signal(r->session);
    const struct err *failure = run_session_failure(r->session);
    if (failure->code != ERR_NONE) {
        *err = *failure;
        return false;
    }
    if (signal && !is_complete(r))
        return err_set(err, signal == SIGINT ? ERR_INTERRUPTED : ERR_TERMINATED,
                       "stopped by %s; the same command goes on from here",
                       signal == SIGINT ? "SIGINT" : "SIGTERM");
    if (strcmp(r->end.state, "failed") == 0)
        return err_set(err, ERR_IO, "%s", r->end.failure ? r->end.failure : "the job has failed");
    if (strcmp(r->end.state, "cancelled") == 0)
        return err_set(err, ERR_CONFLICT, "the job was cancelled");
    if (run_session_shutdown_failure(r->session))
        return err_set(err, ERR_IO, "on_shutdown failed: %s",
                       run_session_shutdown_failure(r->session));
    if (r->settings.processes > 0 && !is_complete(r))
        return err_set(err, ERR_INTERNAL, "the workers left before the end of the input");
    count_text(f->failed, count);
    /* Everything behind a stray quote may be in it: who reads 0 would think that all is done. */
    if (f->failed == 0 && r->end.tail && !r->end.paused)
        return err_set(err, ERR_IO, "the end of the input was not taken: %s", r->end.tail);
    return f->failed == 0 || err_set(err, ERR_IO, "%s record%s failed; the list is in %s", count,
                                     f->failed == 1 ? "" : "s", r->errors);
}

static const char *outcome_of(const struct progress_figures *f, const struct err *err)
{
    if (err->code == ERR_INTERRUPTED || err->code == ERR_TERMINATED)
        return "stopped";
    if (err->code != ERR_NONE)
        return "failed";
    return f->done + f->skipped == 0 ? "nothing to do" : "done";
}

/* A line of its own, as progress is told. */
static void print_json(const struct summary *s)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    summary_json(s, &text);
    fprintf(stderr, "{\"summary\":%.*s}\n", (int)str_trim(buf_str(&text)).len, text.data);
}

static bool conclude(struct run *r, struct err *err)
{
    struct progress_figures figures;
    struct instant now = clock_now();
    struct err written;
    run_session_figures(run_session_before(r->session), &r->end, &figures);
    bool good = judge(r, &figures, err);
    const struct summary summary = {
        .outcome = outcome_of(&figures, err),
        .reason = good ? NULL : err->text,
        .figures = figures,
        .unread = r->end.unread + r->end.served,
        .duplicates = r->end.duplicates,
        .repeats = r->end.repeats - run_session_before(r->session)->repeats,
        .throttled = r->end.throttled,
        .lowest_rpm = r->end.lowest_rpm,
        .deaths = run_session_deaths(r->session),
        .started_at_us = r->started.wall_us,
        .ended_at_us = now.wall_us,
        .elapsed_s = (double)(now.mono_us - r->started.mono_us) / 1e6,
        .exit_status = err_exit_status(err->code),
        .function = r->settings.target ? r->settings.target : r->settings.exec,
        .output = r->settings.output,
        .errors = figures.failed > 0 ? r->errors : NULL,
        .log = r->settings.log,
    };
    run_session_end_progress(r->session, &figures);
    if (!r->settings.quiet && r->settings.progress == RUN_PROGRESS_JSON)
        print_json(&summary);
    else if (!r->settings.quiet)
        summary_print(&summary, stderr);
    if (!r->settings.summary || summary_write(&summary, r->settings.summary, &written))
        return good;
    if (good)
        *err = written;
    else
        fprintf(stderr, "penstock: %s\n", written.text);
    return false;
}

/* Only a run that begins looks at what the output holds now. */
static bool explain_gone(const struct run *r, struct err *err)
{
    char text[sizeof err->text];
    if (err->code != ERR_GONE)
        return false;
    snprintf(text, sizeof text, "%s", err->text);
    return err_set(err, ERR_GONE, "%.350s; %s", text,
                   r->settings.id_key
                       ? "the same command again goes on with what is there"
                       : "put it back, or remove its .penstock folder to begin anew");
}

static bool run_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(run_release))) struct run r = {.options = options};
    r.started = clock_now();
    if (!begin(&r, err))
        return false;
    if (r.settings.dry_run)
        return run_dry(&r.settings, r.errors, err);
    return (make_job(&r, err) && work(&r, err) && conclude(&r, err)) || explain_gone(&r, err);
}

const struct command cmd_run = {
    .name = "run",
    .arguments = "[TARGET]",
    .most = 1,
    .summary = "Run a function over every record of a file, at a set rate, and lose nothing",
    .text = "TARGET is a Python file with process_record(record, context), a function as\n"
            "module:function, or a folder with task.py and config.py; with --exec it is any\n"
            "program. Each record's result is appended to the output, exactly once, whatever\n"
            "crashes; the same command again goes on where the last one ended. What is known of\n"
            "the run lies beside its output, in OUTPUT.penstock.\n"
            "\n"
            "Options are stronger than the settings of config.py. SIGINT or SIGTERM lets what is\n"
            "in flight finish, a second one does not; neither loses anything. Exit status: 0 all\n"
            "is done, 1 some records failed, 2 wrong usage, 130 and 143 stopped by SIGINT and\n"
            "SIGTERM, 75 try again later (another run has the output, server away, disk full).\n"
            "\n"
            "With --progress json each line on standard error is an object of one member:\n"
            "progress (every second, and at the end), text (what else is told, such as what the\n"
            "function prints), summary (as in the file of --summary); only the reason of a\n"
            "failure is told once more in words, behind them.\n",
    .options = run_tables,
    .examples =
        "penstock run task.py --input in.jsonl --output out.jsonl --id-key id --rpm 600\n"
        "penstock run .\n"
        "penstock run package.module:function --input 'in/*.csv.gz' --output out.jsonl\n"
        "penstock run --exec './enrich --fast' --processes 4 --input in.jsonl --output out.jsonl\n"
        "penstock run task.py --input in.jsonl --output out.jsonl --only-failed --retries 3\n",
    .run = run_run,
};
