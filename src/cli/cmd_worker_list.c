/* cmd_worker_list.c: `penstock worker list`: the sessions of all workers that take tasks. */
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t list_max_bytes = 64 << 20;

static const struct option json_options[] = {
    {.name = "json", .help = "print each session as a line of JSON"},
    {0},
};
static const struct option *const list_tables[] = {json_options, client_options, NULL};

static void add_cell(struct table *table, char *text)
{
    table_cell(table, str_of(text), COLOUR_NONE);
    free(text);
}

/* The names of a list, with commas between; "all" when there is none. */
static char *names_of(struct str session, const char *name)
{
    struct buf text;
    struct json j;
    struct str item;
    buf_init(&text, BUF_NO_CAP);
    json_open(&j, answer_raw(session, name));
    if (json_peek(&j) == JSON_ARRAY && json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item)) {
            if (text.len > 0)
                buf_add_text(&text, ", ");
            json_text(item, &text);
        }
    if (text.len == 0)
        buf_add_text(&text, "all");
    return buf_take(&text);
}

static bool add_session(void *context, struct str session, struct err *err)
{
    (void)err;
    add_cell(context, answer_text(session, "worker"));
    add_cell(context, names_of(session, "queues"));
    add_cell(context, names_of(session, "functions"));
    add_cell(context, answer_count(answer_i64(session, "holding")));
    add_cell(context, answer_ago(session, "since"));
    add_cell(context, answer_ago(session, "last_at"));
    return true;
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {"WORKER",    "QUEUES",     "FUNCTIONS", ">HOLDS",
                                         ">HERE FOR", ">LAST WORD", NULL};
    OWNED(client) struct client *client = NULL;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    OWNED_BUF struct buf answer;
    buf_init(&answer, list_max_bytes);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", "/v1/workers", STR(""), &answer, err) ||
        !answer_list_each(buf_str(&answer), "workers", table ? add_session : answer_list_print,
                          table, err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_worker_list = {
    .name = "worker list",
    .summary = "List the workers that take tasks, and what they hold",
    .options = list_tables,
    .examples = "penstock worker list\n"
                "penstock worker list --json | jq -r .worker\n",
    .run = list_run,
};
