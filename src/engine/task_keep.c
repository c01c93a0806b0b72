/* task_keep.c: what has ended is forgotten some time: after its own keep_s, after the server's
 * time, or when there are too many, the first ended first. A portion a step, so that nobody waits.
 */
#include "engine/engine_state.h"

#include <stdlib.h>

#define KEEP_USUAL_US (INT64_C(7) * 24 * 3600 * 1000000)
#define KEEP_USUAL_COUNT INT64_C(10000000)
#define LOOK_EVERY_US INT64_C(1000000)

enum { PORTION = 500 };

bool task_delete_row(struct engine *e, const struct task_row *row)
{
    struct tasks *tasks = e->tasks;
    uint32_t queue = gate_by_number(e, false, row->queue),
             function = gate_by_number(e, true, row->function);
    if (!job_state_is_final(row->state) || dispatch_find(tasks->dispatch, row->id) ||
        attempts_get(tasks->ended, row->id) == 1 + JOB_STATE_COUNT || queue == UINT32_MAX ||
        function == UINT32_MAX)
        return false;
    struct task_leaf *leaf = leaf_get(e, queue, function, row->key, row->batch);
    leaf_count(e, leaf, row->state, JOB_STATE_COUNT);
    leaf_put(e, leaf);
    id_list_add(&e->building.tasks.deletes, row->id);
    blobs_stir(e); /* it may have been the last to need one */
    attempts_set(tasks->ended, row->id, 1 + JOB_STATE_COUNT);
    return true;
}

struct keeping {
    struct engine *e;
    struct id_list gone;
    int64_t looked;
};

static bool forget_row(void *context, const struct task_row *row, struct err *err)
{
    struct keeping *k = context;
    (void)err;
    k->looked++;
    if (task_delete_row(k->e, row) && row->state != JOB_COMPLETED)
        id_list_add(&k->gone, row->id);
    return true;
}

static int64_t ended_count(struct engine *e)
{
    int64_t count = 0;
    for (size_t i = 0; i < e->tasks->queue_count; i++) {
        const struct task_gate *gate = &e->tasks->queues[i];
        for (int state = JOB_COMPLETED; state <= JOB_CANCELLED; state++)
            count += gate->counts[state] + gate->delta[state];
    }
    return count;
}

static bool forget_some(struct engine *e, struct keeping *k, struct err *err)
{
    const struct engine_options *o = &e->options;
    int64_t keep_us = o->keep_tasks_us ? o->keep_tasks_us : KEEP_USUAL_US;
    int64_t excess = ended_count(e) - (o->keep_tasks ? o->keep_tasks : KEEP_USUAL_COUNT);
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) ||
        !task_store_walk_expired(tx, e->now.wall_us, PORTION, forget_row, k, err) ||
        !task_store_walk_ended(tx, e->now.wall_us - keep_us, PORTION, forget_row, k, err))
        return false;
    excess -= (int64_t)k->looked;
    return excess <= 0 || task_store_walk_ended(tx, INT64_MAX, excess < PORTION ? excess : PORTION,
                                                forget_row, k, err);
}

/* When there is something to forget, as far as time goes. */
static int64_t next_due(struct engine *e)
{
    struct err ignored;
    int64_t ended_us = 0, expiry_us = 0, wait_us = INT64_MAX;
    int64_t keep_us = e->options.keep_tasks_us ? e->options.keep_tasks_us : KEEP_USUAL_US;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, &ignored) || !task_store_first_ended(tx, &ended_us, &ignored) ||
        !task_store_first_expiry(tx, &expiry_us, &ignored))
        return e->now.mono_us + LOOK_EVERY_US;
    if (ended_us)
        wait_us = ended_us + keep_us - e->now.wall_us;
    if (expiry_us && expiry_us - e->now.wall_us < wait_us)
        wait_us = expiry_us - e->now.wall_us;
    if (wait_us == INT64_MAX)
        return NEVER_US;
    return e->now.mono_us + (wait_us < LOOK_EVERY_US ? LOOK_EVERY_US : wait_us + 1);
}

void tasks_keep_tick(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    struct keeping k = {.e = e};
    struct err ignored; /* looked at again the next time */
    if (tasks->keep_due_us > e->now.mono_us)
        return;
    bool more = forget_some(e, &k, &ignored) && k.looked >= PORTION;
    /* Who waits for the completion of one that is gone would wait for ever. */
    for (size_t i = 0; i < k.gone.count; i++)
        task_cancel_children(e, k.gone.items[i]);
    id_list_release(&k.gone);
    tasks->keep_due_us = more ? e->now.mono_us : next_due(e);
}

void tasks_keep_begin(struct engine *e)
{
    e->tasks->keep_due_us = next_due(e);
}

void tasks_keep_later(struct engine *e)
{
    int64_t due = e->now.mono_us + LOOK_EVERY_US;
    if (due < e->tasks->keep_due_us)
        e->tasks->keep_due_us = due;
}
