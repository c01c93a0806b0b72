/* flow_graph.c: see flow_graph.h. Everything here is linear in nodes and edges, and no recursion
 * follows them. */
#include "core/flow_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { CYCLE_SHOWN = 20 }; /* nodes of a circle that are named */
static const uint32_t none = UINT32_MAX;

/* ---- tables of nodes by id, and by name ---- */

struct table {
    uint32_t *places; /* open addressing */
    size_t mask;
};

static struct table table_new(size_t count)
{
    size_t room = 16;
    while (room < 2 * count)
        room *= 2;
    struct table t = {xcalloc(room, sizeof *t.places), room - 1};
    memset(t.places, 0xFF, room * sizeof *t.places);
    return t;
}

static uint32_t *find_id(const struct flow *f, const struct table *t, int32_t id)
{
    size_t at = XXH3_64bits(&id, sizeof id) & t->mask;
    while (t->places[at] != none && f->nodes[t->places[at]].id != id)
        at = (at + 1) & t->mask;
    return &t->places[at];
}

static uint32_t *find_name(const struct flow *f, const struct table *t, const char *name)
{
    size_t at = XXH3_64bits(name, strlen(name)) & t->mask;
    while (t->places[at] != none && strcmp(f->nodes[t->places[at]].name, name) != 0)
        at = (at + 1) & t->mask;
    return &t->places[at];
}

static void enter_ids(const struct flow *f, struct table *ids, struct flow_problems *problems)
{
    for (uint32_t i = 0; i < f->node_count; i++) {
        uint32_t *place = find_id(f, ids, f->nodes[i].id);
        if (*place == none) {
            *place = i;
            continue;
        }
        flow_problem_add(
            problems,
            &(struct flow_problem){f->nodes[i].line, f->nodes[i].id_column, false, "ID", NULL},
            "%d is the id of line %u already", f->nodes[i].id, f->nodes[*place].line);
    }
}

static void warn_of_names(const struct flow *f, struct flow_problems *problems)
{
    struct table names = table_new(f->node_count);
    for (uint32_t i = 0; i < f->node_count; i++) {
        uint32_t *place = find_name(f, &names, f->nodes[i].name);
        if (*place == none) {
            *place = i;
            continue;
        }
        if (f->nodes[i].name[0])
            flow_problem_add(problems,
                             &(struct flow_problem){f->nodes[i].line, f->nodes[i].name_column, true,
                                                    "PROCESS_NAME", NULL},
                             "\"%.80s\" is the name of line %u, too", f->nodes[i].name,
                             f->nodes[*place].line);
    }
    free(names.places);
}

/* ---- parents ---- */

/* One node's parents as places, each once. `seen[place]`: the last node that named it, plus one. */
static void resolve(struct flow *f, uint32_t node, const struct table *ids, uint32_t *seen,
                    struct flow_problems *problems)
{
    struct flow_node *n = &f->nodes[node];
    const struct flow_problem at = {n->line, n->parents_column, false, "PARENT_IDS", NULL};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->parent_count; i++) {
        int32_t id = (int32_t)f->parents[n->parents_at + i];
        uint32_t parent = *find_id(f, ids, id);
        struct flow_problem place = at;
        if (id == n->id) {
            flow_problem_add(problems, &place, "%d waits for itself", id);
        } else if (parent == none) {
            flow_problem_add(problems, &place, "no row has the id %d", id);
        } else if (seen[parent] == node + 1) {
            place.warning = true;
            flow_problem_add(problems, &place, "%d is named twice", id);
        } else {
            seen[parent] = node + 1;
            f->parents[n->parents_at + kept++] = parent;
        }
    }
    n->parent_count = kept;
}

/* ---- children, circles ---- */

/* For each node its children: places in `items` from at[node] to at[node + 1]. */
struct children {
    uint32_t *items;
    size_t *at;
};

static struct children children_new(const struct flow *f)
{
    size_t edges = 0;
    struct children c = {NULL, xcalloc(f->node_count + 2, sizeof *c.at)};
    for (size_t i = 0; i < f->node_count; i++)
        for (uint32_t p = 0; p < f->nodes[i].parent_count; p++, edges++)
            c.at[f->parents[f->nodes[i].parents_at + p] + 2]++;
    for (size_t i = 2; i < f->node_count + 2; i++)
        c.at[i] += c.at[i - 1];
    c.items = xcalloc(edges + 1, sizeof *c.items);
    for (uint32_t i = 0; i < f->node_count; i++)
        for (uint32_t p = 0; p < f->nodes[i].parent_count; p++)
            c.items[c.at[f->parents[f->nodes[i].parents_at + p] + 1]++] = i;
    return c;
}

static void children_release(struct children *c)
{
    free(c->items);
    free(c->at);
}

/* All nodes that are in no circle nor behind one, parents first; returns how many. `depths`,
 * zeroed: how many come one after the other before each. */
static size_t sort(const struct flow *f, const struct children *c, uint32_t *out, uint32_t *depths)
{
    uint32_t *open = xcalloc(f->node_count + 1, sizeof *open);
    size_t head = 0, end = 0;
    for (uint32_t i = 0; i < f->node_count; i++) {
        open[i] = f->nodes[i].parent_count;
        if (open[i] == 0)
            out[end++] = i;
    }
    while (head < end) {
        uint32_t node = out[head++];
        for (size_t k = c->at[node]; k < c->at[node + 1]; k++) {
            uint32_t child = c->items[k];
            if (depths[child] < depths[node] + 1)
                depths[child] = depths[node] + 1;
            if (--open[child] == 0)
                out[end++] = child;
        }
    }
    free(open);
    return end;
}

/* Strongly connected parts (Tarjan), with a stack of our own. */
struct parts {
    const struct flow *flow;
    const struct children *children;
    uint32_t *number, *low; /* of each node, from 1 in the order of discovery; 0: not yet */
    uint32_t *part;         /* of each node: the smallest place in its part; none: not known yet */
    uint32_t *path;         /* discovered and in no part yet */
    size_t path_length;
    struct visit {
        uint32_t node;
        size_t next; /* child to look at */
    } * visits;
    size_t depth;
    uint32_t last; /* number given */
};

static void discover(struct parts *p, uint32_t node)
{
    p->number[node] = p->low[node] = ++p->last;
    p->path[p->path_length++] = node;
    p->visits[p->depth++] = (struct visit){node, p->children->at[node]};
}

/* All that was discovered from `node` on and is in no part is one. */
static void close_part(struct parts *p, uint32_t node)
{
    size_t first = p->path_length;
    uint32_t least = node;
    do {
        first--;
        if (p->path[first] < least)
            least = p->path[first];
    } while (p->path[first] != node);
    for (size_t i = first; i < p->path_length; i++)
        p->part[p->path[i]] = least;
    p->path_length = first;
}

static void visit_from(struct parts *p, uint32_t root)
{
    discover(p, root);
    while (p->depth) {
        struct visit *v = &p->visits[p->depth - 1];
        if (v->next < p->children->at[v->node + 1]) {
            uint32_t child = p->children->items[v->next++];
            if (!p->number[child])
                discover(p, child);
            else if (p->part[child] == none && p->number[child] < p->low[v->node])
                p->low[v->node] = p->number[child];
            continue;
        }
        uint32_t node = v->node;
        if (p->low[node] == p->number[node])
            close_part(p, node);
        p->depth--;
        if (p->depth && p->low[node] < p->low[p->visits[p->depth - 1].node])
            p->low[p->visits[p->depth - 1].node] = p->low[node];
    }
}

/* From `first` the shortest way back to itself through its part, as text. `from`: scratch, zeroed
 * but for other parts; `queue`: scratch. */
static void tell_circle(const struct parts *p, uint32_t first, uint32_t *from, uint32_t *queue,
                        struct flow_problems *problems)
{
    const struct flow *f = p->flow;
    size_t head = 0, end = 0;
    uint32_t last = none;
    queue[end++] = first;
    while (last == none) {
        uint32_t node = queue[head++];
        for (size_t k = p->children->at[node]; k < p->children->at[node + 1]; k++) {
            uint32_t child = p->children->items[k];
            if (child == first) {
                last = node;
                break;
            }
            if (p->part[child] == first && from[child] == none) {
                from[child] = node;
                queue[end++] = child;
            }
        }
    }
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    size_t length = 0;
    for (uint32_t node = last; node != first; node = from[node])
        queue[length++] = node;
    buf_add_format(&text, "cycle: %d", f->nodes[first].id);
    for (size_t i = length; i-- > 0 && length - i <= CYCLE_SHOWN;)
        buf_add_format(&text, " -> %d", f->nodes[queue[i]].id);
    if (length > CYCLE_SHOWN)
        buf_add_format(&text, " -> ... (%zu more)", length - CYCLE_SHOWN);
    buf_add_format(&text, " -> %d", f->nodes[first].id);
    const struct flow_node *n = &f->nodes[first];
    flow_problem_add(problems,
                     &(struct flow_problem){n->line, n->parents_column, false, "PARENT_IDS", NULL},
                     "%.*s", (int)text.len, text.data);
}

static uint32_t *filled(size_t count, int byte)
{
    uint32_t *items = xcalloc(count + 1, sizeof *items);
    memset(items, byte, (count + 1) * sizeof *items);
    return items;
}

static void tell_circles(const struct flow *f, const struct children *c,
                         struct flow_problems *problems)
{
    struct parts p = {.flow = f,
                      .children = c,
                      .number = filled(f->node_count, 0),
                      .low = filled(f->node_count, 0),
                      .part = filled(f->node_count, 0xFF),
                      .path = filled(f->node_count, 0),
                      .visits = xcalloc(f->node_count + 1, sizeof *p.visits)};
    uint32_t *from = filled(f->node_count, 0xFF), *told = filled(f->node_count, 0);
    for (uint32_t i = 0; i < f->node_count; i++)
        if (!p.number[i])
            visit_from(&p, i);
    for (uint32_t i = 0; i < f->node_count; i++)
        if (p.part[i] != i && !told[p.part[i]]) {
            told[p.part[i]] = 1;
            tell_circle(&p, p.part[i], from, p.path, problems);
        }
    uint32_t *all[] = {p.number, p.low, p.part, p.path, from, told};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(p.visits);
}

void flow_graph_check(struct flow *f, struct flow_problems *problems)
{
    struct table ids = table_new(f->node_count);
    uint32_t *scratch = filled(f->node_count, 0), *depths = filled(f->node_count, 0);
    enter_ids(f, &ids, problems);
    warn_of_names(f, problems);
    for (uint32_t i = 0; i < f->node_count; i++)
        resolve(f, i, &ids, scratch, problems);
    struct children c = children_new(f);
    if (sort(f, &c, scratch, depths) < f->node_count)
        tell_circles(f, &c, problems);
    children_release(&c);
    free(ids.places);
    free(scratch);
    free(depths);
}

void flow_depths(const struct flow *f, uint32_t *out)
{
    struct children c = children_new(f);
    uint32_t *order = filled(f->node_count, 0);
    memset(out, 0, f->node_count * sizeof *out);
    sort(f, &c, order, out);
    free(order);
    children_release(&c);
}
