/* flow_cascade.c: what a flow's list can make long, a portion a step, so that nobody waits for it:
 * those who waited for a node that will never be complete are defaulted, and those who wait for
 * them, and so on; and what has not begun of a flow that was told to stop is left.
 *
 * Neither needs a note of its own in the store. An edge to a parent that did not complete stays
 * there until its child has ended: a node of a run that waits for a task that is no more open is
 * one that a cascade had yet to come to. And a flow that stops has open nodes until it has
 * stopped. So a process that is killed between two portions goes on where it was, from what is
 * loaded. Until its turn comes such a node cannot start: in memory, too, it still waits for its
 * parent; and the queue of a flow that stops is closed. */
#include "engine/engine_state.h"

enum { PORTION_USUAL = 128 };

void flow_cascade_add(struct engine *e, int64_t parent)
{
    id_list_add(&e->tasks->flows->cascade, parent);
}

/* One of those who wait for the parent; false: there are none (any more). */
static bool tell_one(struct engine *e, int64_t parent)
{
    struct tasks *tasks = e->tasks;
    enum after_when when = AFTER_COMPLETED;
    int64_t id = task_graph_take(tasks->graph, parent, false, true, &when);
    struct task *child = id ? dispatch_find(tasks->dispatch, id) : NULL;
    if (!child)
        return id != 0;
    tasks->flows->portion--;
    tasks->stirred = true;
    if (when == AFTER_ENDED) {
        dispatch_parent_done(tasks->dispatch, child, e->now);
        return true;
    }
    struct task_note *note = note_must(e, child);
    if (note)
        task_cancel_in_vain(e, note);
    return true;
}

void flow_cascade_go(struct engine *e)
{
    struct flows *flows = e->tasks->flows;
    while (flows->portion > 0 && flows->cascade_at < flows->cascade.count)
        if (!tell_one(e, flows->cascade.items[flows->cascade_at]))
            flows->cascade_at++;
    if (flows->cascade_at < flows->cascade.count)
        return;
    id_list_release(&flows->cascade);
    flows->cascade_at = 0;
}

void flow_cascade_resume(struct engine *e, const struct flow_job *flow)
{
    struct tasks *tasks = e->tasks;
    OWNED_MEM int64_t *parents = NULL;
    size_t cap = 0;
    for (int64_t i = 0; i < flow->row.tasks; i++) {
        int64_t id = flow->row.first_task + i;
        if (!flow_marks_is_open(flow->marks, flow->places[i]))
            continue;
        size_t count = task_graph_parents(tasks->graph, id, NULL, 0);
        if (count > cap) {
            cap = 2 * count;
            parents = xrealloc(parents, cap * sizeof *parents);
        }
        (void)task_graph_parents(tasks->graph, id, parents, cap);
        for (size_t p = 0; p < count; p++)
            if (!dispatch_find(tasks->dispatch, parents[p]))
                flow_cascade_add(e, parents[p]);
    }
}

/* --- stopping --- */

void flow_close(struct engine *e, const struct flow_job *flow, bool closed)
{
    struct dispatch *d = e->tasks->dispatch;
    OWNED_MEM char *name = flow_queue_name(flow->row.name);
    uint32_t place = gate_place(e, false, str_of(name));
    struct gate gate = *dispatch_queue_gate(d, place);
    gate.closed = closed;
    dispatch_set_queue_gate(d, place, &gate);
}

/* Last first: then nobody who waits is let through by those before him. */
static void stop_portion(struct engine *e, struct flow_job *flow, int64_t *portion)
{
    while (*portion > 0 && flow->stop_at > 0) {
        int64_t at = --flow->stop_at;
        if (!flow_marks_is_open(flow->marks, flow->places[at]))
            continue;
        struct task *t = dispatch_find(e->tasks->dispatch, flow->row.first_task + at);
        struct task_note *note = t && !t->run ? note_must(e, t) : NULL;
        if (!note)
            continue;
        (*portion)--;
        task_cancel(e, note);
    }
}

void flow_stops_go(struct engine *e)
{
    struct flows *flows = e->tasks->flows;
    size_t left = 0;
    for (size_t i = 0; flows->stopping && i < flows->count; i++) {
        if (flows->list[i]->stop_at > 0)
            stop_portion(e, flows->list[i], &flows->portion);
        left += flows->list[i]->stop_at > 0;
    }
    flows->stopping = left;
}

void flow_stop_whole(struct engine *e, struct flow_job *flow)
{
    int64_t all = INT64_MAX;
    stop_portion(e, flow, &all);
}

bool flows_go_on(const struct engine *e)
{
    const struct flows *flows = e->tasks->flows;
    return flows->stopping || flows->cascade.count;
}

void flows_step(struct engine *e)
{
    int64_t portion = e->options.flow_portion;
    e->tasks->flows->portion = portion ? portion : PORTION_USUAL;
    flow_cascade_go(e);
    flow_stops_go(e);
}
