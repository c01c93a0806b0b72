/* step_runs.h: which runs of step jobs go on, for those who are shown their tokens (step_token.h)
 * and ask the engine nothing else: what a run may open closes with it.
 *
 * It is what the store holds: the engine's thread changes it after each commit, before it answers
 * anybody. Threads: any, under its mutex. */
#ifndef PENSTOCK_ENGINE_STEP_RUNS_H
#define PENSTOCK_ENGINE_STEP_RUNS_H

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

struct step_runs;
struct step_runs *step_runs_new(void);
void step_runs_free(struct step_runs *r); /* NULL is fine */
/* The run of that fence goes on, and none before of the job; fence 0: none does. */
void step_runs_set(struct step_runs *r, int64_t job, int64_t fence);
bool step_runs_has(struct step_runs *r, int64_t job, int64_t fence);

#endif
