/* cmd_events.c: `penstock events`: the history, and what happens from now on. */
#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "run/http_stream.h"

#include <stdio.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
enum { RECONNECT_MS = 500, NEWS_MS = 60000 };

static const struct option events_options[] = {
    {.name = "follow", .help = "go on with what happens, until interrupted"},
    {.name = "after",
     .value = "ID",
     .help = "only events behind this one (default: all; with --follow, from now on)"},
    {.name = "kind",
     .value = "TEXT",
     .help = "only events whose kind begins so, such as task.failed"},
    {.name = "json", .help = "print each as a line of JSON"},
    {0},
};
static const struct option *const events_tables[] = {events_options, client_options, NULL};

struct tail {
    struct client *client;
    const char *kind;
    bool json, follow;
    int64_t last;    /* id of the last event, -1: from now on */
    int64_t away_us; /* since when the server is away; 0: it is here */
};

static void tail_release(struct tail *t)
{
    client_free(t->client);
}

static void print_event(const struct tail *t, struct str event)
{
    OWNED_MEM char *kind = answer_text(event, "kind");
    if (t->kind && strncmp(kind, t->kind, strlen(t->kind)) != 0)
        return;
    if (t->json) {
        printf("%.*s\n", (int)event.len, event.ptr);
        return;
    }
    OWNED_MEM char *at = answer_text(event, "at");
    OWNED_MEM char *name = answer_text(event, "name");
    struct str detail = answer_raw(event, "detail");
    printf("%s  %-16s  %s  %.*s\n", at, kind, name, (int)detail.len, detail.ptr ? detail.ptr : "");
}

/* Follows one connection to its end: *done at the end of the history, unless it goes on. */
static bool follow(struct tail *t, bool *done, struct err *err)
{
    OWNED(client_stream)
    struct client_stream *stream = client_follow(t->client, "/v1/events", t->last);
    if (!client_stream_begin(stream, err))
        return false;
    t->away_us = 0;
    for (;;) {
        struct str event;
        int64_t seen = t->last;
        if (!client_stream_next(stream, NEWS_MS, &event, &t->last, err))
            return false;
        /* Progress of data jobs comes without a number and is no event. */
        if (event.ptr && t->last != seen)
            print_event(t, event);
        else if (!event.ptr && !t->follow && client_stream_is_present(stream)) {
            *done = true;
            return true;
        }
        fflush(stdout);
    }
}

static bool events_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(tail_release))) struct tail t = {0};
    bool done = false;
    t.follow = options_has(options, "follow");
    t.json = options_has(options, "json");
    t.kind = options_text(options, "kind");
    if (!options_i64(options, "after", 0, INT64_MAX, t.follow ? -1 : 0, &t.last, err) ||
        !client_open(options, &t.client, err))
        return false;
    while (!follow(&t, &done, err)) {
        int64_t now = clock_now().mono_us;
        if (err->code != ERR_BUSY || !t.follow || t.last < 0)
            return false;
        if (!t.away_us) {
            t.away_us = now;
            fprintf(stderr, "%s; waiting for it\n", err->text);
        }
        if (now - t.away_us > 60 * SECOND_US)
            return false;
        usleep(RECONNECT_MS * 1000);
    }
    return true;
}

const struct command cmd_events = {
    .name = "events",
    .summary = "Print the history of jobs and tasks, and go on with what happens",
    .text = "Each line is one event: when, which kind, of what, and its detail. The kinds of\n"
            "tasks are task.enqueued, task.started, task.completed, task.failed, task.dead,\n"
            "task.cancelled, task.lost, task.returned and task.retried; one event tells of all\n"
            "tasks that went the same way together.\n",
    .options = events_tables,
    .examples = "penstock events\n"
                "penstock events --follow --kind task.\n"
                "penstock events --follow --json | jq -r .kind\n",
    .run = events_run,
};
