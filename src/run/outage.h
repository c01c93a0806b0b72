/* outage.h: a server that is away: when who waits for it says so, once, then ever more rarely, and
 * that it is back. Pure: the clock is an argument. python/penstock/outage.py says the same. */
#ifndef PENSTOCK_RUN_OUTAGE_H
#define PENSTOCK_RUN_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { OUTAGE_TEXT_BYTES = 400 };

/* All zero: the server is there. */
struct outage {
    bool away;
    int64_t since_us;
    int64_t next_us;  /* when it is said (again) */
    int64_t pause_us; /* before it is said again; 0: it was not said yet */
};

/* The server gives no answer, for that reason. True when that is to be said, in `text`, which has
 * OUTAGE_TEXT_BYTES. `now_us` is monotonic. */
bool outage_failed(struct outage *o, int64_t now_us, const char *why, char *text);
/* It has answered. The same, when it was said that it is away. */
bool outage_answered(struct outage *o, int64_t now_us, char *text);

#endif
