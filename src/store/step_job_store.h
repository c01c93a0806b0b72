/* step_job_store.h: step jobs in the store. Rules as in step_store.h. */
#ifndef PENSTOCK_STORE_STEP_JOB_STORE_H
#define PENSTOCK_STORE_STEP_JOB_STORE_H

#include "core/step_job.h"
#include "store/step_query.h"
#include "store/store.h"

/* As step_store_change: the row, its tags, and which artifacts are in its slots. Outputs are the
 * artifacts' rows. */
MUST_CHECK bool step_job_store_change(struct tx *tx, const struct step_job *before,
                                      const struct step_job *after, struct err *err);
/* One whole, NULL when there is none; step_job_free. */
MUST_CHECK bool step_job_store_read(struct tx *tx, int64_t id, struct step_job **out,
                                    struct err *err);
/* The places of a page, up to page->limit; their texts are the caller's. */
MUST_CHECK bool step_job_store_list(struct tx *tx, const struct step_filter *filter,
                                    const struct step_page *page, struct step_place *places,
                                    size_t *count, struct err *err);
/* How many the filter finds in a range. */
MUST_CHECK bool step_job_store_count(struct tx *tx, const struct step_filter *filter,
                                     const struct step_range *range, int64_t *out, struct err *err);
/* Those that the filter finds in a range, in no order: each one's id, and its key in the order of
 * `sort` as a text, borrowed for the call, or a number. */
MUST_CHECK bool step_job_store_found(struct tx *tx, const struct step_filter *filter,
                                     const struct step_range *range, enum step_sort sort,
                                     void (*each)(void *context, int64_t id, struct str text,
                                                  int64_t number),
                                     void *context, struct err *err);
/* The tags of those; some more than once. */
MUST_CHECK bool step_job_store_tags(struct tx *tx, const struct step_filter *filter,
                                    const struct step_range *range,
                                    void (*each)(void *context, struct str tag), void *context,
                                    struct err *err);
/* Where the range behind `range->after` ends for which about `rows` rows are looked at; INT64_MAX
 * when that are all. */
MUST_CHECK bool step_job_store_range(struct tx *tx, const struct step_filter *filter,
                                     const struct step_range *range, int64_t rows, int64_t *to,
                                     struct err *err);
/* Whether the filter asks for nothing but an owner, and perhaps a state. */
bool step_filter_is_plain(const struct step_filter *filter);
/* How many jobs each owner has in each state. */
MUST_CHECK bool step_job_store_tally(struct tx *tx,
                                     void (*each)(void *context, struct str owner,
                                                  enum job_state state, int64_t count),
                                     void *context, struct err *err);
/* The latest created_at_us, 0: there are none. */
MUST_CHECK bool step_job_store_last_time(struct tx *tx, int64_t *out, struct err *err);
/* What doctor compares: tells of each place where rows do not fit. */
MUST_CHECK bool step_job_store_check(struct tx *tx, void (*say)(void *context, const char *fault),
                                     void *context, struct err *err);

#endif
