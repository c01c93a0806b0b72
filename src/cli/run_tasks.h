/* run_tasks.h: worker processes at work on tasks of the queue (docs/queue.md): what a session
 * (run_session.h) does that has no job to look at. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_TASKS_H
#define PENSTOCK_CLI_RUN_TASKS_H

#include "cli/run_session.h"

/* Which tasks, and where. Texts and lists are borrowed until the session is freed. */
struct run_tasks {
    const char *server; /* NULL: the one that the processes name in their hello */
    const char *key, *ca;
    const char *job, *token;   /* whose records are to be worked on, too; NULL: none */
    const char *const *queues; /* NULL ends it; NULL: all of them */
    int64_t concurrency;       /* tasks at once in one process; 0: as the processes choose */
    int64_t max_tasks;         /* then a fresh process takes over; 0: never */
    bool one_shot;             /* until nothing is left */
};

/* Works until all processes have gone for good; `hello` is the first one's. What came of it is
 * asked as after run_session_work. The leases of processes that died are given back, as far as the
 * server can be reached. ERR_INVALID: the processes name no server either. */
MUST_CHECK bool run_session_tasks(struct run_session *r, const struct run_tasks *tasks,
                                  struct str hello, struct err *err);

#endif
