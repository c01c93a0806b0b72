/* flow_store.h: flows and their nodes in the store. All verbs: the engine's thread (or the
 * committer's, in its transaction), inside a transaction; ERR_STORE or ERR_NO_SPACE on failure.
 * Texts in rows that are given are borrowed; in rows that are told, for the call. */
#ifndef PENSTOCK_STORE_FLOW_STORE_H
#define PENSTOCK_STORE_FLOW_STORE_H

#include "core/flow.h"
#include "core/flow_marks.h"
#include "store/store.h"

/* A flow. Times are wall, 0: not yet. */
struct flow_store_row {
    int64_t id;
    struct str name;
    enum flow_mode mode;
    enum job_state state; /* running, completed, failed or cancelled */
    bool stops;           /* it runs, and was told to stop */
    int64_t run;          /* from 1 */
    int64_t max_running;  /* 0: no limit */
    int64_t gap_us;
    struct str pools, variables;   /* JSON objects */
    int64_t nodes, kept;           /* kept: neither C nor N, and not of this run */
    int64_t first_task, tasks;     /* their ids follow each other; 0: there are none */
    int64_t lock_task, lock_fence; /* who has the flow's lock; 0 */
    int64_t counts[FLOW_MARK_COUNT];
    int64_t created_at_us, started_at_us, ended_at_us;
};

/* A node, by its place in the list. */
struct flow_node_row {
    int64_t place;
    int32_t id;
    enum flow_mark mark; /* never R: that follows from its task */
    int64_t run;         /* in which it got its mark */
    int64_t task;        /* 0: none in this run */
    int64_t attempts;
    int64_t code; /* with has_code: what its last try ended with */
    bool has_code;
    int64_t started_at_us, ended_at_us; /* of its last try */
    int64_t usual_us;                   /* how long it took when it last completed; 0 */
    int64_t ahead_us;                   /* see flow_marks_put */
    uint64_t print;                     /* of what its row says */
    struct str name, logfile;           /* logfile NULL: none */
    struct str after;                   /* JSON list of ids */
    struct str error;                   /* JSON, NULL: none */
};

/* Puts a flow, or replaces all of it but id, name and created_at_us. ERR_CONFLICT: the name is
 * another's. */
MUST_CHECK bool flow_store_put(struct tx *tx, const struct flow_store_row *row, struct err *err);
/* Forgets a flow, its nodes and its context. An unknown id is passed over. */
MUST_CHECK bool flow_store_delete(struct tx *tx, int64_t id, int64_t now_us, struct err *err);
/* All in order of their ids. */
MUST_CHECK bool flow_store_load(struct tx *tx,
                                bool (*each)(void *context, const struct flow_store_row *row,
                                             struct err *err),
                                void *context, struct err *err);
/* Whether there is one with that id. */
MUST_CHECK bool flow_store_exists(struct tx *tx, int64_t id, bool *found, struct err *err);

/* These are its nodes, in place of all there were. */
MUST_CHECK bool flow_node_store_replace(struct tx *tx, int64_t flow,
                                        const struct flow_node_row *rows, size_t count,
                                        struct err *err);
/* How a node ended: mark, run, attempts, code, times, usual_us (0: as it is) and error.
 * ERR_NOT_FOUND. */
MUST_CHECK bool flow_node_store_end(struct tx *tx, int64_t flow, const struct flow_node_row *row,
                                    struct err *err);

/* Is told one row; false ends the walk, as a failure when `err` was set. */
typedef bool flow_node_each(void *context, const struct flow_node_row *row, struct err *err);
/* Up to `limit` nodes in order of their places, from `from` on. `by_mark`: those with it only. */
MUST_CHECK bool flow_node_store_walk(struct tx *tx, int64_t flow, int64_t from, bool by_mark,
                                     enum flow_mark mark, int64_t limit, flow_node_each *each,
                                     void *context, struct err *err);
/* The place of the node with that id; -1: there is none. */
MUST_CHECK bool flow_node_store_place(struct tx *tx, int64_t flow, int32_t id, int64_t *place,
                                      struct err *err);
/* What doctor compares: tells of each place where counts and rows differ. */
MUST_CHECK bool flow_store_check(struct tx *tx, void (*say)(void *context, const char *fault),
                                 void *context, struct err *err);

#endif
