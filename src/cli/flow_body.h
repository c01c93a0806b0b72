/* flow_body.h: a flow as the body of POST /v1/flows. Threads: any. */
#ifndef PENSTOCK_CLI_FLOW_BODY_H
#define PENSTOCK_CLI_FLOW_BODY_H

#include "cli/flow_settings.h"

/* Where a node's log is, absolute; relative ones count from the working folder. To be freed. */
char *flow_node_log(const struct flow_node *node, struct flow_place *place, const char *here);

/* `name` is the flow's; `options` say which variables were set by hand. */
void flow_body_write(const struct flow *flow, const struct flow_settings *settings,
                     struct flow_place *place, const struct options *options, const char *name,
                     struct buf *out);

#endif
