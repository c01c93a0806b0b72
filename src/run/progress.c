/* progress.c: see progress.h. */
#include "run/progress.h"

#include "base/clock.h"
#include "base/terminal.h"

#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define LIVE_EVERY_US (SECOND_US / 5)
#define PLAIN_EVERY_US (10 * SECOND_US)
enum { LINE_MAX_BYTES = 512 };

struct progress {
    FILE *out;
    bool live, quiet;
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

struct progress *progress_new(FILE *out, bool live, bool quiet)
{
    struct progress *p = xcalloc(1, sizeof *p);
    p->out = out;
    p->live = live;
    p->quiet = quiet;
    /* The first plain line says something: not at once. */
    p->next_us = quiet ? NEVER_US : live ? 0 : clock_now().mono_us + PLAIN_EVERY_US;
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

void progress_show(struct progress *p, const struct progress_figures *f, int64_t now_us)
{
    struct buf line;
    if (p->quiet || now_us < p->next_us)
        return;
    p->next_us = now_us + (p->live ? LIVE_EVERY_US : PLAIN_EVERY_US);
    buf_init(&line, LINE_MAX_BYTES);
    progress_text(f, &line);
    if (p->live) {
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
    if (p->quiet || !p->live)
        return;
    free(p->drawn);
    p->drawn = xstrndup(text.ptr, text.len);
    draw(p);
}

void progress_print(struct progress *p, struct str line)
{
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
