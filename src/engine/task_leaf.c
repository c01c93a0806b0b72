/* task_leaf.c: counts of tasks by key, batch, queue and function. In memory is only what tasks of
 * notes have, and for a while what had ends of late; what a group changed is added to the store's
 * counts (store/task_tally_store.h). */
#include "engine/engine_state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

#define RATE_SPAN_US 30e6 /* an end of so long ago counts 1/e */

/* Leaves that nobody has a reference to and whose rate is forgotten leave when there are so many.
 */
enum { LEAVES_IDLE = 1024 };

static uint64_t hash_of(const struct tasks *tasks, uint32_t queue, uint32_t function,
                        struct str key, struct str batch)
{
    uint64_t hash = XXH3_64bits_withSeed(key.ptr ? key.ptr : "", key.len,
                                         tasks->seed ^ ((uint64_t)queue << 32 | function));
    return batch.len ? XXH3_64bits_withSeed(batch.ptr, batch.len, hash) : hash;
}

static struct task_leaf *find(const struct tasks *tasks, uint64_t hash, uint32_t queue,
                              uint32_t function, struct str key, struct str batch)
{
    struct task_leaf *leaf = tasks->leaves ? tasks->leaves[hash & tasks->leaf_mask] : NULL;
    while (leaf && (leaf->hash != hash || leaf->queue != queue || leaf->function != function ||
                    !str_eq(leaf->key, key) || !str_eq(leaf->batch, batch)))
        leaf = leaf->next;
    return leaf;
}

struct task_leaf *leaf_find(const struct engine *e, uint32_t queue, uint32_t function,
                            struct str key, struct str batch)
{
    return find(e->tasks, hash_of(e->tasks, queue, function, key, batch), queue, function, key,
                batch);
}

/* Rehashes into a table of that size; idle leaves are left out. */
static void rebuild(struct tasks *tasks, size_t size)
{
    struct task_leaf **old = tasks->leaves;
    size_t old_size = old ? tasks->leaf_mask + 1 : 0;
    tasks->leaves = xcalloc(size, sizeof *tasks->leaves);
    tasks->leaf_mask = size - 1;
    tasks->leaf_count = 0;
    for (size_t i = 0; i < old_size; i++)
        while (old[i]) {
            struct task_leaf *leaf = old[i];
            old[i] = leaf->next;
            if (leaf->refs == 0 && !leaf->touched) {
                free(leaf);
                continue;
            }
            leaf->next = tasks->leaves[leaf->hash & tasks->leaf_mask];
            tasks->leaves[leaf->hash & tasks->leaf_mask] = leaf;
            tasks->leaf_count++;
        }
    free(old);
}

static struct task_leaf *make(struct tasks *tasks, uint64_t hash, uint32_t queue, uint32_t function,
                              struct str key, struct str batch)
{
    if (!tasks->leaves || tasks->leaf_count > tasks->leaf_mask) {
        size_t size = tasks->leaves ? tasks->leaf_mask + 1 : LEAVES_IDLE;
        rebuild(tasks, size);
        if (tasks->leaf_count * 2 > size)
            rebuild(tasks, size * 2);
    }
    struct task_leaf *leaf = xcalloc(1, sizeof *leaf + key.len + batch.len);
    char *texts = (char *)(leaf + 1);
    if (key.len)
        memcpy(texts, key.ptr, key.len);
    if (batch.len)
        memcpy(texts + key.len, batch.ptr, batch.len);
    leaf->hash = hash;
    leaf->queue = queue;
    leaf->function = function;
    leaf->key = (struct str){texts, key.len};
    leaf->batch = (struct str){texts + key.len, batch.len};
    leaf->next = tasks->leaves[hash & tasks->leaf_mask];
    tasks->leaves[hash & tasks->leaf_mask] = leaf;
    tasks->leaf_count++;
    return leaf;
}

struct task_leaf *leaf_get(struct engine *e, uint32_t queue, uint32_t function, struct str key,
                           struct str batch)
{
    struct tasks *tasks = e->tasks;
    uint64_t hash = hash_of(tasks, queue, function, key, batch);
    struct task_leaf *leaf = find(tasks, hash, queue, function, key, batch);
    if (!leaf)
        leaf = make(tasks, hash, queue, function, key, batch);
    leaf->refs++;
    return leaf;
}

void leaf_put(struct engine *e, struct task_leaf *leaf)
{
    (void)e;
    assert(leaf->refs > 0);
    leaf->refs--;
}

static double decayed(const struct task_leaf *leaf, int64_t now_us)
{
    return leaf->ends * exp(-(double)(now_us - leaf->ends_at_us) / RATE_SPAN_US);
}

double leaf_rate(const struct task_leaf *leaf, int64_t now_us)
{
    double ends = decayed(leaf, now_us);
    return ends < 0.5 ? 0 : ends / (RATE_SPAN_US / 1e6);
}

static void touch(struct engine *e, struct task_leaf *leaf)
{
    struct task_group *g = &e->building.tasks;
    if (leaf->touched)
        return;
    leaf->touched = true;
    if (g->leaf_count == g->leaf_cap) {
        g->leaf_cap = g->leaf_cap ? g->leaf_cap * 2 : 16;
        g->leaves = xrealloc(g->leaves, g->leaf_cap * sizeof *g->leaves);
    }
    g->leaves[g->leaf_count++] = leaf;
}

void leaf_count(struct engine *e, struct task_leaf *leaf, enum job_state from, enum job_state to)
{
    touch(e, leaf);
    if (from < JOB_STATE_COUNT)
        leaf->delta[from]--;
    if (to < JOB_STATE_COUNT)
        leaf->delta[to]++;
    if (from == JOB_RUNNING && job_state_is_final(to)) {
        leaf->ends = decayed(leaf, e->now.mono_us) + 1;
        leaf->ends_at_us = e->now.mono_us;
    }
    for (int i = 0; i < 2; i++) {
        struct task_gate *gate = gate_at(e, i, i ? leaf->function : leaf->queue);
        if (from < JOB_STATE_COUNT && job_state_is_final(from))
            gate->delta[from]--;
        if (to < JOB_STATE_COUNT && job_state_is_final(to))
            gate->delta[to]++;
    }
}

void leaves_release(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    for (size_t i = 0; tasks->leaves && i <= tasks->leaf_mask; i++)
        while (tasks->leaves[i]) {
            struct task_leaf *leaf = tasks->leaves[i];
            tasks->leaves[i] = leaf->next;
            free(leaf);
        }
    free(tasks->leaves);
    tasks->leaves = NULL;
    tasks->leaf_mask = tasks->leaf_count = 0;
}
