/* line_stream.h: lines that come through a descriptor that does not block. Threads: one owner. */
#ifndef PENSTOCK_RUN_LINE_STREAM_H
#define PENSTOCK_RUN_LINE_STREAM_H

#include "base/buf.h"

struct line_stream {
    struct buf rest; /* of a line whose end has not come */
    size_t max_bytes;
};

/* A line longer than max_bytes comes in pieces of that length. */
void line_stream_init(struct line_stream *r, size_t max_bytes);
void line_stream_release(struct line_stream *r);

/* Reads what is there and gives each whole line, without its '\n', to `take`, which must not
 * release the stream. At the end of the stream what came last without one is given, too. False when
 * the stream has ended (or is broken): close it. */
bool line_stream_read(struct line_stream *r, int fd, void (*take)(void *context, struct str line),
                      void *context);

#endif
