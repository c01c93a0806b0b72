/* run_job.h: the job that a run makes, as the body of POST /v1/jobs. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_JOB_H
#define PENSTOCK_CLI_RUN_JOB_H

#include "cli/run_settings.h"

/* `local`: the paths are of this machine and become absolute, folders that are missing are made.
 * Else they go as they are, for the server to find below its data folders. ERR_INVALID: an input
 * that is not there, an output that cannot be. */
MUST_CHECK bool run_job_write(const struct run_settings *s, const char *name, bool local,
                              struct buf *out, struct err *err);
/* Whether the inputs that are named so far are there. ERR_INVALID. */
MUST_CHECK bool run_job_check_inputs(const struct run_settings *s, struct err *err);
/* Where failed records are listed unless something else is asked: beside the output. To be freed.
 */
char *run_job_errors_path(const char *output);

#endif
