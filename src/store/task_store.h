/* task_store.h: tasks in the store. All verbs: the engine's thread (or the committer's, in its
 * transaction), inside a transaction; ERR_STORE or ERR_NO_SPACE on failure.
 *
 * Queues and functions are numbers here (task_gate_store.h has their names). Ids are given by the
 * engine, of one sequence with those of jobs. */
#ifndef PENSTOCK_STORE_TASK_STORE_H
#define PENSTOCK_STORE_TASK_STORE_H

#include "core/job.h"
#include "store/store.h"

/* Where a text lies that is not in the row: the hash of its blob (blob_store.h), NULL when it is in
 * the row. Rows need their blobs: whoever adds such a row must have them pinned, and what a row no
 * longer needs is released in the same transaction. */
struct task_blob {
    const uint8_t *hash; /* BLOB_STORE_HASH_BYTES of them, borrowed as texts are */
    int64_t bytes;
};

/* A task as it is stored. What waits, for whatever, is pending here. Texts with a NULL pointer:
 * none. 0 in times: none. */
struct task_row {
    int64_t id;
    enum job_state state;
    int64_t queue, function; /* numbers of names */
    int64_t priority, attempts, max_attempts, fence;
    int64_t session; /* of the one that runs it; 0 */
    bool aborts;     /* it runs, and was told to stop: cancelled */
    int64_t run_at_us, created_at_us, started_at_us, ended_at_us; /* wall */
    int64_t expires_at_us; /* when it asks to be forgotten; set with its end */
    struct str key, batch, lock, unique;
    int64_t unique_while;          /* as task_op.h's enum unique_while */
    struct str arguments, options; /* JSON */
    struct str result;             /* likewise */
    struct str error, error_type;  /* JSON; decoded */
    struct task_blob arguments_blob, result_blob;
};

/* --- changing: batches of rows that the engine has decided on --- */

/* Adds rows; their result and error are left out (task_store_save). ERR_CONFLICT: the id is taken,
 * our mistake. */
MUST_CHECK bool task_store_insert(struct tx *tx, const struct task_row *const *rows, size_t count,
                                  struct err *err);
/* Starts: attempts, fence, session and started_at_us; running. ERR_NOT_FOUND. */
MUST_CHECK bool task_store_start(struct tx *tx, const struct task_row *const *rows, size_t count,
                                 struct err *err);
/* Completions: result, ended_at_us, expires_at_us; no error. ERR_NOT_FOUND. */
MUST_CHECK bool task_store_complete(struct tx *tx, const struct task_row *const *rows, size_t count,
                                    struct err *err);
/* All that may change but its texts; error and result as the row says. ERR_NOT_FOUND. */
MUST_CHECK bool task_store_save(struct tx *tx, const struct task_row *const *rows, size_t count,
                                struct err *err);
/* What it is, in place of what it was: all that task_store_save does not save but its id. Saved by
 * it besides. ERR_NOT_FOUND. */
MUST_CHECK bool task_store_replace(struct tx *tx, const struct task_row *row, int64_t now_us,
                                   struct err *err);
/* Forgets them, what they have waited for, and that others had to wait for what has ended as they
 * wanted. Unknown ids are passed over. */
MUST_CHECK bool task_store_delete(struct tx *tx, const int64_t *ids, size_t count, int64_t now_us,
                                  struct err *err);

/* The highest id that was ever given to a task or a job. */
MUST_CHECK bool task_store_last_id(struct tx *tx, int64_t *out, struct err *err);
/* Notes it: with each group that adds tasks. */
MUST_CHECK bool task_store_set_last_id(struct tx *tx, int64_t id, struct err *err);

/* --- reading --- */

/* Is told one row, whose texts are borrowed for the call; false ends the walk, as a failure when
 * `err` was set. */
typedef bool task_store_each(void *context, const struct task_row *row, struct err *err);

/* One task whole. *found false, and nothing told, when there is none. */
MUST_CHECK bool task_store_read(struct tx *tx, int64_t id, bool *found, task_store_each *each,
                                void *context, struct err *err);
/* Its state alone. */
MUST_CHECK bool task_store_state(struct tx *tx, int64_t id, bool *found, enum job_state *out,
                                 struct err *err);
/* The latest task that ever had that unique key `while` UNIQUE_STORED; 0: none. */
MUST_CHECK bool task_store_by_unique(struct tx *tx, struct str unique, int64_t *id,
                                     struct err *err);
/* All that have not ended, in order of ids; of texts only key, lock and unique,
 * of what runs also its options. */
MUST_CHECK bool task_store_load_open(struct tx *tx, task_store_each *each, void *context,
                                     struct err *err);

/* Which rows a walk looks at. */
enum task_walk { WALK_ALL, WALK_OPEN, WALK_FAILED, TASK_WALK_COUNT };
/* Up to `limit` rows with ids above `after`, in order of ids, without arguments and results.
 * `*looked`: at how many; fewer than `limit` when that was all, or `each` ended the walk. */
MUST_CHECK bool task_store_walk(struct tx *tx, enum task_walk walk, int64_t after, int64_t limit,
                                int64_t *looked, task_store_each *each, void *context,
                                struct err *err);
/* Up to `limit` ended ones, the first ended first, that ended before `before_us`; or that asked to
 * be forgotten before it. Told as by task_store_walk. */
MUST_CHECK bool task_store_walk_ended(struct tx *tx, int64_t before_us, int64_t limit,
                                      task_store_each *each, void *context, struct err *err);
MUST_CHECK bool task_store_walk_expired(struct tx *tx, int64_t before_us, int64_t limit,
                                        task_store_each *each, void *context, struct err *err);
/* When the first of them ended, or wants to be forgotten; 0: there are none. */
MUST_CHECK bool task_store_first_ended(struct tx *tx, int64_t *out, struct err *err);
MUST_CHECK bool task_store_first_expiry(struct tx *tx, int64_t *out, struct err *err);

/* How many have not ended. */
MUST_CHECK bool task_store_count_open(struct tx *tx, int64_t *out, struct err *err);
/* What doctor compares: tells of each place where counts and rows differ. */
MUST_CHECK bool task_store_check(struct tx *tx, void (*say)(void *context, const char *fault),
                                 void *context, struct err *err);

#endif
