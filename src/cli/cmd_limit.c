/* cmd_limit.c: `penstock limit list|set|delete`: limits of each key that a pattern matches. */
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
    {.name = "json", .help = "print each limit as a line of JSON"},
    {0},
};
static const struct option *const plain_tables[] = {json_options, client_options, NULL};

static bool add_limit(void *context, struct str limit, struct err *err)
{
    static const char *const members[] = {"name", "pattern", "concurrency", "rpm"};
    (void)err;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        OWNED_MEM char *text = answer_text(limit, members[i]);
        table_cell(context, str_of(text), COLOUR_NONE);
    }
    return true;
}

/* Prints the limits of an answer. */
static bool print_limits(const struct options *options, struct str answer, struct err *err)
{
    static const char *const titles[] = {"LIMIT", "KEYS", ">AT ONCE", ">A MINUTE", NULL};
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    if (!answer_list_each(answer, "limits", table ? add_limit : answer_list_print, table, err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

static char *limit_path(const char *name)
{
    struct buf path;
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/limits/");
    client_escape(&path, name);
    return buf_take(&path);
}

static bool list_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    buf_init(&answer, list_max_bytes);
    return client_open(options, &client, err) &&
           client_ask(client, "GET", "/v1/limits", STR(""), &answer, err) &&
           print_limits(options, buf_str(&answer), err);
}

const struct command cmd_limit_list = {
    .name = "limit list",
    .summary = "List the limits of keys",
    .options = plain_tables,
    .examples = "penstock limit list\n",
    .run = list_run,
};

static const struct option set_options[] = {
    {.name = "concurrency", .value = "N", .help = "of each key so many run at once"},
    {.name = "rpm", .value = "N", .help = "of each key so many start in a minute"},
    {0},
};
static const struct option *const set_tables[] = {set_options, json_options, client_options, NULL};

static bool set_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf body;
    OWNED_BUF struct buf answer;
    struct json_out o;
    OWNED_MEM char *path = limit_path(options_argument(options, 0));
    buf_init(&body, 8192);
    buf_init(&answer, list_max_bytes);
    json_out_init(&o, &body);
    json_out_open(&o, '{');
    json_out_name(&o, "pattern");
    json_out_text(&o, options_argument(options, 1));
    if (!option_member_number(options, "concurrency", "concurrency", &o, err) ||
        !option_member_number(options, "rpm", "rpm", &o, err))
        return false;
    json_out_close(&o, '}');
    return client_open(options, &client, err) &&
           client_ask(client, "PUT", path, buf_str(&body), &answer, err) &&
           print_limits(options, buf_str(&answer), err);
}

const struct command cmd_limit_set = {
    .name = "limit set",
    .arguments = "NAME PATTERN",
    .least = 2,
    .most = 2,
    .summary = "Give each key that the pattern matches a limit of its own",
    .text = "In PATTERN, * stands for any text and ? for one character. NAME is the limit's own:\n"
            "set again, it is replaced.\n",
    .options = set_tables,
    .examples = "penstock limit set datasets 'dataset-*' --concurrency 2\n"
                "penstock limit set trial 'trial-*' --rpm 60\n",
    .run = set_run,
};

static bool delete_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    OWNED_MEM char *path = limit_path(options_argument(options, 0));
    if (!client_open(options, &client, err) ||
        !client_ask(client, "DELETE", path, STR(""), NULL, err))
        return false;
    if (!options_has(options, "json"))
        printf("%s is deleted\n", options_argument(options, 0));
    return true;
}

const struct command cmd_limit_delete = {
    .name = "limit delete",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .summary = "Take a limit of keys away",
    .options = plain_tables,
    .examples = "penstock limit delete datasets\n",
    .run = delete_run,
};
