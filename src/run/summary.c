/* summary.c: see summary.h. */
#include "run/summary.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { JSON_MAX_BYTES = 1 << 20 };

static void line_text(FILE *out, const char *name, const char *text)
{
    if (text)
        fprintf(out, "  %-10s%s\n", name, text);
}

static void line_count(FILE *out, const char *name, int64_t count)
{
    char text[COUNT_TEXT_SIZE];
    count_text(count, text);
    line_text(out, name, text);
}

static void line_count_if_any(FILE *out, const char *name, int64_t count)
{
    if (count > 0)
        line_count(out, name, count);
}

static void line_time(const struct summary *s, FILE *out)
{
    char span[SPAN_TEXT_SIZE], rate[COUNT_TEXT_SIZE];
    int64_t settled = s->figures.done + s->figures.failed + s->figures.skipped;
    double per_s = s->elapsed_s > 0 ? (double)settled / s->elapsed_s : 0;
    if (s->elapsed_s < 60)
        snprintf(span, sizeof span, "%.2f s", s->elapsed_s);
    else
        span_text(s->elapsed_s, span);
    count_text((int64_t)(per_s + 0.5), rate);
    fprintf(out, "  %-10s%s", "time", span);
    if (per_s >= 10)
        fprintf(out, " (%s/s)", rate);
    else if (per_s > 0)
        fprintf(out, " (%.2g/s)", per_s);
    fputc('\n', out);
}

/* What an adaptive run found the service to take. */
static void line_pace(const struct summary *s, FILE *out)
{
    char count[COUNT_TEXT_SIZE];
    if (s->throttled <= 0)
        return;
    count_text(s->throttled, count);
    fprintf(out, "  %-10s%s time%s", "throttled", count, s->throttled == 1 ? "" : "s");
    if (s->lowest_rpm > 0)
        fprintf(out, ", down to %.6g starts a minute", s->lowest_rpm);
    if (s->lowest_rpm > 0 && s->figures.rpm > 0)
        fprintf(out, ", %.6g at the end", s->figures.rpm);
    fputc('\n', out);
}

void summary_print(const struct summary *s, FILE *out)
{
    const struct progress_figures *f = &s->figures;
    fprintf(out, "%s\n", s->outcome);
    line_count(out, "done", f->done);
    line_count(out, "failed", f->failed);
    line_count_if_any(out, "skipped", f->skipped);
    line_count_if_any(out, "before", f->before);
    line_count_if_any(out, "left", s->unread);
    line_count_if_any(out, "doubles", s->duplicates);
    line_count_if_any(out, "repeats", s->repeats);
    line_count_if_any(out, "retries", f->retried);
    line_count_if_any(out, "deaths", s->deaths);
    line_pace(s, out);
    line_time(s, out);
    line_text(out, "output", s->output);
    if (f->failed > 0)
        line_text(out, "errors", s->errors);
    line_text(out, "log", s->log);
}

static void add_text(struct json_out *o, const char *name, const char *text)
{
    json_out_name(o, name);
    json_out_text(o, text);
}

static void add_i64(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void add_double(struct json_out *o, const char *name, double number)
{
    json_out_name(o, name);
    json_out_double(o, round(number * 1000) / 1000);
}

static void add_instant(struct json_out *o, const char *name, int64_t at_us)
{
    char text[CLOCK_TEXT_SIZE];
    clock_text(at_us, text);
    add_text(o, name, text);
}

void summary_json(const struct summary *s, struct buf *out)
{
    const struct progress_figures *f = &s->figures;
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    add_text(&o, "outcome", s->outcome);
    add_text(&o, "reason", s->reason);
    add_i64(&o, "exit_status", s->exit_status);
    add_text(&o, "function", s->function);
    add_i64(&o, "done", f->done);
    add_i64(&o, "failed", f->failed);
    add_i64(&o, "skipped", f->skipped);
    add_i64(&o, "before", f->before);
    add_i64(&o, "left", s->unread);
    json_out_name(&o, "total");
    if (f->total >= 0)
        json_out_i64(&o, f->total);
    else
        json_out_null(&o);
    add_i64(&o, "duplicates", s->duplicates);
    add_i64(&o, "repeats", s->repeats);
    add_i64(&o, "retried", f->retried);
    add_i64(&o, "deaths", s->deaths);
    add_i64(&o, "throttled", s->throttled);
    add_double(&o, "lowest_rpm", s->lowest_rpm > 0 ? s->lowest_rpm : (double)NAN);
    add_double(&o, "rpm", f->rpm > 0 ? f->rpm : (double)NAN);
    add_instant(&o, "started_at", s->started_at_us);
    add_instant(&o, "ended_at", s->ended_at_us);
    add_double(&o, "elapsed_s", s->elapsed_s);
    add_text(&o, "output", s->output);
    add_text(&o, "errors", s->errors);
    add_text(&o, "log", s->log);
    json_out_close(&o, '}');
    buf_add_char(out, '\n');
}

bool summary_write(const struct summary *s, const char *path, struct err *err)
{
    OWNED_BUF struct buf text;
    OWNED_MEM char *fresh = xasprintf("%s.new", path);
    buf_init(&text, JSON_MAX_BYTES);
    summary_json(s, &text);
    OWNED_FD int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, errno, "summary %s", fresh);
    if (!file_write_at(fd, 0, text.data, text.len, fresh, err))
        return err_add(err, "summary");
    return rename(fresh, path) == 0 || err_errno(err, errno, "summary %s", path);
}
