#include "http/server_own.h"

#include <stdlib.h>

<<<<<<< HEAD
/* What a stream is asked for at once. */
enum { BLOCK_EVENTS = 32 << 10, BLOCK_WHOLE = 128 << 10 };

/* A stream is sent by the connection's thread, which asks `take` for bytes. When there are none it
 * suspends the connection; whoever makes more wakes it. The states settle the race between the two:
 *
 *   RUNNING ──wake──► WOKEN ──(asks again)──► RUNNING
 *      └──nothing there──► SUSPENDED ──wake──► WOKEN, and the connection is resumed
 *   any ──► CLOSED: the request has ended, wakes do nothing
 *
 * A connection is suspended before the state says so; a wake that came in between leaves WOKEN,
 * and then the connection's thread resumes it itself. */
enum waker_state { WAKER_RUNNING, WAKER_WOKEN, WAKER_SUSPENDED, WAKER_CLOSED };

=======
/* A stream is sent by its connection's thread, which asks `take` for bytes until there are none;
 * whoever makes more wakes the connection. A waker outlives the connection, and knows when it has
 * gone. */
>>>>>>> origin/main
struct waker {
    _Atomic int holds;
    _Atomic bool ping; /* say something, so that a client that has gone is noticed */
    pthread_mutex_t lock;
    struct conn *conn; /* NULL: the request has ended; guarded by lock */
};

struct waker *waker_new(struct request *req)
{
    if (!req->waker) {
        req->waker = xcalloc(1, sizeof *req->waker);
        pthread_mutex_init(&req->waker->lock, NULL);
        req->waker->conn = req->conn;
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

void waker_close(struct waker *w)
{
    pthread_mutex_lock(&w->lock);
    w->conn = NULL;
    pthread_mutex_unlock(&w->lock);
}

ssize_t waker_take(struct request *req, char *out, size_t max)
{
<<<<<<< HEAD
    struct request *req = request;
    struct waker *w = req->waker;
    (void)position;
    atomic_store(&w->state, WAKER_RUNNING);
    if (atomic_load(&req->server->stopping) && !req->reply.whole)
        return MHD_CONTENT_READER_END_OF_STREAM;
    ssize_t got = req->reply.take(req->reply.context, out, max);
    if (got < 0)
        return got == -1 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    if (got > 0 && req->reply.whole)
        exchange_expect(req, got);
    if (got > 0)
        return got;
    if (!req->reply.whole && atomic_exchange(&w->ping, false) && max >= 3) {
        memcpy(out, ":\n\n", 3); /* a comment in an event stream */
        return 3;
    }
    MHD_suspend_connection(req->connection);
    int running = WAKER_RUNNING;
    if (!atomic_compare_exchange_strong(&w->state, &running, WAKER_SUSPENDED))
        MHD_resume_connection(req->connection);
    return 0;
}

struct MHD_Response *waker_response(struct request *req)
{
    waker_free(waker_new(req)); /* the request's own hold stays */
    bool known = req->reply.whole && req->reply.bytes >= 0;
    return MHD_create_response_from_callback(known ? (uint64_t)req->reply.bytes : MHD_SIZE_UNKNOWN,
                                             req->reply.whole ? BLOCK_WHOLE : BLOCK_EVENTS,
                                             read_stream, req, NULL);
=======
    if (atomic_load(&req->server->stopping))
        return -1;
    ssize_t got = req->reply.take(req->reply.context, out, max);
    if (got != 0)
        return got;
    if (!atomic_exchange(&req->waker->ping, false) || max < 3)
        return 0;
    memcpy(out, ":\n\n", 3); /* a comment in an event stream */
    return 3;
>>>>>>> origin/main
}
