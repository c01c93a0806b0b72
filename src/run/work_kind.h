/* work_kind.h: what a worker works on: records of a data job, or tasks of the queue. The two differ
 * in paths and in names of members, nothing else. */
#ifndef PENSTOCK_RUN_WORK_KIND_H
#define PENSTOCK_RUN_WORK_KIND_H

enum work_kind {
    WORK_RECORDS, /* docs/worker-protocol.md */
    WORK_TASKS    /* docs/queue.md */
};

#endif
