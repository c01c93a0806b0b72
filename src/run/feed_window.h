/* feed_window.h: how many records a program is given ahead of its answers: few to a slow one, so
 * that other hands have work too and a stop is quick; many to a fast one, so that it never waits.
 * Pure.
 *
 * It is measured by the answers. A program that keeps answers in a buffer gives none at first; that
 * it waits for more shows otherwise (enum program_mood). */
#ifndef PENSTOCK_RUN_FEED_WINDOW_H
#define PENSTOCK_RUN_FEED_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a program seems to do that has not answered everything. */
enum program_mood {
    PROGRAM_BUSY,   /* it works, or has not read all it was given */
    PROGRAM_READS,  /* it waits for input */
    PROGRAM_UNKNOWN /* it waits for something */
};

struct feed_window {
    size_t size;         /* records that may be in its hands */
    size_t answered;     /* since mark_us */
    int64_t mark_us;     /* 0: nothing was answered yet */
    int64_t probe_us;    /* when to look what it does; NEVER_US */
    int64_t patience_us; /* how long it may wait for something until it is given more */
};

void feed_window_init(struct feed_window *w);
/* So many records were answered. */
void feed_window_answered(struct feed_window *w, size_t count, int64_t now_us);
/* It has as many as it may have, since now at the latest: sets probe_us. */
void feed_window_is_full(struct feed_window *w, int64_t now_us);
/* What it does, at probe_us; `quiet_us`: since when it has said nothing. */
void feed_window_probed(struct feed_window *w, enum program_mood mood, int64_t quiet_us,
                        int64_t now_us);

#endif
