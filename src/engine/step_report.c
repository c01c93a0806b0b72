/* step_report.c: what the runs of step jobs log and measure: put into the store, and read. None of
 * it is in memory. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- put --- */

/* The job, if that run is its last. */
static const struct step_job *reported(struct engine *e, const struct op_step_report *ask,
                                       struct err *err)
{
    const struct step_job *job = steps_job_for(e, &ask->by, ask->job, err);
    if (!job || (ask->fence > 0 && job->fence == ask->fence))
        return job;
    err_set(err, ERR_CONFLICT, "run %" PRId64 " of job %" PRId64 " is not its last", ask->fence,
            ask->job);
    return NULL;
}

enum op_fate op_step_report(struct engine *e, struct op *op)
{
    struct op_step_report *ask = &op->step_report;
    if (!steps_are_ready(e, op, &ask->by, true))
        return FATE_NOW;
    const struct step_job *job = reported(e, ask, &op->err);
    if (!job)
        return FATE_NOW;
    ask->of = step_job_hold(job);
    return op_store(e, op);
}

bool step_report_store(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    const struct op_step_report *ask = &op->step_report;
    struct err why = {0};
    if ((!ask->count || step_log_store_add(tx, ask->job, ask->lines, ask->count, &why)) &&
        (!ask->metrics.ptr ||
         step_log_store_measure(tx, ask->job, ask->metrics, ask->of->worker, now_us, &why)))
        return true;
    /* The job was deleted meanwhile: that is this op's trouble alone. */
    *(why.code == ERR_NOT_FOUND ? &op->err : err) = why;
    return why.code == ERR_NOT_FOUND;
}

/* --- read --- */

static void add_line(void *context, const struct step_log_line *line)
{
    struct op_step_report_show *ask = context;
    struct step_log_line *copy = &ask->lines[ask->count++];
    char *text = xcalloc(line->message.len + 1, 1); /* there may be NULs in it */
    if (line->message.len)
        memcpy(text, line->message.ptr, line->message.len);
    *copy = *line;
    copy->message.ptr = text;
}

enum op_fate op_step_report_show(struct engine *e, struct op *op)
{
    struct op_step_report_show *ask = &op->step_report_show;
    if (!steps_are_ready(e, op, &ask->by, false) || !steps_job_for(e, &ask->by, ask->job, &op->err))
        return FATE_NOW;
    if (ask->page.limit > STEP_LOG_POST_MAX)
        ask->page.limit = STEP_LOG_POST_MAX;
    ask->lines = xcalloc((size_t)ask->page.limit + 1, sizeof *ask->lines);
    OWNED(tx) struct tx *tx = NULL;
    (void)!(tx_begin(e->store, &tx, &op->err) &&
            step_log_store_read(tx, ask->job, &ask->page, add_line, ask, &op->err) &&
            step_log_store_metrics(tx, ask->job, &ask->metrics, &op->err));
    return FATE_NOW;
}
