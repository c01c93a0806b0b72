/* store.h: the store a server works on, its transactions, and the driver seam's front.
 *
 * One connection, owned by the engine's thread: it does every read, write and checkpoint. SQLite
 * (WAL, synchronous=FULL) is the engine behind it today; what differs between engines stays behind
 * `struct store_driver` in store_driver.h, and what *_store.c files are written with is stmt.h. */
#ifndef PENSTOCK_STORE_STORE_H
#define PENSTOCK_STORE_STORE_H

#include "base/err.h"
#include "base/own.h"

struct store;
struct tx;

/* Opens (and makes, and migrates) the store in the state folder `dir_fd`. `dir_name` is for
 * messages; the descriptor is borrowed for the call. Errors: ERR_CONFLICT when the schema is newer
 * than this program (with what to do), ERR_BUSY when another program has the store open, ERR_STORE,
 * ERR_IO, ERR_NO_SPACE, ERR_FATAL. */
MUST_CHECK bool store_open(int dir_fd, const char *dir_name, struct store **out, struct err *err);
void store_free(struct store *s); /* closes; an open transaction is rolled back */
DEFINE_OWNED(store)

/* One transaction at a time. tx_free without tx_commit rolls back. A verb that fails with
 * ERR_STORE, ERR_NO_SPACE or ERR_FATAL breaks the transaction: it takes no more, and tx_commit
 * rolls it back and gives the same error. ERR_CONFLICT and ERR_NOT_FOUND leave it as it was before
 * the verb, where the verb does not say otherwise. */
MUST_CHECK bool tx_begin(struct store *s, struct tx **out, struct err *err);
/* Durable on return. On failure the transaction is rolled back; ERR_NO_SPACE and ERR_STORE mean
 * that nothing of it is stored, ERR_FATAL that this is not known: the process must stop. `tx` is to
 * be freed in any case. */
MUST_CHECK bool tx_commit(struct tx *tx, struct err *err);
/* For the tx_commit to come: calls `written` once, as soon as all of the transaction is in the
 * engine's file and before that is synced: no kill of the process takes it back from then on, a
 * power failure may. A commit that fails after the call gives ERR_FATAL. Not called where nothing
 * was changed, or could not be written. On the thread of the commit. */
void tx_on_written(struct tx *tx, void (*written)(void *context), void *context);
void tx_free(struct tx *tx);
DEFINE_OWNED(tx)

/* Quick consistency check of the engine itself (doctor). Each fault found is passed to `say`. */
MUST_CHECK bool store_verify(struct store *s, void (*say)(void *context, const char *fault),
                             void *context, struct err *err);
/* The schema's version of this program. */
int store_schema_version(void);

#endif
