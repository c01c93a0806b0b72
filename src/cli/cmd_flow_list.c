/* cmd_flow_list.c: `penstock flow list`: the flows of a server. */
#include "base/json.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/answer_member.h"
#include "cli/command.h"
#include "cli/local_engine.h"
#include "cli/task_colour.h"
#include "http/native/native_flow.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t page_max_bytes = (size_t)256 << 20;
enum { PAGE_FLOWS = 1000 };

static const struct option list_options[] = {
    {.name = "only",
     .value = "STATE",
     .help = "only flows whose last run is running, completed, failed or cancelled"},
    {.name = "json", .help = "print each as a line of JSON"},
    {0},
};
static const struct option *const list_tables[] = {list_options, client_options, NULL};

struct page {
    struct table *table; /* NULL: print JSON */
    int64_t last;
};

static void add_cell(struct table *table, char *text, enum colour colour)
{
    table_cell(table, str_of(text), colour);
    free(text);
}

static bool take_flow(void *context, struct str flow, struct err *err)
{
    struct page *page = context;
    page->last = answer_i64(flow, "id");
    if (!page->table)
        return answer_list_print(NULL, flow, err);
    static const char *const marks[] = {"C", "R", "P", "F", "D", "A"};
    char *state = answer_text(flow, "state");
    enum colour colour = task_state_colour(state);
    struct str counts = answer_raw(flow, "counts");
    add_cell(page->table, answer_text(flow, "id"), COLOUR_FAINT);
    add_cell(page->table, answer_text(flow, "name"), COLOUR_NONE);
    add_cell(page->table, answer_text(flow, "run"), COLOUR_NONE);
    add_cell(page->table, state, colour);
    add_cell(page->table, answer_count(answer_i64(flow, "nodes")), COLOUR_NONE);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        add_cell(page->table, answer_count(answer_i64(counts, marks[i])), COLOUR_NONE);
    add_cell(page->table, answer_ago(flow, "started_at"), COLOUR_FAINT);
    return true;
}

static bool check_state(const char *text, enum job_state *state, struct err *err)
{
    *state = JOB_STATE_COUNT;
    if (!text || (job_state_parse(str_of(text), state) && *state >= JOB_RUNNING))
        return true;
    return err_set(err, ERR_INVALID,
                   "--only: expected running, completed, failed or cancelled, not \"%s\"", text);
}

static bool list_here(struct local_engine *local, enum job_state state, struct page *page,
                      struct err *err)
{
    struct op op;
    op_init(&op, OP_FLOW_LIST);
    op.right.trusted = true;
    op.flow_list.by_state = state != JOB_STATE_COUNT;
    op.flow_list.state = state;
    op.flow_list.limit = INT64_MAX;
    bool good = local_engine_ask(local, &op, err);
    for (size_t i = 0; good && i < op.flow_list.count; i++) {
        OWNED_BUF struct buf flow;
        struct json_out o;
        buf_init(&flow, BUF_NO_CAP);
        json_out_init(&o, &flow);
        native_flow_write(&op.flow_list.views[i], false, &o);
        good = take_flow(page, buf_str(&flow), err);
    }
    op_release(&op);
    return good;
}

static bool list_there(struct client *client, const char *state, struct page *page, struct err *err)
{
    for (bool more = true; more;) {
        OWNED_BUF struct buf answer;
        buf_init(&answer, page_max_bytes);
        OWNED_MEM char *path =
            xasprintf("/v1/flows?limit=%d&after=%lld%s%s", PAGE_FLOWS, (long long)page->last,
                      state ? "&state=" : "", state ? state : "");
        if (!client_ask(client, "GET", path, STR(""), &answer, err) ||
            !answer_list_each(buf_str(&answer), "flows", take_flow, page, err))
            return false;
        more = answer_flag(buf_str(&answer), "more");
    }
    return true;
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {
        ">ID",      "NAME",    ">RUN",       "STATE",    ">NODES",   ">DONE", ">RUNNING",
        ">PENDING", ">FAILED", ">DEFAULTED", ">ABORTED", ">STARTED", NULL};
    OWNED(client) struct client *client = NULL;
    OWNED(local_engine) struct local_engine *local = NULL;
    const char *only = options_text(options, "only");
    enum job_state state = JOB_STATE_COUNT;
    OWNED(table) struct table *table = options_has(options, "json") ? NULL : table_new(titles);
    struct page page = {.table = table};
    if (!check_state(only, &state, err) || !local_or_client(options, false, &local, &client, err) ||
        !(local ? list_here(local, state, &page, err) : list_there(client, only, &page, err)))
        return false;
    if (table)
        table_print(table, stdout);
    return true;
}

const struct command cmd_flow_list = {
    .name = "flow list",
    .summary = "List the flows of a server, and how far they are",
    .text = "A flow that was run without a server is in the state folder of its application:\n"
            "--state APP_TEMP_DIR/APP_NAME.penstock; flow status LIST finds that by itself.\n",
    .options = list_tables,
    .examples = "penstock flow list --server http://host:5005\n"
                "penstock flow list --state temp/nightly.penstock\n"
                "penstock flow list --server http://host:5005 --only failed --json | jq -r .name\n",
    .run = list_run,
};
