/* native_body.h: small control messages: a JSON object's members or a query's parameters, read by a
 * table. Whatever is not in the table, or is of another type, is ERR_INVALID and named. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_BODY_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_BODY_H

#include "base/buf.h"
#include "base/err.h"
#include "http/request.h"

enum member_type {
    MEMBER_I64,     /* int64_t, within [min, max] */
    MEMBER_SECONDS, /* int64_t microseconds within [min, max], written as seconds */
    MEMBER_BOOL,    /* bool */
    MEMBER_TEXT,    /* char *, of the request's memory; not empty; no NUL */
    MEMBER_RAW      /* struct str: the value's JSON, borrowed from the body */
};

struct member {
    const char *name;
    enum member_type type;
    bool required;
    int64_t min, max;
    void *out; /* untouched when the member is missing or null */
};

/* Reads the request's body, an object; an empty body is an empty object. */
MUST_CHECK bool native_body_read(struct request *req, const struct member *members, size_t count,
                                 struct err *err);
/* One member of an object, for those who walk it themselves. *known is false when the table has no
 * such name; nothing is read then. */
MUST_CHECK bool native_member_read(struct request *req, struct str raw_name, struct str raw,
                                   const struct member *members, size_t count, bool *known,
                                   struct err *err);
/* The same for the query (MEMBER_I64, MEMBER_SECONDS, MEMBER_TEXT). */
MUST_CHECK bool native_query_read(struct request *req, const struct member *members, size_t count,
                                  struct err *err);

#endif
