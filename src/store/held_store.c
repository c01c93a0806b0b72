/* held_store.c: see held_store.h. */
#include "store/held_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_add[] =
    "INSERT INTO held_result (job_id, record, id, line) VALUES (:job_id, :key, :id, :line)";
static const char sql_remove[] = "DELETE FROM held_result WHERE job_id = :job_id AND record = :key";
/* Below the lowest there is, so that no key is given twice. */
static const char sql_park[] =
    "UPDATE held_result SET record = -1 - record + (SELECT CASE WHEN min(record) < 0 THEN"
    " min(record) ELSE 0 END FROM held_result WHERE job_id = :job_id)"
    " WHERE job_id = :job_id AND record >= 0";
static const char sql_load[] =
    "SELECT record, id, line FROM held_result WHERE job_id = :job_id ORDER BY record";
static const char sql_clear[] = "DELETE FROM held_result WHERE job_id = :job_id";

bool held_store_add(struct tx *tx, int64_t job_id, const struct held_row *rows, size_t count,
                    struct err *err)
{
    if (count == 0)
        return true;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":job_id", job_id);
        stmt_bind_i64(q, ":key", rows[i].key);
        stmt_bind_blob(q, ":id", rows[i].id.len ? rows[i].id.ptr : NULL, rows[i].id.len);
        stmt_bind_blob(q, ":line", rows[i].line.ptr, rows[i].line.len);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "store the result of record %" PRId64, rows[i].key);
    }
    return true;
}

bool held_store_remove(struct tx *tx, int64_t job_id, const int64_t *keys, size_t count,
                       struct err *err)
{
    if (count == 0)
        return true;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_remove, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":job_id", job_id);
        stmt_bind_i64(q, ":key", keys[i]);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "remove a held result of job %" PRId64, job_id);
    }
    return true;
}

static bool run_for(struct tx *tx, const char *sql, int64_t job_id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    return stmt_run(q, NULL, err) ? true : err_add(err, "held results of job %" PRId64, job_id);
}

bool held_store_park(struct tx *tx, int64_t job_id, struct err *err)
{
    return run_for(tx, sql_park, job_id, err);
}

bool held_store_clear(struct tx *tx, int64_t job_id, struct err *err)
{
    return run_for(tx, sql_clear, job_id, err);
}

bool held_store_load(struct tx *tx, int64_t job_id,
                     void (*each)(void *context, const struct held_row *row), void *context,
                     struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    enum row row = ROW_FAILED;
    while ((row = stmt_step(q, err)) == ROW_HERE) {
        struct held_row held = {stmt_i64(q, 0), stmt_blob(q, 1), stmt_blob(q, 2)};
        each(context, &held);
    }
    return row == ROW_NONE ? true : err_add(err, "load held results of job %" PRId64, job_id);
}
