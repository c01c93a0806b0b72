/* event_store.c: see event_store.h. */
#include "store/event_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_add[] = "INSERT INTO event (at_us, job_id, job_name, kind, detail)"
                              " VALUES (:at_us, :job_id, :job_name, :kind, :detail)";
static const char sql_list_all[] = "SELECT id, at_us, job_id, job_name, kind, detail FROM event"
                                   " WHERE id > :after ORDER BY id LIMIT :limit";
static const char sql_list_job[] =
    "SELECT id, at_us, job_id, job_name, kind, detail FROM event"
    " WHERE job_id = :job_id AND id > :after ORDER BY id LIMIT :limit";
static const char sql_last[] = "SELECT coalesce(max(id), 0) FROM event";
/* Ids are given one after the other, so this counts without walking. */
static const char sql_trim[] = "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - :keep";

/* An empty text is text here, whatever its pointer is. */
static void bind_str(struct stmt *q, const char *name, struct str value)
{
    stmt_bind_str(q, name, value.ptr ? value : STR(""));
}

bool event_store_add(struct tx *tx, struct event *events, size_t count, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":at_us", events[i].at_us);
        stmt_bind_i64(q, ":job_id", events[i].job_id);
        bind_str(q, ":job_name", events[i].job_name);
        bind_str(q, ":kind", events[i].kind);
        bind_str(q, ":detail", events[i].detail);
        if (stmt_insert(q, &events[i].id, err) != ROW_HERE)
            return err_add(err, "store an event of job %" PRId64, events[i].job_id);
    }
    return true;
}

bool event_store_list(struct tx *tx, int64_t job_id, int64_t after, int limit,
                      void (*each)(void *context, const struct event *event), void *context,
                      struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, job_id ? sql_list_job : sql_list_all, err);
    if (!q)
        return false;
    if (job_id)
        stmt_bind_i64(q, ":job_id", job_id);
    stmt_bind_i64(q, ":after", after);
    stmt_bind_i64(q, ":limit", limit);
    enum row row = ROW_FAILED;
    while ((row = stmt_step(q, err)) == ROW_HERE) {
        struct event event = {.id = stmt_i64(q, 0),
                              .at_us = stmt_i64(q, 1),
                              .job_id = stmt_i64(q, 2),
                              .job_name = stmt_text(q, 3),
                              .kind = stmt_text(q, 4),
                              .detail = stmt_text(q, 5)};
        each(context, &event);
    }
    return row == ROW_NONE ? true : err_add(err, "list events");
}

bool event_store_last(struct tx *tx, int64_t *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_last, err);
    return (q && stmt_only_i64(q, out, err) == ROW_HERE) || err_add(err, "find the last event");
}

bool event_store_trim(struct tx *tx, int64_t keep, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_trim, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":keep", keep);
    return stmt_run(q, NULL, err) ? true : err_add(err, "trim events");
}
