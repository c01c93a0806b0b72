/* multipart.h: multipart/form-data, piece by piece as it comes (RFC 7578). Pure: no I/O.
 *
 * Nothing of a part's bytes is held but what could be the beginning of a boundary. Headers of a
 * part may be 16 KiB, there may be 100 parts; more is refused. */
#ifndef PENSTOCK_HTTP_MULTIPART_H
#define PENSTOCK_HTTP_MULTIPART_H

#include "base/buf.h"
#include "base/err.h"

struct multipart_part {
    struct str name;         /* of the form's field; "" when it has none */
    struct str filename;     /* as sent, %22 turned to '"'; no pointer: none */
    struct str content_type; /* no pointer: none */
};

/* Told as the parts come. False ends it with the error. */
struct multipart_taker {
    bool (*begin)(void *context, const struct multipart_part *part, struct err *err);
    bool (*bytes)(void *context, struct str piece, struct err *err);
    bool (*end)(void *context, struct err *err);
    void *context;
};

struct multipart;
/* `content_type` is the request's: "multipart/form-data; boundary=...". ERR_INVALID when it is no
 * such thing. */
MUST_CHECK bool multipart_new(const char *content_type, const struct multipart_taker *taker,
                              struct multipart **out, struct err *err);
void multipart_free(struct multipart *m); /* NULL is fine */
DEFINE_OWNED(multipart)
/* The next bytes. ERR_INVALID, ERR_LIMIT, or what a taker says. */
MUST_CHECK bool multipart_take(struct multipart *m, struct str piece, struct err *err);
/* The body is at its end: ERR_INVALID when its last boundary did not come. */
MUST_CHECK bool multipart_end(struct multipart *m, struct err *err);
/* Whether a Content-Type is one. */
bool multipart_is(const char *content_type);

#endif
