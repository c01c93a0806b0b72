/* sink.c: the file, its groups and its committed length. See sink.h.
 *
 * Why a record is in the output exactly once. The store knows a length. Bytes below it are synced
 * and their records are done; bytes behind it are of a group whose commit did not happen, and their
 * records are not done. The length is stored once before anything is written (sink_begin), so that
 * from the first byte on there is a length to cut back to; what belongs to somebody else lies below
 * it. A compressed group is a frame, so that the cut leaves whole frames. */
#include "io/sink.h"

#include "base/fault.h"
#include "base/file.h"
#include "io/csv_row.h"
#include "io/sink_codec.h"
#include "io/sink_rows.h"
#include "io/source_bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* How much is reserved ahead: as much as there is already, within these bounds, in bytes. */
#define RESERVE_MIN (INT64_C(1) << 20)
#define RESERVE_MAX (INT64_C(64) << 20)
#define RESERVE_SHARE 64 /* and no more than this part of what is free */

struct sink {
    const struct folders *folders;
    enum data_format format;
    enum compression compression;
    char *path; /* as asked */
    bool overwrite;
    int fd;              /* -1: closed */
    int64_t committed;   /* what stands; -1 before the first write */
    int64_t length;      /* with what was flushed since */
    int64_t reserved;    /* the file system holds room up to here */
    bool torn;           /* there may be bytes behind `length` */
    bool rested;         /* closed after all was committed: what is behind it then is not ours */
    bool glue;           /* the committed part ends in a line without its end */
    size_t added;        /* bytes in the group */
    struct iovec *parts; /* JSONL: the group, borrowed */
    size_t part_count, part_cap;
    struct sink_rows *rows; /* CSV: the group and the columns */
    struct sink_codec *codec;
    char *stored_columns; /* CSV: as committed */
};

static bool open_file(struct sink *s, int flags, struct err *err)
{
    OWNED_FD int fd = -1;
    if (!folders_open(s->folders, s->path, flags, &fd, NULL, err))
        return false;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_CONFLICT, "%s is being written by another process or job",
                           s->path);
        return err_errno(err, errno, "lock %s", s->path);
    }
    s->fd = TAKE_FD(fd);
    return true;
}

/* Room behind the end that is reserved in large pieces makes the sync of a small append a third
 * cheaper: it need not look for blocks. The file's length does not show it. Best effort: not every
 * file system can, and where room is getting scarce it is left to others. */
static void reserve_ahead(struct sink *s, size_t more)
{
    int64_t need = s->length + (int64_t)more;
    if (need <= s->reserved)
        return;
    int64_t ahead = s->length < RESERVE_MIN   ? RESERVE_MIN
                    : s->length > RESERVE_MAX ? RESERVE_MAX
                                              : s->length;
    s->reserved = need + ahead;
    struct statvfs room;
    bool ample = fstatvfs(s->fd, &room) == 0 &&
                 (int64_t)room.f_bavail * (int64_t)room.f_frsize / RESERVE_SHARE > ahead;
    if (ample && fallocate(s->fd, FALLOC_FL_KEEP_SIZE, s->length, s->reserved - s->length))
        errno = 0;
}

/* Gives back what was reserved and not used. */
static void release_room(struct sink *s)
{
    struct stat st;
    if (s->reserved > s->length && fstat(s->fd, &st) == 0 && st.st_size == s->length &&
        ftruncate(s->fd, st.st_size))
        errno = 0;
    s->reserved = 0;
}

static void close_file(struct sink *s)
{
    if (s->fd >= 0)
        release_room(s);
    fd_drop(&s->fd);
    s->fd = -1;
}

/* Makes the name of a file just created durable. */
static bool sync_folder(struct sink *s, struct err *err)
{
    OWNED_FD int dir_fd = -1;
    OWNED_MEM char *base = NULL;
    return folders_open_parent(s->folders, s->path, &dir_fd, &base, err) &&
           file_sync_dir(dir_fd, s->path, err);
}

static bool cut_to(struct sink *s, int64_t length, struct err *err)
{
    if (FAULT("sink.cut"))
        return err_errno(err, errno, "cut %s", s->path);
    return file_cut(s->fd, length, s->path, err);
}

/* Decides where the file, open and `size` bytes long, goes on: sets `committed`. */
static bool settle_length(struct sink *s, int64_t size, bool *moved, struct err *err)
{
    bool first = s->committed < 0;
    if (!first && size < s->committed)
        return err_set(err, ERR_CONFLICT,
                       "%s is shorter than what was committed: %lld bytes, not %lld", s->path,
                       (long long)size, (long long)s->committed);
    int64_t keep = first ? (s->overwrite ? 0 : size) : s->rested ? size : s->committed;
    if (size > keep && !cut_to(s, keep, err))
        return false;
    char last = '\n';
    size_t got = 0;
    if (keep > 0 && s->compression == COMPRESS_NONE &&
        !file_read_at(s->fd, keep - 1, &last, 1, &got, s->path, err))
        return false;
    s->glue = last != '\n';
    *moved = s->committed != keep;
    s->committed = s->length = keep;
    return true;
}

static bool begin_file(struct sink *s, bool *moved, struct err *err)
{
    bool first = s->committed < 0;
    if (!open_file(s, O_RDWR | (s->committed <= 0 ? O_CREAT : 0), err))
        return false;
    struct stat st;
    bool fine = fstat(s->fd, &st) == 0 ? true : err_errno(err, errno, "%s", s->path);
    if (!fine || !settle_length(s, st.st_size, moved, err) || (first && !sync_folder(s, err))) {
        close_file(s);
        if (first)
            s->committed = s->length = -1;
        return false;
    }
    s->torn = s->rested = false;
    return true;
}

bool sink_begin(struct sink *s, bool *moved, struct err *err)
{
    *moved = false;
    return s->fd >= 0 || begin_file(s, moved, err);
}

bool sink_open(const struct data_spec *spec, const struct folders *folders,
               const struct sink_start *start, struct sink **out, struct err *err)
{
    bool csv = spec->sink_format == FORMAT_CSV;
    if (!csv && spec->sink_format != FORMAT_JSONL)
        return err_set(err, ERR_INVALID, "no writer for the format %s",
                       data_format_name(spec->sink_format));
    OWNED_MEM char *name = NULL;
    if (!folders_name(folders, spec->sink_path, &name, err))
        return false;
    OWNED(sink) struct sink *s = xcalloc(1, sizeof *s);
    s->folders = folders;
    s->format = spec->sink_format;
    s->compression = compression_of_path(spec->sink_path);
    s->path = xstrdup(spec->sink_path);
    s->overwrite = spec->sink_overwrite;
    s->fd = -1;
    s->committed = s->length = start->committed_bytes;
    s->rested = start->rested;
    s->stored_columns = csv ? xstrdup_or_null(start->columns) : NULL;
    if (csv && !(s->rows = sink_rows_new(start->columns, err)))
        return false;
    if (s->compression != COMPRESS_NONE && !(s->codec = sink_codec_new(s->compression, err)))
        return false;
    bool moved = false;
    if (s->committed >= 0 && !s->rested && !sink_begin(s, &moved, err))
        return false;
    *out = TAKE(s);
    return true;
}

void sink_free(struct sink *s)
{
    if (!s)
        return;
    close_file(s);
    free(s->path);
    free(s->parts);
    free(s->stored_columns);
    sink_rows_free(s->rows);
    sink_codec_free(s->codec);
    free(s);
}

size_t sink_mark(const struct sink *s)
{
    return s->added;
}

/* Lines that lie one after the other in memory, as those of one request do, become one part. */
static void add_part(struct sink *s, struct str line)
{
    struct iovec *last = s->part_count ? &s->parts[s->part_count - 1] : NULL;
    if (last && (char *)last->iov_base + last->iov_len == line.ptr) {
        last->iov_len += line.len;
        return;
    }
    if (s->part_count == s->part_cap) {
        s->part_cap = s->part_cap ? 2 * s->part_cap : 64;
        s->parts = xrealloc(s->parts, s->part_cap * sizeof *s->parts);
    }
    s->parts[s->part_count++] = (struct iovec){(void *)(uintptr_t)line.ptr, line.len};
}

bool sink_add(struct sink *s, struct str line, struct err *err)
{
    assert(line.len && line.ptr[line.len - 1] == '\n');
    if (!s->rows) {
        add_part(s, line);
        s->added += line.len;
        return true;
    }
    if (!sink_rows_add(s->rows, line, err))
        return false;
    s->added = sink_rows_group(s->rows).len;
    return true;
}

void sink_rewind(struct sink *s, size_t mark)
{
    assert(mark <= s->added);
    if (s->rows)
        sink_rows_rewind(s->rows, mark);
    for (size_t drop = s->added - mark; !s->rows && drop;) {
        struct iovec *last = &s->parts[s->part_count - 1];
        size_t some = drop < last->iov_len ? drop : last->iov_len;
        last->iov_len -= some;
        drop -= some;
        if (last->iov_len == 0)
            s->part_count--;
    }
    s->added = mark;
}

bool sink_pending(const struct sink *s)
{
    return s->added || s->length != s->committed;
}

/* The parts to write: in front of the group what its place in the file asks for. */
static void gather(struct sink *s, struct iovec front[3], size_t *front_count)
{
    size_t n = 0;
    if (s->glue && s->length == s->committed)
        front[n++] = (struct iovec){(void *)(uintptr_t) "\n", 1};
    if (s->rows) {
        struct str header = sink_rows_header(s->rows), group = sink_rows_group(s->rows);
        if (header.len && s->length == 0)
            front[n++] = (struct iovec){(void *)(uintptr_t)header.ptr, header.len};
        front[n++] = (struct iovec){(void *)(uintptr_t)group.ptr, group.len};
    }
    *front_count = n;
}

static bool write_group(struct sink *s, int64_t *written, struct err *err)
{
    struct iovec front[3];
    size_t front_count = 0;
    gather(s, front, &front_count);
    size_t count = front_count + s->part_count;
    OWNED_MEM struct iovec *all = xcalloc(count, sizeof *all);
    memcpy(all, front, front_count * sizeof *all);
    if (s->part_count)
        memcpy(all + front_count, s->parts, s->part_count * sizeof *all);
    if (s->codec)
        return sink_codec_write(s->codec, s->fd, s->length, all, count, s->path, written, err);
    *written = 0;
    for (size_t i = 0; i < count; i++)
        *written += (int64_t)all[i].iov_len;
    return file_writev_at(s->fd, s->length, all, count, s->path, err);
}

/* What is written to a file without a name is lost, and so is what somebody has cut off: neither
 * must be acknowledged. */
static bool still_there(struct sink *s, struct err *err)
{
    struct stat st;
    if (fstat(s->fd, &st))
        return err_errno(err, errno, "%s", s->path);
    if (st.st_nlink == 0)
        return err_set(err, ERR_CONFLICT, "%s was removed while it was being written", s->path);
    if (st.st_size < s->length)
        return err_set(err, ERR_CONFLICT,
                       "%s was cut to %lld bytes while it was being written: %lld were committed",
                       s->path, (long long)st.st_size, (long long)s->length);
    return true;
}

bool sink_flush(struct sink *s, struct err *err)
{
    if (!s->added)
        return true;
    bool moved = false;
    if (!sink_begin(s, &moved, err) || !still_there(s, err))
        return false;
    if (s->torn && !cut_to(s, s->length, err))
        return false;
    s->torn = true;
    int64_t written = 0;
    reserve_ahead(s, s->added);
    if (FAULT("sink.write"))
        return err_errno(err, errno, "write %s", s->path);
    if (!write_group(s, &written, err))
        return false;
    if (FAULT("sink.written"))
        return err_errno(err, errno, "write %s", s->path);
    if (!file_sync(s->fd, s->path, err))
        return false;
    if (FAULT("sink.synced"))
        return err_errno(err, errno, "write %s", s->path);
    s->torn = false;
    s->length += written;
    s->part_count = s->added = 0;
    if (s->rows)
        sink_rows_settle(s->rows);
    return true;
}

int64_t sink_length(const struct sink *s)
{
    return s->length;
}

const char *sink_columns(const struct sink *s)
{
    return s->rows ? sink_rows_columns(s->rows) : NULL;
}

void sink_commit(struct sink *s)
{
    assert(!s->added);
    if (s->length == s->committed)
        return;
    s->committed = s->length;
    s->glue = false;
    if (s->rows) {
        free(s->stored_columns);
        s->stored_columns = xstrdup(sink_rows_columns(s->rows));
    }
}

/* Drops the group and everything it has brought about in memory. */
static void forget_group(struct sink *s)
{
    struct err none;
    s->part_count = s->added = 0;
    bool restored = !s->rows || sink_rows_restore(s->rows, s->stored_columns, &none);
    assert(restored); /* they were taken before, or made by the rows themselves */
}

bool sink_undo(struct sink *s, struct err *err)
{
    bool dirty = s->torn || s->length != s->committed;
    forget_group(s);
    s->length = s->committed;
    if (!dirty || s->fd < 0)
        return true;
    s->torn = true;
    if (!cut_to(s, s->committed, err))
        return false;
    s->torn = false;
    return true;
}

bool sink_remove(struct sink *s, struct err *err)
{
    struct err missing = {0};
    if (s->fd < 0 && !open_file(s, O_RDONLY, &missing) && missing.code != ERR_NOT_FOUND) {
        *err = missing;
        return false;
    }
    OWNED_FD int dir_fd = -1;
    OWNED_MEM char *base = NULL;
    if (!folders_open_parent(s->folders, s->path, &dir_fd, &base, err))
        return false;
    if (unlinkat(dir_fd, base, 0) && errno != ENOENT)
        return err_errno(err, errno, "remove %s", s->path);
    close_file(s);
    s->committed = s->length = -1;
    s->torn = s->glue = s->rested = false;
    free(TAKE(s->stored_columns));
    forget_group(s);
    return file_sync_dir(dir_fd, s->path, err);
}

void sink_rest(struct sink *s)
{
    assert(!sink_pending(s));
    if (s->fd < 0)
        return;
    close_file(s);
    s->rested = !s->torn;
}

static int64_t count_ends(struct str text)
{
    int64_t count = 0;
    for (const char *end = NULL; text.len && (end = memchr(text.ptr, '\n', text.len)); count++) {
        text.len -= (size_t)(end + 1 - text.ptr);
        text.ptr = end + 1;
    }
    return count;
}

/* Lines, or rows of a CSV, in the whole stream. */
static bool count_lines(struct source_bytes *b, bool csv, int64_t *lines, struct err *err)
{
    struct csv_count rows = {.rows = 0};
    int64_t count = 0;
    char last = '\n';
    for (bool ended = false; !ended;) {
        if (!source_bytes_fill(b, &ended, err))
            return false;
        struct str text = {source_bytes_at(b), source_bytes_left(b)};
        if (csv)
            csv_count_add(&rows, text);
        else
            count += count_ends(text);
        last = text.len ? text.ptr[text.len - 1] : last;
        source_bytes_pass(b, text.len);
    }
    *lines = csv ? csv_count_end(&rows) : count + (last != '\n');
    return true;
}

bool sink_count_lines(struct sink *s, int64_t *lines, struct err *err)
{
    if (s->committed <= 0) {
        *lines = 0;
        return true;
    }
    OWNED_FD int opened = -1;
    if (s->fd < 0 && !folders_open(s->folders, s->path, O_RDONLY, &opened, NULL, err))
        return false;
    struct source_bytes b;
    source_bytes_init(&b, s->fd < 0 ? opened : s->fd, s->path, s->committed);
    bool fine = count_lines(&b, s->rows != NULL, lines, err);
    source_bytes_release(&b);
    return fine;
}
