/* dispatch_locks.c: of all tasks with one lock in one queue only the first stands in its lane, and
 * none while another runs. */
#include "core/dispatch_own.h"

#include <xxhash.h>

static const struct heap_order by_priority = {task_before, offsetof(struct task, place)};

struct lock_ask {
    const struct station *queue;
    struct str name;
};

static uint64_t lock_hash(const void *item)
{
    return ((const struct task_lock *)item)->hash;
}

static bool lock_is(const void *item, const void *ask)
{
    const struct task_lock *l = item;
    const struct lock_ask *a = ask;
    return l->queue == a->queue && str_eq((struct str){l->name, l->len}, a->name);
}

static const struct table_kind kind = {lock_hash, lock_is};

struct task_lock *lock_must(struct dispatch *d, struct station *queue, struct str name)
{
    struct lock_ask ask = {queue, name};
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(name.ptr, name.len, queue->place);
    struct task_lock *l = table_find(&d->locks, &kind, hash, &ask);
    if (!l) {
        l = xcalloc(1, sizeof *l + name.len + 1);
        l->queue = queue;
        l->hash = hash;
        l->len = (uint32_t)name.len;
        memcpy(l->name, name.ptr, name.len);
        table_add(&d->locks, &kind, l);
    }
    l->refs++;
    return l;
}

void lock_unref(struct dispatch *d, struct task_lock *lock)
{
    if (--lock->refs)
        return;
    assert(!lock->first && lock->behind.count == 0);
    table_remove(&d->locks, &kind, lock);
    free(lock->behind.items);
    free(lock);
}

static bool is_offered(const struct task_lock *lock)
{
    return lock->first && lock->first->state != JOB_RUNNING;
}

/* Always before another of the lock leaves its lane, so that a key they share keeps its turn. */
static void offer(struct dispatch *d, struct task_lock *lock, struct task *t)
{
    lock->first = t;
    lane_add(d, t);
}

void lock_enter(struct dispatch *d, struct task *t)
{
    struct task_lock *lock = t->lock;
    if (!lock->first) {
        offer(d, lock, t);
        return;
    }
    if (is_offered(lock) && task_before(t, lock->first)) {
        struct task *before = lock->first;
        offer(d, lock, t);
        lane_remove(d, before);
        heap_add(&lock->behind, &by_priority, before);
        return;
    }
    heap_add(&lock->behind, &by_priority, t);
}

void lock_leave(struct dispatch *d, struct task *t)
{
    struct task_lock *lock = t->lock;
    if (lock->first != t) {
        heap_remove(&lock->behind, &by_priority, t);
        return;
    }
    lock->first = NULL;
    struct task *next = heap_first(&lock->behind);
    if (next) {
        heap_remove(&lock->behind, &by_priority, next);
        offer(d, lock, next);
    }
    if (t->state != JOB_RUNNING)
        lane_remove(d, t);
}

void lock_start(struct dispatch *d, struct task *t)
{
    struct task_lock *lock = t->lock;
    if (lock->first == t) {
        lane_remove(d, t);
        return;
    }
    /* Only a task that ran before a restart starts out of turn. */
    assert(is_offered(lock));
    struct task *before = lock->first;
    heap_remove(&lock->behind, &by_priority, t);
    lane_remove(d, before);
    heap_add(&lock->behind, &by_priority, before);
    lock->first = t;
}

void locks_release(struct dispatch *d)
{
    for (size_t i = 0; i < d->locks.size; i++) {
        struct task_lock *lock = d->locks.slots[i];
        if (lock)
            free(lock->behind.items);
        free(lock);
    }
    free(d->locks.slots);
}
