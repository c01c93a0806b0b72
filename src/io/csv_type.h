/* csv_type.h: what a CSV cell is: missing, a number, a truth value or text, and how it becomes
 * JSON. The rule for users is docs/csv.md. Pure. Threads: any. */
#ifndef PENSTOCK_IO_CSV_TYPE_H
#define PENSTOCK_IO_CSV_TYPE_H

#include "base/buf.h"

/* What the cells of one column of a chunk look like, each alone: a set of these. A missing cell
 * says nothing. */
enum csv_look {
    CSV_MISSING = 0,
    CSV_WHOLE = 1 << 0,    /* a whole number */
    CSV_DECIMAL = 1 << 1,  /* a number with a point or an exponent */
    CSV_INFINITE = 1 << 2, /* inf and its spellings: a number, but there is none in JSON */
    CSV_TRUTH = 1 << 3,
    CSV_WORDS = 1 << 4
};

enum csv_look csv_look(struct str cell);

/* What a whole column is. */
enum csv_type { CSV_NOTHING, CSV_INTEGERS, CSV_FLOATS, CSV_BOOLEANS, CSV_TEXT };

enum csv_type csv_type_of(unsigned looks);

/* Appends the cell of a column of that type as a JSON value. It is well-formed UTF-8 and looks like
 * something that fits the type. */
void csv_cell_write(struct str cell, enum csv_type type, struct buf *out);

#endif
