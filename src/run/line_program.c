/* line_program.c: see line_program.h. */
#include "run/line_program.h"

#include "base/file.h"
#include "base/parse.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIPE_BYTES = 1 << 20, /* of each pipe; who may not have so much gets less */
    READ_BYTES = 1 << 20, /* room for one read */
    PROC_MAX_BYTES = 4096
};

struct line_program {
    pid_t pid;
    int pidfd, in, out; /* our ends of its pipes */
    bool reaped;
    int status;
    struct buf got; /* printed; lines up to `at` were given out */
    size_t at, searched;
    int64_t printed;
};

static bool watch(struct line_program *p, int in[2], int out[2], struct err *err)
{
    p->in = TAKE_FD(in[1]);
    p->out = TAKE_FD(out[0]);
    fcntl(p->in, F_SETPIPE_SZ, PIPE_BYTES);
    fcntl(p->out, F_SETPIPE_SZ, PIPE_BYTES);
    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd < 0 || fcntl(p->in, F_SETFL, O_NONBLOCK) || fcntl(p->out, F_SETFL, O_NONBLOCK))
        return err_errno(err, errno, "watch a program");
    return true;
}

/* Whether it is one program with arguments: no pipe, no list, no NAME=VALUE before it. What is
 * quoted does not count. */
static bool is_one_program(const char *command)
{
    char quote = '\0';
    if (memchr(command, '=', strcspn(command, " \t")))
        return false;
    for (const char *c = command; *c; c++) {
        if (*c == '\\' && quote != '\'' && c[1])
            c++;
        else if (quote)
            quote = *c == quote ? '\0' : quote;
        else if (*c == '\'' || *c == '"')
            quote = *c;
        else if (strchr("|&;(){}!#\n", *c))
            return false;
    }
    return true;
}

/* For the shell. One program alone takes the shell's place, so that how it ends, what it waits for
 * and what memory it has are its own. */
static char *script_of(const char *command)
{
    return xasprintf("%s%s", is_one_program(command) ? "exec " : "", command);
}

bool line_program_start(const char *command, struct line_program **out, struct err *err)
{
    OWNED_MEM char *script = script_of(command);
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    int in[2], to[2];
    if (pipe2(in, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    OWNED_FD int in_read = in[0];
    OWNED_FD int in_write = in[1];
    if (pipe2(to, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    OWNED_FD int out_read = to[0];
    OWNED_FD int out_write = to[1];
    OWNED(line_program) struct line_program *p = xcalloc(1, sizeof *p);
    p->pidfd = p->in = p->out = -1;
    p->reaped = true; /* there is none yet */
    buf_init(&p->got, LINE_PROGRAM_LINE_MAX + READ_BYTES);
    struct spawn_plan plan = {
        .argv = argv, .stdin_fd = in_read, .stdout_fd = out_write, .stderr_fd = STDERR_FILENO};
    if (!spawn_start(&plan, &p->pid, err))
        return false;
    p->reaped = false;
    int ours_in[2] = {-1, TAKE_FD(in_write)}, ours_out[2] = {TAKE_FD(out_read), -1};
    if (!watch(p, ours_in, ours_out, err))
        return false;
    *out = TAKE(p);
    return true;
}

static void close_fd(int *fd)
{
    fd_drop(fd);
    *fd = -1;
}

void line_program_kill(struct line_program *p)
{
    if (!p->reaped)
        kill(-p->pid, SIGKILL);
}

void line_program_free(struct line_program *p)
{
    if (!p)
        return;
    line_program_kill(p);
    while (!p->reaped && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close_fd(&p->pidfd);
    close_fd(&p->in);
    close_fd(&p->out);
    buf_release(&p->got);
    free(p);
}

int line_program_input(const struct line_program *p)
{
    return p->in;
}

int line_program_output(const struct line_program *p)
{
    return p->out;
}

int line_program_end_fd(const struct line_program *p)
{
    return p->reaped ? -1 : p->pidfd;
}

bool line_program_is_hungry(const struct line_program *p)
{
    int left = 0;
    return p->in < 0 || (ioctl(p->in, FIONREAD, &left) == 0 && left == 0);
}

bool line_program_write(struct line_program *p, struct str bytes, size_t *wrote)
{
    *wrote = 0;
    if (p->in < 0)
        return false;
    while (bytes.len > 0) {
        ssize_t n = write(p->in, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            close_fd(&p->in);
            return false;
        }
        *wrote += (size_t)n;
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

void line_program_close_input(struct line_program *p)
{
    close_fd(&p->in);
}

/* What was given out makes room. */
static bool make_room(struct line_program *p, struct err *err)
{
    size_t left = p->got.len - p->at;
    if (p->at > 0 && left > 0)
        memmove(p->got.data, p->got.data + p->at, left);
    p->searched -= p->at;
    p->got.len = left;
    p->at = 0;
    if (left > LINE_PROGRAM_LINE_MAX)
        return err_set(err, ERR_LIMIT, "a line of its answer is longer than %zu MiB",
                       (LINE_PROGRAM_LINE_MAX >> 20) + 1);
    if (!buf_reserve(&p->got, READ_BYTES))
        return err_set(err, ERR_LIMIT, "no memory for a line of %zu bytes", left);
    return true;
}

bool line_program_read(struct line_program *p, struct err *err)
{
    if (p->out < 0)
        return true;
    if (!make_room(p, err))
        return false;
    ssize_t n = read(p->out, p->got.data + p->got.len, READ_BYTES);
    if (n > 0) {
        p->got.len += (size_t)n;
        p->printed += n;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        close_fd(&p->out);
    return true;
}

bool line_program_line(struct line_program *p, struct str *line)
{
    if (p->searched == p->got.len)
        return false;
    const char *end = memchr(p->got.data + p->searched, '\n', p->got.len - p->searched);
    if (!end) {
        p->searched = p->got.len;
        return false;
    }
    *line = (struct str){p->got.data + p->at, (size_t)(end - p->got.data) - p->at};
    p->at = p->searched = p->at + line->len + 1;
    return true;
}

struct str line_program_rest(const struct line_program *p)
{
    size_t left = p->got.len - p->at;
    return (struct str){left ? p->got.data + p->at : NULL, left};
}

int64_t line_program_printed(const struct line_program *p)
{
    return p->printed;
}

bool line_program_has_ended(struct line_program *p, int *status)
{
    siginfo_t info = {0};
    if (!p->reaped) {
        if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == 0)
            return false;
        /* Its number is its group's as long as it is not reaped; later it may be a stranger's. */
        kill(-p->pid, SIGKILL);
        waitpid(p->pid, &p->status, 0);
        p->reaped = true;
    }
    *status = p->status;
    return true;
}

/* The words of a file in /proc about its first process; false when it cannot be read. */
static bool read_proc(const struct line_program *p, const char *name, struct buf *text)
{
    struct err ignored;
    OWNED_MEM char *path = xasprintf("/proc/%d/%s", (int)p->pid, name);
    return !p->reaped && file_read_all(path, PROC_MAX_BYTES, text, &ignored) && !text->full;
}

/* Takes the next word off. */
static struct str next_word(struct str *text)
{
    *text = str_trim(*text);
    const char *blank = text->len ? memchr(text->ptr, ' ', text->len) : NULL;
    struct str word = {text->ptr, blank ? (size_t)(blank - text->ptr) : text->len};
    text->ptr += word.len;
    text->len -= word.len;
    return word;
}

/* In which system call it waits says what for: read(0) is waiting for input; others may be waiting
 * for input, too. */
enum program_mood line_program_mood(const struct line_program *p)
{
    static const int waits[] = {
        SYS_wait4, SYS_waitid,   SYS_futex,           SYS_epoll_pwait,
        SYS_ppoll, SYS_pselect6, SYS_restart_syscall,
#ifdef SYS_poll
        SYS_poll,  SYS_select,   SYS_epoll_wait,
#endif
    };
    OWNED_BUF struct buf text;
    struct err ignored;
    int64_t call = 0;
    buf_init(&text, PROC_MAX_BYTES);
    if (!line_program_is_hungry(p))
        return PROGRAM_BUSY;
    if (!read_proc(p, "syscall", &text))
        return PROGRAM_UNKNOWN;
    struct str rest = buf_str(&text), name = next_word(&rest);
    if (!parse_i64(name, 0, INT32_MAX, &call, &ignored))
        return PROGRAM_BUSY; /* "running" */
    if (call == SYS_read && str_is(next_word(&rest), "0x0"))
        return PROGRAM_READS;
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        if (call == waits[i])
            return PROGRAM_UNKNOWN;
    return PROGRAM_BUSY;
}

int64_t line_program_memory_bytes(const struct line_program *p)
{
    OWNED_BUF struct buf text;
    struct err ignored;
    int64_t pages = 0;
    buf_init(&text, PROC_MAX_BYTES);
    if (!read_proc(p, "statm", &text))
        return 0;
    struct str rest = buf_str(&text);
    next_word(&rest);
    return parse_i64(next_word(&rest), 0, INT32_MAX, &pages, &ignored)
               ? pages * sysconf(_SC_PAGESIZE)
               : 0;
}
