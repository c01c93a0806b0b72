/* shell_seed.c: a library that is preloaded into /bin/sh and makes a seed of it: a shell that has
 * been loaded and linked, and stands before its main(). For each order (shell_seed.h) it forks, and
 * the child goes on into main() with the arguments `sh -c COMMAND`, as if it had just been started.
 * Loading and linking, which is most of what a short command takes, is done once.
 *
 * The children are the keeper's, as the seed is (CLONE_PARENT): it reaps them, and is their parent.
 * The seed ends with its socket. Whatever else it preloads into never gets here: the keeper starts
 * it, and takes the variable away. */
#include "run/shell_seed.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef int main_function(int argc, char **argv, char **environment);
typedef int start_function(main_function *run, int argc, char **argv, void (*init)(void),
                           void (*end)(void), void (*end_of_loader)(void), void *stack_end);

static struct {
    main_function *shell_main;
    pid_t keeper;
    char *title; /* where the kernel finds our arguments, to be overwritten */
    size_t title_bytes;
    char *body; /* of the order that is being carried out */
    int output_fd;
    struct seed_order order;
} seed;

/* ---- orders ---- */

static bool read_whole(void *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(SEED_CONTROL_FD, (char *)to + got, len - got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* The head of an order, with its descriptor. */
static bool read_head(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {&seed.order, sizeof seed.order};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n = 0;
    do
        n = recvmsg(SEED_CONTROL_FD, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return false;
    memcpy(&seed.output_fd, CMSG_DATA(c), sizeof seed.output_fd);
    return read_whole((char *)&seed.order + n, sizeof seed.order - (size_t)n);
}

/* The keeper sends what is whole, or nothing. */
static bool read_order(void)
{
    if (!read_head() || !(seed.body = malloc(seed.order.body_bytes)))
        return false;
    return read_whole(seed.body, seed.order.body_bytes);
}

/* ---- the child ---- */

static bool sets_the_same(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");
    return strncmp(a, b, len) == 0 && b[len] == '=';
}

/* Ours, but for what the order sets anew, and for what made a seed of us. */
static char **merge_environment(char *texts)
{
    size_t ours = 0, to = 0, added = seed.order.variable_count;
    while (environ[ours])
        ours++;
    char **out = calloc(ours + added + 1, sizeof *out);
    if (!out)
        return NULL;
    for (size_t i = 0; i < added; i++, texts += strlen(texts) + 1)
        out[to++] = texts;
    for (size_t i = 0; i < ours; i++) {
        bool set = sets_the_same("LD_PRELOAD=", environ[i]);
        for (size_t k = 0; k < added && !set; k++)
            set = sets_the_same(out[k], environ[i]);
        if (!set)
            out[to++] = environ[i];
    }
    return out;
}

/* What others see as our arguments, as much of it as there is room for. */
static void show_title(const char *command)
{
    static const char before[] = "/bin/sh\0-c"; /* and its NUL */
    size_t room = seed.title_bytes - sizeof before - 1, len = strlen(command);
    memset(seed.title, 0, seed.title_bytes);
    memcpy(seed.title, before, sizeof before);
    memcpy(seed.title + sizeof before, command, len < room ? len : room);
}

/* In the child: it becomes the shell. */
static int become(void)
{
    static char shell[] = "/bin/sh", option[] = "-c";
    char *argv[] = {shell, option, seed.body, NULL};
    char **variables = merge_environment(seed.body + strlen(seed.body) + 1);
    /* Standard output is /dev/null as yet. */
    if (!variables || setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) ||
        getppid() != seed.keeper || dup2(STDOUT_FILENO, STDIN_FILENO) < 0 ||
        dup2(seed.output_fd, STDOUT_FILENO) < 0 || dup2(seed.output_fd, STDERR_FILENO) < 0)
        _exit(126);
    close(seed.output_fd);
    close(SEED_CONTROL_FD);
    show_title(seed.body);
    environ = variables;
    return seed.shell_main(3, argv, variables);
}

/* ---- the seed ---- */

static pid_t fork_brother(void)
{
    /* With CLONE_PARENT the signal at its end is that at ours: SIGCHLD. */
    struct clone_args how = {.flags = CLONE_PARENT};
    return (pid_t)syscall(SYS_clone3, &how, sizeof how);
}

static bool say(seed_answer answer)
{
    return send(SEED_CONTROL_FD, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer;
}

static int grow(int argc, char **argv, char **environment)
{
    (void)environment;
    seed.keeper = getppid();
    seed.title = argv[0];
    seed.title_bytes = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]);
    for (bool here = say(getpid()); here && read_order();) {
        pid_t child = fork_brother();
        if (child == 0)
            return become();
        here = say(child < 0 ? -errno : child);
        close(seed.output_fd);
        free(seed.body);
    }
    _exit(0);
}

/* What the C library's start of every program calls; here with another main. */
__attribute__((visibility("default"))) int
__libc_start_main(main_function *run, int argc, char **argv, void (*init)(void), void (*end)(void),
                  void (*end_of_loader)(void), void *stack_end);

int __libc_start_main(main_function *run, int argc, char **argv, void (*init)(void),
                      void (*end)(void), void (*end_of_loader)(void), void *stack_end)
{
    union {
        void *object;
        start_function *function;
    } next = {dlsym(RTLD_NEXT, "__libc_start_main")};
    seed.shell_main = run;
    return next.function(grow, argc, argv, init, end, end_of_loader, stack_end);
}
