/* blob_store.c: see blob_store.h. */
#include "store/blob_store.h"

#include "store/stmt.h"

static const char sql_note[] =
    "INSERT INTO blob (hash, bytes, refs, kept, created_at_us, unused_at_us)"
    " VALUES (:hash, :bytes, 0, :kept, :now_us, :now_us)"
    " ON CONFLICT (hash) DO UPDATE SET kept = max(blob.kept, excluded.kept),"
    " unused_at_us = CASE blob.refs WHEN 0 THEN excluded.unused_at_us ELSE 0 END";
static const char sql_refer[] =
    "INSERT INTO blob (hash, bytes, refs, kept, created_at_us, unused_at_us)"
    " VALUES (:hash, :bytes, 1, :kept, :now_us, 0)"
    " ON CONFLICT (hash) DO UPDATE SET refs = blob.refs + 1, unused_at_us = 0";
static const char sql_release[] =
    "UPDATE blob SET refs = refs - 1, unused_at_us = CASE refs WHEN 1 THEN :now_us ELSE 0 END"
    " WHERE hash = :hash AND refs > 0";
static const char sql_find[] =
    "SELECT bytes, refs, created_at_us, unused_at_us FROM blob WHERE hash = :hash";
static const char sql_each[] = "SELECT hash, bytes FROM blob ORDER BY hash";
static const char sql_forget[] = "DELETE FROM blob WHERE hash = :hash AND refs = 0";
static const char sql_unused[] =
    "SELECT hash FROM blob WHERE refs = 0 AND kept = 0 AND unused_at_us < :before_us"
    " ORDER BY unused_at_us LIMIT :limit";
static const char sql_hasten[] = "UPDATE blob SET unused_at_us = :now_us"
                                 " WHERE refs = 0 AND kept = 0 AND unused_at_us > :now_us";
static const char sql_first_unused[] = "SELECT unused_at_us FROM blob WHERE refs = 0 AND kept = 0"
                                       " ORDER BY unused_at_us LIMIT 1";

static bool put_row(struct tx *tx, const char *sql, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                    int64_t bytes, bool kept, int64_t now_us, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_blob(q, ":hash", hash, BLOB_STORE_HASH_BYTES);
    stmt_bind_i64(q, ":kept", kept);
    stmt_bind_i64(q, ":bytes", bytes);
    stmt_bind_i64(q, ":now_us", now_us);
    return stmt_run(q, NULL, err) ? true : err_add(err, "store a blob's row");
}

bool blob_store_note(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES], int64_t bytes,
                     bool kept, int64_t now_us, struct err *err)
{
    return put_row(tx, sql_note, hash, bytes, kept, now_us, err);
}

bool blob_store_refer(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES], int64_t bytes,
                      int64_t now_us, struct err *err)
{
    return put_row(tx, sql_refer, hash, bytes, false, now_us, err);
}

bool blob_store_release(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES], int64_t now_us,
                        struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_release, err);
    if (!q)
        return false;
    int64_t changed = 0;
    stmt_bind_blob(q, ":hash", hash, BLOB_STORE_HASH_BYTES);
    stmt_bind_i64(q, ":now_us", now_us);
    if (!stmt_run(q, &changed, err))
        return err_add(err, "let go of a blob");
    return changed ? true : err_set(err, ERR_NOT_FOUND, "the store has no such blob in use");
}

bool blob_store_find(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES], struct blob_row *row,
                     bool *found, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_find, err);
    if (!q)
        return false;
    stmt_bind_blob(q, ":hash", hash, BLOB_STORE_HASH_BYTES);
    enum row got = stmt_step(q, err);
    if (got == ROW_FAILED)
        return err_add(err, "find a blob");
    *found = got == ROW_HERE;
    if (*found)
        *row = (struct blob_row){stmt_i64(q, 0), stmt_i64(q, 1), stmt_i64(q, 2), stmt_i64(q, 3)};
    return true;
}

/* Whether it was there to be forgotten, into `*forgotten`. */
static bool forget(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES], bool *forgotten,
                   struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_forget, err);
    if (!q)
        return false;
    int64_t changed = 0;
    stmt_bind_blob(q, ":hash", hash, BLOB_STORE_HASH_BYTES);
    if (!stmt_run(q, &changed, err))
        return err_add(err, "forget a blob");
    *forgotten = changed > 0;
    return true;
}

bool blob_store_each(struct tx *tx,
                     void (*each)(void *context, const uint8_t hash[BLOB_STORE_HASH_BYTES],
                                  int64_t bytes),
                     void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_each, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct str hash = stmt_blob(q, 0);
        if (hash.len != BLOB_STORE_HASH_BYTES)
            return err_set(err, ERR_STORE, "a blob's row is damaged");
        each(context, (const uint8_t *)hash.ptr, stmt_i64(q, 1));
    }
    return got == ROW_NONE ? true : err_add(err, "list blobs");
}

bool blob_store_forget(struct tx *tx, const uint8_t hash[BLOB_STORE_HASH_BYTES], struct err *err)
{
    struct blob_row row = {0};
    bool forgotten = false, found = false;
    if (!forget(tx, hash, &forgotten, err))
        return false;
    if (forgotten)
        return true;
    if (!blob_store_find(tx, hash, &row, &found, err))
        return false;
    return found
               ? err_set(err, ERR_CONFLICT, "the blob is in use: %lld need it", (long long)row.refs)
               : err_set(err, ERR_NOT_FOUND, "there is no such blob");
}

bool blob_store_collect(struct tx *tx, int64_t before_us, int64_t limit,
                        void (*each)(void *context, const uint8_t hash[BLOB_STORE_HASH_BYTES]),
                        void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_unused, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":before_us", before_us);
    stmt_bind_i64(q, ":limit", limit);
    OWNED_BUF struct buf hashes;
    buf_init(&hashes, BUF_NO_CAP);
    enum row row = ROW_FAILED;
    while ((row = stmt_step(q, err)) == ROW_HERE) {
        struct str hash = stmt_blob(q, 0);
        if (hash.len != BLOB_STORE_HASH_BYTES)
            return err_set(err, ERR_STORE, "a blob's row is damaged in the store");
        buf_add_str(&hashes, hash);
    }
    if (row == ROW_FAILED)
        return err_add(err, "collect blobs");
    if (hashes.full)
        return err_set(err, ERR_BUSY, "memory is out");
    for (size_t at = 0; at < hashes.len; at += BLOB_STORE_HASH_BYTES) {
        const uint8_t *hash = (const uint8_t *)hashes.data + at;
        bool forgotten = false;
        if (!forget(tx, hash, &forgotten, err))
            return false;
        each(context, hash);
    }
    return true;
}

bool blob_store_hasten(struct tx *tx, int64_t now_us, int64_t *changed, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_hasten, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":now_us", now_us);
    return stmt_run(q, changed, err) || err_add(err, "set since when blobs are unused");
}

bool blob_store_first_unused(struct tx *tx, int64_t *unused_at_us, bool *found, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_first_unused, err);
    if (!q)
        return false;
    enum row row = stmt_only_i64(q, unused_at_us, err);
    *found = row == ROW_HERE;
    return row != ROW_FAILED ? true : err_add(err, "find unused blobs");
}
