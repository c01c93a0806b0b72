/* task_graph.h: which tasks wait for which. Pure; costs O(1) an edge, whatever the shape. */
#ifndef PENSTOCK_CORE_TASK_GRAPH_H
#define PENSTOCK_CORE_TASK_GRAPH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "core/attempts.h"

#include <stddef.h>
#include <stdint.h>

enum after_when { AFTER_COMPLETED, AFTER_ENDED };

struct task_graph;
struct task_graph *task_graph_new(void);
void task_graph_free(struct task_graph *g);
DEFINE_OWNED(task_graph)

/* The child waits for the parent, which has not ended (or has failed, and may be retried). Twice
 * the same is two edges. */
void task_graph_add(struct task_graph *g, int64_t parent, int64_t child, enum after_when when);
/* The next child of a parent that has ended so (`completed` or not), taken out of the graph; 0:
 * none left. Children that wait for a completion stay with a parent that did not complete, unless
 * `all`. `*when` (may be NULL). */
int64_t task_graph_take(struct task_graph *g, int64_t parent, bool completed, bool all,
                        enum after_when *when);
bool task_graph_has_children(const struct task_graph *g, int64_t parent);
/* The open parents of a child, each edge one: the first up to `max` into `out`. Returns how many
 * there are in all. */
size_t task_graph_parents(const struct task_graph *g, int64_t child, int64_t *out, size_t max);
/* Whether the child waits for that parent; looks at all that it waits for. */
bool task_graph_has_edge(const struct task_graph *g, int64_t parent, int64_t child);
/* Marks (with 1) a task and all that it waits for, be it through many. */
void task_graph_ancestors(const struct task_graph *g, int64_t id, struct attempts *marks);
/* The child is gone: its edges to its parents are dropped. */
void task_graph_forget(struct task_graph *g, int64_t child);
int64_t task_graph_edges(const struct task_graph *g);
/* Edges looked at so far: for tests of what it costs. */
int64_t task_graph_steps(const struct task_graph *g);

/* Whether a batch waits for itself in a circle: `edges` are pairs (child, parent) of places 0 to
 * count - 1. ERR_INVALID names the places of one circle, from 1. No recursion. */
MUST_CHECK bool task_graph_check_batch(const uint32_t (*edges)[2], size_t edge_count, size_t count,
                                       struct err *err);

#endif
