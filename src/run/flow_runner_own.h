/* flow_runner_own.h: the inside of the node runner, for run/flow_runner*.c only. */
#ifndef PENSTOCK_RUN_FLOW_RUNNER_OWN_H
#define PENSTOCK_RUN_FLOW_RUNNER_OWN_H

#include "run/flow_runner.h"
#include "run/node_session.h"

/* An attempt, from its claim until its end is known. */
struct run {
    struct run *next;
    struct node_task *task;
    uint64_t program; /* of a shell node; 0 */
    pid_t group;      /* of a Python node, once it is forked; 0 */
    int64_t began_us, log_from_bytes;
    int64_t timeout_at_us, kill_at_us; /* NEVER_US */
    enum node_stop stop;
    bool killed;
    uint64_t behind; /* its start is told behind so many ends; 0: it has been */
    bool forgotten;  /* its session was lost: what becomes of it is nobody's business */
    struct node_outcome outcome;
};

struct flow_runner {
    struct flow_runner_plan plan;
    struct flow_helper *helper;
    struct node_session *session;
    struct run *runs, **runs_end; /* oldest first */
    struct ended_list ended;      /* in the order in which they are settled */
    uint64_t added, told;         /* so many ends were put into the list, so many have left it */
    size_t untold;                /* starts */
    size_t running;
    uint64_t next_program;
    int64_t now_us;
    bool stopping;
    struct err failure; /* met inside a hook; the step returns it */
};

/* --- flow_runner_ends.c: how attempts end --- */
void run_free(struct run *run);
/* The attempt has started. A claim may be answered before the settlement that made its node ready
 * is: whoever looks on hears of that end first. */
void run_started(struct flow_runner *r, struct run *run);
/* Puts an end on the list. */
void flow_runner_add_ended(struct flow_runner *r, struct ended *e);
/* Nobody is told of what is on it. */
void flow_runner_drop_ended(struct flow_runner *r);
/* The step returns the first of these. */
void flow_runner_fail(struct flow_runner *r, const struct err *err);
/* SIGTERM now, SIGKILL later; the first reason holds, but for an abort. */
void run_stop(struct flow_runner *r, struct run *run, enum node_stop why);
/* SIGKILL now. Frees the run of what was not forked yet. */
void run_kill(struct flow_runner *r, struct run *run);
/* Its first process has ended, with what waitpid said: judges, settles, and frees the run. */
void run_end(struct flow_runner *r, struct run *run, int status);
/* The server has taken the outcomes of the `count` that ended first; `stale` lists those of them
 * that were nobody's business any more. For struct node_news. */
void flow_runner_settled(void *context, size_t count, struct str stale);

#endif
