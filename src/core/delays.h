/* delays.h: records of a job that wait for their next attempt, each until its moment. Pure. */
#ifndef PENSTOCK_CORE_DELAYS_H
#define PENSTOCK_CORE_DELAYS_H

#include "base/clock.h"
#include "base/own.h"

#include <stdbool.h>

struct delays;

struct delays *delays_new(void);
void delays_free(struct delays *d);
DEFINE_OWNED(delays)

/* The record, which does not wait, waits until due_us (monotonic, > 0). */
void delays_add(struct delays *d, int64_t record, int64_t due_us);
/* It waits no longer. False when it did not. */
bool delays_remove(struct delays *d, int64_t record);
bool delays_has(const struct delays *d, int64_t record);
/* Takes out one that is due, -1 when none is. */
int64_t delays_take_due(struct delays *d, int64_t now_us);
/* When delays_take_due has one next, or earlier; NEVER_US when nothing waits. */
int64_t delays_first_us(const struct delays *d);
int64_t delays_count(const struct delays *d);
void delays_clear(struct delays *d);

#endif
