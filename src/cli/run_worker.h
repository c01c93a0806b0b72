/* run_worker.h: with which program, arguments and environment the processes of a run are started.
 * Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_WORKER_H
#define PENSTOCK_CLI_RUN_WORKER_H

#include "cli/run_settings.h"

struct run_worker {
    char **argv, **environment; /* owned, NULL ends them */
    char *program;              /* as it is shown */
};

/* ERR_INVALID: the Python that was named is none, or there is none at all. */
MUST_CHECK bool run_worker_init(struct run_worker *w, const struct run_settings *s,
                                const struct options *options, struct err *err);
/* Processes that may start a server, or look for one, as apps do: they see those variables of ours
 * that say which, and this program's place. All others of ours are kept from processes. */
void run_worker_tell_server(struct run_worker *w);
void run_worker_release(struct run_worker *w);
/* Puts a better sentence in place of an error that says only that Python has no such module. */
void run_worker_explain(const struct run_worker *w, struct err *err);

#endif
