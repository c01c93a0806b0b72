/* look.h: what a claim finds. Internal to engine/; the engine's thread. */
#ifndef PENSTOCK_ENGINE_LOOK_H
#define PENSTOCK_ENGINE_LOOK_H

#include "engine/data_job.h"

/* What a look for records came to. */
enum found {
    FOUND,       /* something was claimed */
    FOUND_END,   /* nothing, and the input is at its end */
    FOUND_PAUSE, /* nothing yet: so many bad lines that they must be written first, or so much was
                    read that others have their turn; look again at once */
    FOUND_LATER, /* nothing: so many results wait for their turn that others must go out first */
    FOUND_ERROR
};

/* Looks for up to op->claim.most records: they become served, go into the lease (NULL: none) and,
 * without the closing bracket, into op->claim.records. After anything but FOUND what was taken on
 * the way is the caller's to give back. FOUND_ERROR: with the error. */
enum found claim_look(struct engine *e, struct data_job *job, struct op *op, struct lease *lease,
                      struct err *err);

#endif
