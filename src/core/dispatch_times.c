/* dispatch_times.c: tasks that wait for their time, in a heap by the wall clock (run_at) and one by
 * the monotonic clock (retries), so that a jump of the wall clock moves only what is bound to it.
 * The moment is in the heap, not in the task: most tasks never wait. */
#include "core/dispatch_own.h"

#define TIMES_KEEP_CAP 1024u

/* Of one moment the older first. */
static bool before(struct due a, struct due b)
{
    return a.at_us != b.at_us ? a.at_us < b.at_us : a.task->id < b.task->id;
}

static void put(struct times *all, uint32_t at, struct due due)
{
    all->heap[at] = due;
    due.task->place = at;
}

static uint32_t rise(struct times *all, uint32_t at, struct due due)
{
    for (; at > 0 && before(due, all->heap[(at - 1) / 2]); at = (at - 1) / 2)
        put(all, at, all->heap[(at - 1) / 2]);
    put(all, at, due);
    return at;
}

static void fall(struct times *all, uint32_t at, struct due due)
{
    for (uint32_t child = 0; (child = at * 2 + 1) < all->count; at = child) {
        if (child + 1 < all->count && before(all->heap[child + 1], all->heap[child]))
            child++;
        if (!before(all->heap[child], due))
            break;
        put(all, at, all->heap[child]);
    }
    put(all, at, due);
}

void times_add(struct dispatch *d, struct task *t, unsigned waits, int64_t at_us)
{
    struct times *all = &d->times[waits];
    assert(t->waits == WAITS_NOT && waits != WAITS_NOT);
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 16;
        all->heap = xrealloc(all->heap, all->cap * sizeof *all->heap);
    }
    t->waits = waits & 3;
    rise(all, all->count++, (struct due){at_us, t});
}

void times_remove(struct dispatch *d, struct task *t)
{
    struct times *all = &d->times[t->waits];
    uint32_t at = t->place;
    assert(t->waits != WAITS_NOT && all->heap[at].task == t);
    struct due last = all->heap[--all->count];
    if (last.task != t && rise(all, at, last) == at)
        fall(all, at, last);
    t->waits = WAITS_NOT;
    if (all->count == 0 && all->cap > TIMES_KEEP_CAP) {
        free(TAKE(all->heap));
        all->cap = 0;
    }
}

int64_t times_of(const struct dispatch *d, const struct task *t)
{
    assert(t->waits != WAITS_NOT);
    return d->times[t->waits].heap[t->place].at_us;
}

static int64_t first_us(const struct times *all)
{
    return all->count ? all->heap[0].at_us : NEVER_US;
}

struct task *times_take_due(struct dispatch *d, struct instant now)
{
    struct task *t = NULL;
    if (first_us(&d->times[WAITS_WALL]) <= now.wall_us)
        t = d->times[WAITS_WALL].heap[0].task;
    else if (first_us(&d->times[WAITS_MONO]) <= now.mono_us)
        t = d->times[WAITS_MONO].heap[0].task;
    if (t)
        times_remove(d, t);
    return t;
}

int64_t times_next_us(const struct dispatch *d, struct instant now)
{
    int64_t mono = first_us(&d->times[WAITS_MONO]), wall = first_us(&d->times[WAITS_WALL]);
    if (wall != NEVER_US)
        wall = wall > now.wall_us ? now.mono_us + (wall - now.wall_us) : now.mono_us;
    return wall < mono ? wall : mono;
}

void times_release(struct dispatch *d)
{
    for (unsigned waits = 0; waits < WAITS_COUNT; waits++)
        free(d->times[waits].heap);
}

int64_t task_waits_until_us(const struct dispatch *d, const struct task *t)
{
    if (t->waits == WAITS_NOT)
        return 0;
    int64_t at_us = times_of(d, t);
    return t->waits == WAITS_WALL ? at_us : d->now.wall_us + (at_us - d->now.mono_us);
}
