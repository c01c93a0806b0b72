/* order.h: results in the order of their records, whatever order they are settled in. Internal to
 * engine/; the engine's thread, but for order_store.
 *
 * A result whose turn has not come is held: in memory, and in the store with the commit that says
 * that its record is done. It goes out when every record before it is done or failed; the commit
 * that tells of the output's new length removes it from the store. */
#ifndef PENSTOCK_ENGINE_ORDER_H
#define PENSTOCK_ENGINE_ORDER_H

#include "core/id_set.h"
#include "store/held_store.h"

struct data_job;
struct engine;
struct order;

/* Held so much, only what lets the order go on is served. */
#define ORDER_RECORDS_MAX 100000
#define ORDER_BYTES_MAX (INT64_C(64) << 20)

/* One result. */
struct held {
    int64_t record; /* -1: not known yet, see order_take_parked */
    int64_t key;    /* under which it is stored; HELD_NOWHERE */
    bool has_id;
    struct id id;    /* of its record */
    struct str line; /* with its line end */
    bool owned;      /* the line is */
};
#define HELD_NOWHERE INT64_MIN

/* A job's part of a group: what goes out, what stays. */
struct order_part {
    struct held *out, *kept; /* of the kept ones the key is the one they had before */
    size_t out_count, kept_count;
    int64_t next_before;
};

/* NULL in a job whose output has no order. */
/* At most about `max_records` wait; 0: the usual. */
struct order *order_new(int64_t max_records);
void order_free(struct order *o); /* NULL is fine */
/* Forgets all. */
void order_clear(struct order *o);

/* A result of the group being built; `line` is borrowed until the group is staged. `id` may be
 * NULL. */
void order_add(struct order *o, int64_t record, const struct id *id, struct str line);
/* A point to go back to within the group. */
size_t order_mark(const struct order *o);
void order_rewind(struct order *o, size_t mark);
/* A record below what is out is to be done again. */
void order_look_again(struct order *o, int64_t record);

/* How many results wait, and whether so many that new records must wait. NULL: none. */
int64_t order_count(const struct order *o);
bool order_is_full(const struct order *o);
/* Whether a known record may be served: also when full those before the first that waits. */
bool order_lets(const struct order *o, int64_t record);

/* Hands the sink what may go out, in order, and takes what must stay. A result that does not fit
 * into the output (a CSV's columns) makes its record a failed one. Errors: those of the sink. */
MUST_CHECK bool order_stage(struct engine *e, struct data_job *job, struct order_part *part,
                            struct err *err);
/* Within the group's transaction. Thread: the one that commits. */
MUST_CHECK bool order_store(struct tx *tx, int64_t job_id, const struct order_part *part,
                            struct err *err);
/* The group is durable, or was taken back. */
void order_committed(struct data_job *job, struct order_part *part);
void order_reverted(struct order *o, struct order_part *part);
void order_part_release(struct order_part *part);

/* Gives the job an order when its output is to have one, and takes it away when it is not: results
 * that are held keep theirs. */
void order_fit(const struct engine *e, struct data_job *job);
/* Reads what the store holds for a job that holds nothing. */
MUST_CHECK bool order_load(const struct engine *e, struct data_job *job, struct tx *tx,
                           struct err *err);
/* A record just read has the id of a result from an earlier run, whose numbers were others: that is
 * its result now, with the next group. False when there is none. */
bool order_take_parked(struct order *o, struct id id, int64_t record);
/* Whether such a result still waits for its record. */
bool order_has_parked(struct order *o, struct id id);
/* The output was looked through: what is held and in it already was written by a process that was
 * killed before it could say so. What goes on waiting counts as in the output from now on. */
void order_drop_written(struct data_job *job);

#endif
