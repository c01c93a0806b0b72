/* id_set.c: see id_set.h.
 *
 * A slot is 16 bytes: the hash with its lowest bits given to the flags; four of them fill a cache
 * line and are looked at together. Each table is filled to three quarters and then made two fifths
 * larger: that keeps the whole within 30 bytes an id, and all tables, being chosen by the
 * hash, grow at about the same time, one after the other. */
#include "core/id_set.h"

#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xxhash.h>

enum {
    SHARD_BITS = 5,
    SHARDS = 1 << SHARD_BITS,
    FLAG_BITS = 7,
    FLAG_USED = 64, /* the slot holds an id, even one without any flag left */
    FLAG_MASK = (1 << FLAG_BITS) - 1,
    BUCKET_SLOTS = 4,
    BUCKETS_MIN = 4,
    LARGE_PAGE = 2 << 20
};
/* Whole numbers below 10^18 are hashed as such, larger ones by their digits. */
#define SMALL_DIGITS 18
#define DOUBLE_DIGITS 320

/* Values of different kinds never meet, whatever their bytes. */
enum { KIND_TEXT = 1, KIND_WHOLE, KIND_DIGITS, KIND_FRACTION, KIND_OURS };

static struct id hash(const void *bytes, size_t len, int kind, const struct id_form *form)
{
    XXH128_hash_t h =
        XXH3_128bits_withSeed(bytes, len, form->seed + (uint64_t)kind * 0x9e3779b97f4a7c15u);
    return (struct id){h.high64, h.low64 & ~(uint64_t)FLAG_MASK};
}

static struct id whole(int64_t number, const struct id_form *form)
{
    return hash(&number, sizeof number, KIND_WHOLE, form);
}

/* A whole number by its digits, without leading zeros. */
static struct id by_digits(struct str digits, bool negative, const struct id_form *form)
{
    if (digits.len <= SMALL_DIGITS) {
        int64_t number = 0;
        for (size_t i = 0; i < digits.len; i++)
            number = number * 10 + (digits.ptr[i] - '0');
        return whole(negative ? -number : number, form);
    }
    return hash(digits.ptr, digits.len, KIND_DIGITS + (negative ? 16 : 0), form);
}

/* With a fraction or an exponent it is a double, as in Python; one that is whole equals the whole
 * number. */
static struct id by_value(struct str raw, const struct id_form *form)
{
    char digits[DOUBLE_DIGITS];
    OWNED_MEM char *text = xstrndup(raw.ptr, raw.len);
    double value = strtod(text, NULL);
    if (!isfinite(value) || value != floor(value))
        return hash(&value, sizeof value, KIND_FRACTION, form);
    int len = snprintf(digits, sizeof digits, "%.0f", fabs(value));
    return by_digits((struct str){digits, (size_t)len}, value < 0, form);
}

static struct id of_number(struct str raw, const struct id_form *form)
{
    bool negative = raw.ptr[0] == '-';
    struct str digits = {raw.ptr + negative, raw.len - negative};
    for (size_t i = 0; i < digits.len; i++)
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return by_value(raw, form);
    return by_digits(digits, negative, form);
}

struct id id_of_text(struct str text, const struct id_form *form)
{
    if (form->by_text) {
        if (str_is(text, "True") || str_is(text, "False"))
            return whole(text.len == 4, form);
        bool number =
            text.len && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'));
        if (number && json_check(text, NULL, NULL))
            return of_number(text, form);
    }
    return hash(text.ptr, text.len, KIND_TEXT, form);
}

static struct id of_string(struct str raw, const struct id_form *form)
{
    struct str inside = {raw.ptr + 1, raw.len - 2};
    if (!memchr(inside.ptr, '\\', inside.len))
        return id_of_text(inside, form);
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    json_text(raw, &text);
    return id_of_text(buf_str(&text), form);
}

bool id_of(struct str raw, const struct id_form *form, struct id *out)
{
    switch (json_type_of(raw)) {
    case JSON_STRING:
        *out = of_string(raw, form);
        return true;
    case JSON_NUMBER:
        *out = of_number(raw, form);
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = whole(raw.ptr[0] == 't', form);
        return true;
    case JSON_NONE:
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

struct id id_of_number(int64_t number, const struct id_form *form)
{
    return hash(&number, sizeof number, KIND_OURS, form);
}

bool id_same(struct id a, struct id b)
{
    return a.high == b.high && a.low == b.low;
}

/* --- the set --- */

struct slot {
    uint64_t high, low; /* the id, flags in the lowest bits; 0: free */
};

/* What one look at memory brings. */
struct bucket {
    struct slot slots[BUCKET_SLOTS];
};

struct shard {
    struct bucket *buckets; /* within `memory`, at the start of a cache line */
    void *memory;
    size_t mapped;        /* bytes of it when it is not the heap's, else 0 */
    uint32_t count, used; /* of buckets, of slots */
};

struct id_set {
    struct shard shards[SHARDS];
    int64_t count;
};

/* A large table lies in large pages, where the system has them: else most looks at it would first
 * wait for where it lies. Zeroed. */
static bool map_large(struct shard *t)
{
    size_t bytes = (t->count * sizeof *t->buckets + LARGE_PAGE - 1) & ~(size_t)(LARGE_PAGE - 1);
    char *all =
        mmap(NULL, bytes + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return false;
    size_t before = (LARGE_PAGE - (uintptr_t)all % LARGE_PAGE) % LARGE_PAGE;
    if (before)
        munmap(all, before);
    munmap(all + before + bytes, LARGE_PAGE - before);
    t->memory = all + before;
    t->buckets = t->memory;
    t->mapped = bytes;
    t->count = (uint32_t)(bytes / sizeof *t->buckets);
    if (madvise(t->memory, bytes, MADV_HUGEPAGE))
        errno = 0; /* then they are small ones */
    return true;
}

static void make_table(struct shard *t)
{
    const size_t line = sizeof *t->buckets;
    if (t->count * line >= LARGE_PAGE && map_large(t))
        return;
    t->memory = xcalloc(t->count + 1, line);
    t->buckets = (struct bucket *)(((uintptr_t)t->memory + line - 1) & ~(uintptr_t)(line - 1));
}

static void free_table(struct shard *t)
{
    if (t->mapped)
        munmap(t->memory, t->mapped);
    else
        free(t->memory);
}

struct id_set *id_set_new(void)
{
    return xcalloc(1, sizeof(struct id_set));
}

void id_set_free(struct id_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        free_table(&s->shards[i]);
    free(s);
}

static size_t shard_of(struct id id)
{
    return id.high >> (64 - SHARD_BITS);
}

/* The bucket that it is looked for in first: the bits below those that chose the table, spread over
 * it. */
static uint32_t home(const struct shard *t, struct id id)
{
    uint64_t bits = id.high >> (32 - SHARD_BITS) & UINT32_MAX;
    return (uint32_t)(bits * t->count >> 32);
}

/* The id's slot, or the free one where it would be. The table has a free one. */
static struct slot *slot_of(const struct shard *t, struct id id)
{
    for (uint32_t i = home(t, id);; i = i + 1 == t->count ? 0 : i + 1)
        for (size_t k = 0; k < BUCKET_SLOTS; k++) {
            struct slot *slot = &t->buckets[i].slots[k];
            if (!(slot->low & FLAG_USED) ||
                (slot->high == id.high && ((slot->low ^ id.low) & ~(uint64_t)FLAG_MASK) == 0))
                return slot;
        }
}

static void resize(struct shard *t, uint32_t count)
{
    struct shard wider = {.count = count, .used = t->used};
    make_table(&wider);
    for (uint32_t i = 0; i < t->count; i++)
        for (size_t k = 0; k < BUCKET_SLOTS; k++) {
            const struct slot *old = &t->buckets[i].slots[k];
            if (old->low & FLAG_USED)
                *slot_of(&wider, (struct id){old->high, old->low}) = *old;
        }
    free_table(t);
    *t = wider;
}

static void grow(struct shard *t)
{
    resize(t, t->count ? t->count + t->count / 5 * 2 + 1 : BUCKETS_MIN);
}

void id_set_expect(struct id_set *s, int64_t count)
{
    /* Three quarters full, and chance gives a table some more than its share. */
    const double slots = (double)count / SHARDS * 1.02 * 4 / 3;
    const double buckets = slots / BUCKET_SLOTS + 1;
    assert(buckets < UINT32_MAX / 2);
    for (size_t i = 0; i < SHARDS; i++)
        if (buckets > s->shards[i].count)
            resize(&s->shards[i], (uint32_t)buckets);
}

unsigned id_set_get(const struct id_set *s, struct id id)
{
    const struct shard *t = &s->shards[shard_of(id)];
    if (!t->count)
        return 0;
    return (unsigned)(slot_of(t, id)->low & (FLAG_MASK & ~FLAG_USED));
}

unsigned id_set_mark(struct id_set *s, struct id id, unsigned flags)
{
    struct shard *t = &s->shards[shard_of(id)];
    assert(flags && !(flags & ~(unsigned)(FLAG_MASK & ~FLAG_USED)));
    if ((uint64_t)t->used * 4 >= (uint64_t)t->count * BUCKET_SLOTS * 3)
        grow(t);
    struct slot *slot = slot_of(t, id);
    unsigned before = (unsigned)(slot->low & FLAG_MASK);
    if (!before) {
        *slot = (struct slot){id.high, (id.low & ~(uint64_t)FLAG_MASK) | FLAG_USED};
        t->used++;
        s->count++;
    }
    slot->low |= flags;
    return before & ~(unsigned)FLAG_USED;
}

void id_set_unmark(struct id_set *s, struct id id, unsigned flags)
{
    struct shard *t = &s->shards[shard_of(id)];
    if (!t->count)
        return;
    struct slot *slot = slot_of(t, id);
    if (slot->low & FLAG_USED)
        slot->low &= ~(uint64_t)(flags & (FLAG_MASK & ~FLAG_USED));
}

void id_set_prefetch(const struct id_set *s, struct id id)
{
    const struct shard *t = &s->shards[shard_of(id)];
    if (t->count)
        __builtin_prefetch(&t->buckets[home(t, id)], 1);
}

int64_t id_set_count(const struct id_set *s)
{
    return s->count;
}
