/* job_table.h: the engine's jobs by id and by name. Owns them. The engine's thread. */
#ifndef PENSTOCK_ENGINE_JOB_TABLE_H
#define PENSTOCK_ENGINE_JOB_TABLE_H

#include "base/buf.h"

struct data_job;

struct job_table {
    struct data_job **jobs; /* in order of ids */
    size_t count, cap;
    struct data_job **names; /* hashed by name, open addressing; slots 0 or a power of two */
    size_t slots;
};

void job_table_release(struct job_table *t); /* frees the jobs too */
/* Takes the job over; its id is above all others. */
void job_table_add(struct job_table *t, struct data_job *job);
/* Takes it out without freeing. */
void job_table_remove(struct job_table *t, struct data_job *job);
struct data_job *job_table_by_id(const struct job_table *t, int64_t id);
struct data_job *job_table_by_name(const struct job_table *t, struct str name);
/* Index of the first job with an id above this one. */
size_t job_table_after(const struct job_table *t, int64_t id);

#endif
