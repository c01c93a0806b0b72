/* unique_map.c: an open table with linear probing; what is taken out leaves no mark, those behind
 * it move up. */
#include "core/unique_map.h"

#include <stdlib.h>
#include <xxhash.h>

struct slot {
    struct unique_key key;
    int64_t task; /* 0: empty */
};

struct unique_map {
    struct slot *slots;
    size_t mask, count; /* mask: slots - 1; no slots: count is 0 */
};

struct unique_key unique_key_of(struct str text, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(text.ptr ? text.ptr : "", text.len, seed);
    return (struct unique_key){hash.high64, hash.low64 | 1};
}

struct unique_map *unique_map_new(void)
{
    return xcalloc(1, sizeof(struct unique_map));
}

void unique_map_free(struct unique_map *m)
{
    if (!m)
        return;
    free(m->slots);
    free(m);
}

/* Where the key is, or would be. */
static size_t find(const struct unique_map *m, struct unique_key key)
{
    size_t at = key.high & m->mask;
    while (m->slots[at].task &&
           (m->slots[at].key.high != key.high || m->slots[at].key.low != key.low))
        at = (at + 1) & m->mask;
    return at;
}

int64_t unique_map_get(const struct unique_map *m, struct unique_key key)
{
    return m->slots ? m->slots[find(m, key)].task : 0;
}

static void grow(struct unique_map *m)
{
    struct unique_map larger = {.mask = m->slots ? m->mask * 2 + 1 : 63};
    larger.slots = xcalloc(larger.mask + 1, sizeof *larger.slots);
    for (size_t i = 0; m->slots && i <= m->mask; i++)
        if (m->slots[i].task)
            larger.slots[find(&larger, m->slots[i].key)] = m->slots[i];
    larger.count = m->count;
    free(m->slots);
    *m = larger;
}

void unique_map_put(struct unique_map *m, struct unique_key key, int64_t task)
{
    if (!m->slots || m->count * 4 >= (m->mask + 1) * 3)
        grow(m);
    struct slot *slot = &m->slots[find(m, key)];
    if (!slot->task)
        m->count++;
    *slot = (struct slot){key, task};
}

void unique_map_remove(struct unique_map *m, struct unique_key key)
{
    if (!m->slots)
        return;
    size_t hole = find(m, key);
    if (!m->slots[hole].task)
        return;
    m->count--;
    /* Who is behind the hole and was pushed past it comes up into it. */
    for (size_t at = (hole + 1) & m->mask; m->slots[at].task; at = (at + 1) & m->mask) {
        size_t home = m->slots[at].key.high & m->mask;
        if (((at - home) & m->mask) < ((at - hole) & m->mask))
            continue;
        m->slots[hole] = m->slots[at];
        hole = at;
    }
    m->slots[hole] = (struct slot){0};
}
