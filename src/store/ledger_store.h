/* ledger_store.h: ledger pages and the attempts of records that failed at least once. Rules as in
 * job_store.h. */
#ifndef PENSTOCK_STORE_LEDGER_STORE_H
#define PENSTOCK_STORE_LEDGER_STORE_H

#include "core/ledger.h"
#include "store/store.h"

/* Writes pages, new ones and ones that are there. ERR_NOT_FOUND without such a job: roll back. */
MUST_CHECK bool ledger_store_save(struct tx *tx, int64_t job_id, const struct ledger_page *pages,
                                  size_t count, struct err *err);
/* All pages of a job in order of their numbers. ERR_INVALID when one is damaged. */
MUST_CHECK bool ledger_store_load(struct tx *tx, int64_t job_id,
                                  bool (*each)(void *context, const struct ledger_page *page,
                                               struct err *err),
                                  void *context, struct err *err);
/* Removes pages and attempts of a job (clean start). */
MUST_CHECK bool ledger_store_clear(struct tx *tx, int64_t job_id, struct err *err);

struct attempt_row {
    int64_t record;
    int64_t attempts; /* 0 removes the row */
};
/* ERR_NOT_FOUND without such a job: roll back. */
MUST_CHECK bool attempt_store_save(struct tx *tx, int64_t job_id, const struct attempt_row *rows,
                                   size_t count, struct err *err);
MUST_CHECK bool attempt_store_load(struct tx *tx, int64_t job_id,
                                   bool (*each)(void *context, const struct attempt_row *row,
                                                struct err *err),
                                   void *context, struct err *err);

#endif
