/* json_scan.h: the validator beneath json.h; nobody else includes it.
 *
 * One pass over the bytes, no memory but a word of nesting bits. Threads: any. */
#ifndef PENSTOCK_BASE_JSON_SCAN_H
#define PENSTOCK_BASE_JSON_SCAN_H

#include "base/buf.h"

struct json_fault {
    const char *at;   /* the first byte that cannot be right, or the end of the text */
    const char *text; /* static */
};

/* Passes the value at p (no blanks before it), which may hold `levels` containers inside each other
 * (0 to 64). Answers where it ends, or NULL and *fault. The text is from `begin` to `end`, with p
 * within; nothing else is looked at. */
const char *json_scan(const char *p, const char *begin, const char *end, int levels,
                      struct json_fault *fault);

/* Passes a member's name at p, the colon and the blanks around that, up to the member's value.
 * Answers where the value begins, with the end of the name in *name_end; or NULL and *fault. */
const char *json_scan_name(const char *p, const char *begin, const char *end, const char **name_end,
                           struct json_fault *fault);

/* Passes the object at p like json_scan and tells each of its own members: its name, raw, and its
 * value. */
const char *json_scan_members(const char *p, const char *begin, const char *end, int levels,
                              void (*member)(void *context, struct str name, struct str value),
                              void *context, struct json_fault *fault);

static inline const char *json_skip_blanks(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ' &&
           (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Said here and by the cursor. */
#define JSON_FAULT_EARLY "the text ends too early"
#define JSON_FAULT_DEEP "too many containers inside each other"

#endif
