/* flow_graph.h: who waits for whom in a flow that is being read. Used by flow.c only. Pure. */
#ifndef PENSTOCK_CORE_FLOW_GRAPH_H
#define PENSTOCK_CORE_FLOW_GRAPH_H

#include "core/flow.h"

/* Turns the ids in flow->parents into places of nodes and tells what is wrong: ids that are there
 * twice or not at all, nodes that wait for themselves, circles; names that are there twice are
 * warned of. With an error the flow is only fit to be released. */
void flow_graph_check(struct flow *flow, struct flow_problems *problems);

#endif
