/* schedule_store.c: see schedule_store.h. */
#include "store/schedule_store.h"

#include "store/stmt.h"

static const char sql_put[] =
    "INSERT INTO schedule (name, function, queue, arguments, options, key, batch, lock, priority,"
    " max_attempts, cron, every_us, zone, missed, paused, pass_time, created_at_us, set_at_us,"
    " last_at_us, last_task_id)"
    " VALUES (:name, :function, :queue, :arguments, :options, :key, :batch, :lock, :priority,"
    " :max_attempts, :cron, :every_us, :zone, :missed, :paused, :pass_time, :created_at_us,"
    " :set_at_us, :last_at_us, :last_task_id)"
    " ON CONFLICT (name) DO UPDATE SET function = excluded.function, queue = excluded.queue,"
    " arguments = excluded.arguments, options = excluded.options, key = excluded.key,"
    " batch = excluded.batch, lock = excluded.lock, priority = excluded.priority,"
    " max_attempts = excluded.max_attempts, cron = excluded.cron, every_us = excluded.every_us,"
    " zone = excluded.zone, missed = excluded.missed, paused = excluded.paused,"
    " pass_time = excluded.pass_time, set_at_us = excluded.set_at_us";
static const char sql_delete[] = "DELETE FROM schedule WHERE name = :name";
static const char sql_tick[] =
    "UPDATE schedule SET last_at_us = :at_us, last_task_id = :task_id WHERE name = :name";
static const char sql_load[] =
    "SELECT name, function, queue, arguments, options, key, batch, lock, priority, max_attempts,"
    " cron, every_us, zone, missed, paused, pass_time, created_at_us, set_at_us, last_at_us,"
    " last_task_id FROM schedule ORDER BY name";

void schedule_row_release(struct schedule_row *row)
{
    schedule_release(&row->spec);
    *row = (struct schedule_row){.created_at_us = 0};
}

bool schedule_store_put(struct tx *tx, const struct schedule_row *row, struct err *err)
{
    const struct schedule *s = &row->spec;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_put, err);
    if (!q)
        return false;
    stmt_bind_text(q, ":name", s->name);
    stmt_bind_text(q, ":function", s->function);
    stmt_bind_text(q, ":queue", s->queue);
    stmt_bind_text(q, ":arguments", s->arguments);
    stmt_bind_text(q, ":options", s->options);
    stmt_bind_text(q, ":key", s->key);
    stmt_bind_text(q, ":batch", s->batch);
    stmt_bind_text(q, ":lock", s->lock);
    stmt_bind_i64(q, ":priority", s->priority);
    stmt_bind_i64(q, ":max_attempts", s->max_attempts);
    stmt_bind_text(q, ":cron", s->cron);
    stmt_bind_i64(q, ":every_us", s->every_us);
    stmt_bind_text(q, ":zone", s->zone);
    stmt_bind_i64(q, ":missed", s->missed);
    stmt_bind_i64(q, ":paused", s->paused);
    stmt_bind_i64(q, ":pass_time", s->pass_time);
    stmt_bind_i64(q, ":created_at_us", row->created_at_us);
    stmt_bind_i64(q, ":set_at_us", row->set_at_us);
    stmt_bind_i64(q, ":last_at_us", row->last_at_us);
    stmt_bind_i64(q, ":last_task_id", row->last_task_id);
    return stmt_run(q, NULL, err) ? true : err_add(err, "store schedule %s", s->name);
}

bool schedule_store_delete(struct tx *tx, const char *name, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_delete, err);
    if (!q)
        return false;
    int64_t changed = 0;
    stmt_bind_text(q, ":name", name);
    if (!stmt_run(q, &changed, err))
        return err_add(err, "delete schedule %s", name);
    return changed ? true : err_set(err, ERR_NOT_FOUND, "there is no schedule %s", name);
}

bool schedule_store_tick(struct tx *tx, const char *name, int64_t at_us, int64_t task_id,
                         struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_tick, err);
    if (!q)
        return false;
    stmt_bind_text(q, ":name", name);
    stmt_bind_i64(q, ":at_us", at_us);
    stmt_bind_i64(q, ":task_id", task_id);
    return stmt_run(q, NULL, err) ? true : err_add(err, "store a tick of schedule %s", name);
}

static void take_spec(struct stmt *q, struct schedule *s)
{
    *s = (struct schedule){.name = stmt_take_text(q, 0),
                           .function = stmt_take_text(q, 1),
                           .queue = stmt_take_text(q, 2),
                           .arguments = stmt_take_text(q, 3),
                           .options = stmt_take_text(q, 4),
                           .key = stmt_take_text(q, 5),
                           .batch = stmt_take_text(q, 6),
                           .lock = stmt_take_text(q, 7),
                           .priority = stmt_i64(q, 8),
                           .max_attempts = stmt_i64(q, 9),
                           .cron = stmt_take_text(q, 10),
                           .every_us = stmt_i64(q, 11),
                           .zone = stmt_take_text(q, 12),
                           .missed = (enum schedule_missed)stmt_i64(q, 13),
                           .paused = stmt_i64(q, 14),
                           .pass_time = stmt_i64(q, 15)};
}

bool schedule_store_load(struct tx *tx, void (*each)(void *context, struct schedule_row *row),
                         void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_load, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        struct schedule_row row = {.created_at_us = stmt_i64(q, 16),
                                   .set_at_us = stmt_i64(q, 17),
                                   .last_at_us = stmt_i64(q, 18),
                                   .last_task_id = stmt_i64(q, 19)};
        int64_t missed = stmt_i64(q, 13);
        if (missed < 0 || missed >= MISSED_COUNT || stmt_text(q, 0).len == 0)
            return err_set(err, ERR_STORE, "a schedule is damaged in the store");
        take_spec(q, &row.spec);
        each(context, &row);
    }
    return got == ROW_NONE ? true : err_add(err, "load schedules");
}
