#include "http/server_own.h"

void bodies_init(struct bodies *b, int64_t limit_bytes)
{
    *b = (struct bodies){.limit_bytes = limit_bytes};
    pthread_mutex_init(&b->lock, NULL);
}

void bodies_release(struct bodies *b)
{
    pthread_mutex_destroy(&b->lock);
}

bool bodies_take(struct bodies *b, struct request *req, int64_t bytes)
{
    pthread_mutex_lock(&b->lock);
    bool granted = !b->first_waiting && b->used_bytes + bytes <= b->limit_bytes;
    req->charged_bytes = bytes;
    if (granted) {
        b->used_bytes += bytes;
    } else {
        /* Under the lock, so that nobody resumes it before it is suspended. */
        MHD_suspend_connection(req->connection);
        req->next_waiting = NULL;
        if (b->first_waiting)
            b->last->next_waiting = req;
        else
            b->first_waiting = req;
        b->last = req;
        atomic_store(&b->pressed, true);
    }
    pthread_mutex_unlock(&b->lock);
    if (!granted)
        conns_wake(&req->server->conns); /* other deadlines count now */
    return granted;
}

static void let_in(struct bodies *b)
{
    while (b->first_waiting && b->used_bytes + b->first_waiting->charged_bytes <= b->limit_bytes) {
        struct request *req = b->first_waiting;
        b->first_waiting = req->next_waiting;
        b->used_bytes += req->charged_bytes;
        MHD_resume_connection(req->connection);
    }
    atomic_store(&b->pressed, b->first_waiting != NULL);
}

void bodies_give(struct bodies *b, int64_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&b->lock);
    b->used_bytes -= bytes;
    if (b->first_waiting)
        let_in(b);
    pthread_mutex_unlock(&b->lock);
}

void bodies_close(struct bodies *b)
{
    pthread_mutex_lock(&b->lock);
    b->limit_bytes = INT64_MAX / 2;
    for (struct request *req = b->first_waiting; req; req = req->next_waiting)
        req->stopped = true;
    let_in(b);
    pthread_mutex_unlock(&b->lock);
}
