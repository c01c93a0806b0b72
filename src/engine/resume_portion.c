/* resume_portion.c: the numbers of a portion are drawn from the whole input, or counted off
 * (resume.h). */
#include "engine/resume_state.h"

#include <stdlib.h>

static void end_draw(struct data_job *job, struct resume *r)
{
    if (r->sample)
        job->share.chosen = sample_take(r->sample, &job->share.chosen_count);
    source_free(TAKE(r->input));
    share_chosen(job);
    r->phase = PHASE_INPUT;
}

bool resume_draw(struct engine *e, struct data_job *job, struct resume *r, struct err *err)
{
    const struct portion *asked = &job->share.asked;
    if (asked->sample == 0 || r->kind != RESUME_FRESH) {
        if (r->kind == RESUME_FRESH)
            share_chosen(job);
        r->phase = PHASE_INPUT;
        return true;
    }
    if (!r->sample)
        r->sample = sample_new(asked->sample, asked->seed);
    if (!r->input && !data_job_open_source(e, job, &r->input, err))
        return false;
    source_allow(r->input, data_job_slice_bytes(e));
    for (;;) {
        struct source_record record;
        switch (source_next(r->input, &record, err)) {
        case SOURCE_RECORD:
            sample_offer(r->sample, record.number);
            break;
        case SOURCE_BAD:
            break;
        case SOURCE_PAUSE:
            return true;
        case SOURCE_TAIL:
        case SOURCE_END:
            end_draw(job, r);
            return true;
        case SOURCE_FAILED:
            return false;
        }
    }
}
