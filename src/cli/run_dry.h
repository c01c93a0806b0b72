/* run_dry.h: `penstock run --dry-run`: what would run. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_DRY_H
#define PENSTOCK_CLI_RUN_DRY_H

#include "cli/run_settings.h"

/* Checks the inputs and the way to the output, and prints what a run would do, to standard output.
 * Nothing on the disk is changed. ERR_INVALID. */
MUST_CHECK bool run_dry(const struct run_settings *s, const char *errors, struct err *err);

#endif
