/* run_server.h: the options by which `run` and `worker` name a server, and its secrets in plain.
 * Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_SERVER_H
#define PENSTOCK_CLI_RUN_SERVER_H

#include "cli/option.h"

/* --server, --key, --ca. */
extern const struct option run_server_options[];

/* What --server gives, else PENSTOCK_SERVER; NULL when neither does. Borrowed. */
const char *run_server_url(const struct options *options);

/* What --key or --token (`name`), or its variable, gives or names as @FILE; NULL when there is
 * none. To be freed. ERR_INVALID, ERR_NOT_FOUND. */
MUST_CHECK bool run_server_secret(const struct options *options, const char *name, char **out,
                                  struct err *err);

#endif
