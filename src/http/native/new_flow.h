/* new_flow.h: a flow to be started, read where it lies in a request's body.
 *
 * One pass, no trees: a node's row stays as it came, its texts are slices of the body, or copies
 * where they have escapes. What each member means is said in docs/flow-run.md. Threads: any. */
#ifndef PENSTOCK_HTTP_NATIVE_NEW_FLOW_H
#define PENSTOCK_HTTP_NATIVE_NEW_FLOW_H

#include "base/json.h"
#include "engine/flow_op.h"

/* Nodes of one flow, and what they wait for in all. */
#define NEW_FLOW_NODES_MAX 1000000
#define NEW_FLOW_AFTER_MAX 4000000

/* Zeroed is valid and empty. */
struct new_flow {
    struct op_flow_start ask; /* its lists are these: */
    struct flow_new_node *nodes;
    struct flow_web_node *web;
    size_t node_cap;
    int32_t *after;
    size_t after_count, after_cap;
    struct flow_new_pool *pools;
    struct flow_preset *presets;
    int32_t *only, *norun;
    bool any_module, any_command; /* what kind of nodes there are, */
    size_t module_at, command_at; /* and the first of each */
    char **texts;                 /* what had escapes */
    size_t text_count, text_cap;
};

/* Reads the whole body, which must outlive the flow. Errors: ERR_INVALID naming node, member and
 * value; ERR_LIMIT. In any case to be released. */
MUST_CHECK bool new_flow_read(struct new_flow *f, struct str body, struct err *err);
void new_flow_release(struct new_flow *f);

#endif
