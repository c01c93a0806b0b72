/* artifact_store.h: artifacts in the store. Rules as in step_store.h. */
#ifndef PENSTOCK_STORE_ARTIFACT_STORE_H
#define PENSTOCK_STORE_ARTIFACT_STORE_H

#include "core/artifact.h"
#include "store/step_job_store.h"

/* As step_store_change: the row, its tags, and the reference to its blob, which is pinned when the
 * artifact is new. */
MUST_CHECK bool artifact_store_change(struct tx *tx, const struct artifact *before,
                                      const struct artifact *after, int64_t now_us,
                                      struct err *err);
/* One whole, NULL when there is none; artifact_free. */
MUST_CHECK bool artifact_store_read(struct tx *tx, int64_t id, struct artifact **out,
                                    struct err *err);
/* As step_job_store_list and _count. */
MUST_CHECK bool artifact_store_list(struct tx *tx, const struct step_filter *filter,
                                    const struct step_page *page, struct step_place *places,
                                    size_t *count, struct err *err);
/* How many the filter finds in a range. */
MUST_CHECK bool artifact_store_count(struct tx *tx, const struct step_filter *filter,
                                     const struct step_range *range, int64_t *out, struct err *err);
/* Those that the filter finds in a range, in no order: each one's id, and its key in the order of
 * `sort` as a text, borrowed for the call, or a number. */
MUST_CHECK bool artifact_store_found(struct tx *tx, const struct step_filter *filter,
                                     const struct step_range *range, enum step_sort sort,
                                     void (*each)(void *context, int64_t id, struct str text,
                                                  int64_t number),
                                     void *context, struct err *err);
/* The tags of those; some more than once. */
MUST_CHECK bool artifact_store_tags(struct tx *tx, const struct step_filter *filter,
                                    const struct step_range *range,
                                    void (*each)(void *context, struct str tag), void *context,
                                    struct err *err);
/* Where the range behind `range->after` ends for which about `rows` rows are looked at; INT64_MAX
 * when that are all. */
MUST_CHECK bool artifact_store_range(struct tx *tx, const struct step_filter *filter,
                                     const struct step_range *range, int64_t rows, int64_t *to,
                                     struct err *err);
/* The bytes of all artifacts of each owner who has any. */
MUST_CHECK bool artifact_store_bytes(struct tx *tx,
                                     void (*each)(void *context, struct str owner, int64_t bytes),
                                     void *context, struct err *err);
/* The jobs that have an artifact as input, in order of ids, up to `limit`. */
MUST_CHECK bool artifact_store_users(struct tx *tx, int64_t artifact, int64_t limit,
                                     void (*each)(void *context, int64_t job), void *context,
                                     struct err *err);

#endif
