/* event_store.h: the history. Rules as in job_store.h. */
#ifndef PENSTOCK_STORE_EVENT_STORE_H
#define PENSTOCK_STORE_EVENT_STORE_H

#include "core/event.h"
#include "store/store.h"

/* Appends and sets each event's id. Ids grow and are never used twice, also after a deletion. */
MUST_CHECK bool event_store_add(struct tx *tx, struct event *events, size_t count, struct err *err);
/* Events with id > after in order, at most `limit`, of one job (job_id) or of all (0). The event is
 * borrowed for the call. */
MUST_CHECK bool event_store_list(struct tx *tx, int64_t job_id, int64_t after, int limit,
                                 void (*each)(void *context, const struct event *event),
                                 void *context, struct err *err);
/* The newest id, 0 when there is none. */
MUST_CHECK bool event_store_last(struct tx *tx, int64_t *out, struct err *err);
/* Removes the oldest so that at most `keep` stay. */
MUST_CHECK bool event_store_trim(struct tx *tx, int64_t keep, struct err *err);

#endif
