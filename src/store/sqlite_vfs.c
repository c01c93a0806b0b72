/* sqlite_vfs.c: see sqlite_vfs.h.
 *
 * What SQLite writes to the WAL is kept until it asks for a sync, or for anything else that tells
 * what the file holds; then it is in the file. So SQLite sees the same file at every moment, and a
 * write that fails is told by the sync behind it: SQLite takes nothing for written before that.
 * What lies behind the last frame of a WAL is no frame, whatever it is: zeros as well as old ones.
 */
#include "store/sqlite_vfs.h"

#include "base/own.h"
#include "store/store_driver.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's own files take no more than 128 KiB at a time. */
enum { KEPT_MAX = 120 << 10, GROW_BYTES = 256 << 10, WAL_HEADER_BYTES = 32 };

struct wal_file {
    sqlite3_file base; /* first: it is what SQLite holds */
    sqlite3_file *real;
    sqlite3_int64 size; /* of the real file */
    sqlite3_int64 at;   /* where what is kept belongs */
    size_t kept;
    char *bytes; /* KEPT_MAX */
    bool frames; /* some were written since its head was, or since a sync */
    struct store_written *written;
};

static sqlite3_vfs *real_vfs;

/* As far as the file grows it grows to the next step; where there is no room for that it does not
 * matter. */
static void grow(struct wal_file *f)
{
    static const char zeros[16 << 10];
    sqlite3_int64 to = (f->size / GROW_BYTES + 1) * GROW_BYTES;
    while (f->size < to) {
        sqlite3_int64 some = to - f->size;
        if (some > (sqlite3_int64)sizeof zeros)
            some = (sqlite3_int64)sizeof zeros;
        if (f->real->pMethods->xWrite(f->real, zeros, (int)some, f->size) != SQLITE_OK)
            return;
        f->size += some;
    }
}

static int write_through(struct wal_file *f, const void *bytes, int len, sqlite3_int64 at)
{
    int result = f->real->pMethods->xWrite(f->real, bytes, len, at);
    f->frames = at + len > WAL_HEADER_BYTES;
    if (result != SQLITE_OK || at + len <= f->size)
        return result;
    f->size = at + len;
    grow(f);
    return SQLITE_OK;
}

/* What could not be written is forgotten: SQLite rolls back. */
static int let_go(struct wal_file *f)
{
    size_t len = f->kept;
    f->kept = 0;
    return len ? write_through(f, f->bytes, (int)len, f->at) : SQLITE_OK;
}

static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct wal_file *f = (struct wal_file *)file;
    bool follows = at == f->at + (sqlite3_int64)f->kept && f->kept + (size_t)len <= KEPT_MAX;
    if (f->kept && !follows) {
        int result = let_go(f);
        if (result != SQLITE_OK)
            return result;
    }
    if (len > KEPT_MAX)
        return write_through(f, bytes, len, at);
    if (!f->kept)
        f->at = at;
    memcpy(f->bytes + f->kept, bytes, (size_t)len);
    f->kept += (size_t)len;
    return SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    struct wal_file *f = (struct wal_file *)file;
    int result = let_go(f);
    return result == SQLITE_OK ? f->real->pMethods->xRead(f->real, out, len, at) : result;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wal_file *f = (struct wal_file *)file;
    int result = let_go(f);
    if (result == SQLITE_OK)
        result = f->real->pMethods->xTruncate(f->real, size);
    if (result == SQLITE_OK && size < f->size)
        f->size = size;
    return result;
}

static int wal_sync(sqlite3_file *file, int flags)
{
    struct wal_file *f = (struct wal_file *)file;
    int result = let_go(f);
    if (result != SQLITE_OK)
        return result;
    /* The head of a new WAL is synced by itself, before any frame; a commit's frames, the last of
     * which makes it one, are synced together. */
    if (f->frames && f->written && f->written->call) {
        void (*call)(void *context) = f->written->call;
        f->written->call = NULL;
        call(f->written->context);
    }
    f->frames = false;
    return f->real->pMethods->xSync(f->real, flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *out)
{
    struct wal_file *f = (struct wal_file *)file;
    int result = let_go(f);
    return result == SQLITE_OK ? f->real->pMethods->xFileSize(f->real, out) : result;
}

static int wal_close(sqlite3_file *file)
{
    struct wal_file *f = (struct wal_file *)file;
    int written = let_go(f), closed = f->real->pMethods->xClose(f->real);
    free(f->bytes);
    return written == SQLITE_OK ? closed : written;
}

/* The rest is the real file's. */

static int wal_lock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = ((struct wal_file *)file)->real;
    return real->pMethods->xLock(real, lock);
}

static int wal_unlock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = ((struct wal_file *)file)->real;
    return real->pMethods->xUnlock(real, lock);
}

static int wal_check_lock(sqlite3_file *file, int *out)
{
    sqlite3_file *real = ((struct wal_file *)file)->real;
    return real->pMethods->xCheckReservedLock(real, out);
}

static int wal_control(sqlite3_file *file, int verb, void *argument)
{
    sqlite3_file *real = ((struct wal_file *)file)->real;
    return real->pMethods->xFileControl(real, verb, argument);
}

static int wal_sector(sqlite3_file *file)
{
    sqlite3_file *real = ((struct wal_file *)file)->real;
    return real->pMethods->xSectorSize(real);
}

static int wal_device(sqlite3_file *file)
{
    sqlite3_file *real = ((struct wal_file *)file)->real;
    return real->pMethods->xDeviceCharacteristics(real);
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector,
    .xDeviceCharacteristics = wal_device,
};

static int open_wal(struct wal_file *f, const char *path, int flags, int *out_flags)
{
    memset(f, 0, sizeof *f);
    f->real = (sqlite3_file *)(f + 1);
    int result = real_vfs->xOpen(real_vfs, path, f->real, flags, out_flags);
    if (result == SQLITE_OK)
        result = f->real->pMethods->xFileSize(f->real, &f->size);
    if (result != SQLITE_OK) {
        if (f->real->pMethods)
            f->real->pMethods->xClose(f->real);
        return result;
    }
    f->bytes = xcalloc(1, KEPT_MAX);
    f->base.pMethods = &wal_methods;
    return SQLITE_OK;
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                     int *out_flags)
{
    (void)vfs;
    if (flags & SQLITE_OPEN_WAL)
        return open_wal((struct wal_file *)file, path, flags, out_flags);
    return real_vfs->xOpen(real_vfs, path, file, flags, out_flags);
}

/* SQLite's own looks up where links lead and limits what it finds to 512 characters; our path goes
 * through a descriptor, stays short, and is right after the folder was renamed. */
static int keep_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
}

const char *sqlite_vfs_name(void)
{
    static const char name[] = "penstock";
    static sqlite3_vfs vfs;
    if (!real_vfs) {
        real_vfs = sqlite3_vfs_find(NULL);
        vfs = *real_vfs;
        vfs.zName = name;
        vfs.szOsFile += (int)sizeof(struct wal_file);
        vfs.xOpen = open_file;
        vfs.xFullPathname = keep_path;
        sqlite3_vfs_register(&vfs, 0);
    }
    return name;
}

void sqlite_vfs_tell_written(struct sqlite3 *db, struct store_written *written)
{
    sqlite3_file *wal = NULL;
    int result = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (result == SQLITE_OK && wal && wal->pMethods == &wal_methods)
        ((struct wal_file *)wal)->written = written;
}
