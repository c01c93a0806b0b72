/* cmd_queue.c: `penstock queue|function list|pause|resume|set`: what holds tasks back. Queues and
 * functions are gates of one kind: a row of a table says which is meant. */
#include "base/json.h"
#include "base/parse.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t list_max_bytes = 64 << 20;

static const struct gates {
    const char *path, *list, *title;
} queues = {"/v1/queues", "queues", "QUEUE"},
  functions = {"/v1/functions", "functions", "FUNCTION"};

static const struct option json_options[] = {
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const plain_tables[] = {json_options, client_options, NULL};

static void add_cell(struct table *table, char *text, enum colour colour)
{
    table_cell(table, str_of(text), colour);
    free(text);
}

/* "4 at once, 600 a minute": in words, as both may be absent. */
static char *limits_of(struct str gate)
{
    struct buf text;
    int64_t concurrency = answer_i64(gate, "concurrency");
    double rpm = answer_double(gate, "rpm");
    buf_init(&text, 256);
    if (concurrency > 0)
        buf_add_format(&text, "%lld at once", (long long)concurrency);
    if (rpm > 0)
        buf_add_format(&text, "%s%g a minute", text.len > 0 ? ", " : "", rpm);
    if (answer_flag(gate, "fair"))
        buf_add_format(&text, "%sfair", text.len > 0 ? ", " : "");
    if (text.len == 0)
        buf_add_text(&text, "-");
    return buf_take(&text);
}

static bool add_gate(void *context, struct str gate, struct err *err)
{
    static const char *const states[] = {"blocked", "pending", "running", "completed", "failed"};
    static const enum colour colours[] = {COLOUR_FAINT, COLOUR_NONE, COLOUR_WARN, COLOUR_GOOD,
                                          COLOUR_BAD};
    struct table *table = context;
    struct str counts = answer_raw(gate, "counts");
    bool paused = answer_flag(gate, "paused");
    (void)err;
    add_cell(table, answer_text(gate, "name"), COLOUR_NONE);
    table_cell(table, paused ? STR("paused") : STR("open"), paused ? COLOUR_WARN : COLOUR_NONE);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        int64_t count = answer_i64(counts, states[i]);
        add_cell(table, answer_count(count), count ? colours[i] : COLOUR_FAINT);
    }
    add_cell(table, answer_count(answer_i64(gate, "workers")), COLOUR_NONE);
    add_cell(table, limits_of(gate), COLOUR_NONE);
    return true;
}

static bool list(const struct options *options, const struct gates *gates, struct err *err)
{
    const char *const titles[] = {gates->title, "",        ">BLOCKED", ">PENDING", ">RUNNING",
                                  ">DONE",      ">FAILED", ">WORKERS", "LIMITS",   NULL};
    OWNED(client) struct client *client = NULL;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    OWNED_BUF struct buf answer;
    buf_init(&answer, list_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", gates->path, STR(""), &answer, err) ||
        !answer_list_each(buf_str(&answer), gates->list, table ? add_gate : answer_list_print,
                          table, err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

/* Changes the gate that the first argument names; says what it is now. */
static bool change(const struct options *options, const struct gates *gates, struct str body,
                   struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    struct buf where;
    buf_init(&answer, list_max_bytes);
    buf_init(&where, BUF_NO_CAP);
    buf_add_format(&where, "%s/", gates->path);
    client_escape(&where, options_argument(options, 0));
    OWNED_MEM char *path = buf_take(&where);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "PATCH", path, body, &answer, err))
        return false;
    if (options_has(options, "json")) {
        printf("%.*s\n", (int)answer.len, answer.data);
        return true;
    }
    OWNED_MEM char *limits = limits_of(buf_str(&answer));
    printf("%s is %s; limits: %s\n", options_argument(options, 0),
           answer_flag(buf_str(&answer), "paused") ? "paused" : "open", limits);
    return true;
}

/* --- set --- */

static const struct option limit_options[] = {
    {.name = "concurrency", .value = "N", .help = "so many run at once; none: no limit"},
    {.name = "rpm", .value = "N", .help = "so many start in a minute; none: no limit"},
    {0},
};
static const struct option fair_options[] = {
    {.name = "fair", .value = "BOOL", .help = "whether keys take turns before priority: yes or no"},
    {0},
};
static const struct option *const queue_set_tables[] = {limit_options, fair_options, json_options,
                                                        client_options, NULL};
static const struct option *const function_set_tables[] = {limit_options, json_options,
                                                           client_options, NULL};

static bool write_limit(const struct options *options, const char *name, struct json_out *o,
                        struct err *err)
{
    const char *text = options_text(options, name);
    double number = 0;
    if (!text)
        return true;
    json_out_name(o, name);
    if (strcmp(text, "none") == 0) {
        json_out_null(o);
        return true;
    }
    if (!json_check(str_of(text), NULL, NULL) || !json_double(str_of(text), &number))
        return err_set(err, ERR_INVALID, "--%s: \"%s\" is neither a number nor \"none\"", name,
                       text);
    json_out_raw(o, str_of(text));
    return true;
}

static bool write_fair(const struct options *options, struct json_out *o, struct err *err)
{
    const char *text = options_text(options, "fair");
    bool fair = false;
    if (!text)
        return true;
    if (!parse_bool(str_of(text), &fair))
        return err_set(err, ERR_INVALID, "--fair: \"%s\" is neither yes nor no", text);
    json_out_name(o, "fair");
    json_out_bool(o, fair);
    return true;
}

static bool set(const struct options *options, const struct gates *gates, struct err *err)
{
    OWNED_BUF struct buf body;
    struct json_out o;
    buf_init(&body, 4096);
    json_out_init(&o, &body);
    json_out_open(&o, '{');
    if (!write_limit(options, "concurrency", &o, err) || !write_limit(options, "rpm", &o, err) ||
        (gates == &queues && !write_fair(options, &o, err)))
        return false;
    json_out_close(&o, '}');
    if (body.len == 2)
        return err_set(err, ERR_INVALID, "set what? --concurrency or --rpm%s",
                       gates == &queues ? ", or --fair" : "");
    return change(options, gates, buf_str(&body), err);
}

/* --- the commands --- */

static bool queue_list_run(const struct options *options, struct err *err)
{
    return list(options, &queues, err);
}

const struct command cmd_queue_list = {
    .name = "queue list",
    .summary = "List queues with their counts and limits",
    .options = plain_tables,
    .examples = "penstock queue list\n"
                "penstock queue list --json | jq -r 'select(.counts.pending>0).name'\n",
    .run = queue_list_run,
};

static bool queue_pause_run(const struct options *options, struct err *err)
{
    return change(options, &queues, STR("{\"paused\":true}"), err);
}

const struct command cmd_queue_pause = {
    .name = "queue pause",
    .arguments = "QUEUE",
    .least = 1,
    .most = 1,
    .summary = "Start no more tasks of a queue; what runs goes on",
    .options = plain_tables,
    .examples = "penstock queue pause ingest\n",
    .run = queue_pause_run,
};

static bool queue_resume_run(const struct options *options, struct err *err)
{
    return change(options, &queues, STR("{\"paused\":false}"), err);
}

const struct command cmd_queue_resume = {
    .name = "queue resume",
    .arguments = "QUEUE",
    .least = 1,
    .most = 1,
    .summary = "Start tasks of a paused queue again",
    .options = plain_tables,
    .examples = "penstock queue resume ingest\n",
    .run = queue_resume_run,
};

static bool queue_set_run(const struct options *options, struct err *err)
{
    return set(options, &queues, err);
}

const struct command cmd_queue_set = {
    .name = "queue set",
    .arguments = "QUEUE",
    .least = 1,
    .most = 1,
    .summary = "Limit a queue, or take its limits away; takes effect at once",
    .options = queue_set_tables,
    .examples = "penstock queue set ingest --concurrency 4 --rpm 600\n"
                "penstock queue set ingest --rpm none --fair yes\n",
    .run = queue_set_run,
};

static bool function_list_run(const struct options *options, struct err *err)
{
    return list(options, &functions, err);
}

const struct command cmd_function_list = {
    .name = "function list",
    .summary = "List functions with their counts and limits",
    .options = plain_tables,
    .examples = "penstock function list\n"
                "penstock function list --json | jq -r .name\n",
    .run = function_list_run,
};

static bool function_pause_run(const struct options *options, struct err *err)
{
    return change(options, &functions, STR("{\"paused\":true}"), err);
}

const struct command cmd_function_pause = {
    .name = "function pause",
    .arguments = "FUNCTION",
    .least = 1,
    .most = 1,
    .summary = "Start no more calls of a function; what runs goes on",
    .options = plain_tables,
    .examples = "penstock function pause parse\n",
    .run = function_pause_run,
};

static bool function_resume_run(const struct options *options, struct err *err)
{
    return change(options, &functions, STR("{\"paused\":false}"), err);
}

const struct command cmd_function_resume = {
    .name = "function resume",
    .arguments = "FUNCTION",
    .least = 1,
    .most = 1,
    .summary = "Start calls of a paused function again",
    .options = plain_tables,
    .examples = "penstock function resume parse\n",
    .run = function_resume_run,
};

static bool function_set_run(const struct options *options, struct err *err)
{
    return set(options, &functions, err);
}

const struct command cmd_function_set = {
    .name = "function set",
    .arguments = "FUNCTION",
    .least = 1,
    .most = 1,
    .summary = "Limit the calls of a function, or take its limits away",
    .options = function_set_tables,
    .examples = "penstock function set geocode --rpm 60\n"
                "penstock function set geocode --rpm none --concurrency 2\n",
    .run = function_set_run,
};
