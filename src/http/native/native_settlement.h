/* native_settlement.h: what a worker reports, read where it lies.
 *
 * The body is read once, as bytes: each result stays where it came in and is made a line there (its
 * line breaks, which JSON allows between tokens only, become blanks; the byte behind it, which
 * closed its pair or was a blank, becomes the line's end). The engine writes those lines to the
 * sink. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_SETTLEMENT_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_SETTLEMENT_H

#include "engine/op.h"

/* Results and failures at once: twice what one claim can give. */
#define SETTLEMENT_MAX 200000

/* Zeroed is valid and empty. */
struct settlement {
    struct settle_entry *entries; /* owned; their lines stand in `body` */
    size_t count, cap;
    char *body;       /* borrowed */
    struct str lease; /* as it came, a JSON value; empty when there was none */
};

/* Reads {"lease":..,"results":[[number,result],..],"skipped":[number,..],
 * "failures":[[number,reason],..]} out of `body`, a reason being a text, null, or an object of
 * "message", "type", "final", "retry_after_s" and "throttled". The body is written to (and is no
 * JSON afterwards) and must outlive the settlement. Errors: ERR_INVALID naming the place,
 * ERR_LIMIT. In any case to be released. */
MUST_CHECK bool settlement_read(struct settlement *s, char *body, size_t len, struct err *err);
void settlement_release(struct settlement *s);

#endif
