/* planchet_items.h: the bodies of /receive and /mark-errors, read in one pass.
 *
 * The results are moved together in the body's own memory, each on one line ended by '\n', so that
 * they go to the output as they are: nothing is copied twice, nothing allocated for each. */
#ifndef PENSTOCK_HTTP_PLANCHET_ITEMS_H
#define PENSTOCK_HTTP_PLANCHET_ITEMS_H

#include "engine/op.h"
#include "http/planchet/planchet_faults.h"

/* As many as the original takes with its own limit of 10 MB. */
#define PLANCHET_ITEMS_MAX 1250000

struct planchet_items {
    struct settle_entry *entries; /* freed by planchet_items_release */
    size_t count, cap;
    bool full;         /* there were more than PLANCHET_ITEMS_MAX: the rest was left out */
    const char *lines; /* in the body */
};

/* Reads `[[id, item], ...]`. `body` is changed. False when it is no JSON; what is wrong otherwise
 * goes to `faults`, and then the items mean nothing. An id may be any integer, a text of one,
 * a boolean, or a number that is cut off at its point; one that no ledger could hold is -1. */
MUST_CHECK bool planchet_items_read(char *body, size_t len, struct planchet_items *out,
                                    struct planchet_faults *faults);
/* Reads `[id, ...]`: entries that have failed, without a reason. Same rules. */
MUST_CHECK bool planchet_ids_read(const char *body, size_t len, struct planchet_items *out,
                                  struct planchet_faults *faults);
void planchet_items_release(struct planchet_items *items);

#endif
