/* rewrite.c: see rewrite.h. */
#include "io/rewrite.h"

#include "base/fault.h"
#include "base/file.h"
#include "core/job.h"
#include "io/sink_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20 }; /* written together; one frame when compressed */

struct rewrite {
    char *path;        /* as asked */
    char *base, *made; /* names in the folder: of the file and of the new one */
    int dir_fd, fd;
    int64_t length;
    struct buf piece;
    struct sink_codec *codec;
    bool finished;
};

void rewrite_free(struct rewrite *r)
{
    if (!r)
        return;
    if (r->fd >= 0 && !r->finished)
        unlinkat(r->dir_fd, r->made, 0);
    fd_drop(&r->fd);
    fd_drop(&r->dir_fd);
    sink_codec_free(r->codec);
    buf_release(&r->piece);
    free(r->path);
    free(r->base);
    free(r->made);
    free(r);
}

/* The name that links lead to is the one that is replaced. */
static bool open_names(struct rewrite *r, const struct folders *folders, struct stat *st,
                       struct err *err)
{
    OWNED_FD int fd = -1;
    OWNED_MEM char *name = NULL;
    if (!folders_open(folders, r->path, O_RDONLY, &fd, &name, err))
        return false;
    if (fstat(fd, st))
        return err_errno(err, errno, "%s", r->path);
    return folders_open_parent(folders, name, &r->dir_fd, &r->base, err);
}

bool rewrite_begin(const struct folders *folders, const char *path, struct rewrite **out,
                   struct err *err)
{
    struct stat st;
    enum compression kind = compression_of_path(path);
    OWNED(rewrite) struct rewrite *r = xcalloc(1, sizeof *r);
    r->dir_fd = r->fd = -1;
    r->path = xstrdup(path);
    buf_init(&r->piece, BUF_NO_CAP);
    if (!open_names(r, folders, &st, err))
        return false;
    if (kind != COMPRESS_NONE && !(r->codec = sink_codec_new(kind, err)))
        return false;
    r->made = xasprintf("%s.penstock-new", r->base);
    r->fd = openat(r->dir_fd, r->made, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r->fd < 0)
        return err_errno(err, errno, "make %s anew", path);
    if (fchmod(r->fd, st.st_mode & 07777))
        return err_errno(err, errno, "make %s anew", path);
    /* Whose it is does not matter to us, and only root may give it away. */
    if (fchown(r->fd, st.st_uid, st.st_gid))
        errno = 0;
    *out = TAKE(r);
    return true;
}

void rewrite_clean(const struct folders *folders, const char *path)
{
    struct err ignored;
    struct stat st;
    OWNED(rewrite) struct rewrite *r = xcalloc(1, sizeof *r);
    r->dir_fd = r->fd = -1;
    r->path = xstrdup(path);
    buf_init(&r->piece, BUF_NO_CAP);
    if (!open_names(r, folders, &st, &ignored))
        return;
    r->made = xasprintf("%s.penstock-new", r->base);
    if (unlinkat(r->dir_fd, r->made, 0))
        errno = 0;
}

static bool write_piece(struct rewrite *r, struct err *err)
{
    int64_t written = (int64_t)r->piece.len;
    if (r->piece.len == 0)
        return true;
    struct iovec part = {r->piece.data, r->piece.len};
    if (FAULT("rewrite.write"))
        return err_errno(err, errno, "make %s anew", r->path);
    bool ok = r->codec
                  ? sink_codec_write(r->codec, r->fd, r->length, &part, 1, r->path, &written, err)
                  : file_writev_at(r->fd, r->length, &part, 1, r->path, err);
    if (!ok)
        return err_add(err, "make it anew");
    r->length += written;
    r->piece.len = 0;
    return true;
}

bool rewrite_add(struct rewrite *r, struct str bytes, struct err *err)
{
    buf_add_str(&r->piece, bytes);
    return r->piece.len < PIECE_BYTES || write_piece(r, err);
}

bool rewrite_sync(struct rewrite *r, struct err *err)
{
    return write_piece(r, err) && file_sync(r->fd, r->path, err);
}

bool rewrite_finish(struct rewrite *r, struct err *err)
{
    if (!rewrite_sync(r, err))
        return false;
    if (flock(r->fd, LOCK_EX | LOCK_NB))
        return err_errno(err, errno, "lock %s", r->path);
    if (FAULT("rewrite.rename"))
        return err_errno(err, errno, "make %s anew", r->path);
    if (renameat(r->dir_fd, r->made, r->dir_fd, r->base))
        return err_errno(err, errno, "make %s anew", r->path);
    r->finished = true;
    (void)FAULT("rewrite.renamed");
    return file_sync_dir(r->dir_fd, r->path, err);
}
