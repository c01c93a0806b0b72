/* step_store.h: processing steps in the store. Rules as in job_store.h; on the committer's thread,
 * too, within a group's transaction. Ids are the engine's, of the sequence of all jobs. */
#ifndef PENSTOCK_STORE_STEP_STORE_H
#define PENSTOCK_STORE_STEP_STORE_H

#include "core/step.h"
#include "store/store.h"

/* What the store holds of it becomes `after`: `before` NULL: it is new; `after` NULL: it goes. */
MUST_CHECK bool step_store_change(struct tx *tx, const struct step *before,
                                  const struct step *after, struct err *err);
/* All, in order of ids, with how many jobs have selected each; `each` takes the step over. One that
 * cannot be read ends it with ERR_STORE. */
MUST_CHECK bool step_store_load(struct tx *tx,
                                void (*each)(void *context, struct step *s, int64_t jobs),
                                void *context, struct err *err);

/* The kinds of things that have tags. */
enum step_thing { STEP_THING_STEP, STEP_THING_JOB, STEP_THING_ARTIFACT };
/* Tags of a thing: those of `before` that are not in `after` go, and the other way round. */
MUST_CHECK bool step_tag_store_change(struct tx *tx, enum step_thing thing, int64_t id,
                                      struct str owner, const struct step_tags *before,
                                      const struct step_tags *after, struct err *err);
/* The tags that an owner's things of that kind have, in order, each once, up to `limit`. */
MUST_CHECK bool step_tag_store_list(struct tx *tx, enum step_thing thing, struct str owner,
                                    int64_t limit, void (*each)(void *context, struct str tag),
                                    void *context, struct err *err);

#endif
