/* in_hand.c: see in_hand.h. Open addressing; nothing is taken out but by building it anew. The
 * bytes lie one behind the other in chunks, which are freed whole: a record costs a copy, and no
 * call of the allocator. Numbers in hand are neighbours mostly, so each stands where its number
 * says. */
#include "core/in_hand.h"

#include <stdlib.h>

enum { CAP_MIN = 64, CHUNK_FIRST = 4 << 10, CHUNK_MOST = 1 << 20 };

struct chunk {
    struct chunk *next;
    size_t used, room;
    char bytes[];
};

struct in_hand {
    struct held_record *slots; /* the key is the number + 1, so that 0 is free */
    size_t cap, used;          /* cap is 0 or a power of two */
    struct chunk *chunks;      /* the one that is being filled first */
};

struct in_hand *in_hand_new(void)
{
    return xcalloc(1, sizeof(struct in_hand));
}

void in_hand_clear(struct in_hand *h)
{
    while (h->chunks) {
        struct chunk *chunk = h->chunks;
        h->chunks = chunk->next;
        free(chunk);
    }
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

static char *keep(struct in_hand *h, struct str bytes)
{
    struct chunk *chunk = h->chunks;
    if (!chunk || chunk->room - chunk->used < bytes.len) {
        size_t room = chunk ? 2 * chunk->room : CHUNK_FIRST;
        room = room < CHUNK_MOST ? room : CHUNK_MOST;
        room = room > bytes.len ? room : bytes.len;
        chunk = xrealloc(NULL, sizeof *chunk + room);
        *chunk = (struct chunk){.next = h->chunks, .room = room};
        h->chunks = chunk;
    }
    char *to = chunk->bytes + chunk->used;
    if (bytes.len)
        memcpy(to, bytes.ptr, bytes.len);
    chunk->used += bytes.len;
    return to;
}

static struct held_record *slot_of(const struct in_hand *h, int64_t number)
{
    for (size_t i = (size_t)number & (h->cap - 1);; i = (i + 1) & (h->cap - 1))
        if (h->slots[i].key == 0 || h->slots[i].key == number + 1)
            return &h->slots[i];
}

static void rebuild(struct in_hand *h, size_t cap)
{
    struct held_record *slots = h->slots;
    size_t count = h->cap;
    h->slots = xcalloc(cap, sizeof *h->slots);
    h->cap = cap;
    for (size_t i = 0; i < count; i++)
        if (slots[i].key)
            *slot_of(h, slots[i].key - 1) = slots[i];
    free(slots);
}

void in_hand_put(struct in_hand *h, int64_t number, struct id id, struct str bytes)
{
    if (h->used * 2 >= h->cap)
        rebuild(h, h->cap ? h->cap * 2 : CAP_MIN);
    struct held_record *slot = slot_of(h, number);
    h->used += slot->key == 0;
    *slot = (struct held_record){.key = number + 1, .id = id};
    if (!bytes.ptr)
        return;
    slot->bytes = keep(h, bytes);
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
    struct in_hand old = *h;
    *h = (struct in_hand){0};
    for (size_t i = 0; i < old.cap; i++) {
        const struct held_record *slot = &old.slots[i];
        if (slot->key && keeps(context, slot->key - 1))
            in_hand_put(h, slot->key - 1, slot->id, (struct str){slot->bytes, slot->len});
    }
    in_hand_clear(&old);
}

int64_t in_hand_count(const struct in_hand *h)
{
    return (int64_t)h->used;
}
