/* reply.h: the answer to one request: a status, headers, and a body in parts or as a stream.
 *
 * A handler fills it; it is sent when the handler (or finish) has returned true. Thread: the
 * request's. */
#ifndef PENSTOCK_HTTP_REPLY_H
#define PENSTOCK_HTTP_REPLY_H

#include "base/buf.h"

#include <sys/types.h>

#define REPLY_HEADERS_MAX 8
#define REPLY_PARTS_MAX 4

struct reply;

/* Default 200. */
void reply_status(struct reply *r, int status);
/* Static text; default "application/json; charset=utf-8". */
void reply_content_type(struct reply *r, const char *type);
/* `name` static, `value` copied. Asserts that there is room. */
void reply_header(struct reply *r, const char *name, const char *value);
/* The connection is closed after the answer. */
void reply_close(struct reply *r);
/* No answer at all: the connection is cut. For clients who would take a refusal for an answer. */
void reply_cut(struct reply *r);

/* The same, and the client is told that the connection is broken (a reset): for those who would
 * take an orderly end for one that is meant. */
void reply_abort(struct reply *r);

/* The body is the parts one after the other. Static or otherwise outliving the request (its own
 * memory, its op's answer): sent without a copy. */
void reply_add_borrowed(struct reply *r, struct str bytes);
/* Takes over the bytes of `b`, which is empty afterwards. */
void reply_add_buf(struct reply *r, struct buf *b);
/* Copied; for short texts. */
void reply_add_copy(struct reply *r, struct str bytes);
/* Back to an empty 200. */
void reply_reset(struct reply *r);

/* A body that comes bit by bit, chunked, until it ends. `take` gives up to `max` bytes: their
 * number, 0 when there is nothing now (whoever makes more calls request_stream_wake), -1 at the
 * end. When the client has gone or the server stops, `end` is called, once, on an HTTP thread: it
 * owns `context` then. After `end` begins, request_stream_wake must no longer be called: `end`
 * makes sure of that before it lets go (for events: posts OP_UNSUBSCRIBE and frees in its done, and
 * wakes that come until then are ignored as they go through the waker). */
typedef ssize_t reply_take(void *context, char *out, size_t max);
struct waker;
void reply_stream(struct reply *r, reply_take *take, void (*end)(void *context), void *context);

/* Such a stream that is the rest of its connection: neither chunks nor a length, and its end is
 * always a reset: when `take` gives -1 or -2, and when the server stops. `ping` (static) is sent
 * when nothing was for so long, in place of a comment each 30 s. After reply_stream. */
void reply_stream_bare(struct reply *r, const char *ping, int64_t ping_every_us);

/* The same as reply_stream for a body that has an end: whoever gets less than all of it notices.
 * `bytes`: its length, -1 where that is not known. `take` may also give -2: it cannot go on, the
 * connection is cut. */
void reply_stream_whole(struct reply *r, int64_t bytes, reply_take *take,
                        void (*end)(void *context), void *context);

/* Wakes a stream that had nothing. A waker is counted: it outlives the request, so a wake that
 * comes late does nothing. Threads: any; does not block. */
struct request;
struct waker *waker_new(struct request *req); /* held once by the caller */
void waker_wake(void *waker);                 /* as subscription_new wants it */
void waker_free(struct waker *w);             /* lets go of the caller's hold */

#endif
