/* tail_store.c: see tail_store.h. */
#include "store/tail_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_add[] =
    "INSERT INTO sink_tail (job_id, at_bytes, bytes) VALUES (:job_id, :at_bytes, :bytes)";
static const char sql_drop[] =
    "DELETE FROM sink_tail WHERE job_id = :job_id AND at_bytes < :below_bytes";
static const char sql_load[] =
    "SELECT at_bytes, bytes FROM sink_tail WHERE job_id = :job_id AND at_bytes >= 0"
    " ORDER BY at_bytes";
/* A seal stands at -1 - the place behind it. */
static const char sql_unseal[] = "DELETE FROM sink_tail WHERE job_id = :job_id AND at_bytes < 0";
static const char sql_load_seal[] =
    "SELECT at_bytes, bytes FROM sink_tail WHERE job_id = :job_id AND at_bytes < 0";

bool tail_store_add(struct tx *tx, int64_t job_id, int64_t at_bytes, struct str bytes,
                    struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    stmt_bind_i64(q, ":at_bytes", at_bytes);
    stmt_bind_blob(q, ":bytes", bytes.ptr, bytes.len);
    return stmt_run(q, NULL, err)
               ? true
               : err_add(err, "store the tail of the output of job %" PRId64, job_id);
}

bool tail_store_drop(struct tx *tx, int64_t job_id, int64_t below_bytes, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_drop, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    stmt_bind_i64(q, ":below_bytes", below_bytes);
    return stmt_run(q, NULL, err)
               ? true
               : err_add(err, "drop the tail of the output of job %" PRId64, job_id);
}

bool tail_store_seal(struct tx *tx, int64_t job_id, int64_t end_bytes, struct str bytes,
                     struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_unseal, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    if (!stmt_run(q, NULL, err))
        return err_add(err, "drop the seal of the output of job %" PRId64, job_id);
    return bytes.len == 0 || tail_store_add(tx, job_id, -1 - end_bytes, bytes, err);
}

bool tail_store_load_seal(struct tx *tx, int64_t job_id, int64_t *end_bytes, struct buf *out,
                          struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load_seal, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    enum row row = stmt_step(q, err);
    *end_bytes = 0;
    if (row == ROW_HERE) {
        *end_bytes = -1 - stmt_i64(q, 0);
        buf_add_str(out, stmt_blob(q, 1));
    }
    return row != ROW_FAILED || err_add(err, "load the seal of the output of job %" PRId64, job_id);
}

bool tail_store_load(struct tx *tx, int64_t job_id, int64_t at_bytes, int64_t end_bytes,
                     struct buf *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    enum row row = ROW_FAILED;
    int64_t next = at_bytes;
    while ((row = stmt_step(q, err)) == ROW_HERE && stmt_i64(q, 0) == next) {
        struct str bytes = stmt_blob(q, 1);
        buf_add_str(out, bytes);
        next += (int64_t)bytes.len;
    }
    if (row == ROW_FAILED)
        return err_add(err, "load the tail of the output of job %" PRId64, job_id);
    if (row == ROW_HERE || next != end_bytes)
        return err_set(err, ERR_STORE,
                       "the tail of the output of job %" PRId64 " is damaged in the store: it does "
                       "not lie from %" PRId64 " to %" PRId64,
                       job_id, at_bytes, end_bytes);
    return true;
}
