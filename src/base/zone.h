/* zone.h: time zones by their names, as the system's tzdata knows them.
 *
 * A civil time is a count of seconds, too: those since 1970 that its date and hour would be in UTC.
 * Threads: any; a zone does not change. */
#ifndef PENSTOCK_BASE_ZONE_H
#define PENSTOCK_BASE_ZONE_H

#include "base/buf.h"
#include "base/err.h"

struct zone;

/* "Europe/Vienna", "UTC". Nothing but a name of tzdata: no rule, no path. ERR_INVALID names it. */
MUST_CHECK bool zone_open(struct str name, struct zone **out, struct err *err);
void zone_free(struct zone *z); /* NULL is fine */
DEFINE_OWNED(zone)

/* How far its clocks are ahead of UTC at this moment (seconds since 1970, UTC). */
int64_t zone_offset_s(const struct zone *z, int64_t utc_s);
/* The first moment in (from_s, to_s] from which on the offset is another than before. */
bool zone_change(const struct zone *z, int64_t from_s, int64_t to_s, int64_t *at_s);
/* The first moment at which the clocks show this civil time. False when they never do: then *out is
 * the first moment after the gap. */
bool zone_moment(const struct zone *z, int64_t civil_s, int64_t *out_s);

#endif
