/* Children: what they inherit and what not, and that they do not outlive who started them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct err err;

/* Runs a shell command; what it printed, a string to be freed. */
static char *output_of(const char *command, int *status)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    int ends[2];
    pid_t pid;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct spawn_plan plan = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = ends[1], .stderr_fd = ends[1]};
    if (!spawn_start(&plan, &pid, &err))
        fail_msg("%s", err.text);
    close(ends[1]);
    struct buf out;
    char chunk[512];
    buf_init(&out, BUF_NO_CAP);
    for (ssize_t n; (n = read(ends[0], chunk, sizeof chunk)) > 0;)
        buf_add(&out, chunk, (size_t)n);
    close(ends[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    return buf_take(&out);
}

static void assert_output(const char *command, const char *expected)
{
    int status;
    OWNED_MEM char *got = output_of(command, &status);
    assert_string_equal(got, expected);
    assert_int_equal(status, 0);
}

static void a_child_has_its_three_descriptors_and_no_other(void **state)
{
    (void)state;
    int open_across = open("/dev/null", O_RDONLY); /* without close-on-exec, as a library might */
    assert_output("cat; echo out; echo err >&2", "out\nerr\n");
    /* Those of the shell's own glob apart. */
    assert_output("for f in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$f ] && echo $f; done; true", "");
    close(open_across);
}

static void a_child_has_a_group_of_its_own_and_usual_signals(void **state)
{
    (void)state;
    int status;
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    OWNED_MEM char *got = output_of("kill -TERM 0; echo alive", &status);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(got, "");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    /* Signals 32 and 33 are the C library's own: whoever runs the tests may have left them. */
    assert_output("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\t' |"
                  " sed -E '/Ign/s/[01][08](.{7})$/00\\1/'",
                  "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
    signal(SIGPIPE, SIG_DFL);
}

static void secrets_are_not_inherited(void **state)
{
    (void)state;
    setenv("PENSTOCK_MASTER_TOKEN", "secret", 1);
    setenv("OTHER", "seen", 1);
    assert_output("echo \"$PENSTOCK_MASTER_TOKEN$OTHER\"", "seen\n");
    unsetenv("PENSTOCK_MASTER_TOKEN");
}

static void a_child_gets_its_control_descriptor_and_what_the_plan_adds(void **state)
{
    (void)state;
    const char *const argv[] = {"/bin/sh", "-c", "echo $PENSTOCK_MORE $OTHER >&3", NULL};
    const char *const more[] = {"PENSTOCK_MORE=3", "OTHER=new", NULL};
    int ends[2], status;
    char text[16] = {0};
    pid_t pid;
    setenv("OTHER", "old", 1);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct spawn_plan plan = {.argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .stderr_fd = -1,
                              .control_fd = ends[1],
                              .environment = more};
    assert_true(spawn_start(&plan, &pid, &err));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], text, sizeof text - 1), 6);
    assert_string_equal(text, "3 new\n");
    close(ends[0]);
    close(ends[1]);
}

static void a_program_that_cannot_start_is_an_error_at_once(void **state)
{
    (void)state;
    const char *const none[] = {"/none/such", NULL};
    const char *const folder[] = {"/tmp", NULL};
    struct spawn_plan plan = {.argv = none, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    pid_t pid = -5;
    assert_false(spawn_start(&plan, &pid, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    plan.argv = folder;
    assert_false(spawn_start(&plan, &pid, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(pid, -5);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_process_becomes_another_or_says_why_not(void **state)
{
    (void)state;
    const char *const missing[] = {"/no/such/program", NULL};
    assert_false(spawn_become(missing, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/no/such/program"));
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const char *const argv[] = {"/bin/sh", "-c", "exit 42", NULL};
        if (!spawn_become(argv, &err))
            _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void a_child_may_get_its_descriptors_crosswise(void **state)
{
    (void)state;
    const char *const argv[] = {"/bin/sh", "-c", "echo out; echo err >&2", NULL};
    OWNED_FD int saved_out = dup(1);
    OWNED_FD int saved_err = dup(2);
    int one[2], two[2];
    char text[8] = {0};
    pid_t pid;
    assert_int_equal(pipe(one), 0);
    assert_int_equal(pipe(two), 0);
    dup2(one[1], 1);
    dup2(two[1], 2);
    struct spawn_plan plan = {.argv = argv, .stdin_fd = -1, .stdout_fd = 2, .stderr_fd = 1};
    bool started = spawn_start(&plan, &pid, &err);
    dup2(saved_out, 1);
    dup2(saved_err, 2);
    assert_true(started);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(one[0], text, sizeof text - 1), 4);
    assert_string_equal(text, "err\n");
    assert_int_equal(read(two[0], text, sizeof text - 1), 4);
    assert_string_equal(text, "out\n");
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
}

static void *start_and_end(void *pid)
{
    const char *const argv[] = {"/bin/sh", "-c", "read x", NULL};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct spawn_plan plan = {.argv = argv, .stdin_fd = ends[0], .stdout_fd = -1, .stderr_fd = -1};
    assert_true(spawn_start(&plan, pid, &err));
    close(ends[0]);
    return NULL; /* the writing end stays open: the child would wait for ever */
}

static void a_child_dies_with_the_thread_that_started_it(void **state)
{
    (void)state;
    pthread_t thread;
    pid_t pid;
    int status;
    assert_int_equal(pthread_create(&thread, NULL, start_and_end, &pid), 0);
    pthread_join(thread, NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_its_three_descriptors_and_no_other),
        cmocka_unit_test(a_child_has_a_group_of_its_own_and_usual_signals),
        cmocka_unit_test(secrets_are_not_inherited),
        cmocka_unit_test(a_child_gets_its_control_descriptor_and_what_the_plan_adds),
        cmocka_unit_test(a_program_that_cannot_start_is_an_error_at_once),
        cmocka_unit_test(a_process_becomes_another_or_says_why_not),
        cmocka_unit_test(a_child_may_get_its_descriptors_crosswise),
        cmocka_unit_test(a_child_dies_with_the_thread_that_started_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
