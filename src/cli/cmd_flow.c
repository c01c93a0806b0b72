/* cmd_flow.c: `penstock flow check` and `penstock flow graph`: what a task list says, without
 * running anything. */
#include "base/json.h"
#include "base/spawn.h"
#include "cli/answer_member.h"
#include "cli/command.h"
#include "cli/flow_seen.h"
#include "cli/run_server.h"
#include "core/flow_draw.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option graph_options[] = {
    {.name = "format",
     .value = "FORMAT",
     .help = "text, dot, svg (drawn by Graphviz) or mermaid; text on a terminal, else dot"},
    {0},
};
static const struct option check_options[] = {
    {.name = "serde", .value = "FORMAT", .help = "of the task list: list or json"},
    {.name = "json", .help = "print what was found, all problems too, as JSON"},
    {0},
};
static const struct option *const check_tables[] = {check_options, flow_place_options, NULL};
static const struct option *const graph_tables[] = {graph_options, flow_place_options,
                                                    run_server_options, NULL};

static size_t roots_of(const struct flow *flow)
{
    size_t roots = 0;
    for (size_t i = 0; i < flow->node_count; i++)
        roots += flow->nodes[i].parent_count == 0;
    return roots;
}

static void add_count(struct json_out *o, const char *name, size_t count)
{
    json_out_name(o, name);
    json_out_i64(o, (int64_t)count);
}

static void add_problem(struct json_out *o, const struct flow_problem *problem)
{
    json_out_open(o, '{');
    add_count(o, "line", problem->line);
    add_count(o, "column", problem->column);
    json_out_name(o, "kind");
    json_out_text(o, problem->warning ? "warning" : "error");
    json_out_name(o, "field");
    json_out_text(o, problem->field);
    json_out_name(o, "text");
    json_out_text(o, problem->text);
    json_out_close(o, '}');
}

/* All problems, however many there are: a program reads them. */
static bool check_as_json(struct flow_place *place, bool json_list, struct err *err)
{
    struct flow_problems problems = {0};
    struct flow flow;
    OWNED_BUF struct buf text;
    struct json_out o;
    bool good = flow_place_check(place, json_list, &flow, &problems, err);
    buf_init(&text, BUF_NO_CAP);
    json_out_init(&o, &text);
    json_out_open(&o, '{');
    json_out_name(&o, "list");
    json_out_text(&o, place->list);
    json_out_name(&o, "good");
    json_out_bool(&o, good);
    add_count(&o, "nodes", flow.node_count);
    add_count(&o, "roots", roots_of(&flow));
    add_count(&o, "dependencies", flow.parent_count);
    json_out_name(&o, "problems");
    json_out_open(&o, '[');
    for (size_t i = 0; i < problems.count; i++)
        add_problem(&o, &problems.items[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    printf("%.*s\n", (int)text.len, text.data);
    flow_problems_release(&problems);
    flow_release(&flow);
    return good;
}

static bool check_run(const struct options *options, struct err *err)
{
    static const char *const formats[] = {"list", "json", NULL};
    __attribute__((cleanup(flow_place_release))) struct flow_place place = {0};
    struct flow flow;
    int format = 0;
    if (!options_word(options, "serde", formats, 0, &format, err) ||
        !flow_place_read(&place, options, err))
        return false;
    if (options_has(options, "json"))
        return check_as_json(&place, format == 1, err);
    if (!flow_place_load_as(&place, format == 1, &flow, err))
        return false;
    printf("%s: %zu nodes, %zu of them without parents, %zu dependencies; all is well\n",
           place.list, flow.node_count, roots_of(&flow), flow.parent_count);
    flow_release(&flow);
    return true;
}

/* ---- SVG ---- */

static bool write_all(int fd, struct str text, struct err *err)
{
    while (text.len) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote < 0 && errno != EINTR)
            return err_errno(err, errno, "write to dot");
        if (wrote > 0)
            text = (struct str){text.ptr + wrote, text.len - (size_t)wrote};
    }
    return true;
}

/* In a process of its own, for it takes long with large pictures and may be interrupted. */
static bool draw_svg(struct str dot, struct err *err)
{
    static const char *const argv[] = {"/usr/bin/env", "dot", "-Tsvg", NULL};
    int ends[2], status = 0;
    pid_t pid = -1;
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    struct spawn_plan plan = {
        .argv = argv, .stdin_fd = ends[0], .stdout_fd = STDOUT_FILENO, .stderr_fd = STDERR_FILENO};
    bool started = spawn_start(&plan, &pid, err);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN); /* its status says why it reads no more */
    bool wrote = started && write_all(ends[1], dot, err);
    close(ends[1]);
    if (!started)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(err, ERR_NOT_FOUND,
                       "svg is drawn by Graphviz, whose program dot is not here: install graphviz, "
                       "or ask for --format dot");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_IO, "dot could not draw it");
    return wrote;
}

/* ---- marks of its last run ---- */

struct marking {
    const struct flow *flow;
    char *marks;
    size_t at; /* nodes come mostly in the order of the list */
};

static bool take_mark(void *context, struct str node, struct err *err)
{
    struct marking *m = context;
    (void)err;
    int64_t id = answer_i64(node, "id");
    OWNED_MEM char *mark = answer_text(node, "mark");
    for (size_t tried = 0; tried < m->flow->node_count; tried++) {
        size_t at = m->at++ % m->flow->node_count;
        if (m->flow->nodes[at].id == id) {
            m->marks[at] = mark[0];
            break;
        }
    }
    return true;
}

/* NULL when it never ran, or nobody can tell: a picture needs no run. */
static char *marks_of(const struct options *options, struct flow_place *place,
                      const struct flow *flow)
{
    struct err ignored;
    OWNED(flow_seen) struct flow_seen *seen = NULL;
    OWNED_MEM char *marks = xcalloc(flow->node_count + 1, 1);
    struct marking m = {.flow = flow, .marks = marks};
    memset(marks, ' ', flow->node_count);
    if (!flow_seen_open(options, place, &seen, &ignored) ||
        !flow_seen_nodes(seen, '\0', take_mark, &m, &ignored))
        return NULL;
    return TAKE(marks);
}

static bool draw(const struct flow *flow, int format, const char *marks, struct err *err)
{
    static const enum flow_picture pictures[] = {FLOW_TEXT, FLOW_DOT, FLOW_DOT, FLOW_MERMAID};
    bool svg = format == 2;
    OWNED_BUF struct buf picture;
    buf_init(&picture, BUF_NO_CAP);
    flow_draw(flow, pictures[format], marks, &picture);
    if (svg)
        return draw_svg(buf_str(&picture), err);
    if (fwrite(picture.data, 1, picture.len, stdout) != picture.len || fflush(stdout))
        return err_errno(err, errno, "write the picture");
    return true;
}

static bool graph_run(const struct options *options, struct err *err)
{
    static const char *const formats[] = {"text", "dot", "svg", "mermaid", NULL};
    __attribute__((cleanup(flow_place_release))) struct flow_place place = {0};
    struct flow flow;
    int format = 0;
    if (!options_word(options, "format", formats, isatty(STDOUT_FILENO) ? 0 : 1, &format, err) ||
        !flow_place_read(&place, options, err) || !flow_place_load(&place, &flow, err))
        return false;
    OWNED_MEM char *marks = marks_of(options, &place, &flow);
    bool good = draw(&flow, format, marks, err);
    flow_release(&flow);
    return good;
}

const struct command cmd_flow_check = {
    .name = "flow check",
    .arguments = "LIST",
    .most = 1,
    .summary = "Check a task list, and start nothing",
    .text = "LIST is a .lst file as PyRunner (python-batch-runner) reads them; docs/flow.md says\n"
            "what is in it. Every problem is told, as FILE:LINE:COLUMN: error: FIELD: what.\n"
            "Status 2 when there is an error.\n",
    .options = check_tables,
    .examples = "penstock flow check config/nightly.lst\n"
                "penstock flow check config/nightly.lst --json | jq '.problems[]'\n"
                "penstock flow check -c config/app_profile -l config/nightly.lst\n",
    .run = check_run,
};

const struct command cmd_flow_graph = {
    .name = "flow graph",
    .arguments = "LIST",
    .most = 1,
    .summary = "Draw a task list: who waits for whom",
    .text = "As text each layer can run side by side, when those that it names are done. Once the\n"
            "flow has run each node says how far it is.\n",
    .options = graph_tables,
    .examples = "penstock flow graph config/nightly.lst --format text\n"
                "penstock flow graph config/nightly.lst --format svg > nightly.svg\n",
    .run = graph_run,
};
