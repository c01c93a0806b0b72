/* line_stream.c: see line_stream.h. */
#include "run/line_stream.h"

#include <errno.h>
#include <unistd.h>

/* As much as a pipe holds; so many times, then others get their turn. */
enum { CHUNK_BYTES = 65536, TURNS = 4 };

void line_stream_init(struct line_stream *r, size_t max_bytes)
{
    buf_init(&r->rest, BUF_NO_CAP);
    r->max_bytes = max_bytes;
}

void line_stream_release(struct line_stream *r)
{
    buf_release(&r->rest);
}

/* The part of a line: kept until its end is there, unless it is too long for that. */
static void keep(struct line_stream *r, struct str part,
                 void (*take)(void *context, struct str line), void *context)
{
    while (r->rest.len + part.len > r->max_bytes) {
        size_t fits = r->max_bytes - r->rest.len;
        buf_add(&r->rest, part.ptr, fits);
        take(context, buf_str(&r->rest));
        r->rest.len = 0;
        part.ptr += fits;
        part.len -= fits;
    }
    buf_add_str(&r->rest, part);
}

static void split(struct line_stream *r, struct str got,
                  void (*take)(void *context, struct str line), void *context)
{
    const char *end = NULL;
    while (got.len > 0 && (end = memchr(got.ptr, '\n', got.len))) {
        size_t len = (size_t)(end - got.ptr);
        keep(r, (struct str){got.ptr, len}, take, context);
        take(context, buf_str(&r->rest));
        r->rest.len = 0;
        got.ptr += len + 1;
        got.len -= len + 1;
    }
    keep(r, got, take, context);
}

bool line_stream_read(struct line_stream *r, int fd, void (*take)(void *context, struct str line),
                      void *context)
{
    char chunk[CHUNK_BYTES];
    for (int turn = 0; turn < TURNS; turn++) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0) {
            if (r->rest.len > 0)
                take(context, buf_str(&r->rest));
            r->rest.len = 0;
            return false;
        }
        split(r, (struct str){chunk, (size_t)got}, take, context);
    }
    return true;
}
