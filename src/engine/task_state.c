/* task_state.c: tasks as a part of the engine: their beginning, their steps, their end. */
#include "engine/engine_state.h"

#include <stdlib.h>

#define REFUSED_US INT64_C(1000000)

void id_list_add(struct id_list *l, int64_t id)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->items = xrealloc(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->count++] = id;
}

void id_list_release(struct id_list *l)
{
    free(l->items);
    *l = (struct id_list){0};
}

bool tasks_open(struct engine *e, struct err *err)
{
    struct tasks *tasks = xcalloc(1, sizeof *tasks);
    e->tasks = tasks;
    tasks->claims_end = &tasks->claims;
    memcpy(&tasks->seed, e->secret, sizeof tasks->seed);
    tasks->watched = attempts_new();
    tasks->flows = flows_new();
    tasks->refused_until_us = e->now.mono_us;
    if (!tasks_load(e, err))
        return false;
    tasks_keep_begin(e);
    return true;
}

void tasks_free(struct engine *e)
{
    if (!e->tasks)
        return;
    tasks_forget(e);
    flows_free(e);
    attempts_free(e->tasks->watched);
    free(TAKE(e->tasks));
}

/* Whether memory is what the store holds; reads it again where it is not. */
static bool is_readable(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    if (!tasks->unreadable || tasks_load(e, &tasks->refused_why))
        return true;
    tasks->refused_until_us = e->now.mono_us + REFUSED_US;
    return false;
}

bool tasks_are_ready(struct engine *e, struct op *op, bool changes)
{
    struct tasks *tasks = e->tasks;
    bool refused = tasks->refused_until_us > e->now.mono_us;
    if (refused ? !changes && !tasks->unreadable : is_readable(e))
        return true;
    op->err = tasks->refused_why;
    return false;
}

void tasks_begin(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    if (tasks->refused_until_us > e->now.mono_us || !is_readable(e))
        return;
    if (dispatch_tick(tasks->dispatch, e->now))
        tasks->stirred = true;
    task_sessions_tick(e);
    task_timeouts_tick(e);
    tasks_keep_tick(e);
    task_slices_step(e);
    flows_step(e);
}

void tasks_feed(struct engine *e)
{
    if (!e->tasks->unreadable)
        task_claims_feed(e);
    if (!e->tasks->unreadable)
        flows_look(e);
    task_extends_look(e);
    task_shows_look(e);
}

static void sooner(int64_t *next, int64_t due)
{
    if (due < *next)
        *next = due;
}

int64_t tasks_next_us(const struct engine *e)
{
    const struct tasks *tasks = e->tasks;
    int64_t next = NEVER_US;
    if (tasks->unreadable)
        return tasks->refused_until_us;
    sooner(&next, dispatch_next_us(tasks->dispatch, e->now));
    sooner(&next, task_sessions_next_us(e));
    sooner(&next, delays_first_us(tasks->timeouts));
    sooner(&next, tasks->keep_due_us);
    if (tasks->slices || flows_go_on(e))
        next = 0;
    /* While changes are refused nothing is done in its time. */
    if (next < tasks->refused_until_us)
        next = tasks->refused_until_us;
    sooner(&next, task_waits_next_us(e));
    sooner(&next, flows_next_us(e));
    return next;
}

static void end_list(struct op *ops, const struct err *why)
{
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        op->err = *why;
        op->done(op);
    }
}

void tasks_end_waits(struct engine *e, const struct err *why)
{
    struct tasks *tasks = e->tasks;
    if (!tasks)
        return;
    struct op *lists[] = {tasks->claims, tasks->extends, tasks->shows, tasks->slices};
    tasks->claims = tasks->extends = tasks->shows = tasks->slices = NULL;
    tasks->claims_end = &tasks->claims;
    attempts_clear(tasks->watched);
    flows_end_waits(e, why);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        end_list(lists[i], why);
}
