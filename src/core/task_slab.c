/* task_slab.c: memory for tasks. A chunk is 64 KiB at an address that is a multiple of that, so
 * that each task finds its chunk; a little less, so that the allocator's own header fits between
 * two of them. A chunk that is empty is given back, but for one. */
#include "core/task_slab.h"

#include <assert.h>
#include <stdlib.h>

#define CHUNK_ALIGN ((size_t)64 << 10)
#define CHUNK_BYTES (CHUNK_ALIGN - 16)

union cell {
    union cell *next; /* free */
    struct task task;
};

struct chunk {
    struct chunk *next, *previous; /* among those with room; a ring */
    union cell *free;
    uint32_t used, touched; /* cells from `touched` on were never used */
    union cell cells[];
};

#define CHUNK_TASKS ((CHUNK_BYTES - sizeof(struct chunk)) / sizeof(union cell))

struct task_slab {
    struct chunk *roomy; /* NULL: all are full */
};

struct task_slab *task_slab_new(void)
{
    return xcalloc(1, sizeof(struct task_slab));
}

static void link_chunk(struct task_slab *s, struct chunk *c)
{
    c->next = s->roomy ? s->roomy : c;
    c->previous = s->roomy ? s->roomy->previous : c;
    c->previous->next = c->next->previous = c;
    s->roomy = c;
}

static void unlink_chunk(struct task_slab *s, struct chunk *c)
{
    c->previous->next = c->next;
    c->next->previous = c->previous;
    if (s->roomy == c)
        s->roomy = c->next != c ? c->next : NULL;
}

static struct chunk *chunk_new(void)
{
    void *memory = NULL;
    if (posix_memalign(&memory, CHUNK_ALIGN, CHUNK_BYTES) != 0)
        abort();
    struct chunk *c = memory;
    *c = (struct chunk){0};
    return c;
}

struct task *task_slab_take(struct task_slab *s)
{
    if (!s->roomy)
        link_chunk(s, chunk_new());
    struct chunk *c = s->roomy;
    union cell *cell = c->free;
    if (cell)
        c->free = cell->next;
    else
        cell = &c->cells[c->touched++];
    if (++c->used == CHUNK_TASKS)
        unlink_chunk(s, c);
    cell->task = (struct task){0};
    return &cell->task;
}

void task_slab_give(struct task_slab *s, struct task *t)
{
    struct chunk *c = (struct chunk *)((uintptr_t)t & ~(uintptr_t)(CHUNK_ALIGN - 1));
    union cell *cell = (union cell *)t;
    if (c->used-- == CHUNK_TASKS)
        link_chunk(s, c);
    cell->next = c->free;
    c->free = cell;
    if (c->used > 0 || c->next == c)
        return;
    unlink_chunk(s, c);
    free(c);
}

void task_slab_free(struct task_slab *s)
{
    if (!s)
        return;
    assert(!s->roomy || (s->roomy->used == 0 && s->roomy->next == s->roomy));
    free(s->roomy);
    free(s);
}
