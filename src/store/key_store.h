/* key_store.h: API keys, hashed. Rules as in job_store.h. */
#ifndef PENSTOCK_STORE_KEY_STORE_H
#define PENSTOCK_STORE_KEY_STORE_H

#include "store/store.h"

#include <stdint.h>

#define KEY_HASH_BYTES 32

struct key_row {
    int64_t id;
    char *name;
    char *owner;  /* whose it is; "": the house's */
    char *scopes; /* words with blanks between: "read", "work", "admin" */
    uint8_t hash[KEY_HASH_BYTES];
    int64_t created_at_us, revoked_at_us; /* 0: not revoked */
};

void key_row_release(struct key_row *row);
/* Sets row->id. ERR_CONFLICT when a key of that name is not revoked. */
MUST_CHECK bool key_store_insert(struct tx *tx, struct key_row *row, struct err *err);
/* ERR_NOT_FOUND when there is none of that name that is not revoked. */
MUST_CHECK bool key_store_revoke(struct tx *tx, const char *name, int64_t at_us, struct err *err);
/* All in order of ids; `each` takes over the row (key_row_release). */
MUST_CHECK bool key_store_load(struct tx *tx,
                               bool (*each)(void *context, struct key_row *row, struct err *err),
                               void *context, struct err *err);

#endif
