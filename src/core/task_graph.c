/* task_graph.c: an edge is in two rings, that of its parent's children (one for each way of
 * waiting) and that of its child's parents, so that it leaves both at once from either side. A task
 * is a node while it has edges. */
#include "core/task_graph.h"

#include "core/table.h"

struct link {
    struct link *next, *previous;
};

struct edge {
    struct link of_parent, of_child;
    struct node *parent, *child;
};

struct node {
    int64_t id;
    struct link children[2]; /* by enum after_when; heads of rings */
    struct link parents;
    size_t parent_count, child_count;
};

struct task_graph {
    struct table nodes;
    int64_t edges, steps;
};

static uint64_t hash_of_id(int64_t id)
{
    uint64_t mixed = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return mixed >> 32;
}

static uint64_t node_hash(const void *item)
{
    return hash_of_id(((const struct node *)item)->id);
}

static bool node_is(const void *item, const void *ask)
{
    return ((const struct node *)item)->id == *(const int64_t *)ask;
}

static const struct table_kind by_id = {node_hash, node_is};

static void ring_init(struct link *head)
{
    head->next = head->previous = head;
}

static void ring_add(struct link *head, struct link *l)
{
    l->next = head;
    l->previous = head->previous;
    head->previous->next = l;
    head->previous = l;
}

static void ring_remove(struct link *l)
{
    l->previous->next = l->next;
    l->next->previous = l->previous;
}

static struct link *ring_first(struct link *head)
{
    return head->next != head ? head->next : NULL;
}

static struct edge *edge_of_parent(struct link *l)
{
    return (struct edge *)(void *)((char *)l - offsetof(struct edge, of_parent));
}

static struct edge *edge_of_child(struct link *l)
{
    return (struct edge *)(void *)((char *)l - offsetof(struct edge, of_child));
}

struct task_graph *task_graph_new(void)
{
    return xcalloc(1, sizeof(struct task_graph));
}

void task_graph_free(struct task_graph *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->nodes.size; i++) {
        struct node *n = g->nodes.slots[i];
        for (struct link *l = NULL; n && (l = ring_first(&n->parents));) {
            struct edge *e = edge_of_child(l);
            ring_remove(l);
            free(e);
        }
    }
    for (size_t i = 0; i < g->nodes.size; i++)
        free(g->nodes.slots[i]);
    free(g->nodes.slots);
    free(g);
}

static struct node *node_find(const struct task_graph *g, int64_t id)
{
    return table_find(&g->nodes, &by_id, hash_of_id(id), &id);
}

static struct node *node_must(struct task_graph *g, int64_t id)
{
    struct node *n = node_find(g, id);
    if (n)
        return n;
    n = xcalloc(1, sizeof *n);
    n->id = id;
    ring_init(&n->children[AFTER_COMPLETED]);
    ring_init(&n->children[AFTER_ENDED]);
    ring_init(&n->parents);
    table_add(&g->nodes, &by_id, n);
    return n;
}

static void node_drop(struct task_graph *g, struct node *n)
{
    if (n->parent_count || n->child_count)
        return;
    table_remove(&g->nodes, &by_id, n);
    free(n);
}

void task_graph_add(struct task_graph *g, int64_t parent, int64_t child, enum after_when when)
{
    assert(parent != child);
    struct edge *e = xcalloc(1, sizeof *e);
    e->parent = node_must(g, parent);
    e->child = node_must(g, child);
    ring_add(&e->parent->children[when], &e->of_parent);
    ring_add(&e->child->parents, &e->of_child);
    e->parent->child_count++;
    e->child->parent_count++;
    g->edges++;
    g->steps++;
}

static void edge_remove(struct task_graph *g, struct edge *e)
{
    ring_remove(&e->of_parent);
    ring_remove(&e->of_child);
    e->parent->child_count--;
    e->child->parent_count--;
    node_drop(g, e->parent);
    node_drop(g, e->child);
    free(e);
    g->edges--;
    g->steps++;
}

int64_t task_graph_take(struct task_graph *g, int64_t parent, bool completed, bool all,
                        enum after_when *when)
{
    struct node *n = node_find(g, parent);
    if (!n)
        return 0;
    enum after_when found = AFTER_ENDED;
    struct link *l = ring_first(&n->children[AFTER_ENDED]);
    if (!l && (completed || all)) {
        found = AFTER_COMPLETED;
        l = ring_first(&n->children[AFTER_COMPLETED]);
    }
    if (!l)
        return 0;
    struct edge *e = edge_of_parent(l);
    int64_t child = e->child->id;
    edge_remove(g, e);
    if (when)
        *when = found;
    return child;
}

bool task_graph_has_children(const struct task_graph *g, int64_t parent)
{
    const struct node *n = node_find(g, parent);
    return n && n->child_count;
}

size_t task_graph_parents(const struct task_graph *g, int64_t child, int64_t *out, size_t max)
{
    struct node *n = node_find(g, child);
    size_t told = 0;
    if (!n)
        return 0;
    for (struct link *l = n->parents.next; l != &n->parents && told < max; l = l->next)
        out[told++] = edge_of_child(l)->parent->id;
    return n->parent_count;
}

bool task_graph_has_edge(const struct task_graph *g, int64_t parent, int64_t child)
{
    struct node *n = node_find(g, child);
    for (struct link *l = n ? n->parents.next : NULL; n && l != &n->parents; l = l->next)
        if (edge_of_child(l)->parent->id == parent)
            return true;
    return false;
}

void task_graph_ancestors(const struct task_graph *g, int64_t id, struct attempts *marks)
{
    size_t count = 1, cap = 64;
    OWNED_MEM int64_t *open = xcalloc(cap, sizeof *open);
    open[0] = id;
    while (count > 0) {
        int64_t at = open[--count];
        if (attempts_get(marks, at))
            continue;
        attempts_set(marks, at, 1);
        size_t parents = task_graph_parents(g, at, NULL, 0);
        if (count + parents > cap) {
            cap = 2 * (count + parents);
            open = xrealloc(open, cap * sizeof *open);
        }
        count += task_graph_parents(g, at, open + count, parents);
    }
}

void task_graph_forget(struct task_graph *g, int64_t child)
{
    struct node *n = node_find(g, child);
    for (size_t left = n ? n->parent_count : 0; left > 0; left--)
        edge_remove(g, edge_of_child(ring_first(&n->parents)));
}

int64_t task_graph_edges(const struct task_graph *g)
{
    return g->edges;
}

int64_t task_graph_steps(const struct task_graph *g)
{
    return g->steps;
}
