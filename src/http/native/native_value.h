/* native_value.h: single values of a body that is walked by hand, because it is large or its
 * members depend on each other (native_body.h reads small ones by a table).
 *
 * Each takes the member's name, for errors, and its raw value as json_value gave it. A null leaves
 * `out` as it was. Errors: ERR_INVALID that names member and value; value_place puts the place in a
 * list in front. Threads: any. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_VALUE_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_VALUE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_names.h"

/* How much of a text from outside an error shows. */
int value_shown(struct str text);
/* "priority: expected a number, not \"x\"". Always false. */
bool value_wrong(struct err *err, const char *name, const char *expected, struct str raw);
/* "unknown member \"x\"". Always false. */
bool value_unknown(struct err *err, struct str raw_name);
/* Whether the object has that member for the first time; else "priority: is given twice". */
MUST_CHECK bool value_once(struct json_names *seen, struct str raw_name, struct err *err);
/* The same for all members of all objects in a value that is valid, however deep: else
 * "errors[0].type: is given twice". Not for what is the user's own, as arguments are. */
MUST_CHECK bool value_all_once(struct str raw, struct err *err);
/* Turns the "max: ..." of an error into "claim.max: ...", "[3].max: ..." into "claim[3].max: ...".
 * Always false. */
bool value_within(struct err *err, const char *place);
/* Turns the "priority: ..." of an error into "tasks[3].priority: ...". Always false. */
bool value_place(struct err *err, const char *list, size_t index);
/* ERR_INVALID that says where the cursor met a fault, which it must have. Always false. */
bool value_fault(struct err *err, const struct json *j);

MUST_CHECK bool value_i64(const char *name, struct str raw, int64_t min, int64_t max, int64_t *out,
                          struct err *err);
/* Seconds into microseconds within [min_us, max_us]. */
MUST_CHECK bool value_seconds(const char *name, struct str raw, int64_t min_us, int64_t max_us,
                              int64_t *out_us, struct err *err);
MUST_CHECK bool value_double(const char *name, struct str raw, double min, double max, double *out,
                             struct err *err);
MUST_CHECK bool value_bool(const char *name, struct str raw, bool *out, struct err *err);
/* One of the words, NULL behind the last: its index. */
MUST_CHECK bool value_word(const char *name, struct str raw, const char *const *words, int *out,
                           struct err *err);
/* A point in time, RFC 3339, into wall-clock microseconds. */
MUST_CHECK bool value_time(const char *name, struct str raw, int64_t *out_us, struct err *err);
/* A string's text: borrowed from `raw`, or, when it has escapes, decoded over it; what `raw` points
 * to must be writable and is no JSON afterwards. False when raw is no string. */
bool value_decode(struct str raw, struct str *out);
/* The member `retry`, as docs/queue.md has it, or null. */
MUST_CHECK bool value_retry(const char *name, struct str raw, struct err *err);
/* A name, key or label: 1 to 512 bytes without control characters. As value_decode. */
MUST_CHECK bool value_name(const char *name, struct str raw, struct str *out, struct err *err);
/* A list of ids from `min` on, appended to *list (owned by the caller, grown), which holds *count
 * of *cap. */
MUST_CHECK bool value_ids(const char *name, struct str raw, int64_t min, int64_t **list,
                          size_t *count, size_t *cap, struct err *err);

#endif
