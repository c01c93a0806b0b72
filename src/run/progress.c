/* progress.c: see progress.h. */
#include "run/progress.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/terminal.h"

#include <math.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define LIVE_EVERY_US (SECOND_US / 5)
#define PLAIN_EVERY_US (10 * SECOND_US)
enum { LINE_MAX_BYTES = 512 };

struct progress {
    FILE *out;
    enum progress_form form;
    char *drawn; /* the line that stands there; NULL */
    int64_t next_us;
};

static void add_count(struct buf *out, const char *before, int64_t count, const char *behind)
{
    char text[COUNT_TEXT_SIZE];
    count_text(count, text);
    buf_add_format(out, "%s%s%s", before, text, behind);
}

static void add_part(const struct progress_figures *f, struct buf *out)
{
    int64_t settled = f->before + f->done + f->failed + f->skipped;
    if (f->total <= 0)
        return;
    double part = (double)settled / (double)f->total;
    /* An estimate may be too low; only the end is the end. */
    if (part > 0.999 && !(f->total_is_exact && settled >= f->total))
        part = 0.999;
    buf_add_format(out, "%.1f %%  ", 100 * (part > 1 ? 1 : part));
}

void progress_text(const struct progress_figures *f, struct buf *out)
{
    char span[SPAN_TEXT_SIZE];
    add_part(f, out);
    add_count(out, "", f->done, " done");
    if (f->failed > 0)
        add_count(out, "  ", f->failed, " failed");
    if (f->skipped > 0)
        add_count(out, "  ", f->skipped, " skipped");
    if (f->before > 0)
        add_count(out, "  ", f->before, " before");
    if (f->total > 0)
        add_count(out, f->total_is_exact ? "  of " : "  of about ", f->total, "");
    if (f->rate_per_s >= 10)
        add_count(out, "  ", (int64_t)(f->rate_per_s + 0.5), "/s");
    else if (f->rate_per_s > 0)
        buf_add_format(out, "  %.2g/s", f->rate_per_s);
    if (f->eta_s >= 0) {
        span_text(f->eta_s, span);
        buf_add_format(out, "  %s left", span);
    }
    add_count(out, "  ", f->in_flight, " in flight");
    if (f->waiting > 0)
        add_count(out, "  ", f->waiting, " to try again");
    if (f->rpm > 0)
        buf_add_format(out, "  limit %.6g/min", f->rpm);
}

void progress_json(const struct progress_figures *f, struct buf *out)
{
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {{"done", f->done},      {"failed", f->failed},   {"skipped", f->skipped},
                  {"before", f->before},  {"retried", f->retried}, {"in_flight", f->in_flight},
                  {"waiting", f->waiting}};
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_out_name(&o, counts[i].name);
        json_out_i64(&o, counts[i].count);
    }
    json_out_name(&o, "total");
    if (f->total >= 0)
        json_out_i64(&o, f->total);
    else
        json_out_null(&o);
    json_out_name(&o, "total_is_exact");
    json_out_bool(&o, f->total_is_exact);
    json_out_name(&o, "rate_per_s");
    json_out_double(&o, round(f->rate_per_s * 1000) / 1000);
    json_out_name(&o, "eta_s");
    json_out_double(&o, f->eta_s >= 0 ? round(f->eta_s * 1000) / 1000 : (double)NAN);
    json_out_name(&o, "rpm");
    json_out_double(&o, f->rpm > 0 ? f->rpm : (double)NAN);
    json_out_close(&o, '}');
}

struct progress *progress_new(FILE *out, enum progress_form form)
{
    struct progress *p = xcalloc(1, sizeof *p);
    p->out = out;
    p->form = form;
    /* The first plain line says something: not at once. */
    p->next_us = form == PROGRESS_NONE    ? NEVER_US
                 : form == PROGRESS_PLAIN ? clock_now().mono_us + PLAIN_EVERY_US
                                          : 0;
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_end(p);
    free(p);
}

int64_t progress_next_us(const struct progress *p)
{
    return p->next_us;
}

/* As much as fits into a row: a line that wraps could not be drawn over. */
static void draw(const struct progress *p)
{
    int room = terminal_columns(p->out) - 1;
    fprintf(p->out, "\r%.*s\033[K", room > 0 ? room : 1, p->drawn);
    fflush(p->out);
}

static void show_json(const struct progress *p, const struct progress_figures *f)
{
    OWNED_BUF struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    progress_json(f, &line);
    fprintf(p->out, "{\"progress\":%.*s}\n", (int)line.len, line.data);
    fflush(p->out);
}

void progress_show(struct progress *p, const struct progress_figures *f, int64_t now_us)
{
    static const int64_t every_us[] = {[PROGRESS_PLAIN] = PLAIN_EVERY_US,
                                       [PROGRESS_LIVE] = LIVE_EVERY_US,
                                       [PROGRESS_JSON] = SECOND_US};
    struct buf line;
    if (p->form == PROGRESS_NONE || now_us < p->next_us)
        return;
    p->next_us = now_us + every_us[p->form];
    if (p->form == PROGRESS_JSON) {
        show_json(p, f);
        return;
    }
    buf_init(&line, LINE_MAX_BYTES);
    progress_text(f, &line);
    if (p->form == PROGRESS_LIVE) {
        free(p->drawn);
        p->drawn = buf_take(&line);
        draw(p);
        return;
    }
    fprintf(p->out, "%.*s\n", (int)line.len, line.data);
    fflush(p->out);
    buf_release(&line);
}

void progress_draw(struct progress *p, struct str text)
{
    if (p->form != PROGRESS_LIVE)
        return;
    free(p->drawn);
    p->drawn = xstrndup(text.ptr, text.len);
    draw(p);
}

void progress_final(struct progress *p, const struct progress_figures *f)
{
    if (p->form == PROGRESS_JSON)
        show_json(p, f);
}

static void print_json(const struct progress *p, struct str line)
{
    OWNED_BUF struct buf text;
    struct json_out o;
    buf_init(&text, BUF_NO_CAP);
    json_out_init(&o, &text);
    json_out_open(&o, '{');
    json_out_name(&o, "text");
    json_out_str(&o, line);
    json_out_close(&o, '}');
    fprintf(p->out, "%.*s\n", (int)text.len, text.data);
    fflush(p->out);
}

void progress_print(struct progress *p, struct str line)
{
    if (p->form == PROGRESS_JSON) {
        print_json(p, line);
        return;
    }
    if (p->drawn)
        fputs("\r\033[K", p->out);
    fwrite(line.ptr, 1, line.len, p->out);
    fputc('\n', p->out);
    if (p->drawn)
        draw(p);
    fflush(p->out);
}

void progress_end(struct progress *p)
{
    if (!p->drawn)
        return;
    fputc('\n', p->out);
    fflush(p->out);
    free(TAKE(p->drawn));
}
