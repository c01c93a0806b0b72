/* run_hooks.c: what becomes of what worker processes say: lines for the person, events for the log
 * (run_session.h). */
#include "base/json.h"
#include "cli/run_session_own.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_SHOWN = 3 };

void run_session_say(struct run_session *r, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    progress_print(r->progress, str_of(text));
}

void run_session_end_progress(struct run_session *r, const struct progress_figures *f)
{
    progress_final(r->progress, f);
    progress_end(r->progress);
}

/* ---- what processes say ---- */

static void on_hello(void *context, struct str body)
{
    struct run_session *r = context;
    buf_add_str(&r->hello, body);
    r->has_hello = true;
}

static void on_line(void *context, int number, struct str text)
{
    struct run_session *r = context;
    (void)number;
    progress_print(r->progress, text);
}

static enum log_level level_of(struct str body)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"debug", LOG_DEBUG}, {"warning", LOG_WARN}, {"error", LOG_ERROR}};
    OWNED_MEM char *name = worker_message_text(body, "level");
    for (size_t i = 0; name && i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].name, name) == 0)
            return levels[i].level;
    return LOG_INFO;
}

static void log_raw(struct log_line *line, struct str body, const char *member, const char *name)
{
    struct str value;
    if (json_find(body, member, &value))
        log_value(line, name, "%.*s", value.len > 200 ? 200 : (int)value.len, value.ptr);
}

void run_session_show(struct run_session *r, struct str text, struct str line)
{
    for (size_t i = 0; i < SHOWN_KEPT; i++)
        if (r->shown[i] && str_is(text, r->shown[i]))
            return;
    free(r->shown[r->shown_next]);
    r->shown[r->shown_next] = xstrndup(text.ptr, text.len);
    r->shown_next = (r->shown_next + 1) % SHOWN_KEPT;
    progress_print(r->progress, line);
    if (r->said_full || !memmem(text.ptr, text.len, "No space left", 13))
        return;
    r->said_full = true;
    run_session_say(r,
                    "the disk is full: make room, and the run goes on by itself; or stop it, and "
                    "give the same command again later. Nothing is lost");
}

/* What its workers work on. */
static const char *what_of(const struct run_session *r)
{
    return r->path ? "record" : "task";
}

/* A few failures are shown as they come: with thousands, the list of them is the place to look. */
static void show_failure(struct run_session *r, struct str body, const char *text)
{
    struct str record = {"?", 1};
    (void)json_find(body, "record", &record);
    (void)json_find(body, "id", &record);
    if (r->failures_shown >= FAILURES_SHOWN || r->settings->quiet)
        return;
    r->failures_shown++;
    run_session_say(r, "%s %.*s: %s%s", what_of(r), record.len > 80 ? 80 : (int)record.len,
                    record.ptr, text,
                    r->failures_shown == FAILURES_SHOWN ? " (more are not shown)" : "");
}

/* A server that is away, or is back: all processes find it at once, one of them tells it. */
static void show_away(struct run_session *r, int number, struct str away, const char *text)
{
    if (r->says_away && r->says_away != number)
        return;
    r->says_away = str_is(away, "true") ? number : 0;
    progress_print(r->progress, str_of(text));
}

static void on_log(void *context, int number, struct str body)
{
    struct run_session *r = context;
    enum log_level level = level_of(body);
    OWNED_MEM char *text = worker_message_text(body, "text");
    struct str record, away;
    if (json_find(body, "away", &away)) {
        show_away(r, number, away, text ? text : "");
        if (r->log_fd < 0)
            return;
    }
    bool of_record = json_find(body, "record", &record);
    if (of_record && level <= LOG_WARN)
        show_failure(r, body, text ? text : "");
    /* Without a file what concerns one record is shown above, or not at all. */
    if (of_record && r->log_fd < 0)
        return;
    /* With a file what somebody should know at once would stand there only. */
    if (!of_record && level == LOG_ERROR && r->log_fd >= 0)
        run_session_show(r, str_of(text ? text : ""), str_of(text ? text : ""));
    struct log_line *line = log_begin(level, !of_record ? "worker.log"
                                             : r->path  ? "record.log"
                                                        : "task.log");
    log_value(line, "worker", "%d", number);
    log_raw(line, body, "record", what_of(r));
    log_raw(line, body, "id", "id");
    log_value(line, "text", "%s", text ? text : "");
    log_end(line);
}

/* An event that the person is told of in other words: for the file alone, NULL when there is none.
 */
static struct log_line *log_to_file(const struct run_session *r, enum log_level level,
                                    const char *event)
{
    return r->log_fd >= 0 ? log_begin(level, event) : NULL;
}

static void on_died(void *context, int number, const char *how, const char *lease, bool replaced)
{
    struct run_session *r = context;
    struct log_line *line = log_to_file(r, LOG_WARN, "worker.died");
    if (r->says_away == number)
        r->says_away = 0;
    log_value(line, "worker", "%d", number);
    log_value(line, "how", "%s", how);
    log_end(line);
    if (replaced)
        run_session_say(r, "worker process %d %s; another takes its place", number, how);
    if (!lease)
        return;
    r->lost = xrealloc(r->lost, (r->lost_count + 1) * sizeof *r->lost);
    r->lost[r->lost_count++] = (struct lost_lease){xstrdup(lease), xstrdup(how)};
}

static void on_recycled(void *context, int number, int64_t ran)
{
    (void)context;
    struct log_line *line = log_begin(LOG_INFO, "worker.recycled");
    log_value(line, "worker", "%d", number);
    log_value(line, "ran", "%lld", (long long)ran);
    log_end(line);
}

static void on_failed(void *context, const char *where, const char *text, const char *traceback)
{
    struct run_session *r = context;
    struct log_line *line = log_to_file(r, LOG_ERROR, "worker.failed");
    log_value(line, "where", "%s", where);
    log_value(line, "reason", "%s", text);
    log_end(line);
    if (*traceback)
        progress_print(r->progress, str_trim(str_of(traceback)));
    if (strcmp(where, "on_shutdown") == 0 && !r->shutdown_failure)
        r->shutdown_failure = xstrdup(text);
}

const struct supervisor_hooks run_hooks = {
    .hello = on_hello,
    .line = on_line,
    .log = on_log,
    .died = on_died,
    .recycled = on_recycled,
    .failed = on_failed,
};
