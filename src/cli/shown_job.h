/* shown_job.h: a job as the server shows it, read for people: rows of a table, a progress line. */
#ifndef PENSTOCK_CLI_SHOWN_JOB_H
#define PENSTOCK_CLI_SHOWN_JOB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/terminal.h"

/* Plain value once read; strings owned (shown_job_release), NULL where the server says null. */
struct shown_job {
    int64_t id;
    char *name, *state, *mode, *source, *sink, *failure, *tail, *errors_path;
    char *created_at, *started_at, *ended_at;
    bool paused, exhausted;
    int64_t known, total, unread, served, done, failed, bad, repeats, written, leases, max_attempts;
    int64_t skipped;
    int64_t in_flight, waiting; /* of the served: those that run, those to be tried again */
    int64_t retried;            /* attempts that failed and were not the last */
    int64_t done_before, duplicates, left_out, no_id; /* passed over, see op.h */
    double lease_s, rate_per_s, eta_s;                /* eta_s -1, total -1: not known */
    /* Starts a minute at present, 0: no limit; how low that fell, 0: it did not; how often it was
     * halved, and a service said that it was too much. */
    double rpm, lowest_rpm;
    int64_t halved, throttled;
};

/* From the JSON object. ERR_INTERNAL when it is none of a job. */
MUST_CHECK bool shown_job_read(struct str json, struct shown_job *out, struct err *err);
void shown_job_release(struct shown_job *job);
#define OWNED_SHOWN_JOB __attribute__((cleanup(shown_job_release)))

/* Whether it has ended, whichever way. */
bool shown_job_ended(const struct shown_job *job);
/* The state in a word; "paused" when it is. */
const char *shown_job_word(const struct shown_job *job);
enum colour shown_job_colour(const struct shown_job *job);
/* How much is settled, 0 to 1; -1 when it cannot be said. */
double shown_job_part(const struct shown_job *job);
/* One line of how far it is, without its name: "45.2 %  12,345 of 27,000  850/s  0:17 left". */
void shown_job_progress(const struct shown_job *job, struct buf *out);
/* All that is known, a line each. */
void shown_job_print(const struct shown_job *job, FILE *out);

#endif
