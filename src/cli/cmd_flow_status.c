/* cmd_flow_status.c: `penstock flow status`: how far the last run of a flow is. */
#include "base/json.h"
#include "base/terminal.h"
#include "cli/answer_member.h"
#include "cli/command.h"
#include "cli/flow_seen.h"
#include "cli/run_server.h"
#include "cli/task_colour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_SHOWN = 100, NAME_SHOWN = 48, FAILURE_SHOWN = 120 };

static const struct option status_options[] = {
    {.name = "mark",
     .value = "LETTERS",
     .help = "list nodes with these marks only, such as FA (default: all of a short list; of a "
             "long one those that run, failed or were aborted)"},
    {.name = "json", .help = "print the flow and its nodes as JSON"},
    {0},
};
static const struct option *const status_tables[] = {status_options, flow_place_options,
                                                     run_server_options, NULL};

static enum colour mark_colour(char mark)
{
    switch (mark) {
    case 'C':
        return COLOUR_GOOD;
    case 'F':
    case 'A':
        return COLOUR_BAD;
    case 'R':
        return COLOUR_WARN;
    default:
        return COLOUR_FAINT;
    }
}

static void add_cell(struct table *table, char *text, enum colour colour)
{
    table_cell(table, str_of(text), colour);
    free(text);
}

static char *seconds_of(struct str object, const char *name)
{
    char text[SPAN_TEXT_SIZE];
    if (answer_raw(object, name).len == 0)
        return xstrdup("-");
    double seconds = answer_double(object, name);
    if (seconds < 60)
        return xasprintf("%.2f s", seconds);
    span_text(seconds, text);
    return xstrdup(text);
}

/* Cuts a text that would push the others off the screen, between two characters. */
static char *cut(char *text, size_t characters)
{
    struct str left = str_of(text);
    for (; characters && left.len; characters--) {
        size_t len = str_utf8_length(left);
        left = (struct str){left.ptr + (len ? len : 1), left.len - (len ? len : 1)};
    }
    if (!left.len)
        return text;
    char *shorter = xasprintf("%.*s...", (int)(left.ptr - text), text);
    free(text);
    return shorter;
}

static char *failure_of(struct str node)
{
    struct str error = answer_raw(node, "error");
    if (error.len == 0)
        return xstrdup("");
    OWNED_MEM char *type = answer_text(error, "type");
    OWNED_MEM char *message = answer_text(error, "message");
    /* A message in words often begins with it. */
    bool has_type = strcmp(type, "-") == 0 || strncmp(message, type, strlen(type)) == 0;
    return cut(has_type ? xstrdup(message) : xasprintf("%s: %s", type, message), FAILURE_SHOWN);
}

struct listing {
    const char *marks;   /* NULL: all */
    struct table *table; /* NULL: JSON */
    size_t printed;
};

static bool take_node(void *context, struct str node, struct err *err)
{
    struct listing *l = context;
    (void)err;
    OWNED_MEM char *mark = answer_text(node, "mark");
    if (l->marks && !strchr(l->marks, mark[0]))
        return true;
    if (!l->table) {
        printf("%s%.*s", l->printed++ ? "," : "", (int)node.len, node.ptr);
        return true;
    }
    enum colour colour = mark_colour(mark[0]);
    add_cell(l->table, answer_text(node, "id"), COLOUR_NONE);
    table_cell(l->table, str_of(mark), colour);
    add_cell(l->table, cut(answer_text(node, "name"), NAME_SHOWN), COLOUR_NONE);
    add_cell(l->table, answer_text(node, "attempts"), COLOUR_NONE);
    add_cell(l->table, answer_text(node, "code"), COLOUR_NONE);
    add_cell(l->table, seconds_of(node, "elapsed_s"), COLOUR_NONE);
    add_cell(l->table, failure_of(node), COLOUR_NONE);
    return true;
}

static void print_summary(struct str flow)
{
    static const char *const words[] = {"P pending",   "R running", "C completed", "F failed",
                                        "D defaulted", "N norun",   "A aborted"};
    OWNED_MEM char *name = answer_text(flow, "name");
    OWNED_MEM char *state = answer_text(flow, "state");
    OWNED_MEM char *run = answer_text(flow, "run");
    OWNED_MEM char *took = seconds_of(flow, "elapsed_s");
    OWNED_MEM char *left = seconds_of(flow, "eta_s");
    struct str counts = answer_raw(flow, "counts");
    const char *on = terminal_colour(stdout, task_state_colour(state)),
               *off = terminal_colour(stdout, COLOUR_NONE);
    printf("flow %s, run %s: %s%s%s%s after %s", name, run, on, state, off,
           answer_flag(flow, "stopping") ? ", is being stopped" : "", took);
    if (strcmp(left, "-") != 0)
        printf(", some %s to go", left);
    printf("\n");
    bool first = true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char letter[] = {words[i][0], '\0'};
        int64_t count = answer_i64(counts, letter);
        OWNED_MEM char *text = answer_count(count);
        if (count)
            printf("%s%s %s", first ? "" : ", ", text, words[i] + 2);
        first = first && !count;
    }
    printf("\n");
}

static bool check_marks(const char *marks, struct err *err)
{
    if (marks && (!*marks || strspn(marks, "PRCFDNA") != strlen(marks)))
        return err_set(err, ERR_INVALID, "--mark: expected letters of PRCFDNA, not \"%s\"", marks);
    return true;
}

static bool status_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {">ID",   "MARK",  "NAME", ">ATTEMPTS",
                                         ">CODE", ">TOOK", "",     NULL};
    __attribute__((cleanup(flow_place_release))) struct flow_place place = {0};
    OWNED(flow_seen) struct flow_seen *seen = NULL;
    OWNED_BUF struct buf flow;
    struct listing l = {.marks = options_text(options, "mark")};
    bool json = options_has(options, "json");
    buf_init(&flow, BUF_NO_CAP);
    if (!check_marks(l.marks, err) || !flow_place_read(&place, options, err) ||
        !flow_seen_open(options, &place, &seen, err) || !flow_seen_show(seen, 0, &flow, err))
        return false;
    if (!l.marks && !json && answer_i64(buf_str(&flow), "nodes") > NODES_SHOWN)
        l.marks = "RFA";
    OWNED(table) struct table *table = json ? NULL : table_new(titles);
    l.table = table;
    if (json)
        printf("{\"flow\":%.*s,\"nodes\":[", (int)flow.len, flow.data);
    if (!flow_seen_nodes(seen, '\0', take_node, &l, err))
        return false;
    if (json) {
        printf("]}\n");
        return true;
    }
    print_summary(buf_str(&flow));
    table_print(table, stdout);
    return true;
}

const struct command cmd_flow_status = {
    .name = "flow status",
    .arguments = "LIST",
    .most = 1,
    .summary = "Show how far the last run of a flow is, node by node",
    .text = "Asks the run that goes on; when none does, looks into its state folder.\n"
            "Marks: P pending, R running, C completed, F failed, D an ancestor failed,\n"
            "N not selected, A aborted.\n",
    .options = status_tables,
    .examples = "penstock flow status config/nightly.lst\n"
                "penstock flow status config/nightly.lst --mark F --json | jq '.nodes[].error'\n",
    .run = status_run,
};
