/* cmd_top.c: `penstock top`: queues, running tasks, workers and errors, as they are now. */
#include "base/clock.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/terminal.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/top_screen.h"

#include <stdio.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)

static const struct option top_options[] = {
    {.name = "every", .value = "SECONDS", .help = "look so often (default: 1 on a terminal)"},
    {.name = "once", .help = "print what is and end, as it does without a terminal"},
    {.name = "json", .help = "print a line of JSON; with --every, one again and again"},
    {0},
};
static const struct option *const top_tables[] = {top_options, client_options, NULL};

struct top {
    struct client *client;
    struct top_sample samples[2];
    int now; /* which of them is the newer */
    int64_t every_us;
};

static void top_release(struct top *t)
{
    top_sample_release(&t->samples[0]);
    top_sample_release(&t->samples[1]);
    client_free(t->client);
}

static bool look(struct top *t, struct err *err)
{
    struct top_sample *next = &t->samples[1 - t->now];
    if (!top_sample_take(t->client, next, err))
        return false;
    t->now = 1 - t->now;
    return true;
}

static void print_json(const struct top *t)
{
    OWNED_BUF struct buf line;
    struct json_out o;
    buf_init(&line, BUF_NO_CAP);
    json_out_init(&o, &line);
    json_out_open(&o, '{');
    for (int list = 0; list < TOP_LIST_COUNT; list++) {
        json_out_name(&o, top_list_name((enum top_list)list));
        json_out_raw(&o, top_sample_list(&t->samples[t->now], (enum top_list)list));
    }
    json_out_close(&o, '}');
    printf("%.*s\n", (int)line.len, line.data);
    fflush(stdout);
}

/* On a terminal, until q. A server that goes is waited for. */
static bool show_live(struct top *t, struct err *err)
{
    OWNED(top_screen) struct top_screen *screen = NULL;
    if (!look(t, err) || !top_screen_open(&screen, err))
        return false;
    const struct top_sample *before = &t->samples[1 - t->now];
    struct err away = {0};
    for (;;) {
        int64_t next_us = clock_now().mono_us + t->every_us;
        enum top_event event = TOP_RESIZED;
        while (event == TOP_RESIZED) {
            top_screen_draw(screen, &t->samples[t->now], before, *away.text ? away.text : NULL);
            event = top_screen_wait(screen, next_us);
        }
        if (event == TOP_QUIT)
            return true;
        away.text[0] = '\0';
        if (!look(t, &away) && away.code != ERR_BUSY) {
            *err = away;
            return false;
        }
        before = &t->samples[1 - t->now];
    }
}

static bool top_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(top_release))) struct top t = {.every_us = SECOND_US};
    const char *every = options_text(options, "every");
    bool json = options_has(options, "json");
    top_sample_init(&t.samples[0]);
    top_sample_init(&t.samples[1]);
    if (every && !parse_seconds(str_of(every), SECOND_US / 10, 86400 * SECOND_US, &t.every_us, err))
        return err_add(err, "--every");
    if (!client_open(options, &t.client, err))
        return false;
    if (!json && !options_has(options, "once") && terminal_is(stdout) && terminal_is(stdin))
        return show_live(&t, err);
    for (;;) {
        if (!look(&t, err))
            return false;
        if (json)
            print_json(&t);
        else
            top_print(&t.samples[t.now], &t.samples[1 - t.now], 0, stdout);
        if (!json || !every)
            return true;
        usleep((useconds_t)t.every_us);
    }
}

const struct command cmd_top = {
    .name = "top",
    .summary = "Show queues, running tasks, workers and errors, again each second",
    .text = "q quits. When it does not talk to a terminal it prints what is and ends. A queue's\n"
            "ends/s are those of its tasks since the last look.\n",
    .options = top_tables,
    .examples = "penstock top\n"
                "penstock top --every 5\n"
                "penstock top --json | jq '.queues[].counts.pending'\n",
    .run = top_run,
};
