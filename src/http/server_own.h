/* server_own.h: what the files of the HTTP core share; surfaces do not include it.
 *
 * Threads: a request and its reply belong to the HTTP thread of its connection. While the
 * connection is suspended they belong to whoever will resume it: the engine (an op is asked), the
 * body budget, or a stream's waker. */
#ifndef PENSTOCK_HTTP_SERVER_OWN_H
#define PENSTOCK_HTTP_SERVER_OWN_H

#include "http/auth.h"
#include "http/bodies.h"
#include "http/conns.h"
#include "http/lingers.h"
#include "http/query.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define ROUTE_PARAMS_MAX 4
/* Bodies up to this size are read to their end before a refusal is told, so that the client reads
 * it and the connection can go on. */
#define DRAIN_MAX_BYTES (64 << 10)

struct reply {
    int status;
    const char *content_type;
    struct {
        const char *name;
        char *value; /* owned */
    } headers[REPLY_HEADERS_MAX];
    size_t header_count;
    struct str parts[REPLY_PARTS_MAX];
    char *owned[REPLY_PARTS_MAX]; /* the parts that are to be freed, else NULL */
    size_t part_count;
    bool close, cut;
    reply_take *take; /* NULL: not a stream */
    bool whole;       /* the stream has an end, */
    int64_t bytes;    /* and this length; -1: not known */
    void (*end)(void *context);
    void *context;
};

void reply_init(struct reply *r);
size_t reply_bytes(const struct reply *r);

/* Which route a request takes. */
struct route_match {
    const struct surface *surface; /* also when no route fits: the one to refuse it */
    const struct route *route;     /* NULL: none */
    bool path_known;               /* the path exists, for other methods */
    bool redirects;                /* it exists without the slashes at its end */
    struct str params[ROUTE_PARAMS_MAX];
};
void route_find(const struct surface *const *surfaces, size_t count, const char *method,
                struct str path, struct route_match *out);
/* The methods a path takes, for the Allow header: "GET, POST". */
void route_allowed(const struct surface *surface, struct str path, struct buf *out);

enum stage {
    STAGE_HEADERS,  /* its headers are read */
    STAGE_BODY,     /* the body is coming */
    STAGE_ASKED,    /* the engine was asked */
    STAGE_ANSWERED, /* the reply is on its way */
};

/* Something that is let go with the request. */
struct owned_thing {
    struct owned_thing *next;
    void *thing;
    void (*release)(void *thing);
    max_align_t memory[]; /* request_alloc's */
};

struct request {
    struct server *server;
    struct MHD_Connection *connection;
    struct conn *conn;
    enum stage stage;
    const char *method;
    struct str path, raw_query; /* in uri */
    struct instant at;
    struct route_match match;
    bool refused; /* the reply is made, the body is only drained */
    bool http_1_1;
    struct query query; /* when query_read */
    bool query_read;
    bool key_shown; /* a valid key, the master token or the Unix socket */
    enum scope scope;

    char *body;
    size_t body_len, body_cap; /* body_len: what has come, also where it is not held */
    request_taker *take;       /* of a body that is streamed */
    route_handler *whole;
    size_t expected_from; /* of such a body: its deadline counts from there */
    struct body_share share;
    bool waited; /* it slept until it had memory for what has come */

    struct op op;
    bool op_used, sees_failures;
    bool asked_again; /* the handler has called request_call */
    route_finish *finish;
    void *state; /* the handler's */
    bool holds_claim, watched;

    struct reply reply;
    struct waker *waker;
    struct owned_thing *owned;
    char uri[];
};

struct request *request_new(struct server *s, const char *uri);
/* Lets go of everything; the answer was sent or the connection has gone. */
void request_free(struct request *req);
/* Gives the records of a held claim back. */
void request_release_claim(struct request *req);
/* Everything that is decided by the headers; `unclear` is framing_fault's. False: refused, the
 * reply is made. */
bool request_begin(struct request *req, const char *unclear);
/* So many bytes are to come, or to be taken by the client: sets the deadline. */
void exchange_expect(struct request *req, int64_t bytes);
/* The surface makes the reply. */
void request_fail(struct request *req, const struct op *op, const struct err *err, int status);

/* See reply.h. */
struct MHD_Response *waker_response(struct request *req);
void waker_ping(struct waker *w);
void waker_hold(struct waker *w);
void waker_close(struct waker *w);

struct server {
    struct server_options options; /* strings copied where they must last */
    bool loopback;                 /* the TCP address is this machine's own */
    struct MHD_Daemon *tcp, *local;
    int tcp_fd, unix_fd, port;
    pthread_t accepting;
    bool accepts;
    _Atomic bool stopping;
    struct conns conns;
    struct bodies bodies;
    struct lingers lingers;
    struct auth *auth;
    pthread_mutex_t active_lock;
    pthread_cond_t none_active;
    int64_t active; /* requests alive; guarded by active_lock */
    char *cert, *key;
};

/* exchange.c, as libmicrohttpd calls it; the first argument is the server. */
void *exchange_begin(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_step(void *server, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *len, void **request);
void exchange_end(void *server, struct MHD_Connection *connection, void **request,
                  enum MHD_RequestTerminationCode code);

bool listener_open_tcp(struct server *s, struct err *err);
bool listener_open_unix(struct server *s, struct err *err);
/* The accepting thread. */
void *listener_run(void *server);

#endif
