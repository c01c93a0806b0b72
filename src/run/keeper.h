/* keeper.h: the small process from which everything that runs for nodes of flows descends.
 *
 * It is a child subreaper: whatever loses its parent below it becomes its child. It starts programs
 * on order, each in a group of its own, signals groups, and tells of every end that it sees; before
 * a program that has ended is reaped, what is left of its group is killed. When the runner is gone,
 * however it went, its end of the socket is closed: then the keeper kills all its descendants,
 * those that left their group or session too, and ends. It has one thread, and waits in poll. */
#ifndef PENSTOCK_RUN_KEEPER_H
#define PENSTOCK_RUN_KEEPER_H

#include "base/err.h"
#include "base/own.h"

#include <stdint.h>
#include <sys/types.h>

/* The keeper itself: returns when nothing is left below it. `fd` is its end of the socket. */
MUST_CHECK bool keeper_serve(int fd, struct err *err);
/* Kills every process below this one, which must be a child subreaper: what is killed leaves its
 * children to it, and so on down, until there is nobody. */
void keeper_kill_below(void);
/* The descriptor at which a keeper that was started finds its socket, and the command by which this
 * program becomes one. */
#define KEEPER_FD 3
#define KEEPER_COMMAND "keeper"

/* ---- the runner's end (keeper_link.c). Threads: one owner, which outlives it. ---- */

struct keeper;

/* Starts one. Errors: as spawn_start. */
MUST_CHECK bool keeper_start(struct keeper **out, struct err *err);
/* Closes the socket and waits until the keeper, and so everything below it, is gone. When somebody
 * has killed the keeper, what it leaves is ours: every process below this one is killed then. */
void keeper_free(struct keeper *k);
DEFINE_OWNED(keeper)
/* To be polled for what keeper_next has. */
int keeper_fd(const struct keeper *k);

struct keeper_program {
    uint64_t id;                    /* by which it is spoken of from then on; 0 is none */
    const char *const *argv;        /* argv[0] is a path; NULL ends it */
    const char *const *environment; /* NAME=VALUE, added to the keeper's own; NULL ends it; NULL */
    int output_fd;                  /* standard output and error; borrowed */
    int control_fd;                 /* becomes descriptor 3; borrowed; -1: there is none */
};
/* Orders the start of a program; KEEPER_FAILED or KEEPER_ENDED comes for it. ERR_INTERNAL: the
 * keeper is gone; ERR_LIMIT: the texts are too long. */
MUST_CHECK bool keeper_run(struct keeper *k, const struct keeper_program *program, struct err *err);
/* Signals the group of a program, unless that has ended. */
MUST_CHECK bool keeper_signal(struct keeper *k, uint64_t id, int number, struct err *err);

enum keeper_report_kind {
    KEEPER_FAILED, /* it could not be started: `status` is the errno */
    KEEPER_ENDED,  /* `status` as of waitpid */
    KEEPER_ORPHAN  /* a process that lost its parent has ended: `pid`, `status`; no id */
};
struct keeper_report {
    uint64_t id;
    uint32_t kind;
    int32_t status, pid;
};
/* Takes the next report; *got false: there is none (yet). ERR_INTERNAL: the keeper is gone. */
MUST_CHECK bool keeper_next(struct keeper *k, struct keeper_report *out, bool *got,
                            struct err *err);

#endif
