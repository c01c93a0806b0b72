/* Descriptors of this process as readers and writers: standard input is spooled, standard output
 * gets what is committed, and neither is waited for where the other end does nothing. */
#include "io_temp.h"

#include "io/program.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { DEADLINE_MS = 20000 };

static int bell = -1;

static void rung(void *context)
{
    uint64_t one = 1;
    assert_ptr_equal(context, &bell);
    assert_int_equal(write(bell, &one, sizeof one), (ssize_t)sizeof one);
}

static void wait_ring(void)
{
    uint64_t count;
    struct pollfd fd = {bell, POLLIN, 0};
    if (poll(&fd, 1, DEADLINE_MS) != 1)
        fail_msg("nothing was done for %d s", DEADLINE_MS / 1000);
    assert_int_equal(read(bell, &count, sizeof count), (ssize_t)sizeof count);
}

static enum program_state wait_end(struct program *p)
{
    while (program_state(p) == PROGRAM_RUNNING)
        wait_ring();
    return program_state(p);
}

static void assert_ended(struct program *p)
{
    if (wait_end(p) != PROGRAM_ENDED)
        fail_msg("%s", program_failure(p));
}

static void assert_failed(struct program *p, const char *part)
{
    assert_int_equal(wait_end(p), PROGRAM_FAILED);
    if (!strstr(program_failure(p), part))
        fail_msg("failure is \"%s\", not \"%s\"", program_failure(p), part);
}

static struct program *reader(struct temp *t, int fd)
{
    struct program *p;
    struct program_end end = {NULL, fd};
    if (!program_start_reader(&end, temp_path(t, "spool"), rung, &bell, &p, &t->err))
        fail_msg("%s", t->err.text);
    return p;
}

static struct program *writer(struct temp *t, int fd, int64_t committed)
{
    struct program *p;
    struct program_end end = {NULL, fd};
    if (!program_start_writer(&end, temp_path(t, "spool"), committed, rung, &bell, &p, &t->err))
        fail_msg("%s", t->err.text);
    return p;
}

static void make_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static void put_all(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int64_t spool_size(struct temp *t)
{
    struct stat st;
    return stat(temp_path(t, "spool"), &st) ? -1 : st.st_size;
}

static void what_a_pipe_brings_is_spooled_line_by_line(void **state)
{
    struct temp *t = *state;
    int ends[2];
    make_pipe(ends);
    OWNED_FD int in = ends[0];
    OWNED(program) struct program *p = reader(t, in);
    put_all(ends[1], "1\n2\n{\"a\"");
    while (spool_size(t) < 4)
        wait_ring();
    assert_file(t, "spool", "1\n2\n");
    put_all(ends[1], ":3}");
    close(ends[1]);
    assert_ended(p);
    assert_file(t, "spool", "1\n2\n{\"a\":3}");
    /* It is ours still, and blocks as before. */
    assert_int_equal(fcntl(in, F_GETFL) & O_NONBLOCK, 0);
}

static void a_file_or_nothing_may_stand_for_it(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", "1\n2\n");
    {
        OWNED_FD int in = open(temp_path(t, "in"), O_RDONLY | O_CLOEXEC);
        OWNED(program) struct program *p = reader(t, in);
        assert_ended(p);
        assert_file(t, "spool", "1\n2\n");
    }
    unlink(temp_path(t, "spool"));
    OWNED_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    OWNED(program) struct program *p = reader(t, null);
    assert_ended(p);
    assert_file(t, "spool", "");
}

static void the_same_must_be_given_again(void **state)
{
    struct temp *t = *state;
    static const struct {
        const char *text, *failure;
    } cases[] = {
        {"1\n2\n3\n", NULL},
        {"1\n5\n3\n", "not what was given before, from byte 2 on"},
        {"1\n", "2 bytes were given to read, and 6 before"},
    };
    temp_write(t, "spool", "1\n2\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int ends[2];
        make_pipe(ends);
        OWNED_FD int in = ends[0];
        put_all(ends[1], cases[i].text);
        close(ends[1]);
        OWNED(program) struct program *p = reader(t, in);
        if (cases[i].failure)
            assert_failed(p, cases[i].failure);
        else
            assert_ended(p);
        assert_file(t, "spool", "1\n2\n3\n");
    }
}

static void a_reader_that_waits_can_be_let_go(void **state)
{
    struct temp *t = *state;
    int ends[2];
    make_pipe(ends);
    OWNED_FD int in = ends[0];
    OWNED_FD int out = ends[1];
    struct program *p = reader(t, in);
    put_all(out, "1\n");
    while (spool_size(t) < 2)
        wait_ring();
    program_free(p);
    put_all(out, "2\n");
    char left[3] = {0};
    assert_int_equal(read(in, left, 2), 2); /* what was not read is there still */
    assert_string_equal(left, "2\n");
}

static void a_descriptor_that_is_closed_is_an_error(void **state)
{
    struct temp *t = *state;
    struct program *p;
    struct program_end end = {NULL, 9999};
    assert_false(program_start_reader(&end, temp_path(t, "spool"), rung, &bell, &p, &t->err));
    assert_error(t, ERR_IO, "descriptor 9999");
    assert_false(program_start_writer(&end, temp_path(t, "spool"), 0, rung, &bell, &p, &t->err));
    assert_error(t, ERR_IO, "descriptor 9999");
}

static void a_pipe_is_given_what_is_committed(void **state)
{
    struct temp *t = *state;
    int ends[2];
    char got[16] = {0};
    make_pipe(ends);
    OWNED_FD int in = ends[0];
    OWNED_FD int out = ends[1];
    temp_write(t, "spool", "1\n2\nnot yet");
    OWNED(program) struct program *p = writer(t, out, 2);
    assert_int_equal(read(in, got, 2), 2);
    program_advance(p, 4);
    assert_int_equal(read(in, got + 2, 2), 2);
    assert_string_equal(got, "1\n2\n");
    program_finish(p);
    assert_ended(p);
}

static void a_file_is_written_where_it_stands(void **state)
{
    struct temp *t = *state;
    temp_write(t, "spool", "1\n2\n");
    temp_write(t, "got", "before\n");
    OWNED_FD int out = open(temp_path(t, "got"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(lseek(out, 0, SEEK_END), 7);
    OWNED(program) struct program *p = writer(t, out, 4);
    program_finish(p);
    assert_ended(p);
    assert_file(t, "got", "before\n1\n2\n");
}

/* A pipe that nobody empties does not hold the thread. */
static void a_writer_that_waits_can_be_let_go(void **state)
{
    struct temp *t = *state;
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < 600000; i++)
        buf_add_format(&text, "%06d\n", i);
    temp_put(t, "spool", O_TRUNC, text.data, text.len);
    int kinds[2][2];
    make_pipe(kinds[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, kinds[1]), 0);
    for (int i = 0; i < 2; i++) {
        OWNED_FD int in = kinds[i][0];
        OWNED_FD int out = kinds[i][1];
        char got[8] = {0};
        struct program *p = writer(t, out, (int64_t)text.len);
        assert_int_equal(read(in, got, 7), 7);
        assert_string_equal(got, "000000\n");
        program_free(p);
    }
}

static void when_nobody_reads_any_more_it_fails(void **state)
{
    struct temp *t = *state;
    int ends[2];
    make_pipe(ends);
    OWNED_FD int out = ends[1];
    temp_write(t, "spool", "1\n2\n");
    {
        /* Also while there is nothing to write. */
        OWNED(program) struct program *p = writer(t, out, 0);
        close(ends[0]);
        assert_failed(p, "the output was closed after 0 bytes: every result is kept");
    }
    OWNED(program) struct program *p = writer(t, out, 4);
    assert_failed(p, "the output was closed after 0 bytes");
}

static void who_has_read_everything_may_close(void **state)
{
    struct temp *t = *state;
    int ends[2];
    char got[5] = {0};
    make_pipe(ends);
    OWNED_FD int out = ends[1];
    temp_write(t, "spool", "1\n2\n");
    OWNED(program) struct program *p = writer(t, out, 4);
    program_finish(p);
    assert_int_equal(read(ends[0], got, 4), 4);
    close(ends[0]);
    assert_ended(p);
}

static int fd_begin(void **state)
{
    bell = eventfd(0, EFD_CLOEXEC);
    return temp_begin(state);
}

static int fd_end(void **state)
{
    close(bell);
    return temp_end(state);
}

#define FD_TEST(name) cmocka_unit_test_setup_teardown(name, fd_begin, fd_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FD_TEST(what_a_pipe_brings_is_spooled_line_by_line),
        FD_TEST(a_file_or_nothing_may_stand_for_it),
        FD_TEST(the_same_must_be_given_again),
        FD_TEST(a_reader_that_waits_can_be_let_go),
        FD_TEST(a_descriptor_that_is_closed_is_an_error),
        FD_TEST(a_pipe_is_given_what_is_committed),
        FD_TEST(a_file_is_written_where_it_stands),
        FD_TEST(a_writer_that_waits_can_be_let_go),
        FD_TEST(when_nobody_reads_any_more_it_fails),
        FD_TEST(who_has_read_everything_may_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
