/* task_store.c: see task_store.h. */
#include "store/task_store.h"

#include "store/blob_store.h"
#include "store/stmt.h"
#include "store/task_edge_store.h"

#include <assert.h>
#include <inttypes.h>

/* The schema's indexes name states by number. */
_Static_assert(JOB_FAILED == 6, "an index of the schema is over failed tasks");

static const char sql_insert[] =
    "INSERT INTO task (id, state, queue_id, function_id, priority, attempts, max_attempts, fence,"
    " session, abort, run_at_us, created_at_us, started_at_us, ended_at_us, key, batch, lock, "
    "unique_key,"
    " unique_while, options, arguments, arguments_blob)"
    " VALUES (:id, :state, :queue, :function, :priority, :attempts, :max_attempts, :fence,"
    " :session, 0, :run_at_us, :created_at_us, :started_at_us, 0, :key, :batch, :lock, :unique,"
    " :unique_while, :options, :arguments, :arguments_blob)";
static const char sql_start[] = "UPDATE task SET state = :state, attempts = :attempts,"
                                " fence = :fence, session = :session,"
                                " started_at_us = :started_at_us WHERE id = :id";
static const char sql_complete[] =
    "UPDATE task SET state = :state, session = 0, abort = 0, ended_at_us = :ended_at_us,"
    " expires_at_us = :expires_at_us, error = NULL, error_type = NULL,"
    " result = :result, result_blob = :result_blob WHERE id = :id";
static const char sql_save[] =
    "UPDATE task SET state = :state, priority = :priority, attempts = :attempts, fence = :fence,"
    " session = :session, abort = :abort, run_at_us = :run_at_us, started_at_us = :started_at_us,"
    " ended_at_us = :ended_at_us, expires_at_us = :expires_at_us, error = :error,"
    " error_type = :error_type, result = :result, result_blob = :result_blob WHERE id = :id";
static const char sql_replace[] =
    "UPDATE task SET queue_id = :queue, function_id = :function, max_attempts = :max_attempts,"
    " created_at_us = :created_at_us, key = :key, batch = :batch, lock = :lock,"
    " unique_while = :unique_while, options = :options, arguments = :arguments,"
    " arguments_blob = :arguments_blob WHERE id = :id";
static const char sql_delete[] = "DELETE FROM task WHERE id = :id";
static const char sql_held[] = "SELECT arguments_blob, result_blob, state FROM task WHERE id = :id";

static const char sql_last_id[] = "SELECT max(coalesce((SELECT task FROM task_last), 0),"
                                  " coalesce((SELECT seq FROM sqlite_sequence"
                                  " WHERE name = 'job'), 0))";
static const char sql_set_last_id[] = "INSERT INTO task_last (id, task) VALUES (1, :task)"
                                      " ON CONFLICT (id) DO UPDATE SET task = excluded.task";

#define COLUMNS_OF_A_LIST                                                                          \
    "id, state, queue_id, function_id, priority, attempts, max_attempts, fence, session, abort,"   \
    " run_at_us, created_at_us, started_at_us, ended_at_us, expires_at_us, key, batch, lock,"      \
    " unique_key, unique_while, error_type"
#define BLOB_AND_BYTES(blob)                                                                       \
    blob ", CASE WHEN " blob " IS NULL THEN 0"                                                     \
         " ELSE (SELECT bytes FROM blob WHERE hash = " blob ") END"
#define COLUMNS_OF_ONE                                                                             \
    COLUMNS_OF_A_LIST ", options, error, arguments, result, " BLOB_AND_BYTES(                      \
        "arguments_blob") ", " BLOB_AND_BYTES("result_blob")
/* What a walk tells besides: what a task failed with. */
#define COLUMNS_OF_A_WALK COLUMNS_OF_A_LIST ", options, error, NULL, NULL, NULL, 0, NULL, 0"

static const char sql_read[] = "SELECT " COLUMNS_OF_ONE " FROM task WHERE id = :id";
static const char sql_state[] = "SELECT state FROM task WHERE id = :id";
static const char sql_by_unique[] = "SELECT coalesce(max(id), 0) FROM task"
                                    " WHERE unique_key = :unique AND unique_while = 2";
/* Whose time runs needs its options; of all that waits they stay where they are. */
static const char sql_load_open[] =
    "SELECT " COLUMNS_OF_A_LIST ", CASE WHEN state = :running THEN options END"
    " FROM task INDEXED BY task_open WHERE ended_at_us = 0 ORDER BY id";

static const char sql_walk_all[] =
    "SELECT " COLUMNS_OF_A_WALK " FROM task WHERE id > :after ORDER BY id LIMIT :limit";
static const char sql_walk_open[] = "SELECT " COLUMNS_OF_A_WALK " FROM task INDEXED BY task_open"
                                    " WHERE ended_at_us = 0 AND id > :after"
                                    " ORDER BY id LIMIT :limit";
static const char sql_walk_failed[] =
    "SELECT " COLUMNS_OF_A_WALK " FROM task INDEXED BY task_failed"
    " WHERE state = 6 AND id > :after ORDER BY id LIMIT :limit";
static const char sql_walk_ended[] = "SELECT " COLUMNS_OF_A_WALK " FROM task INDEXED BY task_ended"
                                     " WHERE ended_at_us > 0 AND ended_at_us < :before"
                                     " ORDER BY ended_at_us LIMIT :limit";
static const char sql_walk_expired[] =
    "SELECT " COLUMNS_OF_A_WALK " FROM task INDEXED BY task_expires"
    " WHERE expires_at_us IS NOT NULL AND expires_at_us < :before"
    " ORDER BY expires_at_us LIMIT :limit";
static const char sql_first_ended[] = "SELECT coalesce(min(ended_at_us), 0) FROM task"
                                      " WHERE ended_at_us > 0";
static const char sql_first_expiry[] = "SELECT coalesce(min(expires_at_us), 0) FROM task"
                                       " WHERE expires_at_us IS NOT NULL";

/* --- changing --- */

static bool fail_at(const struct task_row *row, struct err *err)
{
    return err_add(err, "store task %" PRId64, row->id);
}

/* --- what lies in blobs --- */

static void bind_text(struct stmt *q, const char *name, const char *blob_name, struct str text,
                      const struct task_blob *blob)
{
    stmt_bind_blob(q, name, blob->hash ? NULL : text.ptr, blob->hash ? 0 : text.len);
    stmt_bind_blob(q, blob_name, blob->hash, blob->hash ? BLOB_STORE_HASH_BYTES : 0);
}

static bool need_blob(struct tx *tx, const struct task_blob *blob, int64_t now_us, struct err *err)
{
    return !blob->hash || blob_store_refer(tx, blob->hash, blob->bytes, now_us, err);
}

static bool release_blob(struct tx *tx, struct str hash, int64_t now_us, struct err *err)
{
    if (hash.len == 0)
        return true;
    if (hash.len != BLOB_STORE_HASH_BYTES)
        return err_set(err, ERR_STORE, "a task's blob is damaged in the store");
    return blob_store_release(tx, (const uint8_t *)hash.ptr, now_us, err);
}

/* The row needs its arguments' blob no more. */
static bool release_arguments(struct tx *tx, int64_t id, int64_t now_us, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_held, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row got = stmt_step(q, err);
    if (got != ROW_HERE)
        return got == ROW_NONE;
    return release_blob(tx, stmt_blob(q, 0), now_us, err);
}

/* The row goes: it needs no blob, and waits for nobody. Who was cancelled while it waited for this
 * one need not wait again, should it be retried, if this one has ended as that wanted. */
static bool let_go(struct tx *tx, int64_t id, int64_t now_us, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_held, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row got = stmt_step(q, err);
    if (got != ROW_HERE)
        return got == ROW_NONE;
    bool completed = stmt_i64(q, 2) == JOB_COMPLETED;
    return release_blob(tx, stmt_blob(q, 0), now_us, err) &&
           release_blob(tx, stmt_blob(q, 1), now_us, err) && task_edge_store_forget(tx, id, err) &&
           task_edge_store_drop(tx, id, AFTER_ENDED, err) &&
           (!completed || task_edge_store_drop(tx, id, AFTER_COMPLETED, err));
}

/* --- rows --- */

static bool insert_one(struct tx *tx, struct stmt *q, const struct task_row *row, struct err *err)
{
    int64_t id = 0;
    stmt_bind_i64(q, ":id", row->id);
    stmt_bind_i64(q, ":state", row->state);
    stmt_bind_i64(q, ":queue", row->queue);
    stmt_bind_i64(q, ":function", row->function);
    stmt_bind_i64(q, ":priority", row->priority);
    stmt_bind_i64(q, ":attempts", row->attempts);
    stmt_bind_i64(q, ":max_attempts", row->max_attempts);
    stmt_bind_i64(q, ":fence", row->fence);
    stmt_bind_i64(q, ":session", row->session);
    stmt_bind_i64(q, ":run_at_us", row->run_at_us);
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    stmt_bind_i64(q, ":started_at_us", row->started_at_us);
    stmt_bind_str(q, ":key", row->key);
    stmt_bind_str(q, ":batch", row->batch);
    stmt_bind_str(q, ":lock", row->lock);
    stmt_bind_str(q, ":unique", row->unique);
    stmt_bind_i64(q, ":unique_while", row->unique.ptr ? row->unique_while : -1);
    stmt_bind_str(q, ":options", row->options);
    bind_text(q, ":arguments", ":arguments_blob", row->arguments, &row->arguments_blob);
    if (stmt_insert(q, &id, err) != ROW_HERE ||
        !need_blob(tx, &row->arguments_blob, row->created_at_us, err))
        return fail_at(row, err);
    return true;
}

/* Each row by one statement. */
static bool each_row(struct tx *tx, const char *sql, const struct task_row *const *rows,
                     size_t count,
                     bool (*one)(struct tx *, struct stmt *, const struct task_row *, struct err *),
                     struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!one(tx, q, rows[i], err))
            return false;
    return true;
}

bool task_store_insert(struct tx *tx, const struct task_row *const *rows, size_t count,
                       struct err *err)
{
    return each_row(tx, sql_insert, rows, count, insert_one, err);
}

static bool update_one(struct stmt *q, const struct task_row *row, struct err *err)
{
    int64_t changed = 0;
    stmt_bind_i64(q, ":id", row->id);
    if (!stmt_run(q, &changed, err))
        return fail_at(row, err);
    return changed ? true
                   : err_set(err, ERR_NOT_FOUND, "task %" PRId64 " is not in the store", row->id);
}

static bool start_one(struct tx *tx, struct stmt *q, const struct task_row *row, struct err *err)
{
    (void)tx;
    stmt_bind_i64(q, ":state", JOB_RUNNING);
    stmt_bind_i64(q, ":attempts", row->attempts);
    stmt_bind_i64(q, ":fence", row->fence);
    stmt_bind_i64(q, ":session", row->session);
    stmt_bind_i64(q, ":started_at_us", row->started_at_us);
    return update_one(q, row, err);
}

bool task_store_start(struct tx *tx, const struct task_row *const *rows, size_t count,
                      struct err *err)
{
    return each_row(tx, sql_start, rows, count, start_one, err);
}

static void bind_or_null(struct stmt *q, const char *name, int64_t value)
{
    if (value)
        stmt_bind_i64(q, name, value);
    else
        stmt_bind_text(q, name, NULL);
}

static bool complete_one(struct tx *tx, struct stmt *q, const struct task_row *row, struct err *err)
{
    stmt_bind_i64(q, ":state", JOB_COMPLETED);
    stmt_bind_i64(q, ":ended_at_us", row->ended_at_us);
    bind_or_null(q, ":expires_at_us", row->expires_at_us);
    bind_text(q, ":result", ":result_blob", row->result, &row->result_blob);
    return update_one(q, row, err) && need_blob(tx, &row->result_blob, row->ended_at_us, err);
}

bool task_store_complete(struct tx *tx, const struct task_row *const *rows, size_t count,
                         struct err *err)
{
    return each_row(tx, sql_complete, rows, count, complete_one, err);
}

/* What is saved so had no result before: only what has completed has one, and that is the end. */
static bool save_one(struct tx *tx, struct stmt *q, const struct task_row *row, struct err *err)
{
    stmt_bind_i64(q, ":state", row->state);
    stmt_bind_i64(q, ":priority", row->priority);
    stmt_bind_i64(q, ":attempts", row->attempts);
    stmt_bind_i64(q, ":fence", row->fence);
    stmt_bind_i64(q, ":session", row->session);
    stmt_bind_i64(q, ":abort", row->aborts);
    stmt_bind_i64(q, ":run_at_us", row->run_at_us);
    stmt_bind_i64(q, ":started_at_us", row->started_at_us);
    stmt_bind_i64(q, ":ended_at_us", row->ended_at_us);
    bind_or_null(q, ":expires_at_us", row->expires_at_us);
    stmt_bind_str(q, ":error", row->error);
    stmt_bind_str(q, ":error_type", row->error_type);
    bind_text(q, ":result", ":result_blob", row->result, &row->result_blob);
    return update_one(q, row, err) && need_blob(tx, &row->result_blob, row->ended_at_us, err);
}

bool task_store_save(struct tx *tx, const struct task_row *const *rows, size_t count,
                     struct err *err)
{
    return each_row(tx, sql_save, rows, count, save_one, err);
}

bool task_store_replace(struct tx *tx, const struct task_row *row, int64_t now_us, struct err *err)
{
    if (!release_arguments(tx, row->id, now_us, err))
        return fail_at(row, err);
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_replace, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":queue", row->queue);
    stmt_bind_i64(q, ":function", row->function);
    stmt_bind_i64(q, ":max_attempts", row->max_attempts);
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    stmt_bind_str(q, ":key", row->key);
    stmt_bind_str(q, ":batch", row->batch);
    stmt_bind_str(q, ":lock", row->lock);
    stmt_bind_i64(q, ":unique_while", row->unique_while);
    stmt_bind_str(q, ":options", row->options);
    bind_text(q, ":arguments", ":arguments_blob", row->arguments, &row->arguments_blob);
    return update_one(q, row, err) && need_blob(tx, &row->arguments_blob, now_us, err);
}

bool task_store_delete(struct tx *tx, const int64_t *ids, size_t count, int64_t now_us,
                       struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":id", ids[i]);
        if (!let_go(tx, ids[i], now_us, err) || !stmt_run(q, NULL, err))
            return err_add(err, "delete task %" PRId64, ids[i]);
    }
    return true;
}

bool task_store_last_id(struct tx *tx, int64_t *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_last_id, err);
    return (q && stmt_only_i64(q, out, err) == ROW_HERE) || err_add(err, "find the last id");
}

bool task_store_set_last_id(struct tx *tx, int64_t id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_set_last_id, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":task", id);
    return stmt_run(q, NULL, err) || err_add(err, "note the last id");
}

/* --- reading --- */

/* Answers the column behind. A state that is none is damage. */
static int read_list_columns(struct stmt *q, struct task_row *row)
{
    int at = 0;
    row->id = stmt_i64(q, at++);
    int64_t state = stmt_i64(q, at++);
    row->state = state >= 0 && state < JOB_STATE_COUNT ? (enum job_state)state : JOB_STATE_COUNT;
    row->queue = stmt_i64(q, at++);
    row->function = stmt_i64(q, at++);
    row->priority = stmt_i64(q, at++);
    row->attempts = stmt_i64(q, at++);
    row->max_attempts = stmt_i64(q, at++);
    row->fence = stmt_i64(q, at++);
    row->session = stmt_i64(q, at++);
    row->aborts = stmt_i64(q, at++) != 0;
    row->run_at_us = stmt_i64(q, at++);
    row->created_at_us = stmt_i64(q, at++);
    row->started_at_us = stmt_i64(q, at++);
    row->ended_at_us = stmt_i64(q, at++);
    row->expires_at_us = stmt_i64(q, at++);
    row->key = stmt_text(q, at++);
    row->batch = stmt_text(q, at++);
    row->lock = stmt_text(q, at++);
    row->unique = stmt_text(q, at++);
    row->unique_while = stmt_i64(q, at++);
    row->error_type = stmt_text(q, at++);
    return at;
}

static bool check_row(const struct task_row *row, struct err *err)
{
    return row->state < JOB_STATE_COUNT ||
           err_set(err, ERR_STORE, "task %" PRId64 " is damaged in the store", row->id);
}

static struct task_blob blob_columns(struct stmt *q, int at)
{
    struct str hash = stmt_blob(q, at);
    if (hash.len != BLOB_STORE_HASH_BYTES)
        return (struct task_blob){NULL, 0};
    return (struct task_blob){(const uint8_t *)hash.ptr, stmt_i64(q, at + 1)};
}

static bool read_whole(struct stmt *q, struct task_row *row, struct err *err)
{
    int at = read_list_columns(q, row);
    row->options = stmt_text(q, at++);
    row->error = stmt_text(q, at++);
    row->arguments = stmt_blob(q, at++);
    row->result = stmt_blob(q, at++);
    row->arguments_blob = blob_columns(q, at);
    row->result_blob = blob_columns(q, at + 2);
    return check_row(row, err);
}

bool task_store_read(struct tx *tx, int64_t id, bool *found, task_store_each *each, void *context,
                     struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_read, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row got = stmt_step(q, err);
    if (got == ROW_FAILED)
        return err_add(err, "read task %" PRId64, id);
    *found = got == ROW_HERE;
    struct task_row row = {0};
    return !*found || (read_whole(q, &row, err) && each(context, &row, err));
}

bool task_store_state(struct tx *tx, int64_t id, bool *found, enum job_state *out, struct err *err)
{
    int64_t state = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_state, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row got = stmt_only_i64(q, &state, err);
    if (got == ROW_FAILED)
        return err_add(err, "read task %" PRId64, id);
    *found = got == ROW_HERE;
    if (*found)
        *out = (enum job_state)state;
    return true;
}

bool task_store_by_unique(struct tx *tx, struct str unique, int64_t *id, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_by_unique, err);
    if (!q)
        return false;
    stmt_bind_str(q, ":unique", unique);
    return stmt_only_i64(q, id, err) == ROW_HERE || err_add(err, "look for a unique key");
}

bool task_store_load_open(struct tx *tx, task_store_each *each, void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load_open, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    stmt_bind_i64(q, ":running", JOB_RUNNING);
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct task_row row = {0};
        row.options = stmt_text(q, read_list_columns(q, &row));
        if (!check_row(&row, err) || !each(context, &row, err))
            return false;
    }
    return got == ROW_NONE ? true : err_add(err, "load tasks");
}

/* Steps through a bound walk. */
static bool walk(struct stmt *q, int64_t *looked, task_store_each *each, void *context,
                 struct err *err)
{
    enum row got = ROW_FAILED;
    *looked = 0;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct task_row row = {0};
        struct err why = {0};
        if (!read_whole(q, &row, err))
            return false;
        if (!each(context, &row, &why)) {
            if (why.code != ERR_NONE)
                *err = why;
            return why.code == ERR_NONE;
        }
        ++*looked;
    }
    return got == ROW_NONE ? true : err_add(err, "walk through tasks");
}

bool task_store_walk(struct tx *tx, enum task_walk which, int64_t after, int64_t limit,
                     int64_t *looked, task_store_each *each, void *context, struct err *err)
{
    static const char *const texts[TASK_WALK_COUNT] = {sql_walk_all, sql_walk_open,
                                                       sql_walk_failed};
    OWNED(stmt) struct stmt *q = tx_query(tx, texts[which], err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":after", after);
    stmt_bind_i64(q, ":limit", limit);
    return walk(q, looked, each, context, err);
}

static bool walk_before(struct tx *tx, const char *sql, int64_t before_us, int64_t limit,
                        task_store_each *each, void *context, struct err *err)
{
    int64_t looked = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":before", before_us);
    stmt_bind_i64(q, ":limit", limit);
    return walk(q, &looked, each, context, err);
}

bool task_store_walk_ended(struct tx *tx, int64_t before_us, int64_t limit, task_store_each *each,
                           void *context, struct err *err)
{
    return walk_before(tx, sql_walk_ended, before_us, limit, each, context, err);
}

bool task_store_walk_expired(struct tx *tx, int64_t before_us, int64_t limit, task_store_each *each,
                             void *context, struct err *err)
{
    return walk_before(tx, sql_walk_expired, before_us, limit, each, context, err);
}

static bool only_number(struct tx *tx, const char *sql, int64_t *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    return (q && stmt_only_i64(q, out, err) == ROW_HERE) || err_add(err, "look at tasks");
}

bool task_store_first_ended(struct tx *tx, int64_t *out, struct err *err)
{
    return only_number(tx, sql_first_ended, out, err);
}

bool task_store_first_expiry(struct tx *tx, int64_t *out, struct err *err)
{
    return only_number(tx, sql_first_expiry, out, err);
}

/* --- doctor --- */

static const char sql_count_open[] = "SELECT count(*) FROM task WHERE ended_at_us = 0";

bool task_store_count_open(struct tx *tx, int64_t *out, struct err *err)
{
    return only_number(tx, sql_count_open, out, err);
}

static const char sql_check[] =
    "WITH counted AS (SELECT coalesce(key, '') AS key, coalesce(batch, '') AS batch, queue_id,"
    "  function_id, sum(state = 3) AS pending,"
    "  sum(state = 4) AS running, sum(state = 5) AS completed, sum(state = 6) AS failed,"
    "  sum(state = 7) AS cancelled FROM task GROUP BY 1, 2, 3, 4),"
    " told AS (SELECT key, batch, queue_id, function_id, pending, running, completed,"
    "  failed, cancelled FROM task_tally WHERE pending + running + completed + failed +"
    "  cancelled <> 0)"
    " SELECT 'the counts of key \"' || key || '\", batch \"' || batch || '\" are not those of its"
    " tasks' FROM (SELECT * FROM counted EXCEPT SELECT * FROM told) "
    " UNION ALL SELECT 'there are counts of key \"' || key || '\", batch \"' || batch ||"
    " '\" without such tasks' FROM (SELECT * FROM told EXCEPT SELECT * FROM counted)"
    " UNION ALL SELECT 'task ' || id || ' runs in no session' FROM task INDEXED BY task_open"
    "  WHERE ended_at_us = 0 AND state = 4 AND session NOT IN (SELECT number FROM task_session)"
    " UNION ALL SELECT 'task ' || id || ' does not run, and is in a session' FROM task"
    "  WHERE state <> 4 AND session <> 0"
    " UNION ALL SELECT 'task ' || id || ' has ended and has no time of it, or the other way round'"
    "  FROM task WHERE (state IN (5, 6, 7)) <> (ended_at_us > 0)"
    " UNION ALL SELECT 'task ' || child || ' waits, and is not there' FROM task_edge"
    "  WHERE child NOT IN (SELECT id FROM task)"
    " UNION ALL SELECT 'task ' || child || ' waits for task ' || parent || ', which is not there'"
    "  FROM task_edge JOIN task ON task.id = child WHERE ended_at_us = 0"
    "  AND parent NOT IN (SELECT id FROM task)"
    " UNION ALL SELECT 'task ' || child || ' waits for task ' || parent || ', which has completed'"
    "  FROM task_edge JOIN task AS c ON c.id = child JOIN task AS p ON p.id = parent"
    "  WHERE c.ended_at_us = 0 AND p.state = 5"
    " UNION ALL SELECT 'blob ' || lower(hex(hash)) || ' is needed by more than it counts'"
    "  FROM (SELECT hash, count(*) AS needed FROM"
    "   (SELECT arguments_blob AS hash FROM task WHERE arguments_blob IS NOT NULL"
    "    UNION ALL SELECT result_blob FROM task WHERE result_blob IS NOT NULL"
    "    UNION ALL SELECT hash FROM flow_context WHERE hash IS NOT NULL"
    "    UNION ALL SELECT hash FROM artifact) GROUP BY hash)"
    "  AS n WHERE needed > coalesce((SELECT refs FROM blob WHERE blob.hash = n.hash), 0)"
    " LIMIT 100";

bool task_store_check(struct tx *tx, void (*say)(void *context, const char *fault), void *context,
                      struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_check, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        OWNED_MEM char *fault = stmt_take_text(q, 0);
        say(context, fault ? fault : "a task is damaged");
    }
    return got == ROW_NONE ? true : err_add(err, "check tasks");
}
