/* sink_codec.c: see sink_codec.h. */
#include "io/sink_codec.h"

#include "base/file.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { OUT_BYTES = 256 << 10, GZIP_LEVEL = 6, ZSTD_LEVEL = 3 };

struct sink_codec {
    enum compression kind;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    char out[OUT_BYTES];
};

/* Where the frame goes. */
struct frame {
    int fd;
    int64_t at, written;
    const char *name;
};

struct sink_codec *sink_codec_new(enum compression kind, struct err *err)
{
    struct sink_codec *c = xcalloc(1, sizeof *c);
    c->kind = kind;
    bool ready = false;
    if (kind == COMPRESS_GZIP) {
        ready =
            deflateInit2(&c->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    } else {
        c->zstd = ZSTD_createCCtx();
        ready =
            c->zstd &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1));
    }
    if (!ready) {
        free(c);
        err_set(err, ERR_BUSY, "no memory to compress");
        return NULL;
    }
    return c;
}

void sink_codec_free(struct sink_codec *c)
{
    if (!c)
        return;
    if (c->kind == COMPRESS_GZIP)
        deflateEnd(&c->gzip);
    ZSTD_freeCCtx(c->zstd);
    free(c);
}

static bool put_out(struct sink_codec *c, struct frame *f, size_t len, struct err *err)
{
    if (!file_write_at(f->fd, f->at + f->written, c->out, len, f->name, err))
        return false;
    f->written += (int64_t)len;
    return true;
}

/* One part; the frame is ended after the last. */
static bool gzip_part(struct sink_codec *c, struct frame *f, const struct iovec *part, bool last,
                      struct err *err)
{
    /* zlib counts in 32 bits. */
    const size_t most = (size_t)1 << 30;
    size_t done = 0;
    int result = Z_OK;
    do {
        size_t some = part->iov_len - done < most ? part->iov_len - done : most;
        c->gzip.next_in = (Bytef *)part->iov_base + done;
        c->gzip.avail_in = (uInt)some;
        done += some;
        bool end = last && done == part->iov_len;
        do {
            c->gzip.next_out = (Bytef *)c->out;
            c->gzip.avail_out = OUT_BYTES;
            result = deflate(&c->gzip, end ? Z_FINISH : Z_NO_FLUSH);
            if (!put_out(c, f, OUT_BYTES - c->gzip.avail_out, err))
                return false;
        } while (c->gzip.avail_out == 0 || (end && result == Z_OK));
    } while (done < part->iov_len);
    return true;
}

static bool zstd_part(struct sink_codec *c, struct frame *f, const struct iovec *part, bool last,
                      struct err *err)
{
    ZSTD_inBuffer in = {part->iov_base, part->iov_len, 0};
    size_t left = 0;
    do {
        ZSTD_outBuffer out = {c->out, OUT_BYTES, 0};
        left = ZSTD_compressStream2(c->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return err_set(err, ERR_IO, "%s: %s", f->name, ZSTD_getErrorName(left));
        if (!put_out(c, f, out.pos, err))
            return false;
    } while (in.pos < in.size || (last && left));
    return true;
}

bool sink_codec_write(struct sink_codec *c, int fd, int64_t at_bytes, const struct iovec *parts,
                      size_t count, const char *name, int64_t *written, struct err *err)
{
    struct frame f = {fd, at_bytes, 0, name};
    /* A frame that failed half way must not go on in this one. */
    bool fine = c->kind == COMPRESS_GZIP
                    ? deflateReset(&c->gzip) == Z_OK
                    : !ZSTD_isError(ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only));
    if (!fine)
        return err_set(err, ERR_INTERNAL, "%s: the compressor could not be reset", name);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        if (!(c->kind == COMPRESS_GZIP ? gzip_part(c, &f, &parts[i], last, err)
                                       : zstd_part(c, &f, &parts[i], last, err)))
            return false;
    }
    *written = f.written;
    return true;
}
