/* spawn.h: the only place that starts a process.
 *
 * A child has a process group of its own (its number is the pid), default signals, no descriptors
 * but those it is given, and our environment without what begins with PENSTOCK_ (that is where
 * secrets come in) and with what the plan adds. The kernel kills it when the thread that started it
 * ends, so that nothing is left behind by a server that was killed: start it on a thread that
 * outlives it. Threads: any. */
#ifndef PENSTOCK_BASE_SPAWN_H
#define PENSTOCK_BASE_SPAWN_H

#include "base/err.h"
#include "base/own.h"

#include <sys/types.h>

struct spawn_plan {
    const char *const *argv;            /* argv[0] is the path of the program; ended by NULL */
    int stdin_fd, stdout_fd, stderr_fd; /* borrowed; -1: /dev/null */
    int control_fd;                     /* borrowed; becomes descriptor 3; 0: there is none */
    const char *const *environment;     /* NAME=VALUE, ended by NULL: added to ours, or instead of
                                           the variable of that name; NULL: nothing */
};

/* Starts it. On success the program is running (exec has succeeded) and the caller reaps *pid.
 * Errors: ERR_NOT_FOUND when there is no such program, ERR_BUSY when processes or descriptors are
 * used up, ERR_LIMIT when argv and environment are too long, ERR_IO. */
MUST_CHECK bool spawn_start(const struct spawn_plan *plan, pid_t *pid, struct err *err);

/* Starts none: this process becomes the program, with what environment and descriptors it has.
 * argv as in a plan. Returns only when that failed: false. Errors as above. */
MUST_CHECK bool spawn_become(const char *const *argv, struct err *err);

#endif
