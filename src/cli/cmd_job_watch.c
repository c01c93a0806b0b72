/* cmd_job_watch.c: `penstock job watch`: how far a job is, until it ends.
 *
 * The event stream says at once when something happens to the job, and while work is done it tells
 * so a few times a second; the counts are asked for then. A server that goes away is waited for:
 * the stream is taken up again behind the last event seen. */
#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/shown_job.h"
#include "run/http_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct option watch_options[] = {
    {.name = "every",
     .value = "SECONDS",
     .help = "how often a line is printed when it is no terminal (default: 5)"},
    {.name = "patience",
     .value = "SECONDS",
     .help = "how long to wait for a server that has gone away (default: 60)"},
    {.name = "json", .help = "print the job as a line of JSON each time"},
    {0},
};
static const struct option *const watch_tables[] = {watch_options, client_options, NULL};

enum { BAR_WIDTH_MAX = 40, REDRAW_MS = 200, IDLE_MS = 2000, RECONNECT_MS = 250 };
static const int64_t second_us = 1000000;

struct watch {
    struct client *client;
    const char *name;
    char *path, *events_path;
    bool live, json; /* live: a line that is drawn again */
    int64_t every_us, patience_us;
    int64_t next_us;    /* when the next line is due (monotonic) */
    int64_t away_us;    /* since when the server is away, 0: it is there */
    int64_t last_event; /* -1: none yet */
};

static void watch_release(struct watch *w)
{
    client_free(w->client);
    free(w->path);
    free(w->events_path);
}

static bool watch_init(struct watch *w, const struct options *options, struct err *err)
{
    const char *every = options_text(options, "every");
    const char *patience = options_text(options, "patience");
    const char *term = getenv("TERM");
    *w = (struct watch){.name = options_argument(options, 0),
                        .every_us = 5 * second_us,
                        .patience_us = 60 * second_us,
                        .last_event = -1};
    if (every &&
        !parse_seconds(str_of(every), second_us / 10, 86400 * second_us, &w->every_us, err))
        return err_add(err, "--every");
    if (patience && !parse_seconds(str_of(patience), 0, 86400 * second_us, &w->patience_us, err))
        return err_add(err, "--patience");
    w->json = options_has(options, "json");
    w->live = !w->json && terminal_is(stdout) && !(term && strcmp(term, "dumb") == 0);
    if (w->live)
        w->every_us = REDRAW_MS * second_us / 1000;
    w->path = client_job_path(w->name, "");
    w->events_path = client_job_path(w->name, "/events");
    return client_open(options, &w->client, err);
}

/* [#########-----------] as wide as the terminal leaves room for. */
static void draw_bar(double part, int room, FILE *out)
{
    int width = room > BAR_WIDTH_MAX ? BAR_WIDTH_MAX : room;
    if (width < 5 || part < 0)
        return;
    int full = (int)(part * width);
    fputc('[', out);
    for (int i = 0; i < width; i++)
        fputc(i < full ? '#' : '-', out);
    fputs("] ", out);
}

static void draw(const struct shown_job *job, FILE *out)
{
    struct buf text;
    buf_init(&text, 512);
    shown_job_progress(job, &text);
    OWNED_MEM char *line = buf_take(&text);
    int room = terminal_columns(out) - 1 - (int)strlen(line) - (int)strlen(job->name) - 3;
    fprintf(out, "\r%s%s%s ", terminal_colour(out, shown_job_colour(job)), job->name,
            terminal_colour(out, COLOUR_NONE));
    draw_bar(shown_job_part(job), room, out);
    fprintf(out, "%s%s\033[K", line, job->paused && !shown_job_ended(job) ? "  paused" : "");
    fflush(out);
}

/* What the person or program sees of the job as it is now. */
static void show(struct watch *w, const struct shown_job *job, struct str json)
{
    int64_t now = clock_now().mono_us;
    bool last = shown_job_ended(job);
    if (now < w->next_us && !last)
        return;
    w->next_us = now + w->every_us;
    if (w->live) {
        draw(job, stdout);
        if (last)
            fputc('\n', stdout);
    } else if (w->json)
        printf("%.*s\n", (int)json.len, json.ptr);
    else {
        OWNED_BUF struct buf text;
        buf_init(&text, 512);
        shown_job_progress(job, &text);
        printf("%s %s: %.*s\n", job->name, shown_job_word(job), (int)text.len, text.data);
    }
    fflush(stdout);
}

/* How the watch ends: with the job. */
static bool conclude(const struct watch *w, const struct shown_job *job, struct err *err)
{
    if (strcmp(job->state, "failed") == 0)
        return err_set(err, ERR_IO, "job %s failed: %s", job->name,
                       job->failure ? job->failure : "no reason is known");
    if (strcmp(job->state, "cancelled") == 0)
        return err_set(err, ERR_CONFLICT, "job %s was cancelled", job->name);
    if (!w->json && job->failed > 0 && job->errors_path)
        printf("failed records are listed in %s\n", job->errors_path);
    if (!w->json && job->tail)
        printf("the end of the input was not served: %s\n", job->tail);
    return true;
}

/* The server cannot be reached: true when it is worth waiting on, which it did then for a moment.
 */
static bool wait_for_server(struct watch *w, const struct err *err)
{
    int64_t now = clock_now().mono_us;
    if (err->code != ERR_BUSY)
        return false;
    if (!w->away_us) {
        w->away_us = now;
        fprintf(stderr, "%s%s; waiting for it\n", w->live ? "\n" : "", err->text);
    }
    if (now - w->away_us > w->patience_us)
        return false;
    usleep(RECONNECT_MS * 1000);
    return true;
}

/* Waits for something new to show: an event of the job, progress when a line is due, or its time.
 */
static bool wait_for_news(struct watch *w, struct client_stream *stream, struct err *err)
{
    for (;;) {
        struct str data;
        int64_t seen = w->last_event, left_us = w->next_us - clock_now().mono_us;
        int wait_ms = left_us > 0 ? (int)(left_us / 1000) + 1 : 1;
        /* When nothing happens only the rate sinks, and a person need not see that at once. */
        if (w->live)
            wait_ms = IDLE_MS;
        if (!client_stream_next(stream, wait_ms, &data, &w->last_event, err))
            return false;
        if (!data.ptr || w->last_event != seen || clock_now().mono_us >= w->next_us)
            return true;
    }
}

/* Follows one connection: *ended when the job has; false when the server is away or refuses. */
static bool follow(struct watch *w, bool *ended, struct err *err)
{
    OWNED(client_stream)
    struct client_stream *stream = client_follow(w->client, w->events_path, w->last_event);
    /* First the stream, then the counts: what happens in between is then an event. */
    if (!client_stream_begin(stream, err))
        return false;
    do {
        OWNED_BUF struct buf answer;
        OWNED_SHOWN_JOB struct shown_job job = {0};
        buf_init(&answer, 4 << 20);
        if (!client_ask(w->client, "GET", w->path, STR(""), &answer, err) ||
            !shown_job_read(buf_str(&answer), &job, err))
            return false;
        w->away_us = 0;
        show(w, &job, buf_str(&answer));
        if (shown_job_ended(&job)) {
            *ended = true;
            return conclude(w, &job, err);
        }
    } while (wait_for_news(w, stream, err));
    return false;
}

static bool watch_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(watch_release))) struct watch w;
    bool ended = false;
    if (!watch_init(&w, options, err))
        return false;
    while (!follow(&w, &ended, err))
        if (ended || !wait_for_server(&w, err))
            return false;
    return true;
}

const struct command cmd_job_watch = {
    .name = "job watch",
    .arguments = "JOB",
    .least = 1,
    .most = 1,
    .summary = "Show how far a job is, until it ends; fails when the job failed",
    .text = "On a terminal one line with a bar is drawn again and again, else a line is printed\n"
            "every few seconds. A server that is started again meanwhile is waited for.\n"
            "\n"
            "A job completes when all its records are settled and a worker, asking for more,\n"
            "found the end of the input: until then it may grow.\n",
    .options = watch_tables,
    .examples = "penstock job watch titles\n"
                "penstock job watch titles --json | jq .records.done\n"
                "penstock job watch titles --every 60 >>progress.log\n",
    .run = watch_run,
};
