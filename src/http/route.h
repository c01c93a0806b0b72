/* route.h: which handler answers which request: tables that each surface contributes.
 *
 * A handler parses, validates and either answers at once (it fills the reply) or asks the engine:
 * it fills request_op() and ends with `return request_call(req, finish)`; the connection sleeps
 * until the engine has answered, then `finish` fills the reply. False from either, with err set,
 * is told to the client by the surface's `fail`. Both run on HTTP threads and must not block. */
#ifndef PENSTOCK_HTTP_ROUTE_H
#define PENSTOCK_HTTP_ROUTE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct request;
struct reply;
struct op;

/* What a key allows; each includes those before it. The words of a key's scopes, in order. */
enum scope {
    SCOPE_NONE, /* nobody in particular: the route looks itself, or is open to all */
    SCOPE_READ,
    SCOPE_WORK,
    SCOPE_ADMIN
};

enum route_body {
    BODY_NONE,    /* whatever comes is read and dropped, up to 64 KiB */
    BODY_TAKEN,   /* read whole before the handler is called */
    BODY_STREAMED /* the handler is called before it comes, and says who takes it as it does
                     (request_take_body); held nowhere, so that the limit is max_blob_bytes */
};

typedef bool route_handler(struct request *req, struct reply *reply, struct err *err);
/* `op` is the request's, answered. */
typedef bool route_finish(struct request *req, struct op *op, struct reply *reply, struct err *err);

struct route {
    const char *method;   /* "GET", "POST", ... HEAD is answered by GET's route */
    const char *path;     /* "/v1/jobs/{job}/claims": {name} stands for one segment, not empty; rows
                             without     stand before those that would take their paths, too */
    enum scope scope;     /* what the asker's key must allow before the handler is called */
    enum route_body body; /* BODY_TAKEN: request_body() */
    int64_t max_body_bytes; /* 0: the server's limit; never more than that */
    route_handler *handle;
};

/* One HTTP face of the engine. Static. */
struct surface {
    const char *prefix; /* paths that begin so and match no route are this surface's to refuse; ""
                           for the one that stands at the root */
    const struct route *routes;
    size_t route_count;
    const char *const *owned; /* beginnings of the paths that are open to keys with an owner, NULL
                                 behind the last; NULL: none */
    bool slash_redirects;     /* a path with a slash at its end leads, by 307, to the one without */
    bool head_allowed;        /* HEAD is answered as GET without the body; else 405 */
    bool get_changes;         /* some of its GETs do more than read */
    const char *resets; /* a path whose client would take a 503 for the last word: it is told by
                           a reset of the connection; NULL: none */
    /* Fills the reply for what went wrong. `status` is what the core wants said (404, 405, 413,
     * ...), 0: as the code says (err_http_status). `op` is the failed op, NULL when none was asked.
     */
    void (*fail)(struct request *req, const struct op *op, const struct err *err, int status,
                 struct reply *reply);
};

extern const struct surface planchet_surface, native_surface, pinexq_surface;

#endif
