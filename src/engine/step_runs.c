/* step_runs.c: see step_runs.h. */
#include "engine/step_runs.h"

#include "core/table.h"

#include <pthread.h>

struct run {
    int64_t job, fence;
};

struct step_runs {
    pthread_mutex_t lock; /* guards all */
    struct table runs;
};

static uint64_t hash_of(int64_t job)
{
    return (uint64_t)job * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

static uint64_t run_hash(const void *item)
{
    return hash_of(((const struct run *)item)->job);
}

static bool run_is(const void *item, const void *ask)
{
    return ((const struct run *)item)->job == *(const int64_t *)ask;
}

static const struct table_kind by_job = {run_hash, run_is};

struct step_runs *step_runs_new(void)
{
    struct step_runs *r = xcalloc(1, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void step_runs_free(struct step_runs *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->runs.size; i++)
        free(r->runs.slots[i]);
    free(r->runs.slots);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void step_runs_set(struct step_runs *r, int64_t job, int64_t fence)
{
    pthread_mutex_lock(&r->lock);
    struct run *run = table_find(&r->runs, &by_job, hash_of(job), &job);
    if (!fence && run) {
        table_remove(&r->runs, &by_job, run);
        free(run);
    } else if (fence && !run) {
        run = xcalloc(1, sizeof *run);
        run->job = job;
        table_add(&r->runs, &by_job, run);
    }
    if (fence)
        run->fence = fence;
    pthread_mutex_unlock(&r->lock);
}

bool step_runs_has(struct step_runs *r, int64_t job, int64_t fence)
{
    pthread_mutex_lock(&r->lock);
    const struct run *run = table_find(&r->runs, &by_job, hash_of(job), &job);
    bool has = run && run->fence == fence;
    pthread_mutex_unlock(&r->lock);
    return has;
}
