/* in_hand.c: see in_hand.h. Open addressing; nothing is taken out but by building it anew. */
#include "core/in_hand.h"

#include <stdlib.h>

enum { CAP_MIN = 64 };

struct in_hand {
    struct held_record *slots; /* the key is the number + 1, so that 0 is free */
    size_t cap, used;          /* cap is 0 or a power of two */
};

struct in_hand *in_hand_new(void)
{
    return xcalloc(1, sizeof(struct in_hand));
}

void in_hand_clear(struct in_hand *h)
{
    for (size_t i = 0; i < h->cap; i++)
        free(h->slots[i].bytes);
    free(h->slots);
    *h = (struct in_hand){0};
}

void in_hand_free(struct in_hand *h)
{
    if (!h)
        return;
    in_hand_clear(h);
    free(h);
}

static size_t home(const struct in_hand *h, int64_t number)
{
    uint64_t x = (uint64_t)number * 0x9e3779b97f4a7c15u;
    return (size_t)(x >> 32) & (h->cap - 1);
}

static struct held_record *slot_of(const struct in_hand *h, int64_t number)
{
    for (size_t i = home(h, number);; i = (i + 1) & (h->cap - 1))
        if (h->slots[i].key == 0 || h->slots[i].key == number + 1)
            return &h->slots[i];
}

static void rebuild(struct in_hand *h, size_t cap)
{
    struct in_hand other = {.cap = cap, .used = h->used};
    other.slots = xcalloc(cap, sizeof *other.slots);
    for (size_t i = 0; i < h->cap; i++)
        if (h->slots[i].key)
            *slot_of(&other, h->slots[i].key - 1) = h->slots[i];
    free(h->slots);
    *h = other;
}

void in_hand_put(struct in_hand *h, int64_t number, struct id id, struct str bytes)
{
    if (h->used * 2 >= h->cap)
        rebuild(h, h->cap ? h->cap * 2 : CAP_MIN);
    struct held_record *slot = slot_of(h, number);
    h->used += slot->key == 0;
    free(slot->bytes);
    *slot = (struct held_record){.key = number + 1, .id = id};
    if (!bytes.ptr)
        return;
    slot->bytes = xstrndup(bytes.ptr, bytes.len);
    slot->len = bytes.len;
}

const struct held_record *in_hand_find(const struct in_hand *h, int64_t number)
{
    if (!h->cap)
        return NULL;
    const struct held_record *slot = slot_of(h, number);
    return slot->key ? slot : NULL;
}

void in_hand_sweep(struct in_hand *h, bool (*keeps)(void *context, int64_t number), void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->cap; i++) {
        struct held_record *slot = &h->slots[i];
        if (slot->key && keeps(context, slot->key - 1)) {
            kept++;
        } else {
            free(slot->bytes);
            *slot = (struct held_record){0};
        }
    }
    size_t cap = CAP_MIN;
    while (cap < kept * 4)
        cap *= 2;
    if (h->cap)
        rebuild(h, cap);
    h->used = kept;
}

int64_t in_hand_count(const struct in_hand *h)
{
    return (int64_t)h->used;
}
