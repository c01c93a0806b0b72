/* key_store.c: see key_store.h. */
#include "store/key_store.h"

#include "store/stmt.h"

#include <inttypes.h>
#include <stdlib.h>

static const char sql_insert[] =
    "INSERT INTO api_key (name, owner, scopes, hash, created_at_us, revoked_at_us)"
    " VALUES (:name, :owner, :scopes, :hash, :created_at_us, :revoked_at_us)"
    " ON CONFLICT (name) WHERE revoked_at_us = 0 DO NOTHING";
static const char sql_revoke[] =
    "UPDATE api_key SET revoked_at_us = :at_us WHERE name = :name AND revoked_at_us = 0";
static const char sql_load[] =
    "SELECT id, name, scopes, hash, created_at_us, revoked_at_us, owner FROM api_key ORDER BY id";

void key_row_release(struct key_row *row)
{
    free(row->name);
    free(row->owner);
    free(row->scopes);
    *row = (struct key_row){0};
}

bool key_store_insert(struct tx *tx, struct key_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_insert, err);
    if (!q)
        return false;
    stmt_bind_text(q, ":name", row->name);
    stmt_bind_text(q, ":owner", row->owner ? row->owner : "");
    stmt_bind_text(q, ":scopes", row->scopes);
    stmt_bind_blob(q, ":hash", row->hash, sizeof row->hash);
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    stmt_bind_i64(q, ":revoked_at_us", row->revoked_at_us);
    enum row got = stmt_insert(q, &row->id, err);
    if (got == ROW_NONE)
        return err_set(err, ERR_CONFLICT, "a key with the name %s is in force", row->name);
    return got == ROW_HERE ? true : err_add(err, "store key %s", row->name);
}

bool key_store_revoke(struct tx *tx, const char *name, int64_t at_us, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_revoke, err);
    if (!q)
        return false;
    int64_t changed = 0;
    stmt_bind_text(q, ":name", name);
    stmt_bind_i64(q, ":at_us", at_us);
    if (!stmt_run(q, &changed, err))
        return err_add(err, "revoke key %s", name);
    return changed ? true
                   : err_set(err, ERR_NOT_FOUND, "no key with the name %s is in force", name);
}

bool key_store_load(struct tx *tx,
                    bool (*each)(void *context, struct key_row *row, struct err *err),
                    void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct str hash = stmt_blob(q, 3);
        if (hash.len != KEY_HASH_BYTES)
            return err_set(err, ERR_STORE, "key %" PRId64 " is damaged in the store",
                           stmt_i64(q, 0));
        struct key_row row = {.id = stmt_i64(q, 0),
                              .name = stmt_take_text(q, 1),
                              .owner = stmt_take_text(q, 6),
                              .scopes = stmt_take_text(q, 2),
                              .created_at_us = stmt_i64(q, 4),
                              .revoked_at_us = stmt_i64(q, 5)};
        memcpy(row.hash, hash.ptr, sizeof row.hash);
        if (!each(context, &row, err))
            return false;
    }
    return got == ROW_NONE ? true : err_add(err, "load keys");
}
