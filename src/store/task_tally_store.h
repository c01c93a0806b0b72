/* task_tally_store.h: how many tasks are in which state: a row for each key, batch, queue and
 * function that tasks have. Rules as in task_store.h. */
#ifndef PENSTOCK_STORE_TASK_TALLY_STORE_H
#define PENSTOCK_STORE_TASK_TALLY_STORE_H

#include "core/job.h"
#include "store/store.h"

struct task_tally_row {
    struct str key, batch; /* empty: none */
    int64_t queue, function;
    int64_t counts[JOB_STATE_COUNT]; /* to be added: differences */
    int64_t first_at_us, last_at_us; /* the earlier, the later is kept */
};
/* A row that counts nothing any more is forgotten. */
MUST_CHECK bool task_tally_store_add(struct tx *tx, const struct task_tally_row *rows, size_t count,
                                     struct err *err);
/* The first `most` of a key and a batch (empty: all), ordered by key, batch, queue, function; with
 * counts. */
MUST_CHECK bool task_tally_store_list(struct tx *tx, struct str key, struct str batch,
                                      bool active_only, int64_t most,
                                      void (*each)(void *context, const struct task_tally_row *row),
                                      void *context, struct err *err);

#endif
