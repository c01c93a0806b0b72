/* step_show.c: one job, whole, perhaps once it has ended. */
#include "engine/engine_state.h"

#include <stdlib.h>

static bool show(struct engine *e, struct op *op)
{
    struct op_step_job_show *ask = &op->step_job_show;
    step_job_view_release(&ask->view);
    const struct step_job *job = steps_job_for(e, &ask->by, ask->id, &op->err);
    if (!job || !step_job_view_make(e, job, &ask->view, &op->err))
        return false;
    step_job_view_explain(e, &ask->view);
    return true;
}

enum op_fate op_step_job_show(struct engine *e, struct op *op)
{
    struct op_step_job_show *ask = &op->step_job_show;
    if (!steps_are_ready(e, op, &ask->by, false) || !show(e, op))
        return FATE_NOW;
    if (job_state_is_final(ask->view.job->state) || ask->wait_until_us <= e->now.mono_us)
        return steps_fate(e);
    op->next = e->steps->shows;
    e->steps->shows = op;
    return FATE_WAITS;
}

/* Whether there is an answer by now. What is in a group that is not durable yet is no end. */
static bool is_due(struct engine *e, const struct op_step_job_show *ask)
{
    struct err err = {0};
    if (ask->wait_until_us <= e->now.mono_us || atomic_load(&ask->given_up))
        return true;
    if (e->steps->unreadable)
        return false;
    const struct step_job *job = steps_job(e, ask->id, &err);
    return !job || job_state_is_final(job->state);
}

void steps_shows_look(struct engine *e)
{
    for (struct op **at = &e->steps->shows; *at;) {
        struct op *op = *at;
        if (!is_due(e, &op->step_job_show)) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        bool good = show(e, op);
        op_meet_fate(e, op, good ? steps_fate(e) : FATE_NOW);
    }
}

int64_t steps_next_us(const struct engine *e)
{
    int64_t next = NEVER_US;
    if (e->steps->walks)
        return 0;
    for (const struct op *op = e->steps->shows; op; op = op->next)
        if (atomic_load(&op->step_job_show.given_up))
            return 0;
        else if (op->step_job_show.wait_until_us < next)
            next = op->step_job_show.wait_until_us;
    return next;
}

static void end_all(struct op **list, const struct err *why)
{
    while (*list) {
        struct op *op = *list;
        *list = op->next;
        op->err = *why;
        op->done(op);
    }
}

void steps_end_waits(struct engine *e, const struct err *why)
{
    if (!e->steps)
        return;
    end_all(&e->steps->shows, why);
    end_all(&e->steps->walks, why);
}
