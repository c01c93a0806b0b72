/* flow_session.h: the loop of `penstock flow run` and `penstock flow worker`: a node runner, the
 * flow's end, signals, progress and the state file, in one wait for all of it. Threads: the main
 * one. */
#ifndef PENSTOCK_CLI_FLOW_SESSION_H
#define PENSTOCK_CLI_FLOW_SESSION_H

#include "cli/flow_mirror.h"
#include "cli/flow_report.h"
#include "cli/flow_settings.h"

struct flow_session;

/* Borrowed, must outlive the session. */
struct flow_session_plan {
    const struct flow_settings *settings;
    const char *name;   /* of the flow; NULL: nodes of all flows, until a signal */
    bool own;           /* the server is part of this process */
    const char *python; /* NULL: nodes are shell commands */
    const char *const *python_environment;
    const char *const *folders; /* of Python modules */
};

/* Signals are blocked, and the processes started from which nodes descend: before there are other
 * threads. */
MUST_CHECK bool flow_session_open(const struct flow_session_plan *plan, struct flow_session **out,
                                  struct err *err);
/* Ends every process below it, too. */
void flow_session_free(struct flow_session *s);
DEFINE_OWNED(flow_session)
/* What else is known once there is a flow. `mirror` and `ctllog` (where the state file is to be,
 * and is kept up to date): NULL, none. Once, before it works. */
struct flow_session_work {
    struct client *client;
    const char *server, *key; /* for the context of nodes */
    struct flow_mirror *mirror;
    struct flow_report *report;
    const char *ctllog;
};
/* Works until the flow has ended, or until a signal, and what it did is settled. */
MUST_CHECK bool flow_session_work(struct flow_session *s, const struct flow_session_work *work,
                                  struct err *err);
/* The signal that stopped it; 0. */
int flow_session_signal(const struct flow_session *s);
/* How the flow ended: completed, failed or cancelled; "" when that was not told. */
const char *flow_session_state(const struct flow_session *s);

#endif
