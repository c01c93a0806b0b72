/* source_bytes.h: an input as one stream of bytes, decompressed when it begins like gzip or zstd,
 * seen through a window that moves forward.
 *
 * The window is data[begin, end); data[begin] lies at `offset` of the stream. A reader takes bytes
 * by source_bytes_pass and asks for more by source_bytes_fill, which moves the window within its
 * memory: keep indexes relative to `begin` across it, not pointers. Several gzip members or zstd
 * frames, one after the other, are one stream, and it may grow by more of them. Threads: one. */
#ifndef PENSTOCK_IO_SOURCE_BYTES_H
#define PENSTOCK_IO_SOURCE_BYTES_H

#include "base/err.h"
#include "base/own.h"
#include "core/job.h"

#include <stddef.h>
#include <stdint.h>

#define SOURCE_READ_BYTES ((size_t)256 << 10)
#define SOURCE_UNLIMITED (INT64_MAX / 2) /* so that no sum of lengths overflows */

struct source_codec;

struct source_bytes {
    char *data;
    size_t begin, end, cap;
    int64_t offset;
    int fd;                    /* borrowed */
    const char *name;          /* borrowed, for errors */
    int64_t raw_at, raw_limit; /* of the file: where to read next, where to stop */
    int64_t allowed;           /* so much may still be read or decompressed before a pause */
    bool paused;               /* since the call that the reader is in began */
    enum compression kind;     /* when `known`: told by the first bytes */
    bool known;
    struct source_codec *codec; /* of a compressed input */
};

/* `fd` and `name` must outlive the stream. `limit_bytes`: the file is read so far only; -1: to its
 * end. */
void source_bytes_init(struct source_bytes *b, int fd, const char *name, int64_t limit_bytes);
void source_bytes_release(struct source_bytes *b);

static inline size_t source_bytes_left(const struct source_bytes *b)
{
    return b->end - b->begin;
}
static inline const char *source_bytes_at(const struct source_bytes *b)
{
    return b->data ? b->data + b->begin : "";
}
/* Takes the window's first `len` bytes. */
static inline void source_bytes_pass(struct source_bytes *b, size_t len)
{
    b->begin += len;
    b->offset += (int64_t)len;
}

/* Whether the reader must pause before it fills the window once more; notes that it did. */
static inline bool source_bytes_pause(struct source_bytes *b)
{
    b->paused = b->allowed <= 0;
    return b->paused;
}

/* Adds what comes next to the window (nothing, perhaps, when frames are empty and a pause is due);
 * *ended when nothing does, for now (an empty window's memory is then given back). It does not ask
 * for a pause itself. ERR_IO; ERR_INVALID for damaged compressed data, and when the input ends in
 * the middle of a frame: everything before was delivered. */
MUST_CHECK bool source_bytes_fill(struct source_bytes *b, bool *ended, struct err *err);
/* Makes data[begin] the byte at `offset`; a compressed input is read again from its start when that
 * lies behind, and may pause on the way: then the same call goes on. ERR_CONFLICT when the input is
 * shorter, else as source_bytes_fill. */
MUST_CHECK bool source_bytes_seek(struct source_bytes *b, int64_t offset, struct err *err);
/* How much of the file, as stored, was used for what has been passed (about, when compressed). */
int64_t source_bytes_raw_at(const struct source_bytes *b);

#endif
