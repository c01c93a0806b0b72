/* parse.h: numbers and sizes from outside. Nothing else in the program converts text to numbers. */
#ifndef PENSTOCK_BASE_PARSE_H
#define PENSTOCK_BASE_PARSE_H

#include "base/buf.h"
#include "base/err.h"

/* A whole decimal number in [min, max], an optional sign, nothing else. Errors: ERR_INVALID naming
 * the text and the bounds. */
MUST_CHECK bool parse_i64(struct str text, int64_t min, int64_t max, int64_t *out, struct err *err);
/* Bytes: digits with an optional K, M, G or T (1024s). */
MUST_CHECK bool parse_bytes(struct str text, int64_t min, int64_t max, int64_t *out,
                            struct err *err);
/* Seconds as a decimal number ("30", "0.5") into microseconds, in [min_us, max_us]. */
MUST_CHECK bool parse_seconds(struct str text, int64_t min_us, int64_t max_us, int64_t *out_us,
                              struct err *err);
/* "true 1 on yes t y" and "false 0 off no f n" in any case. */
MUST_CHECK bool parse_bool(struct str text, bool *out);

#endif
