/* file.c: see file.h. */
#include "base/file.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool file_read_at(int fd, int64_t at_bytes, void *out, size_t len, size_t *got, const char *name,
                  struct err *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = FAULT("file.read")
                        ? -1
                        : pread(fd, (char *)out + done, len - done, (off_t)at_bytes + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read %s", name);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return true;
}

bool file_write_at(int fd, int64_t at_bytes, const void *bytes, size_t len, const char *name,
                   struct err *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    return file_writev_at(fd, at_bytes, &part, 1, name, err);
}

/* Drops the first `n` bytes of the pieces. */
static void parts_skip(struct iovec **parts, size_t *count, size_t n)
{
    while (*count && n >= (*parts)->iov_len) {
        n -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count && n) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + n;
        (*parts)->iov_len -= n;
    }
}

bool file_writev_at(int fd, int64_t at_bytes, struct iovec *parts, size_t count, const char *name,
                    struct err *err)
{
    parts_skip(&parts, &count, 0);
    while (count) {
        int batch = count > IOV_MAX ? IOV_MAX : (int)count;
        ssize_t n = FAULT("file.write") ? -1 : pwritev(fd, parts, batch, (off_t)at_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "write %s", name);
        at_bytes += n;
        parts_skip(&parts, &count, (size_t)n);
    }
    return true;
}

bool file_sync(int fd, const char *name, struct err *err)
{
    int failed = FAULT("file.sync") ? -1 : fdatasync(fd);
    /* Not repeated on EINTR either: after any failure the state of the pages is unknown. */
    if (failed) {
        err_errno(err, errno, "sync %s", name);
        err->code = ERR_FATAL;
        return false;
    }
    return true;
}

bool file_sync_dir(int dir_fd, const char *name, struct err *err)
{
    if (fsync(dir_fd)) {
        err_errno(err, errno, "sync folder of %s", name);
        err->code = ERR_FATAL;
        return false;
    }
    return true;
}

bool file_look(int fd, const char *name, struct file_look *out)
{
    struct statx seen;
    int flags = AT_SYMLINK_NOFOLLOW | (name ? 0 : AT_EMPTY_PATH);
    if (statx(fd, name ? name : "", flags, STATX_INO | STATX_NLINK | STATX_SIZE, &seen))
        return false;
    *out = (struct file_look){.device = makedev(seen.stx_dev_major, seen.stx_dev_minor),
                              .inode = seen.stx_ino,
                              .names = seen.stx_nlink,
                              .size_bytes = (int64_t)seen.stx_size};
    return true;
}

bool file_cut(int fd, int64_t length_bytes, const char *name, struct err *err)
{
    int failed = 0;
    do
        failed = FAULT("file.cut") ? -1 : ftruncate(fd, (off_t)length_bytes);
    while (failed && errno == EINTR);
    return failed ? err_errno(err, errno, "cut %s", name) : true;
}

bool file_read_all(const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    size_t total = 0;
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read %s", path);
        if (n == 0)
            return true;
        total += (size_t)n;
        if (total > max_bytes)
            return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max_bytes);
        buf_add(out, chunk, (size_t)n);
    }
}
