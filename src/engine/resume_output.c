/* resume_output.c: the output is looked through, and lines that are to be done again are cut out of
 * it (resume.h). */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/resume_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { LINES_TOLD = 5, SYNC_BYTES = 16 << 20, EXPECT_TIMES = 4 };
/* To read less of it a thread is not worth its start. */
#define SCOUT_LEAST_BYTES (INT64_C(16) << 20)

/* --- lines --- */

static struct output_form form_of(const struct data_job *job)
{
    return (struct output_form){job->spec.id_key, job->spec.rerun_key, job->id_form};
}

/* The first row of a CSV names its columns. */
static void read_header(const struct data_job *job, struct resume *r, struct str row)
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
    free(r->columns);
    r->columns = buf_take(&columns);
}

/* Whether only the number of the columns is known: there were no names to be edited. */
static bool are_unnamed(const char *columns)
{
    struct json j;
    struct str raw;
    json_open(&j, str_of(columns));
    return json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw) &&
           json_type_of(raw) == JSON_NULL;
}

/* Rows are appended by the columns that the file names now, whatever they were before: somebody may
 * have edited it between two runs. Lines that are kept for later are still of the columns that they
 * were cut out with. */
static bool take_columns(struct data_job *job, struct resume *r, struct err *err)
{
    struct data_progress *p = &job->row.progress;
    if (!r->columns || (p->sink_columns && strcmp(p->sink_columns, r->columns) == 0))
        return true;
    if (p->sink_columns && are_unnamed(p->sink_columns))
        return true;
    if (p->sink_columns && r->has_held)
        return err_set(err, ERR_CONFLICT,
                       "the header of %s was changed while rows that are to be done again are kept "
                       "apart: put the columns back to %.200s",
                       r->path, p->sink_columns);
    if (p->sink_columns)
        LOG1(LOG_WARN, "output.columns", "now", "%s", r->columns);
    free(p->sink_columns);
    p->sink_columns = xstrdup(r->columns);
    return true;
}

/* Each row has a cell for every column: there an empty one is none. */
static void read_row(const struct data_job *job, const struct resume *r, struct str row,
                     struct output_line *out)
{
    struct csv_cells cells = {0};
    struct str cell;
    out->is_record = true;
    csv_cells_open(&cells, row);
    for (int64_t column = 0; csv_cells_next(&cells, &cell); column++) {
        if (column == r->id_column && cell.len) {
            out->id = id_of_text(cell, &job->id_form);
            out->has_id = true;
        }
        out->again = out->again || (column == r->rerun_column && cell.len);
    }
    csv_cells_release(&cells);
    out->again = out->again && out->has_id;
}

void resume_read_line(struct data_job *job, struct resume *r, const struct line *line,
                      struct output_line *out)
{
    struct str text = str_trim(line->text);
    const struct output_form form = form_of(job);
    bool is_row = job->spec.sink_format == FORMAT_CSV && text.len > 0 && !line->too_long;
    r->line++;
    if (!is_row) {
        output_line_read(&form, text, line->too_long, out);
    } else {
        *out = (struct output_line){0};
        if (r->header)
            read_row(job, r, line->text, out);
        else
            read_header(job, r, line->text);
    }
    r->header = r->header || (text.len > 0 && !line->too_long);
}

/* --- looking it through --- */

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

/* A result without an id that no commit vouches for: its record is not noted, and is done again. */
static bool is_orphan(const struct resume *r, int64_t at_bytes, const struct output_line *said)
{
    return said->is_record && !said->has_id && r->vouched >= 0 && at_bytes >= r->vouched;
}

static void take_said(struct data_job *job, struct resume *r, int64_t at_bytes, bool ended,
                      const struct output_line *said)
{
    r->orphans += is_orphan(r, at_bytes, said);
    if (said->has_id) {
        *(said->again ? &r->rerun : &r->done) += 1;
        resume_put_id(job, r, said->id, said->again ? ID_RERUN : ID_IN_OUTPUT);
    } else if (said->is_record) {
        r->without_id++;
    } else if (said->why && ended) {
        tell_line(job, r, said->why);
    } else if (said->why) {
        r->torn_at = at_bytes;
    }
}

static bool take_line(struct data_job *job, struct resume *r, const struct line *line,
                      struct err *err)
{
    struct output_line said;
    (void)err;
    resume_read_line(job, r, line, &said);
    take_said(job, r, line->at_bytes, line->ended, &said);
    return true;
}

/* One slice of what the scout has found. */
static enum line_got take_scouted(struct engine *e, struct data_job *job, struct resume *r,
                                  struct err *err)
{
    struct scouted line;
    int64_t until = r->scouted_bytes + data_job_slice_bytes(e);
    while (r->scouted_bytes < until) {
        enum line_got got = line_scout_next(r->scout, &line, err);
        if (got != LINE_HERE)
            return got;
        r->line++;
        r->scouted_bytes = line.end_bytes;
        take_said(job, r, line.at_bytes, line.ended, &line.said);
    }
    return LINE_PAUSE;
}

/* Room for the ids that are still to come, if they stand as close as those so far. Never for more
 * than four times as many: what comes may be of another kind. */
static bool expect_ids(struct data_job *job, struct resume *r, struct err *err)
{
    struct stat st;
    int64_t at = r->scout ? r->scouted_bytes : line_reader_at(&r->lines);
    if (at < r->expect_at || compression_of_path(r->path) != COMPRESS_NONE)
        return true;
    if (fstat(r->fd, &st))
        return err_errno(err, errno, "%s", r->path);
    double times = (double)st.st_size / (double)at;
    double count = (double)id_set_count(job->ids) * (times < EXPECT_TIMES ? times : EXPECT_TIMES);
    id_set_expect(job->ids, (int64_t)count);
    r->expect_at = EXPECT_TIMES * at;
    return true;
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

/* A killed process may have left an unfinished frame behind what it has committed; and in a spool,
 * which is ours alone, nothing behind that counts. */
static bool end_of_frames(const struct data_job *job, const struct resume *r, int fd,
                          int64_t *limit, struct err *err)
{
    struct stat st;
    int64_t committed = job->row.progress.sink_bytes;
    *limit = -1;
    bool plain =
        job->spec.sink_format != FORMAT_PROGRAM && compression_of_path(r->path) == COMPRESS_NONE;
    if (plain || committed < 0)
        return true;
    if (fstat(fd, &st))
        return err_errno(err, errno, "%s", r->path);
    if (st.st_size <= committed)
        return true;
    *limit = committed;
    return file_cut(fd, committed, r->path, err);
}

/* Where the file still ends as it was left, what lies behind what was committed is known to be
 * ours. A file that was edited since hardly ever has a line's end at just that place. */
static bool find_vouched(const struct data_job *job, struct resume *r, int fd, struct err *err)
{
    char before = '\n';
    size_t got = 1;
    int64_t committed = job->row.progress.sink_bytes;
    bool plain =
        job->spec.sink_format == FORMAT_JSONL && compression_of_path(r->path) == COMPRESS_NONE;
    if (!plain || committed < 0 || job_state_is_final(job->stored_state))
        return true;
    if (committed > 0 && !file_read_at(fd, committed - 1, &before, 1, &got, r->path, err))
        return false;
    if (got == 1 && before == '\n')
        r->vouched = committed;
    return true;
}

/* What went to a writer's program, or out of this process, is in its spool. */
static void find_path(struct engine *e, const struct data_job *job, struct resume *r,
                      bool *overwrites)
{
    struct data_spec spec;
    data_job_sink_spec(e, job, &spec);
    free(r->path);
    r->path = TAKE(spec.sink_path);
    *overwrites = spec.sink_overwrite;
    data_spec_release(&spec);
}

bool resume_open_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    struct err missing = {0};
    int64_t limit = -1;
    bool overwrites = false, spooled = job->spec.sink_format == FORMAT_PROGRAM;
    const struct folders *folders = spooled ? e->state_folders : e->options.folders;
    OWNED_FD int fd = -1;
    find_path(e, job, r, &overwrites);
    if (!r->path || (overwrites && job->row.progress.sink_bytes < 0))
        return true;
    if (!spooled)
        rewrite_clean(folders, r->path);
    if (!folders_open(folders, r->path, O_RDWR, &fd, NULL, &missing)) {
        bool none = missing.code == ERR_NOT_FOUND;
        *err = none ? *err : missing;
        return none;
    }
    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK
                   ? err_set(err, ERR_CONFLICT, "%s is being written by another process or job",
                             r->path)
                   : err_errno(err, errno, "lock %s", r->path);
    if (!end_of_frames(job, r, fd, &limit, err) || !find_vouched(job, r, fd, err))
        return false;
    resume_open_lines(r, TAKE_FD(fd), r->path, limit, job->spec.sink_format == FORMAT_CSV);
    return true;
}

static bool end_output(struct data_job *job, struct resume *r, struct err *err)
{
    resume_put_batch(job, r);
    if (!take_columns(job, r, err) || !cut_torn(job, r, err))
        return false;
    resume_close_lines(r);
    if (r->orphans)
        LOG1(LOG_WARN, "output.orphans", "lines", "%lld", (long long)r->orphans);
    /* Nobody edits a spool. */
    bool cuts = (r->rerun || r->orphans) && job->spec.sink_format != FORMAT_PROGRAM;
    job->untidy = job->untidy || (cuts && r->rerun);
    r->phase = cuts ? PHASE_CUT : PHASE_COUNT_LIST;
    return true;
}

/* A large file is read by two. */
static bool begin_scan(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    struct stat st;
    if (!resume_open_output(e, job, r, err))
        return false;
    if (!r->reading || job->spec.sink_format == FORMAT_CSV)
        return true;
    if (fstat(r->fd, &st))
        return err_errno(err, errno, "%s", r->path);
    const struct output_form form = form_of(job);
    if (st.st_size >= SCOUT_LEAST_BYTES)
        r->scout = line_scout_new(&form, r->fd, r->path, r->lines.bytes.raw_limit);
    return true;
}

bool resume_scan_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (!r->reading && !begin_scan(e, job, r, err))
        return false;
    if (!r->reading)
        return end_output(job, r, err);
    enum line_got got =
        r->scout ? take_scouted(e, job, r, err) : resume_each_line(e, job, r, take_line, err);
    if (got == LINE_PAUSE)
        return expect_ids(job, r, err);
    return got == LINE_NONE && end_output(job, r, err);
}

/* --- cutting out --- */

/* A line that asks for its id to be done again goes into the held file; not when its id is done by
 * another line: then it was replaced already. */
static bool cut_line(struct data_job *job, struct resume *r, const struct line *line,
                     struct err *err)
{
    struct output_line said;
    bool csv = job->spec.sink_format == FORMAT_CSV;
    resume_read_line(job, r, line, &said);
    if (line->too_long)
        return err_set(err, ERR_LIMIT,
                       "%s cannot be made anew without the lines that are to be done again: line "
                       "%lld is longer than 64 MiB",
                       r->path, (long long)r->line);
    if (csv && str_trim(line->text).len == 0)
        return true; /* the second half of a line end, or nothing */
    if (is_orphan(r, line->at_bytes, &said))
        return true;
    if (!said.again) {
        r->since_sync += (int64_t)line->text.len;
        return rewrite_add(r->rewrite, line->text, err) && rewrite_add(r->rewrite, STR("\n"), err);
    }
    if (id_set_get(job->ids, said.id) & ID_IN_OUTPUT)
        return true;
    /* What was noted of it before counts no more. */
    id_set_unmark(job->ids, said.id, ID_NOTED);
    buf_add_str(&r->held, line->text);
    buf_add_char(&r->held, '\n');
    return true;
}

static bool begin_cut(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (!resume_open_output(e, job, r, err))
        return false;
    if (!r->reading)
        return err_set(err, ERR_CONFLICT, "%s has gone", r->path);
    return rewrite_begin(e->options.folders, r->path, &r->rewrite, err);
}

/* First they are in the held file, then they leave the output. */
static bool end_cut(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (!held_lines_add(e, job, r, err) || !rewrite_finish(r->rewrite, err))
        return false;
    rewrite_free(TAKE(r->rewrite));
    resume_close_lines(r);
    r->phase = PHASE_COUNT_LIST;
    return true;
}

bool resume_cut_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (!r->rewrite && !begin_cut(e, job, r, err))
        return false;
    enum line_got got = resume_each_line(e, job, r, cut_line, err);
    if (got != LINE_PAUSE)
        return got == LINE_NONE && end_cut(e, job, r, err);
    if (r->since_sync < SYNC_BYTES)
        return true;
    r->since_sync = 0;
    return rewrite_sync(r->rewrite, err);
}
