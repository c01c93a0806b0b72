/* loop.h: one HTTP thread: it waits for its connections' sockets and for who wakes them, and moves
 * them on. It never waits for anything else.
 *
 * Streams of events that are woken get their turn in rounds. A round of many takes milliseconds, as
 * each send is a call of the kernel's; then the thread rests from streams for some milliseconds, so
 * that others get their turn and what happens meanwhile goes to each stream in one send. Where few
 * follow nothing rests. */
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
    struct conn *resting,
        **resting_end;     /* streams that were woken, by rest_next: for the next round */
    struct conn *round;    /* those whose turn it is, by rest_next */
    int64_t round_us;      /* what this round has taken so far */
    int64_t rest_until_us; /* the next round begins then */
    char *piece;           /* a stream's, to be used again; NULL: somebody has it */
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
/* The connection is closed: it is in no round any more. Its thread. */
void loop_forget(struct loop *l, struct conn *c);
/* The Date of now. Its thread. */
const char *loop_date(struct loop *l, int64_t wall_us);

#endif
