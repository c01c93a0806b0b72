/* source_bytes.c: see source_bytes.h. */
#include "io/source_bytes.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

/* Decompression between the file and the window. */
struct source_codec {
    char *raw; /* compressed bytes read and not yet used: raw[begin, end) */
    size_t begin, end;
    bool in_frame; /* what was used so far ends within a frame */
    bool any;      /* at least one frame was begun */
    bool broken;   /* nothing more can be had from it: see fault */
    struct err fault;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static const char gzip_magic[] = "\x1f\x8b", zstd_magic[] = "\x28\xb5\x2f\xfd";

/* What is often taken for lines of text and is none, by its first bytes. */
static const struct {
    char first[5];
    unsigned char len;
    const char *what;
} foreign[] = {
    {"\xff\xfe", 2, "UTF-16 text: UTF-8 is needed (iconv -f UTF-16 -t UTF-8)"},
    {"\xfe\xff", 2, "UTF-16 text: UTF-8 is needed (iconv -f UTF-16 -t UTF-8)"},
    {"PK\x03\x04", 4, "a ZIP archive: unpack it first"},
    {"\xfd\x37zX", 4, "compressed by xz: only gzip and zstd are read as they are"},
};

static void codec_free(struct source_bytes *b)
{
    struct source_codec *c = b->codec;
    if (!c)
        return;
    if (b->kind == COMPRESS_GZIP)
        inflateEnd(&c->gzip);
    ZSTD_freeDStream(c->zstd);
    free(c->raw);
    free(c);
    b->codec = NULL;
}

void source_bytes_init(struct source_bytes *b, int fd, const char *name, int64_t limit_bytes)
{
    *b = (struct source_bytes){.fd = fd,
                               .name = name,
                               .raw_limit = limit_bytes < 0 ? INT64_MAX : limit_bytes,
                               .allowed = SOURCE_UNLIMITED};
}

void source_bytes_release(struct source_bytes *b)
{
    codec_free(b);
    free(b->data);
    b->data = NULL;
}

static bool read_raw(struct source_bytes *b, char *out, size_t len, size_t *got, struct err *err)
{
    if ((int64_t)len > b->raw_limit - b->raw_at)
        len = (size_t)(b->raw_limit - b->raw_at);
    if (!file_read_at(b->fd, b->raw_at, out, len, got, b->name, err))
        return false;
    b->raw_at += (int64_t)*got;
    b->allowed -= (int64_t)*got;
    return true;
}

static bool codec_new(struct source_bytes *b, struct err *err)
{
    struct source_codec *c = xcalloc(1, sizeof *c);
    c->raw = xcalloc(1, SOURCE_READ_BYTES);
    bool ready = b->kind == COMPRESS_GZIP ? inflateInit2(&c->gzip, 15 + 16) == Z_OK
                                          : (c->zstd = ZSTD_createDStream()) != NULL;
    b->codec = c;
    if (!ready) {
        codec_free(b);
        return err_set(err, ERR_BUSY, "%s: no memory to decompress", b->name);
    }
    return true;
}

/* Tells by the first bytes how the file is stored. Not known yet when it has only a part of a
 * beginning that would say so. */
static bool recognise(struct source_bytes *b, struct err *err)
{
    char first[4];
    size_t got = 0;
    if (!read_raw(b, first, sizeof first, &got, err))
        return false;
    b->raw_at = 0;
    b->allowed += (int64_t)got; /* a look is no reading: it is made again until it tells */
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (got >= foreign[i].len && memcmp(first, foreign[i].first, foreign[i].len) == 0)
            return err_set(err, ERR_INVALID, "%s: this is %s", b->name, foreign[i].what);
    size_t gzip_len = got < 2 ? got : 2;
    if (memcmp(first, gzip_magic, gzip_len) == 0)
        b->kind = COMPRESS_GZIP, b->known = got >= 2;
    else if (memcmp(first, zstd_magic, got) == 0)
        b->kind = COMPRESS_ZSTD, b->known = got >= 4;
    else
        b->kind = COMPRESS_NONE, b->known = true;
    return b->known && b->kind != COMPRESS_NONE ? codec_new(b, err) : true;
}

/* Room for one more read behind the window. Memory that one long record needed is given back. */
static void make_room(struct source_bytes *b)
{
    size_t left = source_bytes_left(b);
    size_t least = 2 * SOURCE_READ_BYTES;
    if (b->begin) {
        memmove(b->data, b->data + b->begin, left);
        b->begin = 0;
        b->end = left;
    }
    size_t cap = b->cap < least ? least : b->cap;
    while (cap - left < SOURCE_READ_BYTES)
        cap *= 2;
    if (cap > 4 * least && left < SOURCE_READ_BYTES)
        cap = least;
    if (cap == b->cap && b->data)
        return;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

/* What came out together with the damage is still given out; then the fault is told, each time. */
static void damaged(struct source_bytes *b, const char *why)
{
    b->codec->broken = true;
    err_set(&b->codec->fault, ERR_INVALID, "%s: damaged compressed data near byte %lld: %s",
            b->name, (long long)source_bytes_raw_at(b), why ? why : "unknown");
}

static void inflate_some(struct source_bytes *b)
{
    struct source_codec *c = b->codec;
    /* Some tools fill a file up with zeros behind the last member. */
    while (!c->in_frame && c->any && c->begin < c->end && c->raw[c->begin] == 0)
        c->begin++;
    if (c->begin == c->end && !c->in_frame)
        return;
    c->gzip.next_in = (Bytef *)c->raw + c->begin;
    c->gzip.avail_in = (uInt)(c->end - c->begin);
    c->gzip.next_out = (Bytef *)b->data + b->end;
    c->gzip.avail_out = (uInt)SOURCE_READ_BYTES;
    c->in_frame = c->any = true;
    int result = inflate(&c->gzip, Z_NO_FLUSH);
    c->begin = c->end - c->gzip.avail_in;
    b->end += SOURCE_READ_BYTES - c->gzip.avail_out;
    if (result == Z_STREAM_END) {
        c->in_frame = false;
        result = inflateReset(&c->gzip);
    }
    if (result != Z_OK && result != Z_BUF_ERROR)
        damaged(b, c->gzip.msg);
}

static void unzstd_some(struct source_bytes *b)
{
    struct source_codec *c = b->codec;
    ZSTD_inBuffer in = {c->raw + c->begin, c->end - c->begin, 0};
    ZSTD_outBuffer out = {b->data + b->end, SOURCE_READ_BYTES, 0};
    size_t result = ZSTD_decompressStream(c->zstd, &out, &in);
    c->in_frame = result != 0;
    c->begin += in.pos;
    b->end += out.pos;
    if (ZSTD_isError(result))
        damaged(b, ZSTD_getErrorName(result));
}

static bool fill_compressed(struct source_bytes *b, bool *ended, struct err *err)
{
    struct source_codec *c = b->codec;
    size_t before = b->end;
    do {
        if (c->broken) {
            *err = c->fault;
            return false;
        }
        if (c->begin == c->end) {
            c->begin = 0;
            if (!read_raw(b, c->raw, SOURCE_READ_BYTES, &c->end, err)) {
                c->end = 0;
                return false;
            }
        }
        bool dry = c->begin == c->end;
        if (dry && !c->in_frame) {
            *ended = true;
            return true;
        }
        /* Also with nothing new to give it: the codec may hold output back. */
        if (b->kind == COMPRESS_GZIP)
            inflate_some(b);
        else
            unzstd_some(b);
        if (dry && b->end == before && c->in_frame && !c->broken)
            return err_set(err, ERR_INVALID,
                           "%s ends in the middle of a compressed frame, at byte %lld: it is cut "
                           "off, or still being written",
                           b->name, (long long)b->raw_at);
    } while (b->end == before && b->allowed > 0);
    b->allowed -= (int64_t)(b->end - before);
    return true;
}

bool source_bytes_fill(struct source_bytes *b, bool *ended, struct err *err)
{
    *ended = false;
    if (!b->known && !recognise(b, err))
        return false;
    make_room(b);
    if (!b->known) {
        *ended = true;
    } else if (b->kind == COMPRESS_NONE) {
        size_t got = 0;
        if (!read_raw(b, b->data + b->end, SOURCE_READ_BYTES, &got, err))
            return false;
        b->end += got;
        *ended = got == 0;
    } else if (!fill_compressed(b, ended, err)) {
        return false;
    }
    if (*ended && source_bytes_left(b) == 0) {
        free(b->data);
        b->data = NULL;
        b->begin = b->end = b->cap = 0;
    }
    return true;
}

/* A plain file is read from the place itself. */
static bool seek_plain(struct source_bytes *b, int64_t offset, struct err *err)
{
    struct stat st;
    if (fstat(b->fd, &st))
        return err_errno(err, errno, "%s", b->name);
    if (st.st_size < offset)
        return err_set(err, ERR_CONFLICT, "%s has become shorter: %lld bytes, %lld were read",
                       b->name, (long long)st.st_size, (long long)offset);
    b->begin = b->end = 0;
    b->offset = b->raw_at = offset;
    return true;
}

bool source_bytes_seek(struct source_bytes *b, int64_t offset, struct err *err)
{
    if (!b->known && !recognise(b, err))
        return false;
    if (offset < b->offset && b->codec) {
        codec_free(b);
        if (!codec_new(b, err))
            return false;
        b->begin = b->end = 0;
        b->offset = b->raw_at = 0;
    }
    bool near = offset >= b->offset && offset - b->offset <= (int64_t)source_bytes_left(b);
    if (!near && !b->codec)
        return seek_plain(b, offset, err);
    bool ended = false;
    while (offset - b->offset > (int64_t)source_bytes_left(b)) {
        source_bytes_pass(b, source_bytes_left(b));
        if (source_bytes_pause(b))
            return true;
        if (!source_bytes_fill(b, &ended, err))
            return false;
        if (ended)
            return err_set(err, ERR_CONFLICT, "%s has become shorter: %lld bytes, %lld were read",
                           b->name, (long long)b->offset, (long long)offset);
    }
    source_bytes_pass(b, (size_t)(offset - b->offset));
    return true;
}

int64_t source_bytes_raw_at(const struct source_bytes *b)
{
    if (!b->codec)
        return b->offset;
    return b->raw_at - (int64_t)(b->codec->end - b->codec->begin);
}
