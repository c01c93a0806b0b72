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

/* The environment for a child: an array to be freed, its strings borrowed. */
static char **child_environment(void)
{
    size_t count = 0, to = 0;
    while (environ && environ[count])
        count++;
    char **out = xcalloc(count + 1, sizeof *out);
    for (size_t i = 0; i < count; i++)
        if (!is_ours(environ[i]))
            out[to++] = environ[i];
    return out;
}

/* Puts copies of the three descriptors at 0, 1 and 2. They may be there already, in any order, so
 * all are first copied out of the way. */
static bool place_descriptors(const int fds[3])
{
    int high[3];
    for (int i = 0; i < 3; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (high[i] < 0)
            return false;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(high[i], i) < 0)
            return false;
    return close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
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
static _Noreturn void become(const struct spawn_plan *plan, char *const *environment,
                             const int fds[3], pid_t parent, int report_fd)
{
    int number = 0;
    if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
        number = errno;
    else if (getppid() != parent)
        _exit(127); /* died before the kernel knew what to do then */
    if (!number && place_descriptors(fds)) {
        default_signals();
        execve(plan->argv[0], (char *const *)(uintptr_t)plan->argv, environment);
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
    const int fds[3] = {plan->stdin_fd < 0 ? nothing : plan->stdin_fd,
                        plan->stdout_fd < 0 ? nothing : plan->stdout_fd,
                        plan->stderr_fd < 0 ? nothing : plan->stderr_fd};
    OWNED_MEM char **environment = child_environment();
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
