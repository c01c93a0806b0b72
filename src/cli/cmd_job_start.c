/* cmd_job_start.c: `penstock job start`: options become the JSON of POST /v1/jobs. */
#include "base/json.h"
#include "base/parse.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/server_file.h"
#include "cli/shown_job.h"
#include "core/job.h"

#include <stdio.h>

static const struct option start_options[] = {
    {.name = "input",
     .value = "FILE",
     .help = "JSONL or CSV, plain, .gz or .zst; below a data folder of the server"},
    {.name = "output", .value = "FILE", .help = "where results go; compressed when it ends so"},
    {.name = "name", .value = "NAME", .help = "what the job is called (default: made up)"},
    {.name = "mode",
     .value = "MODE",
     .help = "read-write (default), read (nothing comes back), write (no input)"},
    {.name = "lease",
     .value = "SECONDS",
     .help = "how long a worker may hold records before they are served again; 0: for ever "
             "(default: 30)"},
    {.name = "max-attempts",
     .value = "N",
     .help = "how often a record is tried before it has failed; 0: without end (default: 3)"},
    {.name = "input-format",
     .value = "FORMAT",
     .help = "jsonl or csv, when the name of the input does not say it"},
    {.name = "output-format",
     .value = "FORMAT",
     .help = "jsonl or csv, when the name of the output does not say it"},
    {.name = "csv-chunk",
     .value = "ROWS",
     .help = "rows of a CSV input whose columns are typed together (default: 100)"},
    {.name = "reader",
     .value = "NAME",
     .help = "program set up by the operator, instead of --input"},
    {.name = "writer",
     .value = "NAME",
     .help = "program set up by the operator, instead of --output"},
    {.name = "overwrite", .help = "empty the output first (default: append)"},
    {.name = "clean-start", .help = "when the job exists: forget all and serve from the start"},
    {.name = "repair", .help = "when the job exists: serve again what is neither done nor failed"},
    {.name = "force-overwrite", .help = "take the output over from a job that has ended"},
    {.name = "json", .help = "print the job as JSON"},
    {0},
};
static const struct option *const start_tables[] = {start_options, client_options, NULL};

/* A member with the option's text, when it is given. */
static void add_text(struct json_out *o, const char *name, const char *text)
{
    if (!text)
        return;
    json_out_name(o, name);
    json_out_text(o, text);
}

static void add_flag(struct json_out *o, const char *name, bool given)
{
    if (!given)
        return;
    json_out_name(o, name);
    json_out_bool(o, true);
}

static bool add_source(const struct options *options, struct json_out *o, struct err *err)
{
    const char *path = options_text(options, "input"), *program = options_text(options, "reader");
    int64_t rows = 0;
    if (!options_i64(options, "csv-chunk", 1, CSV_CHUNK_ROWS_MAX, 0, &rows, err))
        return false;
    if (path && program)
        return err_set(err, ERR_INVALID, "--input and --reader name two inputs; give one");
    if (!path && !program)
        return true;
    json_out_name(o, "source");
    json_out_open(o, '{');
    add_text(o, "path", path);
    add_text(o, "program", program);
    add_text(o, "format", options_text(options, "input-format"));
    if (rows > 0) {
        json_out_name(o, "chunk_rows");
        json_out_i64(o, rows);
    }
    json_out_close(o, '}');
    return true;
}

static bool add_sink(const struct options *options, struct json_out *o, struct err *err)
{
    const char *path = options_text(options, "output"), *program = options_text(options, "writer");
    if (path && program)
        return err_set(err, ERR_INVALID, "--output and --writer name two outputs; give one");
    if (!path && !program)
        return true;
    json_out_name(o, "sink");
    json_out_open(o, '{');
    add_text(o, "path", path);
    add_text(o, "program", program);
    add_text(o, "format", options_text(options, "output-format"));
    add_flag(o, "overwrite", options_has(options, "overwrite"));
    json_out_close(o, '}');
    return true;
}

static bool add_limits(const struct options *options, struct json_out *o, struct err *err)
{
    const char *lease = options_text(options, "lease");
    int64_t attempts = 0, lease_us = 0;
    if (lease) {
        if (!parse_seconds(str_of(lease), 0, DATA_LEASE_MAX_US, &lease_us, err))
            return err_add(err, "--lease");
        json_out_name(o, "lease_s");
        json_out_double(o, (double)lease_us / 1e6);
    }
    if (options_has(options, "max-attempts")) {
        if (!options_i64(options, "max-attempts", 0, DATA_ATTEMPTS_MAX, 0, &attempts, err))
            return false;
        json_out_name(o, "max_attempts");
        json_out_i64(o, attempts);
    }
    return true;
}

/* What is missing is said here, where options have names; what does not fit the server says. */
static bool check_ends(const struct options *options, struct err *err)
{
    static const char *const modes[] = {"read-write", "read", "write", NULL};
    int mode = 0;
    if (!options_word(options, "mode", modes, MODE_READ_WRITE, &mode, err))
        return false;
    bool in = options_has(options, "input") || options_has(options, "reader");
    bool out = options_has(options, "output") || options_has(options, "writer");
    if (!in && mode != MODE_WRITE)
        return err_set(err, ERR_INVALID, "job start needs --input (or --reader, or --mode write)");
    if (!out && mode != MODE_READ)
        return err_set(err, ERR_INVALID, "job start needs --output (or --writer, or --mode read)");
    if (in && mode == MODE_WRITE)
        return err_set(err, ERR_INVALID, "--mode write reads nothing: it goes without --input");
    if (out && mode == MODE_READ)
        return err_set(err, ERR_INVALID, "--mode read writes nothing: it goes without --output");
    static const char *const formats[] = {"jsonl", "csv", NULL};
    int format = 0;
    if (!options_word(options, "input-format", formats, 0, &format, err) ||
        !options_word(options, "output-format", formats, 0, &format, err))
        return false;
    return true;
}

static bool add_spec(const struct options *options, struct buf *out, struct err *err)
{
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    add_text(&o, "name", options_text(options, "name"));
    add_text(&o, "mode", options_text(options, "mode"));
    if (!add_source(options, &o, err) || !add_sink(options, &o, err) ||
        !add_limits(options, &o, err))
        return false;
    add_flag(&o, "clean_start", options_has(options, "clean-start"));
    add_flag(&o, "repair", options_has(options, "repair"));
    add_flag(&o, "force_overwrite", options_has(options, "force-overwrite"));
    json_out_close(&o, '}');
    return true;
}

/* A path was refused that may be relative: says which folder the server of this machine looks in.
 * Always false. */
static bool add_folder(const struct options *options, struct err *err)
{
    const char *state = options_text(options, "state");
    char **folders = NULL;
    struct err ignored;
    if ((err->code != ERR_NOT_FOUND && err->code != ERR_FORBIDDEN) ||
        (options_text(options, "server") && !options_has(options, "state")) ||
        !server_file_data_dirs(state ? state : STATE_DIR_DEFAULT, &folders, &ignored))
        return false;
    if (folders[0])
        err_add(err, "data folder%s %s%s", folders[1] ? "s" : "", folders[0],
                folders[1] ? ", ..." : "");
    server_file_free(folders);
    return false;
}

/* A refusal that an option of this command answers names it. Always false. */
static bool add_advice(struct err *err)
{
    static const char taken[] = " exists already";
    size_t len = strlen(err->text), part = sizeof taken - 1;
    struct err told = *err;
    if (err->code == ERR_CONFLICT && len > part && strcmp(err->text + len - part, taken) == 0)
        err_set(err, told.code, "%.180s: --repair goes on with it, --clean-start begins anew",
                told.text);
    return false;
}

static bool start_run(const struct options *options, struct err *err)
{
    OWNED_BUF struct buf body;
    OWNED_BUF struct buf answer;
    OWNED(client) struct client *client = NULL;
    buf_init(&body, 1 << 20);
    buf_init(&answer, 4 << 20);
    if (!check_ends(options, err) || !add_spec(options, &body, err) ||
        !client_open(options, &client, err))
        return false;
    if (!client_ask(client, "POST", "/v1/jobs", buf_str(&body), &answer, err))
        return add_advice(err) || add_folder(options, err);
    if (options_has(options, "json")) {
        printf("%.*s\n", (int)answer.len, answer.data);
        return true;
    }
    OWNED_SHOWN_JOB struct shown_job job = {0};
    if (!shown_job_read(buf_str(&answer), &job, err))
        return false;
    printf("%s is %s (id %lld); penstock job watch shows how far it is\n", job.name,
           shown_job_word(&job), (long long)job.id);
    return true;
}

const struct command cmd_job_start = {
    .name = "job start",
    .summary = "Start a job: the records of an input go to workers, their results to an output",
    .text = "Paths are absolute below a data folder of the server, or relative to its first\n"
            "one. The format follows from the name: .csv is CSV, anything else JSONL, with .gz\n"
            "or .zst behind it or not. Folders are not made.\n",
    .options = start_tables,
    .examples = "penstock job start --name titles --input titles.jsonl --output results.jsonl\n"
                "penstock job start --input big.csv.gz --output done.csv.zst --lease 120\n"
                "penstock job start --name errors --mode write --output errors.jsonl\n",
    .run = start_run,
};
