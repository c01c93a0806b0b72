/* step_token.h: what a running step job may show in place of a key: it acts for the job's owner, in
 * that run only. Nothing of it is stored: it is signed with the state folder's secret. */
#ifndef PENSTOCK_ENGINE_STEP_TOKEN_H
#define PENSTOCK_ENGINE_STEP_TOKEN_H

#include "base/buf.h"
#include "core/step.h"

struct engine;

struct step_token {
    int64_t job, fence;
    char owner[STEP_OWNER_MAX_BYTES + 1];
};
enum { STEP_TOKEN_SIZE = 192 };
/* "st:JOB:FENCE:OWNER:SIGNATURE". Threads: any. */
void step_token_write(const struct engine *e, const struct step_token *token,
                      char out[STEP_TOKEN_SIZE]);
/* False when it is none of this server's. Whether its run goes on is for the engine to say
 * (struct step_asker). Threads: any. */
bool step_token_read(const struct engine *e, struct str text, struct step_token *out);

#endif
