/* engine_keys.c: API keys are kept by the engine, since it alone writes the store; the HTTP threads
 * keep a copy of the list that every answer carries. */
#include "engine/engine_state.h"
#include "store/key_store.h"

#include <assert.h>
#include <stdlib.h>

static bool add_view(void *context, struct key_row *row, struct err *err)
{
    struct op *op = context;
    (void)err;
    op->keys.keys = xrealloc(op->keys.keys, (op->keys.count + 1) * sizeof *op->keys.keys);
    struct key_view *view = &op->keys.keys[op->keys.count++];
    *view = (struct key_view){.name = TAKE(row->name),
                              .owner = TAKE(row->owner),
                              .scopes = TAKE(row->scopes),
                              .created_at_us = row->created_at_us,
                              .revoked_at_us = row->revoked_at_us};
    memcpy(view->hash, row->hash, sizeof view->hash);
    key_row_release(row);
    return true;
}

static bool change_keys(struct engine *e, struct tx *tx, struct op *op)
{
    if (op->keys.verb == KEYS_REVOKE)
        return key_store_revoke(tx, op->keys.name, e->now.wall_us, &op->err);
    if (op->keys.verb == KEYS_LIST)
        return true;
    struct key_row row = {.name = xstrdup(op->keys.name),
                          .owner = xstrdup_or_null(op->keys.owner),
                          .scopes = xstrdup(op->keys.scopes),
                          .created_at_us = e->now.wall_us};
    memcpy(row.hash, op->keys.hash, sizeof row.hash);
    bool ok = key_store_insert(tx, &row, &op->err);
    key_row_release(&row);
    return ok;
}

/* In a transaction of its own: keys are no part of what jobs do. */
static bool change_and_list(struct engine *e, struct op *op)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, &op->err) && change_keys(e, tx, op) &&
           key_store_load(tx, add_view, op, &op->err) &&
           (op->keys.verb == KEYS_LIST || tx_commit(tx, &op->err));
}

enum op_fate op_keys(struct engine *e, struct op *op)
{
    bool ok = change_and_list(e, op);
    assert(ok == (op->err.code == ERR_NONE));
    return FATE_NOW;
}
