/* table.h: a hash table of pointers to things that know their own hash. Inline, with the kind a
 * constant of the caller's. Linear probing; what is taken out leaves no gravestone. Items are
 * borrowed. Pure. */
#ifndef PENSTOCK_CORE_TABLE_H
#define PENSTOCK_CORE_TABLE_H

#include "base/own.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Zeroed: empty. */
struct table {
    void **slots;
    size_t count, size; /* size: 0 or a power of two */
};

struct table_kind {
    uint64_t (*hash)(const void *item); /* its low bits are used */
    bool (*is)(const void *item, const void *ask);
};

#define TABLE_SIZE_MIN 16u
#define TABLE_INLINE static inline __attribute__((always_inline))

/* NULL when it is not there. `hash` is of what `ask` describes. */
TABLE_INLINE void *table_find(const struct table *t, const struct table_kind *kind, uint64_t hash,
                              const void *ask)
{
    if (!t->size)
        return NULL;
    for (size_t at = hash & (t->size - 1); t->slots[at]; at = (at + 1) & (t->size - 1))
        if (kind->is(t->slots[at], ask))
            return t->slots[at];
    return NULL;
}

TABLE_INLINE void table_put(struct table *t, const struct table_kind *kind, void *item)
{
    size_t at = kind->hash(item) & (t->size - 1);
    while (t->slots[at])
        at = (at + 1) & (t->size - 1);
    t->slots[at] = item;
}

TABLE_INLINE void table_resize(struct table *t, const struct table_kind *kind, size_t size)
{
    struct table old = *t;
    t->size = size;
    t->slots = xcalloc(size, sizeof *t->slots);
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i])
            table_put(t, kind, old.slots[i]);
    free(old.slots);
}

/* An item that is not in it. */
TABLE_INLINE void table_add(struct table *t, const struct table_kind *kind, void *item)
{
    if (t->count + 1 > t->size / 4 * 3)
        table_resize(t, kind, t->size ? t->size * 2 : TABLE_SIZE_MIN);
    table_put(t, kind, item);
    t->count++;
}

/* An item that is in it. Those behind it that lie off their places close the gap. */
TABLE_INLINE void table_remove(struct table *t, const struct table_kind *kind, const void *item)
{
    size_t mask = t->size - 1, gap = kind->hash(item) & mask;
    while (t->slots[gap] != item) {
        assert(t->slots[gap]);
        gap = (gap + 1) & mask;
    }
    for (size_t at = (gap + 1) & mask; t->slots[at]; at = (at + 1) & mask) {
        size_t home = kind->hash(t->slots[at]) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            t->slots[gap] = t->slots[at];
            gap = at;
        }
    }
    t->slots[gap] = NULL;
    t->count--;
    if (t->count < t->size / 16 && t->size > 1024)
        table_resize(t, kind, t->size / 4);
}

#endif
