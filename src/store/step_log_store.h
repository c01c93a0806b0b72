/* step_log_store.h: what step jobs have logged and measured, in the store. Rules as in
 * step_store.h.
 *
 * Lines are numbered from 0 and the oldest go, so those that are there have the numbers from
 * `first` up to `next`, without gaps: a page is found by its numbers. */
#ifndef PENSTOCK_STORE_STEP_LOG_STORE_H
#define PENSTOCK_STORE_STEP_LOG_STORE_H

#include "core/step_log.h"
#include "store/store.h"

/* Adds lines behind those that are there (their numbers are given here), and lets the oldest go
 * when that is too much. ERR_NOT_FOUND: there is no such job, nothing was done. */
MUST_CHECK bool step_log_store_add(struct tx *tx, int64_t job, const struct step_log_line *lines,
                                   size_t count, struct err *err);
/* Replaces the job's metrics: a JSON object. ERR_NOT_FOUND as above. */
MUST_CHECK bool step_log_store_measure(struct tx *tx, int64_t job, struct str metrics,
                                       const char *worker, int64_t now_us, struct err *err);

struct step_log_page {
    bool descending; /* the newest line first */
    int64_t offset, limit;
    int64_t total, gone; /* out: lines that are there; older ones that are not any more */
};
/* Gives a page's lines to `each`; their texts are valid during the call. */
MUST_CHECK bool step_log_store_read(struct tx *tx, int64_t job, struct step_log_page *page,
                                    void (*each)(void *context, const struct step_log_line *line),
                                    void *context, struct err *err);

struct step_metrics {
    char *json, *worker; /* owned; json NULL: there are none */
    int64_t at_us;       /* wall, when they came */
};
void step_metrics_release(struct step_metrics *m);
MUST_CHECK bool step_log_store_metrics(struct tx *tx, int64_t job, struct step_metrics *out,
                                       struct err *err);
/* The job goes: all of it. */
MUST_CHECK bool step_log_store_forget(struct tx *tx, int64_t job, struct err *err);

#endif
