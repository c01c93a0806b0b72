/* flow_runner.h: runs nodes of flows as processes: claims them, starts each through the keeper or
 * the Python helper, and settles what became of it (docs/flow-run.md).
 *
 * A node that is to stop, because its time is over, the flow was aborted or the runner stops, has
 * SIGTERM sent to its group, and SIGKILL 10 s later. Nothing waits here. Threads: one. */
#ifndef PENSTOCK_RUN_FLOW_RUNNER_H
#define PENSTOCK_RUN_FLOW_RUNNER_H

#include "run/flow_helper.h"
#include "run/http_client.h"
#include "run/node_end.h"

struct flow_runner;

/* What is told of a node. Borrowed for the call. */
struct node_seen {
    const struct node_task *task;
    enum node_end end;
    int64_t code;
    const char *why; /* in a few words: "exit status 3" */
    double elapsed_s;
    struct str tail; /* the last lines of its log, each ended by '\n', when it failed */
};

struct flow_runner_hooks {
    void (*started)(void *context, const struct node_seen *node);
    /* When that is durable: what was told as completed never runs again. */
    void (*ended)(void *context, const struct node_seen *node);
    /* The session was lost: what ran is killed, and runs elsewhere. */
    void (*lost)(void *context);
    /* The server does not take what it is told (its disk is full, it is away); it is tried again.
     */
    void (*trouble)(void *context, const char *text);
};

/* Borrowed, must outlive the runner. */
struct flow_runner_plan {
    struct client *client;
    const char *queue;  /* of one flow; NULL: nodes of all flows */
    const char *worker; /* how the session is called */
    bool own;           /* the server is part of this process */
    size_t places;      /* nodes at once */
    struct keeper *keeper;
    const char *python; /* NULL: there is none, Python nodes fail */
    const char *const *python_environment;
    int64_t import_timeout_us;
    int64_t no_retry_code; /* after which a node is not tried again; -1: none */
    const struct flow_runner_hooks *hooks;
    void *context;
};

struct flow_runner *flow_runner_new(const struct flow_runner_plan *plan);
/* What still runs is left to the keeper, which kills it when it is freed. */
void flow_runner_free(struct flow_runner *r);
DEFINE_OWNED(flow_runner)
/* Starts the Python helper at once, before there is a server. */
MUST_CHECK bool flow_runner_warm(struct flow_runner *r, struct err *err);
/* Begins: nothing is claimed before. */
void flow_runner_begin(struct flow_runner *r, struct client *client,
                       const struct helper_setup *setup);

/* Descriptors to be polled besides the client's. */
enum { FLOW_RUNNER_FDS = 2 };
size_t flow_runner_fds(const struct flow_runner *r, int fds[FLOW_RUNNER_FDS]);
/* Takes what has come, starts and settles. Errors as node_session_step; ERR_INTERNAL: the keeper
 * is gone. */
MUST_CHECK bool flow_runner_step(struct flow_runner *r, int64_t now_us, struct err *err);
int64_t flow_runner_next_us(const struct flow_runner *r);

/* Starts nothing more and stops what runs: at first by SIGTERM, the second time by SIGKILL. */
void flow_runner_stop(struct flow_runner *r, int64_t now_us);
/* Nodes that run here; and whether nothing runs and all outcomes are settled. */
size_t flow_runner_running(const struct flow_runner *r);
bool flow_runner_is_idle(const struct flow_runner *r);
/* Calls `each` for every node that runs, with how long it has. */
void flow_runner_each(const struct flow_runner *r,
                      void (*each)(void *context, const struct node_task *task, double elapsed_s),
                      void *context);
/* Gives back what was claimed and not settled, no attempt spent. Waits a moment. */
void flow_runner_leave(struct flow_runner *r);

#endif
