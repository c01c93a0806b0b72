/* client.h: the options by which a command finds its server. Threads: the main one. */
#ifndef PENSTOCK_CLI_CLIENT_H
#define PENSTOCK_CLI_CLIENT_H

#include "cli/option.h"
#include "run/http_client.h"

/* --server, --state, --key, --token, --ca: rows for every command that talks to a server. */
extern const struct option client_options[];

/* The state folder when none is named. */
#define STATE_DIR_DEFAULT ".penstock"

/* A client of the server that the options name. Errors as client_new. */
MUST_CHECK bool client_open(const struct options *options, struct client **out, struct err *err);

#endif
