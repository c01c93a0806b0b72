/* resume_errors.c: the error file, in the form that holds records, is made to tell of the present
 * (resume.h). It is read twice: to count the lines of each record, and to leave out those of
 * records that are done and all but the newest of the others. */
#include "base/json.h"
#include "core/attempts.h"
#include "engine/resume_state.h"

#include <fcntl.h>

/* What one of its lines tells of. */
struct listed {
    bool ours;    /* it can be read */
    bool has_key; /* it tells of a record that has one */
    int64_t key;  /* of the record, for counting */
    bool done;
    struct id id;
};

static bool read_key(const struct data_job *job, struct str raw, struct listed *out)
{
    if (job->spec.id_key) {
        if (!id_of(raw, &job->id_form, &out->id))
            return false;
        unsigned known = id_set_get(job->ids, out->id);
        out->key = (int64_t)(out->id.high >> 2);
        out->done = (known & ID_IN_OUTPUT) || ((known & ID_NOTED) && !(known & ID_RERUN));
        return true;
    }
    if (!json_i64(raw, 0, LEDGER_RECORDS_MAX, &out->key))
        return false;
    out->done = ledger_get(job->ledger, out->key) == RECORD_DONE;
    return true;
}

static struct listed read_listed(const struct data_job *job, const struct line *line)
{
    static const char name[] = "record_id";
    struct json_wanted wanted = {name, sizeof name - 1, {NULL, 0}};
    struct listed out = {0};
    struct str text = str_trim(line->text);
    if (line->too_long || text.len == 0 || *text.ptr != '{' ||
        !json_check_members(text, &wanted, 1, NULL, NULL))
        return out;
    out.ours = true;
    out.has_key = wanted.value.ptr && read_key(job, wanted.value, &out);
    return out;
}

/* Lines that are nobody's stay, unless they are torn. What has no record's id was told by the run
 * before, and is told again when it is met again. */
static bool leaves(const struct resume *r, const struct line *line, const struct listed *l)
{
    if (!l->ours)
        return !line->ended;
    return l->has_key ? l->done : r->kind == RESUME_FRESH;
}

static void choose(struct data_job *job, struct resume *r, const struct listed *l)
{
    if (r->kind != RESUME_FRESH || !l->has_key || l->done)
        return;
    job->untidy = true;
    if (job->spec.id_key)
        resume_put_id(job, r, l->id, ID_FAILED);
    else if (job->share.asked.only_failed)
        share_choose(job, l->key);
}

static bool count_line(struct data_job *job, struct resume *r, const struct line *line,
                       struct err *err)
{
    struct listed l = read_listed(job, line);
    (void)err;
    int64_t before = l.has_key ? attempts_get(r->listed, l.key) : 0;
    if (l.has_key)
        attempts_set(r->listed, l.key, before + 1);
    r->stale += leaves(r, line, &l) || before > 0;
    choose(job, r, &l);
    return true;
}

static bool open_list(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    struct err missing = {0};
    int fd = -1;
    if (!job->spec.errors_records || r->kind == RESUME_GO_ON)
        return true;
    if (!folders_open(data_job_errors_folders(e, &job->spec), job->errors_path, O_RDONLY, &fd, NULL,
                      &missing)) {
        bool none = missing.code == ERR_NOT_FOUND;
        *err = none ? *err : missing;
        return none;
    }
    resume_open_lines(r, fd, job->errors_path, -1, false);
    return true;
}

bool resume_count_list(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (!r->reading && !open_list(e, job, r, err))
        return false;
    if (!r->reading) {
        r->phase = PHASE_SAMPLE;
        return true;
    }
    if (!r->listed)
        r->listed = attempts_new();
    enum line_got got = resume_each_line(e, job, r, count_line, err);
    if (got != LINE_NONE)
        return got == LINE_PAUSE;
    resume_close_lines(r);
    if (job->ids)
        resume_put_batch(job, r);
    r->phase = r->stale ? PHASE_LIST : PHASE_SAMPLE;
    return true;
}

static bool copy_line(struct data_job *job, struct resume *r, const struct line *line,
                      struct err *err)
{
    struct listed l = read_listed(job, line);
    int64_t left = l.has_key ? attempts_get(r->listed, l.key) : 1;
    if (l.has_key)
        attempts_set(r->listed, l.key, left - 1);
    if (leaves(r, line, &l) || left > 1)
        return true;
    if (line->too_long)
        return err_set(err, ERR_LIMIT, "a line of %s is longer than 64 MiB", job->errors_path);
    return rewrite_add(r->rewrite, line->text, err) && rewrite_add(r->rewrite, STR("\n"), err);
}

/* From here until something is listed again its length counts for nothing: so a crash between the
 * new file and the store does no harm. */
static bool end_list(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    job->row.progress.errors_bytes = -1;
    if (!engine_store(e, job, err) || !rewrite_finish(r->rewrite, err))
        return false;
    rewrite_free(TAKE(r->rewrite));
    resume_close_lines(r);
    r->phase = PHASE_SAMPLE;
    return true;
}

bool resume_list(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    if (!r->rewrite) {
        const struct folders *folders = data_job_errors_folders(e, &job->spec);
        if (!open_list(e, job, r, err) ||
            !rewrite_begin(folders, job->errors_path, &r->rewrite, err))
            return false;
    }
    enum line_got got = resume_each_line(e, job, r, copy_line, err);
    return got == LINE_PAUSE || (got == LINE_NONE && end_list(e, job, r, err));
}
