/* held_store.h: results that wait for those before them (engine/order.h). Rules as in job_store.h.
 */
#ifndef PENSTOCK_STORE_HELD_STORE_H
#define PENSTOCK_STORE_HELD_STORE_H

#include "base/buf.h"
#include "store/store.h"

/* A result under its key: the number of its record, or, below 0, any that is its own. */
struct held_row {
    int64_t key;
    struct str id;   /* of its record; empty: it has none */
    struct str line; /* as it will be written, with its line end */
};

/* Adds rows. ERR_NOT_FOUND without such a job, ERR_CONFLICT when a key is taken: roll back. */
MUST_CHECK bool held_store_add(struct tx *tx, int64_t job_id, const struct held_row *rows,
                               size_t count, struct err *err);
/* Removes rows; keys that are not there are passed over. */
MUST_CHECK bool held_store_remove(struct tx *tx, int64_t job_id, const int64_t *keys, size_t count,
                                  struct err *err);
/* The numbers become others: gives all rows keys below 0. */
MUST_CHECK bool held_store_park(struct tx *tx, int64_t job_id, struct err *err);
/* All rows in order of their keys, each borrowed for the call. */
MUST_CHECK bool held_store_load(struct tx *tx, int64_t job_id,
                                void (*each)(void *context, const struct held_row *row),
                                void *context, struct err *err);
MUST_CHECK bool held_store_clear(struct tx *tx, int64_t job_id, struct err *err);

#endif
