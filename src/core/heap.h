/* heap.h: a heap of pointers in which each item knows its place, so that any item can be
 * taken out or moved. Inline, with the order a constant of the caller's, so that comparing costs no
 * call. Items are borrowed. Pure. */
#ifndef PENSTOCK_CORE_HEAP_H
#define PENSTOCK_CORE_HEAP_H

#include "base/own.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Zeroed: empty. */
struct heap {
    void **items;
    uint32_t count, cap;
};

/* What items of one kind are ordered by, and where in them their place (uint32_t) is kept. */
struct heap_order {
    bool (*before)(const void *a, const void *b); /* strict: false for equal ones */
    size_t place_offset;
};

#define HEAP_WIDTH 4        /* children of each: they are looked at together, in fewer steps */
#define HEAP_FIRST_CAP 3    /* fills the smallest allocation */
#define HEAP_KEEP_CAP 1024u /* an empty heap that was larger gives its memory back */
#define HEAP_INLINE static inline __attribute__((always_inline))

HEAP_INLINE uint32_t *heap_place(const struct heap_order *order, void *item)
{
    return (uint32_t *)(void *)((char *)item + order->place_offset);
}

HEAP_INLINE void heap_put(struct heap *h, const struct heap_order *order, uint32_t at, void *item)
{
    h->items[at] = item;
    *heap_place(order, item) = at;
}

HEAP_INLINE uint32_t heap_rise(struct heap *h, const struct heap_order *order, uint32_t at,
                               void *item)
{
    for (; at > 0 && order->before(item, h->items[(at - 1) / HEAP_WIDTH]);
         at = (at - 1) / HEAP_WIDTH)
        heap_put(h, order, at, h->items[(at - 1) / HEAP_WIDTH]);
    heap_put(h, order, at, item);
    return at;
}

HEAP_INLINE void heap_fall(struct heap *h, const struct heap_order *order, uint32_t at, void *item)
{
    for (uint32_t child = 0; (child = at * HEAP_WIDTH + 1) < h->count; at = child) {
        uint32_t end = h->count - child > HEAP_WIDTH ? child + HEAP_WIDTH : h->count;
        for (uint32_t other = child + 1; other < end; other++)
            if (order->before(h->items[other], h->items[child]))
                child = other;
        if (!order->before(h->items[child], item))
            break;
        heap_put(h, order, at, h->items[child]);
    }
    heap_put(h, order, at, item);
}

/* NULL when it is empty. */
HEAP_INLINE void *heap_first(const struct heap *h)
{
    return h->count ? h->items[0] : NULL;
}

HEAP_INLINE void heap_add(struct heap *h, const struct heap_order *order, void *item)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? h->cap * 2 : HEAP_FIRST_CAP;
        h->items = xrealloc(h->items, h->cap * sizeof *h->items);
    }
    heap_rise(h, order, h->count++, item);
}

/* The item's order has changed. */
HEAP_INLINE void heap_move(struct heap *h, const struct heap_order *order, void *item)
{
    uint32_t at = *heap_place(order, item);
    assert(h->items[at] == item);
    if (heap_rise(h, order, at, item) == at)
        heap_fall(h, order, at, item);
}

HEAP_INLINE void heap_remove(struct heap *h, const struct heap_order *order, void *item)
{
    uint32_t at = *heap_place(order, item);
    assert(at < h->count && h->items[at] == item);
    void *last = h->items[--h->count];
    if (last != item && heap_rise(h, order, at, last) == at)
        heap_fall(h, order, at, last);
    if (h->count == 0 && h->cap > HEAP_KEEP_CAP) {
        free(TAKE(h->items));
        h->cap = 0;
    }
}

/* All items' orders have changed. */
HEAP_INLINE void heap_order_anew(struct heap *h, const struct heap_order *order)
{
    for (uint32_t at = h->count; at-- > 0;)
        heap_fall(h, order, at, h->items[at]);
}

#endif
