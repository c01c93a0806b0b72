/* job_store.h: jobs in the store. All verbs: the engine's thread, inside a transaction, ERR_STORE
 * or ERR_NO_SPACE on failure, durable when the transaction commits. */
#ifndef PENSTOCK_STORE_JOB_STORE_H
#define PENSTOCK_STORE_JOB_STORE_H

#include "core/job.h"
#include "core/ledger.h"
#include "store/store.h"

#define TOKEN_HASH_BYTES 32

/* What is stored of a data job's progress; together with its ledger pages this is all that a
 * restart needs. */
struct data_progress {
    int64_t known;         /* records reading has reached */
    struct place reading;  /* where the reader goes on */
    int64_t served_below;  /* numbers below this may be in somebody's hands (rounded up) */
    int64_t sink_bytes;    /* committed length of the output, -1 before its first write */
    int64_t tail_bytes;    /* so many of them, the last, are in the store too: see tail_store.h */
    char *sink_columns;    /* CSV: JSON array of column names, or of nulls where only the number of
                              columns is known; NULL before the first row. Owned. */
    int64_t errors_bytes;  /* committed length of the error file */
    int64_t bad_records;   /* of the failed ones: lines that could not be read */
    int64_t repeats;       /* results left out because their record was done already */
    int64_t written;       /* records in the output */
    int64_t skipped;       /* of the done ones: they gave nothing to write */
    char source_print[65]; /* fingerprint of the input's beginning, "" before it was read */
    int64_t source_print_bytes; /* how many bytes it covers */
    /* Of a job whose records have ids, or that takes a portion; since it was last started: */
    int64_t done_before; /* records passed over: they were done already */
    int64_t duplicates;  /* records passed over: an earlier one has their id */
    int64_t no_id;       /* of the bad ones: records without an id */
    int64_t left_out;    /* records passed over: not of the portion */
};

struct job_row {
    int64_t id;
    char *name;
    enum job_kind kind;
    enum job_state state;
    bool paused;
    char *spec;    /* JSON, see data_spec_write */
    char *inputs;  /* what tells the input from others (source_inputs), NULL */
    char *failure; /* why it failed, NULL */
    char *portion; /* JSON, see portion_write: what of the input this run takes; NULL: all */
    bool has_token;
    uint8_t token_hash[TOKEN_HASH_BYTES];
    bool damaged; /* loaded, and the store's kind, state or token is none: it counts as failed, and
                     no token opens it */
    int64_t created_at_us, started_at_us, ended_at_us; /* 0: not yet */
    struct data_progress progress;
};

void job_row_release(struct job_row *row);

/* Inserts each row under its id, or where that is 0 sets it to the next. ERR_CONFLICT when a name
 * is taken: then none is inserted. */
MUST_CHECK bool job_store_insert(struct tx *tx, struct job_row *rows, size_t count,
                                 struct err *err);
/* Writes all but id, name, kind and created_at_us of each row. ERR_NOT_FOUND when the store has no
 * such job: rows before it are written, roll back. */
MUST_CHECK bool job_store_save(struct tx *tx, const struct job_row *const *rows, size_t count,
                               struct err *err);
/* Removes the jobs with their ledger pages, attempts and tails. Events stay. Unknown ids are passed
 * over.
 */
MUST_CHECK bool job_store_delete(struct tx *tx, const int64_t *ids, size_t count, struct err *err);
/* All jobs in order of their ids; `each` takes over the row's strings (job_row_release); false from
 * it ends the walk as a failure with the error it set. */
MUST_CHECK bool job_store_load(struct tx *tx,
                               bool (*each)(void *context, struct job_row *row, struct err *err),
                               void *context, struct err *err);

#endif
