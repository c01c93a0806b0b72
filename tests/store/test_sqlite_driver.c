/* test_sqlite_driver.c: what only a store on SQLite meets: its file, its disk, its versions.
 *
 * The system calls that the library makes are ours here (the program's definition comes before
 * libc's), so that a disk that is full or broken is one variable. */
#include "store_fixture.h"

#include "base/log.h"
#include "store/store_driver.h"
#include "store/tail_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- a disk that fails ---- */

enum disk_call { DISK_WRITE, DISK_SYNC, DISK_CALLS };

static struct {
    int skip;     /* calls that still go well */
    int number;   /* errno of those that fail, 0: none does */
    bool once;    /* only one fails */
    bool halves;  /* writes come back short */
    bool on_main; /* only on penstock.db itself, not on its WAL */
} disk[DISK_CALLS];

static bool is_main(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path);
    static const char end[] = "/penstock.db";
    size_t tail = sizeof end - 1;
    return len > (ssize_t)tail && memcmp(path + (size_t)len - tail, end, tail) == 0;
}

static bool disk_fails(enum disk_call call, int fd)
{
    if (!disk[call].number || (disk[call].on_main && !is_main(fd)) || disk[call].skip-- > 0)
        return false;
    errno = disk[call].number;
    if (disk[call].once)
        disk[call].number = 0;
    return true;
}

static void disk_heal(void)
{
    memset(disk, 0, sizeof disk);
}

static int syncs; /* of whatever file */

static int heal_and_tear_down(void **state)
{
    disk_heal();
    return fixture_tear_down(state);
}
#define DISK_CASE(name)                                                                            \
    {                                                                                              \
#name, name, fixture_set_up, heal_and_tear_down, NULL                                      \
    }

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    if (disk_fails(DISK_WRITE, fd))
        return -1;
    if (disk[DISK_WRITE].halves && len > 1)
        len /= 2;
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, at);
}

int fdatasync(int fd)
{
    syncs++;
    return disk_fails(DISK_SYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* Commits a job of that name on the disk as it is, with so much that it takes many writes. */
static bool try_job(struct fixture *f, const char *name)
{
    enum { MUCH = 500000 };
    OWNED_MEM char *much = xcalloc(1, MUCH);
    fixture_begin(f);
    int64_t id = fixture_job(f, name);
    OK(f, tail_store_add(f->tx, id, 0, (struct str){much, MUCH}, &f->err));
    bool ok = tx_commit(f->tx, &f->err);
    fixture_roll_back(f);
    return ok;
}

static void expect_jobs(struct fixture *f, int count)
{
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), count);
    fixture_roll_back(f);
}

static void a_full_disk_is_told_and_work_goes_on_when_space_returns(void **state)
{
    struct fixture *f = *state;
    static const int numbers[] = {ENOSPC, EDQUOT};
    for (int i = 0; i < 2; i++)
        for (int good = 0; good < 3; good++) {
            disk[DISK_WRITE].number = numbers[i];
            disk[DISK_WRITE].skip = good;
            REFUSED(f, ERR_NO_SPACE, try_job(f, "lost"));
            disk_heal();
            expect_jobs(f, 0);
        }
    OK(f, try_job(f, "kept"));
    fixture_reopen(f);
    expect_jobs(f, 1);
}

static void a_write_error_is_told_and_the_store_stays_usable(void **state)
{
    struct fixture *f = *state;
    disk[DISK_WRITE].number = EIO;
    REFUSED(f, ERR_STORE, try_job(f, "lost"));
    disk_heal();
    OK(f, try_job(f, "kept"));
    fixture_reopen(f);
    expect_jobs(f, 1);
}

static void interrupted_and_short_writes_are_carried_on(void **state)
{
    struct fixture *f = *state;
    disk[DISK_WRITE].number = EINTR;
    disk[DISK_WRITE].once = true;
    disk[DISK_WRITE].halves = true;
    OK(f, try_job(f, "kept"));
    assert_int_equal(disk[DISK_WRITE].number, 0);
    disk_heal();
    fixture_reopen(f);
    expect_jobs(f, 1);
}

static void a_failed_sync_is_fatal(void **state)
{
    struct fixture *f = *state;
    disk[DISK_SYNC].number = EIO;
    REFUSED(f, ERR_FATAL, try_job(f, "unknown"));
    disk_heal();
    fixture_reopen(f);
    fixture_begin(f);
    assert_in_range(fixture_count_jobs(f), 0, 1);
    fixture_roll_back(f);
}

/* ---- what is written and not synced ---- */

struct told {
    struct fixture *f;
    int count;  /* how often */
    int syncs;  /* that had been at the last of them */
    char *copy; /* a folder for the files as they are then; NULL: they are not copied */
};

static void copy_file(struct fixture *f, const char *name, const char *to)
{
    OWNED_MEM char *path = xasprintf("%s/%s", to, name);
    OWNED_FD int from = openat(f->dir_fd, name, O_RDONLY | O_CLOEXEC);
    OWNED_FD int into = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat st;
    assert_true(from >= 0 && into >= 0 && fstat(from, &st) == 0);
    assert_int_equal(copy_file_range(from, NULL, into, NULL, (size_t)st.st_size, 0), st.st_size);
}

static void note_told(void *context)
{
    struct told *t = context;
    t->count++;
    t->syncs = syncs;
    if (!t->copy)
        return;
    copy_file(t->f, "penstock.db", t->copy);
    copy_file(t->f, "penstock.db-wal", t->copy);
}

static bool tell_job(struct told *t, const char *name)
{
    fixture_begin(t->f);
    fixture_job(t->f, name);
    tx_on_written(t->f->tx, note_told, t);
    bool ok = tx_commit(t->f->tx, &t->f->err);
    fixture_roll_back(t->f);
    return ok;
}

/* What a kill would leave at that moment: how many jobs a store finds there. */
static void expect_in_copy(const char *copy, int count)
{
    struct fixture left = {.dir_fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    OK(&left, store_open(left.dir_fd, copy, &left.store, &left.err));
    expect_jobs(&left, count);
    store_free(left.store);
    unlinkat(left.dir_fd, "penstock.db", 0);
    unlinkat(left.dir_fd, "penstock.db-wal", 0);
    close(left.dir_fd);
}

static bool commit_much(struct fixture *f);

static void what_is_told_to_be_written_outlives_a_kill_and_is_not_synced(void **state)
{
    char copy[] = "/tmp/penstock-copy-XXXXXX";
    struct told t = {.f = *state};
    assert_non_null(mkdtemp(copy));
    t.copy = copy;
    /* In a new file, behind other commits, and in a WAL that has been checked in. */
    for (int jobs = 1; jobs <= 3; jobs++) {
        if (jobs == 3)
            OK(t.f, commit_much(t.f));
        OK(t.f, tell_job(&t, jobs == 1 ? "a" : jobs == 2 ? "b" : "c"));
        assert_int_equal(t.count, jobs);
        assert_int_equal(t.syncs, syncs - 1);
        expect_in_copy(copy, jobs);
        if (jobs == 1)
            fixture_reopen(t.f); /* a new WAL, whose head is synced by itself */
    }
    /* It was for these commits only. */
    OK(t.f, try_job(t.f, "d"));
    assert_int_equal(t.count, 3);
    assert_int_equal(rmdir(copy), 0);
}

static void what_could_not_be_written_is_not_told(void **state)
{
    struct told t = {.f = *state};
    disk[DISK_WRITE].number = ENOSPC;
    REFUSED(t.f, ERR_NO_SPACE, tell_job(&t, "lost"));
    disk_heal();
    assert_int_equal(t.count, 0);
    fixture_begin(t.f);
    tx_on_written(t.f->tx, note_told, &t);
    OK(t.f, tx_commit(t.f->tx, &t.f->err)); /* nothing was changed */
    assert_int_equal(t.count, 0);
    OK(t.f, tell_job(&t, "kept"));
    assert_int_equal(t.count, 1);
    fixture_reopen(t.f);
    expect_jobs(t.f, 1);
}

static void what_was_told_and_is_not_synced_is_fatal(void **state)
{
    struct told t = {.f = *state};
    OK(t.f, tell_job(&t, "first"));
    disk[DISK_SYNC].number = EIO;
    REFUSED(t.f, ERR_FATAL, tell_job(&t, "unknown"));
    assert_int_equal(t.count, 2);
    disk_heal();
}

/* Commits until the WAL has been checked in some times, or a commit fails. */
static bool commit_much(struct fixture *f)
{
    OWNED_MEM struct ledger_page *pages = xcalloc(64, sizeof *pages);
    for (int i = 0; i < 150; i++) {
        for (int k = 0; k < 64; k++) {
            pages[k].number = i * 64 + k;
            pages[k].bits[0] = 1;
        }
        fixture_begin(f);
        bool ok = ledger_store_save(f->tx, 1, pages, 64, &f->err) && tx_commit(f->tx, &f->err);
        fixture_roll_back(f);
        if (!ok)
            return false;
    }
    return true;
}

static void a_checkpoint_whose_sync_fails_is_fatal(void **state)
{
    struct fixture *f = *state;
    OK(f, try_job(f, "job"));
    disk[DISK_SYNC].number = EIO;
    disk[DISK_SYNC].on_main = true;
    REFUSED(f, ERR_FATAL, commit_much(f));
    assert_non_null(strstr(f->err.text, "checkpoint"));
    disk_heal();
    fixture_reopen(f);
    expect_jobs(f, 1);
}

static void a_checkpoint_without_space_is_put_off_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    OK(f, try_job(f, "job"));
    disk[DISK_WRITE].number = ENOSPC;
    disk[DISK_WRITE].on_main = true;
    log_set_level(LOG_ERROR);
    OK(f, commit_much(f));
    log_set_level(LOG_INFO);
    disk_heal();
    fixture_reopen(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_pages(f, 1), 150 * 64);
    fixture_roll_back(f);
}

static void the_wal_does_not_grow_without_end(void **state)
{
    struct fixture *f = *state;
    struct stat now;
    OK(f, try_job(f, "job"));
    OK(f, commit_much(f));
    assert_int_equal(fstatat(f->dir_fd, "penstock.db-wal", &now, 0), 0);
    assert_in_range(now.st_size, 1, 16 << 20);
    store_free(TAKE(f->store));
    assert_int_equal(fstatat(f->dir_fd, "penstock.db-wal", &now, 0), -1);
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
}

static void no_space_for_a_new_store_is_told(void **state)
{
    struct fixture *f = *state;
    store_free(TAKE(f->store));
    assert_int_equal(unlinkat(f->dir_fd, "penstock.db", 0), 0);
    for (int good = 0; good < 12; good++) {
        disk[DISK_WRITE].number = ENOSPC;
        disk[DISK_WRITE].skip = good;
        REFUSED(f, ERR_NO_SPACE, store_open(f->dir_fd, f->dir, &f->store, &f->err));
        disk_heal();
    }
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    OK(f, try_job(f, "kept"));
}

/* ---- the file ---- */

static void the_file_is_for_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"penstock.db", "penstock.db-wal"};
    OK(f, try_job(f, "job"));
    for (int i = 0; i < 2; i++) {
        struct stat now;
        assert_int_equal(fstatat(f->dir_fd, names[i], &now, 0), 0);
        assert_int_equal(now.st_mode & 0777, 0600);
    }
}

static void a_second_opening_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    REFUSED(f, ERR_BUSY, store_open(f->dir_fd, f->dir, &second, &f->err));
    assert_non_null(strstr(f->err.text, "another program"));
    assert_null(second);
    OK(f, try_job(f, "job"));
}

static void a_link_in_place_of_the_file_is_refused(void **state)
{
    struct fixture *f = *state;
    store_free(TAKE(f->store));
    assert_int_equal(renameat(f->dir_fd, "penstock.db", f->dir_fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("elsewhere", f->dir_fd, "penstock.db"), 0);
    REFUSED(f, ERR_IO, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    assert_int_equal(unlinkat(f->dir_fd, "penstock.db", 0), 0);
    assert_int_equal(mkdirat(f->dir_fd, "penstock.db", 0700), 0);
    REFUSED(f, ERR_IO, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    assert_int_equal(unlinkat(f->dir_fd, "penstock.db", AT_REMOVEDIR), 0);
    assert_int_equal(renameat(f->dir_fd, "elsewhere", f->dir_fd, "penstock.db"), 0);
    fixture_reopen(f);
}

/* A folder below `at` whose path is longer than any limit of a library. */
static int deep_folder(int at, int depth)
{
    static const char name[] = "a-folder-whose-name-takes-some-fifty-characters-ou";
    int fd = dup(at);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    return fd;
}

static void remove_deep_folder(struct fixture *f)
{
    OWNED_MEM char *command = xasprintf("rm -rf %s/a-folder* %s/renamed", f->dir, f->dir);
    assert_int_equal(system(command), 0);
}

static void a_folder_may_be_deep_and_may_be_renamed(void **state)
{
    struct fixture *f = *state;
    store_free(TAKE(f->store));
    OWNED_FD int deep = deep_folder(f->dir_fd, 100);
    struct stat now;
    OK(f, store_open(deep, "deep", &f->store, &f->err));
    OK(f, try_job(f, "before"));
    assert_int_equal(renameat(f->dir_fd, "a-folder-whose-name-takes-some-fifty-characters-ou",
                              f->dir_fd, "renamed"),
                     0);
    OK(f, commit_much(f));
    store_free(TAKE(f->store));
    assert_int_equal(fstatat(deep, "penstock.db", &now, 0), 0);
    assert_int_equal(fstatat(deep, "penstock.db-wal", &now, 0), -1);
    OK(f, store_open(deep, "deep", &f->store, &f->err));
    expect_jobs(f, 1);
    store_free(TAKE(f->store));
    remove_deep_folder(f);
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
}

/* ---- damage ---- */

static void overwrite(struct fixture *f, off_t at, size_t len)
{
    OWNED_FD int fd = openat(f->dir_fd, "penstock.db", O_WRONLY | O_CLOEXEC);
    OWNED_MEM char *junk = xcalloc(1, len);
    memset(junk, 0x5a, len);
    assert_int_equal(pwrite(fd, junk, len, at), len);
}

static void expect_damage(struct fixture *f)
{
    assert_non_null(strstr(f->err.text, "damaged"));
    assert_non_null(strstr(f->err.text, "penstock doctor"));
    assert_non_null(strstr(f->err.text, f->dir));
}

static void a_file_that_is_no_store_is_refused_with_what_to_do(void **state)
{
    struct fixture *f = *state;
    store_free(TAKE(f->store));
    overwrite(f, 0, 4096);
    REFUSED(f, ERR_STORE, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    expect_damage(f);
    assert_int_equal(unlinkat(f->dir_fd, "penstock.db", 0), 0);
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
}

static void note_fault(void *context, const char *fault)
{
    assert_true(strlen(fault) > 0);
    ++*(int *)context;
}

static void a_store_that_was_removed_while_it_was_open_acknowledges_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"penstock.db", "penstock.db-wal"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fixture_begin(f);
        fixture_job(f, names[i]);
        assert_int_equal(unlinkat(f->dir_fd, names[i], 0), 0);
        REFUSED(f, ERR_FATAL, tx_commit(f->tx, &f->err));
        assert_non_null(strstr(f->err.text, "was removed"));
        f->tx = NULL;
        store_free(TAKE(f->store));
        OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    }
}

static void damaged_pages_are_found(void **state)
{
    struct fixture *f = *state;
    struct stat now;
    int faults = 0;
    OK(f, try_job(f, "job"));
    OK(f, commit_much(f));
    store_free(TAKE(f->store));
    assert_int_equal(fstatat(f->dir_fd, "penstock.db", &now, 0), 0);
    /* The first pages hold the schema, the last ones the ledger. */
    overwrite(f, now.st_size - 400 * 4096, 400 * 4096);
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    OK(f, store_verify(f->store, note_fault, &faults, &f->err));
    assert_true(faults > 0);
    fixture_begin(f);
    REFUSED(f, ERR_STORE, ledger_store_clear(f->tx, 1, &f->err));
    expect_damage(f);
    REFUSED(f, ERR_STORE, tx_commit(f->tx, &f->err));
    fixture_roll_back(f);
}

/* Runs SQL on the file beside the store. */
static void run_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    OWNED_MEM char *path = xasprintf("%s/penstock.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

static bool take_key(void *context, struct key_row *row, struct err *err)
{
    (void)context;
    (void)err;
    key_row_release(row);
    return true;
}

static bool take_page(void *context, const struct ledger_page *page, struct err *err)
{
    (void)context;
    (void)page;
    (void)err;
    return true;
}

static bool take_damaged(void *context, struct job_row *row, struct err *err)
{
    (void)context;
    (void)err;
    assert_true(row->damaged);
    assert_int_equal(row->state, JOB_FAILED);
    job_row_release(row);
    return true;
}

static void rows_that_make_no_sense_are_told(void **state)
{
    struct fixture *f = *state;
    static const char *const spoil[] = {"UPDATE job SET state = 'walking'",
                                        "UPDATE job SET state = 'pending', kind = 'cron'",
                                        "UPDATE job SET kind = 'data', token_hash = x'00'"};
    struct key_row key = {.name = xstrdup("k"), .scopes = xstrdup("read")};
    struct ledger_page page = {.number = 0};
    fixture_begin(f);
    int64_t id = fixture_job(f, "job");
    OK(f, ledger_store_save(f->tx, id, &page, 1, &f->err));
    OK(f, key_store_insert(f->tx, &key, &f->err));
    fixture_commit(f);
    key_row_release(&key);
    for (size_t i = 0; i < sizeof spoil / sizeof *spoil; i++) {
        store_free(TAKE(f->store));
        run_sql(f, spoil[i]);
        OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
        fixture_begin(f);
        OK(f, job_store_load(f->tx, take_damaged, NULL, &f->err));
        fixture_roll_back(f);
    }
    store_free(TAKE(f->store));
    run_sql(f, "UPDATE ledger_page SET bits = x'00'; UPDATE api_key SET hash = x''");
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    fixture_begin(f);
    REFUSED(f, ERR_INVALID, ledger_store_load(f->tx, id, take_page, NULL, &f->err));
    REFUSED(f, ERR_STORE, key_store_load(f->tx, take_key, NULL, &f->err));
    fixture_roll_back(f);
}

static void rows_without_their_job_are_found(void **state)
{
    struct fixture *f = *state;
    int faults = 0;
    store_free(TAKE(f->store));
    run_sql(f, "INSERT INTO attempt (job_id, record, attempts) VALUES (9, 1, 1)");
    OK(f, store_open(f->dir_fd, f->dir, &f->store, &f->err));
    OK(f, store_verify(f->store, note_fault, &faults, &f->err));
    assert_int_equal(faults, 1);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        DISK_CASE(a_full_disk_is_told_and_work_goes_on_when_space_returns),
        DISK_CASE(a_write_error_is_told_and_the_store_stays_usable),
        DISK_CASE(interrupted_and_short_writes_are_carried_on),
        DISK_CASE(a_failed_sync_is_fatal),
        DISK_CASE(what_is_told_to_be_written_outlives_a_kill_and_is_not_synced),
        DISK_CASE(what_could_not_be_written_is_not_told),
        DISK_CASE(what_was_told_and_is_not_synced_is_fatal),
        DISK_CASE(a_checkpoint_whose_sync_fails_is_fatal),
        DISK_CASE(a_checkpoint_without_space_is_put_off_and_loses_nothing),
        CASE(the_wal_does_not_grow_without_end),
        DISK_CASE(no_space_for_a_new_store_is_told),
        CASE(the_file_is_for_its_owner_alone),
        CASE(a_second_opening_is_refused),
        CASE(a_link_in_place_of_the_file_is_refused),
        CASE(a_folder_may_be_deep_and_may_be_renamed),
        CASE(a_file_that_is_no_store_is_refused_with_what_to_do),
        CASE(a_store_that_was_removed_while_it_was_open_acknowledges_nothing),
        CASE(damaged_pages_are_found),
        CASE(rows_that_make_no_sense_are_told),
        CASE(rows_without_their_job_are_found),
    };
    return RUN(cases);
}
