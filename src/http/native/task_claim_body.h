/* task_claim_body.h: what a claim of tasks asks for, alone or within a settlement. Threads: any. */
#ifndef PENSTOCK_HTTP_NATIVE_TASK_CLAIM_BODY_H
#define PENSTOCK_HTTP_NATIVE_TASK_CLAIM_BODY_H

#include "base/json.h"
#include "engine/task_op.h"

#define TASK_CLAIM_MAX 10000
#define TASK_LEASE_MAX_US (INT64_C(86400) * 1000000)
#define TASK_WORKER_MAX_BYTES 200

/* Zeroed is valid and empty. Texts lie in the body. */
struct task_claim_body {
    struct str *queues, *functions; /* owned; NULL: all */
    size_t queue_count, function_count;
    int64_t max, wait_us, lease_us; /* lease_us 0: not said */
    struct str worker, lease;       /* empty: none */
    int64_t *holds;                 /* owned */
    size_t holds_count, holds_cap;
    bool has_holds, early;
};

/* Reads the object that the cursor stands before; `inner`: within a settlement, whose lease it is.
 * The body is written to. A fault of the cursor is the caller's to see: true then. Errors:
 * ERR_INVALID naming member and value; ERR_LIMIT. In any case to be released. */
MUST_CHECK bool task_claim_body_read(struct task_claim_body *c, struct json *j, bool inner,
                                     struct err *err);
void task_claim_body_release(struct task_claim_body *c);
/* Fills what goes into the op but for lease and times, which are the handler's. Borrowed. */
void task_claim_body_apply(const struct task_claim_body *c, struct task_claim *claim);

#endif
