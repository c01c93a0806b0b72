#include "http/conns.h"

#include "http/server_own.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A follower is pinged up to this part of its time too early, so that many are pinged in one look.
 */
enum { PING_EARLY_PART = 8 };
/* Whoever had the server started has so long to come before it counts as idle. */
#define FIRST_WITHIN_US (5 * INT64_C(1000000))

void conns_init(struct conns *all)
{
    *all = (struct conns){
        .next_look_us = NEVER_US,
        .wake_fd = -1,
        .empty_since_us = clock_now().mono_us + FIRST_WITHIN_US,
    };
    pthread_mutex_init(&all->lock, NULL);
    all->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void conns_release(struct conns *all)
{
    if (all->wake_fd >= 0)
        close(all->wake_fd);
    pthread_mutex_destroy(&all->lock);
}

void conns_wake(struct conns *all)
{
    uint64_t one = 1;
    /* It can only fail when the counter is full, and then the reader wakes anyway. */
    if (write(all->wake_fd, &one, sizeof one) < 0)
        return;
}

/* Under the lock. */
static int64_t count_add(struct conns *all, int by)
{
    all->count += by;
    if (all->count == 0)
        all->empty_since_us = clock_now().mono_us;
    return all->count;
}

void conns_admit(struct conns *all, int by)
{
    pthread_mutex_lock(&all->lock);
    count_add(all, by);
    pthread_mutex_unlock(&all->lock);
}

bool conns_stop_if_idle(struct conns *all, int64_t now_us, int64_t idle_us, atomic_bool *stopping,
                        int64_t *again_us)
{
    pthread_mutex_lock(&all->lock);
    int64_t since_us = all->count == 0 ? all->empty_since_us : now_us;
    bool idle = now_us - since_us >= idle_us;
    if (idle)
        atomic_store(stopping, true);
    pthread_mutex_unlock(&all->lock);
    *again_us = (since_us < now_us ? since_us : now_us) + idle_us;
    return idle;
}

void conns_add(struct conns *all, struct conn *c)
{
    pthread_mutex_lock(&all->lock);
    c->next = all->first;
    if (all->first)
        all->first->prev = c;
    all->first = c;
    pthread_mutex_unlock(&all->lock);
}

int64_t conns_unlist(struct conns *all, struct conn *c)
{
    pthread_mutex_lock(&all->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        all->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    int64_t left = count_add(all, -1);
    pthread_mutex_unlock(&all->lock);
    return left;
}

struct conn *conns_of(struct conns *all, const struct loop *l)
{
    pthread_mutex_lock(&all->lock);
    struct conn *c = all->first;
    while (c && c->loop != l)
        c = c->next;
    pthread_mutex_unlock(&all->lock);
    return c;
}

void conns_set_deadline(struct conns *all, struct conn *c, int64_t deadline_us, int64_t pressed_us)
{
    atomic_store_explicit(&c->deadline_us, deadline_us, memory_order_relaxed);
    atomic_store_explicit(&c->pressed_us, pressed_us, memory_order_relaxed);
    int64_t first_us = deadline_us < pressed_us ? deadline_us : pressed_us;
    if (first_us < atomic_load(&all->next_look_us))
        conns_wake(all);
}

void conns_set_waker(struct conns *all, struct conn *c, struct waker *w)
{
    if (w)
        waker_hold(w);
    pthread_mutex_lock(&all->lock);
    struct waker *old = c->waker;
    c->waker = w;
    pthread_mutex_unlock(&all->lock);
    waker_free(old);
    if (w)
        conns_wake(all);
}

int64_t conns_look(struct conns *all, int64_t now_us, bool pressed)
{
    int64_t next_us = NEVER_US;
    pthread_mutex_lock(&all->lock);
    /* Whoever sets a deadline from now on may do so behind our back, and wakes us therefore. */
    atomic_store(&all->next_look_us, NEVER_US);
    for (struct conn *c = all->first; c; c = c->next) {
        int64_t at_us = atomic_load_explicit(&c->deadline_us, memory_order_relaxed);
        int64_t pressed_us = atomic_load_explicit(&c->pressed_us, memory_order_relaxed);
        if (pressed && pressed_us < at_us)
            at_us = pressed_us;
        int64_t every_us = c->waker ? waker_ping_every(c->waker) : 0;
        if (c->waker && at_us <= now_us + every_us / PING_EARLY_PART) {
            waker_ping(c->waker);
            at_us = now_us + every_us;
            atomic_store_explicit(&c->deadline_us, at_us, memory_order_relaxed);
        } else if (at_us <= now_us) {
            /* Its HTTP thread sees the end of the connection and closes it. The descriptor is
             * its own until conns_unlist, which waits for our lock. */
            shutdown(c->fd, SHUT_RDWR);
            atomic_store_explicit(&c->deadline_us, NEVER_US, memory_order_relaxed);
            atomic_store_explicit(&c->pressed_us, NEVER_US, memory_order_relaxed);
            continue;
        }
        if (at_us < next_us)
            next_us = at_us;
    }
    atomic_store(&all->next_look_us, next_us);
    pthread_mutex_unlock(&all->lock);
    return next_us;
}

void conns_wake_streams(struct conns *all)
{
    pthread_mutex_lock(&all->lock);
    for (struct conn *c = all->first; c; c = c->next)
        if (c->waker)
            waker_wake(c->waker);
    pthread_mutex_unlock(&all->lock);
}
