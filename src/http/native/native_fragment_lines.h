/* native_fragment_lines.h: fragments as they come, a JSON line each, read where they lie. Pure. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_FRAGMENT_LINES_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_FRAGMENT_LINES_H

#include "base/err.h"
#include "engine/fragment_op.h"

/* Bytes of an id, an origin, the name of a fragment. */
#define FRAGMENT_NAME_MAX_BYTES 512

/* Zeroed is valid and empty. */
struct fragment_lines {
    struct fragment_slice *slices; /* owned; places in the body */
    size_t count, cap;
};

/* Reads lines of ["id","origin","fragment",{data}]; blank ones are passed over. The body is written
 * to: escapes in names are undone where they stand. An id is not empty; none of the three holds a
 * NUL or is longer than FRAGMENT_NAME_MAX_BYTES. Errors: ERR_INVALID naming the line, ERR_LIMIT
 * above 4 GiB. In any case to be released. */
MUST_CHECK bool fragment_lines_read(struct fragment_lines *lines, char *body, size_t len,
                                    struct err *err);
void fragment_lines_release(struct fragment_lines *lines);

/* Undoes the escapes of a JSON string where it stands, inside the body that `raw` points into.
 * ERR_INVALID without context: it is no text, too long, or holds a NUL. */
MUST_CHECK bool fragment_name_read(char *body, struct str raw, struct str *out, struct err *err);

#endif
