/* run_config.h: the user's config.py as a worker process has read it, and what the function asks
 * for itself: for settings that no option gives. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_CONFIG_H
#define PENSTOCK_CLI_RUN_CONFIG_H

#include "cli/run_settings.h"

/* `hello` is the body of the process's hello. ERR_INVALID names key, value and file. */
MUST_CHECK bool run_config_take(struct run_settings *s, const struct options *options,
                                struct str hello, struct err *err);

#endif
