/* flow_mirror.h: what is known of the nodes of a flow, beside the server that decides: for counts,
 * and for the state file that PyRunner's users read (.ctllog). Threads: the main one. */
#ifndef PENSTOCK_CLI_FLOW_MIRROR_H
#define PENSTOCK_CLI_FLOW_MIRROR_H

#include "core/flow.h"
#include "run/http_client.h"

struct flow_mirror;

/* The flow must outlive it. All nodes are pending. */
struct flow_mirror *flow_mirror_new(const struct flow *flow);
void flow_mirror_free(struct flow_mirror *m);
DEFINE_OWNED(flow_mirror)

/* `mark` is a letter of PRCFDNA. Nodes that the list does not have are passed over. */
void flow_mirror_set(struct flow_mirror *m, int32_t id, char mark, double elapsed_s);
char flow_mirror_mark(const struct flow_mirror *m, int32_t id);
size_t flow_mirror_count(const struct flow_mirror *m, char mark);
/* Takes the marks from the server: of nodes that have `mark`, or of all ('\0'). `path` is the
 * flow's
 * (/v1/flows/NAME). Errors as client_ask. */
MUST_CHECK bool flow_mirror_load(struct flow_mirror *m, struct client *client, const char *path,
                                 char mark, struct err *err);
/* Calls `each` for the nodes that have the mark, in the order of the list. */
void flow_mirror_each(const struct flow_mirror *m, char mark,
                      void (*each)(void *context, const struct flow_node *node), void *context);

/* Writes the state file, replacing what is there in one step. ERR_IO, ERR_NO_SPACE. */
MUST_CHECK bool flow_mirror_write(const struct flow_mirror *m, const char *path, struct err *err);

#endif
