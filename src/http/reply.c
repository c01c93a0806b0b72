#include "http/server_own.h"

#include <assert.h>
#include <stdlib.h>

void reply_init(struct reply *r)
{
    *r = (struct reply){.status = 200, .content_type = "application/json; charset=utf-8"};
}

void reply_reset(struct reply *r)
{
    for (size_t i = 0; i < r->header_count; i++)
        free(r->headers[i].value);
    for (size_t i = 0; i < r->part_count; i++)
        free(r->owned[i]);
    reply_init(r);
}

void reply_status(struct reply *r, int status)
{
    assert(status >= 200 && status < 600);
    r->status = status;
}

void reply_content_type(struct reply *r, const char *type)
{
    r->content_type = type;
}

void reply_header(struct reply *r, const char *name, const char *value)
{
    assert(r->header_count < REPLY_HEADERS_MAX);
    r->headers[r->header_count].name = name;
    r->headers[r->header_count++].value = xstrdup(value);
}

void reply_close(struct reply *r)
{
    r->close = true;
}

void reply_cut(struct reply *r)
{
    r->cut = true;
}

void reply_abort(struct reply *r)
{
    r->cut = r->resets = true;
}

static void add_part(struct reply *r, struct str bytes, char *owned)
{
    assert(r->part_count < REPLY_PARTS_MAX && !r->take);
    r->parts[r->part_count] = bytes;
    r->owned[r->part_count++] = owned;
}

void reply_add_borrowed(struct reply *r, struct str bytes)
{
    add_part(r, bytes, NULL);
}

void reply_add_buf(struct reply *r, struct buf *b)
{
    add_part(r, buf_str(b), b->data);
    buf_init(b, b->max);
}

void reply_add_copy(struct reply *r, struct str bytes)
{
    char *copy = xstrndup(bytes.ptr, bytes.len);
    add_part(r, (struct str){copy, bytes.len}, copy);
}

void reply_stream(struct reply *r, reply_take *take, void (*end)(void *context), void *context)
{
    assert(r->part_count == 0 && !r->take);
    r->take = take;
    r->end = end;
    r->context = context;
}

void reply_stream_bare(struct reply *r, const char *ping, int64_t ping_every_us)
{
    assert(r->take && !r->whole && ping_every_us > 0);
    r->bare = r->resets = r->close = true;
    r->ping = ping;
    r->ping_every_us = ping_every_us;
}

void reply_stream_whole(struct reply *r, int64_t bytes, reply_take *take,
                        void (*end)(void *context), void *context)
{
    reply_stream(r, take, end, context);
    r->whole = true;
    r->bytes = bytes;
}

size_t reply_bytes(const struct reply *r)
{
    size_t bytes = r->whole && r->bytes > 0 ? (size_t)r->bytes : 0;
    for (size_t i = 0; i < r->part_count; i++)
        bytes += r->parts[i].len;
    return bytes;
}
