/* note_store.c: see note_store.h. A row holds the notes of one commit: adding them touches the end
 * of the table only, however many there are. */
#include "store/note_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_add[] =
    "INSERT INTO note (job_id, kind, notes) VALUES (:job_id, :kind, :notes)";
static const char sql_load[] = "SELECT kind, notes FROM note WHERE job_id = :job_id ORDER BY id";
static const char sql_clear[] = "DELETE FROM note WHERE job_id = :job_id AND kind = :kind";

bool note_store_add(struct tx *tx, int64_t job_id, enum note_kind kind, struct str notes,
                    struct err *err)
{
    int64_t id = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    stmt_bind_i64(q, ":kind", kind);
    stmt_bind_blob(q, ":notes", notes.ptr, notes.len);
    return stmt_insert(q, &id, err) == ROW_HERE
               ? true
               : err_add(err, "store notes of job %" PRId64, job_id);
}

bool note_store_load(struct tx *tx, int64_t job_id,
                     void (*each)(void *context, enum note_kind kind, struct str notes),
                     void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    enum row row = ROW_FAILED;
    while ((row = stmt_step(q, err)) == ROW_HERE) {
        int64_t kind = stmt_i64(q, 0);
        struct str notes = stmt_blob(q, 1);
        if (kind < 0 || kind >= NOTE_KIND_COUNT || notes.len % NOTE_BYTES)
            return err_set(err, ERR_STORE, "notes of job %" PRId64 " are damaged in the store",
                           job_id);
        each(context, (enum note_kind)kind, notes);
    }
    return row == ROW_NONE ? true : err_add(err, "load notes of job %" PRId64, job_id);
}

bool note_store_clear(struct tx *tx, int64_t job_id, enum note_kind kind, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_clear, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job_id", job_id);
    stmt_bind_i64(q, ":kind", kind);
    return stmt_run(q, NULL, err) ? true : err_add(err, "clear notes of job %" PRId64, job_id);
}
