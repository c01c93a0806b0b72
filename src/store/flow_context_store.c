/* flow_context_store.c: see flow_context_store.h. */
#include "store/flow_context_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_count_version[] =
    "UPDATE flow SET context_version = context_version + 1 WHERE id = :flow";
static const char sql_version[] = "SELECT context_version FROM flow WHERE id = :flow";
static const char sql_put[] =
    "INSERT INTO flow_context (flow_id, key, version, bytes, value, hash)"
    " VALUES (:flow, :key, :version, :bytes, :value, :hash)"
    " ON CONFLICT (flow_id, key) DO UPDATE SET version = excluded.version,"
    " bytes = excluded.bytes, value = excluded.value, hash = excluded.hash";
static const char sql_delete[] = "DELETE FROM flow_context WHERE flow_id = :flow AND key = :key";
static const char sql_clear[] = "DELETE FROM flow_context WHERE flow_id = :flow";
static const char sql_blobs[] = "SELECT hash FROM flow_context"
                                " WHERE flow_id = :flow AND hash IS NOT NULL";
static const char sql_find[] =
    "SELECT version, hash FROM flow_context WHERE flow_id = :flow AND key = :key";
static const char sql_get[] = "SELECT key, version, bytes, value, hash FROM flow_context"
                              " WHERE flow_id = :flow AND key = :key";
static const char sql_list[] = "SELECT key, version, bytes, NULL, NULL FROM flow_context"
                               " WHERE flow_id = :flow ORDER BY key";

/* What is there of a key. */
struct known {
    int64_t version; /* 0: nothing */
    bool is_blob;
    uint8_t hash[BLOB_STORE_HASH_BYTES];
};

static bool find(struct tx *tx, int64_t flow, struct str key, struct known *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_find, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_str(q, ":key", key);
    *out = (struct known){0};
    enum row got = stmt_step(q, err);
    if (got != ROW_HERE)
        return got == ROW_NONE ? true : err_add(err, "look for a value");
    struct str hash = stmt_blob(q, 1);
    out->version = stmt_i64(q, 0);
    out->is_blob = hash.len == sizeof out->hash;
    if (out->is_blob)
        memcpy(out->hash, hash.ptr, sizeof out->hash);
    return true;
}

static bool next_version(struct tx *tx, int64_t flow, int64_t *out, struct err *err)
{
    int64_t changed = 0;
    OWNED(stmt) struct stmt *count = tx_query(tx, sql_count_version, err);
    if (!count)
        return false;
    stmt_bind_i64(count, ":flow", flow);
    if (!stmt_run(count, &changed, err))
        return err_add(err, "count a version");
    if (!changed)
        return err_set(err, ERR_NOT_FOUND, "there is no flow %" PRId64, flow);
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_version, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    return stmt_only_i64(q, out, err) == ROW_HERE ? true : err_add(err, "read a version");
}

static bool fits(const struct known *known, int64_t only_if)
{
    return only_if < 0 || known->version == only_if;
}

static bool let_go(struct tx *tx, const struct known *known, int64_t now_us, struct err *err)
{
    return !known->is_blob || blob_store_release(tx, known->hash, now_us, err);
}

static bool write_row(struct tx *tx, int64_t flow, const struct flow_context_row *row,
                      int64_t version, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_put, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_str(q, ":key", row->key);
    stmt_bind_i64(q, ":version", version);
    stmt_bind_i64(q, ":bytes", row->bytes);
    stmt_bind_blob(q, ":value", row->value.ptr, row->value.len);
    stmt_bind_blob(q, ":hash", row->value.ptr ? NULL : row->hash,
                   row->value.ptr ? 0 : sizeof row->hash);
    return stmt_run(q, NULL, err) ? true : err_add(err, "store a value");
}

bool flow_context_store_put(struct tx *tx, int64_t flow, const struct flow_context_row *row,
                            int64_t only_if, int64_t now_us, bool *done, int64_t *version,
                            struct err *err)
{
    struct known known;
    *done = false;
    if (!find(tx, flow, row->key, &known, err))
        return false;
    if (!fits(&known, only_if))
        return true;
    if (!next_version(tx, flow, version, err) ||
        (!row->value.ptr && !blob_store_refer(tx, row->hash, row->bytes, now_us, err)) ||
        !let_go(tx, &known, now_us, err) || !write_row(tx, flow, row, *version, err))
        return false;
    *done = true;
    return true;
}

bool flow_context_store_delete(struct tx *tx, int64_t flow, struct str key, int64_t only_if,
                               int64_t now_us, bool *found, bool *done, struct err *err)
{
    struct known known;
    *found = *done = false;
    if (!find(tx, flow, key, &known, err))
        return false;
    *found = known.version > 0;
    if (!*found || !fits(&known, only_if))
        return true;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q || !let_go(tx, &known, now_us, err))
        return false;
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_str(q, ":key", key);
    *done = stmt_run(q, NULL, err);
    return *done ? true : err_add(err, "delete a value");
}

/* The blobs of all keys, before any of them is let go of. */
static bool gather_blobs(struct tx *tx, int64_t flow, struct buf *hashes, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_blobs, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct str hash = stmt_blob(q, 0);
        if (hash.len != BLOB_STORE_HASH_BYTES)
            return err_set(err, ERR_STORE, "a flow's value is damaged in the store");
        buf_add_str(hashes, hash);
    }
    if (hashes->full)
        return err_set(err, ERR_BUSY, "memory is out");
    return got == ROW_NONE;
}

bool flow_context_store_clear(struct tx *tx, int64_t flow, int64_t now_us, struct err *err)
{
    OWNED_BUF struct buf hashes;
    buf_init(&hashes, BUF_NO_CAP);
    if (!gather_blobs(tx, flow, &hashes, err))
        return err_add(err, "look for the values of a flow");
    for (size_t at = 0; at < hashes.len; at += BLOB_STORE_HASH_BYTES)
        if (!blob_store_release(tx, (const uint8_t *)hashes.data + at, now_us, err))
            return false;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_clear, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    return stmt_run(q, NULL, err) ? true : err_add(err, "forget the values of a flow");
}

static bool tell(struct stmt *q, bool *found, flow_context_each *each, void *context,
                 struct err *err)
{
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct str hash = stmt_blob(q, 4);
        struct flow_context_row row = {.key = stmt_text(q, 0),
                                       .version = stmt_i64(q, 1),
                                       .bytes = stmt_i64(q, 2),
                                       .value = stmt_blob(q, 3)};
        if (hash.len == sizeof row.hash)
            memcpy(row.hash, hash.ptr, sizeof row.hash);
        else if (!row.value.ptr && row.bytes == 0)
            row.value = STR("");
        *found = true;
        if (!each(context, &row, err))
            return false;
    }
    return got == ROW_NONE ? true : err_add(err, "read values");
}

bool flow_context_store_get(struct tx *tx, int64_t flow, struct str key, bool *found,
                            flow_context_each *each, void *context, struct err *err)
{
    *found = false;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_get, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_str(q, ":key", key);
    return tell(q, found, each, context, err);
}

bool flow_context_store_list(struct tx *tx, int64_t flow, flow_context_each *each, void *context,
                             struct err *err)
{
    bool found = false;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_list, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    return tell(q, &found, each, context, err);
}
