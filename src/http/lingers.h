/* lingers.h: connections that were closed while their client was still sending.
 *
 * What still comes is read and dropped for a while, as the kernel would otherwise cut the line
 * before the client has read the answer. Threads: any adds, the listener's looks. */
#ifndef PENSTOCK_HTTP_LINGERS_H
#define PENSTOCK_HTTP_LINGERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINGERS_MAX 64
struct lingering {
    int fd;
    int64_t until_us, left_bytes;
};
struct lingers {
    pthread_mutex_t lock;
    size_t count;                        /* guarded by lock */
    struct lingering items[LINGERS_MAX]; /* guarded by lock */
};

struct pollfd;
void lingers_init(struct lingers *all);
void lingers_release(struct lingers *all);
/* Keeps a copy of the descriptor, if something unread is there or `expected`. False when not. */
bool lingers_add(struct lingers *all, int fd, bool expected, int64_t now_us);
/* Fills at most LINGERS_MAX places; *next_us becomes the first deadline if that is earlier. */
size_t lingers_fill(struct lingers *all, struct pollfd *out, int64_t *next_us);
/* Reads what has come, closes what is over. */
void lingers_look(struct lingers *all, int64_t now_us);

#endif
