/* problems.h: the one table from error codes to HTTP, and RFC 9457 problems. */
#ifndef PENSTOCK_HTTP_PROBLEMS_H
#define PENSTOCK_HTTP_PROBLEMS_H

#include "base/err.h"
#include "http/reply.h"

/* The status for a code. */
int err_http_status(enum err_code code);
/* The standard phrase of a status ("Not Found"), static. */
const char *http_status_phrase(int status);
/* An application/problem+json answer: type urn:penstock:problem:<name>, title, status, detail.
 * `status` 0: as the code says. */
void problem_reply(const struct err *err, int status, struct reply *reply);
/* The same for what no error code names. All texts are copied. */
void problem_reply_named(const char *name, const char *title, int status, const char *detail,
                         struct reply *reply);

#endif
