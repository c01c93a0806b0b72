/* Programs as readers and writers: their bytes move whole, and every way they can end is told. */
#include "io_temp.h"

#include "io/program.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { DEADLINE_MS = 20000 };

static int bell = -1;

static void rung(void *context)
{
    uint64_t one = 1;
    assert_ptr_equal(context, &bell);
    assert_int_equal(write(bell, &one, sizeof one), (ssize_t)sizeof one);
}

/* Until the program has done something. */
static void wait_ring(void)
{
    uint64_t count;
    struct pollfd fd = {bell, POLLIN, 0};
    if (poll(&fd, 1, DEADLINE_MS) != 1)
        fail_msg("the program did nothing for %d s", DEADLINE_MS / 1000);
    assert_int_equal(read(bell, &count, sizeof count), (ssize_t)sizeof count);
}

static enum program_state wait_end(struct program *p)
{
    while (program_state(p) == PROGRAM_RUNNING)
        wait_ring();
    return program_state(p);
}

static int64_t size_of(struct temp *t, const char *name)
{
    struct stat st;
    return stat(temp_path(t, name), &st) ? -1 : st.st_size;
}

static struct program *reader(struct temp *t, const char *command)
{
    struct program *p;
    struct program_end end = {command, -1};
    if (!program_start_reader(&end, temp_path(t, "spool"), rung, &bell, &p, &t->err))
        fail_msg("%s", t->err.text);
    return p;
}

static struct program *writer(struct temp *t, const char *command, int64_t committed)
{
    struct program *p;
    struct program_end end = {command, -1};
    if (!program_start_writer(&end, temp_path(t, "spool"), committed, rung, &bell, &p, &t->err))
        fail_msg("%s", t->err.text);
    return p;
}

static void assert_failed(struct program *p, const char *part)
{
    assert_int_equal(wait_end(p), PROGRAM_FAILED);
    if (!strstr(program_failure(p), part))
        fail_msg("failure is \"%s\", not \"%s\"", program_failure(p), part);
}

static void assert_ended(struct program *p)
{
    if (wait_end(p) != PROGRAM_ENDED)
        fail_msg("%s", program_failure(p));
    assert_string_equal(program_failure(p), "");
}

static void what_a_reader_prints_is_spooled(void **state)
{
    struct temp *t = *state;
    OWNED(program) struct program *p = reader(t, "echo 1; echo 2; printf 3");
    assert_ended(p);
    assert_file(t, "spool", "1\n2\n3");
}

static void lines_are_spooled_whole_and_at_once(void **state)
{
    struct temp *t = *state;
    char command[300];
    assert_int_equal(mkfifo(temp_path(t, "go"), 0600), 0);
    snprintf(command, sizeof command, "echo 1; printf '{\"a\"'; read x < %s; echo ':2}'",
             temp_path(t, "go"));
    OWNED(program) struct program *p = reader(t, command);
    while (size_of(t, "spool") < 2)
        wait_ring();
    assert_file(t, "spool", "1\n");
    temp_write(t, "go", "on\n");
    assert_ended(p);
    assert_file(t, "spool", "1\n{\"a\":2}\n");
}

static void a_reader_run_again_must_print_the_same(void **state)
{
    struct temp *t = *state;
    temp_write(t, "spool", "1\n2\n3");
    {
        OWNED(program) struct program *p = reader(t, "echo 1; echo 2; echo 34; echo 5");
        assert_ended(p);
        assert_file(t, "spool", "1\n2\n34\n5\n");
    }
    {
        OWNED(program) struct program *p = reader(t, "echo 1; echo 2; echo 43");
        assert_failed(p, "something else than when it ran before, from byte 4 on");
    }
    OWNED(program) struct program *p = reader(t, "echo 1; echo 2");
    assert_failed(p, "printed 4 bytes and had printed 9");
    assert_file(t, "spool", "1\n2\n34\n5\n");
}

static void a_large_output_is_spooled_as_fast_as_it_is_consumed(void **state)
{
    struct temp *t = *state;
    const int64_t cap = INT64_C(64) << 20, line = 1024;
    OWNED(program)
    struct program *p = reader(t, "l=$(printf '%1021s' ''); yes \"\\\"$l\\\"\" | head -n 100000");
    while (size_of(t, "spool") <= cap)
        wait_ring();
    assert_true(size_of(t, "spool") <= cap + (2 << 20));
    assert_int_equal(program_state(p), PROGRAM_RUNNING);
    program_consumed(p, 50 << 20);
    assert_ended(p);
    assert_int_equal(size_of(t, "spool"), 100000 * line);
}

static void a_reader_that_fails_is_told_with_its_status(void **state)
{
    struct temp *t = *state;
    {
        OWNED(program) struct program *p = reader(t, "echo 1; exit 3");
        assert_failed(p, "exit status 3");
        assert_file(t, "spool", "1\n");
    }
    {
        OWNED(program) struct program *p = reader(t, "echo 1; kill -SEGV $$");
        assert_failed(p, "killed by signal 11");
    }
    OWNED(program) struct program *p = reader(t, "no-such-command-here 2>/dev/null");
    assert_failed(p, "exit status 127");
}

static void the_last_line_that_it_said_is_told_with_its_failure(void **state)
{
    static const struct {
        const char *command, *failure;
    } cases[] = {
        {"echo first >&2; echo 'no such table' >&2; exit 3",
         "exit status 3; it said: no such table"},
        {"printf 'no line end' >&2; exit 1", "exit status 1; it said: no line end"},
        {"printf 'why\\n\\n  \\n' >&2; exit 1", "exit status 1; it said: why"},
        {"printf 'a\\033[31mb\\377\\n' >&2; exit 1", "exit status 1; it said: a?[31mb?"},
        {"printf 'caf\\303\\251\\n' >&2; exit 1", "exit status 1; it said: caf\303\251"},
        {"exit 1", "exit status 1"},
        /* What it leaves behind may hold the pipe; that is not waited for. */
        {"sleep 60 >/dev/null & echo gone >&2; exit 2", "exit status 2; it said: gone"},
    };
    struct temp *t = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OWNED(program) struct program *p = reader(t, cases[i].command);
        assert_int_equal(wait_end(p), PROGRAM_FAILED);
        assert_string_equal(program_failure(p), cases[i].failure);
    }
    OWNED(program)
    struct program *p = reader(t, "printf '%10000s\\n' x | tr ' x' '\\303\\251' >&2; exit 1");
    assert_failed(p, "exit status 1; it said: ");
    assert_true(strlen(program_failure(p)) < 250);
}

static void what_is_committed_is_passed_to_a_writer(void **state)
{
    struct temp *t = *state;
    char command[300];
    temp_write(t, "spool", "1\n2\n3\nnot committed");
    snprintf(command, sizeof command, "cat > %s", temp_path(t, "got"));
    OWNED(program) struct program *p = writer(t, command, 4);
    program_advance(p, 2); /* backwards: nothing */
    program_advance(p, 6);
    assert_int_equal(program_state(p), PROGRAM_RUNNING);
    program_finish(p);
    program_finish(p);
    assert_ended(p);
    assert_file(t, "got", "1\n2\n3\n");
}

static void a_writer_gets_lines_as_they_are_committed(void **state)
{
    struct temp *t = *state;
    char command[300];
    assert_int_equal(mkfifo(temp_path(t, "said"), 0600), 0);
    snprintf(command, sizeof command, "while read x; do echo $x; done > %s", temp_path(t, "said"));
    OWNED(program) struct program *p = writer(t, command, 0);
    OWNED_FD int said = open(temp_path(t, "said"), O_RDONLY | O_CLOEXEC);
    for (int i = 1; i < 5; i++) {
        char got[3] = {0};
        char line[3] = {(char)('0' + i), '\n', 0};
        temp_append(t, "spool", line);
        program_advance(p, 2 * i);
        assert_int_equal(read(said, got, 2), 2);
        assert_string_equal(got, line);
    }
    program_finish(p);
    assert_ended(p);
}

static void a_large_spool_is_passed_whole(void **state)
{
    struct temp *t = *state;
    char command[300];
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < 500000; i++)
        buf_add_format(&text, "%d\n", i);
    temp_put(t, "spool", O_TRUNC, text.data, text.len);
    snprintf(command, sizeof command, "cat > %s", temp_path(t, "got"));
    OWNED(program) struct program *p = writer(t, command, (int64_t)text.len);
    program_finish(p);
    assert_ended(p);
    buf_add(&text, "", 1);
    assert_file(t, "got", text.data);
}

static void a_writer_that_ends_early_has_failed(void **state)
{
    struct temp *t = *state;
    temp_write(t, "spool", "1\n2\n");
    {
        OWNED(program) struct program *p = writer(t, "true", 0);
        assert_failed(p, "before the job was complete");
    }
    {
        OWNED(program) struct program *p = writer(t, "read x; exit 4", 4);
        assert_failed(p, "exit status 4");
    }
    OWNED(program) struct program *p = writer(t, "cat >/dev/null; exit 5", 4);
    program_finish(p);
    assert_failed(p, "exit status 5");
}

static void a_spool_shorter_than_committed_fails(void **state)
{
    struct temp *t = *state;
    OWNED(program) struct program *p = writer(t, "cat >/dev/null", 10);
    assert_failed(p, "shorter than what was committed");
}

/* Freed while it runs: the whole group is gone, also what the shell had started. */
static void a_running_program_is_killed_with_its_group(void **state)
{
    struct temp *t = *state;
    char command[400];
    assert_int_equal(mkfifo(temp_path(t, "alive"), 0600), 0);
    snprintf(command, sizeof command, "exec 3> %s; echo started; sh -c 'kill -STOP $$' & wait",
             temp_path(t, "alive"));
    struct program *p = reader(t, command);
    OWNED_FD int alive = open(temp_path(t, "alive"), O_RDONLY | O_CLOEXEC);
    while (size_of(t, "spool") < 8)
        wait_ring();
    program_free(p);
    char byte;
    assert_int_equal(read(alive, &byte, 1), 0); /* nobody holds the other end */
}

static void a_spool_that_cannot_be_opened_is_an_error(void **state)
{
    struct temp *t = *state;
    struct program *p;
    struct program_end end = {"true", -1};
    assert_false(program_start_reader(&end, temp_path(t, "no/spool"), rung, &bell, &p, &t->err));
    assert_error(t, ERR_NOT_FOUND, "no/spool");
    assert_false(program_start_writer(&end, temp_path(t, "no/spool"), 0, rung, &bell, &p, &t->err));
    assert_error(t, ERR_NOT_FOUND, "no/spool");
}

#ifdef PENSTOCK_FAULTS
static void a_spool_that_cannot_be_written_fails_the_program(void **state)
{
    static const char *const plans[] = {"file.write:1:full", "file.sync:1:fail"};
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        fault_set(plans[i]);
        OWNED(program) struct program *p = reader(t, "echo 1");
        assert_failed(p, i ? "sync" : "No space");
        fault_set(NULL);
    }
    OWNED(program) struct program *p = reader(t, "echo 1");
    assert_ended(p);
    assert_file(t, "spool", "1\n");
}
#endif

static void programs_have_names(void **state)
{
    struct temp *t = *state;
    OWNED(programs) struct programs *p = programs_new();
    assert_true(programs_add(p, "db.read-1=psql -c 'a=b'", &t->err));
    assert_true(programs_add(p, "two=x", &t->err));
    struct program_end end;
    assert_true(programs_find(p, "db.read-1", &end));
    assert_string_equal(end.command, "psql -c 'a=b'");
    assert_true(programs_find(p, "two", &end));
    assert_string_equal(end.command, "x");
    assert_false(programs_find(p, "three", &end));
    assert_true(programs_add_fd(p, "stdin", 0, &t->err));
    assert_true(programs_find(p, "stdin", &end));
    assert_null(end.command);
    assert_int_equal(end.fd, 0);
    assert_false(programs_add_fd(p, "two", 1, &t->err));
    assert_false(programs_add_fd(p, "a b", 1, &t->err));
    assert_false(programs_add(p, "two=y", &t->err));
    assert_error(t, ERR_INVALID, "named already");
    static const char *const wrong[] = {"", "x", "=x", "a b=x", "a=", "\xc3\xa9=x", "a/b=x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(programs_add(p, wrong[i], &t->err));
        assert_int_equal(t->err.code, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(what_a_reader_prints_is_spooled),
        UNIT(lines_are_spooled_whole_and_at_once),
        UNIT(a_reader_run_again_must_print_the_same),
        UNIT(a_large_output_is_spooled_as_fast_as_it_is_consumed),
        UNIT(a_reader_that_fails_is_told_with_its_status),
        UNIT(the_last_line_that_it_said_is_told_with_its_failure),
        UNIT(what_is_committed_is_passed_to_a_writer),
        UNIT(a_writer_gets_lines_as_they_are_committed),
        UNIT(a_large_spool_is_passed_whole),
        UNIT(a_writer_that_ends_early_has_failed),
        UNIT(a_spool_shorter_than_committed_fails),
        UNIT(a_running_program_is_killed_with_its_group),
        UNIT(a_spool_that_cannot_be_opened_is_an_error),
#ifdef PENSTOCK_FAULTS
        UNIT(a_spool_that_cannot_be_written_fails_the_program),
#endif
        UNIT(programs_have_names),
    };
    bell = eventfd(0, EFD_CLOEXEC);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
