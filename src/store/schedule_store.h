/* schedule_store.h: schedules in the store. Rules as in job_store.h, and on the committer's thread
 * too, within a group's transaction. */
#ifndef PENSTOCK_STORE_SCHEDULE_STORE_H
#define PENSTOCK_STORE_SCHEDULE_STORE_H

#include "core/schedule.h"
#include "store/store.h"

struct schedule_row {
    struct schedule spec;
    int64_t created_at_us;
    int64_t set_at_us;    /* ticks count from then */
    int64_t last_at_us;   /* its last tick; 0: none yet */
    int64_t last_task_id; /* which that has enqueued; 0 */
};
void schedule_row_release(struct schedule_row *row);

/* Puts one, or replaces what was set of the one with its name. */
MUST_CHECK bool schedule_store_put(struct tx *tx, const struct schedule_row *row, struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK bool schedule_store_delete(struct tx *tx, const char *name, struct err *err);
/* A tick was enqueued. A schedule that is gone is passed over. */
MUST_CHECK bool schedule_store_tick(struct tx *tx, const char *name, int64_t at_us, int64_t task_id,
                                    struct err *err);
/* All in order of their names; `each` takes the row over (schedule_row_release). ERR_STORE when one
 * is damaged. */
MUST_CHECK bool schedule_store_load(struct tx *tx,
                                    void (*each)(void *context, struct schedule_row *row),
                                    void *context, struct err *err);

#endif
