/* start.c: making a job, or starting an old one again.
 *
 * Everything is looked at before anything is changed: the input is opened, the output's path
 * resolved and compared with those of the other jobs. The change itself is one store transaction;
 * memory follows it. */
#include "base/json.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "engine/error_file.h"
#include "engine/held_lines.h"
#include "engine/resume.h"
#include "io/csv_header.h"
#include "store/ledger_store.h"
#include "store/tail_store.h"

#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What was found out about the two ends of a job. */
struct ends {
    char *out_name; /* normal form of the output's path, NULL */
    char print[65];
    int64_t print_bytes;
    char *inputs; /* see source_inputs; NULL */
};

static void ends_release(struct ends *ends)
{
    free(ends->out_name);
    free(ends->inputs);
}

static bool check_program(const struct programs *programs, const char *name, const char *what,
                          struct op *op)
{
    struct program_end end;
    if (programs_find(programs, name, &end))
        return true;
    op_refuse(op, REFUSED_NO_PROGRAM, ERR_INVALID,
              "no %s is named %s: the server knows those of its --%s options", what, name, what);
    return false;
}

static bool look_at_input(struct engine *e, struct op *op, struct ends *ends)
{
    const struct data_spec *spec = op->start.spec;
    if (spec->source_format == FORMAT_NONE)
        return true;
    if (spec->source_format == FORMAT_PROGRAM)
        return check_program(e->options.readers, spec->source_program, "reader", op);
    OWNED(source) struct source *source = NULL;
    if (!source_open(spec, e->options.folders, &source, &op->err) ||
        !source_fingerprint(source, 0, ends->print, &ends->print_bytes, &op->err) ||
        !source_inputs(source, &ends->inputs, &op->err)) {
        op->refusal = REFUSED_INPUT;
        return false;
    }
    return true;
}

/* Whether the job writes to the file of this normal form, be it by another name: hard links are
 * rare, and only for them are the files of other jobs looked at. */
static bool writes_to(const struct engine *e, const struct data_job *job, const char *out_name,
                      const struct file_id *id)
{
    struct file_id other;
    if (!job->out_name)
        return false;
    return strcmp(job->out_name, out_name) == 0 ||
           (id->many_names && folders_file_id(e->options.folders, job->spec.sink_path, &other) &&
            file_id_same(id, &other));
}

/* The job that writes to this output, other than `but` (may be NULL); NULL when none does. */
static struct data_job *writer_of(const struct engine *e, const char *sink_path,
                                  const char *out_name, const struct data_job *but)
{
    struct file_id id = {0};
    (void)folders_file_id(e->options.folders, sink_path, &id); /* missing: it has no other name */
    for (size_t i = 0; i < e->jobs.count; i++)
        if (e->jobs.jobs[i] != but && writes_to(e, e->jobs.jobs[i], out_name, &id))
            return e->jobs.jobs[i];
    return NULL;
}

static char *errors_path_of(const struct data_spec *spec)
{
    if (spec->errors_path)
        return xstrdup(spec->errors_path);
    return xasprintf("%s.errors.jsonl", spec->sink_path);
}

/* What the job reads must be neither what it writes nor the list of its failures. The input exists,
 * so that it is compared as a file and not by its names. */
static bool check_input_apart(struct engine *e, struct op *op, const char *source_path,
                              const char *errors_path)
{
    const struct data_spec *spec = op->start.spec;
    const struct folders *folders = e->options.folders;
    struct file_id in, other;
    if (!folders_file_id(folders, source_path, &in))
        return true;
    if (folders_file_id(folders, spec->sink_path, &other) && file_id_same(&in, &other))
        op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID, "%s cannot be input and output at once",
                  spec->sink_path);
    else if (folders_file_id(folders, errors_path, &other) && file_id_same(&in, &other))
        op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID,
                  "%s would be overwritten: failures of a job that writes %s are listed in it",
                  source_path, spec->sink_path);
    else
        return true;
    return false;
}

/* An error file is made anew by each job: it must be nobody's output, and no file of the user's. */
static bool check_errors_apart(struct engine *e, struct op *op, const struct data_job *old,
                               const char *out_name)
{
    const char *sink_path = op->start.spec->sink_path;
    OWNED_MEM char *errors_path = errors_path_of(op->start.spec);
    OWNED_MEM char *errors_name = NULL;
    for (size_t i = 0; i < data_spec_input_count(op->start.spec); i++)
        if (!check_input_apart(e, op, data_spec_input(op->start.spec, i), errors_path))
            return false;
    if (!folders_name(e->options.folders, errors_path, &errors_name, &op->err))
        return err_add(&op->err, "error file");
    if (strcmp(errors_name, out_name) == 0) {
        op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID, "%s and its error file are one file",
                  sink_path);
        return false;
    }
    const struct data_job *writer = writer_of(e, errors_path, errors_name, old);
    if (writer) {
        op_refuse(op, REFUSED_OUTPUT_TAKEN, ERR_CONFLICT,
                  "%s, where failures would be listed, is the output of job %s", errors_path,
                  writer->row.name);
        return false;
    }
    for (size_t i = 0; i < e->jobs.count; i++) {
        const struct data_job *job = e->jobs.jobs[i];
        if (job == old || !job->errors_name || strcmp(job->errors_name, out_name) != 0)
            continue;
        op_refuse(op, REFUSED_OUTPUT_TAKEN, ERR_CONFLICT, "%s is the error file of job %s",
                  sink_path, job->row.name);
        return false;
    }
    /* A job that goes on writes behind what it has listed. */
    bool begun = old && !op->start.clean_start && old->row.progress.errors_bytes >= 0;
    return begun || error_file_may_begin(e->options.folders, errors_path, &op->err);
}

static bool look_at_output(struct engine *e, struct op *op, const struct data_job *old,
                           struct ends *ends)
{
    const struct data_spec *spec = op->start.spec;
    if (spec->sink_format == FORMAT_NONE)
        return true;
    if (spec->sink_format == FORMAT_PROGRAM)
        return check_program(e->options.writers, spec->sink_program, "writer", op);
    struct sink_start start = {.committed_bytes = -1};
    OWNED(sink) struct sink *trial = NULL;
    if (!folders_name(e->options.folders, spec->sink_path, &ends->out_name, &op->err) ||
        !sink_open(spec, e->options.folders, &start, &trial, &op->err) ||
        !check_errors_apart(e, op, old, ends->out_name))
        return false;
    struct data_job *writer = writer_of(e, spec->sink_path, ends->out_name, NULL);
    bool again = op->start.clean_start || op->start.repair || op->start.resume;
    /* Its own output is no obstacle to a job; that its name is taken comes after. */
    if (!writer || (writer == old && (again || op->start.force_overwrite)))
        return true;
    if (writer != old && op->start.force_overwrite && job_state_is_final(writer->row.state))
        return true;
    op_refuse(op, REFUSED_OUTPUT_TAKEN, ERR_CONFLICT, "%s is the output of job %s (%s)",
              spec->sink_path, writer->row.name, job_state_name(writer->row.state));
    return false;
}

static char *spec_text(const struct data_spec *spec)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    data_spec_write(spec, &text);
    return buf_take(&text);
}

static void set_errors_path(struct engine *e, struct data_job *job)
{
    struct err unreachable;
    free(job->errors_path);
    free(TAKE(job->errors_name));
    if (job->spec.sink_path || job->spec.errors_path) {
        job->errors_path = errors_path_of(&job->spec);
        /* A folder that is gone has no error file that somebody could write to. */
        (void)!folders_name(e->options.folders, job->errors_path, &job->errors_name, &unreachable);
    } else {
        job->errors_path =
            xasprintf("%s/job-%lld.errors.jsonl", e->state_dir, (long long)job->row.id);
    }
}

static bool uses_programs(const struct data_spec *spec)
{
    return spec->source_format == FORMAT_PROGRAM || spec->sink_format == FORMAT_PROGRAM;
}

/* Puts the new spec, token and ends into a job. */
static void adopt(struct engine *e, struct data_job *job, const struct op *op, struct ends *ends)
{
    data_spec_release(&job->spec);
    data_spec_copy(&job->spec, op->start.spec);
    limits_set(job);
    free(job->row.spec);
    job->row.spec = spec_text(&job->spec);
    free(job->out_name);
    job->out_name = TAKE(ends->out_name);
    memcpy(job->row.progress.source_print, ends->print, sizeof ends->print);
    job->row.progress.source_print_bytes = ends->print_bytes;
    free(job->row.inputs);
    job->row.inputs = TAKE(ends->inputs);
    order_fit(e, job);
    if (op->start.set_token) {
        job->row.has_token = true;
        memcpy(job->row.token_hash, op->start.token_hash, TOKEN_HASH_BYTES);
    }
    set_errors_path(e, job);
    free(TAKE(job->unreadable));
}

/* A job whose output was taken over never writes to it again. Errors: ERR_FATAL. */
static bool take_output_over(struct engine *e, const struct data_job *job, struct err *err)
{
    struct data_job *other = NULL;
    while (job->out_name && (other = writer_of(e, job->spec.sink_path, job->out_name, job))) {
        if (other->row.progress.tail_bytes && !engine_flush_output(e, other, err))
            return false;
        data_job_rest(other);
        free(TAKE(other->out_name));
        other->row.progress.sink_bytes = -1;
        other->row.progress.tail_bytes = 0;
        struct err ignored;
        if (!engine_move(e, other, JOB_CANCEL, &ignored))
            engine_touch(e, other);
    }
    return true;
}

static bool insert_job(struct engine *e, struct data_job *job, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    job->row.id = e->last_id + 1; /* tasks have ids of the same sequence */
    if (!tx_begin(e->store, &tx, err) || !job_store_insert(tx, &job->row, 1, err) ||
        !tx_commit(tx, err))
        return false;
    e->last_id++;
    return true;
}

static void remove_spool(const struct engine *e, const struct data_job *job, const char *what)
{
    OWNED_MEM char *name = xasprintf("job-%lld.%s", (long long)job->row.id, what);
    unlinkat(e->state_fd, name, 0);
}

void engine_remove_spools(const struct engine *e, const struct data_job *job)
{
    remove_spool(e, job, "in.jsonl");
    remove_spool(e, job, "out.jsonl");
    remove_spool(e, job, "errors.jsonl");
}

/* What has to be known before the first record is served. */
static void look_through(struct engine *e, struct data_job *job, const struct op *op, bool afresh)
{
    bool list = op->start.resume && job->spec.errors_records;
    bool choice = op->start.portion.sample > 0 || op->start.portion.only_failed;
    if ((job->spec.id_key && afresh) || list || choice)
        resume_begin(e, job, RESUME_FRESH);
}

static enum op_fate start_new(struct engine *e, struct op *op, struct ends *ends)
{
    OWNED(data_job) struct data_job *job = data_job_new();
    job->row.name = xstrndup(op->job.name.ptr, op->job.name.len);
    job->row.state = JOB_PENDING;
    job->row.created_at_us = e->now.wall_us;
    adopt(e, job, op, ends);
    if (!engine_flush(e, &op->err) || !insert_job(e, job, &op->err))
        return FATE_NOW;
    data_job_note_stored(job, &job->row);
    set_errors_path(e, job);
    engine_remove_spools(e, job); /* of an earlier job of this id, should one have been left */
    op->start.job_id = job->row.id;
    struct data_job *added = TAKE(job);
    job_table_add(&e->jobs, added);
    e->programs += uses_programs(&added->spec);
    if (!take_output_over(e, added, &op->err))
        return FATE_NOW;
    share_begin(added, &op->start.portion);
    look_through(e, added, op, true);
    engine_event(e, added, "job.created", str_of(added->row.spec));
    LOG1(LOG_INFO, "job.created", "job", "%s", added->row.name);
    return FATE_DURABLE;
}

static bool same_kind(const struct data_spec *before, const struct data_spec *now)
{
    return before->source_format == now->source_format &&
           (before->source_format != FORMAT_CSV || before->chunk_rows == now->chunk_rows);
}

/* Whether the input's bytes begin as they did: a file that has grown is compared as far as it was
 * looked at then. */
static bool same_beginning(struct source *source, const struct data_job *job, bool *same,
                           struct err *err)
{
    const struct data_progress *p = &job->row.progress;
    char print[65];
    int64_t bytes = 0;
    *same = true;
    if (p->source_print_bytes <= 0)
        return true;
    if (!source_fingerprint(source, p->source_print_bytes, print, &bytes, err))
        return false;
    *same = strcmp(print, p->source_print) == 0;
    return true;
}

static bool same_file(struct engine *e, const struct data_job *job, const struct data_spec *spec,
                      bool *same, struct err *err)
{
    OWNED(source) struct source *source = NULL;
    return source_open(spec, e->options.folders, &source, err) &&
           (!job->row.inputs || source_check_inputs(source, job->row.inputs, err)) &&
           same_beginning(source, job, same, err);
}

/* A repair goes on with the same input; the name of its file may have changed. */
static bool same_input(struct engine *e, const struct data_job *job, const struct op *op,
                       struct err *err)
{
    const struct data_spec *spec = op->start.spec;
    bool several = job->row.inputs && !csv_header_is_text(job->row.inputs);
    bool same = several || same_kind(&job->spec, spec);
    bool has_file = spec->source_format != FORMAT_NONE && spec->source_format != FORMAT_PROGRAM;
    if (same && has_file && !same_file(e, job, spec, &same, err))
        return false;
    if (same)
        return true;
    return err_set(err, ERR_CONFLICT,
                   "job %s was started on another input: start it clean, or under another name",
                   job->row.name);
}

void engine_reopen(struct engine *e, struct data_job *job, bool with_failed)
{
    struct err ignored;
    data_job_unserve(job);
    if (with_failed) {
        for (int64_t record = 0; record < ledger_known(job->ledger); record++)
            if (attempts_get(job->attempts, record))
                data_job_set_attempts(job, record, 0);
        ledger_unfail(job->ledger);
        order_look_again(job->order, 0);
        job->live.bad = 0;
    }
    job->exhausted = false;
    engine_touch(e, job);
    free(TAKE(job->row.failure));
    if (!engine_move(e, job, JOB_REOPEN, &ignored))
        LOG1(LOG_WARN, "job.not-reopened", "reason", "%s", ignored.text);
}

static bool forget_notes(struct tx *tx, int64_t job_id, bool skipped, bool written, struct err *err)
{
    return (!skipped || note_store_clear(tx, job_id, NOTE_SKIPPED, err)) &&
           (!written || note_store_clear(tx, job_id, NOTE_WRITTEN, err));
}

/* What was held under the numbers of before. */
static bool load_held(struct engine *e, struct data_job *job, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && order_load(e, job, tx, err) && tx_commit(tx, err);
}

/* All that is known of the records; with `go_on` not what stands in the output, nor the notes but
 * for those of `retry_skipped`. */
static bool forget_records(struct engine *e, struct data_job *job, bool go_on, bool retry_skipped,
                           struct err *err)
{
    data_job_rest(job);
    if (!go_on && !held_lines_restore(e, job, err))
        return false;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !ledger_store_clear(tx, job->row.id, err) ||
        !(go_on ? held_store_park : held_store_clear)(tx, job->row.id, err) ||
        !forget_notes(tx, job->row.id, !go_on || retry_skipped, !go_on, err) ||
        !tail_store_drop(tx, job->row.id, INT64_MAX, err))
        return false;
    struct data_progress fresh = {.reading = {0, 0, 1}, .sink_bytes = -1, .errors_bytes = -1};
    if (go_on) {
        /* What stands behind the end of a job that has ended is not ours. */
        if (!job_state_is_final(job->stored_state))
            fresh.sink_bytes = job->row.progress.sink_bytes;
        fresh.sink_columns = TAKE(job->row.progress.sink_columns);
    }
    struct job_row row = job->row;
    row.progress = fresh;
    const struct job_row *rows = &row;
    if (!job_store_save(tx, &rows, 1, err) || !tx_commit(tx, err))
        return false;
    free(job->row.progress.sink_columns);
    job->row.progress = fresh;
    data_job_note_stored(job, &job->row);
    data_job_unserve(job);
    ledger_clear(job->ledger);
    attempts_clear(job->attempts);
    order_clear(job->order);
    job->live = (struct live){0};
    job->bad_lines.len = 0;
    job->tried_count = 0;
    job->tail[0] = '\0';
    job->at_end = false;
    job->end_bytes = -1;
    job->served_before = 0;
    remove_spool(e, job, "in.jsonl");
    remove_spool(e, job, "errors.jsonl");
    if (!go_on) /* else it is the output, for a writer */
        remove_spool(e, job, "out.jsonl");
    return load_held(e, job, err);
}

/* Who asks for a job to go on wants it to go on. */
static void unpause(struct engine *e, struct data_job *job)
{
    if (!job->row.paused)
        return;
    job->row.paused = job->portion_over = false;
    engine_touch(e, job);
    engine_event(e, job, "job.resumed", (struct str){0});
}

/* It is being worked on, be it for another who asked the same: that goes on. */
static enum op_fate join(struct engine *e, struct data_job *job, struct op *op)
{
    unpause(e, job);
    op->start.job_id = job->row.id;
    op->of = job;
    claims_feed(e, job);
    return FATE_DURABLE;
}

/* Whether the results go where they went: to the same file, or through the same program, whose
 * spool holds those that it had. */
static bool same_output(const struct data_job *job, const struct data_spec *spec,
                        const struct ends *ends)
{
    if (job->spec.sink_format == FORMAT_PROGRAM && spec->sink_format == FORMAT_PROGRAM)
        return strcmp(job->spec.sink_program, spec->sink_program) == 0;
    return job->out_name && ends->out_name && strcmp(job->out_name, ends->out_name) == 0;
}

static void unskip(void *context, enum note_kind kind, struct str notes)
{
    struct data_job *job = context;
    for (size_t at = 0; kind == NOTE_SKIPPED && at < notes.len; at += NOTE_BYTES) {
        uint64_t halves[2];
        memcpy(halves, notes.ptr + at, sizeof halves);
        int64_t record = (int64_t)le64toh(halves[1]);
        if (ledger_get(job->ledger, record) == RECORD_DONE)
            data_job_set(job, record, RECORD_UNREAD);
    }
}

/* Without ids: what gave nothing is unread again, in the transaction that forgets that it did. */
static bool retry_skipped(struct engine *e, struct data_job *job, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !note_store_load(tx, job->row.id, unskip, job, err) ||
        !note_store_clear(tx, job->row.id, NOTE_SKIPPED, err))
        return false;
    size_t count = ledger_changed_count(job->ledger);
    OWNED_MEM struct ledger_page *pages = xcalloc(count, sizeof *pages);
    ledger_changed(job->ledger, false, pages);
    if (!ledger_store_save(tx, job->row.id, pages, count, err) || !tx_commit(tx, err))
        return false;
    job->live.skipped = 0;
    return true;
}

/* What has failed is known by its number only as long as it is not tried again. */
static void choose_failed(struct data_job *job)
{
    if (!job->share.asked.only_failed || !job->share.is_chosen)
        return;
    for (int64_t record = 0; record < ledger_known(job->ledger); record++)
        if (ledger_get(job->ledger, record) == RECORD_FAILED)
            share_choose(job, record);
}

static enum op_fate start_again(struct engine *e, struct data_job *job, struct op *op,
                                struct ends *ends)
{
    if (!engine_flush_output(e, job, &op->err))
        return FATE_NOW;
    bool moved = !same_output(job, op->start.spec, ends);
    bool by_ids = op->start.spec->id_key && op->start.resume;
    bool afresh = op->start.clean_start || by_ids;
    if (afresh) {
        if (!forget_records(e, job, by_ids && !moved, op->start.portion.retry_skipped, &op->err))
            return FATE_NOW;
    } else {
        if (!same_input(e, job, op, &op->err))
            return FATE_NOW;
        /* The print of the first start stays: it is what the numbers belong to. */
        memcpy(ends->print, job->row.progress.source_print, sizeof ends->print);
        ends->print_bytes = job->row.progress.source_print_bytes;
        data_job_rest(job);
        if (op->start.portion.retry_skipped && !retry_skipped(e, job, &op->err))
            return FATE_NOW;
        if (moved) {
            job->row.progress.sink_bytes = job->row.progress.errors_bytes = -1;
            job->row.progress.tail_bytes = 0;
            job->live.written = 0; /* it tells of the output that is there now */
            free(TAKE(job->row.progress.sink_columns));
        }
    }
    e->programs -= uses_programs(&job->spec);
    adopt(e, job, op, ends);
    e->programs += uses_programs(&job->spec);
    share_begin(job, &op->start.portion);
    choose_failed(job);
    engine_reopen(e, job, op->start.resume);
    if (!take_output_over(e, job, &op->err))
        return FATE_NOW;
    if (op->start.resume)
        unpause(e, job);
    look_through(e, job, op, afresh);
    op->start.job_id = job->row.id;
    op->of = job;
    if (job->spec.source_format == FORMAT_NONE)
        claims_end(job, NULL);
    else
        claims_feed(e, job);
    return FATE_DURABLE;
}

bool engine_go_beyond(struct engine *e, struct data_job *job, struct err *err)
{
    static const struct portion all;
    if (!engine_flush_output(e, job, err) ||
        (job->spec.id_key && !forget_records(e, job, true, false, err)))
        return false;
    share_begin(job, &all);
    job->portion_over = false;
    engine_reopen(e, job, false);
    if (job->spec.id_key)
        resume_begin(e, job, RESUME_FRESH);
    return true;
}

enum op_fate op_start(struct engine *e, struct op *op)
{
    if (!data_spec_check(op->start.spec, &op->err) || !job_name_check(op->job.name, &op->err))
        return FATE_NOW;
    struct data_job *old = job_table_by_name(&e->jobs, op->job.name);
    bool again = op->start.clean_start || op->start.repair || op->start.resume;
    if (old && again && !data_job_allows(old, &op->right))
        return op_refuse(op, REFUSED_TOKEN, ERR_FORBIDDEN, "job %s needs its token", old->row.name);
    if (op->start.resume && op->start.spec->id_key && op->start.spec->sink_overwrite)
        return op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID,
                         "an output that is emptied at the start cannot be resumed by ids");
    if (old && old->unreadable && (op->start.repair || op->start.resume))
        return op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT,
                         "what is stored of job %s cannot be read: %.120s; start it clean",
                         old->row.name, old->unreadable);
    struct ends ends = {0};
    enum op_fate fate = FATE_NOW;
    if (look_at_input(e, op, &ends) && look_at_output(e, op, old, &ends)) {
        /* Looking for the input's name may have left an error behind that was none. */
        op->err = (struct err){0};
        if (old && !again)
            op_refuse(op, REFUSED_NAME_TAKEN, ERR_CONFLICT, "job %s exists already", old->row.name);
        else
            fate = !old ? start_new(e, op, &ends)
                   : op->start.resume && ledger_count(old->ledger, RECORD_SERVED)
                       ? join(e, old, op)
                       : start_again(e, old, op, &ends);
    }
    ends_release(&ends);
    return fate;
}

/* Which of two jobs on one output has it: whoever lost it to the other had ended, and has nothing
 * in it any more. */
static bool owns_output(const struct data_job *earlier, const struct data_job *later)
{
    if ((earlier->row.progress.sink_bytes < 0) != (later->row.progress.sink_bytes < 0))
        return later->row.progress.sink_bytes < 0;
    return job_state_is_final(later->row.state) && !job_state_is_final(earlier->row.state);
}

/* Of a job that cannot be read one thing is kept if it can be found: which file nobody else may
 * write to. */
static void keep_output(struct data_job *job)
{
    struct str spec = str_of(job->row.spec), sink, path;
    data_spec_release(&job->spec);
    if (!spec.len || *spec.ptr != '{' || !json_check(spec, NULL, NULL) ||
        !json_find(spec, "sink", &sink) || *sink.ptr != '{' || !json_find(sink, "path", &path))
        return;
    job->spec.sink_path = json_take_text(path);
}

void engine_load_job(struct engine *e, struct job_row *row)
{
    OWNED(data_job) struct data_job *job = data_job_new();
    free(job->row.progress.sink_columns);
    job->row = *row;
    *row = (struct job_row){0};
    struct err fault;
    const struct data_progress *p = &job->row.progress;
    job->live = (struct live){p->written, p->repeats, p->bad_records, p->skipped, 0};
    job->served_before = p->served_below;
    data_job_note_stored(job, &job->row);
    if (job->row.damaged)
        data_job_give_up(job, "its kind, state or token is none that is known");
    else if (!data_spec_read(str_of(job->row.spec), &job->spec, &fault))
        data_job_give_up(job, fault.text);
    limits_set(job);
    limits_resume(e, job);
    if (job->unreadable)
        keep_output(job);
    /* What was taken of the portion is not stored: rather too little is done than too much. */
    if (job->row.portion && !job_state_is_final(job->row.state))
        job->portion_over = job->row.paused = true;
    set_errors_path(e, job);
    /* A folder that is gone does not keep the others from being served. */
    struct err gone;
    if (job->spec.sink_path &&
        !folders_name(e->options.folders, job->spec.sink_path, &job->out_name, &gone))
        LOG1(LOG_WARN, "output.unreachable", "reason", "%s", gone.text);
    struct data_job *other =
        job->out_name ? writer_of(e, job->spec.sink_path, job->out_name, NULL) : NULL;
    if (other)
        free(TAKE((owns_output(other, job) ? job : other)->out_name));
    e->programs += uses_programs(&job->spec);
    struct data_job *added = TAKE(job);
    job_table_add(&e->jobs, added);
}
