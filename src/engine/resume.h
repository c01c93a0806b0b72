/* resume.h: what is done to an output and an error file between two runs of a job, before records
 * are served and after they are all settled. Internal to engine/; the engine's thread.
 *
 * Of a job with ids the output is the truth: whatever stands in it, by whoever it was put there, is
 * done. It is looked through in slices, one a step of the engine, so that other jobs go on; claims
 * of this job wait. What cannot be read there is warned about and passed over; a last line that was
 * torn off is cut, so that nothing is glued to it.
 *
 * A line with the rerun key is to be replaced. Before anything is served all such lines are moved
 * into a file of the state folder, durably there before they leave the output; so that the output
 * never has two lines of one id. At the end of the run, or at the next start after a crash, those
 * that were not done again go back.
 *
 * An error file in the form that holds records tells of the present: at the start and at the end of
 * a run the lines of records that are done leave it, and of those that failed again the newest
 * stays. */
#ifndef PENSTOCK_ENGINE_RESUME_H
#define PENSTOCK_ENGINE_RESUME_H

#include "engine/data_job.h"

struct resume;

enum resume_kind {
    RESUME_FRESH,  /* a run begins; with ids its ledger is empty */
    RESUME_GO_ON,  /* ids again for a ledger that stands, after a restart of the engine */
    RESUME_TIDY_UP /* a run has ended */
};

void resume_begin(struct engine *e, struct data_job *job, enum resume_kind kind);
/* One slice. A failure fails the job. */
void resume_step(struct engine *e, struct data_job *job);
void resume_free(struct resume *r);
DEFINE_OWNED(resume)

#endif
