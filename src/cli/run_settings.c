/* run_settings.c: see run_settings.h. */
#include "cli/run_settings.h"

#include "base/json.h"
#include "base/parse.h"
#include "cli/run_config.h"
#include "core/job.h"

#include <glob.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONCURRENCY_DEFAULT = 100, PROCESSES_MAX = 1024, BATCH_MAX = 100000 };
#define SECOND_US INT64_C(1000000)
#define DAY_US (86400 * SECOND_US)
#define GRACE_DEFAULT_US (10 * SECOND_US)
#define RETRY_DELAY_DEFAULT_US (2 * SECOND_US)

const struct option run_worker_options[] = {
    {.name = "exec",
     .value = "COMMAND",
     .help = "instead of TARGET: a program that reads one record a line on its standard input and "
             "answers one line each"},
    {.name = "processes", .value = "N", .help = "worker processes on this machine (default: 1)"},
    {.name = "batch-size",
     .value = "N",
     .help = "the function takes a list of up to N records and gives a list of results"},
    {.name = "timeout",
     .value = "SECONDS",
     .help = "how long one attempt at a record may take (default: no limit)"},
    {.name = "max-memory-per-process",
     .value = "BYTES",
     .help = "replace a worker process that has grown beyond it (such as 500M)"},
    {.name = "grace",
     .value = "SECONDS",
     .help = "how long records in flight may go on when the run is stopped (default: 10)"},
    {.name = "config",
     .value = "FILE",
     .help = "config.py with `settings` (default: the one in TARGET, if TARGET is a folder)"},
    {.name = "python",
     .value = "PATH",
     .help = "the Python to run TARGET with (default: the one of the virtual environment that is "
             "active, else beside this program, else python3)",
     .variable = "PENSTOCK_PYTHON"},
    {.name = "log", .value = "FILE", .help = "append a line for each event to FILE"},
    {.name = "progress",
     .value = "FORM",
     .help = "how progress is told on standard error: auto (for people; the default) or json (a "
             "line of JSON every second)"},
    {.name = "quiet", .help = "show neither progress nor summary"},
    {0},
};

const struct option run_job_options[] = {
    {.name = "input",
     .value = "FILE",
     .help = "JSONL or CSV, plain, .gz or .zst; a pattern such as 'in/*.jsonl'; - is standard "
             "input",
     .many = true},
    {.name = "output",
     .value = "FILE",
     .help = "where results go, behind what is there; compressed when it ends so; - is standard "
             "output"},
    {.name = "errors",
     .value = "FILE",
     .help = "where records that failed are listed (default: OUTPUT with .errors.jsonl)"},
    {.name = "id-key",
     .value = "KEY",
     .help = "the member that tells records apart: those whose value is in the output are done "
             "(default: records are known by their place in the input)"},
    {.name = "rerun-key",
     .value = "KEY",
     .help = "a line of the output that has this member is done again, and replaced"},
    {.name = "concurrency",
     .value = "N",
     .help = "records that are worked on at once, over all processes (default: 100; with --exec "
             "as many as the program reads ahead)"},
    {.name = "rpm",
     .value = "X",
     .help = "at most X starts a minute, evenly, retries included (default: no limit)"},
    {.name = "adaptive", .help = "halve the rate when a service says it is too much, climb back"},
    {.name = "retries",
     .value = "N",
     .help = "how often a record that failed is tried again (default: 0, or what a decorator of "
             "the function says)"},
    {.name = "retry-delay",
     .value = "SECONDS",
     .help = "before the first retry; twice as long before each further one (default: 2)"},
    {.name = "ordered", .help = "write results in the order of the input"},
    {.name = "limit", .value = "N", .help = "only the next N records"},
    {.name = "sample", .value = "N", .help = "only N records, chosen at random"},
    {.name = "seed", .value = "N", .help = "with --sample: the same seed, the same choice"},
    {.name = "only-failed", .help = "exactly the records that have failed in earlier runs"},
    {.name = "retry-skipped", .help = "try those again, too, that gave nothing to write"},
    {.name = "dry-run", .help = "check everything, say what would run, change nothing"},
    {.name = "summary", .value = "FILE", .help = "write the summary as JSON"},
    {.name = "job",
     .value = "NAME",
     .help = "with --server: what the job is called there (default: run:OUTPUT)"},
    {0},
};

/* ---- texts ---- */

static void set_text(char **to, const char *text)
{
    free(*to);
    *to = xstrdup_or_null(text);
}

static void add_input(struct run_settings *s, const char *path)
{
    s->inputs = xrealloc(s->inputs, (s->input_count + 1) * sizeof *s->inputs);
    s->inputs[s->input_count++] = xstrdup(path);
}

bool run_settings_add_inputs(struct run_settings *s, const char *path, const char *name,
                             struct err *err)
{
    struct stat st;
    glob_t found = {0};
    if (!*path)
        return err_set(err, ERR_INVALID, "%s: an input needs a name", name);
    if (strcmp(path, "-") == 0 || stat(path, &st) == 0 || !strpbrk(path, "*?[")) {
        add_input(s, path);
        return true;
    }
    if (glob(path, GLOB_BRACE, NULL, &found) != 0)
        return err_set(err, ERR_INVALID, "%s: no file matches %s", name, path);
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_input(s, found.gl_pathv[i]);
    globfree(&found);
    return true;
}

void run_settings_release(struct run_settings *s)
{
    char *const texts[] = {s->target, s->exec, s->steps,   s->config, s->base,     s->output,
                           s->errors, s->log,  s->summary, s->id_key, s->rerun_key};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < s->input_count; i++)
        free(s->inputs[i]);
    free(s->inputs);
    *s = (struct run_settings){0};
}

/* ---- options ---- */

static bool read_seconds(const struct options *options, const char *name, int64_t max_us,
                         int64_t *out_us, struct err *err)
{
    const char *text = options_text(options, name);
    return !text || parse_seconds(str_of(text), 0, max_us, out_us, err) ||
           err_add(err, "--%s", name);
}

static bool parse_rpm(const char *text, double *out)
{
    double value = 0;
    /* Written as JSON writes numbers. */
    if (!json_check(str_of(text), NULL, NULL) || !json_double(str_trim(str_of(text)), &value) ||
        !(value >= 0 && value <= DATA_RPM_MAX))
        return false;
    *out = value;
    return true;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
}

/* What runs, and where its settings are. */
static bool read_target(const struct options *options, struct run_settings *s, struct err *err)
{
    const char *target = options_argument(options, 0), *exec = options_text(options, "exec");
    const char *config = options_text(options, "config");
    if (!target == !exec)
        return err_set(err, ERR_INVALID,
                       target ? "TARGET and --exec name two functions; give one"
                              : "name what to run: a file, a folder, module:function, or --exec");
    if (exec && (config || options_text(options, "python")) && options_has(options, "config"))
        return err_set(err, ERR_INVALID, "--config is for Python; it does not go with --exec");
    if (exec && !*exec)
        return err_set(err, ERR_INVALID, "--exec needs a command");
    set_text(&s->target, target);
    set_text(&s->exec, exec);
    if (config) {
        if (access(config, R_OK) != 0)
            return err_set(err, ERR_INVALID, "--config: %s cannot be read", config);
        set_text(&s->config, config);
    } else if (target && is_folder(target)) {
        OWNED_MEM char *there = xasprintf("%s/config.py", target);
        if (access(there, R_OK) == 0)
            s->config = TAKE(there);
    }
    s->base = s->config ? folder_of(s->config) : NULL;
    return true;
}

static bool read_worker(const struct options *options, bool makes_job, struct run_settings *s,
                        struct err *err)
{
    static const char *const forms[] = {"auto", "json", NULL};
    int form = RUN_PROGRESS_AUTO;
    int64_t timeout_us = 0;
    s->grace_us = GRACE_DEFAULT_US;
    if (!read_target(options, s, err) ||
        /* Without hands of its own a run may still make the job of a server. */
        !options_i64(options, "processes", makes_job && options_text(options, "server") ? 0 : 1,
                     PROCESSES_MAX, 1, &s->processes, err) ||
        !options_i64(options, "batch-size", 1, BATCH_MAX, 0, &s->batch_size, err) ||
        !options_bytes(options, "max-memory-per-process", 1 << 20, INT64_C(1) << 50, 0,
                       &s->max_memory_bytes, err) ||
        !read_seconds(options, "timeout", DAY_US, &timeout_us, err) ||
        !read_seconds(options, "grace", DAY_US, &s->grace_us, err) ||
        !options_word(options, "progress", forms, RUN_PROGRESS_AUTO, &form, err))
        return false;
    s->timeout_s = (double)timeout_us / 1e6;
    s->quiet = options_has(options, "quiet");
    s->progress = (enum run_progress)form;
    set_text(&s->log, options_text(options, "log"));
    return true;
}

static bool read_portion(const struct options *options, struct run_settings *s, struct err *err)
{
    s->only_failed = options_has(options, "only-failed");
    s->retry_skipped = options_has(options, "retry-skipped");
    s->dry_run = options_has(options, "dry-run");
    if (!options_i64(options, "limit", 1, INT64_MAX, 0, &s->limit, err) ||
        !options_i64(options, "sample", 1, INT64_MAX, 0, &s->sample, err) ||
        !options_i64(options, "seed", 0, INT64_MAX, 0, &s->seed, err))
        return false;
    if (s->limit && s->sample)
        return err_set(err, ERR_INVALID, "--limit and --sample exclude each other");
    return !options_has(options, "seed") || s->sample ||
           err_set(err, ERR_INVALID, "--seed goes with --sample");
}

static bool read_job(const struct options *options, struct run_settings *s, struct err *err)
{
    const char *rpm = options_text(options, "rpm");
    for (size_t i = 0; i < options_count(options, "input"); i++)
        if (!run_settings_add_inputs(s, options_at(options, "input", i), "--input", err))
            return false;
    set_text(&s->output, options_text(options, "output"));
    set_text(&s->errors, options_text(options, "errors"));
    set_text(&s->summary, options_text(options, "summary"));
    set_text(&s->id_key, options_text(options, "id-key"));
    set_text(&s->rerun_key, options_text(options, "rerun-key"));
    s->adaptive = options_has(options, "adaptive");
    s->ordered = options_has(options, "ordered");
    s->retry_factor = 2;
    s->retry_delay_us = RETRY_DELAY_DEFAULT_US;
    if (rpm && !parse_rpm(rpm, &s->rpm))
        return err_set(err, ERR_INVALID, "--rpm: \"%s\" is no number from 0 to %.0f", rpm,
                       DATA_RPM_MAX);
    /* A program takes one line after the other; what counts is that it never waits for one. */
    return options_i64(options, "concurrency", 1, DATA_CONCURRENCY_MAX,
                       s->exec ? 0 : CONCURRENCY_DEFAULT, &s->concurrency, err) &&
           options_i64(options, "retries", 0, RUN_RETRIES_MAX, 0, &s->retries, err) &&
           read_seconds(options, "retry-delay", DATA_RETRY_DELAY_MAX_US, &s->retry_delay_us, err) &&
           read_portion(options, s, err);
}

/* When all has been said. */
static bool check(const struct run_settings *s, struct err *err)
{
    if (s->input_count == 0)
        return err_set(err, ERR_INVALID, "run needs --input");
    if (!s->output)
        return err_set(err, ERR_INVALID, "run needs --output");
    if (s->rerun_key && !s->id_key)
        return err_set(err, ERR_INVALID, "--rerun-key goes with --id-key");
    return true;
}

bool run_settings_read(const struct options *options, bool makes_job, struct run_settings *out,
                       struct err *err)
{
    OWNED_RUN_SETTINGS struct run_settings s = {.log_level = LOG_INFO};
    if (!read_worker(options, makes_job, &s, err) || (makes_job && !read_job(options, &s, err)) ||
        (makes_job && !s.config && !check(&s, err)))
        return false;
    *out = s;
    s = (struct run_settings){0};
    return true;
}

bool run_settings_complete(struct run_settings *s, const struct options *options, struct str hello,
                           struct err *err)
{
    return run_config_take(s, options, hello, err) && check(s, err);
}
