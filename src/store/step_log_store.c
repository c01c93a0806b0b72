/* step_log_store.c: see step_log_store.h. */
#include "store/step_log_store.h"

#include "store/stmt.h"

#include <inttypes.h>
#include <stdlib.h>

static const char sql_job[] = "SELECT 1 FROM step_job WHERE id = :job";
static const char sql_head[] = "SELECT first, next, bytes FROM step_report WHERE job = :job";
static const char sql_begin[] = "INSERT INTO step_report (job, first, next, bytes, metrics_at_us)"
                                " VALUES (:job, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
static const char sql_move[] =
    "UPDATE step_report SET first = :first, next = :next, bytes = :bytes WHERE job = :job";
static const char sql_add[] = "INSERT INTO step_log (job, number, at_us, fence, level, source,"
                              " message) VALUES (:job, :number, :at_us, :fence, :level, :source,"
                              " :message)";
static const char sql_sizes[] = "SELECT length(CAST(message AS BLOB)) FROM step_log"
                                " WHERE job = :job AND number >= :first ORDER BY number";
static const char sql_drop[] = "DELETE FROM step_log WHERE job = :job AND number < :first";
static const char sql_up[] =
    "SELECT number, at_us, fence, level, source, message FROM step_log"
    " WHERE job = :job AND number >= :first AND number < :end ORDER BY number";
static const char sql_down[] =
    "SELECT number, at_us, fence, level, source, message FROM step_log"
    " WHERE job = :job AND number >= :first AND number < :end ORDER BY number DESC";
static const char sql_measure[] = "UPDATE step_report SET metrics = :metrics, worker = :worker,"
                                  " metrics_at_us = :now_us WHERE job = :job";
static const char sql_metrics[] =
    "SELECT metrics, worker, metrics_at_us FROM step_report WHERE job = :job";
static const char sql_forget_lines[] = "DELETE FROM step_log WHERE job = :job";
static const char sql_forget[] = "DELETE FROM step_report WHERE job = :job";

struct head { /* which lines a job has */
    int64_t first, next, bytes;
};

static bool of_job(struct tx *tx, const char *sql, int64_t job, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    return stmt_run(q, NULL, err);
}

/* Zeros when it has none. */
static bool read_head(struct tx *tx, int64_t job, struct head *out, struct err *err)
{
    *out = (struct head){0, 0, 0};
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_head, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    enum row got = stmt_step(q, err);
    if (got == ROW_HERE)
        *out = (struct head){stmt_i64(q, 0), stmt_i64(q, 1), stmt_i64(q, 2)};
    return got != ROW_FAILED;
}

static bool write_head(struct tx *tx, int64_t job, const struct head *head, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_move, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    stmt_bind_i64(q, ":first", head->first);
    stmt_bind_i64(q, ":next", head->next);
    stmt_bind_i64(q, ":bytes", head->bytes);
    return stmt_run(q, NULL, err);
}

/* The job's row, made if there is a job. */
static bool need_report(struct tx *tx, int64_t job, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_job, err);
    int64_t found = 0;
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    enum row got = stmt_only_i64(q, &found, err);
    if (got == ROW_FAILED)
        return false;
    if (got == ROW_NONE)
        return err_set(err, ERR_NOT_FOUND, "there is no step job %" PRId64, job);
    return of_job(tx, sql_begin, job, err);
}

static bool add_lines(struct tx *tx, int64_t job, const struct step_log_line *lines, size_t count,
                      struct head *head, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add, err);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct str message = step_log_cut(lines[i].message);
        stmt_bind_i64(q, ":job", job);
        stmt_bind_i64(q, ":number", head->next++);
        stmt_bind_i64(q, ":at_us", lines[i].at_us);
        stmt_bind_i64(q, ":fence", lines[i].fence);
        stmt_bind_i64(q, ":level", lines[i].level);
        stmt_bind_i64(q, ":source", lines[i].source);
        stmt_bind_str(q, ":message", (struct str){message.len ? message.ptr : "", message.len});
        if (!stmt_run(q, NULL, err))
            return false;
        head->bytes += (int64_t)message.len;
    }
    return true;
}

static bool is_too_much(const struct head *head)
{
    return head->next - head->first > STEP_LOG_KEPT_LINES || head->bytes > STEP_LOG_KEPT_BYTES;
}

/* Passes the oldest over until the rest is small enough. */
static bool find_first(struct tx *tx, int64_t job, struct head *head, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_sizes, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    stmt_bind_i64(q, ":first", head->first);
    enum row got = ROW_HERE;
    while (is_too_much(head) && (got = stmt_step(q, err)) == ROW_HERE) {
        head->bytes -= stmt_i64(q, 0);
        head->first++;
    }
    return got != ROW_FAILED;
}

static bool drop_oldest(struct tx *tx, int64_t job, struct head *head, struct err *err)
{
    if (!is_too_much(head))
        return true;
    if (!find_first(tx, job, head, err))
        return false;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_drop, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    stmt_bind_i64(q, ":first", head->first);
    return stmt_run(q, NULL, err);
}

bool step_log_store_add(struct tx *tx, int64_t job, const struct step_log_line *lines, size_t count,
                        struct err *err)
{
    struct head head;
    return (need_report(tx, job, err) && read_head(tx, job, &head, err) &&
            add_lines(tx, job, lines, count, &head, err) && drop_oldest(tx, job, &head, err) &&
            write_head(tx, job, &head, err)) ||
           err_add(err, "store the log of step job %" PRId64, job);
}

bool step_log_store_measure(struct tx *tx, int64_t job, struct str metrics, const char *worker,
                            int64_t now_us, struct err *err)
{
    if (!need_report(tx, job, err))
        return err_add(err, "store metrics");
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_measure, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    stmt_bind_str(q, ":metrics", metrics);
    stmt_bind_text(q, ":worker", worker);
    stmt_bind_i64(q, ":now_us", now_us);
    return stmt_run(q, NULL, err) || err_add(err, "store metrics");
}

/* --- reading --- */

static enum step_log_level level_of(int64_t stored)
{
    return stored >= 0 && stored < STEP_LOG_LEVEL_COUNT ? (enum step_log_level)stored
                                                        : STEP_LOG_INFO;
}

static enum step_log_source source_of(int64_t stored)
{
    return stored >= 0 && stored < STEP_LOG_SOURCE_COUNT ? (enum step_log_source)stored
                                                         : STEP_LOG_LOGGED;
}

/* The numbers of a page's lines: from `from` up to `end`. */
static void page_numbers(const struct head *head, const struct step_log_page *page, int64_t *from,
                         int64_t *end)
{
    int64_t total = head->next - head->first;
    int64_t offset = page->offset < total ? page->offset : total;
    int64_t count = page->limit < total - offset ? page->limit : total - offset;
    *from = page->descending ? head->next - offset - count : head->first + offset;
    *end = *from + count;
}

bool step_log_store_read(struct tx *tx, int64_t job, struct step_log_page *page,
                         void (*each)(void *context, const struct step_log_line *line),
                         void *context, struct err *err)
{
    struct head head;
    int64_t from = 0, end = 0;
    if (!read_head(tx, job, &head, err))
        return false;
    OWNED(stmt) struct stmt *q = tx_query(tx, page->descending ? sql_down : sql_up, err);
    if (!q)
        return false;
    page_numbers(&head, page, &from, &end);
    stmt_bind_i64(q, ":job", job);
    stmt_bind_i64(q, ":first", from);
    stmt_bind_i64(q, ":end", end);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        each(context, &(struct step_log_line){.number = stmt_i64(q, 0),
                                              .at_us = stmt_i64(q, 1),
                                              .fence = stmt_i64(q, 2),
                                              .level = level_of(stmt_i64(q, 3)),
                                              .source = source_of(stmt_i64(q, 4)),
                                              .message = stmt_text(q, 5)});
    page->total = head.next - head.first;
    page->gone = head.first;
    return got == ROW_NONE || err_add(err, "read the log of step job %" PRId64, job);
}

void step_metrics_release(struct step_metrics *m)
{
    free(m->json);
    free(m->worker);
    *m = (struct step_metrics){NULL, NULL, 0};
}

bool step_log_store_metrics(struct tx *tx, int64_t job, struct step_metrics *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_metrics, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job);
    enum row got = stmt_step(q, err);
    if (got == ROW_FAILED)
        return err_add(err, "read the metrics of step job %" PRId64, job);
    *out = (struct step_metrics){NULL, NULL, 0};
    if (got == ROW_HERE)
        *out = (struct step_metrics){stmt_take_text(q, 0), stmt_take_text(q, 1), stmt_i64(q, 2)};
    return true;
}

bool step_log_store_forget(struct tx *tx, int64_t job, struct err *err)
{
    return of_job(tx, sql_forget_lines, job, err) && of_job(tx, sql_forget, job, err);
}
