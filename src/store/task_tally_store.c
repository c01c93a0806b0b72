/* task_tally_store.c: see task_tally_store.h. Of the states only those that a task can have. */
#include "store/task_tally_store.h"

#include "store/stmt.h"

static const char sql_add[] =
    "INSERT INTO task_tally (key, batch, queue_id, function_id, pending, running,"
    " completed, failed, cancelled, first_at_us, last_at_us)"
    " VALUES (:key, :batch, :queue, :function, :pending, :running, :completed, :failed,"
    " :cancelled, :first_at_us, :last_at_us)"
    " ON CONFLICT (key, batch, queue_id, function_id) DO UPDATE SET"
    " pending = pending + excluded.pending,"
    " running = running + excluded.running, completed = completed + excluded.completed,"
    " failed = failed + excluded.failed, cancelled = cancelled + excluded.cancelled,"
    " first_at_us = min(first_at_us, excluded.first_at_us),"
    " last_at_us = max(last_at_us, excluded.last_at_us)";

#define COLUMNS                                                                                    \
    "key, batch, queue_id, function_id, pending, running, completed, failed, cancelled,"           \
    " first_at_us, last_at_us"
#define COUNTS_ANY "pending + running + completed + failed + cancelled <> 0"

static const char sql_list[] =
    "SELECT " COLUMNS " FROM task_tally WHERE " COUNTS_ANY
    " AND (:active = 0 OR pending + running > 0)"
    " AND (:batch = '' OR batch = :batch) ORDER BY key, batch, queue_id, function_id"
    " LIMIT :most";
static const char sql_list_key[] =
    "SELECT " COLUMNS " FROM task_tally WHERE key = :key AND " COUNTS_ANY
    " AND (:active = 0 OR pending + running > 0)"
    " AND (:batch = '' OR batch = :batch) ORDER BY key, batch, queue_id, function_id"
    " LIMIT :most";

static const char sql_forget[] =
    "DELETE FROM task_tally WHERE key = :key AND batch = :batch AND queue_id = :queue"
    " AND function_id = :function AND NOT (" COUNTS_ANY ")";

static void bind_text(struct stmt *q, const char *name, struct str value)
{
    stmt_bind_str(q, name, value.ptr ? value : STR(""));
}

static void bind_place(struct stmt *q, const struct task_tally_row *row)
{
    bind_text(q, ":key", row->key);
    bind_text(q, ":batch", row->batch);
    stmt_bind_i64(q, ":queue", row->queue);
    stmt_bind_i64(q, ":function", row->function);
}

static bool add_row(struct tx *tx, const struct task_tally_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    bind_place(q, row);
    stmt_bind_i64(q, ":pending", row->counts[JOB_PENDING]);
    stmt_bind_i64(q, ":running", row->counts[JOB_RUNNING]);
    stmt_bind_i64(q, ":completed", row->counts[JOB_COMPLETED]);
    stmt_bind_i64(q, ":failed", row->counts[JOB_FAILED]);
    stmt_bind_i64(q, ":cancelled", row->counts[JOB_CANCELLED]);
    stmt_bind_i64(q, ":first_at_us", row->first_at_us);
    stmt_bind_i64(q, ":last_at_us", row->last_at_us);
    return stmt_run(q, NULL, err);
}

/* Forgets the row if it counts nothing. */
static bool forget_row(struct tx *tx, const struct task_tally_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_forget, err);
    if (!q)
        return false;
    bind_place(q, row);
    return stmt_run(q, NULL, err);
}

bool task_tally_store_add(struct tx *tx, const struct task_tally_row *rows, size_t count,
                          struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        int64_t more = 0;
        bool any = false;
        for (int state = 0; state < JOB_STATE_COUNT; state++) {
            more += rows[i].counts[state];
            any = any || rows[i].counts[state];
        }
        /* Only where tasks were taken away nothing may be left. */
        if (any && (!add_row(tx, &rows[i], err) || (more < 0 && !forget_row(tx, &rows[i], err))))
            return err_add(err, "store counts of tasks");
    }
    return true;
}

bool task_tally_store_list(struct tx *tx, struct str key, struct str batch, bool active_only,
                           int64_t most,
                           void (*each)(void *context, const struct task_tally_row *row),
                           void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, key.len ? sql_list_key : sql_list, err);
    if (!q)
        return false;
    if (key.len)
        bind_text(q, ":key", key);
    bind_text(q, ":batch", batch);
    stmt_bind_i64(q, ":active", active_only);
    stmt_bind_i64(q, ":most", most);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct task_tally_row row = {.key = stmt_text(q, 0),
                                     .batch = stmt_text(q, 1),
                                     .queue = stmt_i64(q, 2),
                                     .function = stmt_i64(q, 3),
                                     .first_at_us = stmt_i64(q, 9),
                                     .last_at_us = stmt_i64(q, 10)};
        row.counts[JOB_PENDING] = stmt_i64(q, 4);
        row.counts[JOB_RUNNING] = stmt_i64(q, 5);
        row.counts[JOB_COMPLETED] = stmt_i64(q, 6);
        row.counts[JOB_FAILED] = stmt_i64(q, 7);
        row.counts[JOB_CANCELLED] = stmt_i64(q, 8);
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "list counts of tasks");
}
