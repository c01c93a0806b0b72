/* ledger_store.c: see ledger_store.h. */
#include "store/ledger_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_save[] =
    "INSERT INTO ledger_page (job_id, number, place_record, place_bytes, place_line, bits)"
    " VALUES (:job_id, :number, :place_record, :place_bytes, :place_line, :bits)"
    " ON CONFLICT (job_id, number) DO UPDATE SET place_record = excluded.place_record,"
    " place_bytes = excluded.place_bytes, place_line = excluded.place_line, bits = excluded.bits";
static const char sql_load[] =
    "SELECT number, place_record, place_bytes, place_line, bits FROM ledger_page"
    " WHERE job_id = :job_id ORDER BY number";
static const char sql_clear[] = "DELETE FROM ledger_page WHERE job_id = :job_id";

static const char sql_save_attempts[] =
    "INSERT INTO attempt (job_id, record, attempts) VALUES (:job_id, :record, :attempts)"
    " ON CONFLICT (job_id, record) DO UPDATE SET attempts = excluded.attempts";
static const char sql_remove_attempts[] =
    "DELETE FROM attempt WHERE job_id = :job_id AND record = :record";
static const char sql_load_attempts[] =
    "SELECT record, attempts FROM attempt WHERE job_id = :job_id ORDER BY record";
static const char sql_clear_attempts[] = "DELETE FROM attempt WHERE job_id = :job_id";

bool ledger_store_save(struct tx *tx, int64_t job_id, const struct ledger_page *pages, size_t count,
                       struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_save, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":job_id", job_id);
        stmt_bind_i64(q, ":number", pages[i].number);
        stmt_bind_i64(q, ":place_record", pages[i].place.record);
        stmt_bind_i64(q, ":place_bytes", pages[i].place.bytes);
        stmt_bind_i64(q, ":place_line", pages[i].place.line);
        stmt_bind_blob(q, ":bits", pages[i].bits, sizeof pages[i].bits);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "store page %" PRId64 " of the ledger of job %" PRId64,
                           pages[i].number, job_id);
    }
    return true;
}

bool ledger_store_load(struct tx *tx, int64_t job_id,
                       bool (*each)(void *context, const struct ledger_page *page, struct err *err),
                       void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    enum row row = ROW_FAILED;
    while ((row = stmt_step(q, err)) == ROW_HERE) {
        struct ledger_page page = {.number = stmt_i64(q, 0)};
        page.place = (struct place){stmt_i64(q, 1), stmt_i64(q, 2), stmt_i64(q, 3)};
        struct str bits = stmt_blob(q, 4);
        if (bits.len != sizeof page.bits)
            return err_set(err, ERR_INVALID,
                           "page %" PRId64 " of the ledger of job %" PRId64
                           " is damaged in the store: it has %zu bytes",
                           page.number, job_id, bits.len);
        memcpy(page.bits, bits.ptr, sizeof page.bits);
        if (!each(context, &page, err))
            return false;
    }
    return row == ROW_NONE ? true : err_add(err, "load the ledger of job %" PRId64, job_id);
}

static bool clear(struct tx *tx, const char *sql, int64_t job_id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    return stmt_run(q, NULL, err) ? true : err_add(err, "clear the ledger of job %" PRId64, job_id);
}

bool ledger_store_clear(struct tx *tx, int64_t job_id, struct err *err)
{
    return clear(tx, sql_clear, job_id, err) && clear(tx, sql_clear_attempts, job_id, err);
}

static bool save_attempts(struct stmt *save, struct stmt *remove, int64_t job_id,
                          const struct attempt_row *row, struct err *err)
{
    struct stmt *q = row->attempts ? save : remove;
    stmt_bind_i64(q, ":job_id", job_id);
    stmt_bind_i64(q, ":record", row->record);
    if (row->attempts)
        stmt_bind_i64(q, ":attempts", row->attempts);
    return stmt_run(q, NULL, err) ? true
                                  : err_add(err, "store attempts of record %" PRId64, row->record);
}

bool attempt_store_save(struct tx *tx, int64_t job_id, const struct attempt_row *rows, size_t count,
                        struct err *err)
{
    OWNED(stmt) struct stmt *save = tx_query(tx, sql_save_attempts, err);
    if (!save)
        return false;
    OWNED(stmt) struct stmt *remove = tx_query(tx, sql_remove_attempts, err);
    if (!remove)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!save_attempts(save, remove, job_id, &rows[i], err))
            return false;
    return true;
}

bool attempt_store_load(struct tx *tx, int64_t job_id,
                        bool (*each)(void *context, const struct attempt_row *row, struct err *err),
                        void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load_attempts, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    enum row row = ROW_FAILED;
    while ((row = stmt_step(q, err)) == ROW_HERE) {
        struct attempt_row attempt = {stmt_i64(q, 0), stmt_i64(q, 1)};
        if (!each(context, &attempt, err))
            return false;
    }
    return row == ROW_NONE ? true : err_add(err, "load attempts of job %" PRId64, job_id);
}
