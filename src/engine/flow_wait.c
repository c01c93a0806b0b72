/* flow_wait.c: those who wait for the end of a flow, or for its lock. */
#include "engine/engine_state.h"

#include <stdlib.h>

void flow_wait(struct op **list, struct op *op)
{
    while (*list)
        list = &(*list)->next;
    op->next = NULL;
    *list = op;
}

static int64_t until_us(const struct op *op)
{
    const bool given_up = op->kind == OP_FLOW_SHOW ? atomic_load(&op->flow_show.given_up)
                                                   : atomic_load(&op->flow_lock.given_up);
    if (given_up)
        return 0;
    return op->kind == OP_FLOW_SHOW ? op->flow_show.wait_until_us : op->flow_lock.wait_until_us;
}

static bool show_try(struct engine *e, struct op *op)
{
    struct flow_job *flow = flow_find(e, op);
    if (!flow)
        return true;
    if (flow->row.state == JOB_RUNNING && until_us(op) > e->now.mono_us)
        return false;
    (void)!flow_view_fill(e, flow, true, &op->flow_show.view, &op->err); /* or its error */
    return true;
}

static void look_at(struct engine *e, struct op **at, bool (*try)(struct engine *e, struct op *op))
{
    bool look = e->tasks->flows->look;
    while (*at) {
        struct op *op = *at;
        if ((!look && until_us(op) > e->now.mono_us) || !try(e, op)) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op->next = NULL;
        bool durable = op->err.code == ERR_NONE && tasks_stir(&e->building);
        op_meet_fate(e, op, durable ? FATE_DURABLE : FATE_NOW);
    }
}

void flows_look(struct engine *e)
{
    struct flows *flows = e->tasks->flows;
    /* Of what was read anew nobody has seen the end. */
    for (size_t i = 0; flows->look && flows->running && i < flows->count; i++)
        if (flows->list[i]->marks && flows->list[i]->row.state == JOB_RUNNING &&
            flow_marks_open(flows->list[i]->marks) == 0)
            flow_finish(e, flows->list[i]);
    look_at(e, &flows->locks, flow_lock_try);
    look_at(e, &flows->shows, show_try);
    flows->look = false;
}

int64_t flows_next_us(const struct engine *e)
{
    const struct flows *flows = e->tasks->flows;
    int64_t next = NEVER_US;
    for (const struct op *op = flows->shows; op; op = op->next)
        if (until_us(op) < next)
            next = until_us(op);
    for (const struct op *op = flows->locks; op; op = op->next)
        if (until_us(op) < next)
            next = until_us(op);
    return next;
}

static void end_list(struct op **list, const struct err *why)
{
    while (*list) {
        struct op *op = *list;
        *list = op->next;
        op->err = *why;
        op->done(op);
    }
}

void flows_end_waits(struct engine *e, const struct err *why)
{
    end_list(&e->tasks->flows->shows, why);
    end_list(&e->tasks->flows->locks, why);
}
