/* task_settlement.h: what a worker reports of tasks, read where it lies.
 *
 * The body is read once, as bytes: results are raw slices of it, and so are the tasks that are
 * enqueued with them (new_tasks.h). Only the reasons of failures are put together anew, for what is
 * kept of them is less than what may be said. Threads: any. */
#ifndef PENSTOCK_HTTP_NATIVE_TASK_SETTLEMENT_H
#define PENSTOCK_HTTP_NATIVE_TASK_SETTLEMENT_H

#include "http/native/new_tasks.h"
#include "http/native/task_claim_body.h"

/* Outcomes at once. */
#define TASK_SETTLEMENT_MAX 200000

/* Zeroed is valid and empty. */
struct task_settlement {
    struct task_settle_entry *entries; /* owned; texts lie in the body and in `reasons` */
    size_t count, cap;
    struct buf reasons; /* all failures' reasons, one after the other */
    struct str lease;   /* empty: none */
    struct new_tasks enqueue;
    bool claims;
    struct task_claim_body claim;
};

/* Reads the body of /v1/work/settle (docs/queue.md). The body is written to and must outlive the
 * settlement. Errors: ERR_INVALID naming member, place and value; ERR_LIMIT. In any case to be
 * released. */
MUST_CHECK bool task_settlement_read(struct task_settlement *s, char *body, size_t len,
                                     struct err *err);
void task_settlement_release(struct task_settlement *s);

#endif
