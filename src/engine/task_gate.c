/* task_gate.c: queues and functions by name, in the dispatch and in the store. A name that is only
 * asked for (by a claim) has a place, and a number in the store as long as a task has it or
 * something is set for it. */
#include "engine/engine_state.h"

#include <assert.h>
#include <stdlib.h>

struct task_gate *gate_at(struct engine *e, bool of_function, uint32_t place)
{
    struct tasks *tasks = e->tasks;
    struct task_gate **gates = of_function ? &tasks->functions : &tasks->queues;
    size_t *count = of_function ? &tasks->function_count : &tasks->queue_count;
    if (place >= *count) {
        size_t grown = (size_t)place + 64;
        *gates = xrealloc(*gates, grown * sizeof **gates);
        memset(*gates + *count, 0, (grown - *count) * sizeof **gates);
        *count = grown;
    }
    return &(*gates)[place];
}

uint32_t gate_place(struct engine *e, bool of_function, struct str name)
{
    return of_function ? dispatch_function(e->tasks->dispatch, name)
                       : dispatch_queue(e->tasks->dispatch, name);
}

uint32_t gate_need(struct engine *e, bool of_function, struct str name)
{
    uint32_t place = gate_place(e, of_function, name);
    struct task_gate *gate = gate_at(e, of_function, place);
    gate->of_steps = !of_function && step_queue_is(name);
    if (!gate->number) {
        gate->number = ++e->tasks->last_gate;
        gate->fresh = true;
        e->building.tasks.gates_changed = true;
    }
    return place;
}

uint32_t gate_by_number(struct engine *e, bool of_function, int64_t number)
{
    const struct tasks *tasks = e->tasks;
    const struct task_gate *gates = of_function ? tasks->functions : tasks->queues;
    size_t count = of_function ? tasks->function_count : tasks->queue_count;
    if (number > 0 && number <= tasks->loaded_gates) {
        uint32_t place = tasks->by_number[number];
        if (place < count && gates[place].number == number)
            return place;
    }
    for (size_t i = 0; i < count; i++)
        if (number && gates[i].number == number)
            return (uint32_t)i;
    return UINT32_MAX;
}

static bool is_used(struct engine *e, bool of_function, uint32_t place)
{
    struct dispatch *d = e->tasks->dispatch;
    const struct task_gate *gate = gate_at(e, of_function, place);
    const struct gate *set =
        of_function ? dispatch_function_gate(d, place) : dispatch_queue_gate(d, place);
    struct task_counts open =
        of_function ? dispatch_function_counts(d, place) : dispatch_queue_counts(d, place);
    bool any = set->paused || set->fair || set->concurrency || set->rpm > 0 || open.blocked ||
               open.pending || open.running;
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        any = any || gate->counts[state] + gate->delta[state] != 0;
    return any;
}

void gate_forget_unused(struct engine *e, bool of_function, uint32_t place)
{
    struct task_gate *gate = gate_at(e, of_function, place);
    if (!gate->number || is_used(e, of_function, place))
        return;
    id_list_add(&e->building.tasks.gate_deletes, gate->number);
    gate->number = 0;
}

void gate_row(struct engine *e, bool of_function, uint32_t place, struct task_gate_row *row)
{
    struct dispatch *d = e->tasks->dispatch;
    const struct gate *gate =
        of_function ? dispatch_function_gate(d, place) : dispatch_queue_gate(d, place);
    const char *name =
        of_function ? dispatch_function_name(d, place) : dispatch_queue_name(d, place);
    *row = (struct task_gate_row){.number = gate_at(e, of_function, place)->number,
                                  .of_function = of_function,
                                  .name = str_of(name),
                                  .paused = gate->paused,
                                  .fair = gate->fair,
                                  .concurrency = gate->concurrency,
                                  .rpm_millionths = (int64_t)(gate->rpm * 1e6 + 0.5)};
}
