/* flow_json.c: task lists in JSON (flow.h): the same nodes and the same kinds of problems as of a
 * .lst file, whose columns' names they are told under. */
#include "core/flow.h"

#include "base/json.h"
#include "base/parse.h"
#include "core/flow_graph.h"
#include "core/flow_row.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 80 };

struct reading {
    struct str text;
    struct flow *flow;
    struct flow_problems *problems;
    flow_lookup *lookup;
    void *context;
    size_t node_room, parent_room, argument_room;
    struct str *dependencies; /* of each node, raw; looked up when all names are known */
    const char *seen;         /* how far lines and, in its line, characters are counted */
    uint32_t line, indent;
};

static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 64;
    return xrealloc(items, *room * size);
}

static uint32_t characters(const char *from, const char *to)
{
    uint32_t count = 0;
    for (const char *c = from; c < to; c++)
        count += ((unsigned char)*c & 0xC0) != 0x80;
    return count;
}

static void count_on(struct reading *r, const char *at)
{
    for (const char *next = NULL; (next = memchr(r->seen, '\n', (size_t)(at - r->seen)));) {
        r->line++;
        r->indent = 0;
        r->seen = next + 1;
    }
    r->indent += characters(r->seen, at);
}

static void count_back(struct reading *r, const char *at)
{
    uint32_t line = r->line;
    for (const char *end = r->seen; (end = memrchr(at, '\n', (size_t)(end - at)));)
        r->line--;
    if (line == r->line) {
        r->indent -= characters(at, r->seen);
        return;
    }
    const char *before = memrchr(r->text.ptr, '\n', (size_t)(at - r->text.ptr));
    r->indent = characters(before ? before + 1 : r->text.ptr, at);
}

/* A row of one value, as the functions of flow_row.h know rows: where it is told that something is
 * wrong. Values are asked about nearly in the order of the text, so it is counted on from the last
 * one, or a little back: the whole list may be one line. */
static struct flow_row row_at(struct reading *r, const char *at)
{
    if (at < r->seen)
        count_back(r, at);
    else if (at > r->seen)
        count_on(r, at);
    r->seen = at;
    return (struct flow_row){.line = r->line, .indent = r->indent};
}

static void tell(struct reading *r, struct str value, const char *field, const char *what)
{
    struct flow_row row = row_at(r, value.ptr);
    struct flow_problem place = {row.line, row.indent + 1, false, field, NULL};
    if (value.len)
        flow_problem_add(r->problems, &place, "%s, not %.*s", what,
                         value.len > SHOWN_BYTES ? SHOWN_BYTES : (int)value.len, value.ptr);
    else
        flow_problem_add(r->problems, &place, "%s", what);
}

/* The text of a value, variables put in; NULL when that was told to be wrong. A number is taken as
 * it is written. */
static char *take_text(struct reading *r, struct str raw, const char *field)
{
    enum json_type type = json_type_of(raw);
    OWNED_MEM char *plain = type == JSON_NUMBER ? xstrndup(raw.ptr, raw.len) : json_take_text(raw);
    if (!plain) {
        tell(r, raw, field, "expected a text");
        return NULL;
    }
    struct flow_row row = row_at(r, raw.ptr);
    row.text = str_of(plain);
    return flow_row_expand(&row, row.text, field, r->lookup, r->context, r->problems);
}

/* ---- one task ---- */

static void add_argument(struct reading *r, struct flow_node *node, char *argument)
{
    struct flow *f = r->flow;
    if (!argument)
        return;
    f->arguments = grow(f->arguments, f->argument_count, &r->argument_room, sizeof *f->arguments);
    f->arguments[f->argument_count++] = argument;
    node->argument_count++;
}

/* A list of texts; or one text, as in a .lst file. */
static void read_arguments(struct reading *r, struct str raw, struct flow_node *node)
{
    struct json j;
    struct str item;
    if (json_type_of(raw) == JSON_STRING) {
        OWNED_MEM char *text = take_text(r, raw, "ARGUMENTS");
        struct str list = str_of(text ? text : "");
        for (char *argument = NULL; (argument = flow_next_argument(&list));)
            add_argument(r, node, argument);
        return;
    }
    json_open(&j, raw);
    if (json_type_of(raw) != JSON_ARRAY) {
        tell(r, raw, "ARGUMENTS", "expected a list of texts");
        return;
    }
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item))
        add_argument(r, node, take_text(r, item, "ARGUMENTS"));
}

static void read_seconds(struct reading *r, struct str raw, const char *field, int64_t *out_us)
{
    struct err ignored;
    OWNED_MEM char *text = NULL;
    struct str value = raw;
    if (json_type_of(raw) == JSON_STRING) {
        text = take_text(r, raw, field);
        if (!text)
            return;
        value = str_trim(str_of(text));
    }
    if (!parse_seconds(value, 0, FLOW_WAIT_MAX_US, out_us, &ignored))
        tell(r, raw, field, "expected seconds, 0 or more");
}

static void read_attempts(struct reading *r, struct str raw, int64_t *out)
{
    struct err ignored;
    OWNED_MEM char *text = NULL;
    struct str value = raw;
    if (json_type_of(raw) == JSON_STRING) {
        text = take_text(r, raw, "MAX_ATTEMPTS");
        if (!text)
            return;
        value = str_trim(str_of(text));
    }
    if (!parse_i64(value, 1, FLOW_ATTEMPTS_MAX, out, &ignored))
        tell(r, raw, "MAX_ATTEMPTS", "expected a number of tries, 1 to 1000000");
}

static void set_text(struct reading *r, struct str raw, const char *field, char **out)
{
    char *text = take_text(r, raw, field);
    if (!text)
        return;
    free(*out);
    *out = text;
}

static void read_member(struct reading *r, struct str name, struct str raw, struct flow_node *node,
                        struct str *dependencies)
{
    if (json_type_of(raw) == JSON_NULL)
        return;
    if (json_name_is(name, "module"))
        set_text(r, raw, "MODULE_NAME", &node->module);
    else if (json_name_is(name, "worker"))
        set_text(r, raw, "WORKER_NAME", &node->work);
    else if (json_name_is(name, "logfile"))
        set_text(r, raw, "LOGFILE", &node->logfile);
    else if (json_name_is(name, "arguments"))
        read_arguments(r, raw, node);
    else if (json_name_is(name, "max_attempts"))
        read_attempts(r, raw, &node->max_attempts);
    else if (json_name_is(name, "retry_wait_time"))
        read_seconds(r, raw, "RETRY_WAIT_TIME", &node->retry_wait_us);
    else if (json_name_is(name, "timeout"))
        read_seconds(r, raw, "TIMEOUT", &node->timeout_us);
    else if (json_name_is(name, "dependencies") && json_type_of(raw) == JSON_ARRAY)
        *dependencies = raw;
    else if (json_name_is(name, "dependencies"))
        tell(r, raw, "PARENT_IDS", "expected a list of names");
    else
        tell(r, name, "EXTRA", "expected a member that tasks have");
}

static void need_text(struct reading *r, struct str at, const char *field, char **text)
{
    struct str nothing = {at.ptr, 0};
    if (*text && **text)
        return;
    tell(r, nothing, field, *text ? "is empty" : "is missing");
    if (!*text)
        *text = xstrdup("");
}

static void read_task(struct reading *r, struct str raw_name, struct str raw)
{
    struct flow *f = r->flow;
    struct json j;
    struct str name, value, dependencies = {NULL, 0};
    struct flow_row row = row_at(r, raw_name.ptr);
    struct flow_node node = {.id = (int32_t)f->node_count + 1,
                             .line = row.line,
                             .id_column = row.indent + 1,
                             .parents_column = row.indent + 1,
                             .name_column = row.indent + 1,
                             .max_attempts = 1,
                             .logfile = xstrdup(""),
                             .argument_at = (uint32_t)f->argument_count};
    node.name = take_text(r, raw_name, "PROCESS_NAME");
    need_text(r, raw_name, "PROCESS_NAME", &node.name);
    json_open(&j, raw);
    if (json_type_of(raw) != JSON_OBJECT)
        tell(r, raw, "FILE", "expected a task");
    else if (json_enter(&j, '{')) {
        while (json_member(&j, &name) && json_value(&j, &value))
            read_member(r, name, value, &node, &dependencies);
        need_text(r, raw, "MODULE_NAME", &node.module);
        need_text(r, raw, "WORKER_NAME", &node.work);
    }
    size_t room = r->node_room;
    f->nodes = grow(f->nodes, f->node_count, &r->node_room, sizeof *f->nodes);
    if (room != r->node_room)
        r->dependencies = xrealloc(r->dependencies, r->node_room * sizeof *r->dependencies);
    r->dependencies[f->node_count] = dependencies;
    f->nodes[f->node_count++] = node;
}

/* ---- names ---- */

struct named {
    const char *name;
    uint32_t at;
};

static int compare_names(const void *a, const void *b)
{
    const struct named *one = a, *other = b;
    int order = strcmp(one->name, other->name);
    return order ? order : (one->at > other->at) - (one->at < other->at);
}

static int compare_name(const void *name, const void *named)
{
    return strcmp(name, ((const struct named *)named)->name);
}

static void add_parent(struct reading *r, const struct named *names, struct str raw,
                       struct flow_node *node)
{
    struct flow *f = r->flow;
    OWNED_MEM char *name = take_text(r, raw, "PARENT_IDS");
    if (!name)
        return;
    const struct named *found = bsearch(name, names, f->node_count, sizeof *names, compare_name);
    if (!found) {
        tell(r, raw, "PARENT_IDS", "expected the name of a task");
        return;
    }
    f->parents = grow(f->parents, f->parent_count, &r->parent_room, sizeof *f->parents);
    f->parents[f->parent_count++] = (uint32_t)f->nodes[found->at].id;
    node->parent_count++;
}

static void look_up_parents(struct reading *r)
{
    struct flow *f = r->flow;
    OWNED_MEM struct named *names = xcalloc(f->node_count + 1, sizeof *names);
    for (size_t i = 0; i < f->node_count; i++)
        names[i] = (struct named){f->nodes[i].name, (uint32_t)i};
    qsort(names, f->node_count, sizeof *names, compare_names);
    for (size_t i = 1; i < f->node_count; i++)
        if (strcmp(names[i].name, names[i - 1].name) == 0) {
            const struct flow_node *node = &f->nodes[names[i].at];
            flow_problem_add(
                r->problems,
                &(struct flow_problem){node->line, node->name_column, false, "PROCESS_NAME", NULL},
                "\"%.80s\" is the name of line %u, too", node->name,
                f->nodes[names[i - 1].at].line);
        }
    for (size_t i = 0; i < f->node_count; i++) {
        struct json j;
        struct str raw;
        f->nodes[i].parents_at = (uint32_t)f->parent_count;
        json_open(&j, r->dependencies[i]);
        if (r->dependencies[i].len && json_enter(&j, '['))
            while (json_item(&j) && json_value(&j, &raw))
                add_parent(r, names, raw, &f->nodes[i]);
    }
}

/* ---- all of it ---- */

static bool check_form(struct reading *r)
{
    size_t at = 0;
    const char *fault = NULL;
    if (json_check(r->text, &at, &fault))
        return true;
    tell(r, (struct str){r->text.ptr + (at < r->text.len ? at : r->text.len), 0}, "FILE", fault);
    return false;
}

static void read_tasks(struct reading *r)
{
    struct json j;
    struct str tasks, name, raw;
    if (!json_find(r->text, "tasks", &tasks) || json_type_of(tasks) != JSON_OBJECT) {
        tell(r, (struct str){r->text.ptr, 0}, "FILE", "expected an object with \"tasks\"");
        return;
    }
    json_open(&j, tasks);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &raw))
        read_task(r, name, raw);
    if (r->flow->node_count == 0)
        tell(r, (struct str){tasks.ptr, 0}, "FILE", "there is no task in it");
    look_up_parents(r);
}

static int compare_problems(const void *a, const void *b)
{
    const struct flow_problem *one = a, *other = b;
    if (one->line != other->line)
        return one->line < other->line ? -1 : 1;
    if (one->column != other->column)
        return one->column < other->column ? -1 : 1;
    return strcmp(one->text, other->text);
}

bool flow_read_json(struct str text, flow_lookup *lookup, void *context, struct flow *out,
                    struct flow_problems *problems)
{
    *out = (struct flow){0};
    *problems = (struct flow_problems){0};
    if (text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0)
        text = (struct str){text.ptr + 3, text.len - 3};
    struct reading r = {.text = text,
                        .flow = out,
                        .problems = problems,
                        .lookup = lookup,
                        .context = context,
                        .seen = text.ptr,
                        .line = 1};
    if (check_form(&r))
        read_tasks(&r);
    free(r.dependencies);
    if (!problems->errors)
        flow_graph_check(out, problems);
    if (problems->count)
        qsort(problems->items, problems->count, sizeof *problems->items, compare_problems);
    if (problems->errors)
        flow_release(out);
    return problems->errors == 0;
}
