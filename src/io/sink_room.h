/* sink_room.h: room that is reserved behind the end of an output. */
#ifndef PENSTOCK_IO_SINK_ROOM_H
#define PENSTOCK_IO_SINK_ROOM_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed: nothing is reserved. */
struct sink_room {
    int64_t reserved; /* the file system holds room up to here */
};

/* Sees to room for `more` bytes behind `length` and for others to come. Best effort: not every file
 * system can, and where room is getting scarce it is left to others. */
void sink_room_reserve(struct sink_room *room, int fd, int64_t length, size_t more);
/* Gives back what was reserved and not used; nothing where the file is not `length` long. */
void sink_room_release(struct sink_room *room, int fd, int64_t length);

#endif
