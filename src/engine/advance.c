/* advance.c: what follows from what happened: a job with nothing left is complete, one whose
 * program failed has failed, and what has ended lets go of its files. */
#include "base/log.h"
#include "engine/engine_state.h"

#include <stdlib.h>

void job_fail(struct engine *e, struct data_job *job, const char *what, const char *why)
{
    struct err ignored;
    free(job->row.failure);
    job->row.failure = xasprintf("%s: %s", what, why);
    if (engine_move(e, job, JOB_FAIL, &ignored))
        list_add(&e->building.ended, job);
    data_job_unserve(job);
}

static void program_failed(struct engine *e, struct data_job *job, const char *kind,
                           const char *name, struct program *program)
{
    OWNED_MEM char *what = xasprintf("%s %s", kind, name);
    job_fail(e, job, what, program_failure(program));
}

/* Whether the reader's program is done; a failed one fails the job. */
static bool input_ended(struct engine *e, struct data_job *job)
{
    if (!job->feed_in)
        return true;
    switch (program_state(job->feed_in)) {
    case PROGRAM_RUNNING:
        return false;
    case PROGRAM_FAILED:
        program_failed(e, job, "reader", job->spec.source_program, job->feed_in);
        return false;
    case PROGRAM_ENDED:
        break;
    }
    return true;
}

/* Whether the writer's program has taken everything and ended well. */
static bool output_ended(struct engine *e, struct data_job *job)
{
    if (!job->feed_out)
        return true;
    program_finish(job->feed_out);
    switch (program_state(job->feed_out)) {
    case PROGRAM_RUNNING:
        return false;
    case PROGRAM_FAILED:
        program_failed(e, job, "writer", job->spec.sink_program, job->feed_out);
        return false;
    case PROGRAM_ENDED:
        break;
    }
    return true;
}

/* A job may end before a line that is no record yet: perhaps it is still being written, perhaps
 * everything behind a stray quote is in it. It is told, not taken. */
static void tell_of_tail(struct engine *e, struct data_job *job)
{
    data_job_error_line(job, &job->bad_lines, "unfinished", ledger_known(job->ledger), NULL, 0,
                        job->tail, (struct str){0}, 0, e->now.wall_us);
    struct log_line *line = log_begin(LOG_WARN, "job.input-unfinished");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "reason", "%s", job->tail);
    log_end(line);
}

void job_advance(struct engine *e, struct data_job *job)
{
    struct err ignored;
    if (job_state_is_final(job->row.state))
        return;
    if (job->feed_out && program_state(job->feed_out) == PROGRAM_FAILED) {
        program_failed(e, job, "writer", job->spec.sink_program, job->feed_out);
        return;
    }
    if (job->spec.mode == MODE_WRITE) /* more may always come */
        return;
    if (job->resume)
        return;
    if (job->share.on && (job->share.ended || job->exhausted) && !share_left_nothing(job)) {
        share_advance(e, job);
        return;
    }
    if (!input_ended(e, job) || !job->exhausted || ledger_count(job->ledger, RECORD_UNREAD) ||
        ledger_count(job->ledger, RECORD_SERVED) || job->touched)
        return;
    /* What waited for its turn waits no longer; then it is looked at again. */
    if (order_count(job->order)) {
        engine_touch(e, job);
        return;
    }
    if (!output_ended(e, job))
        return;
    if (data_job_tidy_up(e, job))
        return;
    if (!engine_move(e, job, JOB_COMPLETE, &ignored))
        return;
    if (job->tail[0])
        tell_of_tail(e, job);
    list_add(&e->building.ended, job);
}
