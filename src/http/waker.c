#include "http/server_own.h"

#include <stdlib.h>

/* Followers of events hear a comment at least this often. */
#define PING_EVERY_US (30 * INT64_C(1000000))

/* A stream is sent by its connection's thread, which asks `take` for bytes until there are none;
 * whoever makes more wakes the connection. A waker outlives the connection, and knows when it has
 * gone. */
struct waker {
    _Atomic int holds;
    _Atomic bool ping; /* say something, so that a client that has gone is noticed */
    _Atomic int64_t ping_every_us;
    pthread_mutex_t lock;
    struct conn *conn; /* NULL: the request has ended; guarded by lock */
};

struct waker *waker_new(struct request *req)
{
    if (!req->waker) {
        req->waker = xcalloc(1, sizeof *req->waker);
        pthread_mutex_init(&req->waker->lock, NULL);
        req->waker->conn = req->conn;
        req->waker->ping_every_us = PING_EVERY_US;
        req->waker->holds = 1;
    }
    waker_hold(req->waker);
    return req->waker;
}

void waker_hold(struct waker *w)
{
    atomic_fetch_add(&w->holds, 1);
}

void waker_free(struct waker *w)
{
    if (!w || atomic_fetch_sub(&w->holds, 1) > 1)
        return;
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void waker_wake(void *waker)
{
    struct waker *w = waker;
    pthread_mutex_lock(&w->lock);
    if (w->conn)
        conn_wake(w->conn, WAKE_STREAM);
    pthread_mutex_unlock(&w->lock);
}

void waker_ping(struct waker *w)
{
    atomic_store(&w->ping, true);
    waker_wake(w);
}

void waker_set_ping(struct waker *w, int64_t every_us)
{
    atomic_store(&w->ping_every_us, every_us);
}

int64_t waker_ping_every(const struct waker *w)
{
    return atomic_load(&w->ping_every_us);
}

void waker_close(struct waker *w)
{
    pthread_mutex_lock(&w->lock);
    w->conn = NULL;
    pthread_mutex_unlock(&w->lock);
}

ssize_t waker_take(struct request *req, char *out, size_t max)
{
    bool whole = req->reply.whole;
    if (atomic_load(&req->server->stopping) && !whole)
        return -1;
    ssize_t got = req->reply.take(req->reply.context, out, max);
    if (got != 0 || whole)
        return got;
    /* Usually a comment in an event stream. */
    struct str ping = str_of(req->reply.ping ? req->reply.ping : ":\n\n");
    if (!atomic_exchange(&req->waker->ping, false) || max < ping.len)
        return 0;
    memcpy(out, ping.ptr, ping.len);
    return (ssize_t)ping.len;
}
