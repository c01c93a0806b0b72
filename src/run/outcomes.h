/* outcomes.h: what became of records, or of tasks of the queue, gathered into the body of one
 * settle (docs/worker-protocol.md, docs/queue.md). Pure. */
#ifndef PENSTOCK_RUN_OUTCOMES_H
#define PENSTOCK_RUN_OUTCOMES_H

#include "base/buf.h"
#include "base/err.h"
#include "run/work_kind.h"

/* Why an attempt failed. */
struct failure {
    struct str message;   /* for people; what is no UTF-8 in it is replaced */
    struct str type;      /* name of the error's kind; empty: none */
    bool final;           /* it is not tried again */
    bool throttled;       /* of a record: a service said that it was too much */
    bool lost;            /* of a task: who ran it was killed from outside */
    double retry_after_s; /* not before so long from now; 0: by the job's delays */
};

struct outcomes {
    enum work_kind kind;
    struct buf results; /* the body's beginning, behind room for what is to stand before it */
    struct buf numbers; /* of records that gave nothing to write; of tasks that were stopped */
    struct buf failures, enqueue;
    size_t result_count, number_count, failed_count;
    size_t results_end; /* where the results end in `results`, once the body was made; 0: not */
};

void outcomes_init(struct outcomes *o, enum work_kind kind);
void outcomes_release(struct outcomes *o);
/* Empties it; its room is kept. */
void outcomes_clear(struct outcomes *o);

/* Done: `value` is valid JSON without line breaks. */
void outcomes_result(struct outcomes *o, int64_t record, struct str value);
/* Done, and there is nothing to write; of a task: its result is null. */
void outcomes_skip(struct outcomes *o, int64_t record);
/* The task was stopped because the server asked for it. */
void outcomes_abort(struct outcomes *o, int64_t task);
/* The task, whose result comes next, asks for these: a valid JSON array of objects. */
void outcomes_enqueue(struct outcomes *o, int64_t task, struct str tasks);
void outcomes_fail(struct outcomes *o, int64_t record, const struct failure *why);
/* How many records it has, and about how long its body is. */
size_t outcomes_count(const struct outcomes *o);
size_t outcomes_bytes(const struct outcomes *o);

/* The whole body, borrowed until the next call. May be asked again, with another lease. ERR_BUSY
 * when memory was out. */
MUST_CHECK bool outcomes_body(struct outcomes *o, const char *lease, struct str *out,
                              struct err *err);
/* The body was too long, or something in it was wrong: moves the second half of the results, of
 * which there are two or more, into `other`, which is empty. */
void outcomes_halve(struct outcomes *o, struct outcomes *other);
/* Turns all results into failures. */
void outcomes_refuse(struct outcomes *o, const struct failure *why);
/* Calls `each` with the number of every record in it. */
void outcomes_each(const struct outcomes *o, void (*each)(void *context, int64_t record),
                   void *context);

#endif
