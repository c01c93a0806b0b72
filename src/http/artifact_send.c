/* artifact_send.c: see artifact_send.h. */
#include "http/artifact_send.h"

#include "base/log.h"
#include "base/parse.h"
#include "engine/engine.h"
#include "http/problems.h"
#include "io/blob.h"

#include <inttypes.h>
#include <stdio.h>

/* Up to here an artifact is read whole and verified before a byte of it is sent. */
enum { AT_ONCE_BYTES = 64 << 10 };

static ssize_t download_take(void *reader, char *out, size_t max)
{
    struct err err;
    size_t got = 0;
    if (blob_read(reader, out, max, &got, &err))
        return got ? (ssize_t)got : -1;
    LOG1(LOG_ERROR, "blob.not-read", "reason", "%s", err.text);
    return -2;
}

static void download_end(void *reader)
{
    blob_reader_free(reader);
}

/* What a Range asks for, of so many bytes: one range. False: the header says nothing that is
 * understood, and all is sent. *from beyond the end: there is no such part. */
static bool read_range(const char *header, int64_t bytes, int64_t *from, int64_t *count)
{
    struct err ignored;
    struct str text = str_of(header);
    if (text.len < 6 || memcmp(text.ptr, "bytes=", 6) != 0)
        return false;
    text = (struct str){text.ptr + 6, text.len - 6};
    const char *dash = memchr(text.ptr, '-', text.len);
    if (!dash)
        return false;
    struct str first = {text.ptr, (size_t)(dash - text.ptr)};
    struct str last = {dash + 1, text.len - first.len - 1};
    int64_t begins = 0, ends = bytes - 1;
    if (first.len == 0) {
        if (!parse_i64(last, 0, INT64_MAX, &ends, &ignored))
            return false;
        begins = ends < bytes ? bytes - ends : 0;
        ends = ends ? bytes - 1 : -1;
    } else if (!parse_i64(first, 0, INT64_MAX, &begins, &ignored) ||
               (last.len && !parse_i64(last, begins, INT64_MAX, &ends, &ignored))) {
        return false;
    }
    if (ends >= bytes)
        ends = bytes - 1;
    *from = begins;
    *count = ends >= begins ? ends - begins + 1 : 0;
    return true;
}

static void say_range(struct reply *reply, int64_t from, int64_t count, int64_t bytes)
{
    char range[80];
    snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, from, from + count - 1,
             bytes);
    reply_status(reply, 206);
    reply_header(reply, "Content-Range", range);
}

static bool refuse_range(struct reply *reply, int64_t bytes)
{
    char range[80];
    problem_reply_named("range", "There is no such part", 416, "the range is behind the end",
                        reply);
    snprintf(range, sizeof range, "bytes */%" PRId64, bytes);
    reply_header(reply, "Content-Range", range);
    return true;
}

static bool send_at_once(const struct blobs *blobs, const struct blob_hash *hash,
                         struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    buf_init(&b, AT_ONCE_BYTES);
    if (!blob_load(blobs, hash, &b, err)) {
        LOG1(LOG_ERROR, "blob.not-read", "reason", "%s", err->text);
        return false;
    }
    reply_add_buf(reply, &b);
    return true;
}

bool artifact_send(struct request *req, const struct artifact *a, const char *media_type,
                   struct reply *reply, struct err *err)
{
    const struct blobs *blobs = engine_blobs(request_engine(req));
    const char *header = request_header(req, "Range");
    struct blob_hash hash;
    int64_t from = 0, count = 0;
    OWNED(blob_reader) struct blob_reader *r = NULL;
    memcpy(hash.bytes, a->hash, sizeof hash.bytes);
    if (!blob_open(blobs, &hash, &r, err))
        return false;
    int64_t bytes = count = blob_reader_bytes(r);
    bool part = header && read_range(header, bytes, &from, &count);
    if (part && !count)
        return refuse_range(reply, bytes);
    bool at_once = !part && bytes <= AT_ONCE_BYTES && str_is(request_method(req), "GET");
    if (at_once && !send_at_once(blobs, &hash, reply, err))
        return false;
    char *type = request_strdup(req, str_of(media_type));
    reply_content_type(reply, type ? type : "application/octet-stream");
    reply_header(reply, "X-Content-Type-Options", "nosniff");
    reply_header(reply, "Content-Disposition", "attachment");
    reply_header(reply, "Accept-Ranges", "bytes");
    if (part) {
        say_range(reply, from, count, bytes);
        blob_reader_limit(r, from, count);
    }
    if (!at_once)
        reply_stream_whole(reply, count, download_take, download_end, TAKE(r));
    return true;
}
