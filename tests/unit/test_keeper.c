/* test_keeper.c: the keeper starts what it is told to, tells of ends, and leaves nothing behind.
 * The test is its own keeper: it is started again with the keeper's word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/keeper.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000 };

struct world {
    struct keeper *keeper;
    int ends[2]; /* what programs print */
};

static void begin(struct world *w)
{
    struct err err;
    if (!keeper_start(&w->keeper, &err))
        fail_msg("%s", err.text);
    assert_int_equal(pipe2(w->ends, O_CLOEXEC), 0);
}

static void end(struct world *w)
{
    keeper_free(w->keeper);
    close(w->ends[0]);
    if (w->ends[1] >= 0)
        close(w->ends[1]);
}

static void start_with(struct world *w, uint64_t id, const char *command, const char *variable)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    const char *const environment[] = {variable, NULL};
    const struct keeper_program program = {.id = id,
                                           .argv = argv,
                                           .environment = environment,
                                           .output_fd = w->ends[1],
                                           .control_fd = -1};
    struct err err;
    if (!keeper_run(w->keeper, &program, &err))
        fail_msg("%s", err.text);
}

static void start(struct world *w, uint64_t id, const char *command)
{
    start_with(w, id, command, "MINE=yes");
}

static struct keeper_report next(struct world *w)
{
    struct keeper_report r;
    struct err err;
    for (bool got = false;;) {
        if (!keeper_next(w->keeper, &r, &got, &err))
            fail_msg("%s", err.text);
        if (got)
            return r;
        struct pollfd fd = {.fd = keeper_fd(w->keeper), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
    }
}

/* What the programs have printed when none of them has the pipe any more. */
static char *read_all(struct world *w)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    close(w->ends[1]);
    w->ends[1] = -1;
    for (ssize_t n = 1; n > 0;) {
        assert_true(buf_reserve(&text, 4096));
        n = read(w->ends[0], text.data + text.len, 4096);
        text.len += n > 0 ? (size_t)n : 0;
    }
    return buf_take(&text);
}

/* One line of a number, as it comes. */
static pid_t read_pid(struct world *w)
{
    char line[32];
    size_t len = 0;
    while (len < sizeof line - 1 && read(w->ends[0], line + len, 1) == 1 && line[len] != '\n')
        len++;
    line[len] = '\0';
    return (pid_t)strtol(line, NULL, 10);
}

static void an_end_is_told_with_its_status(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    start(&w, 7, "echo $MINE; exit 3");
    struct keeper_report r = next(&w);
    assert_int_equal(r.id, 7);
    assert_int_equal(r.kind, KEEPER_ENDED);
    assert_int_equal(WEXITSTATUS(r.status), 3);
    OWNED_MEM char *text = read_all(&w);
    assert_string_equal(text, "yes\n");
    end(&w);
}

static void many_at_once_end_each_once(void **state)
{
    enum { COUNT = 300 };
    struct world w;
    bool seen[COUNT + 1] = {false};
    (void)state;
    begin(&w);
    for (int i = 1; i <= COUNT; i++)
        start(&w, (uint64_t)i, ":");
    for (int i = 1; i <= COUNT; i++) {
        struct keeper_report r = next(&w);
        assert_int_equal(r.kind, KEEPER_ENDED);
        assert_in_range(r.id, 1, COUNT);
        assert_false(seen[r.id]);
        seen[r.id] = true;
    }
    end(&w);
}

static void a_program_that_is_not_there_is_told(void **state)
{
    static const char *const argv[] = {"/no/such/program", NULL};
    struct world w;
    struct err err;
    (void)state;
    begin(&w);
    const struct keeper_program program = {
        .id = 1, .argv = argv, .output_fd = w.ends[1], .control_fd = -1};
    assert_true(keeper_run(w.keeper, &program, &err));
    struct keeper_report r = next(&w);
    assert_int_equal(r.kind, KEEPER_FAILED);
    assert_int_equal(r.status, ENOENT);
    end(&w);
}

static void texts_that_are_too_long_are_refused(void **state)
{
    struct world w;
    struct err err;
    (void)state;
    begin(&w);
    OWNED_MEM char *text = xcalloc(1, (16 << 20) + 1);
    memset(text, 'x', 16 << 20);
    const char *const argv[] = {"/bin/sh", "-c", text, NULL};
    const struct keeper_program program = {
        .id = 1, .argv = argv, .output_fd = w.ends[1], .control_fd = -1};
    assert_false(keeper_run(w.keeper, &program, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    /* What the kernel does not take is told, too; the next one is none the worse for it. */
    text[4 << 20] = '\0';
    assert_true(keeper_run(w.keeper, &program, &err));
    assert_int_equal(next(&w).kind, KEEPER_FAILED);
    start(&w, 2, "exit 0");
    assert_int_equal(next(&w).kind, KEEPER_ENDED);
    end(&w);
}

static void a_signal_goes_to_the_whole_group(void **state)
{
    struct world w;
    struct err err;
    (void)state;
    begin(&w);
    start(&w, 1, "sleep 1000 & echo $!; wait");
    pid_t child = read_pid(&w);
    assert_true(child > 1);
    assert_true(keeper_signal(w.keeper, 1, SIGTERM, &err));
    assert_true(keeper_signal(w.keeper, 99, SIGTERM, &err)); /* nobody */
    bool ended = false;
    for (int i = 0; i < 2 && !ended; i++) {
        struct keeper_report r = next(&w);
        ended = r.kind == KEEPER_ENDED;
        assert_int_equal(WTERMSIG(r.status), SIGTERM);
    }
    assert_true(ended);
    end(&w);
    assert_int_equal(kill(child, 0), -1);
}

static void what_is_left_of_a_group_ends_with_its_first_process(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    start(&w, 1, "sleep 1000 & echo $!");
    pid_t child = read_pid(&w);
    assert_int_equal(next(&w).kind, KEEPER_ENDED);
    struct keeper_report r = next(&w);
    assert_int_equal(r.kind, KEEPER_ORPHAN);
    assert_int_equal(r.pid, child);
    assert_int_equal(WTERMSIG(r.status), SIGKILL);
    end(&w);
}

/* ---- shells that are forked from one that is loaded already ---- */

/* 0 in a shell that was started in the usual way. */
#define IS_WARM "grep -c penstock-shell /proc/$$/maps"
/* Behind what a command prints; nothing else prints it. */
#define THE_END "<the end>\n"

static bool is_whole(const struct buf *text)
{
    size_t len = sizeof THE_END - 1;
    return text->len >= len && memcmp(text->data + text->len - len, THE_END, len) == 0;
}

/* What the command prints; `id` is of a program that ends well. */
static char *run(struct world *w, uint64_t id, const char *command)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    OWNED_MEM char *all = xasprintf("{ %s; } 2>&1; echo '<the end>'", command);
    start(w, id, all);
    while (!is_whole(&text)) {
        assert_true(buf_reserve(&text, 1));
        assert_int_equal(read(w->ends[0], text.data + text.len, 1), 1);
        text.len++;
    }
    struct keeper_report r = next(w);
    assert_int_equal(r.kind, KEEPER_ENDED);
    assert_int_equal(r.id, id);
    assert_int_equal(r.status, 0);
    return buf_take(&text);
}

static void assert_prints(struct world *w, uint64_t id, const char *command, const char *want)
{
    OWNED_MEM char *got = run(w, id, command), *whole = xasprintf("%s" THE_END, want);
    assert_string_equal(got, whole);
}

static void a_warm_shell_is_as_any_other(void **state)
{
    static const char command[] =
        "echo $0 $# $MINE; pwd; umask; ulimit -a; env | sort; ls /proc/$$/fd;"
        "readlink /proc/$$/fd/0; tr -s '\\0' ' ' </proc/$$/cmdline; cat; kill -0 -$$ && echo group;"
        "read pid name state parent group session rest </proc/$$/stat; echo $name;"
        "test $parent = $PPID -a $group = $$ && echo $parent $session;"
        "grep -E '^(Sig|Shd|Cap|Groups|NoNew|Threads)' /proc/$$/status | grep -v SigQ;"
        "sh -c 'exit 3'; echo $?; (echo sub); trap 'echo trapped' TERM; kill -TERM $$; sleep 0";
    struct world w;
    (void)state;
    setenv("PENSTOCK_KEY", "secret", 1);
    begin(&w);
    OWNED_MEM char *cold = run(&w, 1, command), *warm = run(&w, 2, command);
    assert_string_equal(warm, cold);
    assert_null(strstr(warm, "secret"));
    assert_null(strstr(warm, "LD_PRELOAD"));
    assert_non_null(strstr(warm, "trapped"));
    assert_non_null(strstr(warm, "group\n"));
    assert_prints(&w, 3, IS_WARM " | grep -v '^0$' >/dev/null && echo warm", "warm\n");
    unsetenv("PENSTOCK_KEY");
    end(&w);
}

static void ends_of_warm_shells_are_told_as_they_are(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    start(&w, 1, ":");
    assert_int_equal(next(&w).id, 1);
    start(&w, 2, "exit 7");
    assert_int_equal(WEXITSTATUS(next(&w).status), 7);
    start(&w, 3, "kill -9 $$");
    assert_int_equal(WTERMSIG(next(&w).status), SIGKILL);
    start(&w, 4, "no syntax (");
    assert_int_equal(WEXITSTATUS(next(&w).status), 2);
    end(&w);
}

static void what_means_something_to_the_loader_is_started_anew(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    assert_prints(&w, 1, IS_WARM "; true", "0\n");
    start_with(&w, 2, IS_WARM " >&2; test $LD_BIND_NOW = 1", "LD_BIND_NOW=1");
    char line[2];
    assert_int_equal(read(w.ends[0], line, 2), 2);
    assert_memory_equal(line, "0\n", 2);
    assert_int_equal(next(&w).status, 0);
    end(&w);
}

static void a_long_command_goes_the_usual_way(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    OWNED_MEM char *blanks = xcalloc(1, 100001);
    memset(blanks, ' ', 100000);
    OWNED_MEM char *command = xasprintf("echo here;%s echo $MINE", blanks);
    assert_prints(&w, 1, command, "here\nyes\n");
    assert_prints(&w, 2, command, "here\nyes\n");
    end(&w);
}

static void when_the_seed_is_gone_shells_are_started_as_usual(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    assert_prints(&w, 1, "echo 1", "1\n");
    /* All children of the keeper but itself: the seed. */
    start(&w, 2,
          "for p in $(cat /proc/$PPID/task/$PPID/children); do test $p = $$ || kill -9 $p; done;"
          "while test $(cat /proc/$PPID/task/$PPID/children | wc -w) -gt 1; do :; done");
    for (uint64_t ended = 0; ended != 2;) {
        struct keeper_report r = next(&w);
        assert_true(r.kind == KEEPER_ENDED || r.kind == KEEPER_ORPHAN);
        ended = r.kind == KEEPER_ENDED ? r.id : ended;
    }
    assert_prints(&w, 3, IS_WARM "; true", "0\n");
    assert_prints(&w, 4, "echo 4", "4\n");
    end(&w);
}

static void nothing_is_left_when_the_runner_is_gone(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    start(&w, 1,
          "sleep 1000 & echo $!; setsid sleep 1001 & echo $!;"
          "(setsid sh -c 'echo $$; trap \"\" TERM; sleep 1002 & wait' &); wait");
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = read_pid(&w);
        assert_true(pids[i] > 1);
        assert_int_equal(kill(pids[i], 0), 0);
    }
    end(&w); /* which waits for the keeper's end */
    for (int i = 0; i < 3; i++)
        assert_int_equal(kill(pids[i], 0), -1);
}

static void a_keeper_that_is_gone_is_noticed(void **state)
{
    struct world w;
    struct err err;
    struct keeper_report r;
    bool got = false;
    (void)state;
    begin(&w);
    start(&w, 1, "kill -9 $PPID; sleep 1000");
    struct pollfd fd = {.fd = keeper_fd(w.keeper), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
    assert_false(keeper_next(w.keeper, &r, &got, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_false(keeper_signal(w.keeper, 1, SIGTERM, &err));
    end(&w);
}

int main(int argc, char **argv)
{
    struct err err;
    if (argc == 2 && strcmp(argv[1], KEEPER_COMMAND) == 0)
        return keeper_serve(KEEPER_FD, &err) ? 0 : 1;
    unsetenv("MALLOC_PERTURB_"); /* who runs tests may set it; no shell would be warm with it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_told_with_its_status),
        cmocka_unit_test(many_at_once_end_each_once),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
        cmocka_unit_test(texts_that_are_too_long_are_refused),
        cmocka_unit_test(a_signal_goes_to_the_whole_group),
        cmocka_unit_test(what_is_left_of_a_group_ends_with_its_first_process),
        cmocka_unit_test(a_warm_shell_is_as_any_other),
        cmocka_unit_test(ends_of_warm_shells_are_told_as_they_are),
        cmocka_unit_test(what_means_something_to_the_loader_is_started_anew),
        cmocka_unit_test(a_long_command_goes_the_usual_way),
        cmocka_unit_test(when_the_seed_is_gone_shells_are_started_as_usual),
        cmocka_unit_test(nothing_is_left_when_the_runner_is_gone),
        cmocka_unit_test(a_keeper_that_is_gone_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
