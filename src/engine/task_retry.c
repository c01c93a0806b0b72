/* task_retry.c: a task that has failed or was cancelled comes back, as it was but for its attempts.
 *
 * It waits again for what it has waited for and what has not ended as it wanted: the store keeps
 * that of who was cancelled. What was deleted without having completed never will: who waited for
 * it stays as it is. So does a task whose unique key another one has by now; then that one does its
 * work, and who waits for the old one, or comes back to wait for it, waits for the new one from
 * then on; no more, when the new one has completed and has the key as long as it is stored. */
#include "engine/engine_state.h"

#include <stdlib.h>

/* --- what it waits for --- */

struct parent {
    int64_t id;
    enum after_when when;
};

struct coming_back {
    struct engine *e;
    struct tx *tx;
    struct parent *parents; /* owned: those that it waits for again */
    size_t count, cap;
    bool had_any; /* the store knows of some, of whatever state */
    bool never;   /* one of them is gone without having completed */
    bool done;
    struct err *err;
};

/* The state of a task that may have ended; JOB_STATE_COUNT: it is not there. */
static bool state_of(struct coming_back *c, int64_t id, enum job_state *out)
{
    struct tasks *tasks = c->e->tasks;
    int64_t known = attempts_get(tasks->ended, id);
    bool found = false;
    *out = JOB_PENDING;
    if (dispatch_find(tasks->dispatch, id))
        return true;
    *out = known ? (enum job_state)(known - 1) : JOB_STATE_COUNT;
    return known || task_store_state(c->tx, id, &found, out, c->err);
}

static void look_at_parent(void *context, const struct task_edge_row *row)
{
    struct coming_back *c = context;
    enum job_state state = JOB_STATE_COUNT;
    c->had_any = true;
    if (c->err->code != ERR_NONE || !state_of(c, row->parent, &state))
        return;
    bool ended = state == JOB_STATE_COUNT || job_state_is_final(state);
    if (state == JOB_COMPLETED || (row->when == AFTER_ENDED && ended))
        return;
    c->never = c->never || state == JOB_STATE_COUNT;
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 8;
        c->parents = xrealloc(c->parents, c->cap * sizeof *c->parents);
    }
    c->parents[c->count++] = (struct parent){row->parent, row->when};
}

static void wait_again(struct coming_back *c, int64_t id)
{
    struct engine *e = c->e;
    if (c->had_any)
        id_list_add(&e->building.tasks.forgets, id);
    for (size_t i = 0; i < c->count; i++)
        task_edge_add(e, c->parents[i].id, id, c->parents[i].when);
}

/* --- who has its unique key --- */

/* Another task that has it, 0: nobody. One that has ended may have it as long as it is stored. */
static bool find_holder(struct coming_back *c, const struct task_row *row, struct unique_key *key,
                        int64_t *holder)
{
    struct tasks *tasks = c->e->tasks;
    *holder = 0;
    if (!row->unique.ptr || (row->unique_while == UNIQUE_PENDING && row->fence > 0))
        return true;
    *key = unique_key_of(row->unique, tasks->seed);
    int64_t other = unique_map_get(tasks->unique, *key);
    if (!other && !task_store_by_unique(c->tx, row->unique, &other, c->err))
        return false;
    bool deleted = attempts_get(tasks->ended, other) == 1 + JOB_STATE_COUNT;
    if (other != row->id && !deleted)
        *holder = other;
    return true;
}

/* In the store the two are one when it waits for the other one already; so they are here. */
static void move_edge(struct engine *e, int64_t from, int64_t to, int64_t child,
                      enum after_when when)
{
    struct task_group *g = &e->building.tasks;
    struct tasks *tasks = e->tasks;
    struct task *t = dispatch_find(tasks->dispatch, child);
    bool twice = task_graph_has_edge(tasks->graph, to, child);
    if (!twice)
        task_graph_add(tasks->graph, to, child, when);
    else if (t)
        dispatch_parent_done(tasks->dispatch, t, e->now);
    if (g->move_count == g->move_cap) {
        g->move_cap = g->move_cap ? 2 * g->move_cap : 16;
        g->moves = xrealloc(g->moves, g->move_cap * sizeof *g->moves);
    }
    g->moves[g->move_count++] = (struct task_move){from, to, child};
}

/* The children of the one wait for the other, which has not ended; but none for which that one
 * waits itself. */
static void move_children(struct engine *e, int64_t from, struct task *t)
{
    struct task_graph *graph = e->tasks->graph;
    int64_t to = t->id;
    struct id_list stay = {0};
    enum after_when when = AFTER_COMPLETED;
    if (!task_graph_has_children(graph, from))
        return;
    OWNED(attempts) struct attempts *above = attempts_new();
    task_graph_ancestors(graph, to, above);
    for (int64_t child = 0; (child = task_graph_take(graph, from, true, true, &when));) {
        if (attempts_get(above, child))
            id_list_add(&stay, child);
        else
            move_edge(e, from, to, child, when);
    }
    /* Of a parent that has ended only those are left that want its completion. */
    for (size_t i = 0; i < stay.count; i++)
        task_graph_add(graph, from, stay.items[i], AFTER_COMPLETED);
    id_list_release(&stay);
    t->has_children = task_graph_has_children(graph, to);
}

/* Who waits for the one waits for what has its key. When that has ended without completing, they
 * stay: it may be retried, and this be asked for again. */
static bool hand_children_over(struct coming_back *c, int64_t from, int64_t to)
{
    struct task *t = dispatch_find(c->e->tasks->dispatch, to);
    enum job_state state = JOB_STATE_COUNT;
    if (t)
        move_children(c->e, from, t);
    else if (!state_of(c, to, &state))
        return false;
    else if (state == JOB_COMPLETED)
        task_free_children(c->e, from);
    return true;
}

struct key_look {
    struct coming_back *c;
    int64_t holder;
};

static bool look_who_has_its_key(void *context, const struct task_row *row, struct err *err)
{
    struct key_look *look = context;
    struct unique_key key = {0, 0};
    (void)err;
    return find_holder(look->c, row, &key, &look->holder);
}

static bool is_among_parents(const struct coming_back *c, int64_t id)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->parents[i].id == id)
            return true;
    return false;
}

/* One that has ended is not waited for but who has its key; unless that one waits for `id`. Its id
 * is 0 then when there is nothing more to wait for. */
static bool wait_for_holder(struct coming_back *c, int64_t id, struct parent *parent)
{
    struct key_look look = {.c = c};
    enum job_state state = JOB_STATE_COUNT;
    bool found = false;
    if (dispatch_find(c->e->tasks->dispatch, parent->id))
        return true;
    if (!task_store_read(c->tx, parent->id, &found, look_who_has_its_key, &look, c->err))
        return false;
    if (!look.holder || !state_of(c, look.holder, &state))
        return !look.holder;
    if (state == JOB_COMPLETED || is_among_parents(c, look.holder)) {
        parent->id = 0;
        return true;
    }
    if (job_state_is_final(state) || state == JOB_STATE_COUNT)
        return true;
    OWNED(attempts) struct attempts *above = attempts_new();
    task_graph_ancestors(c->e->tasks->graph, look.holder, above);
    if (!attempts_get(above, id))
        parent->id = look.holder;
    return true;
}

static bool find_parents(struct coming_back *c, int64_t id)
{
    if (!task_edge_store_parents(c->tx, id, look_at_parent, c, c->err) || c->err->code != ERR_NONE)
        return false;
    size_t left = 0;
    for (size_t i = 0; i < c->count; i++)
        if (!wait_for_holder(c, id, &c->parents[i]))
            return false;
    for (size_t i = 0; i < c->count; i++)
        if (c->parents[i].id)
            c->parents[left++] = c->parents[i];
    c->count = left;
    return true;
}

/* --- coming back --- */

static bool may_be_retried(struct engine *e, const struct task_row *row)
{
    /* A flow's nodes run again with their flow. */
    return (row->state == JOB_FAILED || row->state == JOB_CANCELLED) &&
           !dispatch_find(e->tasks->dispatch, row->id) && !flow_has_task(e, row->id) &&
           attempts_get(e->tasks->ended, row->id) <= JOB_STATE_COUNT;
}

static void enter(struct coming_back *c, const struct task_row *row, struct unique_key key)
{
    struct engine *e = c->e;
    struct tasks *tasks = e->tasks;
    struct task_entry entry = {.id = row->id,
                               .queue = gate_by_number(e, false, row->queue),
                               .function = gate_by_number(e, true, row->function),
                               .key = row->key,
                               .lock = row->lock,
                               .priority = (int16_t)row->priority,
                               .max_attempts = (uint32_t)row->max_attempts,
                               .fence = (uint32_t)row->fence,
                               .parents = (uint32_t)c->count};
    if (entry.queue == UINT32_MAX || entry.function == UINT32_MAX)
        return;
    wait_again(c, row->id);
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
    c->done = true;
}

static bool bring_back(void *context, const struct task_row *row, struct err *err)
{
    struct coming_back *c = context;
    struct unique_key key = {0, 0};
    int64_t holder = 0;
    (void)err;
    if (!may_be_retried(c->e, row))
        return true;
    if (!find_holder(c, row, &key, &holder))
        return false;
    if (holder)
        return hand_children_over(c, row->id, holder);
    if (!c->never)
        enter(c, row, key);
    return true;
}

bool task_retry(struct engine *e, int64_t id, struct err *err)
{
    bool found = false;
    struct err why = {0};
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err))
        return false;
    struct coming_back c = {.e = e, .tx = tx, .err = &why};
    bool ok = find_parents(&c, id) && task_store_read(tx, id, &found, bring_back, &c, &why);
    free(c.parents);
    if (!ok)
        *err = why;
    return ok && c.done;
}
