/* task_edge_store.c: see task_edge_store.h. */
#include "store/task_edge_store.h"

#include "store/stmt.h"

#include <inttypes.h>

static const char sql_add[] = "INSERT INTO task_edge (child, parent, after_when)"
                              " VALUES (:child, :parent, :after_when)"
                              " ON CONFLICT (child, parent) DO NOTHING";
static const char sql_drop[] = "DELETE FROM task_edge WHERE parent = :parent"
                               " AND after_when = :after_when";
static const char sql_forget[] = "DELETE FROM task_edge WHERE child = :child";
static const char sql_move[] = "UPDATE OR REPLACE task_edge SET parent = :to"
                               " WHERE child = :child AND parent = :from";
/* What a cancelled task has waited for is kept for its retry. */
static const char sql_load[] = "SELECT child, parent, after_when FROM task_edge WHERE 0 ="
                               " (SELECT ended_at_us FROM task WHERE task.id = task_edge.child)";
static const char sql_parents[] = "SELECT child, parent, after_when FROM task_edge"
                                  " WHERE child = :child ORDER BY parent";

bool task_edge_store_add(struct tx *tx, const struct task_edge_row *rows, size_t count,
                         struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":child", rows[i].child);
        stmt_bind_i64(q, ":parent", rows[i].parent);
        stmt_bind_i64(q, ":after_when", rows[i].when);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "store what task %" PRId64 " waits for", rows[i].child);
    }
    return true;
}

bool task_edge_store_drop(struct tx *tx, int64_t parent, enum after_when when, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_drop, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":parent", parent);
    stmt_bind_i64(q, ":after_when", when);
    return stmt_run(q, NULL, err) ||
           err_add(err, "store that nobody waits for task %" PRId64, parent);
}

bool task_edge_store_forget(struct tx *tx, int64_t child, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_forget, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":child", child);
    return stmt_run(q, NULL, err) ||
           err_add(err, "store that task %" PRId64 " waits for nothing", child);
}

bool task_edge_store_move(struct tx *tx, int64_t from, int64_t to, int64_t child, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_move, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":from", from);
    stmt_bind_i64(q, ":to", to);
    stmt_bind_i64(q, ":child", child);
    return stmt_run(q, NULL, err) ||
           err_add(err, "store that task %" PRId64 " waits for another", child);
}

static bool each_edge(struct stmt *q, void (*each)(void *context, const struct task_edge_row *row),
                      void *context, struct err *err)
{
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct task_edge_row row = {.child = stmt_i64(q, 0),
                                    .parent = stmt_i64(q, 1),
                                    .when = stmt_i64(q, 2) ? AFTER_ENDED : AFTER_COMPLETED};
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "load what tasks wait for");
}

bool task_edge_store_load(struct tx *tx,
                          void (*each)(void *context, const struct task_edge_row *row),
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    return q && each_edge(q, each, context, err);
}

bool task_edge_store_parents(struct tx *tx, int64_t child,
                             void (*each)(void *context, const struct task_edge_row *row),
                             void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_parents, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":child", child);
    return each_edge(q, each, context, err);
}
