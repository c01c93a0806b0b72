/* lease.c: see lease.h. Leases stand in a binary heap by deadline, since the first to end is asked
 * for at every step, and in two tables, by token and by number. Finding one by record looks at all,
 * unless it is the one that was found last: a job has about as many leases as workers. */
#include "core/lease.h"

#include "core/record_set.h"
#include "core/table.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct lease {
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t number, ends_us;
    size_t place; /* in the heap */
    struct record_set records;
    bool kept;
    int64_t span_us; /* of a kept one: how long each sign of life lasts */
    char *worker;    /* likewise: a name for people */
    int64_t answers, recalled;
    bool alone;
    int64_t starts_us;
};

struct leases {
    struct lease *holder; /* found last: records of one claim are settled one after the other */
    struct lease **heap;
    size_t count, cap;
    struct table by_token, by_number;
    int64_t last_number;
};

/* A token is random already. What it is asked for is the client's to choose, and learns no more
 * from the time it takes than that no lease has it. */
static uint64_t hash_of_token(const uint8_t token[LEASE_TOKEN_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, token, sizeof hash);
    return hash;
}

static uint64_t token_hash(const void *item)
{
    return hash_of_token(((const struct lease *)item)->token);
}

static bool token_is(const void *item, const void *ask)
{
    return sodium_memcmp(((const struct lease *)item)->token, ask, LEASE_TOKEN_BYTES) == 0;
}

static const struct table_kind by_token = {token_hash, token_is};

/* Numbers are given one after the other: as they are they lie side by side. */
static uint64_t number_hash(const void *item)
{
    return (uint64_t)((const struct lease *)item)->number;
}

static bool number_is(const void *item, const void *ask)
{
    return ((const struct lease *)item)->number == *(const int64_t *)ask;
}

static const struct table_kind by_number = {number_hash, number_is};

struct leases *leases_new(void)
{
    return xcalloc(1, sizeof(struct leases));
}

static void lease_free(struct lease *l)
{
    record_set_release(&l->records);
    free(l->worker);
    free(l);
}

/* Out of the tables, and freed; the heap is the caller's to mend. */
static void lease_remove(struct leases *all, struct lease *l)
{
    table_remove(&all->by_token, &by_token, l);
    table_remove(&all->by_number, &by_number, l);
    lease_free(l);
}

void leases_clear(struct leases *all)
{
    for (size_t i = 0; i < all->count; i++)
        lease_remove(all, all->heap[i]);
    all->count = 0;
    all->holder = NULL;
}

void leases_free(struct leases *all)
{
    if (!all)
        return;
    leases_clear(all);
    free(all->by_token.slots);
    free(all->by_number.slots);
    free(all->heap);
    free(all);
}

static void heap_put(struct leases *all, size_t place, struct lease *l)
{
    all->heap[place] = l;
    l->place = place;
}

/* Moves the lease at `place` up or down to where its deadline belongs. */
static void heap_settle(struct leases *all, size_t place)
{
    struct lease *l = all->heap[place];
    while (place > 0 && all->heap[(place - 1) / 2]->ends_us > l->ends_us) {
        heap_put(all, place, all->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (size_t child = 0; (child = place * 2 + 1) < all->count; place = child) {
        if (child + 1 < all->count && all->heap[child + 1]->ends_us < all->heap[child]->ends_us)
            child++;
        if (all->heap[child]->ends_us >= l->ends_us)
            break;
        heap_put(all, place, all->heap[child]);
    }
    heap_put(all, place, l);
}

void leases_number_from(struct leases *all, int64_t number)
{
    if (number > all->last_number)
        all->last_number = number;
}

struct lease *leases_restore(struct leases *all, int64_t number,
                             const uint8_t token[LEASE_TOKEN_BYTES], int64_t ends_us)
{
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 8;
        all->heap = xrealloc(all->heap, all->cap * sizeof *all->heap);
    }
    struct lease *l = xcalloc(1, sizeof *l);
    memcpy(l->token, token, LEASE_TOKEN_BYTES);
    l->number = number;
    leases_number_from(all, number);
    l->ends_us = ends_us;
    table_add(&all->by_token, &by_token, l);
    table_add(&all->by_number, &by_number, l);
    heap_put(all, all->count++, l);
    heap_settle(all, l->place);
    return l;
}

struct lease *leases_add(struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES],
                         int64_t ends_us)
{
    return leases_restore(all, all->last_number + 1, token, ends_us);
}

struct lease *leases_find(const struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES])
{
    return table_find(&all->by_token, &by_token, hash_of_token(token), token);
}

struct lease *leases_holder(struct leases *all, int64_t record)
{
    if (all->holder && lease_holds(all->holder, record))
        return all->holder;
    for (size_t i = 0; i < all->count; i++)
        if (lease_holds(all->heap[i], record))
            return all->holder = all->heap[i];
    return NULL;
}

struct lease *leases_by_number(const struct leases *all, int64_t number)
{
    return table_find(&all->by_number, &by_number, (uint64_t)number, &number);
}

struct lease *leases_at(const struct leases *all, size_t place)
{
    return all->heap[place];
}

struct lease *leases_first(const struct leases *all)
{
    return all->count ? all->heap[0] : NULL;
}

int64_t leases_count(const struct leases *all)
{
    return (int64_t)all->count;
}

void leases_end(struct leases *all, struct lease *l)
{
    size_t place = l->place;
    assert(all->heap[place] == l);
    struct lease *last = all->heap[--all->count];
    if (last != l) {
        heap_put(all, place, last);
        heap_settle(all, place);
    }
    if (all->holder == l)
        all->holder = NULL;
    lease_remove(all, l);
}

void leases_sweep(struct leases *all)
{
    size_t kept = 0;
    all->holder = NULL;
    for (size_t i = 0; i < all->count; i++)
        if (all->heap[i]->records.size > 0 || all->heap[i]->kept)
            heap_put(all, kept++, all->heap[i]);
        else
            lease_remove(all, all->heap[i]);
    if (kept == all->count)
        return;
    /* Built anew, one by one: each finds its place among those before it. */
    for (all->count = 0; all->count < kept;) {
        size_t last = all->count++;
        heap_settle(all, last);
    }
}

void lease_add(struct lease *l, int64_t record)
{
    record_set_add(&l->records, record);
}

void lease_drop(struct lease *l, int64_t record)
{
    record_set_drop(&l->records, record);
}

bool lease_holds(const struct lease *l, int64_t record)
{
    return record_set_has(&l->records, record);
}

int64_t lease_open(const struct lease *l)
{
    return l->records.size;
}

int64_t lease_number(const struct lease *l)
{
    return l->number;
}

int64_t lease_ends_us(const struct lease *l)
{
    return l->ends_us;
}

void lease_extend(struct leases *all, struct lease *l, int64_t ends_us)
{
    l->ends_us = ends_us;
    heap_settle(all, l->place);
}

const uint8_t *lease_token(const struct lease *l)
{
    return l->token;
}

const struct record_set *lease_records(const struct lease *l)
{
    return &l->records;
}

void lease_each(const struct lease *l, void (*each)(void *context, int64_t record), void *context)
{
    record_set_each(&l->records, each, context);
}

void lease_keep(struct lease *l, struct str worker, int64_t span_us)
{
    assert(span_us > 0);
    l->kept = true;
    l->span_us = span_us;
    free(l->worker);
    l->worker = xstrndup(worker.ptr ? worker.ptr : "", worker.len);
}

bool lease_is_kept(const struct lease *l)
{
    return l->kept;
}

const char *lease_worker(const struct lease *l)
{
    return l->worker ? l->worker : "";
}

int64_t lease_span_us(const struct lease *l)
{
    return l->span_us;
}

int64_t lease_starts_us(const struct lease *l)
{
    return l->starts_us;
}

void lease_set_starts(struct lease *l, int64_t starts_us)
{
    l->starts_us = starts_us;
}

bool lease_is_alone(const struct lease *l)
{
    return l->alone;
}

void lease_set_alone(struct lease *l, bool alone)
{
    l->alone = alone;
}

void lease_set_span(struct lease *l, int64_t span_us)
{
    assert(l->kept && span_us > 0);
    l->span_us = span_us;
}

int64_t lease_count_answer(struct lease *l)
{
    return ++l->answers;
}

struct recall {
    const struct record_set *known;
    struct record_set unknown;
};

static void note_unknown(void *context, int64_t record)
{
    struct recall *recall = context;
    if (!record_set_has(recall->known, record))
        record_set_add(&recall->unknown, record);
}

static void drop_one(void *context, int64_t record)
{
    lease_drop(context, record);
}

struct record_set lease_recall(struct lease *l, const struct record_set *known)
{
    struct recall recall = {.known = known};
    record_set_each(&l->records, note_unknown, &recall);
    record_set_each(&recall.unknown, drop_one, l);
    l->recalled = l->answers;
    return recall.unknown;
}

bool lease_was_recalled(const struct lease *l, int64_t answer)
{
    return answer <= l->recalled;
}
