/* resume.c: see resume.h. */
#include "engine/resume.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "engine/identity.h"
#include "io/line_reader.h"
#include "store/note_store.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Ids are put into the set so many at a time: their places are fetched from memory together. */
enum { BATCH = 16, LINES_TOLD = 5 };

/* What is done next; each in slices. */
enum phase {
    PHASE_NOTES,  /* what the store notes */
    PHASE_OUTPUT, /* lines of the output */
    PHASE_INPUT,  /* records that were known before */
    PHASE_END
};

struct resume {
    enum phase phase;
    bool fresh;
    int fd;     /* the output's, -1 */
    char *path; /* its */
    bool reading;
    struct line_reader lines;
    bool header;                     /* of a CSV: met */
    int64_t id_column, rerun_column; /* of a CSV; -1 */
    struct source *input;            /* the known part of the input */
    struct id ids[BATCH];
    unsigned flags[BATCH];
    size_t batched;
    int64_t torn_at; /* where an unfinished last line begins that is no JSON; -1 */
    int64_t line, done, rerun, unreadable, without_id;
};

void resume_free(struct resume *r)
{
    if (!r)
        return;
    if (r->reading)
        line_reader_release(&r->lines);
    source_free(r->input);
    fd_drop(&r->fd);
    free(r->path);
    free(r);
}

void resume_begin(struct engine *e, struct data_job *job, bool fresh)
{
    resume_free(TAKE(job->resume));
    id_set_free(TAKE(job->ids));
    identity_form(e, job);
    struct resume *r = xcalloc(1, sizeof *r);
    r->fresh = fresh;
    r->fd = -1;
    r->torn_at = r->id_column = r->rerun_column = -1;
    job->resume = r;
    engine_activate(e, job);
}

/* --- ids --- */

static void put_batch(struct data_job *job, struct resume *r)
{
    for (size_t i = 0; i < r->batched; i++)
        id_set_mark(job->ids, r->ids[i], r->flags[i]);
    r->batched = 0;
}

static void put_id(struct data_job *job, struct resume *r, struct id id, unsigned flags)
{
    id_set_prefetch(job->ids, id);
    r->ids[r->batched] = id;
    r->flags[r->batched] = flags;
    if (++r->batched == BATCH)
        put_batch(job, r);
}

/* --- the notes --- */

static void load_notes(void *context, enum note_kind kind, struct str notes)
{
    struct data_job *job = context;
    (void)kind; /* either way it is done */
    for (size_t at = 0; at < notes.len; at += NOTE_BYTES) {
        uint64_t halves[2];
        memcpy(halves, notes.ptr + at, sizeof halves);
        put_id(job, job->resume, (struct id){le64toh(halves[0]), le64toh(halves[1])}, ID_NOTED);
    }
}

static bool read_notes(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    job->ids = id_set_new();
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !note_store_load(tx, job->row.id, load_notes, job, err))
        return false;
    put_batch(job, r);
    r->phase = PHASE_OUTPUT;
    return true;
}

/* --- the output --- */

static void tell_line(const struct data_job *job, struct resume *r, const char *reason)
{
    if (++r->unreadable > LINES_TOLD)
        return;
    struct log_line *line = log_begin(LOG_WARN, "output.unreadable");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "path", "%s", r->path);
    log_value(line, "line", "%lld", (long long)r->line);
    log_value(line, "reason", "%s", reason);
    log_end(line);
}

/* What a line says of its id. */
static void take_id(struct data_job *job, struct resume *r, struct id id, bool again)
{
    *(again ? &r->rerun : &r->done) += 1;
    put_id(job, r, id, again ? ID_RERUN : ID_IN_OUTPUT);
}

/* One line of a JSONL. False when it is no JSON object. */
static bool take_json(struct data_job *job, struct resume *r, struct str json, const char **why)
{
    const char *rerun_key = job->spec.rerun_key;
    struct json_wanted wanted[2] = {
        {job->spec.id_key, strlen(job->spec.id_key), {NULL, 0}},
        {rerun_key, rerun_key ? strlen(rerun_key) : 0, {NULL, 0}},
    };
    struct id id;
    *why = "it is no object";
    if (!json_check_members(json, wanted, rerun_key ? 2 : 1, NULL, why) || json.ptr[0] != '{')
        return false;
    if (wanted[0].value.ptr && id_of(wanted[0].value, &job->id_form, &id))
        take_id(job, r, id, wanted[1].value.ptr);
    else
        r->without_id++;
    return true;
}

/* The first row of a CSV names its columns; they are those that rows are appended by. */
static void take_header(struct data_job *job, struct resume *r, struct str row)
{
    struct csv_cells cells = {0};
    struct str cell;
    struct json_out o;
    OWNED_BUF struct buf columns;
    buf_init(&columns, BUF_NO_CAP);
    json_out_init(&o, &columns);
    json_out_open(&o, '[');
    csv_cells_open(&cells, row);
    for (int64_t column = 0; csv_cells_next(&cells, &cell); column++) {
        if (str_is(cell, job->spec.id_key))
            r->id_column = column;
        if (job->spec.rerun_key && str_is(cell, job->spec.rerun_key))
            r->rerun_column = column;
        json_out_str(&o, cell);
    }
    csv_cells_release(&cells);
    json_out_close(&o, ']');
    if (!job->row.progress.sink_columns)
        job->row.progress.sink_columns = buf_take(&columns);
}

/* Each row has a cell for every column: there an empty one is none. */
static void take_row(struct data_job *job, struct resume *r, struct str row)
{
    struct csv_cells cells = {0};
    struct str cell;
    struct id id;
    bool has = false, again = false;
    csv_cells_open(&cells, row);
    for (int64_t column = 0; csv_cells_next(&cells, &cell); column++) {
        if (column == r->id_column && cell.len) {
            id = id_of_text(cell, &job->id_form);
            has = true;
        }
        again = again || (column == r->rerun_column && cell.len);
    }
    csv_cells_release(&cells);
    if (has)
        take_id(job, r, id, again);
    else
        r->without_id++;
}

static void take_line(struct data_job *job, struct resume *r, const struct line *line)
{
    const char *why = "it is longer than 64 MiB";
    struct str text = str_trim(line->text);
    bool csv = job->spec.sink_format == FORMAT_CSV;
    r->line++;
    if (text.len == 0 && !line->too_long)
        return;
    if (csv && !line->too_long) {
        r->header ? take_row(job, r, line->text) : take_header(job, r, line->text);
        r->header = true;
        return;
    }
    if (!line->too_long && take_json(job, r, text, &why))
        return;
    if (line->ended || csv)
        tell_line(job, r, why);
    else
        r->torn_at = line->at_bytes;
}

/* What a writer that was killed has left of its last line. */
static bool cut_torn(struct data_job *job, struct resume *r, struct err *err)
{
    struct stat st;
    if (r->torn_at < 0 || compression_of_path(r->path) != COMPRESS_NONE)
        return true;
    if (fstat(r->fd, &st))
        return err_errno(err, errno, "%s", r->path);
    struct log_line *line = log_begin(LOG_WARN, "output.torn");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "path", "%s", r->path);
    log_value(line, "bytes", "%lld", (long long)(st.st_size - r->torn_at));
    log_value(line, "reason", "%s", "the last line is no whole JSON: it was cut off");
    log_end(line);
    return file_cut(r->fd, r->torn_at, r->path, err) && file_sync(r->fd, r->path, err);
}

static bool end_output(struct data_job *job, struct resume *r, struct err *err)
{
    put_batch(job, r);
    if (!cut_torn(job, r, err))
        return false;
    if (r->reading)
        line_reader_release(&r->lines);
    r->reading = false;
    fd_drop(&r->fd);
    r->fd = -1;
    r->phase = r->fresh ? PHASE_END : PHASE_INPUT;
    return true;
}

/* A killed process may have left an unfinished frame behind what it has committed; and in a spool,
 * which is ours alone, nothing behind that counts. */
static bool end_of_frames(const struct data_job *job, const struct resume *r, int64_t *limit,
                          struct err *err)
{
    struct stat st;
    int64_t committed = job->row.progress.sink_bytes;
    *limit = -1;
    bool plain =
        job->spec.sink_format != FORMAT_PROGRAM && compression_of_path(r->path) == COMPRESS_NONE;
    if (plain || committed < 0)
        return true;
    if (fstat(r->fd, &st))
        return err_errno(err, errno, "%s", r->path);
    if (st.st_size <= committed)
        return true;
    *limit = committed;
    return file_cut(r->fd, committed, r->path, err);
}

/* False in *there without an output. */
static bool open_output(struct engine *e, struct data_job *job, struct resume *r, bool *there,
                        struct err *err)
{
    struct err missing = {0};
    int64_t limit = -1;
    bool program = job->spec.sink_format == FORMAT_PROGRAM;
    *there = false;
    if (job->spec.sink_format == FORMAT_NONE)
        return true;
    /* What went to a writer's program, or out of this process, is in its spool. */
    struct data_spec spec;
    data_job_sink_spec(e, job, &spec);
    bool empties = spec.sink_overwrite && job->row.progress.sink_bytes < 0;
    free(r->path);
    r->path = TAKE(spec.sink_path);
    data_spec_release(&spec);
    if (empties)
        return true;
    if (!folders_open(program ? e->state_folders : e->options.folders, r->path, O_RDWR, &r->fd,
                      NULL, &missing)) {
        if (missing.code == ERR_NOT_FOUND)
            return true;
        *err = missing;
        return false;
    }
    *there = true;
    if (flock(r->fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK
                   ? err_set(err, ERR_CONFLICT, "%s is being written by another process or job",
                             r->path)
                   : err_errno(err, errno, "lock %s", r->path);
    if (!end_of_frames(job, r, &limit, err))
        return false;
    line_reader_init(&r->lines, r->fd, r->path, limit, job->spec.sink_format == FORMAT_CSV);
    r->reading = true;
    return true;
}

static bool scan_lines(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    line_reader_allow(&r->lines, data_job_slice_bytes(e));
    for (;;) {
        struct line line;
        switch (line_reader_next(&r->lines, &line, err)) {
        case LINE_HERE:
            take_line(job, r, &line);
            break;
        case LINE_PAUSE:
            return true;
        case LINE_NONE:
            return end_output(job, r, err);
        case LINE_FAILED:
            return false;
        }
    }
}

static bool scan_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    bool there = true;
    if (r->fd < 0 && !open_output(e, job, r, &there, err))
        return false;
    return r->reading ? scan_lines(e, job, r, err) : end_output(job, r, err);
}

/* --- the input --- */

/* A record that was known before the engine was opened again. */
static void meet_known(struct data_job *job, const struct source_record *record)
{
    struct id id;
    if (!identity_of(job, record->json, &id))
        return;
    unsigned known = id_set_mark(job->ids, id, ID_SEEN);
    if (ledger_get(job->ledger, record->number) != RECORD_DONE && (known & ID_IN_OUTPUT) &&
        !(known & ID_SEEN))
        data_job_set(job, record->number, RECORD_DONE);
}

static bool scan_input(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (ledger_known(job->ledger) == 0) {
        r->phase = PHASE_END;
        return true;
    }
    if (!r->input && !data_job_open_source(e, job, &r->input, err))
        return false;
    source_allow(r->input, data_job_slice_bytes(e));
    for (;;) {
        struct source_record record;
        enum source_got got = source_next(r->input, &record, err);
        if (got == SOURCE_FAILED)
            return false;
        if (got == SOURCE_PAUSE)
            return true;
        if (got == SOURCE_RECORD)
            meet_known(job, &record);
        bool over = got == SOURCE_END || got == SOURCE_TAIL ||
                    record.number + 1 >= ledger_known(job->ledger);
        if (!over)
            continue;
        source_free(TAKE(r->input));
        r->phase = PHASE_END;
        return true;
    }
}

/* --- the whole --- */

static void tell_end(struct engine *e, const struct data_job *job, const struct resume *r)
{
    OWNED_BUF struct buf detail;
    struct json_out o;
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {{"done", r->done},
                  {"rerun", r->rerun},
                  {"unreadable", r->unreadable},
                  {"without_id", r->without_id}};
    buf_init(&detail, 256);
    json_out_init(&o, &detail);
    json_out_open(&o, '{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_out_name(&o, counts[i].name);
        json_out_i64(&o, counts[i].count);
    }
    json_out_close(&o, '}');
    engine_event(e, job, "output.looked-through", buf_str(&detail));
}

/* From here on the output is written to where it ends now. */
static void end_resume(struct engine *e, struct data_job *job)
{
    struct resume *r = TAKE(job->resume);
    tell_end(e, job, r);
    order_drop_written(job);
    resume_free(r);
    /* A spool is nobody's but ours: it goes on where it was. */
    if (job->spec.sink_format != FORMAT_PROGRAM)
        job->row.progress.sink_bytes = -1;
    engine_touch(e, job);
    job->again_now = job->waiting != NULL;
}

void resume_step(struct engine *e, struct data_job *job)
{
    static bool (*const phases[])(struct engine *, struct data_job *, struct resume *,
                                  struct err *) = {
        [PHASE_NOTES] = read_notes, [PHASE_OUTPUT] = scan_output, [PHASE_INPUT] = scan_input};
    struct resume *r = job->resume;
    struct err err = {0};
    if (!phases[r->phase](e, job, r, &err)) {
        resume_free(TAKE(job->resume));
        id_set_free(TAKE(job->ids));
        job_fail(e, job, "look through the output", err.text);
        return;
    }
    if (r->phase == PHASE_END)
        end_resume(e, job);
}
