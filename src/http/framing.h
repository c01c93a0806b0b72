/* framing.h: whether it is beyond doubt where a request ends and whom it is for. */
#ifndef PENSTOCK_HTTP_FRAMING_H
#define PENSTOCK_HTTP_FRAMING_H

struct MHD_Connection;

/* NULL when it is, else why not: a sentence. Behind a proxy that reads such headers in another way,
 * one client's bytes would become another one's request (RFC 9112, 11.2). To be asked when the
 * headers are read; the connection cannot go on after a refusal. Thread: the connection's. */
const char *framing_fault(struct MHD_Connection *connection);

#endif
