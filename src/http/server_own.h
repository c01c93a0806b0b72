/* server_own.h: what the files of the HTTP core share; surfaces do not include it.
 *
 * Threads: a request and its reply belong to the HTTP thread of its connection. While the
 * connection is suspended they belong to whoever will resume it: the engine (an op is asked), the
 * body budget, or a stream's waker. */
#ifndef PENSTOCK_HTTP_SERVER_OWN_H
#define PENSTOCK_HTTP_SERVER_OWN_H

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

/* One connection, on the list of those whose deadlines are watched. */
struct conn {
    struct conn *prev, *next; /* guarded by conns.lock */
    int fd;
    bool local;                  /* the Unix socket */
    bool sent_away;              /* it may still be sending when it is closed */
    _Atomic int64_t deadline_us; /* monotonic: it is cut off then */
    _Atomic int64_t pressed_us;  /* the same while other bodies wait for memory */
    struct waker *waker;         /* of the stream it sends; guarded by conns.lock; counted */
};

struct conns {
    pthread_mutex_t lock;
    struct conn *first; /* guarded by lock */
    int64_t count;      /* guarded by lock */
    _Atomic int64_t next_look_us;
    int wake_fd; /* eventfd: a deadline came nearer, a connection has gone, stop */
};

void conns_init(struct conns *all);
void conns_release(struct conns *all);
void conns_add(struct conns *all, struct conn *c);
/* Frees it. Returns how many are left. */
int64_t conns_remove(struct conns *all, struct conn *c);
void conns_wake(struct conns *all);
/* Sets when a connection is cut off unless something else happens; pressed_us as in struct conn. */
void conns_set_deadline(struct conns *all, struct conn *c, int64_t deadline_us, int64_t pressed_us);
void conns_set_waker(struct conns *all, struct conn *c, struct waker *w);
/* Cuts off those whose time is over, wakes followers that have heard nothing for long. Returns when
 * to look again. */
int64_t conns_look(struct conns *all, int64_t now_us, bool pressed);
/* Wakes every stream, so that it sees the server stop. */
void conns_wake_streams(struct conns *all);

/* The memory of all request bodies that are being read or worked on, counted as they arrive. When
 * it is used up connections sleep, in the order they came; the oldest that is still being read may
 * always go on, so that there is always one that comes to its end. */
struct bodies {
    pthread_mutex_t lock;
    int64_t used_bytes, limit_bytes; /* guarded by lock */
    struct request *first, *last;    /* being read, in order; guarded by lock */
    _Atomic bool pressed;            /* somebody sleeps */
};

/* A request's part in it; guarded by bodies.lock. */
struct body_share {
    struct request *prev, *next;
    bool listed;
    int64_t held_bytes, wanted_bytes; /* wanted: it sleeps until it gets them */
};

void bodies_init(struct bodies *b, int64_t limit_bytes);
void bodies_release(struct bodies *b);
/* Takes so many bytes more; false when it must wait: then the connection is suspended, and is
 * resumed when it has them. */
bool bodies_take(struct bodies *b, struct request *req, int64_t bytes);
/* The body is read to its end; what it holds stays. */
void bodies_read(struct bodies *b, struct request *req);
/* The request has ended: gives everything back. */
void bodies_give(struct bodies *b, struct request *req);
/* Lets everybody go on, whatever it takes. */
void bodies_close(struct bodies *b);

/* Connections that were closed while their client was still sending. What comes is read and
 * dropped for a while, as the kernel would otherwise cut the line before the client has read the
 * answer. Threads: any adds, the listener's looks. */
#define LINGERS_MAX 64
struct lingering {
    int fd;
    int64_t until_us, left_bytes;
};
struct lingers {
    pthread_mutex_t lock;
    size_t count;                        /* guarded by lock */
    struct lingering items[LINGERS_MAX]; /* guarded by lock */
};

struct pollfd;
void lingers_init(struct lingers *all);
void lingers_release(struct lingers *all);
/* Keeps a copy of the descriptor, if something unread is there or `expected`. False when not. */
bool lingers_add(struct lingers *all, int fd, bool expected, int64_t now_us);
/* Fills at most LINGERS_MAX places; *next_us becomes the first deadline if that is earlier. */
size_t lingers_fill(struct lingers *all, struct pollfd *out, int64_t *next_us);
/* Reads what has come, closes what is over. */
void lingers_look(struct lingers *all, int64_t now_us);

/* API keys as the engine last told them. */
struct auth;
struct auth *auth_new(const struct engine *engine, const char *master_token);
void auth_free(struct auth *a);
void auth_set_keys(struct auth *a, const struct key_view *keys, size_t count);
/* What a key allows; SCOPE_NONE when nobody knows it. Constant time in the number of keys. */
enum scope auth_key_scope(struct auth *a, struct str key);
bool auth_is_master(struct auth *a, struct str token);
bool auth_has_master(const struct auth *a);
/* "read work" and the like: the highest word. */
enum scope auth_scope_of_words(const char *words);
/* Against DNS rebinding: whether a Host names this machine. */
bool auth_host_is_loopback(const char *host);
/* Whether an Origin is the Host's own. */
bool auth_origin_is_own(const char *origin, const char *host);

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
    size_t body_len, body_cap;
    struct body_share share;
    bool waited; /* it slept until it had memory for what has come */

    struct op op;
    bool op_used, sees_failures;
    bool asked_again; /* the handler has called request_call */
    route_finish *finish;
    void *state; /* the handler's */
    bool holds_claim;

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
/* Everything that is decided by the headers. False: refused, the reply is made. */
bool request_begin(struct request *req);
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

bool listener_open_tcp(struct server *s, struct err *err);
bool listener_open_unix(struct server *s, struct err *err);
/* The accepting thread. */
void *listener_run(void *server);

#endif
