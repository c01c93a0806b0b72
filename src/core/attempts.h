/* attempts.h: how often records of a job were tried in vain. Only those that failed at least once
 * are here, so it stays small beside the ledger. */
#ifndef PENSTOCK_CORE_ATTEMPTS_H
#define PENSTOCK_CORE_ATTEMPTS_H

#include "base/own.h"

#include <stdint.h>

struct attempts;

struct attempts *attempts_new(void);
void attempts_free(struct attempts *a);
DEFINE_OWNED(attempts)
/* 0 when the record never failed. */
int64_t attempts_get(const struct attempts *a, int64_t record);
/* Sets the count (0 forgets the record's). */
void attempts_set(struct attempts *a, int64_t record, int64_t count);
void attempts_clear(struct attempts *a);

#endif
