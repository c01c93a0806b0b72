/* delays.c: a binary heap by moments. What is taken out of the middle stays in the heap and is
 * known by not being in the table any more: there each record has its moment. */
#include "core/delays.h"

#include "core/attempts.h"

#include <assert.h>
#include <stdlib.h>

struct wait {
    int64_t due_us, record;
};

struct delays {
    struct wait *heap;
    size_t count, cap;
    struct attempts *due; /* by record; 0: it does not wait */
    int64_t waiting;
};

struct delays *delays_new(void)
{
    struct delays *d = xcalloc(1, sizeof *d);
    d->due = attempts_new();
    return d;
}

void delays_free(struct delays *d)
{
    if (!d)
        return;
    free(d->heap);
    attempts_free(d->due);
    free(d);
}

static void rise(struct delays *d, size_t at)
{
    struct wait w = d->heap[at];
    for (; at > 0 && d->heap[(at - 1) / 2].due_us > w.due_us; at = (at - 1) / 2)
        d->heap[at] = d->heap[(at - 1) / 2];
    d->heap[at] = w;
}

static void sink_down(struct delays *d, struct wait w)
{
    size_t at = 0;
    for (size_t child = 0; (child = at * 2 + 1) < d->count; at = child) {
        if (child + 1 < d->count && d->heap[child + 1].due_us < d->heap[child].due_us)
            child++;
        if (d->heap[child].due_us >= w.due_us)
            break;
        d->heap[at] = d->heap[child];
    }
    d->heap[at] = w;
}

/* Drops what was taken out of the middle, when that is most of the heap. */
static void compact(struct delays *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++)
        if (attempts_get(d->due, d->heap[i].record) == d->heap[i].due_us)
            d->heap[kept++] = d->heap[i];
    /* Built anew, one by one: each finds its place among those before it. */
    for (d->count = 0; d->count < kept; d->count++)
        rise(d, d->count);
}

void delays_add(struct delays *d, int64_t record, int64_t due_us)
{
    assert(due_us > 0 && attempts_get(d->due, record) == 0);
    if (d->count == d->cap && (int64_t)d->count > 2 * d->waiting)
        compact(d);
    if (d->count == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 16;
        d->heap = xrealloc(d->heap, d->cap * sizeof *d->heap);
    }
    d->heap[d->count++] = (struct wait){due_us, record};
    rise(d, d->count - 1);
    attempts_set(d->due, record, due_us);
    d->waiting++;
}

bool delays_has(const struct delays *d, int64_t record)
{
    return d->waiting > 0 && attempts_get(d->due, record) != 0;
}

bool delays_remove(struct delays *d, int64_t record)
{
    if (!delays_has(d, record))
        return false;
    attempts_set(d->due, record, 0);
    d->waiting--;
    if (d->waiting == 0)
        delays_clear(d);
    return true;
}

int64_t delays_take_due(struct delays *d, int64_t now_us)
{
    while (d->count && d->heap[0].due_us <= now_us) {
        struct wait first = d->heap[0];
        d->count--;
        if (d->count)
            sink_down(d, d->heap[d->count]);
        if (attempts_get(d->due, first.record) == first.due_us && delays_remove(d, first.record))
            return first.record;
    }
    return -1;
}

int64_t delays_first_us(const struct delays *d)
{
    return d->waiting ? d->heap[0].due_us : NEVER_US;
}

int64_t delays_count(const struct delays *d)
{
    return d->waiting;
}

void delays_clear(struct delays *d)
{
    d->count = 0;
    d->waiting = 0;
    attempts_clear(d->due);
}
