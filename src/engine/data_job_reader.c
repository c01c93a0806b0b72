/* data_job_reader.c: a data job's input is read on, and read again (data_job.h). */
#include "engine/data_job.h"

#include "engine/engine_state.h"
#include "engine/identity.h"
#include "engine/resume.h"

#include <assert.h>
#include <stdio.h>

enum {
    SERVED_STRIDE = 65536,   /* how far the stored bound of what may be served runs ahead */
    BAD_LINES_MAX = 1 << 20, /* bytes for the error file that may wait */
    SLICE_BYTES = 2 << 20    /* about 10 ms of decompression */
};

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
