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

static bool forget_row(void *context, const struct task_row *row, struct err *err)
{
    (void)err;
    return task_delete_row(context, row);
}

static bool forget(struct engine *e, int64_t id, struct err *err)
{
    bool found = false;
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && task_store_read(tx, id, &found, forget_row, e, err) &&
           found;
}

bool task_control_one(struct engine *e, enum task_verb verb, int64_t id, struct err *err)
{
    if (verb == TASK_CANCEL)
        return cancel(e, id, err);
    if (verb == TASK_DELETE)
        return forget(e, id, err);
    if (!task_retry(e, id, err))
        return false;
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
