/* body_chunks.h: a request body that comes in chunks (RFC 9112, 7.1), read strictly. No I/O. */
#ifndef PENSTOCK_HTTP_BODY_CHUNKS_H
#define PENSTOCK_HTTP_BODY_CHUNKS_H

#include "base/buf.h"

/* Zeroed at the start of a body. */
struct body_chunks {
    enum {
        CHUNK_SIZE,      /* the digits of a size */
        CHUNK_EXTENSION, /* what follows them in the line */
        CHUNK_SIZE_END,  /* the '\n' of that line */
        CHUNK_DATA,
        CHUNK_DATA_CR,
        CHUNK_DATA_LF,
        CHUNK_TRAILER, /* the lines behind the last chunk */
        CHUNK_TRAILER_LF,
        CHUNK_OVER,
        CHUNK_BROKEN
    } at;
    int digits;
    int64_t left;   /* of the chunk */
    int64_t extras; /* bytes of extensions and trailers, of all chunks */
    int64_t line;   /* of a trailer: bytes so far */
};

enum chunks_got { CHUNKS_DATA, CHUNKS_MORE, CHUNKS_END, CHUNKS_BROKEN };

/* Looks at `in`; *used of its bytes are done with. CHUNKS_DATA: `data`, in `in`, is the body's next
 * piece, not empty. CHUNKS_MORE: more is needed. CHUNKS_END: the body is whole. CHUNKS_BROKEN:
 * these are no chunks. */
enum chunks_got chunks_read(struct body_chunks *c, struct str in, size_t *used, struct str *data);

#endif
