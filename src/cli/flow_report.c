/* flow_report.c: see flow_report.h. */
#include "cli/flow_report.h"

#include "base/json.h"
#include "base/terminal.h"
#include "run/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_SHOWN = 3, ID_WIDTH = 5 };

struct flow_report {
    const struct flow_settings *settings;
    const struct flow_mirror *mirror;
    struct progress *progress;
    bool live;
};

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && !(term && strcmp(term, "dumb") == 0);
}

struct flow_report *flow_report_new(const struct flow_settings *settings,
                                    const struct flow_mirror *mirror)
{
    struct flow_report *r = xcalloc(1, sizeof *r);
    r->settings = settings;
    r->mirror = mirror;
    r->live = is_terminal() && !settings->quiet && !settings->json;
    r->progress = progress_new(stderr, r->live ? PROGRESS_LIVE : PROGRESS_NONE);
    return r;
}

void flow_report_free(struct flow_report *r)
{
    if (!r)
        return;
    progress_free(r->progress);
    free(r);
}

bool flow_report_is_live(const struct flow_report *r)
{
    return r->live;
}

void flow_report_quiet(struct flow_report *r)
{
    progress_end(r->progress);
}

/* Names and errors may say anything; to a terminal they say text. */
static void make_plain(struct buf *line)
{
    for (size_t i = 0; i < line->len; i++)
        if ((unsigned char)line->data[i] < ' ' || line->data[i] == 0x7f)
            line->data[i] = '?';
}

static void print(struct flow_report *r, struct buf *line)
{
    make_plain(line);
    if (!r->settings->quiet)
        progress_print(r->progress, buf_str(line));
    buf_release(line);
}

void flow_report_say(struct flow_report *r, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    progress_print(r->progress, str_of(text));
}

/* ---- JSON ---- */

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

static void add_seconds(struct json_out *o, const char *name, double number)
{
    json_out_name(o, name);
    json_out_double(o, number);
}

static void open_event(struct buf *line, struct json_out *o, const char *event)
{
    buf_init(line, BUF_NO_CAP);
    json_out_init(o, line);
    json_out_open(o, '{');
    add_text(o, "event", event);
}

static void print_event(struct buf *line, struct json_out *o)
{
    json_out_close(o, '}');
    buf_add_char(line, '\n');
    fwrite(line->data, 1, line->len, stdout);
    fflush(stdout);
    buf_release(line);
}

static void node_event(const char *event, const struct node_seen *node, bool ended)
{
    const struct node_task *t = node->task;
    struct buf line;
    struct json_out o;
    open_event(&line, &o, event);
    add_i64(&o, "id", t->node);
    add_text(&o, "name", t->name);
    add_i64(&o, "attempt", t->attempt);
    add_i64(&o, "max_attempts", t->max_attempts);
    add_text(&o, "logfile", t->logfile);
    if (ended) {
        add_seconds(&o, "elapsed_s", node->elapsed_s);
        add_i64(&o, "code", node->code);
        if (node->end != NODE_COMPLETED)
            add_text(&o, "error", node->why);
        if (node->end == NODE_RETRIED)
            add_seconds(&o, "again_in_s", t->retry_wait_s);
    }
    print_event(&line, &o);
}

/* ---- lines ---- */

static void begin_line(struct buf *line, const char *what, const struct node_task *t)
{
    buf_init(line, BUF_NO_CAP);
    buf_add_format(line, "%-9s %*d  %.200s", what, ID_WIDTH, (int)t->node, t->name);
}

void flow_report_started(struct flow_report *r, const struct node_seen *node)
{
    struct buf line;
    if (r->settings->json)
        node_event("started", node, false);
    if (r->settings->json || r->settings->quiet)
        return;
    begin_line(&line, "start", node->task);
    if (node->task->attempt > 1)
        buf_add_format(&line, "  attempt %" PRId64 " of %" PRId64, node->task->attempt,
                       node->task->max_attempts);
    print(r, &line);
}

static void print_tail(struct flow_report *r, struct str tail)
{
    while (tail.len) {
        struct buf line;
        const char *end = memchr(tail.ptr, '\n', tail.len);
        size_t len = end ? (size_t)(end - tail.ptr) : tail.len;
        buf_init(&line, BUF_NO_CAP);
        buf_add_format(&line, "    | %.*s", len > 400 ? 400 : (int)len, tail.ptr);
        print(r, &line);
        len += end != NULL;
        tail = (struct str){tail.ptr + len, tail.len - len};
    }
}

void flow_report_ended(struct flow_report *r, const struct node_seen *node)
{
    static const char *const words[] = {"done", "FAILED", "retry", "aborted"};
    static const char *const events[] = {"completed", "failed", "retried", "aborted"};
    const struct node_task *t = node->task;
    struct buf line;
    if (r->settings->json)
        node_event(events[node->end], node, true);
    /* What has failed is told also to who wants no progress. */
    if (r->settings->json || (r->settings->quiet && node->end != NODE_FAILED))
        return;
    begin_line(&line, words[node->end], t);
    buf_add_format(&line, "  %.3f s", node->elapsed_s);
    if (node->end == NODE_FAILED || node->end == NODE_RETRIED)
        buf_add_format(&line, "  %s", node->why);
    if (node->end == NODE_RETRIED)
        buf_add_format(&line, "; attempt %" PRId64 " of %" PRId64 " in %g s", t->attempt + 1,
                       t->max_attempts, t->retry_wait_s);
    if (node->end == NODE_FAILED)
        buf_add_format(&line, "; its log is %s", t->logfile);
    make_plain(&line);
    progress_print(r->progress, buf_str(&line));
    buf_release(&line);
    if (node->end == NODE_FAILED)
        print_tail(r, node->tail);
}

/* ---- the line that is drawn ---- */

struct names {
    struct buf *line;
    size_t shown, most;
};

static void add_name(void *context, const struct node_task *task, double elapsed_s)
{
    struct names *n = context;
    char span[SPAN_TEXT_SIZE];
    if (n->shown++ >= n->most)
        return;
    span_text(elapsed_s, span);
    buf_add_format(n->line, "%s%.40s %s", n->shown > 1 ? ", " : ": ", task->name, span);
}

void flow_report_draw(struct flow_report *r, const struct flow_runner *runner, double eta_s)
{
    OWNED_BUF struct buf line;
    char span[SPAN_TEXT_SIZE];
    static const struct {
        char mark;
        const char *word;
    } counts[] = {{'C', "done"}, {'F', "failed"}, {'D', "defaulted"}, {'P', "to come"}};
    if (!r->live)
        return;
    buf_init(&line, BUF_NO_CAP);
    buf_add_format(&line, "%zu running", flow_runner_running(runner));
    struct names names = {.line = &line, .most = r->settings->debug ? SIZE_MAX : NAMES_SHOWN};
    flow_runner_each(runner, add_name, &names);
    for (size_t i = 0; r->mirror && i < sizeof counts / sizeof *counts; i++) {
        size_t count = flow_mirror_count(r->mirror, counts[i].mark);
        if (count > 0)
            buf_add_format(&line, "  %zu %s", count, counts[i].word);
    }
    if (eta_s >= 0) {
        span_text(eta_s, span);
        buf_add_format(&line, "  about %s left", span);
    }
    make_plain(&line);
    progress_draw(r->progress, buf_str(&line));
}

/* ---- the end ---- */

static const struct {
    char mark;
    const char *word;
} endings[] = {{'C', "completed"}, {'F', "failed"},  {'D', "defaulted"},
               {'N', "norun"},     {'A', "aborted"}, {'P', "pending"}};

void flow_report_end(struct flow_report *r, const char *state, double elapsed_s)
{
    struct buf line;
    char span[SPAN_TEXT_SIZE];
    flow_report_quiet(r);
    if (r->settings->json) {
        struct json_out o;
        open_event(&line, &o, "ended");
        add_text(&o, "state", state);
        add_seconds(&o, "elapsed_s", elapsed_s);
        json_out_name(&o, "counts");
        json_out_open(&o, '{');
        for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
            add_i64(&o, (char[]){endings[i].mark, '\0'},
                    (int64_t)flow_mirror_count(r->mirror, endings[i].mark));
        json_out_close(&o, '}');
        json_out_close(&o, '}');
        buf_add_char(&line, '\n');
        fwrite(line.data, 1, line.len, stdout);
        fflush(stdout);
        buf_release(&line);
        return;
    }
    buf_init(&line, BUF_NO_CAP);
    buf_add_format(&line, "%s in ", state);
    if (elapsed_s < 60)
        buf_add_format(&line, "%.3f s", elapsed_s);
    else {
        span_text(elapsed_s, span);
        buf_add_text(&line, span);
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t count = flow_mirror_count(r->mirror, endings[i].mark);
        if (count > 0)
            buf_add_format(&line, "%s %zu %s", i ? "," : ":", count, endings[i].word);
    }
    print(r, &line);
}
