/* tail_store.h: the tails of outputs (io/sink.h): bytes that were acknowledged and are not synced
 * into their file yet. Rules as in job_store.h.
 *
 * Beside it stands the output's seal (io/sink.h), as a piece at a place below 0.
 *
 * A job's pieces lie one behind the other and end at its committed length; how long they are
 * together is in its row (data_progress.tail_bytes), which changes in the same transactions. */
#ifndef PENSTOCK_STORE_TAIL_STORE_H
#define PENSTOCK_STORE_TAIL_STORE_H

#include "base/buf.h"
#include "store/store.h"

/* Adds a piece that begins so far into the output. ERR_NOT_FOUND without such a job: roll back. */
MUST_CHECK bool tail_store_add(struct tx *tx, int64_t job_id, int64_t at_bytes, struct str bytes,
                               struct err *err);
/* Removes the pieces that begin below `below_bytes`. */
MUST_CHECK bool tail_store_drop(struct tx *tx, int64_t job_id, int64_t below_bytes,
                                struct err *err);
/* Keeps the last bytes of the file below `end_bytes`, in the place of those kept before; empty:
 * none. They are no part of the tail, and dropped with it. */
MUST_CHECK bool tail_store_seal(struct tx *tx, int64_t job_id, int64_t end_bytes, struct str bytes,
                                struct err *err);
/* Appends them to `out`; nothing, and *end_bytes 0, when none are kept. */
MUST_CHECK bool tail_store_load_seal(struct tx *tx, int64_t job_id, int64_t *end_bytes,
                                     struct buf *out, struct err *err);
/* Appends to `out` the job's tail, which must begin at `at_bytes` and end at `end_bytes`, without a
 * gap: ERR_STORE when it does not. */
MUST_CHECK bool tail_store_load(struct tx *tx, int64_t job_id, int64_t at_bytes, int64_t end_bytes,
                                struct buf *out, struct err *err);

#endif
