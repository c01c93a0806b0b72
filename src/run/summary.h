/* summary.h: what came of a run: a table for people, JSON for programs. Threads: any. */
#ifndef PENSTOCK_RUN_SUMMARY_H
#define PENSTOCK_RUN_SUMMARY_H

#include "base/err.h"
#include "run/progress.h"

/* Plain value; texts borrowed, NULL where there is nothing. */
struct summary {
    const char *outcome; /* "done", "failed", "stopped", "nothing to do" */
    const char *reason;  /* why it ended early */
    struct progress_figures figures;
    int64_t unread;     /* known and not settled */
    int64_t duplicates; /* records passed over: an earlier one has their id */
    int64_t repeats, deaths;
    int64_t throttled; /* how often a service said that it was too much */
    double lowest_rpm; /* to which the rate fell; 0: it did not */
    int64_t started_at_us, ended_at_us;
    double elapsed_s;
    int exit_status;
    const char *function, *output, *errors, *log;
};

/* One value a line; the reason is left to who reports the error. */
void summary_print(const struct summary *s, FILE *out);
/* Appends the object and a line end. */
void summary_json(const struct summary *s, struct buf *out);
/* Writes the object to a file, which is replaced in one step. */
MUST_CHECK bool summary_write(const struct summary *s, const char *path, struct err *err);

#endif
