/* attempts.c: an open-addressing table from record to count; a count of 0 keeps its slot, so that
 * no slot ever has to be moved but by growing. */
#include "core/attempts.h"

#include <stdlib.h>

struct slot {
    int64_t record_plus_1; /* 0: free */
    int64_t count;
};

struct attempts {
    struct slot *slots;
    size_t used, cap; /* cap: a power of two, or 0 */
};

struct attempts *attempts_new(void)
{
    return xcalloc(1, sizeof(struct attempts));
}

void attempts_clear(struct attempts *a)
{
    free(a->slots);
    *a = (struct attempts){0};
}

void attempts_free(struct attempts *a)
{
    if (!a)
        return;
    attempts_clear(a);
    free(a);
}

/* The record's slot, or the free one where it belongs. */
static struct slot *slot_of(struct slot *slots, size_t cap, int64_t record)
{
    uint64_t hash = (uint64_t)record * 0x9e3779b97f4a7c15u;
    for (size_t i = (size_t)(hash >> 32);; i++) {
        struct slot *s = &slots[i & (cap - 1)];
        if (s->record_plus_1 == 0 || s->record_plus_1 == record + 1)
            return s;
    }
}

int64_t attempts_get(const struct attempts *a, int64_t record)
{
    return a->cap ? slot_of(a->slots, a->cap, record)->count : 0;
}

static void grow(struct attempts *a)
{
    size_t cap = a->cap ? a->cap * 2 : 64;
    struct slot *slots = xcalloc(cap, sizeof *slots);
    for (size_t i = 0; i < a->cap; i++)
        if (a->slots[i].record_plus_1)
            *slot_of(slots, cap, a->slots[i].record_plus_1 - 1) = a->slots[i];
    free(a->slots);
    a->slots = slots;
    a->cap = cap;
}

void attempts_set(struct attempts *a, int64_t record, int64_t count)
{
    if (a->used * 2 >= a->cap)
        grow(a);
    struct slot *s = slot_of(a->slots, a->cap, record);
    if (s->record_plus_1 == 0) {
        if (count == 0)
            return;
        s->record_plus_1 = record + 1;
        a->used++;
    }
    s->count = count;
}
