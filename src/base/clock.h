/* clock.h: the two clocks. Deadlines and waits use the monotonic one; only what is stored or shown
 * uses the wall. The rules in core/ and the engine's steps get both as an argument. */
#ifndef PENSTOCK_BASE_CLOCK_H
#define PENSTOCK_BASE_CLOCK_H

#include "base/buf.h"

struct instant {
    int64_t mono_us; /* since some fixed moment; never goes back */
    int64_t wall_us; /* UTC since 1970; may jump */
};

/* No deadline. */
#define NEVER_US INT64_MAX

struct instant clock_now(void);
/* RFC 3339 in UTC with milliseconds, "2026-11-22T09:00:00.000Z": 24 characters and NUL. */
#define CLOCK_TEXT_SIZE 32
void clock_text(int64_t wall_us, char out[CLOCK_TEXT_SIZE]);
/* The instant that an RFC 3339 text names, with any offset ("2026-11-22T10:00:00+01:00") and any
 * fraction of a second, of which what is below a microsecond is dropped. A leap second is the first
 * moment after it. False when it is none. */
bool clock_parse(struct str text, int64_t *wall_us);

#endif
