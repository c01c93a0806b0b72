/* test_file.c: whole reads and writes, whatever the system calls give back, and named faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The system calls are ours: each first call is interrupted, and they move at most `at_most`. */
static size_t at_most;
static bool interrupted;

static bool interrupt(void)
{
    interrupted = at_most && !interrupted;
    errno = EINTR;
    return interrupted;
}

ssize_t pread64(int fd, void *out, size_t len, off64_t at);
ssize_t pread64(int fd, void *out, size_t len, off64_t at)
{
    if (interrupt())
        return -1;
    return (ssize_t)syscall(SYS_pread64, fd, out, at_most && len > at_most ? at_most : len, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    if (interrupt())
        return -1;
    if (!at_most)
        return (ssize_t)syscall(SYS_pwritev, fd, parts, count, (long)at, 0L);
    /* Across the border of two pieces where there are two. */
    struct iovec some[2] = {parts[0]};
    int used = 1;
    if (some[0].iov_len > at_most)
        some[0].iov_len = at_most;
    else if (count > 1) {
        some[used] = parts[1];
        if (some[used].iov_len > 1)
            some[used].iov_len = 1;
        used++;
    }
    return (ssize_t)syscall(SYS_pwritev, fd, some, used, (long)at, 0L);
}

struct scratch {
    char dir[32];
    char path[64];
    int fd;
    struct err err;
};

static int scratch_open(void **state)
{
    struct scratch *s = xcalloc(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/penstock-file-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/f", s->dir);
    s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(s->fd >= 0);
    *state = s;
    return 0;
}

static int scratch_close(void **state)
{
    struct scratch *s = *state;
    at_most = 0;
    close(s->fd);
    unlink(s->path);
    rmdir(s->dir);
    free(s);
    return 0;
}

static void expect_content(struct scratch *s, const char *want)
{
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    if (!file_read_all(s->path, 1000, &b, &s->err))
        fail_msg("%s", s->err.text);
    assert_true(str_is(buf_str(&b), want));
}

static void a_look_tells_what_a_file_is(void **state)
{
    struct scratch *s = *state;
    struct file_look own, named;
    struct stat st;
    OWNED_FD int dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(file_write_at(s->fd, 0, "abc", 3, "f", &s->err));
    assert_true(file_look(s->fd, NULL, &own) && file_look(dir_fd, "f", &named));
    assert_int_equal(fstat(s->fd, &st), 0);
    assert_true(own.device == st.st_dev && own.inode == st.st_ino);
    assert_true(named.device == own.device && named.inode == own.inode);
    assert_int_equal(own.size_bytes, 3);
    assert_int_equal(own.names, 1);
    assert_int_equal(unlink(s->path), 0);
    assert_true(file_look(s->fd, NULL, &own));
    assert_int_equal(own.names, 0);
    assert_false(file_look(dir_fd, "f", &named));
    assert_int_equal(errno, ENOENT);
}

static void what_is_written_is_read(void **state)
{
    struct scratch *s = *state;
    char out[8] = {0};
    size_t got = 99;
    assert_true(file_write_at(s->fd, 2, "cdef", 4, "f", &s->err));
    assert_true(file_write_at(s->fd, 0, "ab", 2, "f", &s->err));
    assert_true(file_write_at(s->fd, 0, NULL, 0, "f", &s->err));
    expect_content(s, "abcdef");
    assert_true(file_read_at(s->fd, 1, out, 3, &got, "f", &s->err));
    assert_int_equal(got, 3);
    assert_string_equal(out, "bcd");
    assert_true(file_read_at(s->fd, 4, out, sizeof out, &got, "f", &s->err));
    assert_int_equal(got, 2);
    assert_true(file_read_at(s->fd, 40, out, sizeof out, &got, "f", &s->err));
    assert_int_equal(got, 0);
    assert_true(file_sync(s->fd, "f", &s->err));
}

static void interruptions_and_short_counts_are_carried_on(void **state)
{
    struct scratch *s = *state;
    for (at_most = 1; at_most <= 6; at_most++) {
        char a[] = "abcde", b[] = "", c[] = "f", d[] = "ghijklmn", out[32] = {0};
        struct iovec parts[] = {{b, 0}, {a, 5}, {b, 0}, {c, 1}, {d, 8}, {b, 0}};
        size_t got = 0;
        assert_true(file_writev_at(s->fd, 3, parts, 6, "f", &s->err));
        assert_true(file_write_at(s->fd, 0, "123", 3, "f", &s->err));
        assert_true(file_read_at(s->fd, 0, out, sizeof out, &got, "f", &s->err));
        assert_int_equal(got, 17);
        assert_string_equal(out, "123abcdefghijklmn");
        assert_true(file_cut(s->fd, 0, "f", &s->err));
    }
}

static void many_pieces_are_written_in_order(void **state)
{
    struct scratch *s = *state;
    enum { PIECES = 3000 }; /* more than one call takes */
    OWNED_MEM struct iovec *parts = xcalloc(PIECES, sizeof *parts);
    static char letters[] = "abcdefghijklmnopqrstuvwxyz";
    OWNED_MEM char *out = xcalloc(PIECES, 1);
    size_t got = 0;
    for (int i = 0; i < PIECES; i++)
        parts[i] = (struct iovec){&letters[i % 26], 1};
    assert_true(file_writev_at(s->fd, 0, parts, PIECES, "f", &s->err));
    assert_true(file_read_at(s->fd, 0, out, PIECES, &got, "f", &s->err));
    assert_int_equal(got, PIECES);
    for (int i = 0; i < PIECES; i++)
        assert_int_equal(out[i], letters[i % 26]);
}

static void a_cut_shortens_and_lengthens(void **state)
{
    struct scratch *s = *state;
    assert_true(file_write_at(s->fd, 0, "abcdef", 6, "f", &s->err));
    assert_true(file_cut(s->fd, 2, "f", &s->err));
    expect_content(s, "ab");
    assert_true(file_cut(s->fd, 4, "f", &s->err));
    assert_int_equal(lseek(s->fd, 0, SEEK_END), 4);
}

static void a_whole_file_has_its_cap(void **state)
{
    struct scratch *s = *state;
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    assert_true(file_write_at(s->fd, 0, "abcdef", 6, "f", &s->err));
    assert_true(file_read_all(s->path, 6, &b, &s->err));
    assert_false(file_read_all(s->path, 5, &b, &s->err));
    assert_int_equal(s->err.code, ERR_LIMIT);
    assert_false(file_read_all("/nowhere/at/all", 5, &b, &s->err));
    assert_int_equal(s->err.code, ERR_NOT_FOUND);
    assert_false(file_read_all("/", 5, &b, &s->err));
    assert_int_equal(s->err.code, ERR_IO);
}

static void errors_carry_the_name(void **state)
{
    struct scratch *s = *state;
    char out[4];
    size_t got = 99;
    assert_false(file_read_at(-1, 0, out, 4, &got, "in.jsonl", &s->err));
    assert_non_null(strstr(s->err.text, "in.jsonl"));
    assert_int_equal(s->err.code, ERR_IO);
    assert_int_equal(got, 99);
    assert_false(file_write_at(-1, 0, out, 4, "out.jsonl", &s->err));
    assert_non_null(strstr(s->err.text, "out.jsonl"));
    assert_false(file_cut(-1, 0, "cut.jsonl", &s->err));
    assert_non_null(strstr(s->err.text, "cut.jsonl"));
    assert_false(file_sync(-1, "sync.jsonl", &s->err));
    assert_non_null(strstr(s->err.text, "sync.jsonl"));
    assert_int_equal(s->err.code, ERR_FATAL);
    assert_false(file_sync_dir(-1, "dir", &s->err));
    assert_int_equal(s->err.code, ERR_FATAL);
    /* A full device. */
    OWNED_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_false(file_write_at(full, 0, "x", 1, "full", &s->err));
    assert_int_equal(s->err.code, ERR_NO_SPACE);
}

static void a_folder_can_be_synced(void **state)
{
    struct scratch *s = *state;
    OWNED_FD int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(file_sync_dir(dir, "f", &s->err));
}

#ifdef PENSTOCK_FAULTS
static void faults_happen_on_the_pass_they_name(void **state)
{
    struct scratch *s = *state;
    char out[1];
    size_t got;
    fault_set("file.write:2:full,file.sync:1:fail,file.read:1:fail,file.cut:1:fail");
    assert_true(file_write_at(s->fd, 0, "a", 1, "f", &s->err));
    assert_false(file_write_at(s->fd, 0, "b", 1, "f", &s->err));
    assert_int_equal(s->err.code, ERR_NO_SPACE);
    assert_true(file_write_at(s->fd, 0, "c", 1, "f", &s->err));
    assert_false(file_sync(s->fd, "f", &s->err));
    assert_int_equal(s->err.code, ERR_FATAL);
    assert_true(file_sync(s->fd, "f", &s->err));
    assert_false(file_read_at(s->fd, 0, out, 1, &got, "f", &s->err));
    assert_int_equal(s->err.code, ERR_IO);
    assert_false(file_cut(s->fd, 0, "f", &s->err));
    assert_int_equal(s->err.code, ERR_IO);
    expect_content(s, "c");
    fault_set(NULL);
}

static void plans_that_make_no_sense_do_nothing(void **state)
{
    (void)state;
    static const char *const plans[] = {"",          "a",        "a:1", "a:0:fail",
                                        "a:-1:fail", "a:x:fail", ",,",  "b:1:fail"};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        fault_set(plans[i]);
        assert_false(FAULT("a"));
    }
    fault_set("b:1:fail,a:2:full");
    errno = 0;
    assert_false(FAULT("a"));
    assert_true(FAULT("a"));
    assert_int_equal(errno, ENOSPC);
    assert_true(FAULT("b"));
    assert_int_equal(errno, EIO);
    assert_false(FAULT("a"));
    fault_set(NULL);
}
#endif

int main(void)
{
#define SCRATCH(name) cmocka_unit_test_setup_teardown(name, scratch_open, scratch_close)
    static const struct CMUnitTest tests[] = {
        SCRATCH(a_look_tells_what_a_file_is),
        SCRATCH(what_is_written_is_read),
        SCRATCH(interruptions_and_short_counts_are_carried_on),
        SCRATCH(many_pieces_are_written_in_order),
        SCRATCH(a_cut_shortens_and_lengthens),
        SCRATCH(a_whole_file_has_its_cap),
        SCRATCH(errors_carry_the_name),
        SCRATCH(a_folder_can_be_synced),
#ifdef PENSTOCK_FAULTS
        SCRATCH(faults_happen_on_the_pass_they_name),
        SCRATCH(plans_that_make_no_sense_do_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
