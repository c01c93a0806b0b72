/* loop.h: one HTTP thread: it waits for its connections' sockets and for who wakes them, and moves
 * them on. It never waits for anything else. */
#ifndef PENSTOCK_HTTP_LOOP_H
#define PENSTOCK_HTTP_LOOP_H

#include "base/err.h"
#include "base/own.h"
#include "http/conn.h"

#include <pthread.h>

/* What is read in one go where it is not known how much there is. */
#define LOOP_READ_BYTES (64 << 10)
/* A connection's turn ends after so many steps, that the others get theirs. */
#define LOOP_TURN_STEPS 32
/* "Sun, 22 Nov 2026 15:00:00 GMT" and NUL. */
#define LOOP_DATE_SIZE 40

struct op;
struct request;

struct loop {
    struct server *server;
    pthread_t thread;
    bool runs;             /* the thread was started */
    int epoll, bell;       /* bell: eventfd */
    _Atomic int64_t count; /* of its connections */

    pthread_mutex_t lock;            /* a leaf; guards the rest of this group */
    struct conn *woken, **woken_end; /* by woken_next */
    bool asleep, stopping;

    /* Its thread's alone: */
    char *bytes; /* LOOP_READ_BYTES: what the connection at hand has read, at..end not used yet */
    size_t at, end;
    struct op *ops, **ops_end; /* to be asked when all that are ready were looked at */
    struct request *spare;     /* requests to be used again, by next_spare */
    int spare_count;
    int64_t date_s; /* of `date` */
    char date[LOOP_DATE_SIZE];
};

/* Starts the thread. ERR_INTERNAL, ERR_BUSY (descriptors). The loop is released in any case. */
MUST_CHECK bool loop_start(struct loop *l, struct server *s, struct err *err);
/* Ends the thread and closes its connections. */
void loop_release(struct loop *l);
/* Has the loop ask the engine soon. Its thread. */
void loop_ask(struct loop *l, struct op *op);
/* Asks all that is to be asked, now. Its thread. */
void loop_ask_now(struct loop *l);
/* The Date of now. Its thread. */
const char *loop_date(struct loop *l, int64_t wall_us);

#endif
