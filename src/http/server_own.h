/* server_own.h: what the files of the HTTP core share; surfaces do not include it.
 *
 * Threads: a request and its reply belong to the HTTP thread of its connection; its op to the
 * engine's from when it is asked until it is answered. */
#ifndef PENSTOCK_HTTP_SERVER_OWN_H
#define PENSTOCK_HTTP_SERVER_OWN_H

#include "http/auth.h"
#include "http/bodies.h"
#include "http/body_chunks.h"
#include "http/conn.h"
#include "http/conns.h"
#include "http/helper.h"
#include "http/lingers.h"
#include "http/loop.h"
#include "http/query.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/request_head.h"
#include "http/server.h"
#include "http/tls.h"

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
    bool resets;      /* its connection ends by a reset */
    bool bare;        /* the stream is neither chunks nor has it a length */
    const char *ping; /* NULL: as usual; */
    int64_t ping_every_us;
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

/* Something that is let go with the request. */
struct owned_thing {
    struct owned_thing *next;
    void *thing;
    void (*release)(void *thing);
    max_align_t memory[]; /* request_alloc's */
};

struct request {
    struct server *server;
    struct conn *conn;
    const char *method;
    struct str path, raw_query; /* in the head's text */
    struct instant at;
    struct route_match match;
    bool refused;       /* the reply is made, the body is only drained */
    struct query query; /* when query_read */
    bool query_read;
    bool key_shown; /* a valid key, the master token or the Unix socket */
    enum scope scope;
    struct key_identity who;      /* whose key was shown */
    int64_t step_job, step_fence; /* or which run's token; 0 */

    char *body;
    size_t body_len, body_cap; /* body_len: what has come, also where it is not held */
    request_taker *take;       /* of a body that is streamed */
    route_handler *whole;
    request_work *work;   /* to be done before it goes on; NULL: none */
    size_t expected_from; /* of such a body: its deadline counts from there */
    int64_t left_bytes;   /* of the body, still to come; -1: it comes in chunks */
    struct body_chunks chunks;
    struct body_share share;

    struct op op;
    bool op_used, sees_failures;
    bool asked_again; /* the handler has called request_call */
    route_finish *finish;
    void *state; /* the handler's */
    bool holds_claim;

    struct reply reply;
    struct waker *waker;
    struct owned_thing *owned;
    struct request *next_spare; /* when it is none any more */
    char *text;                 /* the head's: `small`, or owned */

    /* Not cleared when it is used again: */
    struct buf answer_head;
    struct request_head head;
    char small[1024];
};

/* A request of the connection, with the head that the text begins with; len 0: a head that is too
 * large. Becomes the connection's. */
struct request *request_new(struct conn *c, const char *text, size_t len);
/* Lets go of everything; the answer was sent or the connection has gone. */
void request_free(struct request *req);
/* Frees what a loop keeps for requests to come. */
void requests_release(struct loop *l);
/* Gives the records of a held claim back. */
void request_release_claim(struct request *req);
/* Everything that is decided by the head. False: refused, the reply is made. */
bool request_begin(struct request *req);
/* The surface makes the reply. */
void request_fail(struct request *req, const struct op *op, const struct err *err, int status);

/* See reply.h. Bytes of the stream, 0: none now, -1: its end, -2: it cannot go on. Its connection's
 * thread. */
ssize_t waker_take(struct request *req, char *out, size_t max);
void waker_ping(struct waker *w);
/* How often it is to be pinged. */
void waker_set_ping(struct waker *w, int64_t every_us);
int64_t waker_ping_every(const struct waker *w);
void waker_hold(struct waker *w);
void waker_close(struct waker *w);

struct server {
    struct server_options options; /* strings copied where they must last */
    bool loopback;                 /* the TCP address is this machine's own */
    struct loop *loops;
    size_t loop_count;
    struct tls_server *tls; /* NULL: none */
    int tcp_fd, unix_fd, port;
    pthread_t accepting;
    bool accepts;
    _Atomic bool stopping;
    struct conns conns;
    struct bodies bodies;
    struct lingers lingers;
    struct helper *helper;
    struct auth *auth;
    pthread_mutex_t active_lock;
    pthread_cond_t none_active;
    _Atomic int64_t active; /* requests alive; none_active tells of the last one's end */
};

/* exchange.c. False: the connection is to be cut; else its stage says what is to be done next. Its
 * connection's thread. */
bool exchange_begin(struct conn *c, const char *text, size_t len); /* as request_new */
bool exchange_bytes(struct request *req, const char *bytes, size_t count);
bool exchange_came(struct request *req, size_t count); /* the same, in their place already */
bool exchange_whole(struct request *req);              /* the body is at its end */
bool exchange_broken(struct request *req, const char *why);
bool exchange_answered(struct request *req); /* the engine has */
void exchange_left(struct request *req);     /* its client has, while the engine is asked */
void exchange_has_room(struct request *req);
/* Such a piece of its stream is about to be sent. */
void exchange_sent_piece(struct request *req, size_t bytes);
/* The request is over: its answer has left, or never will. */
void exchange_end(struct request *req, bool sent);

/* conn.c: what is to be sent; the bytes outlive that. */
void conn_answer(struct conn *c, struct str head, const struct str *parts, size_t count);
/* loop.c: wakes its thread. Any thread. */
void loop_ring(struct loop *l);

bool listener_open_tcp(struct server *s, struct err *err);
bool listener_open_unix(struct server *s, struct err *err);
/* The accepting thread. */
void *listener_run(void *server);

#endif
