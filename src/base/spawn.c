/* spawn.c: see spawn.h. Between fork and exec only what is safe in a signal handler is called: the
 * other threads' locks are held for ever in the child. */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_ours(const char *variable)
{
    static const char prefix[] = "PENSTOCK_";
    return strncmp(variable, prefix, sizeof prefix - 1) == 0;
}

static size_t count_of(const char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

static bool sets_the_same(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return strncmp(a, b, length) == 0 && b[length] == '=';
}

static bool is_set_in(const char *const *list, const char *variable)
{
    for (; list && *list; list++)
        if (sets_the_same(*list, variable))
            return true;
    return false;
}

/* The environment for a child: an array to be freed, its strings borrowed. */
static const char **child_environment(const char *const *added)
{
    const char *const *ours = (const char *const *)environ;
    size_t count = count_of(ours), to = 0;
    const char **out = xcalloc(count + count_of(added) + 1, sizeof *out);
    for (size_t i = 0; i < count; i++)
        if (!is_ours(ours[i]) && !is_set_in(added, ours[i]))
            out[to++] = ours[i];
    for (; added && *added; added++)
        out[to++] = *added;
    return out;
}

enum { PLACES = 4 };

/* Puts copies of the descriptors at 0, 1, 2 and, when the last is not 0, at 3. They may be there
 * already, in any order, so all are first copied out of the way. */
static bool place_descriptors(const int fds[PLACES])
{
    int high[PLACES];
    int count = fds[PLACES - 1] ? PLACES : PLACES - 1;
    for (int i = 0; i < count; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PLACES);
        if (high[i] < 0)
            return false;
    }
    for (int i = 0; i < count; i++)
        if (dup2(high[i], i) < 0)
            return false;
    return close_range((unsigned)count, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
}

static void default_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &usual, NULL); /* fails for those that cannot be changed */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child's side; on failure the error's number goes back through `report_fd`. */
static _Noreturn void become(const struct spawn_plan *plan, const char *const *environment,
                             const int fds[PLACES], pid_t parent, int report_fd)
{
    int number = 0;
    if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
        number = errno;
    else if (getppid() != parent)
        _exit(127); /* died before the kernel knew what to do then */
    if (!number && place_descriptors(fds)) {
        default_signals();
        execve(plan->argv[0], (char *const *)(uintptr_t)plan->argv,
               (char *const *)(uintptr_t)environment);
    }
    if (!number)
        number = errno;
    ssize_t told = write(report_fd, &number, sizeof number);
    _exit(told == (ssize_t)sizeof number ? 127 : 126);
}

/* Waits until exec has closed the pipe, or for the number of its error. */
static int hear_back(int fd)
{
    int number = 0;
    ssize_t n = 0;
    do
        n = read(fd, &number, sizeof number);
    while (n < 0 && errno == EINTR);
    return n == 0 ? 0 : n == (ssize_t)sizeof number ? number : EIO;
}

static bool spawn_error(struct err *err, int number, const char *program)
{
    err_errno(err, number, "start %s", program);
    if (number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE)
        err->code = ERR_BUSY;
    return false;
}

bool spawn_start(const struct spawn_plan *plan, pid_t *pid, struct err *err)
{
    OWNED_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int report[2];
    if (nothing < 0 || pipe2(report, O_CLOEXEC))
        return spawn_error(err, errno, plan->argv[0]);
    OWNED_FD int hear = report[0];
    OWNED_FD int tell = report[1];
    const int fds[PLACES] = {plan->stdin_fd < 0 ? nothing : plan->stdin_fd,
                             plan->stdout_fd < 0 ? nothing : plan->stdout_fd,
                             plan->stderr_fd < 0 ? nothing : plan->stderr_fd, plan->control_fd};
    OWNED_MEM const char **environment = child_environment(plan->environment);
    /* No handler of ours may run in the child. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        become(plan, environment, fds, parent, tell);
    int number = child < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return spawn_error(err, number, plan->argv[0]);
    close(TAKE_FD(tell));
    number = hear_back(hear);
    if (number) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        return spawn_error(err, number, plan->argv[0]);
    }
    *pid = child;
    return true;
}

bool spawn_become(const char *const *argv, struct err *err)
{
    /* execv() promises not to write to what it is given. */
    execv(argv[0], (char *const *)(uintptr_t)argv);
    return spawn_error(err, errno, argv[0]);
}
