/* sink_codec.h: writes one group of results as one gzip member or zstd frame, so that the file can
 * be cut at its end. Threads: one at a time. */
#ifndef PENSTOCK_IO_SINK_CODEC_H
#define PENSTOCK_IO_SINK_CODEC_H

#include "base/err.h"
#include "base/own.h"
#include "core/job.h"

#include <stdint.h>
#include <sys/uio.h>

struct sink_codec;

/* `kind` is not COMPRESS_NONE. NULL and ERR_BUSY without memory. */
struct sink_codec *sink_codec_new(enum compression kind, struct err *err);
void sink_codec_free(struct sink_codec *c);
/* Compresses the parts into one frame, written to `fd` from `at_bytes` on; *written is its length.
 * Not synced. On failure an unknown part was written. ERR_NO_SPACE, ERR_IO. */
MUST_CHECK bool sink_codec_write(struct sink_codec *c, int fd, int64_t at_bytes,
                                 const struct iovec *parts, size_t count, const char *name,
                                 int64_t *written, struct err *err);

#endif
