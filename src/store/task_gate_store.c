/* task_gate_store.c: see task_gate_store.h. */
#include "store/task_gate_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_insert[] =
    "INSERT INTO task_gate (number, of_function, name, paused, fair, concurrency, rpm_millionths,"
    " completed, failed, cancelled)"
    " VALUES (:number, :of_function, :name, :paused, :fair, :concurrency, :rpm, 0, 0, 0)";
static const char sql_save[] = "UPDATE task_gate SET paused = :paused, fair = :fair,"
                               " concurrency = :concurrency, rpm_millionths = :rpm"
                               " WHERE number = :number";
static const char sql_count[] = "UPDATE task_gate SET completed = completed + :completed,"
                                " failed = failed + :failed, cancelled = cancelled + :cancelled"
                                " WHERE number = :number";
static const char sql_delete[] = "DELETE FROM task_gate WHERE number = :number";
static const char sql_load[] =
    "SELECT number, of_function, name, paused, fair, concurrency, rpm_millionths, completed,"
    " failed, cancelled FROM task_gate ORDER BY number";

static const char sql_put_rule[] =
    "INSERT INTO task_rule (name, pattern, concurrency, rpm_millionths)"
    " VALUES (:name, :pattern, :concurrency, :rpm) ON CONFLICT (name) DO UPDATE SET"
    " pattern = excluded.pattern, concurrency = excluded.concurrency,"
    " rpm_millionths = excluded.rpm_millionths";
static const char sql_clear_rules[] = "DELETE FROM task_rule";
static const char sql_load_rules[] = "SELECT name, pattern, concurrency, rpm_millionths"
                                     " FROM task_rule ORDER BY name";

static const char sql_put_session[] =
    "INSERT INTO task_session (number, token, worker, queues, functions, span_us, since_us)"
    " VALUES (:number, :token, :worker, :queues, :functions, :span_us, :since_us)"
    " ON CONFLICT (number) DO UPDATE SET worker = excluded.worker, queues = excluded.queues,"
    " functions = excluded.functions, span_us = excluded.span_us";
static const char sql_delete_session[] = "DELETE FROM task_session WHERE number = :number";
static const char sql_load_sessions[] = "SELECT number, token, worker, queues, functions, span_us,"
                                        " since_us FROM task_session ORDER BY number";
static const char sql_last_session[] = "SELECT coalesce((SELECT seq FROM sqlite_sequence"
                                       " WHERE name = 'task_session'), 0)";

static void bind_settings(struct stmt *q, const struct task_gate_row *row)
{
    stmt_bind_i64(q, ":number", row->number);
    stmt_bind_i64(q, ":paused", row->paused);
    stmt_bind_i64(q, ":fair", row->fair);
    stmt_bind_i64(q, ":concurrency", row->concurrency);
    stmt_bind_i64(q, ":rpm", row->rpm_millionths);
}

/* Runs a change of one row that must be there. */
static bool change_one(struct stmt *q, int64_t number, struct err *err)
{
    int64_t changed = 0;
    if (!stmt_run(q, &changed, err))
        return err_add(err, "store a queue or a function");
    return changed ? true
                   : err_set(err, ERR_NOT_FOUND, "no queue or function has the number %" PRId64,
                             number);
}

bool task_gate_store_insert(struct tx *tx, const struct task_gate_row *row, struct err *err)
{
    int64_t id = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_insert, err);
    if (!q)
        return false;
    bind_settings(q, row);
    stmt_bind_i64(q, ":of_function", row->of_function);
    stmt_bind_str(q, ":name", row->name);
    return stmt_insert(q, &id, err) == ROW_HERE || err_add(err, "store a queue or a function");
}

bool task_gate_store_save(struct tx *tx, const struct task_gate_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_save, err);
    if (!q)
        return false;
    bind_settings(q, row);
    return change_one(q, row->number, err);
}

bool task_gate_store_count(struct tx *tx, int64_t number, int64_t completed, int64_t failed,
                           int64_t cancelled, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_count, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":number", number);
    stmt_bind_i64(q, ":completed", completed);
    stmt_bind_i64(q, ":failed", failed);
    stmt_bind_i64(q, ":cancelled", cancelled);
    return change_one(q, number, err);
}

bool task_gate_store_delete(struct tx *tx, int64_t number, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":number", number);
    return stmt_run(q, NULL, err) || err_add(err, "forget a queue or a function");
}

bool task_gate_store_load(struct tx *tx,
                          void (*each)(void *context, const struct task_gate_row *row),
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct task_gate_row row = {.number = stmt_i64(q, 0),
                                    .of_function = stmt_i64(q, 1) != 0,
                                    .name = stmt_text(q, 2),
                                    .paused = stmt_i64(q, 3) != 0,
                                    .fair = stmt_i64(q, 4) != 0,
                                    .concurrency = stmt_i64(q, 5),
                                    .rpm_millionths = stmt_i64(q, 6),
                                    .completed = stmt_i64(q, 7),
                                    .failed = stmt_i64(q, 8),
                                    .cancelled = stmt_i64(q, 9)};
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "load queues and functions");
}

bool task_rule_store_put(struct tx *tx, const struct task_rule_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_put_rule, err);
    if (!q)
        return false;
    stmt_bind_str(q, ":name", row->name);
    stmt_bind_str(q, ":pattern", row->pattern);
    stmt_bind_i64(q, ":concurrency", row->concurrency);
    stmt_bind_i64(q, ":rpm", row->rpm_millionths);
    return stmt_run(q, NULL, err) || err_add(err, "store a limit");
}

bool task_rule_store_clear(struct tx *tx, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_clear_rules, err);
    return q && (stmt_run(q, NULL, err) || err_add(err, "delete limits"));
}

bool task_rule_store_load(struct tx *tx,
                          void (*each)(void *context, const struct task_rule_row *row),
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load_rules, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct task_rule_row row = {.name = stmt_text(q, 0),
                                    .pattern = stmt_text(q, 1),
                                    .concurrency = stmt_i64(q, 2),
                                    .rpm_millionths = stmt_i64(q, 3)};
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "load limits");
}

bool task_session_store_put(struct tx *tx, const struct task_session_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_put_session, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":number", row->number);
    stmt_bind_blob(q, ":token", row->token, sizeof row->token);
    stmt_bind_str(q, ":worker", row->worker.ptr ? row->worker : STR(""));
    stmt_bind_str(q, ":queues", row->queues);
    stmt_bind_str(q, ":functions", row->functions);
    stmt_bind_i64(q, ":span_us", row->span_us);
    stmt_bind_i64(q, ":since_us", row->since_us);
    return stmt_run(q, NULL, err) || err_add(err, "store a session");
}

bool task_session_store_delete(struct tx *tx, int64_t number, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete_session, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":number", number);
    return stmt_run(q, NULL, err) || err_add(err, "delete a session");
}

bool task_session_store_load(struct tx *tx,
                             void (*each)(void *context, const struct task_session_row *row),
                             void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load_sessions, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct str token = stmt_blob(q, 1);
        struct task_session_row row = {.number = stmt_i64(q, 0),
                                       .worker = stmt_text(q, 2),
                                       .queues = stmt_text(q, 3),
                                       .functions = stmt_text(q, 4),
                                       .span_us = stmt_i64(q, 5),
                                       .since_us = stmt_i64(q, 6)};
        if (token.len != SESSION_TOKEN_BYTES)
            return err_set(err, ERR_STORE, "session %" PRId64 " is damaged in the store",
                           row.number);
        memcpy(row.token, token.ptr, SESSION_TOKEN_BYTES);
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "load sessions");
}

bool task_session_store_last(struct tx *tx, int64_t *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_last_session, err);
    return (q && stmt_only_i64(q, out, err) == ROW_HERE) || err_add(err, "find the last session");
}
