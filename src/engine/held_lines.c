/* held_lines.c: lines of the output that are to be done again, kept in the state folder until they
 * are: job-N.held, the lines as they stood in the output (resume.h).
 *
 * A line is here before it leaves the output, and in the output before it leaves here. A crash may
 * leave it in both: then it is cut out once more, and of its copies here one is put back.
 *
 * It is put back only when its record has no newer result: none in the output, and none that waits
 * for its turn in the store (order.h), which will get there. */
#include "engine/held_lines.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/identity.h"
#include "engine/resume_state.h"
#include "io/sink_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20 };

static char *held_name(const struct data_job *job)
{
    return xasprintf("job-%lld.held", (long long)job->row.id);
}

void held_lines_forget(const struct engine *e, const struct data_job *job)
{
    OWNED_MEM char *name = held_name(job);
    if (unlinkat(e->state_fd, name, 0))
        errno = 0;
}

bool held_lines_add(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    OWNED_MEM char *name = held_name(job);
    struct stat st;
    if (r->held.len == 0)
        return true;
    OWNED_FD int fd = openat(e->state_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st))
        return err_errno(err, errno, "%s of the state folder", name);
    if (!file_write_at(fd, st.st_size, r->held.data, r->held.len, name, err) ||
        !file_sync(fd, name, err) || !file_sync_dir(e->state_fd, name, err))
        return false;
    r->held.len = 0;
    (void)FAULT("held.added");
    return true;
}

/* False in *there without any. */
static bool open_held(struct engine *e, struct data_job *job, struct resume *r, bool *there,
                      struct err *err)
{
    OWNED_MEM char *name = held_name(job);
    int fd = openat(e->state_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *there = fd >= 0;
    if (fd < 0)
        return errno == ENOENT || err_errno(err, errno, "%s of the state folder", name);
    resume_open_lines(r, fd, "held lines", -1, job->spec.sink_format == FORMAT_CSV);
    r->header = true; /* there is none, and the columns are those of the output */
    return true;
}

/* The columns of a CSV are known by name. */
static void find_columns(const struct data_job *job, struct resume *r)
{
    struct json j;
    struct str raw;
    if (job->spec.sink_format != FORMAT_CSV || !job->row.progress.sink_columns)
        return;
    json_open(&j, str_of(job->row.progress.sink_columns));
    if (json_enter(&j, '['))
        for (int64_t column = 0; json_item(&j) && json_value(&j, &raw); column++) {
            if (json_type_of(raw) == JSON_STRING && json_name_is(raw, job->spec.id_key))
                r->id_column = column;
            if (json_type_of(raw) == JSON_STRING && job->spec.rerun_key &&
                json_name_is(raw, job->spec.rerun_key))
                r->rerun_column = column;
        }
}

static bool take_held(struct data_job *job, struct resume *r, const struct line *line,
                      struct err *err)
{
    struct output_line said;
    (void)err;
    resume_read_line(job, r, line, &said);
    if (said.has_id)
        resume_put_id(job, r, said.id, ID_RERUN);
    job->untidy = r->has_held = true;
    return true;
}

bool resume_read_held(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    bool there = true;
    if (!r->reading && !open_held(e, job, r, &there, err))
        return false;
    find_columns(job, r);
    enum line_got got = there ? resume_each_line(e, job, r, take_held, err) : LINE_NONE;
    if (got != LINE_NONE)
        return got == LINE_PAUSE;
    resume_put_batch(job, r);
    resume_close_lines(r);
    r->phase = PHASE_OUTPUT;
    return true;
}

/* --- back into the output --- */

static bool append(const char *path, int fd, struct str text, struct err *err)
{
    struct stat st;
    int64_t written = 0;
    char last = '\n';
    size_t got = 0;
    enum compression kind = compression_of_path(path);
    if (fstat(fd, &st))
        return err_errno(err, errno, "%s", path);
    if (kind != COMPRESS_NONE) {
        struct iovec part = {(void *)(uintptr_t)text.ptr, text.len};
        struct sink_codec *codec = sink_codec_new(kind, err);
        bool ok = codec && sink_codec_write(codec, fd, st.st_size, &part, 1, path, &written, err);
        sink_codec_free(codec);
        return ok && file_sync(fd, path, err);
    }
    if (st.st_size > 0 && !file_read_at(fd, st.st_size - 1, &last, 1, &got, path, err))
        return false;
    struct iovec parts[2] = {{(void *)(uintptr_t) "\n", last != '\n'},
                             {(void *)(uintptr_t)text.ptr, text.len}};
    return file_writev_at(fd, st.st_size, parts, 2, path, err) && file_sync(fd, path, err);
}

/* What waits in r->held goes to the output's end. */
static bool put_back(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    const char *path = job->spec.sink_path;
    if (r->held.len == 0)
        return true;
    OWNED_FD int fd = -1;
    if (!folders_open(e->options.folders, path, O_RDWR | O_CREAT, &fd, NULL, err))
        return false;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return err_errno(err, errno, "lock %s", path);
    if (FAULT("held.put-back"))
        return err_errno(err, errno, "write %s", path);
    if (!append(path, fd, buf_str(&r->held), err))
        return false;
    r->held.len = 0;
    return true;
}

static bool end_put_back(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    bool had = r->reading;
    if (!put_back(e, job, r, err))
        return false;
    resume_close_lines(r);
    if (had) {
        /* First it is known that the output ends elsewhere: what was put back is not cut off. */
        if (job->spec.sink_format != FORMAT_PROGRAM)
            job->row.progress.sink_bytes = -1;
        if (!engine_store(e, job, err))
            return false;
        held_lines_forget(e, job);
        if (!file_sync_dir(e->state_fd, "held lines", err))
            return false;
    }
    r->phase = PHASE_COUNT_LIST;
    return true;
}

/* One that was not done since, and whose copy was not put back yet. */
static bool keep_line(struct data_job *job, struct resume *r, const struct line *line,
                      struct err *err)
{
    struct output_line said;
    (void)err;
    resume_read_line(job, r, line, &said);
    if (!line->ended || !said.has_id)
        return true;
    /* The line is there again, and its record is not done for that: the error file goes on telling
     * of it. So this is kept apart from what is known of the ids. */
    if (!r->put_back)
        r->put_back = id_set_new();
    bool done = job->ids && (id_set_get(job->ids, said.id) & (ID_IN_OUTPUT | ID_NOTED));
    if (done || (r->kind == RESUME_TIDY_UP && order_has_parked(job->order, said.id)) ||
        id_set_mark(r->put_back, said.id, ID_RERUN))
        return true;
    buf_add_str(&r->held, line->text);
    buf_add_char(&r->held, '\n');
    return true;
}

bool resume_put_back(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    bool there = job->ids != NULL;
    if (there && !r->reading && !open_held(e, job, r, &there, err))
        return false;
    if (!there)
        return end_put_back(e, job, r, err);
    find_columns(job, r);
    enum line_got got = resume_each_line(e, job, r, keep_line, err);
    if (got == LINE_PAUSE)
        return r->held.len < PIECE_BYTES || put_back(e, job, r, err);
    return got == LINE_NONE && end_put_back(e, job, r, err);
}

/* --- a job that is given up --- */

/* Reads all of an open file. */
static bool each_line(struct engine *e, struct data_job *job, struct resume *r,
                      bool (*each)(struct data_job *job, struct resume *r, const struct line *line,
                                   struct err *err),
                      struct err *err)
{
    enum line_got got = LINE_PAUSE;
    while (got == LINE_PAUSE)
        got = resume_each_line(e, job, r, each, err);
    resume_close_lines(r);
    return got == LINE_NONE;
}

/* Whatever the line asks for, its id is not put back beside it. */
static bool note_line(struct data_job *job, struct resume *r, const struct line *line,
                      struct err *err)
{
    struct output_line said;
    (void)err;
    resume_read_line(job, r, line, &said);
    if (said.has_id)
        id_set_mark(r->put_back, said.id, ID_RERUN);
    return true;
}

bool held_lines_restore(struct engine *e, struct data_job *job, struct err *err)
{
    bool there = false;
    OWNED(resume) struct resume *r = NULL;
    if (!job->spec.id_key || !job->out_name)
        return true;
    identity_form(e, job);
    r = resume_new(RESUME_FRESH);
    r->put_back = id_set_new();
    if (!open_held(e, job, r, &there, err))
        return false;
    if (!there)
        return true;
    resume_close_lines(r);
    if (!resume_open_output(e, job, r, err) ||
        (r->reading && !each_line(e, job, r, note_line, err)) || !open_held(e, job, r, &there, err))
        return false;
    find_columns(job, r);
    if (!each_line(e, job, r, keep_line, err) || !put_back(e, job, r, err))
        return false;
    held_lines_forget(e, job);
    return true;
}
