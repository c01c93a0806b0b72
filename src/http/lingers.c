#include "http/lingers.h"

#include "http/server_own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that is sent away before it has sent everything gets this much time, and may send so
 * much, until it has to have read the answer. */
#define LINGER_US (5 * INT64_C(1000000))
#define LINGER_BYTES (INT64_C(128) << 20)

void lingers_init(struct lingers *all)
{
    *all = (struct lingers){0};
    pthread_mutex_init(&all->lock, NULL);
}

void lingers_release(struct lingers *all)
{
    for (size_t i = 0; i < all->count; i++)
        close(all->items[i].fd);
    pthread_mutex_destroy(&all->lock);
}

bool lingers_add(struct lingers *all, int fd, bool expected, int64_t now_us)
{
    int unread = 0;
    if (!expected && (ioctl(fd, FIONREAD, &unread) < 0 || unread == 0))
        return false;
    OWNED_FD int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0 || shutdown(own, SHUT_WR) < 0)
        return false;
    pthread_mutex_lock(&all->lock);
    bool room = all->count < LINGERS_MAX;
    if (room)
        all->items[all->count++] =
            (struct lingering){TAKE_FD(own), now_us + LINGER_US, LINGER_BYTES};
    pthread_mutex_unlock(&all->lock);
    return room;
}

size_t lingers_fill(struct lingers *all, struct pollfd *out, int64_t *next_us)
{
    pthread_mutex_lock(&all->lock);
    size_t count = all->count;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct pollfd){.fd = all->items[i].fd, .events = POLLIN};
        if (all->items[i].until_us < *next_us)
            *next_us = all->items[i].until_us;
    }
    pthread_mutex_unlock(&all->lock);
    return count;
}

/* Reads what has come. False when it is over. */
static bool drain(struct lingering *l, int64_t now_us)
{
    char bytes[16 << 10];
    while (l->left_bytes > 0) {
        ssize_t got = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return now_us < l->until_us;
        if (got <= 0)
            return false;
        l->left_bytes -= got;
    }
    return false;
}

void lingers_look(struct lingers *all, int64_t now_us)
{
    /* Only this thread takes away, so that what it looks at stays; others may add behind. */
    pthread_mutex_lock(&all->lock);
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (drain(&all->items[i], now_us))
            all->items[kept++] = all->items[i];
        else
            close(all->items[i].fd);
    }
    all->count = kept;
    pthread_mutex_unlock(&all->lock);
}
