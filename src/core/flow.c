/* flow.c: see flow.h. The list is read line by line into nodes; then, when all ids are known,
 * parents are looked up and circles searched for, without recursion: a list may be a chain of any
 * length. */
#include "core/flow.h"

#include "base/parse.h"
#include "core/flow_graph.h"
#include "core/flow_row.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TEXT_SHOWN = 80 };

/* A list while it is read. */
struct reading {
    struct flow *flow;
    struct flow_problems *problems;
    flow_lookup *lookup;
    void *context;
    size_t node_room, parent_room, argument_room;
    bool rows; /* there was one */
};

static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 64;
    return xrealloc(items, *room * size);
}

void flow_problem_add(struct flow_problems *p, const struct flow_problem *where, const char *format,
                      ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->items = grow(p->items, p->count, &p->room, sizeof *p->items);
    p->items[p->count] = *where;
    p->items[p->count++].text = xstrdup(text);
    p->errors += !where->warning;
}

void flow_problems_release(struct flow_problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i].text);
    free(p->items);
    *p = (struct flow_problems){0};
}

static void release_node(struct flow_node *node)
{
    free(node->name);
    free(node->module);
    free(node->work);
    free(node->logfile);
}

void flow_release(struct flow *f)
{
    for (size_t i = 0; i < f->node_count; i++)
        release_node(&f->nodes[i]);
    for (size_t i = 0; i < f->argument_count; i++)
        free(f->arguments[i]);
    free(f->nodes);
    free(f->parents);
    free(f->arguments);
    *f = (struct flow){0};
}

/* ---- one row ---- */

/* A row's fields with their variables put in; NULL where that failed or the field is not there. */
struct values {
    char *of[FLOW_FIELDS_MAX];
    size_t count;
};

static void values_release(struct values *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->of[i]);
}

static void tell(struct reading *r, const struct flow_row *row, size_t column, const char *wrong,
                 const char *value)
{
    size_t columns = 0, required = 0;
    const char *name = flow_columns(r->flow->mode, &columns, &required)[column];
    struct flow_problem place = flow_row_place(row, row->fields[column].ptr, name);
    if (value)
        flow_problem_add(r->problems, &place, "%s, not \"%.*s\"", wrong, TEXT_SHOWN, value);
    else
        flow_problem_add(r->problems, &place, "%s", wrong);
}

static int64_t read_number(struct reading *r, const struct flow_row *row, const struct values *v,
                           size_t column, int64_t max, int64_t absent, const char *wanted)
{
    struct err err;
    int64_t number = absent;
    if (column >= v->count || !v->of[column])
        return absent;
    struct str text = str_trim(str_of(v->of[column]));
    if (!text.len && absent >= 0)
        return absent;
    bool digits = text.len && text.ptr[0] >= '0' && text.ptr[0] <= '9';
    if (!digits || !parse_i64(text, 1, max, &number, &err)) {
        tell(r, row, column, wanted, v->of[column]);
        return -1;
    }
    return number;
}

static int64_t read_wait(struct reading *r, const struct flow_row *row, const struct values *v,
                         size_t column)
{
    struct err err;
    int64_t wait_us = 0;
    if (column >= v->count || !v->of[column])
        return 0;
    struct str text = str_trim(str_of(v->of[column]));
    if (text.len && !parse_seconds(text, 0, FLOW_WAIT_MAX_US, &wait_us, &err))
        tell(r, row, column, "expected seconds, 0 or more", v->of[column]);
    return wait_us;
}

/* Ids for now; places when all are known. */
static void read_parents(struct reading *r, const struct flow_row *row, const char *text,
                         struct flow_node *node)
{
    struct flow *f = r->flow;
    struct str rest = str_of(text);
    bool more = true;
    node->parents_at = (uint32_t)f->parent_count;
    while (more) {
        const char *comma = rest.len ? memchr(rest.ptr, ',', rest.len) : NULL;
        struct str piece =
            str_trim((struct str){rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len});
        struct err err;
        int64_t id = 0;
        more = comma != NULL;
        if (more)
            rest = (struct str){comma + 1, rest.len - (size_t)(comma + 1 - rest.ptr)};
        if (str_is(piece, "-1"))
            continue;
        if (!piece.len || piece.ptr[0] < '0' || piece.ptr[0] > '9' ||
            !parse_i64(piece, 1, FLOW_ID_MAX, &id, &err)) {
            tell(r, row, 1, "expected -1, or ids with commas between", text);
            break;
        }
        f->parents = grow(f->parents, f->parent_count, &r->parent_room, sizeof *f->parents);
        f->parents[f->parent_count++] = (uint32_t)id;
    }
    node->parent_count = (uint32_t)f->parent_count - node->parents_at;
}

static void read_arguments(struct reading *r, const char *text, struct flow_node *node)
{
    struct flow *f = r->flow;
    struct str list = str_of(text);
    node->argument_at = (uint32_t)f->argument_count;
    char *argument = NULL;
    while ((argument = flow_next_argument(&list))) {
        f->arguments =
            grow(f->arguments, f->argument_count, &r->argument_room, sizeof *f->arguments);
        f->arguments[f->argument_count++] = argument;
    }
    node->argument_count = (uint32_t)f->argument_count - node->argument_at;
}

static char *take_text(struct reading *r, const struct flow_row *row, struct values *v,
                       size_t column, bool required)
{
    if (column >= v->count || !v->of[column])
        return xstrdup("");
    if (required && !v->of[column][0])
        tell(r, row, column, "is empty", NULL);
    return TAKE(v->of[column]);
}

static void expand_fields(struct reading *r, const struct flow_row *row, struct values *v)
{
    size_t columns = 0, required = 0;
    const char *const *names = flow_columns(r->flow->mode, &columns, &required);
    v->count = row->count;
    for (size_t i = 0; i < row->count; i++)
        v->of[i] =
            flow_row_expand(row, row->fields[i], names[i], r->lookup, r->context, r->problems);
}

static uint32_t column_of(const struct flow_row *row, size_t field)
{
    const char *at = field < row->count ? row->fields[field].ptr : row->text.ptr + row->text.len;
    return flow_row_place(row, at, NULL).column;
}

static void add_node(struct reading *r, const struct flow_row *row, struct flow_node *node)
{
    struct flow *f = r->flow;
    node->id_column = column_of(row, 0);
    node->parents_column = column_of(row, 1);
    node->name_column = column_of(row, 4);
    f->nodes = grow(f->nodes, f->node_count, &r->node_room, sizeof *f->nodes);
    f->nodes[f->node_count++] = *node;
}

/* The row becomes a node also when something in it is wrong, as long as its id is right: others may
 * name it. */
static void read_row(struct reading *r, struct flow_row *row)
{
    struct values v = {0};
    struct flow_node node = {.line = row->line};
    bool shell = r->flow->mode == FLOW_SHELL;
    r->rows = true;
    flow_row_split(row, r->flow->mode, r->problems);
    expand_fields(r, row, &v);
    int64_t id =
        read_number(r, row, &v, 0, FLOW_ID_MAX, -1, "expected a number from 1 to 2147483647");
    node.id = (int32_t)id;
    if (v.count > 1 && v.of[1])
        read_parents(r, row, v.of[1], &node);
    node.max_attempts = read_number(r, row, &v, 2, FLOW_ATTEMPTS_MAX, 1,
                                    "expected a number of tries, 1 to 1000000");
    node.retry_wait_us = read_wait(r, row, &v, 3);
    node.name = take_text(r, row, &v, 4, true);
    node.module = shell ? NULL : take_text(r, row, &v, 5, true);
    node.work = take_text(r, row, &v, shell ? 5 : 6, true);
    node.logfile = take_text(r, row, &v, shell ? 6 : 8, false);
    if (!shell && v.count > 7 && v.of[7])
        read_arguments(r, v.of[7], &node);
    values_release(&v);
    if (id > 0)
        add_node(r, row, &node);
    else
        release_node(&node);
}

/* ---- lines ---- */

static bool starts_mode(struct str line, const char *name)
{
    size_t len = strlen(name);
    if (line.len < len || strncasecmp(line.ptr, name, len) != 0)
        return false;
    struct str rest = str_trim((struct str){line.ptr + len, line.len - len});
    return rest.len == 0 || rest.ptr[0] == '|';
}

static void read_comment(struct reading *r, struct str line)
{
    if (r->rows)
        return;
    if (starts_mode(line, "#python"))
        r->flow->mode = FLOW_PYTHON;
    if (starts_mode(line, "#shell"))
        r->flow->mode = FLOW_SHELL;
}

/* Where the first byte stands that is no UTF-8, or 0: a command would be cut off there. */
static bool find_bad_byte(struct str line, size_t *column)
{
    *column = 1;
    for (size_t at = 0, len = 0; at < line.len; at += len, ++*column) {
        len = str_utf8_length((struct str){line.ptr + at, line.len - at});
        if (!len || !line.ptr[at])
            return true;
    }
    return false;
}

static void read_line(struct reading *r, struct str line, uint32_t number)
{
    size_t column = 0, indent = 0;
    struct str text = str_trim(line);
    if (find_bad_byte(line, &column)) {
        r->rows = true;
        flow_problem_add(r->problems,
                         &(struct flow_problem){number, (uint32_t)column, false, "FILE", NULL},
                         "a byte that is 0, or no UTF-8");
        return;
    }
    if (!text.len)
        return;
    if (text.ptr[0] == '#') {
        read_comment(r, text);
        return;
    }
    indent = (size_t)(text.ptr - line.ptr);
    struct flow_row row = {.line = number, .text = text, .indent = (uint32_t)indent};
    read_row(r, &row);
}

static void read_lines(struct reading *r, struct str text)
{
    uint32_t number = 1;
    if (text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0)
        text = (struct str){text.ptr + 3, text.len - 3};
    for (; text.len; number++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        read_line(r, (struct str){text.ptr, len}, number);
        len += end != NULL;
        text = (struct str){text.ptr + len, text.len - len};
    }
    if (!r->rows)
        flow_problem_add(r->problems, &(struct flow_problem){1, 1, false, "FILE", NULL},
                         "there is no row in it");
}

/* ---- all of it ---- */

static int compare(const void *a, const void *b)
{
    const struct flow_problem *one = a, *other = b;
    if (one->line != other->line)
        return one->line < other->line ? -1 : 1;
    if (one->column != other->column)
        return one->column < other->column ? -1 : 1;
    return strcmp(one->text, other->text);
}

bool flow_read(struct str text, flow_lookup *lookup, void *context, struct flow *out,
               struct flow_problems *problems)
{
    struct reading r = {.flow = out, .problems = problems, .lookup = lookup, .context = context};
    *out = (struct flow){0};
    *problems = (struct flow_problems){0};
    read_lines(&r, text);
    flow_graph_check(out, problems);
    if (problems->count)
        qsort(problems->items, problems->count, sizeof *problems->items, compare);
    if (problems->errors)
        flow_release(out);
    return problems->errors == 0;
}
