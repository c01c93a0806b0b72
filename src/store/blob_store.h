/* blob_store.h: which blobs (io/blob.h) there are, and how many things need each. Rules as in
 * job_store.h, and on the committer's thread too, within a group's transaction. */
#ifndef PENSTOCK_STORE_BLOB_STORE_H
#define PENSTOCK_STORE_BLOB_STORE_H

#include "store/store.h"

#include <stdint.h>

#define BLOB_STORE_HASH_BYTES 32

/* A blob was put, or put again: it has a row, and its grace begins anew when nothing refers to it.
 * Once it was put as `kept` it is not collected: it stays until it is forgotten by its name. */
MUST_CHECK bool blob_store_note(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                int64_t bytes, bool kept, int64_t now_us, struct err *err);
/* One thing more needs the blob, whose file is there and pinned, or which has a row. Makes the row
 * if there is none. */
MUST_CHECK bool blob_store_refer(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                 int64_t bytes, int64_t now_us, struct err *err);
/* One thing less; after the last, grace begins. ERR_NOT_FOUND when there is no row with a
 * reference: our mistake, or a damaged store. */
MUST_CHECK bool blob_store_release(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                   int64_t now_us, struct err *err);

struct blob_row {
    int64_t bytes, refs;
    int64_t created_at_us, unused_at_us; /* wall; unused: since then nothing refers to it, 0: it is
                                            referred to */
};
/* *found false, and the row untouched, when there is none. */
MUST_CHECK bool blob_store_find(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                struct blob_row *row, bool *found, struct err *err);
/* Tells all rows, in order of hashes. */
MUST_CHECK bool blob_store_each(struct tx *tx,
                                void (*each)(void *context,
                                             const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                             int64_t bytes),
                                void *context, struct err *err);
/* Forgets a blob that nothing refers to. ERR_NOT_FOUND; ERR_CONFLICT: something does. */
MUST_CHECK bool blob_store_forget(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                  struct err *err);
/* Forgets up to `limit` blobs that are not kept, the longest unused first, that nothing has
 * referred to since before `before_us`, and tells their hashes: their files go after the commit. */
MUST_CHECK bool blob_store_collect(struct tx *tx, int64_t before_us, int64_t limit,
                                   void (*each)(void *context,
                                                const uint8_t hash[BLOB_STORE_HASH_BYTES]),
                                   void *context, struct err *err);
/* Those that are unused since a time that is yet to come, for the clock was set back, are so from
 * now on; *changed: how many. */
MUST_CHECK bool blob_store_hasten(struct tx *tx, int64_t now_us, int64_t *changed, struct err *err);
/* When the longest unused one became so; *found false: all are referred to or kept. */
MUST_CHECK bool blob_store_first_unused(struct tx *tx, int64_t *unused_at_us, bool *found,
                                        struct err *err);

#endif
