/* cmd_schedule.c: `penstock schedule list|set|delete|run`: what is enqueued again and again. */
#include "base/json.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/option_member.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t list_max_bytes = 16 << 20;

static const struct option json_options[] = {
    {.name = "json", .help = "print each schedule as a line of JSON, as the server sends it"},
    {0},
};
static const struct option *const plain_tables[] = {json_options, client_options, NULL};

static char *schedule_path(const char *name, const char *rest)
{
    struct buf path;
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/schedules/");
    client_escape(&path, name);
    buf_add_text(&path, rest);
    return buf_take(&path);
}

/* --- list --- */

/* When it is due: its fields, or "every 300". */
static char *when_of(struct str schedule)
{
    char *cron = answer_text(schedule, "cron");
    if (cron && *cron && strcmp(cron, "-") != 0)
        return cron;
    free(cron);
    OWNED_MEM char *seconds = answer_text(schedule, "every_s");
    return xasprintf("every %s s", seconds ? seconds : "?");
}

static bool add_schedule(void *context, struct str schedule, struct err *err)
{
    static const char *const members[] = {"zone", "function", "next_at", "last_at", "failure"};
    struct str raw;
    bool paused = false;
    (void)err;
    OWNED_MEM char *name = answer_text(schedule, "name");
    OWNED_MEM char *when = when_of(schedule);
    table_cell(context, str_of(name), COLOUR_NONE);
    table_cell(context, str_of(when), COLOUR_NONE);
    if (json_find(schedule, "paused", &raw))
        (void)json_bool(raw, &paused);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        OWNED_MEM char *text = answer_text(schedule, members[i]);
        bool next = strcmp(members[i], "next_at") == 0;
        table_cell(context, next && paused ? STR("paused") : str_of(text), COLOUR_NONE);
    }
    return true;
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {"SCHEDULE", "WHEN", "ZONE",    "FUNCTION",
                                         "NEXT",     "LAST", "FAILURE", NULL};
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    buf_init(&answer, list_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", "/v1/schedules", STR(""), &answer, err) ||
        !answer_list_each(buf_str(&answer), "schedules", table ? add_schedule : answer_list_print,
                          table, err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_schedule_list = {
    .name = "schedule list",
    .summary = "List schedules: when they are due, and when they were",
    .options = plain_tables,
    .examples = "penstock schedule list\n",
    .run = list_run,
};

/* --- set --- */

static const struct option set_options[] = {
    {.name = "cron",
     .value = "FIELDS",
     .help = "minute, hour, day of month, month, day of week; or six with seconds first; or @daily "
             "and its like"},
    {.name = "every", .value = "SECONDS", .help = "in place of --cron: an interval"},
    {.name = "zone",
     .value = "ZONE",
     .help = "whose clocks count, such as Europe/Vienna (default: UTC)"},
    {.name = "missed",
     .value = "POLICY",
     .help = "what becomes of ticks while the server was down: skip, once or all (default: skip)"},
    {.name = "paused", .help = "it enqueues nothing until it is set without this"},
    {.name = "pass-time", .help = "the arguments get the tick's time as \"timestamp\""},
    {.name = "queue", .value = "NAME", .help = "where its tasks wait (default: default)"},
    {.name = "priority", .value = "N", .help = "higher runs first (default: 0)"},
    {.name = "of", .value = "KEY", .help = "whose work it is (a dataset, a customer)"},
    {.name = "batch", .value = "LABEL", .help = "a label for status and bulk verbs"},
    {.name = "lock", .value = "NAME", .help = "of all tasks with this lock one runs at a time"},
    {.name = "max-attempts", .value = "N", .help = "starts in all (default: 5)"},
    {.name = "retry", .value = "JSON", .help = "as of task enqueue (default: a failure is final)"},
    {.name = "timeout", .value = "SECONDS", .help = "a run that takes longer is aborted"},
    {0},
};
static const struct option *const set_tables[] = {set_options, json_options, client_options, NULL};

/* Options that become members: as texts, as JSON that must be a number, as any JSON, as flags. */
static const struct set_member {
    const char *option, *member;
    enum { AS_TEXT, AS_NUMBER, AS_JSON, AS_FLAG } as;
} set_members[] = {
    {"cron", "cron", AS_TEXT},     {"every", "every_s", AS_NUMBER},
    {"zone", "zone", AS_TEXT},     {"missed", "missed", AS_TEXT},
    {"paused", "paused", AS_FLAG}, {"pass-time", "pass_time", AS_FLAG},
    {"queue", "queue", AS_TEXT},   {"priority", "priority", AS_NUMBER},
    {"of", "key", AS_TEXT},        {"batch", "batch", AS_TEXT},
    {"lock", "lock", AS_TEXT},     {"max-attempts", "max_attempts", AS_NUMBER},
    {"retry", "retry", AS_JSON},   {"timeout", "timeout_s", AS_NUMBER},
};

static bool write_member(const struct options *options, const struct set_member *m,
                         struct json_out *o, struct err *err)
{
    switch (m->as) {
    case AS_TEXT:
        option_member_text(options, m->option, m->member, o);
        return true;
    case AS_NUMBER:
        return option_member_number(options, m->option, m->member, o, err);
    case AS_JSON:
        return option_member_json(options, m->option, m->member, o, err);
    case AS_FLAG:
        if (options_has(options, m->option)) {
            json_out_name(o, m->member);
            json_out_bool(o, true);
        }
        return true;
    }
    return err_set(err, ERR_INTERNAL, "--%s: no such kind", m->option);
}

static bool write_body(const struct options *options, struct json_out *o, struct err *err)
{
    const char *arguments = options_argument(options, 2), *fault = NULL;
    size_t at = 0;
    json_out_open(o, '{');
    json_out_name(o, "function");
    json_out_text(o, options_argument(options, 1));
    if (arguments && !json_check(str_of(arguments), &at, &fault))
        return err_set(err, ERR_INVALID, "arguments: byte %zu: %s", at, fault);
    if (arguments) {
        json_out_name(o, "arguments");
        json_out_raw(o, str_trim(str_of(arguments)));
    }
    for (size_t i = 0; i < sizeof set_members / sizeof *set_members; i++)
        if (!write_member(options, &set_members[i], o, err))
            return false;
    json_out_close(o, '}');
    return true;
}

static bool set_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf body;
    OWNED_BUF struct buf answer;
    struct json_out o;
    OWNED_MEM char *path = schedule_path(options_argument(options, 0), "");
    buf_init(&body, BUF_NO_CAP);
    buf_init(&answer, list_max_bytes);
    json_out_init(&o, &body);
    if (!write_body(options, &o, err) || !client_open(options, &client, err) ||
        !client_ask(client, "PUT", path, buf_str(&body), &answer, err))
        return false;
    if (options_has(options, "json")) {
        printf("%.*s\n", (int)answer.len, answer.data);
        return true;
    }
    OWNED_MEM char *next = answer_text(buf_str(&answer), "next_at");
    printf("%s is set, next: %s\n", options_argument(options, 0), next);
    return true;
}

const struct command cmd_schedule_set = {
    .name = "schedule set",
    .arguments = "NAME FUNCTION [ARGUMENTS]",
    .least = 2,
    .most = 3,
    .summary = "Enqueue a call of a function again and again; set again, it is replaced",
    .text =
        "ARGUMENTS is JSON (default: {}). With --cron, what the zone's clocks leave out when they "
        "are set\nforward runs at the first moment after the gap, and what they show twice runs "
        "once; where the\nhour is * or has a step, both passes count. --every counts from 1970.\n",
    .options = set_tables,
    .examples =
        "penstock schedule set morning report --cron '0 7 * * mon-fri' --zone Europe/Vienna\n"
        "penstock schedule set crawl crawl '{\"site\":\"example.org\"}' --every 300 --missed "
        "once\n",
    .run = set_run,
};

/* --- delete, run --- */

static bool delete_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_MEM char *path = schedule_path(options_argument(options, 0), "");
    if (!client_open(options, &client, err) ||
        !client_ask(client, "DELETE", path, STR(""), NULL, err))
        return false;
    if (!options_has(options, "json"))
        printf("%s is deleted\n", options_argument(options, 0));
    return true;
}

const struct command cmd_schedule_delete = {
    .name = "schedule delete",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .summary = "Take a schedule away; what it has enqueued stays",
    .options = plain_tables,
    .examples = "penstock schedule delete crawl\n",
    .run = delete_run,
};

static bool run_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    OWNED_MEM char *path = schedule_path(options_argument(options, 0), "/run");
    buf_init(&answer, list_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "POST", path, STR(""), &answer, err))
        return false;
    OWNED_MEM char *id = answer_text(buf_str(&answer), "id");
    if (options_has(options, "json"))
        printf("%.*s\n", (int)answer.len, answer.data);
    else
        printf("%s\n", id);
    return true;
}

const struct command cmd_schedule_run = {
    .name = "schedule run",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .summary = "Enqueue what a schedule says now, whenever it is due; prints the task's id",
    .options = plain_tables,
    .examples = "penstock schedule run morning\n",
    .run = run_run,
};
