/* shown_job.c: see shown_job.h. */
#include "cli/shown_job.h"

#include "base/json.h"

#include <stddef.h>
#include <stdlib.h>

enum member_type { MEMBER_TEXT, MEMBER_I64, MEMBER_DOUBLE, MEMBER_BOOL };

struct member {
    const char *name;
    enum member_type type;
    size_t at; /* offset in struct shown_job */
};

#define AT(field) offsetof(struct shown_job, field)
static const struct member members[] = {
    {"id", MEMBER_I64, AT(id)},
    {"name", MEMBER_TEXT, AT(name)},
    {"state", MEMBER_TEXT, AT(state)},
    {"mode", MEMBER_TEXT, AT(mode)},
    {"failure", MEMBER_TEXT, AT(failure)},
    {"tail", MEMBER_TEXT, AT(tail)},
    {"errors_path", MEMBER_TEXT, AT(errors_path)},
    {"created_at", MEMBER_TEXT, AT(created_at)},
    {"started_at", MEMBER_TEXT, AT(started_at)},
    {"ended_at", MEMBER_TEXT, AT(ended_at)},
    {"paused", MEMBER_BOOL, AT(paused)},
    {"exhausted", MEMBER_BOOL, AT(exhausted)},
    {"leases", MEMBER_I64, AT(leases)},
    {"max_attempts", MEMBER_I64, AT(max_attempts)},
    {"lease_s", MEMBER_DOUBLE, AT(lease_s)},
    {"rate_per_s", MEMBER_DOUBLE, AT(rate_per_s)},
    {"eta_s", MEMBER_DOUBLE, AT(eta_s)},
    {0},
};
static const struct member pace_members[] = {
    {"rpm", MEMBER_DOUBLE, AT(rpm)},
    {"lowest_rpm", MEMBER_DOUBLE, AT(lowest_rpm)},
    {"halved", MEMBER_I64, AT(halved)},
    {"throttled", MEMBER_I64, AT(throttled)},
    {0},
};
static const struct member record_members[] = {
    {"known", MEMBER_I64, AT(known)},
    {"total", MEMBER_I64, AT(total)},
    {"unread", MEMBER_I64, AT(unread)},
    {"served", MEMBER_I64, AT(served)},
    {"done", MEMBER_I64, AT(done)},
    {"failed", MEMBER_I64, AT(failed)},
    {"bad", MEMBER_I64, AT(bad)},
    {"repeats", MEMBER_I64, AT(repeats)},
    {"written", MEMBER_I64, AT(written)},
    {"skipped", MEMBER_I64, AT(skipped)},
    {"in_flight", MEMBER_I64, AT(in_flight)},
    {"waiting", MEMBER_I64, AT(waiting)},
    {"done_before", MEMBER_I64, AT(done_before)},
    {"duplicates", MEMBER_I64, AT(duplicates)},
    {"left_out", MEMBER_I64, AT(left_out)},
    {"no_id", MEMBER_I64, AT(no_id)},
    {"retried", MEMBER_I64, AT(retried)},
    {0},
};

/* What is null or not there keeps its value. */
static void read_members(struct str json, const struct member *rows, struct shown_job *job)
{
    for (const struct member *m = rows; m->name; m++) {
        struct str value;
        void *to = (char *)job + m->at;
        if (!json_find(json, m->name, &value) || json_type_of(value) == JSON_NULL)
            continue;
        switch (m->type) {
        case MEMBER_TEXT:
            *(char **)to = json_take_text(value);
            break;
        case MEMBER_I64:
            if (!json_i64(value, INT64_MIN, INT64_MAX, to))
                *(int64_t *)to = -1;
            break;
        case MEMBER_DOUBLE:
            if (!json_double(value, to))
                *(double *)to = -1;
            break;
        case MEMBER_BOOL:
            if (!json_bool(value, to))
                *(bool *)to = false;
            break;
        }
    }
}

/* "titles.jsonl and 3 more" of a list of paths. */
static char *read_paths(struct str list)
{
    struct json j;
    struct str first, other;
    int more = 0;
    json_open(&j, list);
    if (!json_enter(&j, '[') || !json_item(&j) || !json_value(&j, &first))
        return NULL;
    while (json_item(&j) && json_value(&j, &other))
        more++;
    OWNED_MEM char *path = json_take_text(first);
    return path ? xasprintf("%s and %d more", path, more) : NULL;
}

/* "titles.jsonl", or "program NAME". NULL when there is none. */
static char *read_end(struct str json, const char *name)
{
    struct str end, value;
    if (!json_find(json, name, &end) || json_type_of(end) != JSON_OBJECT)
        return NULL;
    if (json_find(end, "path", &value) && json_type_of(value) == JSON_STRING)
        return json_take_text(value);
    if (json_find(end, "paths", &value) && json_type_of(value) == JSON_ARRAY)
        return read_paths(value);
    OWNED_MEM char *program = json_find(end, "program", &value) ? json_take_text(value) : NULL;
    return program ? xasprintf("program %s", program) : NULL;
}

bool shown_job_read(struct str json, struct shown_job *out, struct err *err)
{
    struct str records, pace;
    struct shown_job job = {.total = -1, .eta_s = -1};
    if (!json_check(json, NULL, NULL) || json_type_of(json) != JSON_OBJECT)
        return err_set(err, ERR_INTERNAL, "the server's answer is no job");
    read_members(json, members, &job);
    if (json_find(json, "records", &records) && json_type_of(records) == JSON_OBJECT)
        read_members(records, record_members, &job);
    if (json_find(json, "pace", &pace) && json_type_of(pace) == JSON_OBJECT)
        read_members(pace, pace_members, &job);
    job.source = read_end(json, "source");
    job.sink = read_end(json, "sink");
    if (!job.name || !job.state) {
        shown_job_release(&job);
        return err_set(err, ERR_INTERNAL, "the server's answer is no job");
    }
    *out = job;
    return true;
}

void shown_job_release(struct shown_job *job)
{
    for (const struct member *m = members; m->name; m++)
        if (m->type == MEMBER_TEXT)
            free(*(char **)((char *)job + m->at));
    free(job->source);
    free(job->sink);
    *job = (struct shown_job){0};
}

static bool is_state(const struct shown_job *job, const char *state)
{
    return strcmp(job->state, state) == 0;
}

bool shown_job_ended(const struct shown_job *job)
{
    return is_state(job, "completed") || is_state(job, "failed") || is_state(job, "cancelled");
}

const char *shown_job_word(const struct shown_job *job)
{
    return job->paused && !shown_job_ended(job) ? "paused" : job->state;
}

enum colour shown_job_colour(const struct shown_job *job)
{
    if (is_state(job, "failed"))
        return COLOUR_BAD;
    if (is_state(job, "completed"))
        return COLOUR_GOOD;
    if (is_state(job, "cancelled") || job->paused)
        return COLOUR_WARN;
    return COLOUR_NONE;
}

double shown_job_part(const struct shown_job *job)
{
    if (is_state(job, "completed"))
        return 1;
    if (job->total <= 0)
        return -1;
    double part = (double)(job->done + job->failed) / (double)job->total;
    /* An estimated total may be too small; only the end of the job is the end. */
    return part > 0.999 && !job->exhausted ? 0.999 : part > 1 ? 1 : part;
}

void shown_job_progress(const struct shown_job *job, struct buf *out)
{
    char number[COUNT_TEXT_SIZE], span[SPAN_TEXT_SIZE];
    double part = shown_job_part(job);
    if (part >= 0)
        buf_add_format(out, "%5.1f %%  ", 100 * part);
    count_text(job->done, number);
    buf_add_format(out, "%s", number);
    if (job->total >= 0) {
        count_text(job->total, number);
        buf_add_format(out, " of %s%s", job->exhausted ? "" : "about ", number);
    }
    buf_add_text(out, " done");
    if (job->failed > 0) {
        count_text(job->failed, number);
        buf_add_format(out, "  %s failed", number);
    }
    if (shown_job_ended(job))
        return;
    if (job->rate_per_s > 0) {
        count_text((int64_t)(job->rate_per_s + 0.5), number);
        buf_add_format(out, "  %s/s", number);
    }
    if (job->eta_s >= 0) {
        span_text(job->eta_s, span);
        buf_add_format(out, "  %s left", span);
    }
}

static void print_text(FILE *out, const char *name, const char *value)
{
    if (!value)
        return;
    fprintf(out, "%-12s", name);
    for (; *value; value++)
        fputc((unsigned char)*value < ' ' || *value == 0x7f ? '?' : *value, out);
    fputc('\n', out);
}

static void print_count(FILE *out, const char *name, int64_t number)
{
    char text[COUNT_TEXT_SIZE];
    count_text(number, text);
    fprintf(out, "%-12s%s\n", name, text);
}

void shown_job_print(const struct shown_job *job, FILE *out)
{
    struct buf progress;
    buf_init(&progress, 512);
    print_text(out, "name", job->name);
    fprintf(out, "%-12s%lld\n", "id", (long long)job->id);
    fprintf(out, "%-12s%s%s%s\n", "state", terminal_colour(out, shown_job_colour(job)),
            shown_job_word(job), terminal_colour(out, COLOUR_NONE));
    print_text(out, "failure", job->failure);
    shown_job_progress(job, &progress);
    OWNED_MEM char *line = buf_take(&progress);
    print_text(out, "progress", line + strspn(line, " "));
    print_count(out, "in flight", job->served);
    if (job->failed > 0)
        print_count(out, "failed", job->failed);
    if (job->bad > 0)
        print_count(out, "bad lines", job->bad);
    if (job->repeats > 0)
        print_count(out, "repeats", job->repeats);
    print_text(out, "errors in", job->errors_path);
    print_text(out, "tail", job->tail);
    print_text(out, "mode", job->mode);
    print_text(out, "input", job->source);
    print_text(out, "output", job->sink);
    if (job->lease_s > 0)
        fprintf(out, "%-12s%g s\n", "lease", job->lease_s);
    if (job->max_attempts > 0)
        print_count(out, "attempts", job->max_attempts);
    print_text(out, "created", job->created_at);
    print_text(out, "started", job->started_at);
    print_text(out, "ended", job->ended_at);
}
