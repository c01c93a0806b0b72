/* data_job.c: a data job's life between the ops: its beginning and end, its records' states, what
 * is stored and shown of it. What it opens is in data_job_files.c, how it reads in
 * data_job_reader.c. */
#include "engine/data_job.h"

#include "base/json.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "engine/error_line.h"
#include "engine/resume.h"

#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>

#define RATE_DECAY_US 10e6 /* the rate looks back about ten seconds */
#define RATE_FORGOTTEN 6   /* after so many times that, nothing of it counts */

struct data_job *data_job_new(void)
{
    struct data_job *job = xcalloc(1, sizeof *job);
    data_spec_init(&job->spec);
    job->row.kind = JOB_DATA;
    job->row.progress =
        (struct data_progress){.reading = {0, 0, 1}, .sink_bytes = -1, .errors_bytes = -1};
    job->ledger = ledger_new();
    job->leases = leases_new();
    job->attempts = attempts_new();
    job->in_hand = in_hand_new();
    for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
        buf_init(&job->notes[kind], BUF_NO_CAP);
    job->delays = delays_new();
    job->suspects = attempts_new();
    job->slots = slots_new();
    job->wake_us = NEVER_US;
    job->waiting_end = &job->waiting;
    job->reaching_end = &job->reaching;
    job->again_to = -1;
    job->record_bytes = 256;
    job->end_bytes = -1;
    buf_init(&job->bad_lines, BUF_NO_CAP);
    buf_init(&job->failure_lines, BUF_NO_CAP);
    return job;
}

void data_job_rest(struct data_job *job)
{
    int64_t size = 0;
    data_job_update_row(job);
    if (job->reader && (!job->at_end || !source_extent(job->reader, &size, &job->end_bytes)))
        job->end_bytes = -1;
    job->watched = false;
    source_free(TAKE(job->reader));
    source_free(TAKE(job->coming));
    source_free(TAKE(job->again));
    sink_free(TAKE(job->sink));
    sink_free(TAKE(job->errors));
    program_free(TAKE(job->feed_in));
    program_free(TAKE(job->feed_out));
    /* A set that is not whole is of no use, and that of a job that has ended is large. */
    if (job->resume || job_state_is_final(job->row.state))
        id_set_free(TAKE(job->ids));
    resume_free(TAKE(job->resume));
}

void data_job_free(struct data_job *job)
{
    if (!job)
        return;
    assert(!job->waiting && !job->reaching);
    data_job_rest(job);
    order_free(job->order);
    ledger_free(job->ledger);
    leases_free(job->leases);
    attempts_free(job->attempts);
    in_hand_free(job->in_hand);
    id_set_free(job->ids);
    for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
        buf_release(&job->notes[kind]);
    delays_free(job->delays);
    attempts_free(job->suspects);
    slots_free(job->slots);
    record_set_release(&job->slowed);
    share_release(&job->share);
    data_spec_release(&job->spec);
    job_row_release(&job->row);
    free(job->unreadable);
    free(job->out_name);
    free(job->errors_path);
    free(job->errors_name);
    buf_release(&job->bad_lines);
    buf_release(&job->failure_lines);
    free(job->tried);
    free(job->stored.sink_columns);
    free(job);
}

void data_job_give_up(struct data_job *job, const char *why)
{
    free(job->unreadable);
    free(job->row.failure);
    job->unreadable = xstrdup(why);
    job->row.failure = xasprintf("what is stored of the job cannot be read: %s", why);
    job->row.state = JOB_FAILED;
    ledger_clear(job->ledger);
    attempts_clear(job->attempts);
    struct log_line *line = log_begin(LOG_ERROR, "job.unreadable");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "reason", "%s", why);
    log_end(line);
}

bool data_job_allows(const struct data_job *job, const struct op_right *right)
{
    if (right->trusted)
        return true;
    if (!job->row.has_token)
        return !right->strict;
    return right->has_token &&
           sodium_memcmp(right->token_hash, job->row.token_hash, TOKEN_HASH_BYTES) == 0;
}

enum record_state data_job_set(struct data_job *job, int64_t record, enum record_state state)
{
    if (state == RECORD_UNREAD && record < job->unread_from)
        job->unread_from = record;
    if (state == RECORD_UNREAD)
        order_look_again(job->order, record);
    if (state != RECORD_SERVED)
        delays_remove(job->delays, record);
    return ledger_set(job->ledger, record, state);
}

void data_job_unserve(struct data_job *job)
{
    leases_clear(job->leases);
    slots_clear(job->slots);
    delays_clear(job->delays);
    attempts_clear(job->suspects);
    job->suspect_count = 0;
    record_set_release(&job->slowed);
    in_hand_clear(job->in_hand);
    ledger_unserve(job->ledger);
    job->unread_from = 0;
}

void data_job_end_lease(struct data_job *job, struct lease *lease)
{
    slots_leave(job->slots, lease_number(lease));
    if (lease_is_kept(lease))
        limits_wake(job);
    leases_end(job->leases, lease);
}

void data_job_note_tried(struct data_job *job, int64_t record)
{
    if (job->tried_count == job->tried_cap) {
        job->tried_cap = job->tried_cap ? job->tried_cap * 2 : 16;
        job->tried = xrealloc(job->tried, job->tried_cap * sizeof *job->tried);
    }
    job->tried[job->tried_count++] = record;
}

void data_job_set_attempts(struct data_job *job, int64_t record, int64_t attempts)
{
    attempts_set(job->attempts, record, attempts);
    data_job_note_tried(job, record);
}

/* A reason is JSON, a text or an object of `message` and `type`; else the plain text. */
static void write_reason(struct json_out *o, const char *reason, struct str json)
{
    struct str message = json, type;
    bool named = json.len && json_type_of(json) == JSON_OBJECT;
    if (named && !json_find(json, "message", &message))
        message = STR("null");
    json_out_name(o, "reason");
    if (json.len && json_type_of(message) != JSON_NULL)
        json_out_raw(o, message);
    else
        json_out_text(o, reason);
    if (!named || !json_find(json, "type", &type) || json_type_of(type) == JSON_NULL)
        return;
    json_out_name(o, "type");
    json_out_raw(o, type);
}

void data_job_error_line(const struct data_job *job, struct buf *out, const char *kind,
                         int64_t record, const char *file, int64_t line, const char *reason,
                         struct str reason_json, int64_t attempts, int64_t at_us)
{
    struct json_out o;
    if (job->spec.errors_records) {
        bool failed = strcmp(kind, "failed") == 0;
        const struct error_record told = {.record = failed ? record : -1,
                                          .type = failed ? NULL : kind,
                                          .reason = reason,
                                          .reason_json = reason_json,
                                          .file = file,
                                          .line = line,
                                          .attempts = attempts};
        error_record_line(job, out, &told, at_us);
        return;
    }
    char at[CLOCK_TEXT_SIZE];
    clock_text(at_us, at);
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "record");
    json_out_i64(&o, record);
    json_out_name(&o, "kind");
    json_out_text(&o, kind);
    write_reason(&o, reason, reason_json);
    if (!file && data_spec_input_count(&job->spec) == 1)
        file = job->spec.source_path;
    if (file) {
        json_out_name(&o, "file");
        json_out_text(&o, file);
    }
    if (line > 0) {
        json_out_name(&o, "line");
        json_out_i64(&o, line);
    }
    if (attempts > 0) {
        json_out_name(&o, "attempts");
        json_out_i64(&o, attempts);
    }
    json_out_name(&o, "at");
    json_out_text(&o, at);
    json_out_close(&o, '}');
    buf_add_char(out, '\n');
}

void data_job_note_bad(const struct engine *e, struct data_job *job,
                       const struct source_record *record, const char *type)
{
    job->live.bad++;
    if (job->spec.errors_records) {
        const struct error_record told = {.record = -1,
                                          .type = type,
                                          .reason = record->reason,
                                          .file = record->file,
                                          .line = record->line,
                                          .original = record->json};
        error_record_line(job, &job->bad_lines, &told, e->now.wall_us);
        return;
    }
    data_job_error_line(job, &job->bad_lines, "unreadable", record->number, record->file,
                        record->line, record->reason, (struct str){0}, 0, e->now.wall_us);
}

void data_job_update_row(struct data_job *job)
{
    struct data_progress *p = &job->row.progress;
    p->known = ledger_known(job->ledger);
    p->written = job->live.written;
    p->repeats = job->live.repeats;
    p->bad_records = job->live.bad;
    p->skipped = job->live.skipped;
    if (job->reader)
        p->reading = source_place(job->reader);
    if (job->errors)
        p->errors_bytes = sink_length(job->errors);
    if (!job->sink)
        return;
    p->sink_bytes = sink_length(job->sink);
    p->tail_bytes = p->sink_bytes - sink_synced(job->sink);
    const char *columns = sink_columns(job->sink);
    bool same = columns && p->sink_columns && strcmp(columns, p->sink_columns) == 0;
    if (same)
        return;
    free(p->sink_columns);
    p->sink_columns = xstrdup_or_null(columns);
}

void data_job_note_stored(struct data_job *job, const struct job_row *row)
{
    const struct data_progress *p = &row->progress;
    char *columns = TAKE(job->stored.sink_columns);
    if (!columns || !p->sink_columns || strcmp(columns, p->sink_columns) != 0) {
        free(columns);
        columns = xstrdup_or_null(p->sink_columns);
    }
    job->stored = *p;
    job->stored.sink_columns = columns;
    job->stored_state = row->state;
    job->owed = false;
}

void data_job_count_rate(struct data_job *job, int64_t settled, int64_t mono_us)
{
    double past = (double)(mono_us - job->rate_at_us) / RATE_DECAY_US;
    if (job->rate_at_us == 0 || past > RATE_FORGOTTEN) {
        /* What came in at the first moment took an unknown time: only what follows is counted. */
        job->rate = 0;
        job->rate_at_us = job->rate_since_us = mono_us;
        return;
    }
    job->rate = job->rate * exp(-past) + (double)settled * 1e6 / RATE_DECAY_US;
    job->rate_at_us = mono_us;
}

/* A mean over the time that is looked back on has seen only a part of it at the beginning, and
 * would be too small by that part. */
static double rate_now(const struct data_job *job, int64_t mono_us)
{
    double past = (double)(mono_us - job->rate_at_us) / RATE_DECAY_US;
    double seen = 1 - exp(-(double)(mono_us - job->rate_since_us) / RATE_DECAY_US);
    if (job->rate_at_us == 0 || past > RATE_FORGOTTEN || seen <= 0)
        return 0;
    double rate = job->rate * exp(-past) / seen;
    return rate < 1e-3 ? 0 : rate;
}

/* How many records there are: known when the end was met, else by the share of bytes read. */
static int64_t estimate_total(const struct data_job *job)
{
    int64_t known = ledger_known(job->ledger), size = 0, at = 0;
    if (job->exhausted || job->at_end || job->row.state == JOB_COMPLETED)
        return known;
    if (!job->reader || !source_extent(job->reader, &size, &at) || at <= 0 || known == 0)
        return -1;
    return size <= at ? known : (int64_t)((double)known * ((double)size / (double)at));
}

static void view_workers(const struct data_job *job, struct job_view *out)
{
    int64_t leases = leases_count(job->leases);
    out->workers = xcalloc((size_t)leases + 1, sizeof *out->workers);
    for (int64_t i = 0; i < leases; i++) {
        const struct lease *lease = leases_at(job->leases, (size_t)i);
        if (!lease_is_kept(lease))
            continue;
        out->workers[out->worker_count++] = (struct worker_view){
            xstrdup(lease_worker(lease)), lease_open(lease),
            job->spec.concurrency > 0 ? slots_share(job->slots, lease_number(lease)) : -1};
    }
}

void data_job_view(const struct data_job *job, struct instant now, struct job_view *out)
{
    const struct job_row *row = &job->row;
    *out = (struct job_view){
        .id = row->id,
        .name = xstrdup(row->name),
        .kind = row->kind,
        .state = row->state,
        .paused = row->paused,
        .has_token = row->has_token,
        .failure = xstrdup_or_null(row->failure),
        .created_at_us = row->created_at_us,
        .started_at_us = row->started_at_us,
        .ended_at_us = row->ended_at_us,
        .known = ledger_known(job->ledger),
        .served = ledger_count(job->ledger, RECORD_SERVED),
        .done = ledger_count(job->ledger, RECORD_DONE),
        .failed = ledger_count(job->ledger, RECORD_FAILED),
        .unread = ledger_count(job->ledger, RECORD_UNREAD),
        .bad = job->live.bad,
        .repeats = job->live.repeats,
        .written = job->live.written,
        .held = order_count(job->order),
        .skipped = job->live.skipped,
        .retried = job->live.retried,
        .done_before = row->progress.done_before,
        .duplicates = row->progress.duplicates,
        .left_out = row->progress.left_out,
        .no_id = row->progress.no_id,
        .waiting = delays_count(job->delays),
        .pace = {job->pace.rpm, job->pace.lowest_rpm, job->pace.halved, job->pace.throttled},
        .leases = leases_count(job->leases),
        .exhausted = job->exhausted,
        .total = estimate_total(job),
        .eta_s = -1,
        .tail = job->tail[0] ? xstrdup(job->tail) : NULL,
    };
    data_spec_copy(&out->spec, &job->spec);
    view_workers(job, out);
    if (!job->unreadable && (out->failed || job->bad_lines.len || row->progress.errors_bytes > 0))
        out->errors_path = xstrdup(job->errors_path);
    out->rate = rate_now(job, now.mono_us);
    if (out->total >= 0 && out->rate > 0)
        out->eta_s = (double)(out->total - out->done - out->failed) / out->rate;
}
