/* held_lines.h: lines of an output that were cut out of it to be done again, where a job ends
 * before they were. Internal to engine/; the engine's thread. */
#ifndef PENSTOCK_ENGINE_HELD_LINES_H
#define PENSTOCK_ENGINE_HELD_LINES_H

#include "engine/data_job.h"

/* All of them go back to the output's end. Nothing to do without any. */
MUST_CHECK bool held_lines_restore(struct engine *e, struct data_job *job, struct err *err);
/* They are gone. Best effort. */
void held_lines_forget(const struct engine *e, const struct data_job *job);

#endif
