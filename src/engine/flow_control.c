/* flow_control.c: stopping a flow, and forgetting one. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

/* What runs is told to stop, or with `at_once` stopped here; what waits is left: a portion of it
 * now, the rest with the next steps; with `at_once` all. */
static void stop(struct engine *e, struct flow_job *flow, bool at_once)
{
    struct flows *flows = e->tasks->flows;
    flows->stopping += flow->stop_at == 0;
    flow->row.stops = true;
    flow->stop_at = flow->row.tasks;
    flow_close(e, flow, true);
    flow_touch(e, flow);
    for (int64_t i = 0; i < flow->row.tasks; i++) {
        if (flow_marks_get(flow->marks, flow->places[i]) != FLOW_RUNNING)
            continue;
        struct task *t = dispatch_find(e->tasks->dispatch, flow->row.first_task + i);
        struct task_note *note = t && t->run ? note_must(e, t) : NULL;
        if (note && at_once)
            task_cancel(e, note);
        else if (note)
            task_abort(e, note, ABORT_CANCELLED);
    }
    if (at_once)
        flow_stop_whole(e, flow);
    else
        flow_stops_go(e);
    e->tasks->stirred = true;
}

void flow_end_at_once(struct engine *e, struct flow_job *flow)
{
    stop(e, flow, true);
}

enum op_fate op_flow_abort(struct engine *e, struct op *op)
{
    struct flow_job *flow = tasks_are_ready(e, op, true) ? flow_find(e, op) : NULL;
    if (!flow)
        return FATE_NOW;
    if (flow->row.state != JOB_RUNNING)
        return op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT, "flow %s does not run: it is %s",
                         flow->name, job_state_name(flow->row.state));
    if (!flow->row.stops || op->flow_abort.at_once)
        stop(e, flow, op->flow_abort.at_once);
    if (!flow_view_fill(e, flow, true, &op->flow_abort.view, &op->err))
        return FATE_NOW;
    return FATE_DURABLE;
}

/* --- forgetting --- */

void flow_drop_pools(struct engine *e, const struct flow_job *flow)
{
    struct tasks *tasks = e->tasks;
    OWNED_MEM char *prefix = flow_pool_key(flow->row.name, STR(""));
    size_t kept = 0, len = strlen(prefix);
    for (size_t i = 0; i < tasks->rule_count; i++) {
        if (strncmp(tasks->rules[i].name, prefix, len) != 0) {
            tasks->rules[kept++] = tasks->rules[i];
            continue;
        }
        free(tasks->rules[i].name);
        free(tasks->rules[i].pattern);
    }
    if (kept == tasks->rule_count)
        return;
    tasks->rule_count = kept;
    dispatch_set_key_rules(tasks->dispatch, tasks->rules, tasks->rule_count);
    e->building.tasks.rules_changed = true;
}

struct forgetting {
    struct engine *e;
    int64_t last;
};

static bool forget_row(void *context, const struct task_row *row, struct err *err)
{
    struct forgetting *f = context;
    (void)err;
    if (row->id > f->last)
        return false;
    (void)task_delete_row(f->e, row);
    return true;
}

/* What has ended in this very group has no such row yet: retention finds it. */
bool flow_forget_tasks(struct engine *e, const struct flow_job *flow, struct err *err)
{
    struct forgetting f = {e, flow->row.first_task + flow->row.tasks - 1};
    int64_t looked = 0;
    if (!flow->row.tasks)
        return true;
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) &&
           task_store_walk(tx, WALK_ALL, flow->row.first_task - 1, flow->row.tasks, &looked,
                           forget_row, &f, err);
}

/* Its queue limits nothing any more. */
static void open_queue(struct engine *e, const struct flow_job *flow)
{
    OWNED_MEM char *name = flow_queue_name(flow->row.name);
    uint32_t place = gate_need(e, false, str_of(name));
    struct gate none = {0};
    dispatch_set_queue_gate(e->tasks->dispatch, place, &none);
    gate_at(e, false, place)->changed = true;
    e->building.tasks.gates_changed = true;
}

enum op_fate op_flow_delete(struct engine *e, struct op *op)
{
    struct flow_job *flow = tasks_are_ready(e, op, true) ? flow_find(e, op) : NULL;
    if (!flow)
        return FATE_NOW;
    if (flow->row.state == JOB_RUNNING)
        return op_refuse(op, REFUSED_FLOW_RUNS, ERR_CONFLICT,
                         "flow %s runs: abort it first (run %" PRId64 ")", flow->name,
                         flow->row.run);
    if (!flow_forget_tasks(e, flow, &op->err))
        return FATE_NOW;
    flow_drop_pools(e, flow);
    open_queue(e, flow);
    flow_event(e, flow, "flow.deleted", true);
    flow_group_drop(&e->building.tasks.flows, flow);
    flow_group_delete(&e->building.tasks.flows, flow->row.id);
    flow_drop(e, flow);
    blobs_stir(e); /* of its context */
    e->tasks->flows->look = true;
    return FATE_DURABLE;
}
