/* task_control.c: bulk verbs: cancel, retry, delete whatever a filter matches, a slice a step. */
#include "engine/engine_state.h"

#include <stdlib.h>

enum { SLICE_ROWS = 500 };

struct controlling {
    struct engine *e;
    struct op_task_control *control;
    struct id_list matched;
};

static bool fits_verb(enum task_verb verb, enum job_state state)
{
    switch (verb) {
    case TASK_CANCEL:
        return !job_state_is_final(state);
    case TASK_RETRY:
        return state == JOB_FAILED || state == JOB_CANCELLED;
    case TASK_DELETE:
        return job_state_is_final(state);
    }
    return false;
}

static bool match_row(void *context, const struct task_row *row, struct err *err)
{
    struct controlling *c = context;
    (void)err;
    if (!c->control->filter.ids)
        c->control->reached = row->id;
    if (fits_verb(c->control->verb, row->state) && filter_matches(c->e, &c->control->filter, row))
        id_list_add(&c->matched, row->id);
    return true;
}

/* The next ids of a list. */
static bool match_ids(struct controlling *c, struct tx *tx, bool *more, struct err *err)
{
    struct op_task_control *control = c->control;
    bool found = false;
    for (int i = 0; i < SLICE_ROWS && control->reached < (int64_t)control->filter.id_count; i++)
        if (!task_store_read(tx, control->filter.ids[control->reached++], &found, match_row, c,
                             err))
            return false;
    *more = control->reached < (int64_t)control->filter.id_count;
    return true;
}

static enum task_walk walk_of(const struct op_task_control *control)
{
    enum task_walk walk = filter_walk(&control->filter);
    return walk == WALK_ALL && control->verb == TASK_CANCEL ? WALK_OPEN : walk;
}

static bool match(struct controlling *c, bool *more, struct err *err)
{
    struct op_task_control *control = c->control;
    int64_t looked = 0;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(c->e->store, &tx, err))
        return false;
    if (control->filter.ids)
        return match_ids(c, tx, more, err);
    bool ok = task_store_walk(tx, walk_of(control), control->reached, SLICE_ROWS, &looked,
                              match_row, c, err);
    *more = looked == SLICE_ROWS;
    return ok;
}

/* --- one by one --- */

static bool cancel(struct engine *e, int64_t id, struct err *err)
{
    struct task *t = dispatch_find(e->tasks->dispatch, id);
    struct task_note *note = t ? note_need(e, t, err) : NULL;
    if (!note)
        return false;
    if (t->run)
        task_abort(e, note, ABORT_CANCELLED);
    else
        task_cancel(e, note);
    return true;
}

/* A unique key that somebody else has by now keeps it from coming back. */
static bool may_come_back(struct engine *e, const struct task_row *row, struct unique_key *key)
{
    if (!row->unique.ptr || (row->unique_while == UNIQUE_PENDING && row->fence > 0))
        return true;
    *key = unique_key_of(row->unique, e->tasks->seed);
    int64_t other = unique_map_get(e->tasks->unique, *key);
    return !other || other == row->id;
}

static bool bring_back(void *context, const struct task_row *row, struct err *err)
{
    struct engine *e = context;
    struct tasks *tasks = e->tasks;
    struct unique_key key = {0, 0};
    (void)err;
    if (dispatch_find(tasks->dispatch, row->id) ||
        attempts_get(tasks->ended, row->id) > JOB_STATE_COUNT ||
        !fits_verb(TASK_RETRY, row->state) || !may_come_back(e, row, &key))
        return false;
    struct task_entry entry = {.id = row->id,
                               .queue = gate_by_number(e, false, row->queue),
                               .function = gate_by_number(e, true, row->function),
                               .key = row->key,
                               .lock = row->lock,
                               .priority = (int16_t)row->priority,
                               .max_attempts = (uint32_t)row->max_attempts,
                               .fence = (uint32_t)row->fence};
    if (entry.queue == UINT32_MAX || entry.function == UINT32_MAX)
        return false;
    struct task *t = dispatch_add(tasks->dispatch, &entry, e->now);
    t->has_children = task_graph_has_children(tasks->graph, row->id);
    struct task_note *note = note_of_row(e, t, row);
    if (key.low) {
        t->has_unique = true;
        unique_map_put(tasks->unique, key, row->id);
    }
    note->row.attempts = note->row.session = note->row.run_at_us = 0;
    note->row.ended_at_us = note->row.expires_at_us = 0;
    note_move(e, note, JOB_PENDING);
    note_write(e, note, WRITE_SAVE);
    note_event(e, note, "task.retried");
    tasks->stirred = true;
    return true;
}

static bool forget_row(void *context, const struct task_row *row, struct err *err)
{
    (void)err;
    return task_delete_row(context, row);
}

static bool change_row(struct engine *e, enum task_verb verb, int64_t id, struct err *err)
{
    bool found = false;
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) &&
           task_store_read(tx, id, &found, verb == TASK_RETRY ? bring_back : forget_row, e, err) &&
           found;
}

bool task_control_one(struct engine *e, enum task_verb verb, int64_t id, struct err *err)
{
    if (verb == TASK_CANCEL)
        return cancel(e, id, err);
    if (!change_row(e, verb, id, err))
        return false;
    if (verb == TASK_RETRY)
        steps_task_back(e, id);
    return true;
}

bool task_control_slice(struct engine *e, struct op *op)
{
    struct controlling c = {.e = e, .control = &op->task_control};
    bool more = false;
    if (e->tasks->refused_until_us > e->now.mono_us)
        return false;
    bool ok = match(&c, &more, &op->err);
    for (size_t i = 0; ok && i < c.matched.count; i++) {
        struct err err = {0};
        c.control->matched++;
        if (task_control_one(e, c.control->verb, c.matched.items[i], &err)) {
            c.control->changed++;
            if (c.control->verb == TASK_DELETE)
                task_cancel_children(e, c.matched.items[i]);
        } else if (err.code != ERR_NONE) {
            op->err = err;
            ok = false;
        }
    }
    id_list_release(&c.matched);
    return !ok || !more;
}

enum op_fate op_task_control(struct engine *e, struct op *op)
{
    op->task_control.reached = 0;
    if (!tasks_are_ready(e, op, true))
        return FATE_NOW;
    if (!task_control_slice(e, op)) {
        task_slice_add(e, op);
        return FATE_WAITS;
    }
    return op->err.code == ERR_NONE && tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}
