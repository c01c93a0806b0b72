/* supervisor.h: worker processes of one run: started, spoken to, replaced when they end, stopped.
 *
 * The rules are the table of child.h; this is what happens by it. Each process has a process group
 * of its own, which is killed whole; it dies with the thread that made the supervisor. Nothing here
 * waits: the owner's loop waits for supervisor_fd until supervisor_next_us, then calls
 * supervisor_step. Threads: one, which outlives it. */
#ifndef PENSTOCK_RUN_SUPERVISOR_H
#define PENSTOCK_RUN_SUPERVISOR_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "run/worker_message.h"

/* What the owner is told; `number` counts the places of processes from 1 on. All that is given is
 * borrowed for the call. They must not call the supervisor but for supervisor_stop. */
struct supervisor_hooks {
    /* The first process said who it is: the body of its hello. Those that follow it are not told.
     */
    void (*hello)(void *context, struct str body);
    /* A line that a process printed. */
    void (*line)(void *context, int number, struct str text);
    /* The body of a log message. */
    void (*log)(void *context, int number, struct str body);
    /* A process has ended without a bye; `how` says how. `lease` is what it held, NULL: nothing
     * that is known. It is replaced when `replaced`. */
    void (*died)(void *context, int number, const char *how, const char *lease, bool replaced);
    /* A process asked to be replaced, after so many records. */
    void (*recycled)(void *context, int number, int64_t ran);
    /* Why the run cannot go on, or that on_shutdown failed: what the person reads, and the lines
     * behind it ("" when there are none). */
    void (*failed)(void *context, const char *where, const char *text, const char *traceback);
};

struct supervisor_plan {
    const char *const *argv;        /* ended by NULL */
    const char *const *environment; /* as in spawn.h */
    int64_t processes;              /* 1.. */
    double timeout_s; /* what runs longer than this and the grace, without a sign, is killed; 0: no
                         limit */
    int64_t grace_us;
    int64_t max_memory_bytes; /* at twice that a process is killed; 0: no limit */
    const struct supervisor_hooks *hooks;
    void *context;
};

struct supervisor;

/* Starts the first process. All that the plan points to must outlive the supervisor. Errors: as
 * spawn_start. */
MUST_CHECK bool supervisor_start(const struct supervisor_plan *plan, struct instant now,
                                 struct supervisor **out, struct err *err);
/* Kills what is left, and waits for its end. */
void supervisor_free(struct supervisor *s);
DEFINE_OWNED(supervisor)

/* The job is there: every process is told, and those that are missing are started. `go` is borrowed
 * as long as the supervisor lives; its `worker` is set here, "<host>:<pid>". */
void supervisor_go(struct supervisor *s, const struct worker_go *go, struct instant now);
/* Ends the run: nothing is replaced any more, what works has grace_us to finish what is in its
 * hands, and is killed a little later. 0: it is to drop that and end at once. May be called again
 * with less. */
void supervisor_stop(struct supervisor *s, int64_t grace_us, struct instant now);
/* Kills everything: for those that will not wait. */
void supervisor_kill(struct supervisor *s);

/* Readable when supervisor_step has something to do. Borrowed. */
int supervisor_fd(const struct supervisor *s);
/* When it must be called at the latest (monotonic), NEVER_US. */
int64_t supervisor_next_us(const struct supervisor *s);
/* Takes what has come and does what is due. */
void supervisor_step(struct supervisor *s, struct instant now);

/* Whether all processes have gone for good. */
bool supervisor_is_over(const struct supervisor *s);
/* Why it ended by itself, code ERR_NONE when it did not: the first reason. */
const struct err *supervisor_failure(const struct supervisor *s);
/* How many processes have died, over all. */
int64_t supervisor_deaths(const struct supervisor *s);

#endif
