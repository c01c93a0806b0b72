/* stmt.h: one SQL statement inside a transaction: bind, step, read. What the *_store.c files are
 * written with; the same on every engine.
 *
 *     OWNED(stmt) struct stmt *q = tx_query(tx, sql_verb, err);
 *     if (!q)
 *         return false;
 *     for (...) {
 *         stmt_bind_i64(q, ":id", id);
 *         if (!stmt_run(q, NULL, err))
 *             return false;
 *     }
 *
 * Statements are prepared once for each store and kept by the address of their text, which is
 * therefore a literal. Every parameter is bound before every run. After a statement failed, the
 * transaction takes no further statement and cannot be committed: half a verb is never stored.
 * Thread: the store's. */
#ifndef PENSTOCK_STORE_STMT_H
#define PENSTOCK_STORE_STMT_H

#include "base/buf.h"
#include "store/store.h"

struct stmt;

enum row { ROW_FAILED, ROW_NONE, ROW_HERE };

/* The statement, ready to be bound; it is the caller's alone until stmt_free. NULL on failure
 * (ERR_STORE, or the error that broke the transaction before). */
MUST_CHECK struct stmt *tx_query(struct tx *tx, const char *sql, struct err *err);
void stmt_free(struct stmt *q); /* back to where it is kept; NULL is fine */
DEFINE_OWNED(stmt)

/* A parameter by its name, colon included (an unknown one is our mistake: asserted). Texts and
 * blobs are borrowed until the run ends; a NULL pointer binds NULL. */
void stmt_bind_i64(struct stmt *q, const char *name, int64_t value);
void stmt_bind_text(struct stmt *q, const char *name, const char *value);
void stmt_bind_str(struct stmt *q, const char *name, struct str value);
void stmt_bind_blob(struct stmt *q, const char *name, const void *bytes, size_t len);

/* Limits the next run, until its rows have all come or the statement is freed: when it has taken
 * about so much work (an engine's own measure, on SQLite a hundred instructions of its machine), it
 * ends with ERR_LIMIT, and the transaction takes no more. For reading; one statement at a time. */
void stmt_limit(struct stmt *q, int64_t work);

/* The next row. After ROW_NONE and ROW_FAILED the statement may be bound and run again.
 * ERR_CONFLICT: a uniqueness does not hold; ERR_NOT_FOUND: what a row refers to is not there;
 * ERR_NO_SPACE; ERR_FATAL; ERR_STORE: all else. */
MUST_CHECK enum row stmt_step(struct stmt *q, struct err *err);
/* Runs a statement that gives no rows. `*changed` (may be NULL): how many it changed. */
MUST_CHECK bool stmt_run(struct stmt *q, int64_t *changed, struct err *err);
/* Runs an INSERT of one row into a table whose engine gives the ids (text without RETURNING, which
 * costs SQLite more than the insert itself). ROW_HERE: `*id` is the row's; ROW_NONE: ON CONFLICT DO
 * NOTHING did nothing. */
MUST_CHECK enum row stmt_insert(struct stmt *q, int64_t *id, struct err *err);
/* Runs a statement that gives at most one row of one number. */
MUST_CHECK enum row stmt_only_i64(struct stmt *q, int64_t *out, struct err *err);

/* Columns of the row at hand, from 0. Texts and blobs are borrowed until the next step; of NULL
 * they are empty with a NULL pointer. */
int64_t stmt_i64(struct stmt *q, int column);
struct str stmt_text(struct stmt *q, int column);
struct str stmt_blob(struct stmt *q, int column);
/* A copy to be freed, NULL of NULL. */
char *stmt_take_text(struct stmt *q, int column);

#endif
