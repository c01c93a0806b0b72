/* sink_lines.h: counting what an output holds. */
#ifndef PENSTOCK_IO_SINK_LINES_H
#define PENSTOCK_IO_SINK_LINES_H

#include "base/err.h"
#include "io/source_bytes.h"

/* Lines, or rows of a CSV, in the whole stream; the last need not have an end. Errors: as
 * source_bytes_fill. */
MUST_CHECK bool sink_lines_count(struct source_bytes *b, bool csv, int64_t *lines, struct err *err);

#endif
