#include "http/bodies.h"

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

static void join(struct bodies *b, struct request *req)
{
    struct body_share *share = &req->share;
    if (share->listed)
        return;
    share->listed = true;
    share->prev = b->last;
    share->next = NULL;
    if (b->last)
        b->last->share.next = req;
    else
        b->first = req;
    b->last = req;
}

static void leave(struct bodies *b, struct request *req)
{
    struct body_share *share = &req->share;
    if (!share->listed)
        return;
    share->listed = false;
    if (share->prev)
        share->prev->share.next = share->next;
    else
        b->first = share->next;
    if (share->next)
        share->next->share.prev = share->prev;
    else
        b->last = share->prev;
}

static bool fits(const struct bodies *b, const struct request *req, int64_t bytes)
{
    return req == b->first || b->used_bytes + bytes <= b->limit_bytes;
}

static void charge(struct bodies *b, struct request *req, int64_t bytes)
{
    b->used_bytes += bytes;
    req->share.held_bytes += bytes;
}

/* In the order they came, as far as there is room. */
static void let_in(struct bodies *b)
{
    bool waits = false;
    for (struct request *req = b->first; req && !waits; req = req->share.next) {
        struct body_share *share = &req->share;
        if (share->wanted_bytes == 0)
            continue;
        waits = !fits(b, req, share->wanted_bytes);
        if (waits)
            break;
        charge(b, req, share->wanted_bytes);
        share->wanted_bytes = 0;
        conn_wake(req->conn, WAKE_ROOM);
    }
    atomic_store(&b->pressed, waits);
}

bool bodies_take(struct bodies *b, struct request *req, int64_t bytes)
{
    pthread_mutex_lock(&b->lock);
    join(b, req);
    bool granted = fits(b, req, bytes);
    if (granted) {
        charge(b, req, bytes);
    } else {
        req->share.wanted_bytes = bytes;
        atomic_store(&b->pressed, true);
    }
    pthread_mutex_unlock(&b->lock);
    if (!granted)
        conns_wake(&req->server->conns); /* other deadlines count now */
    return granted;
}

void bodies_read(struct bodies *b, struct request *req)
{
    if (!req->share.listed)
        return;
    pthread_mutex_lock(&b->lock);
    leave(b, req);
    if (atomic_load(&b->pressed))
        let_in(b);
    pthread_mutex_unlock(&b->lock);
}

void bodies_give(struct bodies *b, struct request *req)
{
    if (req->share.held_bytes == 0)
        return;
    pthread_mutex_lock(&b->lock);
    leave(b, req);
    b->used_bytes -= req->share.held_bytes;
    req->share.held_bytes = 0;
    if (atomic_load(&b->pressed))
        let_in(b);
    pthread_mutex_unlock(&b->lock);
}

void bodies_close(struct bodies *b)
{
    pthread_mutex_lock(&b->lock);
    b->limit_bytes = INT64_MAX / 2;
    let_in(b);
    pthread_mutex_unlock(&b->lock);
}
