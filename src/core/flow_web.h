/* flow_web.h: who waits for whom among a flow's nodes, by their places in the list. Pure. Each
 * function costs O(nodes + edges) steps, whatever the shape, and goes down into nothing. */
#ifndef PENSTOCK_CORE_FLOW_WEB_H
#define PENSTOCK_CORE_FLOW_WEB_H

#include "base/err.h"
#include "base/own.h"

#include <stddef.h>
#include <stdint.h>

/* A list as it comes: a node and the ids that it waits for, after[after_at] on. */
struct flow_web_node {
    int32_t id; /* > 0 */
    uint32_t after_at, after_count;
};

/* The parents of place p are parents[first_parent[p]] to parents[first_parent[p + 1]], each once;
 * its children likewise. Read by all, changed by nobody. */
struct flow_web {
    size_t count, edges;
    uint32_t *first_parent, *parents;
    uint32_t *first_child, *children;
    uint32_t *order; /* all places, each behind its parents */
    int64_t steps;   /* nodes and edges looked at so far: for tests of what it costs */
};

/* Links the nodes. ERR_INVALID names the node: an id that is there twice, a parent that is not
 * there, one that waits for itself, a circle. In any case to be released. */
MUST_CHECK bool flow_web_init(struct flow_web *w, const struct flow_web_node *nodes, size_t count,
                              const int32_t *after, struct err *err);
void flow_web_release(struct flow_web *w); /* zeroed is fine */

/* Sets reached[p] for the place itself and all its descendants, or all its ancestors. `reached`
 * holds w->count; what is set in it already is taken as looked at. */
void flow_web_reach(struct flow_web *w, uint32_t place, bool ancestors, bool *reached);
/* How long it takes at least from the start of each node to the end of the last that waits for it,
 * when node p takes takes_us[p]. */
void flow_web_ahead(struct flow_web *w, const int64_t *takes_us, int64_t *ahead_us);

/* Places by ids. */
struct flow_places {
    const int32_t *ids;
    uint32_t *slots; /* 1 + place */
    size_t size, stride_bytes;
};
/* Of `count` ids that lie `stride_bytes` apart; they are borrowed. False when one is there twice:
 * *twice is its second place. In any case to be released. */
bool flow_places_init(struct flow_places *t, const int32_t *ids, size_t stride_bytes, size_t count,
                      uint32_t *twice);
/* UINT32_MAX: it is not there. */
uint32_t flow_places_find(const struct flow_places *t, int32_t id);
void flow_places_release(struct flow_places *t);

#endif
