/* bodies.h: the memory that request bodies share. */
#ifndef PENSTOCK_HTTP_BODIES_H
#define PENSTOCK_HTTP_BODIES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct request;

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
/* Takes so many bytes more; false when it must wait: its connection is woken (WAKE_ROOM) when it
 * has them. */
bool bodies_take(struct bodies *b, struct request *req, int64_t bytes);
/* The body is read to its end; what it holds stays. */
void bodies_read(struct bodies *b, struct request *req);
/* The request has ended: gives everything back. */
void bodies_give(struct bodies *b, struct request *req);
/* Lets everybody go on, whatever it takes. */
void bodies_close(struct bodies *b);

#endif
