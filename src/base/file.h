/* file.h: whole reads and writes on descriptors; interruptions and short counts are handled here
 * and nowhere else. Errors carry `name` for the person who reads them. Threads: any. */
#ifndef PENSTOCK_BASE_FILE_H
#define PENSTOCK_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>
#include <sys/uio.h>

/* Reads up to `len` bytes at `at_bytes`, fewer only at the end of the file. */
MUST_CHECK bool file_read_at(int fd, int64_t at_bytes, void *out, size_t len, size_t *got,
                             const char *name, struct err *err);
/* Writes all of it at `at_bytes`. On failure an unknown part was written. ERR_NO_SPACE, ERR_IO. */
MUST_CHECK bool file_write_at(int fd, int64_t at_bytes, const void *bytes, size_t len,
                              const char *name, struct err *err);
/* The same for many pieces; `parts` is used up. */
MUST_CHECK bool file_writev_at(int fd, int64_t at_bytes, struct iovec *parts, size_t count,
                               const char *name, struct err *err);
/* fdatasync. A failure is ERR_FATAL: the kernel may have dropped the pages, so it is never tried
 * again and nothing may be acknowledged after it. */
MUST_CHECK bool file_sync(int fd, const char *name, struct err *err);
/* Makes a created, renamed or removed name in `dir_fd` durable. */
MUST_CHECK bool file_sync_dir(int dir_fd, const char *name, struct err *err);
/* What a file is known by. */
struct file_look {
    dev_t device;
    ino_t inode;
    uint64_t names;
    int64_t size_bytes;
};
/* Looks at the file of this name in the folder `fd`, itself also where it is a link; NULL: at what
 * `fd` is. Never asks for times: where the file system keeps them finely, the next write would have
 * to note its own anew for whoever has seen them, and the sync behind it to write that. False: see
 * errno. */
MUST_CHECK bool file_look(int fd, const char *name, struct file_look *out);
MUST_CHECK bool file_cut(int fd, int64_t length_bytes, const char *name, struct err *err);
/* The whole file, at most max_bytes (ERR_LIMIT above), appended to `out`. */
MUST_CHECK bool file_read_all(const char *path, size_t max_bytes, struct buf *out, struct err *err);

#endif
