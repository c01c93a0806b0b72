/* sink.c: the file, its groups and its committed length. See sink.h.
 *
 * Why a record is in the output exactly once. The store knows a length. Bytes below it are durable
 * and their records are done; bytes behind it are of a group whose commit did not happen, and their
 * records are not done. The length is stored once before anything is written (sink_begin), so that
 * from the first byte on there is a length to cut back to; what belongs to somebody else lies below
 * it. A compressed group is a frame, so that the cut leaves whole frames.
 *
 * Durable means: synced into the file, or part of the tail, whose bytes the same commit stored that
 * told of them. So whatever the file holds from the first byte of the tail on, even nothing, can be
 * made again. Bytes leave the store only in a commit after the sync that put them into the file,
 * and that sync is of the descriptor by which they were written: a failure to write them back
 * meanwhile is told to it. A descriptor that was closed cannot be told any more, therefore the tail
 * is written anew whenever the file is opened. */
#include "io/sink.h"

#include "base/fault.h"
#include "base/file.h"
#include "io/sink_codec.h"
#include "io/sink_lines.h"
#include "io/sink_room.h"
#include "io/sink_rows.h"
#include "io/source_bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What rides is written twice (and once more by the store's checkpoint). Above the first bound that
 * takes longer than the sync it saves; the second bounds the store's growth and the work of a
 * restart. In bytes. */
#define RIDE_MAX (112 << 10)
#define TAIL_MAX (1 << 20)
/* What rides is sent to the disk ahead in pieces of this size, in bytes. */
#define AHEAD_BYTES (256 << 10)
#define PAGE_BYTES 4096

struct sink {
    const struct folders *folders;
    enum data_format format;
    enum compression compression;
    char *path; /* as asked */
    bool overwrite;
    int fd;            /* -1: closed */
    int64_t committed; /* what stands; -1 before the first write */
    int64_t length;    /* with what was flushed or ridden since */
    int64_t synced;    /* below it all is on the disk; the tail lies behind */
    int64_t sent;      /* below it all is on its way to the disk, or there */
    bool owes_sync;    /* sink_write was called, sink_sync was not */
    struct sink_room room;
    bool torn;           /* there may be bytes behind `length` */
    bool rested;         /* closed after all was committed: what is behind it then is not ours */
    bool glue;           /* the committed part ends in a line without its end */
    size_t added;        /* bytes in the group */
    struct buf ridden;   /* what rides in the transaction at hand */
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

static void close_file(struct sink *s)
{
    if (s->fd >= 0)
        sink_room_release(&s->room, s->fd, s->length);
    fd_drop(&s->fd);
    s->fd = -1;
}

/* Has the disk begin with what was written, so that the sync that will be asked for waits less.
 * What goes wrong is told by that sync. */
static void send_ahead(struct sink *s, int64_t end)
{
    if (end > s->sent && sync_file_range(s->fd, s->sent, end - s->sent, SYNC_FILE_RANGE_WRITE))
        errno = 0;
    s->sent = end;
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

/* Writes the tail where it belongs, and syncs it. */
static bool put_tail(struct sink *s, struct str tail, struct err *err)
{
    int64_t at = s->committed - (int64_t)tail.len;
    assert(at >= 0);
    if (!file_write_at(s->fd, at, tail.ptr, tail.len, s->path, err))
        return false;
    (void)FAULT("sink.tail"); /* the tail is in the file again, and in the store */
    if (file_sync(s->fd, s->path, err))
        return true;
    err->code = ERR_IO;
    return false;
}

static bool is_another(const struct sink *s, int64_t end_bytes, struct err *err)
{
    return err_set(err, ERR_GONE,
                   "%s is not the file that results were written to: its bytes before %lld are "
                   "others",
                   s->path, (long long)end_bytes);
}

/* A file of which nothing is synced yet may hold anything after a power cut: it is known by what
 * the system calls it. */
static bool take_identity(const struct sink *s, struct sink_seal *out, struct err *err)
{
    struct stat st;
    if (fstat(s->fd, &st))
        return err_errno(err, errno, "%s", s->path);
    int len = snprintf(out->bytes, sizeof out->bytes, "%llx:%llx", (unsigned long long)st.st_dev,
                       (unsigned long long)st.st_ino);
    out->len = (size_t)len;
    return true;
}

static bool is_identical(const struct sink *s, const struct sink_seal *seal, bool *ours,
                         struct err *err)
{
    struct sink_seal now = {0};
    if (!take_identity(s, &now, err))
        return false;
    *ours = now.len == seal->len && memcmp(now.bytes, seal->bytes, now.len) == 0;
    return true;
}

/* Whether the file is the one that was written to: what belongs to somebody else is neither cut nor
 * written over. Below `sure` all was synced. */
static bool is_ours(struct sink *s, int64_t sure, const struct sink_start *start, struct err *err)
{
    const struct sink_seal *seal = &start->seal;
    int64_t at = seal->end_bytes - (int64_t)seal->len;
    bool ours = true;
    if (seal->len && seal->end_bytes == 0)
        return is_identical(s, seal, &ours, err) && (ours || is_another(s, s->committed, err));
    if (!seal->len || at < 0 || seal->end_bytes > sure)
        return true;
    return sink_holds(s, at, (struct str){seal->bytes, seal->len}, &ours, err) &&
           (ours || is_another(s, seal->end_bytes, err));
}

/* Decides where the file, open and `size` bytes long, goes on: sets `committed`. */
static bool settle_length(struct sink *s, int64_t size, const struct sink_start *start, bool *moved,
                          struct err *err)
{
    struct str tail = start->tail;
    bool first = s->committed < 0;
    int64_t sure = s->committed - (int64_t)tail.len;
    if (!first && size < sure)
        return err_set(err, ERR_GONE, "%s is shorter than what was committed: %lld bytes, not %lld",
                       s->path, (long long)size, (long long)sure);
    if (!first && !s->rested && !is_ours(s, sure, start, err))
        return false;
    int64_t keep = first ? (s->overwrite ? 0 : size) : s->rested ? size : s->committed;
    if (size > keep && !cut_to(s, keep, err))
        return false;
    if (tail.len && !put_tail(s, tail, err))
        return false;
    char last = '\n';
    size_t got = 0;
    if (keep > 0 && s->compression == COMPRESS_NONE &&
        !file_read_at(s->fd, keep - 1, &last, 1, &got, s->path, err))
        return false;
    s->glue = last != '\n';
    *moved = s->committed != keep;
    s->committed = s->length = s->synced = s->sent = keep;
    return true;
}

static bool begin_file(struct sink *s, const struct sink_start *start, bool *moved, struct err *err)
{
    bool first = s->committed < 0;
    if (!open_file(s, O_RDWR | (s->committed <= 0 ? O_CREAT : 0), err)) {
        if (err->code == ERR_NOT_FOUND && s->committed > 0)
            err->code = ERR_GONE;
        return false;
    }
    struct stat st;
    bool fine = fstat(s->fd, &st) == 0 ? true : err_errno(err, errno, "%s", s->path);
    if (!fine || !settle_length(s, st.st_size, start, moved, err) ||
        (first && !sync_folder(s, err))) {
        close_file(s);
        if (first)
            s->committed = s->length = s->synced = s->sent = -1;
        return false;
    }
    s->torn = s->rested = false;
    return true;
}

bool sink_begin(struct sink *s, bool *moved, struct err *err)
{
    static const struct sink_start none;
    *moved = false;
    return s->fd >= 0 || begin_file(s, &none, moved, err);
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
    s->committed = s->length = s->synced = s->sent = start->committed_bytes;
    s->rested = start->rested;
    buf_init(&s->ridden, BUF_NO_CAP);
    assert(!start->tail.len || (s->committed >= 0 && !s->rested));
    s->stored_columns = csv ? xstrdup_or_null(start->columns) : NULL;
    if (csv && !(s->rows = sink_rows_new(start->columns, err)))
        return false;
    if (s->compression != COMPRESS_NONE && !(s->codec = sink_codec_new(s->compression, err)))
        return false;
    bool moved = false;
    if (s->committed >= 0 && !s->rested && !begin_file(s, start, &moved, err))
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
    buf_release(&s->ridden);
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
    /* Not looked at: whoever made it has its bytes at hand, to us they would come from afar. */
    assert(line.len);
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

/* The whole group in pieces, to be freed. */
static struct iovec *group_parts(struct sink *s, size_t *count)
{
    struct iovec front[3];
    size_t front_count = 0;
    gather(s, front, &front_count);
    *count = front_count + s->part_count;
    struct iovec *all = xcalloc(*count, sizeof *all);
    memcpy(all, front, front_count * sizeof *all);
    if (s->part_count)
        memcpy(all + front_count, s->parts, s->part_count * sizeof *all);
    return all;
}

static bool write_group(struct sink *s, bool rides, int64_t *written, struct err *err)
{
    size_t count = 0;
    OWNED_MEM struct iovec *all = group_parts(s, &count);
    if (s->codec)
        return sink_codec_write(s->codec, s->fd, s->length, all, count, s->path, written, err);
    *written = 0;
    for (size_t i = 0; i < count; i++) {
        *written += (int64_t)all[i].iov_len;
        if (rides)
            buf_add(&s->ridden, all[i].iov_base, all[i].iov_len);
    }
    return file_writev_at(s->fd, s->length, all, count, s->path, err);
}

/* What is written to a file without a name is lost, so is what somebody has cut off, and what goes
 * to another place than the output's nobody finds there after a restart: none of it must be
 * acknowledged. */
static bool still_there(struct sink *s, struct err *err)
{
    struct file_look seen;
    if (!file_look(s->fd, NULL, &seen))
        return err_errno(err, errno, "%s", s->path);
    if (seen.names == 0)
        return err_set(err, ERR_GONE, "%s was removed while it was being written", s->path);
    struct file_id now, own = {.device = seen.device, .inode = seen.inode};
    if (!folders_file_id(s->folders, s->path, &now) || !file_id_same(&now, &own))
        return err_set(err, ERR_GONE, "%s was moved away while it was being written: put it back",
                       s->path);
    if (seen.size_bytes < s->length)
        return err_set(err, ERR_GONE,
                       "%s was cut to %lld bytes while it was being written: %lld were committed",
                       s->path, (long long)seen.size_bytes, (long long)s->length);
    return true;
}

/* Writes the group behind the end. */
static bool write_behind(struct sink *s, bool rides, int64_t *written, struct err *err)
{
    bool moved = false;
    if (!sink_begin(s, &moved, err) || !still_there(s, err))
        return false;
    if (s->torn && !cut_to(s, s->length, err))
        return false;
    s->torn = true;
    sink_room_reserve(&s->room, s->fd, s->length, s->added);
    if (FAULT("sink.write"))
        return err_errno(err, errno, "write %s", s->path);
    if (!write_group(s, rides, written, err))
        return false;
    return FAULT("sink.written") ? err_errno(err, errno, "write %s", s->path) : true;
}

/* The group is written as its way asks for. */
static void take_group(struct sink *s, int64_t written)
{
    s->torn = false;
    s->length += written;
    s->part_count = s->added = 0;
    if (s->rows)
        sink_rows_settle(s->rows);
}

bool sink_write(struct sink *s, struct err *err)
{
    int64_t written = 0;
    if (!s->added && s->synced == s->length)
        return true;
    if (s->added) {
        if (!write_behind(s, false, &written, err))
            return false;
        take_group(s, written);
    }
    send_ahead(s, s->length);
    s->owes_sync = true;
    return true;
}

bool sink_sync(struct sink *s, struct err *err)
{
    if (!s->owes_sync)
        return true;
    if (!file_sync(s->fd, s->path, err))
        return false;
    if (FAULT("sink.synced"))
        return err_errno(err, errno, "write %s", s->path);
    s->synced = s->sent = s->length;
    s->owes_sync = false;
    return true;
}

bool sink_flush(struct sink *s, struct err *err)
{
    return sink_write(s, err) && sink_sync(s, err);
}

bool sink_may_ride(const struct sink *s)
{
    return !s->codec && s->added <= RIDE_MAX &&
           s->length - s->synced + (int64_t)s->added <= TAIL_MAX;
}

bool sink_ride(struct sink *s, struct err *err)
{
    int64_t written = 0;
    assert(!s->codec && !s->ridden.len);
    if (!s->added)
        return true;
    if (!write_behind(s, true, &written, err))
        return false;
    take_group(s, written);
    /* The page at the end will be written again: it is not sent. */
    int64_t whole = s->length - s->length % PAGE_BYTES;
    if (whole - s->sent >= AHEAD_BYTES)
        send_ahead(s, whole);
    return true;
}

struct str sink_ridden(const struct sink *s)
{
    return buf_str(&s->ridden);
}

int64_t sink_synced(const struct sink *s)
{
    return s->owes_sync ? s->length : s->synced;
}

bool sink_take_seal(struct sink *s, struct sink_seal *out, struct err *err)
{
    int64_t end = sink_synced(s), at = end > SINK_SEAL_BYTES ? end - SINK_SEAL_BYTES : 0;
    *out = (struct sink_seal){.end_bytes = end > 0 ? end : 0};
    if (end == 0)
        return take_identity(s, out, err);
    return end < 0 ||
           file_read_at(s->fd, at, out->bytes, (size_t)(end - at), &out->len, s->path, err);
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
    assert(!s->added && !s->owes_sync);
    s->ridden.len = 0;
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
    s->part_count = s->added = s->ridden.len = 0;
    bool restored = !s->rows || sink_rows_restore(s->rows, s->stored_columns, &none);
    assert(restored); /* they were taken before, or made by the rows themselves */
}

bool sink_undo(struct sink *s, struct err *err)
{
    bool dirty = s->torn || s->length != s->committed;
    forget_group(s);
    s->length = s->committed;
    s->owes_sync = false;
    if (s->synced > s->length)
        s->synced = s->length;
    if (s->sent > s->length)
        s->sent = s->length;
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
    s->committed = s->length = s->synced = s->sent = -1;
    s->torn = s->glue = s->rested = false;
    free(TAKE(s->stored_columns));
    forget_group(s);
    return file_sync_dir(dir_fd, s->path, err);
}

void sink_rest(struct sink *s)
{
    assert(!sink_pending(s) && s->synced == s->length);
    if (s->fd < 0)
        return;
    close_file(s);
    s->rested = !s->torn;
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
    bool fine = sink_lines_count(&b, s->rows != NULL, lines, err);
    source_bytes_release(&b);
    return fine;
}

bool sink_holds(struct sink *s, int64_t at_bytes, struct str bytes, bool *holds, struct err *err)
{
    OWNED_MEM char *got = xcalloc(bytes.len + 1, 1);
    size_t len = 0;
    if (!file_read_at(s->fd, at_bytes, got, bytes.len, &len, s->path, err))
        return false;
    *holds = str_eq((struct str){got, len}, bytes);
    return true;
}
