/* flow_store.c: see flow_store.h. */
#include "store/flow_store.h"

#include "store/flow_context_store.h"
#include "store/stmt.h"

#include <inttypes.h>
#include <stdio.h>

static const char sql_put[] =
    "INSERT INTO flow (id, name, mode, state, stops, run, max_running, gap_us, pools, variables,"
    " nodes, kept, first_task, tasks, lock_task, lock_fence, pending, running, completed, failed,"
    " defaulted, norun, aborted, created_at_us, started_at_us, ended_at_us, context_version)"
    " VALUES (:id, :name, :mode, :state, :stops, :run, :max_running, :gap_us, :pools, :variables,"
    " :nodes, :kept, :first_task, :tasks, :lock_task, :lock_fence, :pending, :running, :completed,"
    " :failed, :defaulted, :norun, :aborted, :created_at_us, :started_at_us, :ended_at_us, 0)"
    " ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, state = excluded.state,"
    " stops = excluded.stops, run = excluded.run, max_running = excluded.max_running,"
    " gap_us = excluded.gap_us, pools = excluded.pools, variables = excluded.variables,"
    " nodes = excluded.nodes, kept = excluded.kept, first_task = excluded.first_task,"
    " tasks = excluded.tasks, lock_task = excluded.lock_task, lock_fence = excluded.lock_fence,"
    " pending = excluded.pending, running = excluded.running, completed = excluded.completed,"
    " failed = excluded.failed, defaulted = excluded.defaulted, norun = excluded.norun,"
    " aborted = excluded.aborted, started_at_us = excluded.started_at_us,"
    " ended_at_us = excluded.ended_at_us";
static const char sql_load[] =
    "SELECT id, name, mode, state, stops, run, max_running, gap_us, pools, variables, nodes, kept,"
    " first_task, tasks, lock_task, lock_fence, pending, running, completed, failed, defaulted,"
    " norun, aborted, created_at_us, started_at_us, ended_at_us FROM flow ORDER BY id";
static const char sql_delete[] = "DELETE FROM flow WHERE id = :id";
static const char sql_exists[] = "SELECT 1 FROM flow WHERE id = :id";

static const char sql_clear[] = "DELETE FROM flow_node WHERE flow_id = :flow";
static const char sql_insert[] =
    "INSERT INTO flow_node (flow_id, place, id, mark, run, task, attempts, code, started_at_us,"
    " ended_at_us, usual_us, ahead_us, print, name, logfile, parents, error)"
    " VALUES (:flow, :place, :id, :mark, :run, :task, :attempts, :code, :started_at_us,"
    " :ended_at_us, :usual_us, :ahead_us, :print, :name, :logfile, :parents, :error)";
static const char sql_end[] =
    "UPDATE flow_node SET mark = :mark, run = :run, attempts = :attempts, code = :code,"
    " started_at_us = :started_at_us, ended_at_us = :ended_at_us,"
    " usual_us = CASE :usual_us WHEN 0 THEN usual_us ELSE :usual_us END, error = :error"
    " WHERE flow_id = :flow AND place = :place";
#define NODE_COLUMNS                                                                               \
    "SELECT place, id, mark, run, task, attempts, code, started_at_us, ended_at_us, usual_us,"     \
    " ahead_us, print, name, logfile, parents, error FROM flow_node"
static const char sql_walk[] = NODE_COLUMNS " WHERE flow_id = :flow AND place >= :from"
                                            " ORDER BY place LIMIT :limit";
static const char sql_walk_mark[] = NODE_COLUMNS " WHERE flow_id = :flow AND place >= :from"
                                                 " AND mark = :mark ORDER BY place LIMIT :limit";
static const char sql_place[] = "SELECT place FROM flow_node WHERE flow_id = :flow AND id = :id";

static const char *const count_names[FLOW_MARK_COUNT] = {
    ":pending", ":running", ":completed", ":failed", ":defaulted", ":norun", ":aborted"};

/* --- flows --- */

bool flow_store_put(struct tx *tx, const struct flow_store_row *row, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_put, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", row->id);
    stmt_bind_str(q, ":name", row->name);
    stmt_bind_i64(q, ":mode", row->mode);
    stmt_bind_i64(q, ":state", row->state);
    stmt_bind_i64(q, ":stops", row->stops);
    stmt_bind_i64(q, ":run", row->run);
    stmt_bind_i64(q, ":max_running", row->max_running);
    stmt_bind_i64(q, ":gap_us", row->gap_us);
    stmt_bind_str(q, ":pools", row->pools);
    stmt_bind_str(q, ":variables", row->variables);
    stmt_bind_i64(q, ":nodes", row->nodes);
    stmt_bind_i64(q, ":kept", row->kept);
    stmt_bind_i64(q, ":first_task", row->first_task);
    stmt_bind_i64(q, ":tasks", row->tasks);
    stmt_bind_i64(q, ":lock_task", row->lock_task);
    stmt_bind_i64(q, ":lock_fence", row->lock_fence);
    for (int mark = 0; mark < FLOW_MARK_COUNT; mark++)
        stmt_bind_i64(q, count_names[mark], row->counts[mark]);
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    stmt_bind_i64(q, ":started_at_us", row->started_at_us);
    stmt_bind_i64(q, ":ended_at_us", row->ended_at_us);
    return stmt_run(q, NULL, err) ? true : err_add(err, "store flow %" PRId64, row->id);
}

static bool run_of(struct tx *tx, const char *sql, const char *name, int64_t id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_i64(q, name, id);
    return stmt_run(q, NULL, err);
}

bool flow_store_delete(struct tx *tx, int64_t id, int64_t now_us, struct err *err)
{
    return (flow_context_store_clear(tx, id, now_us, err) &&
            run_of(tx, sql_clear, ":flow", id, err) && run_of(tx, sql_delete, ":id", id, err)) ||
           err_add(err, "delete flow %" PRId64, id);
}

static bool is_flow_state(int64_t state)
{
    return state == JOB_RUNNING || state == JOB_COMPLETED || state == JOB_FAILED ||
           state == JOB_CANCELLED;
}

bool flow_store_load(struct tx *tx,
                     bool (*each)(void *context, const struct flow_store_row *row, struct err *err),
                     void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct flow_store_row row = {.id = stmt_i64(q, 0),
                                     .name = stmt_text(q, 1),
                                     .mode = stmt_i64(q, 2) ? FLOW_SHELL : FLOW_PYTHON,
                                     .state = (enum job_state)stmt_i64(q, 3),
                                     .stops = stmt_i64(q, 4),
                                     .run = stmt_i64(q, 5),
                                     .max_running = stmt_i64(q, 6),
                                     .gap_us = stmt_i64(q, 7),
                                     .pools = stmt_text(q, 8),
                                     .variables = stmt_text(q, 9),
                                     .nodes = stmt_i64(q, 10),
                                     .kept = stmt_i64(q, 11),
                                     .first_task = stmt_i64(q, 12),
                                     .tasks = stmt_i64(q, 13),
                                     .lock_task = stmt_i64(q, 14),
                                     .lock_fence = stmt_i64(q, 15),
                                     .created_at_us = stmt_i64(q, 23),
                                     .started_at_us = stmt_i64(q, 24),
                                     .ended_at_us = stmt_i64(q, 25)};
        for (int mark = 0; mark < FLOW_MARK_COUNT; mark++)
            row.counts[mark] = stmt_i64(q, 16 + mark);
        if (!is_flow_state(stmt_i64(q, 3)) || row.nodes < 0 || row.nodes >= UINT32_MAX ||
            row.tasks < 0 || row.tasks > row.nodes)
            return err_set(err, ERR_STORE, "flow %" PRId64 " is damaged in the store", row.id);
        if (!each(context, &row, err))
            return false;
    }
    return got == ROW_NONE ? true : err_add(err, "load flows");
}

bool flow_store_exists(struct tx *tx, int64_t id, bool *found, struct err *err)
{
    int64_t one = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_exists, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row row = stmt_only_i64(q, &one, err);
    *found = row == ROW_HERE;
    return row != ROW_FAILED ? true : err_add(err, "find flow %" PRId64, id);
}

/* --- nodes --- */

static void bind_code(struct stmt *q, const struct flow_node_row *row)
{
    if (row->has_code)
        stmt_bind_i64(q, ":code", row->code);
    else
        stmt_bind_text(q, ":code", NULL);
}

static void bind_end(struct stmt *q, int64_t flow, const struct flow_node_row *row)
{
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_i64(q, ":place", row->place);
    stmt_bind_i64(q, ":mark", row->mark);
    stmt_bind_i64(q, ":run", row->run);
    stmt_bind_i64(q, ":attempts", row->attempts);
    bind_code(q, row);
    stmt_bind_i64(q, ":started_at_us", row->started_at_us);
    stmt_bind_i64(q, ":ended_at_us", row->ended_at_us);
    stmt_bind_i64(q, ":usual_us", row->usual_us);
    stmt_bind_str(q, ":error", row->error);
}

bool flow_node_store_replace(struct tx *tx, int64_t flow, const struct flow_node_row *rows,
                             size_t count, struct err *err)
{
    if (!run_of(tx, sql_clear, ":flow", flow, err))
        return err_add(err, "forget the nodes of flow %" PRId64, flow);
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_insert, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct flow_node_row *row = &rows[i];
        bind_end(q, flow, row);
        stmt_bind_i64(q, ":id", row->id);
        stmt_bind_i64(q, ":task", row->task);
        stmt_bind_i64(q, ":ahead_us", row->ahead_us);
        stmt_bind_i64(q, ":print", (int64_t)row->print);
        stmt_bind_str(q, ":name", row->name);
        stmt_bind_str(q, ":logfile", row->logfile);
        stmt_bind_str(q, ":parents", row->after);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "store node %d of flow %" PRId64, row->id, flow);
    }
    return true;
}

bool flow_node_store_end(struct tx *tx, int64_t flow, const struct flow_node_row *row,
                         struct err *err)
{
    int64_t changed = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_end, err);
    if (!q)
        return false;
    bind_end(q, flow, row);
    if (!stmt_run(q, &changed, err))
        return err_add(err, "store the end of node %d of flow %" PRId64, row->id, flow);
    return changed ? true
                   : err_set(err, ERR_NOT_FOUND, "flow %" PRId64 " has no node at %" PRId64, flow,
                             row->place);
}

static bool read_node(struct stmt *q, struct flow_node_row *row, struct err *err)
{
    int64_t mark = stmt_i64(q, 2), id = stmt_i64(q, 1);
    *row = (struct flow_node_row){.place = stmt_i64(q, 0),
                                  .id = (int32_t)id,
                                  .mark = (enum flow_mark)mark,
                                  .run = stmt_i64(q, 3),
                                  .task = stmt_i64(q, 4),
                                  .attempts = stmt_i64(q, 5),
                                  .code = stmt_i64(q, 6),
                                  .has_code = stmt_text(q, 6).ptr != NULL,
                                  .started_at_us = stmt_i64(q, 7),
                                  .ended_at_us = stmt_i64(q, 8),
                                  .usual_us = stmt_i64(q, 9),
                                  .ahead_us = stmt_i64(q, 10),
                                  .print = (uint64_t)stmt_i64(q, 11),
                                  .name = stmt_text(q, 12),
                                  .logfile = stmt_text(q, 13),
                                  .after = stmt_text(q, 14),
                                  .error = stmt_text(q, 15)};
    if (mark < 0 || mark >= FLOW_MARK_COUNT || mark == FLOW_RUNNING || id <= 0 ||
        id > FLOW_ID_MAX || row->place < 0)
        return err_set(err, ERR_STORE, "a node of a flow is damaged in the store");
    return true;
}

bool flow_node_store_walk(struct tx *tx, int64_t flow, int64_t from, bool by_mark,
                          enum flow_mark mark, int64_t limit, flow_node_each *each, void *context,
                          struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, by_mark ? sql_walk_mark : sql_walk, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_i64(q, ":from", from);
    stmt_bind_i64(q, ":limit", limit);
    if (by_mark)
        stmt_bind_i64(q, ":mark", mark);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct flow_node_row row;
        if (!read_node(q, &row, err) || !each(context, &row, err))
            return false;
    }
    return got == ROW_NONE ? true : err_add(err, "read the nodes of flow %" PRId64, flow);
}

bool flow_node_store_place(struct tx *tx, int64_t flow, int32_t id, int64_t *place, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_place, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":flow", flow);
    stmt_bind_i64(q, ":id", id);
    enum row row = stmt_only_i64(q, place, err);
    if (row == ROW_NONE)
        *place = -1;
    return row != ROW_FAILED ? true : err_add(err, "find node %d", id);
}

/* --- doctor --- */

/* Marks in rows, of flows that have ended; those of one that runs are in memory in part. */
static const char sql_check[] =
    "SELECT flow.id, flow.nodes, count(flow_node.place),"
    " sum(flow_node.mark = 2) - flow.completed, sum(flow_node.mark = 3) - flow.failed,"
    " flow.state FROM flow LEFT JOIN flow_node ON flow_node.flow_id = flow.id GROUP BY flow.id";

bool flow_store_check(struct tx *tx, void (*say)(void *context, const char *fault), void *context,
                      struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_check, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        char text[160] = "";
        if (stmt_i64(q, 1) != stmt_i64(q, 2))
            snprintf(text, sizeof text, "flow %" PRId64 " has %" PRId64 " nodes, not %" PRId64,
                     stmt_i64(q, 0), stmt_i64(q, 2), stmt_i64(q, 1));
        else if (stmt_i64(q, 3) != 0 || stmt_i64(q, 4) != 0)
            snprintf(text, sizeof text, "flow %" PRId64 ": its counts are not those of its nodes",
                     stmt_i64(q, 0));
        if (*text)
            say(context, text);
    }
    return got == ROW_NONE ? true : err_add(err, "check flows");
}
