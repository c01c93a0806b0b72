/* job_store.c: see job_store.h. */
#include "store/job_store.h"

#include "store/stmt.h"

#include <inttypes.h>
#include <stdlib.h>

/* A conflict is an answer here and not a failed statement, so that the transaction goes on. */
static const char sql_insert[] =
    "INSERT INTO job (id, name, kind, state, paused, spec, failure, token_hash, created_at_us,"
    " started_at_us, ended_at_us, known, reading_record, reading_bytes, reading_line, served_below,"
    " sink_bytes, tail_bytes, sink_columns, errors_bytes, bad_records, repeats, written,"
    " source_print, source_print_bytes, done_before, duplicates, skipped, no_id, left_out, portion,"
    " inputs)"
    " VALUES (:id, :name, :kind, :state, :paused, :spec, :failure, :token_hash, :created_at_us,"
    " :started_at_us, :ended_at_us, :known, :reading_record, :reading_bytes, :reading_line,"
    " :served_below, :sink_bytes, :tail_bytes, :sink_columns, :errors_bytes, :bad_records,"
    " :repeats, :written, :source_print, :source_print_bytes,"
    " :done_before, :duplicates, :skipped, :no_id, :left_out, :portion, :inputs)"
    " ON CONFLICT (name) DO NOTHING";

static const char sql_save[] =
    "UPDATE job SET state = :state, paused = :paused, spec = :spec, failure = :failure,"
    " token_hash = :token_hash, started_at_us = :started_at_us, ended_at_us = :ended_at_us,"
    " known = :known, reading_record = :reading_record, reading_bytes = :reading_bytes,"
    " reading_line = :reading_line, served_below = :served_below, sink_bytes = :sink_bytes,"
    " tail_bytes = :tail_bytes, sink_columns = :sink_columns, errors_bytes = :errors_bytes,"
    " bad_records = :bad_records, repeats = :repeats, written = :written,"
    " source_print = :source_print, source_print_bytes = :source_print_bytes,"
    " done_before = :done_before, duplicates = :duplicates, skipped = :skipped, no_id = :no_id,"
    " left_out = :left_out, portion = :portion, inputs = :inputs WHERE id = :id";

/* Pages, attempts and tails go with it (ON DELETE CASCADE). */
static const char sql_delete[] = "DELETE FROM job WHERE id = :id";

static const char sql_load[] =
    "SELECT id, name, kind, state, paused, spec, failure, token_hash, created_at_us, started_at_us,"
    " ended_at_us, known, reading_record, reading_bytes, reading_line, served_below, sink_bytes,"
    " tail_bytes, sink_columns, errors_bytes, bad_records, repeats, written, source_print,"
    " source_print_bytes, done_before, duplicates, skipped, no_id, left_out, portion, inputs"
    " FROM job ORDER BY id";

void job_row_release(struct job_row *row)
{
    free(row->name);
    free(row->spec);
    free(row->inputs);
    free(row->failure);
    free(row->portion);
    free(row->progress.sink_columns);
    *row = (struct job_row){0};
}

static void bind_progress(struct stmt *q, const struct data_progress *p)
{
    stmt_bind_i64(q, ":known", p->known);
    stmt_bind_i64(q, ":reading_record", p->reading.record);
    stmt_bind_i64(q, ":reading_bytes", p->reading.bytes);
    stmt_bind_i64(q, ":reading_line", p->reading.line);
    stmt_bind_i64(q, ":served_below", p->served_below);
    stmt_bind_i64(q, ":sink_bytes", p->sink_bytes);
    stmt_bind_i64(q, ":tail_bytes", p->tail_bytes);
    stmt_bind_text(q, ":sink_columns", p->sink_columns);
    stmt_bind_i64(q, ":errors_bytes", p->errors_bytes);
    stmt_bind_i64(q, ":bad_records", p->bad_records);
    stmt_bind_i64(q, ":repeats", p->repeats);
    stmt_bind_i64(q, ":written", p->written);
    stmt_bind_text(q, ":source_print", p->source_print);
    stmt_bind_i64(q, ":source_print_bytes", p->source_print_bytes);
    stmt_bind_i64(q, ":done_before", p->done_before);
    stmt_bind_i64(q, ":duplicates", p->duplicates);
    stmt_bind_i64(q, ":skipped", p->skipped);
    stmt_bind_i64(q, ":no_id", p->no_id);
    stmt_bind_i64(q, ":left_out", p->left_out);
}

/* What both insert and save write. */
static void bind_common(struct stmt *q, const struct job_row *row)
{
    stmt_bind_text(q, ":state", job_state_name(row->state));
    stmt_bind_i64(q, ":paused", row->paused);
    stmt_bind_text(q, ":spec", row->spec ? row->spec : "");
    stmt_bind_text(q, ":inputs", row->inputs);
    stmt_bind_text(q, ":failure", row->failure);
    stmt_bind_text(q, ":portion", row->portion);
    stmt_bind_blob(q, ":token_hash", row->has_token ? row->token_hash : NULL, TOKEN_HASH_BYTES);
    stmt_bind_i64(q, ":started_at_us", row->started_at_us);
    stmt_bind_i64(q, ":ended_at_us", row->ended_at_us);
    bind_progress(q, &row->progress);
}

/* Inserts one row; false with ERR_CONFLICT when the name is taken. */
static bool insert_one(struct stmt *q, struct job_row *row, struct err *err)
{
    if (row->id > 0)
        stmt_bind_i64(q, ":id", row->id);
    else
        stmt_bind_text(q, ":id", NULL);
    stmt_bind_text(q, ":name", row->name);
    stmt_bind_text(q, ":kind", job_kind_name(row->kind));
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    bind_common(q, row);
    enum row got = stmt_insert(q, &row->id, err);
    if (got == ROW_NONE)
        return err_set(err, ERR_CONFLICT, "a job with the name %s exists", row->name);
    return got == ROW_HERE ? true : err_add(err, "store job %s", row->name);
}

/* Takes back the first `count` rows of a batch that did not go through. */
static bool uninsert(struct tx *tx, struct job_row *rows, size_t count, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":id", rows[i].id);
        rows[i].id = 0;
        if (!stmt_run(q, NULL, err))
            return err_add(err, "take back job %s", rows[i].name);
    }
    return true;
}

bool job_store_insert(struct tx *tx, struct job_row *rows, size_t count, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_insert, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!insert_one(q, &rows[i], err)) {
            struct err worse;
            if (err->code == ERR_CONFLICT && !uninsert(tx, rows, i, &worse))
                *err = worse;
            return false;
        }
    return true;
}

static bool save_one(struct stmt *save, const struct job_row *row, struct err *err)
{
    int64_t changed = 0;
    stmt_bind_i64(save, ":id", row->id);
    bind_common(save, row);
    if (!stmt_run(save, &changed, err))
        return err_add(err, "store job %" PRId64, row->id);
    if (changed == 0)
        return err_set(err, ERR_NOT_FOUND, "job %" PRId64 " is not in the store", row->id);
    return true;
}

bool job_store_save(struct tx *tx, const struct job_row *const *rows, size_t count, struct err *err)
{
    OWNED(stmt) struct stmt *save = tx_query(tx, sql_save, err);
    if (!save)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!save_one(save, rows[i], err))
            return false;
    return true;
}

bool job_store_delete(struct tx *tx, const int64_t *ids, size_t count, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        stmt_bind_i64(q, ":id", ids[i]);
        if (!stmt_run(q, NULL, err))
            return err_add(err, "delete job %" PRId64, ids[i]);
    }
    return true;
}

static bool read_kind(struct str text, enum job_kind *out)
{
    for (int kind = JOB_DATA; kind <= JOB_FLOW; kind++)
        if (str_is(text, job_kind_name((enum job_kind)kind))) {
            *out = (enum job_kind)kind;
            return true;
        }
    return false;
}

/* Answers the column behind. */
static int read_progress(struct stmt *q, int at, struct data_progress *p)
{
    p->known = stmt_i64(q, at++);
    p->reading.record = stmt_i64(q, at++);
    p->reading.bytes = stmt_i64(q, at++);
    p->reading.line = stmt_i64(q, at++);
    p->served_below = stmt_i64(q, at++);
    p->sink_bytes = stmt_i64(q, at++);
    p->tail_bytes = stmt_i64(q, at++);
    p->sink_columns = stmt_take_text(q, at++);
    p->errors_bytes = stmt_i64(q, at++);
    p->bad_records = stmt_i64(q, at++);
    p->repeats = stmt_i64(q, at++);
    p->written = stmt_i64(q, at++);
    struct str print = stmt_text(q, at++);
    size_t len = print.len < sizeof p->source_print ? print.len : sizeof p->source_print - 1;
    memcpy(p->source_print, print.ptr, len);
    p->source_print_bytes = stmt_i64(q, at++);
    p->done_before = stmt_i64(q, at++);
    p->duplicates = stmt_i64(q, at++);
    p->skipped = stmt_i64(q, at++);
    p->no_id = stmt_i64(q, at++);
    p->left_out = stmt_i64(q, at++);
    return at;
}

/* The row at hand into a zeroed `row`. */
static void read_row(struct stmt *q, struct job_row *row)
{
    row->id = stmt_i64(q, 0);
    row->name = stmt_take_text(q, 1);
    struct str kind = stmt_text(q, 2), state = stmt_text(q, 3), hash = stmt_blob(q, 7);
    row->damaged = !read_kind(kind, &row->kind) || !job_state_parse(state, &row->state) ||
                   (hash.ptr && hash.len != TOKEN_HASH_BYTES);
    if (row->damaged)
        row->state = JOB_FAILED;
    row->paused = stmt_i64(q, 4) != 0;
    row->spec = stmt_take_text(q, 5);
    row->failure = stmt_take_text(q, 6);
    row->has_token = hash.ptr != NULL;
    if (row->has_token && hash.len == TOKEN_HASH_BYTES)
        memcpy(row->token_hash, hash.ptr, TOKEN_HASH_BYTES);
    row->created_at_us = stmt_i64(q, 8);
    row->started_at_us = stmt_i64(q, 9);
    row->ended_at_us = stmt_i64(q, 10);
    int at = read_progress(q, 11, &row->progress);
    row->portion = stmt_take_text(q, at++);
    row->inputs = stmt_take_text(q, at);
}

bool job_store_load(struct tx *tx,
                    bool (*each)(void *context, struct job_row *row, struct err *err),
                    void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct job_row row = {0};
        read_row(q, &row);
        if (!each(context, &row, err))
            return false;
    }
    return got == ROW_NONE ? true : err_add(err, "load jobs");
}
