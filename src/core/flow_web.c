/* flow_web.c: see flow_web.h. Lists of numbers side by side, no node is an allocation of its own.
 */
#include "core/flow_web.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CIRCLE_SHOWN = 8 };

/* --- places by ids: open addressing, at most half full --- */

static int32_t id_at(const struct flow_places *t, uint32_t place)
{
    return *(const int32_t *)(const void *)((const char *)t->ids + place * t->stride_bytes);
}

static size_t slot_of(const struct flow_places *t, int32_t id)
{
    uint64_t mixed = (uint64_t)(uint32_t)id * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(mixed >> 32) & (t->size - 1);
    while (t->slots[at] && id_at(t, t->slots[at] - 1) != id)
        at = (at + 1) & (t->size - 1);
    return at;
}

bool flow_places_init(struct flow_places *t, const int32_t *ids, size_t stride_bytes, size_t count,
                      uint32_t *twice)
{
    *t = (struct flow_places){.ids = ids, .size = 16, .stride_bytes = stride_bytes};
    while (t->size < 2 * count)
        t->size *= 2;
    t->slots = xcalloc(t->size, sizeof *t->slots);
    for (size_t p = 0; p < count; p++) {
        uint32_t *slot = &t->slots[slot_of(t, id_at(t, (uint32_t)p))];
        if (*slot) {
            *twice = (uint32_t)p;
            return false;
        }
        *slot = (uint32_t)p + 1;
    }
    return true;
}

uint32_t flow_places_find(const struct flow_places *t, int32_t id)
{
    return t->slots[slot_of(t, id)] - 1;
}

void flow_places_release(struct flow_places *t)
{
    free(t->slots);
    *t = (struct flow_places){0};
}

/* --- linking --- */

void flow_web_release(struct flow_web *w)
{
    free(w->first_parent);
    free(w->parents);
    free(w->first_child);
    free(w->children);
    free(w->order);
    *w = (struct flow_web){0};
}

/* The parents of one node, each once: `seen` says by whom a place was named last. */
static bool link_node(struct flow_web *w, const struct flow_places *ids,
                      const struct flow_web_node *node, uint32_t place, const int32_t *after,
                      uint32_t *seen, struct err *err)
{
    for (uint32_t i = 0; i < node->after_count; i++) {
        int32_t id = after[node->after_at + i];
        uint32_t parent = flow_places_find(ids, id);
        w->steps++;
        if (parent == UINT32_MAX)
            return err_set(err, ERR_INVALID, "node %d: after: there is no node %d", node->id, id);
        if (parent == place)
            return err_set(err, ERR_INVALID, "node %d: after: it waits for itself", node->id);
        if (seen[parent] == place + 1)
            continue;
        seen[parent] = place + 1;
        w->parents[w->edges++] = parent;
    }
    return true;
}

static bool link_parents(struct flow_web *w, const struct flow_places *ids,
                         const struct flow_web_node *nodes, const int32_t *after, struct err *err)
{
    OWNED_MEM uint32_t *seen = xcalloc(w->count + 1, sizeof *seen);
    for (size_t p = 0; p < w->count; p++) {
        w->first_parent[p] = (uint32_t)w->edges;
        if (!link_node(w, ids, &nodes[p], (uint32_t)p, after, seen, err))
            return false;
    }
    w->first_parent[w->count] = (uint32_t)w->edges;
    return true;
}

static void link_children(struct flow_web *w)
{
    for (size_t i = 0; i < w->edges; i++)
        w->first_child[w->parents[i] + 2]++;
    for (size_t p = 2; p < w->count + 2; p++)
        w->first_child[p] += w->first_child[p - 1];
    for (uint32_t p = 0; p < w->count; p++)
        for (uint32_t i = w->first_parent[p]; i < w->first_parent[p + 1]; i++)
            w->children[w->first_child[w->parents[i] + 1]++] = p;
    w->steps += (int64_t)(2 * w->edges + w->count);
}

/* From a node that waits in or for a circle, up along its first parent that does so too, until it
 * comes round. */
static bool tell_circle(const struct flow_web *w, const uint32_t *open,
                        const struct flow_web_node *nodes, struct err *err)
{
    char text[CIRCLE_SHOWN * 16] = "";
    size_t len = 0, shown = 0;
    OWNED_MEM uint32_t *child_of = xcalloc(w->count, sizeof *child_of); /* 1 + who led there */
    uint32_t at = 0;
    while (!open[at])
        at++;
    for (uint32_t from = UINT32_MAX; !child_of[at];) {
        child_of[at] = from == UINT32_MAX ? UINT32_MAX : from + 1;
        from = at;
        uint32_t i = w->first_parent[at];
        while (!open[w->parents[i]])
            i++;
        at = w->parents[i];
        if (child_of[at]) {
            /* `at` is in the circle; `from` waits for it, and so on back to `at`. */
            len += (size_t)snprintf(text, sizeof text, "%d", nodes[at].id);
            for (uint32_t p = from; p != at && ++shown < CIRCLE_SHOWN; p = child_of[p] - 1)
                len += (size_t)snprintf(text + len, sizeof text - len, " -> %d", nodes[p].id);
        }
    }
    return err_set(err, ERR_INVALID, "node %d: after: cycle: %s%s -> %d", nodes[at].id, text,
                   shown == CIRCLE_SHOWN ? " -> ..." : "", nodes[at].id);
}

/* Each behind its parents; what cannot be put so waits in a circle. */
static bool put_in_order(struct flow_web *w, const struct flow_web_node *nodes, struct err *err)
{
    OWNED_MEM uint32_t *open = xcalloc(w->count + 1, sizeof *open);
    size_t found = 0;
    for (uint32_t p = 0; p < w->count; p++) {
        open[p] = w->first_parent[p + 1] - w->first_parent[p];
        if (!open[p])
            w->order[found++] = p;
    }
    for (size_t taken = 0; taken < found; taken++) {
        uint32_t p = w->order[taken];
        for (uint32_t i = w->first_child[p]; i < w->first_child[p + 1]; i++)
            if (--open[w->children[i]] == 0)
                w->order[found++] = w->children[i];
    }
    w->steps += (int64_t)(w->edges + w->count);
    return found == w->count || tell_circle(w, open, nodes, err);
}

bool flow_web_init(struct flow_web *w, const struct flow_web_node *nodes, size_t count,
                   const int32_t *after, struct err *err)
{
    struct flow_places ids;
    uint32_t twice = 0;
    size_t edges = 0;
    assert(count < UINT32_MAX - 2);
    for (size_t p = 0; p < count; p++)
        edges += nodes[p].after_count;
    assert(edges < UINT32_MAX);
    *w = (struct flow_web){.count = count,
                           .first_parent = xcalloc(count + 1, sizeof(uint32_t)),
                           .parents = xcalloc(edges + 1, sizeof(uint32_t)),
                           .first_child = xcalloc(count + 2, sizeof(uint32_t)),
                           .children = xcalloc(edges + 1, sizeof(uint32_t)),
                           .order = xcalloc(count + 1, sizeof(uint32_t))};
    bool ok = flow_places_init(&ids, count ? &nodes->id : NULL, sizeof *nodes, count, &twice) ||
              err_set(err, ERR_INVALID, "node %d: it is there twice", nodes[twice].id);
    ok = ok && link_parents(w, &ids, nodes, after, err);
    flow_places_release(&ids);
    if (!ok)
        return false;
    link_children(w);
    return put_in_order(w, nodes, err);
}

/* --- looking --- */

void flow_web_reach(struct flow_web *w, uint32_t place, bool ancestors, bool *reached)
{
    const uint32_t *first = ancestors ? w->first_parent : w->first_child;
    const uint32_t *next = ancestors ? w->parents : w->children;
    OWNED_MEM uint32_t *found = xcalloc(w->count + 1, sizeof *found);
    size_t count = 0;
    assert(place < w->count);
    if (!reached[place])
        found[count++] = place;
    reached[place] = true;
    for (size_t taken = 0; taken < count; taken++) {
        uint32_t p = found[taken];
        w->steps += 1 + first[p + 1] - first[p];
        for (uint32_t i = first[p]; i < first[p + 1]; i++)
            if (!reached[next[i]]) {
                reached[next[i]] = true;
                found[count++] = next[i];
            }
    }
}

void flow_web_ahead(struct flow_web *w, const int64_t *takes_us, int64_t *ahead_us)
{
    for (size_t k = w->count; k-- > 0;) {
        uint32_t p = w->order[k];
        int64_t longest_us = 0;
        for (uint32_t i = w->first_child[p]; i < w->first_child[p + 1]; i++)
            if (ahead_us[w->children[i]] > longest_us)
                longest_us = ahead_us[w->children[i]];
        ahead_us[p] = takes_us[p] + longest_us;
    }
    w->steps += (int64_t)(w->edges + w->count);
}
