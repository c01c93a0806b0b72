/* run_job.c: see run_job.h. */
#include "cli/run_job.h"

#include "base/json.h"
#include "cli/run_place.h"

#include <stdlib.h>

/* Of a worker's lease; its session moves it on. */
enum { LEASE_S = 30 };

char *run_job_errors_path(const char *output)
{
    static const char *const endings[] = {".gz", ".zst", ".jsonl", ".ndjson", ".csv"};
    size_t length = strlen(output);
    if (strcmp(output, "-") == 0)
        return xstrdup("stdout.errors.jsonl");
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strncmp(output + length - ending, endings[i], ending) == 0)
            length -= ending;
    }
    return xasprintf("%.*s.errors.jsonl", (int)length, output);
}

bool run_job_check_inputs(const struct run_settings *s, struct err *err)
{
    for (size_t i = 0; i < s->input_count; i++) {
        OWNED_MEM char *path = NULL;
        if (!run_path_of_input(s->inputs[i], &path, err))
            return false;
    }
    return true;
}

static void add_text(struct json_out *o, const char *name, const char *text)
{
    if (!text)
        return;
    json_out_name(o, name);
    json_out_text(o, text);
}

static void add_i64(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void add_flag(struct json_out *o, const char *name, bool value)
{
    if (!value)
        return;
    json_out_name(o, name);
    json_out_bool(o, true);
}

static void add_double(struct json_out *o, const char *name, double number)
{
    json_out_name(o, name);
    json_out_double(o, number);
}

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Standard input and output are of this process: only a server inside it can have them. */
static bool check_standard(const struct run_settings *s, bool local, struct err *err)
{
    bool any = is_standard(s->output);
    for (size_t i = 0; i < s->input_count; i++) {
        any |= is_standard(s->inputs[i]);
        if (is_standard(s->inputs[i]) && s->input_count > 1)
            return err_set(err, ERR_INVALID, "standard input (-) is read alone, without files");
    }
    return local || !any ||
           err_set(err, ERR_INVALID, "a server cannot read or write \"-\": name files of its own");
}

static bool add_source(const struct run_settings *s, bool local, struct json_out *o,
                       struct err *err)
{
    json_out_name(o, "source");
    json_out_open(o, '{');
    if (is_standard(s->inputs[0])) {
        add_text(o, "program", RUN_STDIN);
        json_out_close(o, '}');
        return true;
    }
    json_out_name(o, s->input_count > 1 ? "paths" : "path");
    if (s->input_count > 1)
        json_out_open(o, '[');
    for (size_t i = 0; i < s->input_count; i++) {
        OWNED_MEM char *path = NULL;
        if (!local)
            path = xstrdup(s->inputs[i]);
        else if (!run_path_of_input(s->inputs[i], &path, err))
            return false;
        json_out_text(o, path);
    }
    if (s->input_count > 1)
        json_out_close(o, ']');
    /* A function gets a CSV's rows as it gets the lines of a JSONL. */
    add_flag(o, "objects", true);
    json_out_close(o, '}');
    return true;
}

/* A file that the engine writes; `path` as asked. */
static bool add_written(const char *path, const char *what, bool local, struct json_out *o,
                        struct err *err)
{
    OWNED_MEM char *whole = NULL;
    if (!local)
        whole = xstrdup(path);
    else if (!run_make_folders(path, err) || !run_path_of_output(path, what, &whole, err))
        return false;
    add_text(o, "path", whole);
    return true;
}

static bool add_sinks(const struct run_settings *s, bool local, struct json_out *o, struct err *err)
{
    OWNED_MEM char *errors = s->errors ? xstrdup(s->errors) : run_job_errors_path(s->output);
    json_out_name(o, "sink");
    json_out_open(o, '{');
    if (is_standard(s->output))
        add_text(o, "program", RUN_STDOUT);
    else if (!add_written(s->output, "output", local, o, err))
        return false;
    add_flag(o, "ordered", s->ordered);
    json_out_close(o, '}');
    json_out_name(o, "errors");
    json_out_open(o, '{');
    if (!add_written(errors, "error file", local, o, err))
        return false;
    add_flag(o, "records", true);
    json_out_close(o, '}');
    return true;
}

static void add_limits(const struct run_settings *s, struct json_out *o)
{
    json_out_name(o, "limits");
    json_out_open(o, '{');
    add_i64(o, "concurrency", s->concurrency);
    add_double(o, "rpm", s->rpm);
    add_flag(o, "adaptive", s->adaptive);
    json_out_close(o, '}');
    add_i64(o, "max_attempts", s->retries + 1);
    if (s->retries == 0)
        return;
    json_out_name(o, "retry");
    json_out_open(o, '{');
    add_double(o, "delay_s", (double)s->retry_delay_us / 1e6);
    add_double(o, "factor", s->retry_factor);
    json_out_close(o, '}');
}

static void add_identity(const struct run_settings *s, struct json_out *o)
{
    if (!s->id_key)
        return;
    json_out_name(o, "identity");
    json_out_open(o, '{');
    add_text(o, "key", s->id_key);
    add_text(o, "rerun_key", s->rerun_key);
    json_out_close(o, '}');
}

static void add_portion(const struct run_settings *s, struct json_out *o)
{
    add_flag(o, "resume", true);
    if (!s->limit && !s->sample && !s->only_failed && !s->retry_skipped)
        return;
    json_out_name(o, "portion");
    json_out_open(o, '{');
    if (s->limit)
        add_i64(o, "limit", s->limit);
    if (s->sample) {
        add_i64(o, "sample", s->sample);
        add_i64(o, "seed", s->seed);
    }
    add_flag(o, "only_failed", s->only_failed);
    add_flag(o, "retry_skipped", s->retry_skipped);
    json_out_close(o, '}');
}

bool run_job_write(const struct run_settings *s, const char *name, bool local, struct buf *out,
                   struct err *err)
{
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    add_text(&o, "name", name);
    if (!check_standard(s, local, err) || !add_source(s, local, &o, err) ||
        !add_sinks(s, local, &o, err))
        return false;
    add_i64(&o, "lease_s", LEASE_S);
    add_limits(s, &o);
    add_identity(s, &o);
    add_portion(s, &o);
    json_out_close(&o, '}');
    return !out->full || err_set(err, ERR_LIMIT, "the run names too many files");
}
