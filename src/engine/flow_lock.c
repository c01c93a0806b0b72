/* flow_lock.c: the one lock of a flow, which its Workers take in turn. It belongs to a run of a
 * task and is stored: it outlives the server, as that run does. */
#include "engine/engine_state.h"

#include <inttypes.h>

void flow_lock_leave(struct engine *e, struct flow_job *flow, int64_t task)
{
    if (flow->row.lock_task != task)
        return;
    flow->row.lock_task = flow->row.lock_fence = 0;
    flow_touch(e, flow);
    e->tasks->flows->look = true;
}

/* The flow, when the task that asks runs in it, in the hands of who asks; NULL: refused. */
static struct flow_job *flow_of_run(struct engine *e, struct op *op)
{
    const struct op_flow_lock *ask = &op->flow_lock;
    struct flow_job *flow = flow_find(e, op);
    if (!flow)
        return NULL;
    const struct task *t = dispatch_find(e->tasks->dispatch, ask->task);
    if (flow->marks && t && t->run && t->fence == ask->fence && ask->task >= flow->row.first_task &&
        ask->task < flow->row.first_task + flow->row.tasks)
        return flow;
    op_refuse(op, REFUSED_STALE, ERR_CONFLICT,
              "task %" PRId64 " with fence %" PRId64 " does not run in flow %s", ask->task,
              ask->fence, flow->name);
    return NULL;
}

static bool is_holder(const struct flow_job *flow, const struct op_flow_lock *ask)
{
    return flow->row.lock_task == ask->task && flow->row.lock_fence == ask->fence;
}

/* Free, or the asker's already (an answer was lost): it has it. */
static bool take(struct engine *e, struct flow_job *flow, struct op_flow_lock *ask)
{
    if (flow->row.lock_task && !is_holder(flow, ask))
        return false;
    ask->locked = true;
    flow->row.lock_task = ask->task;
    flow->row.lock_fence = ask->fence;
    flow_touch(e, flow);
    return true;
}

bool flow_lock_try(struct engine *e, struct op *op)
{
    struct op_flow_lock *ask = &op->flow_lock;
    struct flow_job *flow = flow_of_run(e, op);
    if (!flow || atomic_load(&ask->given_up))
        return true;
    return take(e, flow, ask) || ask->wait_until_us <= e->now.mono_us;
}

enum op_fate op_flow_lock(struct engine *e, struct op *op)
{
    struct op_flow_lock *ask = &op->flow_lock;
    struct flow_job *flow = tasks_are_ready(e, op, true) ? flow_of_run(e, op) : NULL;
    if (!flow)
        return FATE_NOW;
    if (ask->unlock) {
        if (is_holder(flow, ask))
            flow_lock_leave(e, flow, ask->task);
        return tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
    }
    if (take(e, flow, ask))
        return FATE_DURABLE;
    if (ask->wait_until_us <= e->now.mono_us)
        return FATE_NOW;
    flow_wait(&e->tasks->flows->locks, op);
    return FATE_WAITS;
}
