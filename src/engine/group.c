/* group.c: the group commit, and the order of durability that the program's promise rests on:
 *
 *   1. result bytes into the sinks, synced;
 *   2. ledger pages, committed lengths and counts in one store transaction;
 *   3. the answers.
 *
 * A crash before 2 leaves bytes behind a sink's committed length: they are cut off at the next
 * start, and their records are still unread in the ledger. A crash between 2 and 3 leaves a worker
 * without answer to a result that is kept: its repeat is recognised. A failure in 1 takes back one
 * job's part of the group, a failure in 2 all of it, and says so to those who asked; a failed sync
 * stops the process, for then nobody knows what the disk holds. Who asked is answered with the
 * group, so that a later group's failure takes back nothing that is durable. */
#include "base/fault.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "store/event_store.h"
#include "store/ledger_store.h"

#include <stdlib.h>

enum { PAGES_A_TIME = 16 };
/* Nothing tells when a disk has room again; looked at so often, and at every op. */
#define RETRY_US INT64_C(1000000)

void engine_touch(struct engine *e, struct data_job *job)
{
    if (job->touched)
        return;
    job->touched = true;
    job->live_before = job->live;
    list_add(&e->touched, job);
}

static struct str keep_text(struct engine *e, struct str text)
{
    char *copy = xstrndup(text.ptr ? text.ptr : "", text.len);
    list_add(&e->event_texts, copy);
    return (struct str){copy, text.len};
}

void engine_event(struct engine *e, const struct data_job *job, const char *kind, struct str detail)
{
    if (e->event_count == e->event_cap) {
        e->event_cap = e->event_cap ? e->event_cap * 2 : 16;
        e->events = xrealloc(e->events, e->event_cap * sizeof *e->events);
    }
    e->events[e->event_count++] = (struct event){.at_us = e->now.wall_us,
                                                 .job_id = job->row.id,
                                                 .job_name = keep_text(e, str_of(job->row.name)),
                                                 .kind = keep_text(e, str_of(kind)),
                                                 .detail = keep_text(e, detail)};
}

bool engine_move(struct engine *e, struct data_job *job, enum job_verb verb, struct err *err)
{
    static const char *const events[JOB_VERB_COUNT] = {
        [JOB_START] = "job.started",      [JOB_CLAIM] = "job.running",
        [JOB_COMPLETE] = "job.completed", [JOB_FAIL] = "job.failed",
        [JOB_CANCEL] = "job.cancelled",   [JOB_REOPEN] = "job.reopened",
    };
    enum job_state before = job->row.state, after = before;
    if (!job_next_state(before, verb, &after, err))
        return err_add(err, "job %s", job->row.name);
    engine_touch(e, job);
    job->row.state = after;
    if (after == before)
        return true;
    if (verb == JOB_CLAIM && !job->row.started_at_us)
        job->row.started_at_us = e->now.wall_us;
    job->row.ended_at_us = job_state_is_final(after) ? e->now.wall_us : 0;
    engine_event(e, job, events[verb], (struct str){0});
    struct log_line *line = log_begin(LOG_INFO, events[verb]);
    log_value(line, "job", "%s", job->row.name);
    log_end(line);
    return true;
}

static bool add_lines(struct sink *sink, const struct buf *lines, struct err *err)
{
    for (size_t at = 0; at < lines->len;) {
        const char *end = memchr(lines->data + at, '\n', lines->len - at);
        size_t len = (size_t)(end - (lines->data + at)) + 1;
        if (!sink_add(sink, (struct str){lines->data + at, len}, err))
            return false;
        at += len;
    }
    return true;
}

/* Before the first byte of a job goes into a file, the length that the file has without it is
 * stored: only so can a restart tell what was there from what a killed process left behind. All
 * else in the row stays as it was stored: it must fit the ledger pages that are. */
static bool begin_sink(struct engine *e, struct data_job *job, struct sink *sink, struct err *err)
{
    bool moved = false;
    if (!sink_begin(sink, &moved, err))
        return false;
    if (!moved)
        return true;
    struct data_progress *stored = &job->stored;
    int64_t *length = sink == job->errors ? &stored->errors_bytes : &stored->sink_bytes;
    int64_t before = *length;
    *length = sink_length(sink);
    struct job_row row = job->row;
    row.state = job->stored_state;
    row.progress = *stored;
    const struct job_row *rows = &row;
    OWNED(tx) struct tx *tx = NULL;
    if (tx_begin(e->store, &tx, err) && job_store_save(tx, &rows, 1, err) && tx_commit(tx, err)) {
        (void)FAULT("group.begun"); /* where the output begins is stored, nothing is written yet */
        return true;
    }
    *length = before;
    return false;
}

static bool write_errors(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->bad_lines.len == 0 && job->failure_lines.len == 0)
        return true;
    return data_job_need_errors(e, job, err) && begin_sink(e, job, job->errors, err) &&
           add_lines(job->errors, &job->bad_lines, err) &&
           add_lines(job->errors, &job->failure_lines, err) && sink_flush(job->errors, err);
}

/* Step 1 for one job. */
static bool write_outputs(struct engine *e, struct data_job *job, struct err *err)
{
    if (!write_errors(e, job, err))
        return false;
    return !job->sink || !sink_pending(job->sink) ||
           (begin_sink(e, job, job->sink, err) && sink_flush(job->sink, err));
}

static void undo_sink(struct sink *sink)
{
    struct err err;
    if (sink && !sink_undo(sink, &err))
        LOG1(LOG_WARN, "sink.not-cut", "reason", "%s", err.text);
}

/* Takes back what an op of the failed group has done, and tells it so. What a person decided
 * stands: it waits for the next group. */
static void take_back(struct engine *e, struct data_job *job, struct op *op, const struct err *why)
{
    /* Of a refused op nothing stands, but for the marks before the one that was refused. */
    if (op->err.code != ERR_NONE && op->refusal != REFUSED_ALREADY_DONE)
        return;
    if (op->kind == OP_SETTLE)
        settle_revert(e, op);
    else if (op->kind == OP_CLAIM)
        claim_take_back(job, buf_str(&op->claim.records),
                        op->claim.has_lease ? op->claim.token : NULL);
    op->err = *why;
    op->refusal = REFUSED_OTHERWISE;
    op->refused_record = -1;
}

/* Puts a job's part of the group back to the last commit. What cannot be told to anybody (lines
 * that could not be read, leases that ended) stays, for the next commit. */
static void revert_job(struct engine *e, struct data_job *job, const struct err *why)
{
    job->reverted = job->owed = true;
    for (size_t i = e->answers.count; i-- > 0;) {
        struct op *op = e->answers.items[i];
        if (op->of == job && op->kind != OP_REPORT)
            take_back(e, job, op, why);
    }
    job->live.written = job->live_before.written;
    job->live.repeats = job->live_before.repeats;
    job->failure_lines.len = 0;
    for (size_t i = 0; i < e->answers.count; i++) {
        struct op *op = e->answers.items[i];
        if (op->of == job && op->kind == OP_REPORT)
            op_report(e, op);
    }
    if (job->again_now)
        claims_end(e, job, why);
    struct log_line *line = log_begin(LOG_ERROR, "group.failed");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "reason", "%s", why->text);
    log_end(line);
    /* When it is not known what the store holds, the outputs stay as they are: the next start
     * compares. */
    if (why->code != ERR_FATAL) {
        undo_sink(job->sink);
        undo_sink(job->errors);
    }
    e->failure = *why;
    e->retry_at_us = e->now.mono_us + RETRY_US;
}

static bool save_attempts(struct tx *tx, const struct data_job *job, struct err *err)
{
    for (size_t i = 0; i < job->tried_count; i++) {
        struct attempt_row row = {job->tried[i], attempts_get(job->attempts, job->tried[i])};
        if (!attempt_store_save(tx, job->row.id, &row, 1, err))
            return false;
    }
    return true;
}

static bool save_pages(struct tx *tx, const struct data_job *job, struct err *err)
{
    struct ledger_page pages[PAGES_A_TIME];
    bool keep_served = job->spec.mode == MODE_READ;
    for (size_t skip = 0;;) {
        size_t count = ledger_changed(job->ledger, keep_served, pages, PAGES_A_TIME, skip);
        if (count == 0)
            return true;
        if (!ledger_store_save(tx, job->row.id, pages, count, err))
            return false;
        skip += count;
    }
}

/* Step 2. */
static bool store_group(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err))
        return false;
    for (size_t i = 0; i < e->touched.count; i++) {
        struct data_job *job = e->touched.items[i];
        if (job->reverted)
            continue;
        data_job_update_row(job);
        const struct job_row *row = &job->row;
        if (!job_store_save(tx, &row, 1, err) || !save_pages(tx, job, err) ||
            !save_attempts(tx, job, err))
            return false;
    }
    if (e->event_count && !event_store_add(tx, e->events, e->event_count, err))
        return false;
    e->stats.commits++;
    return tx_commit(tx, err);
}

static void job_committed(struct data_job *job)
{
    if (job->sink) {
        sink_commit(job->sink);
        if (job->feed_out)
            program_advance(job->feed_out, sink_length(job->sink));
    }
    if (job->errors)
        sink_commit(job->errors);
    data_job_note_stored(job);
    ledger_stored(job->ledger);
    leases_sweep(job->leases);
    job->bad_lines.len = job->failure_lines.len = 0;
    job->tried_count = 0;
    job->progressed = true;
}

static void forget_events(struct engine *e)
{
    for (size_t i = 0; i < e->event_texts.count; i++)
        free(e->event_texts.items[i]);
    e->event_texts.count = 0;
    e->event_count = 0;
}

static void end_group(struct engine *e)
{
    for (size_t i = 0; i < e->touched.count; i++) {
        struct data_job *job = e->touched.items[i];
        job->touched = job->reverted = false;
    }
    e->touched.count = 0;
}

static void answer(struct engine *e)
{
    for (size_t i = 0; i < e->answers.count; i++) {
        struct op *op = e->answers.items[i];
        op->done(op);
    }
    e->answers.count = 0;
    (void)FAULT("group.answered");
}

/* Events tell of what was decided; they are stored with the next group. */
static void fail_group(struct engine *e, const struct err *why)
{
    for (size_t i = 0; i < e->touched.count; i++) {
        struct data_job *job = e->touched.items[i];
        if (!job->reverted)
            revert_job(e, job, why);
    }
    e->store_failed = true;
    e->failure = *why;
    e->retry_at_us = e->now.mono_us + RETRY_US;
    e->fatal = why->code == ERR_FATAL;
}

static void group_committed(struct engine *e)
{
    for (size_t i = 0; i < e->touched.count; i++) {
        struct data_job *job = e->touched.items[i];
        if (job->reverted)
            continue;
        job_committed(job);
        list_add(&e->settled, job);
    }
    feed_publish(e, e->events, e->event_count);
    forget_events(e);
    e->store_failed = false;
    e->stats.groups++;
}

/* Step 1 for all jobs. False when the process must stop. */
static bool write_group(struct engine *e, struct err *err)
{
    for (size_t i = 0; i < e->touched.count; i++) {
        struct data_job *job = e->touched.items[i];
        if (write_outputs(e, job, err))
            continue;
        revert_job(e, job, err);
        if (err->code == ERR_FATAL)
            return false;
    }
    return true;
}

bool engine_flush(struct engine *e, struct err *err)
{
    if (e->touched.count || e->event_count) {
        struct err why = {0};
        struct instant before = clock_now();
        bool ok = write_group(e, &why);
        (void)FAULT("group.written"); /* outputs are on disk, the store knows nothing of it */
        if (ok && store_group(e, &why))
            group_committed(e);
        else
            fail_group(e, &why);
        end_group(e);
        e->stats.sync_us += clock_now().mono_us - before.mono_us;
    }
    answer(e);
    if (e->fatal)
        *err = e->failure;
    return !e->fatal;
}

bool engine_store(struct engine *e, struct data_job *job, struct err *err)
{
    engine_touch(e, job);
    if (!engine_flush(e, err))
        return false;
    if (job->owed)
        *err = e->failure;
    return !job->owed;
}

void engine_retry(struct engine *e)
{
    if (e->retry_at_us > e->now.mono_us)
        return;
    e->retry_at_us = NEVER_US;
    for (size_t i = 0; i < e->jobs.count; i++)
        if (e->jobs.jobs[i]->owed)
            engine_touch(e, e->jobs.jobs[i]);
}
