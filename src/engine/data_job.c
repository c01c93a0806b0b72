/* data_job.c: a data job's life between the ops: opening what it needs, reading, counting. */
#include "engine/data_job.h"

#include "base/json.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "engine/error_file.h"
#include "engine/error_line.h"
#include "engine/identity.h"
#include "engine/resume.h"
#include "store/tail_store.h"

#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SERVED_STRIDE = 65536,   /* how far the stored bound of what may be served runs ahead */
    BAD_LINES_MAX = 1 << 20, /* bytes for the error file that may wait */
    SLICE_BYTES = 2 << 20    /* about 10 ms of decompression */
};
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

static char *spool_path(const struct engine *e, const struct data_job *job, const char *what)
{
    return xasprintf("%s/job-%lld.%s", e->state_dir, (long long)job->row.id, what);
}

void data_job_source_spec(const struct engine *e, const struct data_job *job,
                          struct data_spec *spec)
{
    data_spec_copy(spec, &job->spec);
    if (spec->source_format != FORMAT_PROGRAM)
        return;
    spec->source_format = FORMAT_JSONL;
    free(spec->source_path);
    spec->source_path = spool_path(e, job, "in.jsonl");
}

void data_job_sink_spec(const struct engine *e, const struct data_job *job, struct data_spec *spec)
{
    data_spec_copy(spec, &job->spec);
    if (spec->sink_format != FORMAT_PROGRAM)
        return;
    spec->sink_format = FORMAT_JSONL;
    spec->sink_overwrite = true;
    free(spec->sink_path);
    spec->sink_path = spool_path(e, job, "out.jsonl");
}

/* The folders that one end of the job lives in. */
static const struct folders *folders_of(const struct engine *e, enum data_format format)
{
    return format == FORMAT_PROGRAM ? e->state_folders : e->options.folders;
}

bool data_job_open_source(struct engine *e, struct data_job *job, struct source **out,
                          struct err *err)
{
    struct data_spec spec;
    data_job_source_spec(e, job, &spec);
    OWNED(source) struct source *source = NULL;
    bool ok = source_open(&spec, folders_of(e, job->spec.source_format), &source, err);
    data_spec_release(&spec);
    struct data_progress *p = &job->row.progress;
    char print[65];
    int64_t bytes = 0;
    if (!ok)
        return false;
    /* A program's spool is compared as it is written again; a print of no bytes says nothing. */
    if (job->spec.source_format != FORMAT_PROGRAM) {
        if (!source_fingerprint(source, p->source_print_bytes, print, &bytes, err))
            return false;
        if (p->source_print_bytes && strcmp(print, p->source_print) != 0)
            return err_set(err, ERR_CONFLICT,
                           "%s is not the file that job %s was started on: its first %lld bytes "
                           "are others",
                           source_name(source), job->row.name, (long long)bytes);
        memcpy(p->source_print, print, sizeof p->source_print);
        p->source_print_bytes = bytes;
        if (job->row.inputs && !source_check_inputs(source, job->row.inputs, err))
            return err_add(err, "job %s", job->row.name);
    }
    *out = TAKE(source);
    return true;
}

int64_t data_job_slice_bytes(const struct engine *e)
{
    return e->options.slice_bytes > 0 ? e->options.slice_bytes : SLICE_BYTES;
}

void data_job_begin_slice(struct engine *e, struct data_job *job)
{
    struct source *const sources[] = {job->reader, job->coming, job->again};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (sources[i])
            source_allow(sources[i], data_job_slice_bytes(e));
}

/* Moves the coming reader on by what is left of the slice. */
static bool come_nearer(struct data_job *job, struct err *err)
{
    struct source *s = job->coming;
    if (!job->coming_seeked && !source_seek(s, job->row.progress.reading, err))
        return false;
    job->coming_seeked = job->coming_seeked || !source_paused(s);
    if (!job->coming_seeked)
        return true;
    if (!source_skip_to(s, ledger_known(job->ledger), err))
        return false;
    if (!source_paused(s))
        job->reader = TAKE(job->coming);
    return true;
}

bool data_job_need_reader(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->reader)
        return true;
    if (!job->coming) {
        if (!data_job_open_source(e, job, &job->coming, err))
            return false;
        source_allow(job->coming, data_job_slice_bytes(e));
        job->coming_seeked = false;
    }
    if (come_nearer(job, err))
        return true;
    source_free(TAKE(job->coming));
    return false;
}

bool data_job_still_ended(struct engine *e, struct data_job *job, bool *ended, struct err *err)
{
    int64_t size = 0, at = 0;
    *ended = false;
    if (job->row.state != JOB_COMPLETED || job->reader || job->end_bytes < 0)
        return true;
    OWNED(source) struct source *source = NULL;
    if (!data_job_open_source(e, job, &source, err))
        return false;
    *ended = source_extent(source, &size, &at) && size == job->end_bytes;
    return true;
}

bool data_job_check_input(struct engine *e, struct data_job *job, struct err *err)
{
    OWNED(source) struct source *source = NULL;
    return data_job_open_source(e, job, &source, err);
}

bool data_job_must_list(const struct data_job *job)
{
    return job->bad_lines.len > BAD_LINES_MAX;
}

bool data_job_tidy_up(struct engine *e, struct data_job *job)
{
    if (!job->untidy || job->owed || job->bad_lines.len || job->failure_lines.len)
        return false;
    job->untidy = false;
    /* What is written to is let go of: files may be made anew. */
    data_job_update_row(job);
    sink_free(TAKE(job->sink));
    sink_free(TAKE(job->errors));
    resume_begin(e, job, RESUME_TIDY_UP);
    return true;
}

bool data_job_need_programs(struct engine *e, struct data_job *job, struct err *err)
{
    struct program_end end;
    if (job->spec.source_format == FORMAT_PROGRAM && !job->feed_in) {
        if (!programs_find(e->options.readers, job->spec.source_program, &end))
            return err_set(err, ERR_INVALID,
                           "no reader is named %s: start the server with "
                           "--reader %s=COMMAND",
                           job->spec.source_program, job->spec.source_program);
        OWNED_MEM char *path = spool_path(e, job, "in.jsonl");
        if (!program_start_reader(&end, path, e->options.wake, e->options.wake_context,
                                  &job->feed_in, err))
            return err_add(err, "reader %s", job->spec.source_program);
        program_consumed(job->feed_in, job->row.progress.reading.bytes);
    }
    if (job->spec.sink_format == FORMAT_PROGRAM && !job->feed_out) {
        if (!programs_find(e->options.writers, job->spec.sink_program, &end))
            return err_set(err, ERR_INVALID,
                           "no writer is named %s: start the server with "
                           "--writer %s=COMMAND",
                           job->spec.sink_program, job->spec.sink_program);
        OWNED_MEM char *path = spool_path(e, job, "out.jsonl");
        int64_t bytes = job->row.progress.sink_bytes;
        if (!program_start_writer(&end, path, bytes < 0 ? 0 : bytes, e->options.wake,
                                  e->options.wake_context, &job->feed_out, err))
            return err_add(err, "writer %s", job->spec.sink_program);
    }
    return true;
}

bool data_job_load_tail(struct engine *e, const struct data_job *job, struct buf *out,
                        struct err *err)
{
    const struct data_progress *p = &job->row.progress;
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) &&
           tail_store_load(tx, job->row.id, p->sink_bytes - p->tail_bytes, p->sink_bytes, out, err);
}

static bool load_seal(struct engine *e, const struct data_job *job, struct sink_seal *out,
                      struct err *err)
{
    OWNED_BUF struct buf bytes;
    OWNED(tx) struct tx *tx = NULL;
    buf_init(&bytes, SINK_SEAL_BYTES);
    if (job->spec.id_key)
        return true;
    if (!tx_begin(e->store, &tx, err) ||
        !tail_store_load_seal(tx, job->row.id, &out->end_bytes, &bytes, err))
        return false;
    out->len = bytes.len;
    if (bytes.len)
        memcpy(out->bytes, bytes.data, bytes.len);
    return true;
}

bool data_job_need_sink(struct engine *e, struct data_job *job, struct err *err)
{
    if (identity_ready(job) && !job->resume)
        return data_job_open_sink(e, job, err);
    if (!job->resume)
        resume_begin(e, job, RESUME_GO_ON);
    return err_set(err, ERR_BUSY, "the output of job %s is being looked through: try again",
                   job->row.name);
}

bool data_job_open_sink(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->sink)
        return true;
    if (job->spec.sink_path && !job->out_name)
        return err_set(err, ERR_CONFLICT,
                       "the output of job %s cannot be used: its folder is gone, "
                       "or another job has taken it over",
                       job->row.name);
    struct data_spec spec;
    data_job_sink_spec(e, job, &spec);
    const struct data_progress *p = &job->row.progress;
    OWNED_BUF struct buf tail;
    buf_init(&tail, BUF_NO_CAP);
    if (p->tail_bytes && !data_job_load_tail(e, job, &tail, err)) {
        data_spec_release(&spec);
        return false;
    }
    /* The output of a job that ended while it could not be reached is still to be brought up. */
    struct sink_start start = {.committed_bytes = p->sink_bytes,
                               .columns = p->sink_columns,
                               .tail = buf_str(&tail),
                               .rested = job_state_is_final(job->stored_state) && !tail.len};
    if (!load_seal(e, job, &start.seal, err)) {
        data_spec_release(&spec);
        return false;
    }
    job->sealed_bytes = -1;
    bool ok = sink_open(&spec, folders_of(e, job->spec.sink_format), &start, &job->sink, err);
    data_spec_release(&spec);
    return ok;
}

/* The error file stands beside the output, or, when there is none, in the state folder. */
const struct folders *data_job_errors_folders(const struct engine *e, const struct data_spec *spec)
{
    bool named = spec->errors_path;
    bool beside_output =
        named || spec->sink_format == FORMAT_JSONL || spec->sink_format == FORMAT_CSV;
    return beside_output ? e->options.folders : e->state_folders;
}

bool engine_open_errors(const struct engine *e, const struct job_view *view, int *fd,
                        struct err *err)
{
    if (!view->errors_path)
        return err_set(err, ERR_NOT_FOUND, "job %s has no failed records", view->name);
    return folders_open(data_job_errors_folders(e, &view->spec), view->errors_path, O_RDONLY, fd,
                        NULL, err);
}

bool data_job_need_errors(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->errors)
        return true;
    /* What was not there at the start may be by now. */
    const struct folders *folders = data_job_errors_folders(e, &job->spec);
    if (job->row.progress.errors_bytes < 0 && folders != e->state_folders &&
        !error_file_may_begin(folders, job->errors_path, err))
        return false;
    struct data_spec spec;
    data_spec_init(&spec);
    spec.sink_format = FORMAT_JSONL;
    spec.sink_overwrite = !job->spec.errors_records;
    spec.sink_path = xstrdup(job->errors_path);
    struct sink_start start = {.committed_bytes = job->row.progress.errors_bytes};
    bool ok = sink_open(&spec, folders, &start, &job->errors, err);
    data_spec_release(&spec);
    return ok || err_add(err, "error file");
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

/* Who reads on moves the bound below which records may be in somebody's hands, in strides, so that
 * it is stored seldom. */
static void raise_served_below(struct data_job *job)
{
    int64_t known = ledger_known(job->ledger);
    if (known > job->row.progress.served_below)
        job->row.progress.served_below = known + SERVED_STRIDE;
}

/* What reading this record has taken of a slice at most: as stored and decompressed, with its line
 * end. */
static int64_t cost_of(const struct source_record *record)
{
    return 2 * (int64_t)record->json.len + 16;
}

enum source_got data_job_read(struct engine *e, struct data_job *job, enum record_state state,
                              struct source_record *out, struct err *err)
{
    struct place place = {0};
    if (ledger_known(job->ledger) % LEDGER_PAGE_RECORDS == 0)
        place = source_place(job->reader);
    enum source_got got = source_next(job->reader, out, err);
    job->at_end = got == SOURCE_END || got == SOURCE_TAIL;
    if (got == SOURCE_RECORD || got == SOURCE_BAD) {
        assert(out->number == ledger_known(job->ledger));
        unsigned known = 0;
        if (got == SOURCE_BAD) {
            state = RECORD_FAILED;
            data_job_note_bad(e, job, out, "unreadable");
        } else if (job->ids) {
            got = identity_judge(e, job, out, &known, &state);
        }
        if (got == SOURCE_RECORD)
            got = share_judge(job, out->number, known, &state);
        ledger_append(job->ledger, place, state);
        job->exhausted = false;
        job->tail[0] = '\0';
        raise_served_below(job);
    }
    if (got == SOURCE_RECORD && state == RECORD_SERVED) {
        source_allow_more(job->reader, cost_of(out));
        identity_remember(job, out);
    }
    if (got == SOURCE_TAIL)
        snprintf(job->tail, sizeof job->tail, "line %lld: %s", (long long)out->line, out->reason);
    return got;
}

/* Goes where the record begins. SOURCE_RECORD: it is there. */
static enum source_got go_again(struct data_job *job, int64_t record, struct place place,
                                struct err *err)
{
    struct source *s = job->again;
    int64_t next = job->again_next;
    bool on_its_way = job->again_to == record;
    /* Wherever it stands after a failure or a pause for another record, seek first. */
    job->again_next = INT64_MAX;
    job->again_to = -1;
    if (!on_its_way && (next > record || next < place.record)) {
        if (!source_seek(s, place, err))
            return SOURCE_FAILED;
        if (source_paused(s))
            return SOURCE_PAUSE;
    }
    if (!source_skip_to(s, record, err))
        return SOURCE_FAILED;
    job->again_to = record;
    return source_paused(s) ? SOURCE_PAUSE : SOURCE_RECORD;
}

enum source_got data_job_read_again(struct engine *e, struct data_job *job, int64_t record,
                                    struct source_record *out, struct err *err)
{
    struct place place = ledger_place(job->ledger, record);
    if (!job->again) {
        if (!data_job_open_source(e, job, &job->again, err))
            return SOURCE_FAILED;
        source_allow(job->again, data_job_slice_bytes(e));
        job->again_next = INT64_MAX;
        job->again_to = -1;
    }
    enum source_got got = go_again(job, record, place, err);
    if (got == SOURCE_RECORD)
        got = source_next(job->again, out, err);
    if (got == SOURCE_PAUSE)
        return got;
    job->again_to = -1;
    if (got == SOURCE_FAILED)
        return got;
    if ((got != SOURCE_RECORD && got != SOURCE_BAD) || out->number != record) {
        err_set(err, ERR_CONFLICT, "%s does not hold record %lld any more: it was changed",
                source_name(job->again), (long long)record);
        return SOURCE_FAILED;
    }
    job->again_next = record + 1;
    source_allow_more(job->again, cost_of(out));
    if (got == SOURCE_BAD) {
        data_job_set(job, record, RECORD_FAILED);
        data_job_note_bad(e, job, out, "unreadable");
    } else {
        identity_remember(job, out);
    }
    return got;
}

bool data_job_reach(struct engine *e, struct data_job *job, int64_t record, bool *paused,
                    struct err *err)
{
    *paused = false;
    if (record < ledger_known(job->ledger))
        return true;
    data_job_begin_slice(e, job);
    if (!data_job_need_reader(e, job, err))
        return false;
    struct source_record got;
    while (ledger_known(job->ledger) <= record) {
        *paused = !job->reader || data_job_must_list(job);
        if (*paused)
            return true;
        switch (data_job_read(e, job, RECORD_UNREAD, &got, err)) {
        case SOURCE_FAILED:
            return false;
        case SOURCE_RECORD:
            if (got.number < job->unread_from)
                job->unread_from = got.number;
            break;
        case SOURCE_BAD:
            break;
        case SOURCE_PAUSE:
            *paused = true;
            return true;
        case SOURCE_TAIL:
        case SOURCE_END:
            return true;
        }
    }
    return true;
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
