/* task_replace.c: whether a task that takes another's place would wait for itself.
 *
 * A new task waits for older ones, which cannot wait for it, and for others of its list, which are
 * looked at by their places (task_graph_check_batch). One that replaces an older task has its id,
 * and who waited for that one still does: so from what it is to wait for a way may lead back to it,
 * through tasks that are there and through others of the list. */
#include "engine/engine_state.h"

#include <stdlib.h>

/* Both kinds of tasks as numbers that are not negative. */
static int64_t number_of_id(int64_t id)
{
    return 2 * id;
}
static int64_t number_of_place(int64_t place)
{
    return 2 * place + 1;
}

struct climbing {
    struct engine *e;
    const struct op_enqueue *enqueue;
    struct attempts *seen;     /* numbers */
    struct attempts *replaced; /* ids: 1 + place of what replaces them */
    int64_t *open;             /* owned: numbers to be looked at */
    size_t count, cap;
};

static void push(struct climbing *c, int64_t number)
{
    if (attempts_get(c->seen, number))
        return;
    attempts_set(c->seen, number, 1);
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->open = xrealloc(c->open, c->cap * sizeof *c->open);
    }
    c->open[c->count++] = number;
}

/* What a task of the list is to wait for. */
static void push_after(struct climbing *c, const struct task_new *task)
{
    for (size_t i = 0; i < task->after_count; i++) {
        int64_t id = task->after[i];
        const struct task_new *other = id < 0 ? &c->enqueue->tasks[-id - 1] : NULL;
        if (other && other->id == 0)
            push(c, number_of_place(-id - 1));
        else if (other && other->id < 0) /* it is another one of the list */
            push(c, number_of_place(-other->id - 1));
        else
            push(c, number_of_id(other ? other->id : id));
    }
}

static void push_parents(struct climbing *c, int64_t id)
{
    struct task_graph *graph = c->e->tasks->graph;
    size_t count = task_graph_parents(graph, id, NULL, 0);
    OWNED_MEM int64_t *parents = xcalloc(count, sizeof *parents);
    task_graph_parents(graph, id, parents, count);
    for (size_t i = 0; i < count; i++)
        push(c, number_of_id(parents[i]));
}

static void look_up_from(struct climbing *c, int64_t number)
{
    int64_t place = number % 2 ? number / 2 : attempts_get(c->replaced, number / 2) - 1;
    if (place >= 0)
        push_after(c, &c->enqueue->tasks[place]);
    else
        push_parents(c, number / 2);
}

bool replace_makes_circle(struct engine *e, const struct op_enqueue *enqueue, size_t place)
{
    const struct task_new *task = &enqueue->tasks[place];
    OWNED(attempts) struct attempts *seen = attempts_new(), *replaced = attempts_new();
    struct climbing c = {.e = e, .enqueue = enqueue, .seen = seen, .replaced = replaced};
    for (size_t i = 0; i < enqueue->count; i++)
        if (enqueue->tasks[i].existing && enqueue->tasks[i].on_clash == CLASH_REPLACE)
            attempts_set(replaced, enqueue->tasks[i].id, 1 + (int64_t)i);
    push_after(&c, task);
    while (c.count > 0)
        look_up_from(&c, c.open[--c.count]);
    free(c.open);
    return attempts_get(seen, number_of_id(task->id)) != 0;
}
