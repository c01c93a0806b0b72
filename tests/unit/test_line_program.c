/* test_line_program.c: a program that reads and prints lines, for one life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/line_program.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000 };

static struct line_program *start(const char *command)
{
    struct line_program *p = NULL;
    struct err err = {0};
    if (!line_program_start(command, &p, &err))
        fail_msg("%s", err.text);
    return p;
}

static void wait_for(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    assert_true(fd >= 0 && poll(&one, 1, DEADLINE_MS) == 1);
}

/* The next line, waited for. */
static void assert_line(struct line_program *p, const char *want)
{
    struct str line;
    struct err err = {0};
    while (!line_program_line(p, &line)) {
        wait_for(line_program_output(p));
        assert_true(line_program_read(p, &err));
    }
    OWNED_MEM char *text = xstrndup(line.ptr, line.len);
    assert_string_equal(text, want);
}

static void write_all(struct line_program *p, const char *text)
{
    size_t wrote = 0;
    assert_true(line_program_write(p, str_of(text), &wrote));
    assert_int_equal(wrote, strlen(text));
}

static int end_of(struct line_program *p)
{
    int status = 0;
    if (line_program_end_fd(p) >= 0)
        wait_for(line_program_end_fd(p));
    assert_true(line_program_has_ended(p, &status));
    return status;
}

static void lines_go_in_and_come_out(void **state)
{
    (void)state;
    int status = 0;
    OWNED(line_program) struct line_program *p = start("cat");
    write_all(p, "one\ntw");
    assert_line(p, "one");
    write_all(p, "o\n\nthree");
    assert_line(p, "two");
    assert_line(p, "");
    assert_false(line_program_has_ended(p, &status));
    assert_true(line_program_memory_bytes(p) > 0);
    line_program_close_input(p);
    assert_int_equal(line_program_input(p), -1);
    status = end_of(p);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    struct err err;
    while (line_program_output(p) >= 0)
        assert_true(line_program_read(p, &err));
    assert_true(str_is(line_program_rest(p), "three"));
    assert_int_equal(line_program_printed(p), 14);
    assert_int_equal(line_program_memory_bytes(p), 0);
}

static void how_it_ends_is_its_own(void **state)
{
    (void)state;
    OWNED(line_program) struct line_program *p = start("kill -9 $$");
    int status = end_of(p);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    OWNED(line_program) struct line_program *q = start("cat >/dev/null; exit 3");
    line_program_close_input(q);
    status = end_of(q);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    OWNED(line_program) struct line_program *r = start("A=1 no-such-program");
    status = end_of(r);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

static void what_is_quoted_reaches_the_program(void **state)
{
    (void)state;
    OWNED(line_program) struct line_program *p = start("printf '%s\\n' 'a | b' \"c;d\" e\\;f '\"'");
    assert_line(p, "a | b");
    assert_line(p, "c;d");
    assert_line(p, "e;f");
    assert_line(p, "\"");
    OWNED(line_program) struct line_program *q = start("A='x y'; echo \"$A\" | cat && echo end");
    assert_line(q, "x y");
    assert_line(q, "end");
}

static void what_it_started_ends_with_it(void **state)
{
    (void)state;
    struct err err;
    OWNED(line_program) struct line_program *p = start("sleep 3600 & echo; exit 0");
    assert_line(p, "");
    end_of(p);
    while (line_program_output(p) >= 0) { /* ends when nobody has it any more */
        wait_for(line_program_output(p));
        assert_true(line_program_read(p, &err));
    }
}

static void a_closed_input_is_told(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    size_t wrote = 0;
    OWNED(line_program) struct line_program *p = start("exec 0<&-; echo; sleep 3600");
    assert_line(p, "");
    assert_false(line_program_write(p, STR("x\n"), &wrote));
    assert_int_equal(line_program_input(p), -1);
    assert_false(line_program_write(p, STR("x\n"), &wrote));
}

static void a_full_input_takes_no_more(void **state)
{
    (void)state;
    OWNED(line_program) struct line_program *p = start("echo; sleep 3600");
    size_t wrote = 0, len = 4 << 20;
    OWNED_MEM char *much = xcalloc(1, len);
    assert_line(p, "");
    assert_true(line_program_write(p, (struct str){much, len}, &wrote));
    assert_in_range(wrote, 4096, len - 1);
    assert_true(line_program_write(p, (struct str){much, len}, &wrote));
    assert_int_equal(wrote, 0);
    assert_false(line_program_is_hungry(p));
    assert_int_equal(line_program_mood(p), PROGRAM_BUSY);
}

static void who_waits_for_input_is_not_busy(void **state)
{
    (void)state;
    OWNED(line_program) struct line_program *p = start("cat");
    write_all(p, "1\n");
    assert_line(p, "1");
    while (line_program_mood(p) == PROGRAM_BUSY)
        sched_yield();
    assert_true(line_program_is_hungry(p));
}

static void a_line_that_never_ends_is_too_long(void **state)
{
    (void)state;
    struct err err = {0};
    OWNED(line_program) struct line_program *p = start("tr '\\0' x </dev/zero");
    for (;;) {
        wait_for(line_program_output(p));
        if (!line_program_read(p, &err))
            break;
        assert_true(line_program_printed(p) < (int64_t)LINE_PROGRAM_LINE_MAX + (4 << 20));
    }
    assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_in_and_come_out),
        cmocka_unit_test(how_it_ends_is_its_own),
        cmocka_unit_test(what_is_quoted_reaches_the_program),
        cmocka_unit_test(what_it_started_ends_with_it),
        cmocka_unit_test(a_closed_input_is_told),
        cmocka_unit_test(a_full_input_takes_no_more),
        cmocka_unit_test(who_waits_for_input_is_not_busy),
        cmocka_unit_test(a_line_that_never_ends_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
