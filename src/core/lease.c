/* lease.c: see lease.h. Records are kept as runs, since most claims are contiguous; leases in a
 * binary heap by deadline, since the first to end is asked for at every step. A job has about as
 * many leases as workers, so finding one by token or record looks at all. */
#include "core/lease.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct run {
    int64_t first, count;
};

struct lease {
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t ends_us, open;
    size_t place; /* in the heap */
    struct run *runs;
    size_t run_count, run_cap;
};

struct leases {
    struct lease **heap;
    size_t count, cap;
};

struct leases *leases_new(void)
{
    return xcalloc(1, sizeof(struct leases));
}

static void lease_free(struct lease *l)
{
    free(l->runs);
    free(l);
}

void leases_clear(struct leases *all)
{
    for (size_t i = 0; i < all->count; i++)
        lease_free(all->heap[i]);
    all->count = 0;
}

void leases_free(struct leases *all)
{
    if (!all)
        return;
    leases_clear(all);
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

struct lease *leases_add(struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES],
                         int64_t ends_us)
{
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 8;
        all->heap = xrealloc(all->heap, all->cap * sizeof *all->heap);
    }
    struct lease *l = xcalloc(1, sizeof *l);
    memcpy(l->token, token, LEASE_TOKEN_BYTES);
    l->ends_us = ends_us;
    heap_put(all, all->count++, l);
    heap_settle(all, l->place);
    return l;
}

struct lease *leases_find(const struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES])
{
    for (size_t i = 0; i < all->count; i++)
        if (sodium_memcmp(all->heap[i]->token, token, LEASE_TOKEN_BYTES) == 0)
            return all->heap[i];
    return NULL;
}

struct lease *leases_holder(const struct leases *all, int64_t record)
{
    for (size_t i = 0; i < all->count; i++)
        if (lease_holds(all->heap[i], record))
            return all->heap[i];
    return NULL;
}

bool leases_has(const struct leases *all, const struct lease *l)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->heap[i] == l)
            return true;
    return false;
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
    lease_free(l);
}

void leases_sweep(struct leases *all)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++)
        if (all->heap[i]->open > 0)
            heap_put(all, kept++, all->heap[i]);
        else
            lease_free(all->heap[i]);
    if (kept == all->count)
        return;
    /* Built anew, one by one: each finds its place among those before it. */
    for (all->count = 0; all->count < kept;) {
        size_t last = all->count++;
        heap_settle(all, last);
    }
}

/* Index of the first run that begins after the record. */
static size_t run_after(const struct lease *l, int64_t record)
{
    size_t low = 0, high = l->run_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->runs[middle].first > record)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void insert_run(struct lease *l, size_t at, struct run run)
{
    if (l->run_count == l->run_cap) {
        l->run_cap = l->run_cap ? l->run_cap * 2 : 1;
        l->runs = xrealloc(l->runs, l->run_cap * sizeof *l->runs);
    }
    memmove(l->runs + at + 1, l->runs + at, (l->run_count - at) * sizeof *l->runs);
    l->runs[at] = run;
    l->run_count++;
}

static void remove_run(struct lease *l, size_t at)
{
    l->run_count--;
    memmove(l->runs + at, l->runs + at + 1, (l->run_count - at) * sizeof *l->runs);
}

void lease_add(struct lease *l, int64_t record)
{
    assert(!lease_holds(l, record));
    size_t at = run_after(l, record);
    l->open++;
    if (at > 0 && l->runs[at - 1].first + l->runs[at - 1].count == record)
        l->runs[at - 1].count++;
    else
        insert_run(l, at, (struct run){record, 1});
}

bool lease_holds(const struct lease *l, int64_t record)
{
    size_t at = run_after(l, record);
    return at > 0 && record < l->runs[at - 1].first + l->runs[at - 1].count;
}

void lease_drop(struct lease *l, int64_t record)
{
    assert(lease_holds(l, record));
    size_t at = run_after(l, record) - 1;
    struct run *run = &l->runs[at];
    int64_t behind = run->first + run->count - record - 1;
    l->open--;
    if (record == run->first) { /* most settle in order */
        run->first++;
        run->count--;
        if (run->count == 0)
            remove_run(l, at);
        return;
    }
    run->count = record - run->first;
    if (behind)
        insert_run(l, at + 1, (struct run){record + 1, behind});
}

int64_t lease_open(const struct lease *l)
{
    return l->open;
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

void lease_each(const struct lease *l, void (*each)(void *context, int64_t record), void *context)
{
    for (size_t r = 0; r < l->run_count; r++)
        for (int64_t i = 0; i < l->runs[r].count; i++)
            each(context, l->runs[r].first + i);
}
