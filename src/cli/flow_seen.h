/* flow_seen.h: what is known of the runs of one flow, from whoever knows it: the server that is
 * named, the run that goes on, or, when none does, the state folder itself. Answers are JSON as the
 * server's. Threads: the main one. */
#ifndef PENSTOCK_CLI_FLOW_SEEN_H
#define PENSTOCK_CLI_FLOW_SEEN_H

#include "cli/answer_list.h"
#include "cli/flow_place.h"

struct flow_seen;

/* The options are those of run_server.h. ERR_NOT_FOUND: it never ran. */
MUST_CHECK bool flow_seen_open(const struct options *options, struct flow_place *place,
                               struct flow_seen **out, struct err *err);
void flow_seen_free(struct flow_seen *s);
DEFINE_OWNED(flow_seen)

/* The flow as GET /v1/flows/{flow} tells it, appended. `wait_s`: for its end. ERR_NOT_FOUND. */
MUST_CHECK bool flow_seen_show(struct flow_seen *s, int wait_s, struct buf *out, struct err *err);
/* Its nodes as GET /v1/flows/{flow}/nodes tells them, in the order of the list; mark '\0': all. */
MUST_CHECK bool flow_seen_nodes(struct flow_seen *s, char mark, answer_taker *take, void *context,
                                struct err *err);
/* Stops its run; where nobody runs it, what was left of a run is ended. */
MUST_CHECK bool flow_seen_abort(struct flow_seen *s, struct err *err);

#endif
