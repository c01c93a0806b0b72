/* resume.h: looking through an output for what is done, before records with ids are served.
 * Internal to engine/; the engine's thread.
 *
 * The output is the truth: whatever stands in it, by whoever it was put there, is done. It is
 * looked through in slices, one a step of the engine, so that other jobs go on; claims of this job
 * wait. What cannot be read there is warned about and passed over; a last line that was torn off is
 * cut, so that nothing is glued to it. */
#ifndef PENSTOCK_ENGINE_RESUME_H
#define PENSTOCK_ENGINE_RESUME_H

#include "engine/data_job.h"

struct resume;

/* The job's output has to be looked through. With `fresh` its ledger is empty; else it stands, and
 * the input is read again as far as it was known. */
void resume_begin(struct engine *e, struct data_job *job, bool fresh);
/* One slice. A failure fails the job. */
void resume_step(struct engine *e, struct data_job *job);
void resume_free(struct resume *r);
DEFINE_OWNED(resume)

#endif
