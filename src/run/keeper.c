/* keeper.c: see keeper.h; the keeper's own side. */
#include "run/keeper.h"

#include "base/buf.h"
#include "base/parse.h"
#include "base/spawn.h"
#include "run/keeper_message.h"
#include "run/warm_shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct program {
    uint64_t id;
    pid_t pid;
};

struct serving {
    int fd, signal_fd;
    struct program *programs;
    size_t count, room;
    struct buf body, unsent; /* reports that the socket had no room for */
    const char **texts;
    size_t text_room;
    struct warm_shell *shells;
};

/* ---- reports ---- */

/* The runner may be busy: nothing waits for it but what it is told. */
static void flush_reports(struct serving *s)
{
    size_t sent = 0;
    while (sent < s->unsent.len) {
        ssize_t n =
            send(s->fd, s->unsent.data + sent, s->unsent.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    if (sent == 0)
        return;
    memmove(s->unsent.data, s->unsent.data + sent, s->unsent.len - sent);
    s->unsent.len -= sent;
}

static void report(struct serving *s, const struct keeper_report *r)
{
    buf_add(&s->unsent, r, sizeof *r);
}

/* ---- orders ---- */

/* False at the end of the stream. */
static bool read_whole(int fd, void *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, (char *)to + got, len - got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* The head of an order with the descriptors that came along, -1 where there is none. */
static bool read_head(int fd, struct keeper_order *order, int fds[KEEPER_FDS_MAX])
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * KEEPER_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec part = {order, sizeof *order};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n = 0;
    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < KEEPER_FDS_MAX; i++)
        fds[i] = -1;
    if (n <= 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    return read_whole(fd, (char *)order + n, sizeof *order - (size_t)n);
}

/* Sets the texts of the body apart: `texts` holds the arguments and NULL, then the variables and
 * NULL. */
static bool part_texts(struct serving *s, const struct keeper_order *o)
{
    size_t count = (size_t)o->argument_count + o->variable_count, at = 0, to = 0;
    if (count + 2 > s->text_room) {
        s->text_room = count + 2;
        s->texts = xrealloc(s->texts, s->text_room * sizeof *s->texts);
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strnlen(s->body.data + at, s->body.len - at);
        if (at + len >= s->body.len)
            return false;
        if (i == o->argument_count)
            s->texts[to++] = NULL;
        s->texts[to++] = s->body.data + at;
        at += len + 1;
    }
    while (to < count + 2)
        s->texts[to++] = NULL;
    return o->argument_count > 0;
}

static int number_of(const struct err *err)
{
    if (err->code == ERR_LIMIT)
        return E2BIG;
    return err->code == ERR_NOT_FOUND ? ENOENT : err->code == ERR_BUSY ? EAGAIN : EACCES;
}

static void start(struct serving *s, const struct keeper_order *o, const int fds[KEEPER_FDS_MAX])
{
    struct err err;
    struct program p = {.id = o->id};
    struct spawn_plan plan = {.stdin_fd = -1,
                              .stdout_fd = fds[0],
                              .stderr_fd = fds[0],
                              .control_fd = fds[1] < 0 ? 0 : fds[1]};
    struct keeper_report failed = {.id = o->id, .kind = KEEPER_FAILED, .status = EINVAL};
    if (!part_texts(s, o)) {
        report(s, &failed);
        return;
    }
    plan.argv = s->texts;
    plan.environment = s->texts + o->argument_count + 1;
    const struct warm_command command = {plan.argv, plan.environment, fds[0]};
    enum warm_start warm =
        fds[1] < 0 ? warm_shell_start(s->shells, &command, &p.pid) : WARM_NOT_HERE;
    if (warm == WARM_LOST || (warm == WARM_NOT_HERE && !spawn_start(&plan, &p.pid, &err))) {
        failed.status = warm == WARM_LOST ? EAGAIN : number_of(&err);
        report(s, &failed);
        return;
    }
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 64;
        s->programs = xrealloc(s->programs, s->room * sizeof *s->programs);
    }
    s->programs[s->count++] = p;
}

static void signal_program(struct serving *s, uint64_t id, int number)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->programs[i].id == id)
            kill(-s->programs[i].pid, number);
}

/* False when the runner is gone. */
static bool take_order(struct serving *s)
{
    struct keeper_order o;
    int fds[KEEPER_FDS_MAX];
    bool good = read_head(s->fd, &o, fds) && o.body_bytes <= KEEPER_BODY_MAX_BYTES;
    s->body.len = 0;
    if (good && o.body_bytes) {
        good = buf_reserve(&s->body, o.body_bytes) && read_whole(s->fd, s->body.data, o.body_bytes);
        s->body.len = good ? o.body_bytes : 0;
    }
    if (good && o.kind == ORDER_START)
        start(s, &o, fds);
    else if (good && o.kind == ORDER_SIGNAL)
        signal_program(s, o.id, o.signal);
    for (int i = 0; i < KEEPER_FDS_MAX; i++)
        fd_drop(&fds[i]);
    return good;
}

/* ---- ends ---- */

static struct program *find(struct serving *s, pid_t pid)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->programs[i].pid == pid)
            return &s->programs[i];
    return NULL;
}

/* Everyone who has ended. The rest of a program's group goes before it is reaped: until then its
 * number cannot mean another group. */
static void reap(struct serving *s)
{
    for (;;) {
        siginfo_t info = {0};
        int status = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        struct program *p = find(s, info.si_pid);
        if (p)
            kill(-p->pid, SIGKILL);
        if (waitpid(info.si_pid, &status, 0) != info.si_pid)
            return;
        report(s, &(struct keeper_report){.id = p ? p->id : 0,
                                          .kind = p ? KEEPER_ENDED : KEEPER_ORPHAN,
                                          .status = status,
                                          .pid = info.si_pid});
        if (p)
            *p = s->programs[--s->count];
    }
}

static void take_signals(struct serving *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) > 0)
        ;
    reap(s);
}

/* ---- the end ---- */

/* The parent of a process, by its number in /proc; 0 when it is gone. */
static pid_t parent_of(const char *number)
{
    char path[64], text[512];
    struct err ignored;
    int64_t parent = 0;
    snprintf(path, sizeof path, "/proc/%.20s/stat", number);
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    /* "pid (name) state parent": a name may hold anything. */
    const char *name_end = strrchr(text, ')');
    if (!name_end || strlen(name_end) < 5)
        return 0;
    struct str field = {name_end + 4, strcspn(name_end + 4, " ")};
    return parse_i64(field, 1, INT32_MAX, &parent, &ignored) ? (pid_t)parent : 0;
}

static void kill_children(void)
{
    pid_t self = getpid();
    DIR *folder = opendir("/proc");
    struct err ignored;
    for (struct dirent *d = NULL; folder && (d = readdir(folder));) {
        int64_t pid = 0;
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9' &&
            parse_i64(str_of(d->d_name), 1, INT32_MAX, &pid, &ignored) &&
            parent_of(d->d_name) == self)
            kill((pid_t)pid, SIGKILL);
    }
    if (folder)
        closedir(folder);
}

void keeper_kill_below(void)
{
    for (;;) {
        kill_children();
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
            return;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

/* ---- all of it ---- */

static bool prepare(struct serving *s, struct err *err)
{
    sigset_t all, child;
    sigfillset(&all);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    /* The runner's end is seen by its socket: what it leaves behind must be killed then. */
    if (prctl(PR_SET_PDEATHSIG, 0) || prctl(PR_SET_CHILD_SUBREAPER, 1) ||
        sigprocmask(SIG_SETMASK, &all, NULL) || fcntl(s->fd, F_SETFD, FD_CLOEXEC))
        return err_errno(err, errno, "keeper");
    prctl(PR_SET_NAME, "penstock-keeper");
    s->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 || err_errno(err, errno, "signalfd");
}

bool keeper_serve(int fd, struct err *err)
{
    struct serving s = {.fd = fd, .signal_fd = -1};
    buf_init(&s.body, KEEPER_BODY_MAX_BYTES);
    buf_init(&s.unsent, BUF_NO_CAP);
    s.shells = warm_shell_new();
    bool good = prepare(&s, err);
    for (bool here = good; here;) {
        short events = (short)(POLLIN | (s.unsent.len ? POLLOUT : 0));
        struct pollfd fds[] = {{.fd = s.fd, .events = events},
                               {.fd = s.signal_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            take_signals(&s);
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
            here = take_order(&s);
        flush_reports(&s);
    }
    for (size_t i = 0; i < s.count; i++)
        kill(-s.programs[i].pid, SIGKILL);
    keeper_kill_below();
    fd_drop(&s.signal_fd);
    warm_shell_free(s.shells);
    buf_release(&s.body);
    buf_release(&s.unsent);
    free(s.programs);
    free(s.texts);
    return good;
}
