/* worker_process.c: see worker_process.h. */
#include "run/worker_process.h"

#include "base/file.h"
#include "base/parse.h"
#include "base/spawn.h"
#include "run/worker_message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_LINE_MAX = 64 << 10, VMSTAT_MAX_BYTES = 256 << 10 };

static bool watch(struct worker_process *p, enum worker_end end, int epoll_fd, uint64_t first,
                  struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = first + (uint64_t)end};
    int flags = fcntl(p->fds[end], F_GETFL);
    return (flags >= 0 && fcntl(p->fds[end], F_SETFL, flags | O_NONBLOCK) == 0 &&
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fds[end], &event) == 0) ||
           err_errno(err, errno, "watch a worker process");
}

/* The process, with our ends of the socket and of the pipe in `fds`. */
static bool spawn(struct worker_process *p, const char *const *argv, const char *const *environment,
                  struct err *err)
{
    int control[2], output[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control))
        return err_errno(err, errno, "control channel");
    p->fds[WORKER_CONTROL] = control[0];
    OWNED_FD int their_control = control[1];
    if (pipe2(output, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    p->fds[WORKER_OUTPUT] = output[0];
    OWNED_FD int their_output = output[1];
    const struct spawn_plan plan = {.argv = argv,
                                    .stdin_fd = -1,
                                    .stdout_fd = their_output,
                                    .stderr_fd = their_output,
                                    .control_fd = their_control,
                                    .environment = environment};
    return spawn_start(&plan, &p->pid, err);
}

bool worker_process_start(struct worker_process *p, const char *const *argv,
                          const char *const *environment, int epoll_fd, uint64_t first,
                          struct err *err)
{
    *p = (struct worker_process){.fds = {-1, -1, -1}};
    line_stream_init(&p->lines[WORKER_EXIT], 0);
    line_stream_init(&p->lines[WORKER_CONTROL], WORKER_MESSAGE_MAX_BYTES);
    line_stream_init(&p->lines[WORKER_OUTPUT], OUTPUT_LINE_MAX);
    if (!spawn(p, argv, environment, err)) {
        worker_process_release(p);
        return false;
    }
    p->fds[WORKER_EXIT] = pidfd_open(p->pid, 0);
    if (p->fds[WORKER_EXIT] < 0)
        err_errno(err, errno, "watch a worker process");
    else if (watch(p, WORKER_EXIT, epoll_fd, first, err) &&
             watch(p, WORKER_CONTROL, epoll_fd, first, err) &&
             watch(p, WORKER_OUTPUT, epoll_fd, first, err))
        return true;
    worker_process_kill(p);
    worker_process_reap(p);
    worker_process_release(p);
    return false;
}

void worker_process_tell(struct worker_process *p, const struct buf *message)
{
    if (p->fds[WORKER_CONTROL] >= 0)
        (void)!send(p->fds[WORKER_CONTROL], message->data, message->len,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
}

void worker_process_read(struct worker_process *p, enum worker_end end,
                         void (*take)(void *context, struct str line), void *context)
{
    /* Epoll forgets what is closed: there is no copy of it. */
    if (p->fds[end] >= 0 && !line_stream_read(&p->lines[end], p->fds[end], take, context)) {
        fd_drop(&p->fds[end]);
        p->fds[end] = -1;
    }
}

void worker_process_kill(struct worker_process *p)
{
    kill(-p->pid, SIGKILL);
}

int worker_process_reap(struct worker_process *p)
{
    int status = 0;
    pid_t got = 0;
    /* Before it is reaped: until then its number cannot mean another group. */
    worker_process_kill(p);
    do
        got = waitpid(p->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    return got == p->pid ? status : 0;
}

void worker_process_release(struct worker_process *p)
{
    for (int end = 0; end < WORKER_END_COUNT; end++) {
        fd_drop(&p->fds[end]);
        p->fds[end] = -1;
        line_stream_release(&p->lines[end]);
    }
}

int64_t worker_process_memory_bytes(const struct worker_process *p)
{
    char path[64], text[128] = "";
    int64_t pages = 0;
    struct err ignored;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)p->pid);
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 0;
    /* The second figure: pages that are in memory. */
    const char *second = strchr(text, ' ');
    struct str number = {second ? second + 1 : text, second ? strcspn(second + 1, " \n") : 0};
    if (!parse_i64(number, 0, INT64_MAX / 65536, &pages, &ignored))
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}

int64_t worker_process_oom_kills_in(struct str vmstat)
{
    static const char name[] = "oom_kill ";
    struct err ignored;
    int64_t count = -1;
    while (vmstat.len) {
        const char *end = memchr(vmstat.ptr, '\n', vmstat.len);
        size_t len = end ? (size_t)(end - vmstat.ptr) : vmstat.len;
        if (len > sizeof name - 1 && memcmp(vmstat.ptr, name, sizeof name - 1) == 0) {
            struct str number = {vmstat.ptr + sizeof name - 1, len - (sizeof name - 1)};
            return parse_i64(number, 0, INT64_MAX, &count, &ignored) ? count : -1;
        }
        len += end != NULL;
        vmstat = (struct str){vmstat.ptr + len, vmstat.len - len};
    }
    return count;
}

int64_t worker_process_oom_kills(void)
{
    OWNED_BUF struct buf text;
    struct err ignored;
    buf_init(&text, VMSTAT_MAX_BYTES);
    return file_read_all("/proc/vmstat", VMSTAT_MAX_BYTES, &text, &ignored)
               ? worker_process_oom_kills_in(buf_str(&text))
               : -1;
}
