/* request_head.h: the first line and the headers of an HTTP/1.1 request, read strictly. No I/O. */
#ifndef PENSTOCK_HTTP_REQUEST_HEAD_H
#define PENSTOCK_HTTP_REQUEST_HEAD_H

#include "base/buf.h"

/* Larger heads are refused (431), as are those with more headers. */
#define HEAD_MAX_BYTES (16 << 10)
#define HEAD_MAX_HEADERS 100

/* Where a header stands in the head's text; both are ended by NUL there. */
struct head_field {
    uint16_t name, name_len, value;
};

struct request_head {
    const char *method, *target; /* in the text; "GET" and "/" when the first line is none */
    bool http_1_1;
    int64_t length; /* of the body; -1: it comes in chunks; HEAD_LENGTH_HUGE: no number holds it */
    bool closes;    /* the client wants the connection to end with the answer */
    bool keeps;     /* an HTTP/1.0 client asks to keep it */
    bool expects;   /* it waits for "100 Continue" before it sends the body */
    /* Why it is not beyond doubt where the request ends and whom it is for: a sentence, NULL when
     * it is. Behind a proxy that reads such a head in another way, one client's bytes would become
     * another one's request (RFC 9112, 11.2), so the connection cannot go on after a refusal. */
    const char *unclear;
    int status; /* with `unclear`: of the refusal */
    const char *text;
    uint16_t count;
    struct head_field fields[HEAD_MAX_HEADERS];
};

#define HEAD_LENGTH_HUGE (INT64_MAX / 4)

/* How many bytes the head that `bytes` begins with has, its empty line included; 0 when its end is
 * not there. */
size_t head_size(struct str bytes);
/* Reads a head of `len` bytes (head_size), in place: the text is cut up by NULs, and must live as
 * long as `out`. Every text gives a head, if an unclear one. `len` <= HEAD_MAX_BYTES. */
void head_read(char *text, size_t len, struct request_head *out);
/* What a head would be that is too large to be read. Its text is static. */
void head_too_large(struct request_head *out);
/* The value of the first header of that name, without blanks around it; NULL when there is none. */
const char *head_find(const struct request_head *h, const char *name);

#endif
