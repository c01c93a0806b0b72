/* node_session.h: a node runner's session with a server: it claims node tasks, settles them and
 * asks for the next in one request, and hears what is to be stopped (docs/queue.md).
 *
 * Three requests may be on the way, each on a kept connection: a claim that waits for nodes, a
 * settlement that takes what it made ready along, and an extend that waits for aborts. On a server
 * of this process all of them wait for an hour: nothing turns while nothing happens. What fails for
 * want of a server is tried again, with growing waits. Threads: one. */
#ifndef PENSTOCK_RUN_NODE_SESSION_H
#define PENSTOCK_RUN_NODE_SESSION_H

#include "run/http_client.h"

struct node_session;

/* `queue`: of one flow; NULL: nodes of all flows. `own`: the server is part of this process, nobody
 * else works for it. `client` must outlive the session. */
struct node_session *node_session_new(struct client *client, const char *queue, const char *worker,
                                      bool own);
void node_session_free(struct node_session *s); /* gives nothing back: node_session_leave */
DEFINE_OWNED(node_session)

/* Outcomes, to be sent with the next settlement. Texts are copied. */
struct node_failure {
    struct str message, type, traceback; /* empty: none */
    int64_t code;
    bool final;
};
void node_session_complete(struct node_session *s, int64_t task);
void node_session_fail(struct node_session *s, int64_t task, const struct node_failure *why);
void node_session_abort(struct node_session *s, int64_t task);
/* Whether outcomes wait to be sent, or for their answer. */
bool node_session_unsettled(const struct node_session *s);

/* How many more nodes may run: what the session may still ask for. 0: it asks for none. */
void node_session_set_free(struct node_session *s, size_t places);
/* Calls for all that the runner has in hand, when an answer to a claim may have been lost. */
typedef void node_session_holds(void *context, void (*each)(void *to, int64_t task), void *to);

struct node_news {
    void (*task)(void *context, struct str raw);              /* one that was claimed */
    void (*abort)(void *context, int64_t task, bool timeout); /* to be stopped; may come again */
    void (*lost)(void *context); /* the lease is gone, and all it held */
    /* The first `count` outcomes that were given and not told of yet are durable, but for those of
     * the tasks in `stale`, a JSON array (or nothing): they are other runners' now. */
    void (*settled)(void *context, size_t count, struct str stale);
    /* The server does not take what it is told, which will be tried again: once each time. */
    void (*trouble)(void *context, const char *text);
    node_session_holds *holds;
    void *context;
};
/* Takes what was answered and sends what there is to send. False when it cannot go on: ERR_BUSY
 * when the server is away for too long; its own words when it refuses. `now_us` is monotonic. */
MUST_CHECK bool node_session_step(struct node_session *s, const struct node_news *news,
                                  int64_t now_us, struct err *err);
/* When it is to be called at the latest; NEVER_US. */
int64_t node_session_next_us(const struct node_session *s);
/* Claims nothing more. */
void node_session_stop_claiming(struct node_session *s);
/* Releases the lease: what it still holds goes back, no attempt spent. Waits a moment. */
void node_session_leave(struct node_session *s);

#endif
