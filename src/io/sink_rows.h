/* sink_rows.h: results as CSV rows. See docs/csv.md for the form of a cell. Threads: one at a time.
 */
#ifndef PENSTOCK_IO_SINK_ROWS_H
#define PENSTOCK_IO_SINK_ROWS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

struct sink_rows;

/* `columns` as sink_columns gave them (a JSON array of names, or of nulls where only their number
 * is known); NULL: the first row will fix them. ERR_STORE and NULL when they are no such array. */
struct sink_rows *sink_rows_new(const char *columns, struct err *err);
void sink_rows_free(struct sink_rows *r);
DEFINE_OWNED(sink_rows)

/* Adds one JSON value as a row to the group. The first row of the job fixes the columns: an array
 * their number, an object also their names. Errors: ERR_INVALID as sink_add; nothing is changed
 * then. */
MUST_CHECK bool sink_rows_add(struct sink_rows *r, struct str json, struct err *err);
/* The group's rows, and the line that names the columns: empty unless they were fixed by an object
 * in this group. Borrowed until the next call that changes the group. */
struct str sink_rows_group(const struct sink_rows *r);
struct str sink_rows_header(const struct sink_rows *r);
/* Back to the first `len` bytes of the group; columns fixed behind that are forgotten. */
void sink_rows_rewind(struct sink_rows *r, size_t len);
/* The group is written: a new one begins, the columns stand. */
void sink_rows_settle(struct sink_rows *r);
/* Drops the group and goes back to stored columns, as sink_rows_new takes them. */
MUST_CHECK bool sink_rows_restore(struct sink_rows *r, const char *columns, struct err *err);
/* Columns to store, NULL before the first row. Borrowed until the next call. */
const char *sink_rows_columns(struct sink_rows *r);

#endif
