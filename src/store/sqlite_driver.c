/* sqlite_driver.c: SQLite as the engine of a store; only it and sqlite_vfs.c know sqlite3.h.
 *
 * One connection has the file to itself (locking_mode=EXCLUSIVE), so the index of the WAL lives in
 * our memory and no second connection can ever check the WAL in beside us, which SQLite 3.40 does
 * not survive undamaged. synchronous=FULL: a commit is one write to the WAL and one fdatasync.
 *
 * Checkpoints are ours, right after a commit, and not SQLite's own, which would swallow their
 * errors: when a sync fails, the process has to stop, wherever that happens. */
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_vfs.h"
#include "store/store_driver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB_NAME "penstock.db"

/* Small enough that a checkpoint (mostly of the same few pages, written again and again) is a
 * matter of some milliseconds, large enough that it is rare: results that ride are gone from most
 * of their pages by then. */
enum { CHECKPOINT_PAGES = 3600 };
/* So many instructions are one of stmt_limit's units of work. */
enum { WORK_INSTRUCTIONS = 100 };

struct engine_link {
    sqlite3 *db;
    int dir_fd;     /* the path of the file leads through it */
    ino_t inode;    /* of the file */
    char *dir_name; /* for messages */
    sqlite3_stmt *begin, *commit, *rollback;
    int wal_pages;     /* after the last commit */
    int checkpoint_at; /* so many pages */
    int64_t work_left; /* of the statement that has a limit */
};

/* Where a parameter is. Names are literals at the call, so that mostly their address is enough. */
struct bound {
    const char *name;
    int at;
};

struct engine_stmt {
    struct engine_link *link;
    sqlite3_stmt *q;
    int failed; /* a bind did: the next step says so */
    bool limited;
    struct bound *bound; /* in the order that they were bound the first time */
    size_t bound_count, bound_next;
};

static const char settings[] =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA page_size = 4096;"
    "PRAGMA cache_size = -4096;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA mmap_size = 0;"
    "PRAGMA secure_delete = OFF;" /* on in Debian's build; nothing secret is stored in the clear */
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA journal_size_limit = 16777216;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;";

/* ---- errors ---- */

static enum err_code code_of(int result, int system_errno)
{
    switch (result) {
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
        return ERR_FATAL;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return ERR_CONFLICT;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return ERR_NOT_FOUND;
    default:
        break;
    }
    int kind = result & 0xff;
    bool full = system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
    if (kind == SQLITE_FULL || ((kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN) && full))
        return ERR_NO_SPACE;
    return kind == SQLITE_BUSY || kind == SQLITE_LOCKED ? ERR_BUSY : ERR_STORE;
}

static bool is_damage(int result)
{
    return (result & 0xff) == SQLITE_CORRUPT || (result & 0xff) == SQLITE_NOTADB;
}

/* States what SQLite has just answered. Always false. The system's reason is in errno still;
 * sqlite3_system_errno does not know it when a COMMIT failed. */
static bool fail(struct engine_link *link, int result, struct err *err)
{
    int number = errno;
    enum err_code code = code_of(result, number);
    int kind = result & 0xff;
    /* After a failed sync nobody knows what the file holds: leave it as it is on the way out. */
    if (code == ERR_FATAL)
        sqlite3_db_config(link->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (is_damage(result))
        return err_set(err, code,
                       "the store %.200s/" DB_NAME " is damaged (%s): check it with `penstock "
                       "doctor`, or put back a copy of the state folder",
                       link->dir_name, sqlite3_errstr(result));
    if (result == SQLITE_INTERRUPT)
        return err_set(err, ERR_LIMIT, "it takes longer than it may");
    if (code == ERR_BUSY)
        return err_set(err, code, "another program has the store %.300s/" DB_NAME " open",
                       link->dir_name);
    if (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN)
        return err_set(err, code, "the store %.300s/" DB_NAME ": %s: %s", link->dir_name,
                       sqlite3_errmsg(link->db), strerror(number));
    if (code == ERR_NO_SPACE)
        return err_set(err, code, "the store %.300s/" DB_NAME ": no space left", link->dir_name);
    return err_set(err, code, "%s", sqlite3_errmsg(link->db));
}

/* ---- opening ---- */

/* SQLite would make it readable for everybody, and say less when it cannot. */
static bool make_file(struct engine_link *link, struct err *err)
{
    OWNED_FD int fd =
        openat(link->dir_fd, DB_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, errno, "open %.300s/" DB_NAME, link->dir_name);
    struct stat st;
    if (fstat(fd, &st))
        return err_errno(err, errno, "open %.300s/" DB_NAME, link->dir_name);
    link->inode = st.st_ino;
    return file_sync_dir(link->dir_fd, DB_NAME, err);
}

static int note_wal(void *context, sqlite3 *db, const char *schema, int pages)
{
    struct engine_link *link = context;
    (void)db;
    (void)schema;
    link->wal_pages = pages;
    return SQLITE_OK;
}

static int prepare_kept(struct engine_link *link, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(link->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

static void sqlite_close(struct engine_link *link)
{
    sqlite3_finalize(link->begin);
    sqlite3_finalize(link->commit);
    sqlite3_finalize(link->rollback);
    int result = sqlite3_close(link->db);
    assert(result == SQLITE_OK);
    (void)result;
    fd_drop(&link->dir_fd);
    free(link->dir_name);
    free(link);
}

static bool open_file(struct engine_link *link, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d/" DB_NAME, link->dir_fd);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int result = sqlite3_open_v2(path, &link->db, flags, sqlite_vfs_name());
    if (result == SQLITE_OK)
        result = sqlite3_exec(link->db, settings, NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = prepare_kept(link, "BEGIN", &link->begin);
    if (result == SQLITE_OK)
        result = prepare_kept(link, "COMMIT", &link->commit);
    if (result == SQLITE_OK)
        result = prepare_kept(link, "ROLLBACK", &link->rollback);
    if (result != SQLITE_OK)
        return fail(link, result, err);
    sqlite3_wal_hook(link->db, note_wal, link);
    return true;
}

static bool sqlite_open(int dir_fd, const char *dir_name, struct engine_link **out, struct err *err)
{
    struct engine_link *link = xcalloc(1, sizeof *link);
    link->checkpoint_at = CHECKPOINT_PAGES;
    link->dir_name = xstrdup(dir_name);
    link->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    bool ok = link->dir_fd >= 0 || err_errno(err, errno, "open %.300s", dir_name);
    if (ok && make_file(link, err) && open_file(link, err)) {
        *out = link;
        return true;
    }
    sqlite_close(link);
    return false;
}

/* ---- transactions ---- */

static int run_kept(sqlite3_stmt *q)
{
    sqlite3_step(q);
    return sqlite3_reset(q);
}

static bool sqlite_begin(struct engine_link *link, struct err *err)
{
    int result = run_kept(link->begin);
    return result == SQLITE_OK ? true : fail(link, result, err);
}

/* What was committed stays in the WAL when this fails, so anything but a failed sync can wait for
 * the next time. */
static bool checkpoint(struct engine_link *link, struct err *err)
{
    int result = sqlite3_wal_checkpoint_v2(link->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    link->checkpoint_at = CHECKPOINT_PAGES;
    if (result == SQLITE_OK)
        return true;
    struct err why;
    fail(link, result, &why);
    if (why.code == ERR_FATAL) {
        *err = why;
        return err_add(err, "checkpoint");
    }
    link->checkpoint_at = link->wal_pages + CHECKPOINT_PAGES;
    LOG1(LOG_WARN, "store.checkpoint_failed", "reason", "%s", why.text);
    return true;
}

/* SQLite goes on in files whose names are gone, and all that it commits ends with this process. */
static bool still_there(const struct engine_link *link, struct err *err)
{
    struct file_look db, wal;
    if (file_look(link->dir_fd, DB_NAME, &db) && db.inode == link->inode &&
        file_look(link->dir_fd, DB_NAME "-wal", &wal))
        return true;
    return err_set(err, ERR_FATAL, "the store %.150s/" DB_NAME " was removed while it was in use",
                   link->dir_name);
}

static bool sqlite_commit(struct engine_link *link, struct store_written *written, struct err *err)
{
    bool tells = written->call != NULL;
    if (tells)
        sqlite_vfs_tell_written(link->db, written);
    int result = run_kept(link->commit);
    if (tells)
        sqlite_vfs_tell_written(link->db, NULL);
    if (result != SQLITE_OK)
        return fail(link, result, err);
    if (!still_there(link, err))
        return false;
    return link->wal_pages < link->checkpoint_at || checkpoint(link, err);
}

static void sqlite_rollback(struct engine_link *link)
{
    /* SQLite has done so by itself after some errors; a failure here leaves nothing to undo. */
    if (!sqlite3_get_autocommit(link->db))
        run_kept(link->rollback);
}

static bool sqlite_run(struct engine_link *link, const char *sql, struct err *err)
{
    int result = sqlite3_exec(link->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? true : fail(link, result, err);
}

/* Runs a check whose rows are faults. Damage that ends it is one more of them. */
static bool run_check(struct engine_link *link, const char *sql,
                      void (*say)(void *context, const char *fault), void *context, struct err *err)
{
    sqlite3_stmt *q = NULL;
    int result = prepare_kept(link, sql, &q);
    if (result == SQLITE_OK) {
        while (sqlite3_step(q) == SQLITE_ROW)
            say(context, (const char *)sqlite3_column_text(q, 0));
        result = sqlite3_finalize(q);
    }
    if (result == SQLITE_OK)
        return true;
    struct err why;
    fail(link, result, &why);
    if (is_damage(result)) {
        say(context, why.text);
        return true;
    }
    *err = why;
    return false;
}

static bool sqlite_verify(struct engine_link *link, void (*say)(void *context, const char *fault),
                          void *context, struct err *err)
{
    static const char *const checks[] = {
        "SELECT integrity_check FROM pragma_integrity_check(100) WHERE integrity_check <> 'ok'",
        "SELECT 'table ' || \"table\" || ': a row without the row of ' || parent ||"
        " ' it belongs to' FROM pragma_foreign_key_check() LIMIT 100"};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!run_check(link, checks[i], say, context, err))
            return false;
    return true;
}

/* ---- statements ---- */

static bool sqlite_prepare(struct engine_link *link, const char *sql, struct engine_stmt **out,
                           struct err *err)
{
    sqlite3_stmt *prepared = NULL;
    int result = prepare_kept(link, sql, &prepared);
    if (result != SQLITE_OK)
        return fail(link, result, err);
    struct engine_stmt *q = xcalloc(1, sizeof *q);
    *q = (struct engine_stmt){.link = link, .q = prepared};
    *out = q;
    return true;
}

static void sqlite_finish(struct engine_stmt *q)
{
    sqlite3_finalize(q->q);
    free(q->bound);
    free(q);
}

static int find_parameter(struct engine_stmt *q, const char *name)
{
    int at = sqlite3_bind_parameter_index(q->q, name);
    assert(at > 0);
    return at;
}

/* Parameters are bound in the same order each time, and finding one by its name takes longer than
 * binding it. */
static int parameter(struct engine_stmt *q, const char *name)
{
    size_t next = q->bound_next;
    if (next >= q->bound_count || q->bound[next].name != name)
        next = 0;
    while (next < q->bound_count && q->bound[next].name != name)
        next++;
    if (next == q->bound_count) {
        q->bound = xrealloc(q->bound, (next + 1) * sizeof *q->bound);
        q->bound[q->bound_count++] = (struct bound){name, find_parameter(q, name)};
    }
    q->bound_next = next + 1;
    return q->bound[next].at;
}

static void note_bind(struct engine_stmt *q, int result)
{
    if (result != SQLITE_OK)
        q->failed = result;
}

static void sqlite_bind_null(struct engine_stmt *q, const char *name)
{
    note_bind(q, sqlite3_bind_null(q->q, parameter(q, name)));
}

static void sqlite_bind_i64(struct engine_stmt *q, const char *name, int64_t value)
{
    note_bind(q, sqlite3_bind_int64(q->q, parameter(q, name), value));
}

static void sqlite_bind_text(struct engine_stmt *q, const char *name, struct str value)
{
    note_bind(q, sqlite3_bind_text64(q->q, parameter(q, name), value.ptr, value.len, SQLITE_STATIC,
                                     SQLITE_UTF8));
}

static void sqlite_bind_blob(struct engine_stmt *q, const char *name, struct str value)
{
    note_bind(q,
              sqlite3_bind_blob64(q->q, parameter(q, name), value.ptr, value.len, SQLITE_STATIC));
}

static int is_used_up(void *context)
{
    struct engine_link *link = context;
    return --link->work_left <= 0;
}

static void sqlite_limit(struct engine_stmt *q, int64_t work)
{
    q->limited = true;
    q->link->work_left = work;
    sqlite3_progress_handler(q->link->db, WORK_INSTRUCTIONS, is_used_up, q->link);
}

static enum row sqlite_step(struct engine_stmt *q, struct err *err)
{
    int result = q->failed ? q->failed : sqlite3_step(q->q);
    if (result == SQLITE_ROW)
        return ROW_HERE;
    if (result == SQLITE_DONE)
        return ROW_NONE;
    fail(q->link, result, err);
    return ROW_FAILED;
}

static int64_t sqlite_changed(struct engine_stmt *q)
{
    return sqlite3_changes64(q->link->db);
}

static int64_t sqlite_inserted_id(struct engine_stmt *q)
{
    return sqlite3_last_insert_rowid(q->link->db);
}

static void sqlite_rewind(struct engine_stmt *q)
{
    sqlite3_reset(q->q); /* repeats the error that the step has told */
    q->failed = SQLITE_OK;
    if (q->limited)
        sqlite3_progress_handler(q->link->db, 0, NULL, NULL);
    q->limited = false;
}

static int64_t sqlite_column_i64(struct engine_stmt *q, int column)
{
    return sqlite3_column_int64(q->q, column);
}

/* SQLite gives NULL for an empty blob too; here only NULL is NULL. */
static struct str borrowed(struct engine_stmt *q, int column, const void *bytes)
{
    if (sqlite3_column_type(q->q, column) == SQLITE_NULL)
        return (struct str){NULL, 0};
    return (struct str){bytes ? bytes : "", (size_t)sqlite3_column_bytes(q->q, column)};
}

static struct str sqlite_column_text(struct engine_stmt *q, int column)
{
    return borrowed(q, column, sqlite3_column_text(q->q, column));
}

static struct str sqlite_column_blob(struct engine_stmt *q, int column)
{
    return borrowed(q, column, sqlite3_column_blob(q->q, column));
}

const struct store_driver sqlite_driver = {
    .name = "sqlite",
    .migrations = sqlite_migrations,
    .migration_count = SQLITE_SCHEMA_VERSION,
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .run = sqlite_run,
    .verify = sqlite_verify,
    .prepare = sqlite_prepare,
    .finish = sqlite_finish,
    .bind_null = sqlite_bind_null,
    .bind_i64 = sqlite_bind_i64,
    .bind_text = sqlite_bind_text,
    .bind_blob = sqlite_bind_blob,
    .limit = sqlite_limit,
    .step = sqlite_step,
    .changed = sqlite_changed,
    .inserted_id = sqlite_inserted_id,
    .rewind = sqlite_rewind,
    .column_i64 = sqlite_column_i64,
    .column_text = sqlite_column_text,
    .column_blob = sqlite_column_blob,
};
