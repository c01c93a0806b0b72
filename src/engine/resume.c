/* resume.c: see resume.h: the order of the phases, and those that have no file of their own. */
#include "engine/resume.h"

#include "base/json.h"
#include "base/log.h"
#include "engine/identity.h"
#include "engine/resume_state.h"

#include <endian.h>
#include <stdlib.h>

enum { EXPECT_FIRST_BYTES = 1 << 20 };

void resume_free(struct resume *r)
{
    if (!r)
        return;
    resume_close_lines(r);
    rewrite_free(r->rewrite);
    free(r->path);
    source_free(r->input);
    sample_free(r->sample);
    attempts_free(r->listed);
    id_set_free(r->put_back);
    buf_release(&r->held);
    free(r->columns);
    free(r);
}

struct resume *resume_new(enum resume_kind kind)
{
    struct resume *r = xcalloc(1, sizeof *r);
    r->kind = kind;
    r->fd = -1;
    r->torn_at = r->id_column = r->rerun_column = r->vouched = -1;
    buf_init(&r->held, BUF_NO_CAP);
    return r;
}

void resume_begin(struct engine *e, struct data_job *job, enum resume_kind kind)
{
    resume_free(TAKE(job->resume));
    struct resume *r = resume_new(kind);
    if (kind == RESUME_TIDY_UP) {
        r->phase = PHASE_PUT_BACK;
    } else {
        id_set_free(TAKE(job->ids));
        identity_form(e, job);
        r->phase = job->spec.id_key ? PHASE_NOTES : PHASE_COUNT_LIST;
    }
    job->resume = r;
    engine_activate(e, job);
}

void resume_open_lines(struct resume *r, int fd, const char *name, int64_t limit_bytes, bool csv)
{
    r->fd = fd;
    line_reader_init(&r->lines, fd, name, limit_bytes, csv);
    r->reading = true;
    r->header = false;
    r->line = 0;
    r->scouted_bytes = 0;
    r->expect_at = EXPECT_FIRST_BYTES;
}

void resume_close_lines(struct resume *r)
{
    line_scout_free(TAKE(r->scout));
    if (r->reading)
        line_reader_release(&r->lines);
    r->reading = false;
    fd_drop(&r->fd);
    r->fd = -1;
}

enum line_got resume_each_line(struct engine *e, struct data_job *job, struct resume *r,
                               bool (*each)(struct data_job *job, struct resume *r,
                                            const struct line *line, struct err *err),
                               struct err *err)
{
    struct line line;
    enum line_got got = LINE_NONE;
    line_reader_allow(&r->lines, data_job_slice_bytes(e));
    while ((got = line_reader_next(&r->lines, &line, err)) == LINE_HERE)
        if (!each(job, r, &line, err))
            return LINE_FAILED;
    return got;
}

/* --- ids --- */

void resume_put_batch(struct data_job *job, struct resume *r)
{
    for (size_t i = 0; i < r->batched; i++)
        id_set_mark(job->ids, r->ids[i], r->flags[i]);
    r->batched = 0;
}

void resume_put_id(struct data_job *job, struct resume *r, struct id id, unsigned flags)
{
    id_set_prefetch(job->ids, id);
    r->ids[r->batched] = id;
    r->flags[r->batched] = flags;
    if (++r->batched == RESUME_BATCH)
        resume_put_batch(job, r);
}

/* --- the notes --- */

static void load_notes(void *context, enum note_kind kind, struct str notes)
{
    struct data_job *job = context;
    (void)kind; /* either way it is done */
    for (size_t at = 0; at < notes.len; at += NOTE_BYTES) {
        uint64_t halves[2];
        memcpy(halves, notes.ptr + at, sizeof halves);
        struct id id = {le64toh(halves[0]), le64toh(halves[1])};
        resume_put_id(job, job->resume, id, ID_NOTED);
    }
}

static bool read_notes(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    job->ids = id_set_new();
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !note_store_load(tx, job->row.id, load_notes, job, err))
        return false;
    resume_put_batch(job, r);
    r->phase = PHASE_HELD;
    return true;
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
    if (r->kind != RESUME_GO_ON || ledger_known(job->ledger) == 0) {
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

static void end_resume(struct engine *e, struct data_job *job)
{
    OWNED(resume) struct resume *r = TAKE(job->resume);
    if (job->spec.id_key && r->kind != RESUME_TIDY_UP)
        order_drop_written(job);
    /* Whatever is in the output now, what follows is written behind it; a spool is nobody's but
     * ours, and goes on where it was. */
    if (job->spec.id_key && job->spec.sink_format != FORMAT_PROGRAM)
        job->row.progress.sink_bytes = -1;
    if (job->spec.id_key && r->kind != RESUME_TIDY_UP)
        tell_end(e, job, r);
    job->again_now = job->waiting != NULL;
    if (r->kind == RESUME_TIDY_UP)
        job_advance(e, job);
    engine_touch(e, job);
}

void resume_step(struct engine *e, struct data_job *job)
{
    static bool (*const phases[])(struct engine *, struct data_job *, struct resume *,
                                  struct err *) = {
        [PHASE_NOTES] = read_notes,          [PHASE_HELD] = resume_read_held,
        [PHASE_OUTPUT] = resume_scan_output, [PHASE_CUT] = resume_cut_output,
        [PHASE_PUT_BACK] = resume_put_back,  [PHASE_COUNT_LIST] = resume_count_list,
        [PHASE_LIST] = resume_list,          [PHASE_SAMPLE] = resume_draw,
        [PHASE_INPUT] = scan_input,
    };
    static const char *const work[] = {"look through the output", "look through the output",
                                       "tidy up behind the run"};
    struct resume *r = job->resume;
    struct err err = {0};
    enum phase before = r->phase;
    /* What passes at once costs no step. */
    while (phases[r->phase](e, job, r, &err)) {
        if (r->phase == PHASE_END) {
            end_resume(e, job);
            return;
        }
        if (r->phase == before)
            return;
        before = r->phase;
    }
    enum resume_kind kind = r->kind;
    resume_free(TAKE(job->resume));
    if (kind != RESUME_TIDY_UP)
        id_set_free(TAKE(job->ids));
    job_fail(e, job, work[kind], err.text);
}
