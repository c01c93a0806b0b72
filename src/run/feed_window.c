/* feed_window.c: see feed_window.h. */
#include "run/feed_window.h"

#include "base/clock.h"

enum {
    SIZE_FIRST = 16,
    SIZE_LEAST = 2,
    SIZE_MOST = 1 << 24,
    FAST_US = 25000,      /* half of it answered within this: it is too small, */
    SLOW_US = 250000,     /* in this or longer: too large */
    PROBE_US = 2000,      /* how long it is full until we look */
    PATIENCE_US = 100000, /* the first; it doubles with each time */
    PATIENCE_MOST_US = 10000000
};

void feed_window_init(struct feed_window *w)
{
    *w = (struct feed_window){.size = SIZE_FIRST, .probe_us = NEVER_US, .patience_us = PATIENCE_US};
}

static void grow(struct feed_window *w)
{
    w->size = w->size < SIZE_MOST ? 2 * w->size : SIZE_MOST;
}

void feed_window_answered(struct feed_window *w, size_t count, int64_t now_us)
{
    w->probe_us = NEVER_US;
    w->patience_us = PATIENCE_US;
    w->answered += count;
    if (!w->mark_us) {
        w->mark_us = now_us;
        w->answered = 0;
    }
    if (w->answered < w->size / 2)
        return;
    int64_t took_us = now_us - w->mark_us;
    if (took_us < FAST_US)
        grow(w);
    else if (took_us > SLOW_US && w->size > SIZE_LEAST)
        w->size /= 2;
    w->mark_us = now_us;
    w->answered = 0;
}

void feed_window_is_full(struct feed_window *w, int64_t now_us)
{
    if (w->probe_us == NEVER_US)
        w->probe_us = now_us + PROBE_US;
}

void feed_window_probed(struct feed_window *w, enum program_mood mood, int64_t quiet_us,
                        int64_t now_us)
{
    bool waits = mood == PROGRAM_UNKNOWN && now_us - quiet_us >= w->patience_us;
    w->probe_us = now_us + (mood == PROGRAM_READS ? PROBE_US : w->patience_us / 4);
    if (mood == PROGRAM_READS || waits)
        grow(w);
    if (waits) /* seldom, hence by more */
        grow(w);
    if (waits && w->patience_us < PATIENCE_MOST_US)
        w->patience_us *= 2;
}
