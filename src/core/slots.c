/* slots.c: see slots.h. Sessions stand in the order in which they came, which is that of their ids,
 * so that a place is found by halves and is the rank as well. */
#include "core/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct share {
    int64_t id;
    int64_t granted; /* as last told */
    int64_t used;    /* at least that; more while its worker comes down */
};

struct slots {
    struct share *shares;
    size_t count, cap;
    int64_t total, used;
};

struct slots *slots_new(void)
{
    return xcalloc(1, sizeof(struct slots));
}

void slots_free(struct slots *s)
{
    if (!s)
        return;
    free(s->shares);
    free(s);
}

void slots_set_total(struct slots *s, int64_t total)
{
    s->total = total > 0 ? total : 0;
}

/* The place of the first session whose id is not below. */
static size_t place_of(const struct slots *s, int64_t id)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->shares[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct share *find(const struct slots *s, int64_t id)
{
    size_t place = place_of(s, id);
    return place < s->count && s->shares[place].id == id ? &s->shares[place] : NULL;
}

void slots_join(struct slots *s, int64_t id)
{
    assert(s->count == 0 || s->shares[s->count - 1].id < id);
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->shares = xrealloc(s->shares, s->cap * sizeof *s->shares);
    }
    s->shares[s->count++] = (struct share){.id = id};
}

void slots_leave(struct slots *s, int64_t id)
{
    struct share *share = find(s, id);
    if (!share)
        return;
    s->used -= share->used;
    s->count--;
    memmove(share, share + 1, (size_t)(s->shares + s->count - share) * sizeof *share);
}

void slots_clear(struct slots *s)
{
    s->count = 0;
    s->used = 0;
}

int64_t slots_share(const struct slots *s, int64_t id)
{
    const struct share *share = find(s, id);
    return share ? share->granted : 0;
}

static int64_t even_share(const struct slots *s, const struct share *share)
{
    int64_t sessions = (int64_t)s->count, rank = share - s->shares;
    return s->total / sessions + (rank < s->total % sessions);
}

int64_t slots_even(const struct slots *s, int64_t id)
{
    const struct share *share = find(s, id);
    return share ? even_share(s, share) : 0;
}

int64_t slots_offer(const struct slots *s, int64_t id)
{
    const struct share *share = find(s, id);
    if (!share)
        return 0;
    int64_t even = even_share(s, share);
    int64_t room = s->total - (s->used - share->used);
    int64_t offer = even < room ? even : room;
    return offer > 0 ? offer : 0;
}

static void use(struct slots *s, struct share *share, int64_t used)
{
    s->used += used - share->used;
    share->used = used;
}

void slots_report(struct slots *s, int64_t id, int64_t running)
{
    struct share *share = find(s, id);
    int64_t used = share && running > share->granted ? running : share ? share->granted : 0;
    if (share && used < share->used)
        use(s, share, used);
}

int64_t slots_grant(struct slots *s, int64_t id, int64_t holding)
{
    struct share *share = find(s, id);
    if (!share)
        return 0;
    int64_t offer = slots_offer(s, id);
    int64_t runs = holding < share->used ? holding : share->used;
    share->granted = offer;
    use(s, share, runs > offer ? runs : offer);
    return offer;
}

int64_t slots_used(const struct slots *s)
{
    return s->used;
}
