/* warm_shell.h: starts `/bin/sh -c COMMAND` by forking a shell that is loaded already, the seed
 * (shell_seed.c), which takes a third of what starting the program anew does.
 *
 * A shell so started is what it would be otherwise: the caller's child, a group of its own, killed
 * with the caller's thread, no descriptors but its own, signals as usual, the environment as in
 * spawn.h. Where it cannot be had (a shell that is linked statically, variables that mean something
 * to the loader, a kernel that refuses), the caller is told so and starts the program itself.
 * Threads: one, which outlives what it starts. */
#ifndef PENSTOCK_RUN_WARM_SHELL_H
#define PENSTOCK_RUN_WARM_SHELL_H

#include "base/buf.h"

#include <sys/types.h>

struct warm_shell;

struct warm_shell *warm_shell_new(void);
void warm_shell_free(
    struct warm_shell *w); /* the seed ends by itself, and is the caller's to reap */
DEFINE_OWNED(warm_shell)

struct warm_command {
    const char *const *argv;        /* ended by NULL */
    const char *const *environment; /* NAME=VALUE, added to ours; ended by NULL; NULL */
    int output_fd;                  /* standard output and error; borrowed */
};
enum warm_start {
    WARM_STARTED,
    WARM_NOT_HERE, /* it was not started, and is to be started in another way */
    WARM_LOST      /* the seed was gone before it said whether it has */
};
/* Starts it if it is such a command, and a seed is there: *pid is its process. The first of all is
 * never: a single command is not worth a seed. */
enum warm_start warm_shell_start(struct warm_shell *w, const struct warm_command *command,
                                 pid_t *pid);

#endif
