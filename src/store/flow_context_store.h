/* flow_context_store.h: the values that the Workers of a flow share. Rules as in flow_store.h. A
 * value is bytes, in its row or in a blob, which the row refers to (blob_store.h). Versions grow
 * with each change in a flow and are never given twice. */
#ifndef PENSTOCK_STORE_FLOW_CONTEXT_STORE_H
#define PENSTOCK_STORE_FLOW_CONTEXT_STORE_H

#include "base/buf.h"
#include "store/blob_store.h"
#include "store/store.h"

/* Values up to here are kept in their rows. */
#define FLOW_CONTEXT_ROW_BYTES (64 << 10)

struct flow_context_row {
    struct str key;
    int64_t version, bytes;
    struct str value; /* NULL: it is in the blob */
    uint8_t hash[BLOB_STORE_HASH_BYTES];
};

/* Puts a value, which gets the next version (*version). `only_if` < 0: whatever there is; 0: only
 * when there is none; else only when that is its version. *done is false, and nothing changes, when
 * it is not so. A blob's file is there and pinned, or it has a row. */
MUST_CHECK bool flow_context_store_put(struct tx *tx, int64_t flow,
                                       const struct flow_context_row *row, int64_t only_if,
                                       int64_t now_us, bool *done, int64_t *version,
                                       struct err *err);
/* Forgets a key; `only_if` and *done as above; *found false: there is none. */
MUST_CHECK bool flow_context_store_delete(struct tx *tx, int64_t flow, struct str key,
                                          int64_t only_if, int64_t now_us, bool *found, bool *done,
                                          struct err *err);
/* Forgets all keys of a flow. */
MUST_CHECK bool flow_context_store_clear(struct tx *tx, int64_t flow, int64_t now_us,
                                         struct err *err);
/* Is told a row, whose texts are borrowed for the call. */
typedef bool flow_context_each(void *context, const struct flow_context_row *row, struct err *err);
/* One value. *found false, and nothing told, when there is none. */
MUST_CHECK bool flow_context_store_get(struct tx *tx, int64_t flow, struct str key, bool *found,
                                       flow_context_each *each, void *context, struct err *err);
/* All keys in their order, without values. */
MUST_CHECK bool flow_context_store_list(struct tx *tx, int64_t flow, flow_context_each *each,
                                        void *context, struct err *err);

#endif
