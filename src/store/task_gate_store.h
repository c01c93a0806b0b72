/* task_gate_store.h: names and settings of queues and functions, rules for keys, and sessions of
 * workers. Rules as in task_store.h. */
#ifndef PENSTOCK_STORE_TASK_GATE_STORE_H
#define PENSTOCK_STORE_TASK_GATE_STORE_H

#include "store/store.h"

#include "base/buf.h"

/* A queue or a function. */
struct task_gate_row {
    int64_t number; /* given by the engine, growing, one sequence for both */
    bool of_function;
    struct str name;
    bool paused, fair;
    int64_t concurrency, rpm_millionths;
    int64_t completed, failed, cancelled; /* of the tasks that are stored */
};

MUST_CHECK bool task_gate_store_insert(struct tx *tx, const struct task_gate_row *row,
                                       struct err *err);
/* Its settings. ERR_NOT_FOUND. */
MUST_CHECK bool task_gate_store_save(struct tx *tx, const struct task_gate_row *row,
                                     struct err *err);
/* Adds to its counts. ERR_NOT_FOUND. */
MUST_CHECK bool task_gate_store_count(struct tx *tx, int64_t number, int64_t completed,
                                      int64_t failed, int64_t cancelled, struct err *err);
/* Forgets one that no task has. An unknown number is passed over. */
MUST_CHECK bool task_gate_store_delete(struct tx *tx, int64_t number, struct err *err);
/* In order of numbers. */
MUST_CHECK bool task_gate_store_load(struct tx *tx,
                                     void (*each)(void *context, const struct task_gate_row *row),
                                     void *context, struct err *err);

/* A rule that gives each key its limit. */
struct task_rule_row {
    struct str name, pattern;
    int64_t concurrency, rpm_millionths;
};
/* In place of one of that name. */
MUST_CHECK bool task_rule_store_put(struct tx *tx, const struct task_rule_row *row,
                                    struct err *err);
MUST_CHECK bool task_rule_store_clear(struct tx *tx, struct err *err);
/* In order of names. */
MUST_CHECK bool task_rule_store_load(struct tx *tx,
                                     void (*each)(void *context, const struct task_rule_row *row),
                                     void *context, struct err *err);

#define SESSION_TOKEN_BYTES 16
struct task_session_row {
    int64_t number;
    uint8_t token[SESSION_TOKEN_BYTES];
    struct str worker;
    struct str queues, functions; /* comma-separated; NULL: all */
    int64_t span_us, since_us;
};
/* Adds it, or puts it in place of what it was. */
MUST_CHECK bool task_session_store_put(struct tx *tx, const struct task_session_row *row,
                                       struct err *err);
MUST_CHECK bool task_session_store_delete(struct tx *tx, int64_t number, struct err *err);
MUST_CHECK bool task_session_store_load(struct tx *tx,
                                        void (*each)(void *context,
                                                     const struct task_session_row *row),
                                        void *context, struct err *err);
/* The highest number that was ever given. */
MUST_CHECK bool task_session_store_last(struct tx *tx, int64_t *out, struct err *err);

#endif
