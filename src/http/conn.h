/* conn.h: one connection: its bytes, and the request they are.
 *
 *   HEAD ──► BODY ◄──► ROOM          ROOM: the body waits for memory that all bodies share
 *    ▲         │
 *    │         ▼                     ASKED: an op is with the engine; the connection is not read
 *    │       ASKED ──► ASKED ...
 *    │         │
 *    │         ▼
 *    └── SENDING ◄── STREAMING       also from BODY and HEAD, where no question is asked
 *
 * Where it cannot go on it stays as it is until its socket is ready or somebody wakes it: nothing
 * of it is on any stack meanwhile. It is closed from every stage but ASKED; a client that goes then
 * is noticed, and the answer goes nowhere.
 *
 * Threads: its loop's, but for what is said to be others'. */
#ifndef PENSTOCK_HTTP_CONN_H
#define PENSTOCK_HTTP_CONN_H

#include "base/buf.h"
#include "http/reply.h"

#include <stdatomic.h>
#include <sys/uio.h>

struct loop;
struct server;
struct request;
struct waker;
struct tls;

enum conn_stage { CONN_HEAD, CONN_BODY, CONN_ROOM, CONN_ASKED, CONN_SENDING, CONN_STREAMING };

/* Why a connection is woken: bits. */
enum { WAKE_ANSWER = 1, WAKE_ROOM = 2, WAKE_STREAM = 4, WAKE_AGAIN = 8 };

struct conn {
    struct conn *prev, *next; /* guarded by conns.lock */
    struct loop *loop;
    int fd;
    bool local;                  /* the Unix socket */
    _Atomic int64_t deadline_us; /* monotonic: it is cut off then */
    _Atomic int64_t pressed_us;  /* the same while other bodies wait for memory */
    struct waker *waker;         /* of the stream it sends; guarded by conns.lock; counted */
    atomic_bool gone;            /* the client has closed its side; outlives the op that looks */

    struct conn *woken_next; /* guarded by the loop's lock */
    unsigned woken;          /* why it is on the loop's list; guarded by the loop's lock */

    /* Its loop's alone: */
    enum conn_stage stage;
    struct request *req; /* NULL: in CONN_HEAD */
    struct tls *tls;     /* NULL: plain */
    char *kept;          /* read and not used: owned */
    size_t kept_len;
    struct conn *rest_next;
    bool rests;      /* it is on one of the loop's lists of streams, by rest_next */
    bool readable;   /* there may be more to read */
    bool ended;      /* the client has closed its side */
    bool wants_room; /* it is told when there is room to send */
    bool begun;      /* the first bytes of a head are there */
    bool sent_away;  /* it may still be sending when it is closed */
    bool closes;     /* after the answer */
    struct {
        struct iovec parts[REPLY_PARTS_MAX + 1];
        size_t at, count;
        char *own; /* what is left of the head, or the stream's piece: owned */
    } out;
};

/* Takes the descriptor over; the connection is counted (conns_admit) and joins the server's list.
 * NULL when memory or epoll is out: then the descriptor is closed. The listener's thread. */
struct conn *conn_open(struct server *s, struct loop *loop, int fd, bool local);
/* Its socket is ready: epoll's events. */
void conn_ready(struct conn *c, unsigned events);
/* Whether it sends a stream of events and was woken for nothing else: such are sent in rounds. */
bool conn_waits_for_round(const struct conn *c, unsigned why);
/* It was woken, for these reasons. */
void conn_woken(struct conn *c, unsigned why);
/* Ends what it does and frees it; in CONN_ASKED only when no engine will answer any more. */
void conn_close(struct conn *c);
/* Has its loop go on with it. Threads: any, while the connection lives: until its op is answered,
 * its body has room, its waker is closed. Takes the loop's lock, a leaf. */
void conn_wake(struct conn *c, unsigned why);

#endif
