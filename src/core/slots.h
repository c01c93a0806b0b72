/* slots.h: how `concurrency` is shared among the sessions of a job. Pure.
 *
 * Each session is told how many records it may run; the even share, as far as there is room. What
 * it was told counts as used, whether it uses it or not. A share that shrinks is free only when its
 * worker has come down to it, which it says with its next claim. So never more run than there are
 * slots, whenever workers come and go. Who came first is never told to run nothing again. */
#ifndef PENSTOCK_CORE_SLOTS_H
#define PENSTOCK_CORE_SLOTS_H

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

struct slots;

struct slots *slots_new(void);
void slots_free(struct slots *s);
DEFINE_OWNED(slots)

/* How many there are in all for the sessions, from now on. */
void slots_set_total(struct slots *s, int64_t total);
/* A session comes; ids grow. It has no slots until it is granted some. */
void slots_join(struct slots *s, int64_t id);
/* A session is gone with all it ran. An unknown one is passed over. */
void slots_leave(struct slots *s, int64_t id);
void slots_clear(struct slots *s);

/* What the session was last granted; 0 for an unknown one. */
int64_t slots_share(const struct slots *s, int64_t id);
/* Its part of all slots when each session has as many. */
int64_t slots_even(const struct slots *s, int64_t id);
/* What it could be granted now: that, as far as there is room. */
int64_t slots_offer(const struct slots *s, int64_t id);
/* Its worker, who knows its share, runs so many at this moment. */
void slots_report(struct slots *s, int64_t id, int64_t running);
/* It is told to run as many as slots_offer says; `holding` is how many records it has: it cannot
 * run more. Returns the share. */
int64_t slots_grant(struct slots *s, int64_t id, int64_t holding);
/* How many are in use: granted, or running still. */
int64_t slots_used(const struct slots *s);

#endif
