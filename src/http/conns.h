/* conns.h: the open connections, and when each is cut off.
 *
 * Threads: any sets deadlines, HTTP threads add and remove, the listener's looks. */
#ifndef PENSTOCK_HTTP_CONNS_H
#define PENSTOCK_HTTP_CONNS_H

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct conn;
struct loop;
struct waker;

struct conns {
    pthread_mutex_t lock;
    struct conn *first;     /* guarded by lock */
    int64_t count;          /* also of those that are on their way into the list; guarded by lock */
    int64_t empty_since_us; /* monotonic, while count is 0; at first ahead. Guarded by lock */
    _Atomic int64_t next_look_us;
    int wake_fd; /* eventfd: a deadline came nearer, a connection has gone, stop */
};

void conns_init(struct conns *all);
void conns_release(struct conns *all);
/* Counts a connection (1) before it is opened, or one that was not (-1). The listener. */
void conns_admit(struct conns *all, int by);
/* Puts one that is counted on the list. */
void conns_add(struct conns *all, struct conn *c);
/* Takes it off. Returns how many are left. */
int64_t conns_unlist(struct conns *all, struct conn *c);
/* One of the loop's, NULL: it has none. */
struct conn *conns_of(struct conns *all, const struct loop *l);
/* Sets `stopping` if there has been no connection for `idle_us`: in one step with the look, so that
 * whoever is answered on a connection knows that it was not set before. False: *again_us
 * (monotonic) is when that can be. Any thread. */
bool conns_stop_if_idle(struct conns *all, int64_t now_us, int64_t idle_us, atomic_bool *stopping,
                        int64_t *again_us);
/* Makes the listener look. */
void conns_wake(struct conns *all);
/* Sets when a connection is cut off unless something else happens; pressed_us as in struct conn. */
void conns_set_deadline(struct conns *all, struct conn *c, int64_t deadline_us, int64_t pressed_us);
/* The stream that a connection sends, NULL: none any more. */
void conns_set_waker(struct conns *all, struct conn *c, struct waker *w);
/* Cuts off those whose time is over, wakes followers that have heard nothing for long. Returns when
 * to look again. */
int64_t conns_look(struct conns *all, int64_t now_us, bool pressed);
/* Wakes every stream, so that it sees the server stop. */
void conns_wake_streams(struct conns *all);

#endif
