/* native_flow.h: what native_flows.c and native_flow_context.c share, and flows as JSON. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_FLOW_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_FLOW_H

#include "base/json.h"
#include "http/request.h"

/* Which flow the path's {flow} names: a name, or `@` and an id. ERR_INVALID. */
MUST_CHECK bool native_flow_ref(const struct request *req, struct job_ref *out, struct err *err);
/* A flow as the surface tells it; `whole`: with what is said of single nodes. */
void native_flow_write(const struct flow_view *v, bool whole, struct json_out *o);
void native_flow_node_write(const struct flow_node_view *v, struct json_out *o);

#endif
