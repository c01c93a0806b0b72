/* cmd_task.c: `penstock task list|show`. */
#include "base/parse.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/task_colour.h"
#include "cli/task_filter_options.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t page_max_bytes = 64 << 20;
enum { PAGE_TASKS = 1000, WAIT_MAX_S = 60 };

enum colour task_state_colour(const char *state)
{
    static const struct {
        const char *state;
        enum colour colour;
    } colours[] = {{"completed", COLOUR_GOOD},
                   {"failed", COLOUR_BAD},
                   {"cancelled", COLOUR_FAINT},
                   {"running", COLOUR_WARN},
                   {"blocked", COLOUR_FAINT}};
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i].state, state) == 0)
            return colours[i].colour;
    return COLOUR_NONE;
}

/* --- list --- */

static const struct option list_options[] = {
    {.name = "limit", .value = "COUNT", .help = "print so many at most (default: 100; 0: all)"},
    {.name = "after", .value = "ID", .help = "only tasks with a higher id"},
    {.name = "json", .help = "print each as a line of JSON"},
    {0},
};
static const struct option *const list_tables[] = {list_options, task_state_options,
                                                   task_filter_options, client_options, NULL};

struct page {
    struct table *table; /* NULL: print JSON */
    int64_t last, left;
};

static void add_cell(struct table *table, char *text, enum colour colour)
{
    table_cell(table, str_of(text), colour);
    free(text);
}

/* What there is to say in a few words: how far it is, or what went wrong. */
static char *remark(struct str task)
{
    struct str error = answer_raw(task, "error");
    OWNED_MEM char *state = answer_text(task, "state");
    if (strcmp(state, "running") == 0) {
        OWNED_MEM char *worker = answer_text(task, "worker");
        struct str part = answer_raw(task, "progress");
        return part.len > 0
                   ? xasprintf("%s, %.0f %%", worker, 100 * answer_double(task, "progress"))
                   : xstrdup(worker);
    }
    if (error.len == 0)
        return xstrdup("");
    OWNED_MEM char *type = answer_text(error, "type");
    OWNED_MEM char *message = answer_text(error, "message");
    return xasprintf("%s: %.60s", type, message);
}

static bool take_task(void *context, struct str task, struct err *err)
{
    struct page *page = context;
    if (page->left-- <= 0)
        return true;
    page->last = answer_i64(task, "id");
    if (!page->table)
        return answer_list_print(NULL, task, err);
    char *state = answer_text(task, "state");
    enum colour colour = task_state_colour(state);
    add_cell(page->table, answer_text(task, "id"), COLOUR_FAINT);
    add_cell(page->table, answer_text(task, "function"), COLOUR_NONE);
    add_cell(page->table, answer_text(task, "queue"), COLOUR_NONE);
    add_cell(page->table, state, colour);
    add_cell(page->table, answer_text(task, "priority"), COLOUR_NONE);
    add_cell(page->table, answer_text(task, "attempts"), COLOUR_NONE);
    add_cell(page->table, answer_text(task, "key"), COLOUR_NONE);
    add_cell(page->table, answer_ago(task, "created_at"), COLOUR_FAINT);
    add_cell(page->table, remark(task), COLOUR_NONE);
    return true;
}

static bool list_pages(struct client *client, const struct options *options, struct page *page,
                       struct err *err)
{
    for (bool more = true; more && page->left > 0;) {
        OWNED_BUF struct buf answer;
        buf_init(&answer, page_max_bytes);
        struct buf where;
        buf_init(&where, BUF_NO_CAP);
        buf_add_format(&where, "/v1/tasks?after=%lld&limit=%lld", (long long)page->last,
                       (long long)(page->left < PAGE_TASKS ? page->left : PAGE_TASKS));
        task_filter_query(options, true, &where);
        OWNED_MEM char *path = buf_take(&where);
        if (!client_ask(client, "GET", path, STR(""), &answer, err) ||
            !answer_list_each(buf_str(&answer), "tasks", take_task, page, err))
            return false;
        more = answer_flag(buf_str(&answer), "more");
    }
    return true;
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {">ID",       "FUNCTION", "QUEUE", "STATE", ">PRIORITY",
                                         ">ATTEMPTS", "KEY",      ">AGE",  "",      NULL};
    OWNED(client) struct client *client = NULL;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    struct page page = {.table = table};
    if (!options_i64(options, "limit", 0, INT64_MAX, 100, &page.left, err) ||
        !options_i64(options, "after", 0, INT64_MAX, 0, &page.last, err))
        return false;
    if (page.left == 0)
        page.left = INT64_MAX;
    if (!client_open(options, &client, err) || !list_pages(client, options, &page, err))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_task_list = {
    .name = "task list",
    .summary = "List tasks, one a line, in the order they were enqueued",
    .text = "With --json, each line is one task as a JSON object, without arguments and result.\n",
    .options = list_tables,
    .examples = "penstock task list --only running\n"
                "penstock task list --queue ingest --only failed --limit 0\n"
                "penstock task list --only failed --limit 0 --json | jq -r .id\n",
    .run = list_run,
};

/* --- show --- */

static const struct option show_options[] = {
    {.name = "wait", .value = "SECONDS", .help = "wait so long for its end"},
    {.name = "result", .help = "print its result alone, as JSON; fails when there is none"},
    {.name = "json", .help = "print JSON, as the server sends it"},
    {0},
};
static const struct option *const show_tables[] = {show_options, client_options, NULL};

static void print_member(struct str task, const char *label, const char *name)
{
    if (answer_raw(task, name).len == 0)
        return;
    OWNED_MEM char *text = answer_text(task, name);
    printf("%-14s%s\n", label, text);
}

static void print_error(struct str task)
{
    struct str error = answer_raw(task, "error");
    if (error.len == 0)
        return;
    OWNED_MEM char *type = answer_text(error, "type");
    OWNED_MEM char *message = answer_text(error, "message");
    printf("%-14s%s: %s\n", "last error", type, message);
    if (answer_raw(error, "traceback").len > 0) {
        OWNED_MEM char *traceback = answer_text(error, "traceback");
        printf("\n%s\n", traceback);
    }
}

static void print_task(struct str task)
{
    static const char *const members[][2] = {{"task", "id"},
                                             {"function", "function"},
                                             {"queue", "queue"},
                                             {"state", "state"},
                                             {"priority", "priority"},
                                             {"key", "key"},
                                             {"batch", "batch"},
                                             {"lock", "lock"},
                                             {"unique", "unique"},
                                             {"attempts", "attempts"},
                                             {"of at most", "max_attempts"},
                                             {"fence", "fence"},
                                             {"worker", "worker"},
                                             {"progress", "progress"},
                                             {"", "progress_text"},
                                             {"is to stop", "abort"},
                                             {"created", "created_at"},
                                             {"not before", "run_at"},
                                             {"started", "started_at"},
                                             {"ended", "ended_at"},
                                             {"time-out", "timeout_s"},
                                             {"retry", "retry"},
                                             {"arguments", "arguments"},
                                             {"result", "result"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        print_member(task, members[i][0], members[i][1]);
    struct str explain = answer_raw(task, "explain");
    if (explain.len > 0) {
        print_member(explain, "why", "text");
        print_member(explain, "by task", "by");
    }
    if (answer_i64(task, "after_open") > 0)
        print_member(task, "waits for", "after");
    print_error(task);
}

/* The server waits a minute at most: asked again until our time is over. */
static bool ask_for_task(struct client *client, const char *rest, int64_t wait_s, int64_t id,
                         struct buf *answer, struct err *err)
{
    for (;;) {
        int64_t part = wait_s < WAIT_MAX_S ? wait_s : WAIT_MAX_S;
        OWNED_MEM char *path =
            xasprintf("/v1/tasks/%lld?wait_s=%lld", (long long)id, (long long)part);
        answer->len = 0;
        if (!client_ask(client, "GET", path, STR(""), answer, err))
            return false;
        wait_s -= part;
        if (wait_s <= 0 || answer_raw(buf_str(answer), "ended_at").len > 0)
            break;
    }
    if (!*rest)
        return true;
    OWNED_MEM char *path = xasprintf("/v1/tasks/%lld%s", (long long)id, rest);
    answer->len = 0;
    return client_ask(client, "GET", path, STR(""), answer, err);
}

static bool show_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    int64_t id = 0, wait_s = 0;
    OWNED_BUF struct buf answer;
    buf_init(&answer, BUF_NO_CAP);
    bool result = options_has(options, "result");
    if (!parse_i64(str_of(options_argument(options, 0)), 1, INT64_MAX, &id, err))
        return err_add(err, "task");
    if (!options_i64(options, "wait", 0, 365 * 86400, 0, &wait_s, err) ||
        !client_open(options, &client, err) ||
        !ask_for_task(client, result ? "/result" : "", wait_s, id, &answer, err))
        return false;
    if (result || options_has(options, "json"))
        printf("%.*s\n", (int)answer.len, answer.data);
    else
        print_task(buf_str(&answer));
    return true;
}

const struct command cmd_task_show = {
    .name = "task show",
    .arguments = "ID",
    .least = 1,
    .most = 1,
    .summary = "Show one task: its state, why it waits, its result or its error",
    .options = show_tables,
    .examples = "penstock task show 17\n"
                "penstock task show 17 --wait 600 --result | jq .pages\n"
                "penstock task show 17 --json\n",
    .run = show_run,
};
