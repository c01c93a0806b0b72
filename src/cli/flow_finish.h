/* flow_finish.h: what is to be done when a run of a flow has ended: logs printed, packed, mailed or
 * thrown away, and a command of the user's. Threads: the main one. */
#ifndef PENSTOCK_CLI_FLOW_FINISH_H
#define PENSTOCK_CLI_FLOW_FINISH_H

#include "cli/flow_mirror.h"
#include "cli/flow_settings.h"

/* A run that has ended. Borrowed. */
struct flow_finished {
    const struct flow_settings *settings;
    struct flow_place *place;
    const struct flow *flow;
    const struct flow_mirror *mirror;
    const char *name;
    const char *state; /* "completed", "failed", "aborted" */
    int exit_status;
    double elapsed_s;
    const char *ctllog;      /* NULL: there is none any more */
    const char *python;      /* NULL: none was found */
    const char *python_path; /* a value for PYTHONPATH; NULL */
};

/* Prints the logs of failed nodes on standard error. */
void flow_finish_dump(const struct flow_finished *f);
/* Packs the logs into <APP_LOG_DIR>/<APP_NAME>_<APP_EXEC_TIMESTAMP>_<SUCCESS|FAILURE|ABORT>.zip. */
MUST_CHECK bool flow_finish_zip(const struct flow_finished *f, struct err *err);
/* Notes which logs were written, and removes those noted that are older than so many days. */
MUST_CHECK bool flow_finish_retain(const struct flow_finished *f, struct err *err);
/* Sends the mail that was asked for. */
MUST_CHECK bool flow_finish_mail(const struct flow_finished *f, struct err *err);
/* Runs the command; waits for its end. What it fails with is an error. */
MUST_CHECK bool flow_finish_command(const struct flow_finished *f, struct err *err);

/* Runs a program and waits for it; an exit status other than 0 is an error. */
MUST_CHECK bool flow_finish_run(const char *const *argv, const char *const *environment,
                                const char *what, struct err *err);

#endif
