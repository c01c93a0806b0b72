/* task_store.h: tasks in the store. All verbs: the engine's thread (or the committer's, in its
 * transaction), inside a transaction; ERR_STORE or ERR_NO_SPACE on failure.
 *
 * Names of queues and functions are numbers here (task_store_name). Large arguments and results are
 * blobs: their row has the hash. */
#ifndef PENSTOCK_STORE_TASK_STORE_H
#define PENSTOCK_STORE_TASK_STORE_H

#include "core/job.h"
#include "core/task_graph.h"
#include "store/store.h"

/* What changes of a task after it was enqueued. */
struct task_state_row {
    int64_t id;
    enum job_state state;
    int64_t priority;
    int64_t attempts, fence;
    int64_t session; /* of the one that runs it; 0 */
    int64_t run_at_us, started_at_us, ended_at_us; /* wall; 0: none */
    struct str result; /* JSON; with ptr NULL: none */
    struct str error;  /* JSON; with ptr NULL: as it is */
    struct str error_type;
};

/* A task as it is enqueued; texts with ptr NULL: none. */
struct task_row {
    struct task_state_row now;
    int64_t queue, function; /* numbers of names */
    int64_t max_attempts, created_at_us;
    struct str key, batch, lock, unique, arguments, options;
    int unique_while;
};

#endif
