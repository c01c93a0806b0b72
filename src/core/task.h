/* task.h: a task that has not ended, in memory: what decides when it may run, and who runs it. Its
 * arguments, its options and what became of earlier attempts are in the store. Plain data; made,
 * moved and freed by dispatch.h, read by all. Some 64 bytes each, for a million wait at a time. */
#ifndef PENSTOCK_CORE_TASK_H
#define PENSTOCK_CORE_TASK_H

#include "base/buf.h"
#include "core/job.h"

#define TASK_NAME_MAX_BYTES                                                                        \
    512 /* of functions and queues; keys, locks, batches, unique keys too                          \
         */
#define TASK_PRIORITY_MIN INT16_MIN
#define TASK_PRIORITY_MAX INT16_MAX
#define TASK_ATTEMPTS_DEFAULT 5
#define TASK_ATTEMPTS_MAX 1000000
#define TASK_AFTER_MAX 1000000 /* parents of one task */

struct lane;      /* dispatch.h's: tasks of one queue, function and key */
struct task_lock; /* dispatch.h's */

/* Why a running task is to stop. */
enum task_abort { ABORT_NOT, ABORT_CANCELLED, ABORT_TIMEOUT };
const char *task_abort_name(enum task_abort abort); /* "cancelled", "timeout" */

/* What only a running task has. */
struct task_run {
    int64_t session;       /* number of the lease that holds it (lease.h) */
    int64_t started_at_us; /* wall */
    int64_t ends_us;       /* monotonic: its time-out, NEVER_US */
    int64_t lost_us;       /* monotonic: when its worker loses it after an abort, NEVER_US */
    double progress;       /* 0..1 as told by the worker, -1: never told */
    char *progress_text;   /* owned, NULL */
    enum task_abort abort;
};

struct task {
    int64_t id;
    struct lane *lane;
    struct task_lock *lock; /* NULL: none */
    struct task_run *run;   /* while running; owned */
    void *change;           /* the engine's: what of it is to be stored; NULL: nothing */
    uint32_t place;         /* dispatch.h's: where it is in the heap that holds it */
    uint32_t attempts;      /* starts so far */
    uint32_t max_attempts;
    uint32_t fence;   /* grows with each start */
    uint32_t parents; /* open ones: it is blocked while there are any */
    int16_t priority;
    uint8_t state;     /* enum job_state: blocked, pending or running */
    uint8_t waits : 2; /* dispatch.h's: for its time (wall or monotonic clock) */
    uint8_t has_unique : 1, has_children : 1;
};

#endif
