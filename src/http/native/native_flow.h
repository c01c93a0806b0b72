/* native_flow.h: what native_flows.c and native_flow_context.c share. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_FLOW_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_FLOW_H

#include "http/request.h"

/* Which flow the path's {flow} names: a name, or `@` and an id. ERR_INVALID. */
MUST_CHECK bool native_flow_ref(const struct request *req, struct job_ref *out, struct err *err);

#endif
