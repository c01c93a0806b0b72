/* exec_worker.h: the worker that lets any program work on records: it writes them to the program's
 * standard input, one a line, and reads one line for each from its standard output, in their order.
 * docs/run.md, "Any language", says what a program must keep to. */
#ifndef PENSTOCK_RUN_EXEC_WORKER_H
#define PENSTOCK_RUN_EXEC_WORKER_H

#include "run/worker_control.h"

struct exec_worker_options {
    const char *command; /* run by /bin/sh */
    int control_fd;      /* of the supervisor, which gives the orders; borrowed */
};

/* Works until nothing is left, or until it is stopped; gives back what is not settled. Errors:
 * ERR_BUSY when the server is away for too long, ERR_INVALID when the program cannot be run, or
 * does not keep to what was said of it; the server's refusals. The supervisor was told of
 * them. Threads: one, to its end: the program dies with it. */
MUST_CHECK bool exec_worker_run(const struct exec_worker_options *options, struct err *err);

#endif
