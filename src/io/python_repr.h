/* python_repr.h: a JSON value as Python prints it: what users of a CSV output find in a cell that
 * was sent a list or an object. Threads: any. */
#ifndef PENSTOCK_IO_PYTHON_REPR_H
#define PENSTOCK_IO_PYTHON_REPR_H

#include "base/buf.h"

/* Appends repr() of one valid value: [1, 'a', None], {'k': True}. Numbers keep their digits as they
 * stand. */
void python_repr(struct str raw, struct buf *out);

#endif
