/* spawn.c: see spawn.h. The child borrows our memory until it has become its program, as vfork has
 * it: with a large process that is much cheaper than a copy of all its page tables, each page of
 * which we would then take back by a fault. Until exec it calls only what is safe in a signal
 * handler: other threads' locks may be held. */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

enum { PLACES = 4, CHILD_BYTES = 64 << 10 };

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

/* What the child is told, and what it tells. */
struct child_side {
    const struct spawn_plan *plan;
    const char *const *environment;
    int fds[PLACES];
    pid_t parent;
    int failed; /* the number of the error for which it did not become its program; 0 */
};

/* The child's side; returns only when it failed. */
static int become(void *side)
{
    struct child_side *c = side;
    if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL)) {
        c->failed = errno;
        return 127;
    }
    if (getppid() != c->parent)
        return 127; /* it died before the kernel knew what to do then */
    if (place_descriptors(c->fds)) {
        default_signals();
        execve(c->plan->argv[0], (char *const *)(uintptr_t)c->plan->argv,
               (char *const *)(uintptr_t)c->environment);
    }
    c->failed = errno;
    return 127;
}

static bool spawn_error(struct err *err, int number, const char *program)
{
    err_errno(err, number, "start %s", program);
    if (number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE)
        err->code = ERR_BUSY;
    if (number == E2BIG)
        err->code = ERR_LIMIT;
    return false;
}

/* A thread sanitizer knows no two processes in one memory. */
#if defined __SANITIZE_THREAD__
#define SHARES_MEMORY 0
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define SHARES_MEMORY 0
#endif
#endif
#ifndef SHARES_MEMORY
#define SHARES_MEMORY CLONE_VM
#endif

/* Returns when the child has become its program, or has ended: its pid, or -1 with errno. */
static pid_t clone_child(struct child_side *side)
{
    sigset_t all, before;
    char *stack = (char *)side + CHILD_BYTES;
    /* No handler of ours may run in the child. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = clone(become, stack, SHARES_MEMORY | CLONE_VFORK | SIGCHLD, side);
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return child;
}

bool spawn_start(const struct spawn_plan *plan, pid_t *pid, struct err *err)
{
    OWNED_FD int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0)
        return spawn_error(err, errno, plan->argv[0]);
    /* What the child is told and its stack, for both to see: pages that are marked as shared cost a
     * file in memory, which is for children with a memory of their own. */
    const int kind = SHARES_MEMORY ? MAP_PRIVATE : MAP_SHARED;
    struct child_side *side =
        mmap(NULL, CHILD_BYTES, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
    if (side == MAP_FAILED)
        return spawn_error(err, errno, plan->argv[0]);
    OWNED_MEM const char **environment = child_environment(plan->environment);
    *side = (struct child_side){.plan = plan,
                                .environment = environment,
                                .fds = {plan->stdin_fd < 0 ? nothing : plan->stdin_fd,
                                        plan->stdout_fd < 0 ? nothing : plan->stdout_fd,
                                        plan->stderr_fd < 0 ? nothing : plan->stderr_fd,
                                        plan->control_fd},
                                .parent = getpid()};
    pid_t child = clone_child(side);
    int number = child < 0 ? errno : side->failed;
    munmap(side, CHILD_BYTES);
    if (child >= 0 && number)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    if (number)
        return spawn_error(err, number, plan->argv[0]);
    *pid = child;
    return true;
}

bool spawn_become(const char *const *argv, struct err *err)
{
    /* execv() promises not to write to what it is given. */
    execv(argv[0], (char *const *)(uintptr_t)argv);
    return spawn_error(err, errno, argv[0]);
}
