/* job_table.c: see job_table.h. Removal hashes all names anew: jobs are deleted seldom. */
#include "engine/job_table.h"

#include "engine/data_job.h"

#include <assert.h>
#include <stdlib.h>

void job_table_release(struct job_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        data_job_free(t->jobs[i]);
    free(t->jobs);
    free(t->names);
    *t = (struct job_table){0};
}

static struct data_job **name_slot(const struct job_table *t, struct str name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a: names are short and few */
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
    for (size_t i = (size_t)(hash ^ hash >> 32);; i++) {
        struct data_job **slot = &t->names[i & (t->slots - 1)];
        if (!*slot || str_is(name, (*slot)->row.name))
            return slot;
    }
}

static void hash_names(struct job_table *t, size_t slots)
{
    free(t->names);
    t->slots = slots;
    t->names = xcalloc(slots, sizeof *t->names);
    for (size_t i = 0; i < t->count; i++)
        *name_slot(t, str_of(t->jobs[i]->row.name)) = t->jobs[i];
}

void job_table_add(struct job_table *t, struct data_job *job)
{
    assert(t->count == 0 || t->jobs[t->count - 1]->row.id < job->row.id);
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->jobs = xrealloc(t->jobs, t->cap * sizeof *t->jobs);
    }
    t->jobs[t->count++] = job;
    if (t->count * 2 > t->slots)
        hash_names(t, t->slots ? t->slots * 2 : 32);
    else
        *name_slot(t, str_of(job->row.name)) = job;
}

size_t job_table_after(const struct job_table *t, int64_t id)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->jobs[middle]->row.id > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct data_job *job_table_by_id(const struct job_table *t, int64_t id)
{
    size_t at = job_table_after(t, id);
    return at > 0 && t->jobs[at - 1]->row.id == id ? t->jobs[at - 1] : NULL;
}

struct data_job *job_table_by_name(const struct job_table *t, struct str name)
{
    return t->slots ? *name_slot(t, name) : NULL;
}

void job_table_remove(struct job_table *t, struct data_job *job)
{
    size_t at = job_table_after(t, job->row.id);
    assert(at > 0 && t->jobs[at - 1] == job);
    memmove(t->jobs + at - 1, t->jobs + at, (t->count - at) * sizeof *t->jobs);
    t->count--;
    hash_names(t, t->slots);
}
