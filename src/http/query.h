/* query.h: the parameters of a query string, decoded. No I/O, no shared state. */
#ifndef PENSTOCK_HTTP_QUERY_H
#define PENSTOCK_HTTP_QUERY_H

#include "base/buf.h"

struct query_param {
    struct str name, value; /* in the query's own memory, each ended by NUL behind its len */
};

struct query {
    struct query_param *params; /* in the order they came */
    size_t count;
    char *text; /* what they point into */
};

/* Reads `a=1&b=2`: split at '&', empty pieces left out, a piece without '=' has an empty value, '+'
 * is a blank, %XX is a byte (anything else behind '%' stays as it is), bytes that are no UTF-8
 * become U+FFFD. Never fails: every text is a query. */
void query_parse(struct str raw, struct query *out);
void query_release(struct query *q);
/* The last one of that name, NULL when there is none. */
const struct query_param *query_find(const struct query *q, const char *name);

/* A path's segment, decoded into `out` (raw.len + 1 bytes, ended by NUL). False when it is empty,
 * holds a NUL or is no UTF-8. */
bool query_decode_segment(struct str raw, char *out, size_t *len);

#endif
