/* cmd_task_report.c: `penstock task errors|status`: tasks in sums. */
#include "base/json.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/task_filter_options.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t report_max_bytes = 256 << 20;

static void add_cell(struct table *table, char *text, enum colour colour)
{
    table_cell(table, str_of(text), colour);
    free(text);
}

/* --- errors --- */

static const struct option json_options[] = {
    {.name = "json", .help = "print each group as a line of JSON"},
    {0},
};
static const struct option *const errors_tables[] = {json_options, task_filter_options,
                                                     client_options, NULL};

static bool add_group(void *context, struct str group, struct err *err)
{
    struct table *table = context;
    struct str example = answer_raw(group, "example");
    (void)err;
    add_cell(table, answer_count(answer_i64(group, "count")), COLOUR_BAD);
    add_cell(table, answer_text(group, "function"), COLOUR_NONE);
    add_cell(table, answer_text(group, "type"), COLOUR_NONE);
    add_cell(table, answer_ago(group, "last_at"), COLOUR_FAINT);
    add_cell(table, answer_text(example, "id"), COLOUR_FAINT);
    OWNED_MEM char *message = answer_text(example, "message");
    add_cell(table, xasprintf("%.80s", message), COLOUR_NONE);
    return true;
}

static bool errors_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {">COUNT",   "FUNCTION", "ERROR", ">LAST",
                                         ">EXAMPLE", "MESSAGE",  NULL};
    OWNED(client) struct client *client = NULL;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    OWNED_BUF struct buf answer;
    struct buf where;
    buf_init(&answer, report_max_bytes);
    buf_init(&where, BUF_NO_CAP);
    buf_add_text(&where, "/v1/tasks/errors?");
    task_filter_query(options, false, &where);
    OWNED_MEM char *path = buf_take(&where);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", path, STR(""), &answer, err) ||
        !answer_list_each(buf_str(&answer), "errors", table ? add_group : answer_list_print, table,
                          err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_task_errors = {
    .name = "task errors",
    .summary = "Group failed tasks by function and type of error, most frequent first",
    .options = errors_tables,
    .examples = "penstock task errors\n"
                "penstock task errors --queue ingest --json | jq -r .type\n",
    .run = errors_run,
};

/* --- status --- */

static const struct option status_options[] = {
    {.name = "of", .value = "KEY", .help = "only tasks with this key (a dataset, a customer)"},
    {.name = "batch", .value = "LABEL", .help = "only tasks with this batch"},
    {.name = "active", .help = "leave out what has ended"},
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const status_tables[] = {status_options, client_options, NULL};

/* A node of the tree, a line; `depth` steps to the right. */
static void add_node(struct table *table, struct str node, const char *member, int depth)
{
    static const char *const states[] = {"blocked",   "pending", "running",
                                         "completed", "failed",  "cancelled"};
    static const enum colour colours[] = {COLOUR_FAINT, COLOUR_NONE, COLOUR_WARN,
                                          COLOUR_GOOD,  COLOUR_BAD,  COLOUR_FAINT};
    struct str counts = answer_raw(node, "counts");
    OWNED_MEM char *name = member ? answer_text(node, member) : xstrdup("all");
    add_cell(table, xasprintf("%*s%s", 2 * depth, "", name), COLOUR_NONE);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        int64_t count = answer_i64(counts, states[i]);
        add_cell(table, answer_count(count), count ? colours[i] : COLOUR_FAINT);
    }
    double rate = answer_double(node, "rate_per_s");
    add_cell(table, rate > 0 ? xasprintf("%.1f", rate) : xstrdup("-"), COLOUR_NONE);
    char left[SPAN_TEXT_SIZE] = "-";
    if (answer_i64(node, "remaining") > 0 && answer_raw(node, "eta_s").len > 0)
        span_text(answer_double(node, "eta_s"), left);
    table_cell(table, str_of(left), COLOUR_NONE);
}

/* The levels of the tree below the root. */
static const struct {
    const char *list, *member;
} levels[] = {
    {"keys", "key"}, {"batches", "batch"}, {"queues", "queue"}, {"functions", "function"}};
enum { LEVELS = sizeof levels / sizeof *levels };

/* Each list is walked by a cursor of its own, outermost first. */
static void add_tree(struct table *table, struct str root)
{
    struct json at[LEVELS];
    struct str node = root;
    int depth = 0;
    add_node(table, root, NULL, 0);
    json_open(&at[0], answer_raw(root, levels[0].list));
    if (!json_enter(&at[0], '['))
        return;
    while (depth >= 0) {
        if (!json_item(&at[depth]) || !json_value(&at[depth], &node)) {
            depth--;
            continue;
        }
        add_node(table, node, levels[depth].member, depth + 1);
        if (depth + 1 == LEVELS)
            continue;
        json_open(&at[depth + 1], answer_raw(node, levels[depth + 1].list));
        if (json_enter(&at[depth + 1], '['))
            depth++;
    }
}

static bool status_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {"KEY / BATCH / QUEUE / FUNCTION",
                                         ">BLOCKED",
                                         ">PENDING",
                                         ">RUNNING",
                                         ">DONE",
                                         ">FAILED",
                                         ">CANCELLED",
                                         ">RATE/S",
                                         ">LEFT",
                                         NULL};
    OWNED(client) struct client *client = NULL;
    OWNED_BUF struct buf answer;
    struct buf where;
    buf_init(&answer, report_max_bytes);
    buf_init(&where, BUF_NO_CAP);
    buf_add_format(&where, "/v1/tasks/status?active=%s",
                   options_has(options, "active") ? "true" : "false");
    if (options_text(options, "of")) {
        buf_add_text(&where, "&key=");
        client_escape(&where, options_text(options, "of"));
    }
    if (options_text(options, "batch")) {
        buf_add_text(&where, "&batch=");
        client_escape(&where, options_text(options, "batch"));
    }
    OWNED_MEM char *path = buf_take(&where);
    if (!client_open(options, &client, err) ||
        !client_ask(client, "GET", path, STR(""), &answer, err))
        return false;
    if (options_has(options, "json")) {
        printf("%.*s\n", (int)answer.len, answer.data);
        return true;
    }
    if (!json_check(buf_str(&answer), NULL, NULL))
        return err_set(err, ERR_INTERNAL, "the server's answer is no JSON");
    OWNED(table) struct table *table = table_new(titles);
    add_tree(table, buf_str(&answer));
    table_print(table, stdout);
    return true;
}

const struct command cmd_task_status = {
    .name = "task status",
    .summary = "Show how far all tasks are, as a tree of key, batch, queue and function",
    .options = status_tables,
    .examples = "penstock task status\n"
                "penstock task status --of dataset-7 --active\n"
                "penstock task status --json | jq .remaining\n",
    .run = status_run,
};
