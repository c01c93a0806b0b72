/* keeper_link.c: see keeper.h; the runner's side. */
#include "run/keeper.h"

#include "base/buf.h"
#include "base/spawn.h"
#include "run/keeper_message.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORTS_AT_ONCE = 256 };

struct keeper {
    int fd;
    pid_t pid;
    struct buf body;
    union {
        struct keeper_report reports[REPORTS_AT_ONCE];
        char bytes[REPORTS_AT_ONCE * sizeof(struct keeper_report)];
    } got;
    size_t got_bytes, taken; /* bytes that came; reports of them that were taken */
};

bool keeper_start(struct keeper **out, struct err *err)
{
    static const char *const argv[] = {"/proc/self/exe", KEEPER_COMMAND, NULL};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return err_errno(err, errno, "socket of the keeper");
    OWNED_FD int ours = ends[0], theirs = ends[1];
    pid_t pid = 0;
    const struct spawn_plan plan = {.argv = argv,
                                    .stdin_fd = -1,
                                    .stdout_fd = STDERR_FILENO,
                                    .stderr_fd = STDERR_FILENO,
                                    .control_fd = theirs};
    if (prctl(PR_SET_CHILD_SUBREAPER, 1))
        return err_errno(err, errno, "keeper");
    if (!spawn_start(&plan, &pid, err))
        return false;
    struct keeper *k = xcalloc(1, sizeof *k);
    k->fd = TAKE_FD(ours);
    k->pid = pid;
    buf_init(&k->body, KEEPER_BODY_MAX_BYTES);
    *out = k;
    return true;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    int status = 0;
    fd_drop(&k->fd);
    while (waitpid(k->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        keeper_kill_below();
    buf_release(&k->body);
    free(k);
}

int keeper_fd(const struct keeper *k)
{
    return k->fd;
}

static bool gone(struct err *err)
{
    return err_set(err, ERR_INTERNAL, "the keeper of the nodes' processes is gone");
}

/* The keeper reads whatever comes, at once: this does not wait for long. */
static bool send_order(struct keeper *k, const struct keeper_order *order, struct str body,
                       const int *fds, size_t fd_count, struct err *err)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * KEEPER_FDS_MAX)];
        struct cmsghdr align;
    } control = {{0}};
    union {
        const void *given;
        void *base;
    } head = {order}, text = {body.ptr};
    struct iovec parts[] = {{head.base, sizeof *order}, {text.base, body.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.len ? 2 : 1};
    if (fd_count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        assert(c);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    for (size_t left = sizeof *order + body.len; left;) {
        ssize_t n = sendmsg(k->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gone(err);
        left -= (size_t)n;
        message.msg_control = NULL; /* they went with the first byte */
        message.msg_controllen = 0;
        for (size_t i = 0, cut = (size_t)n; i < 2 && cut; i++) {
            size_t of_part = cut < parts[i].iov_len ? cut : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + of_part;
            parts[i].iov_len -= of_part;
            cut -= of_part;
        }
    }
    return true;
}

static uint32_t add_texts(struct buf *body, const char *const *texts)
{
    uint32_t count = 0;
    for (; texts && texts[count]; count++)
        buf_add(body, texts[count], strlen(texts[count]) + 1);
    return count;
}

bool keeper_run(struct keeper *k, const struct keeper_program *p, struct err *err)
{
    struct keeper_order order = {.kind = ORDER_START, .id = p->id};
    int fds[KEEPER_FDS_MAX] = {p->output_fd, p->control_fd};
    assert(p->id && p->output_fd >= 0);
    k->body.len = 0;
    order.argument_count = add_texts(&k->body, p->argv);
    order.variable_count = add_texts(&k->body, p->environment);
    if (k->body.full) {
        k->body.full = false;
        return err_set(err, ERR_LIMIT, "the command and its variables are too long");
    }
    order.body_bytes = (uint32_t)k->body.len;
    return send_order(k, &order, buf_str(&k->body), fds, p->control_fd < 0 ? 1 : 2, err);
}

bool keeper_signal(struct keeper *k, uint64_t id, int number, struct err *err)
{
    const struct keeper_order order = {.kind = ORDER_SIGNAL, .id = id, .signal = number};
    return send_order(k, &order, (struct str){0}, NULL, 0, err);
}

bool keeper_next(struct keeper *k, struct keeper_report *out, bool *got, struct err *err)
{
    const size_t size = sizeof *out;
    *got = false;
    if ((k->taken + 1) * size > k->got_bytes) {
        size_t rest = k->got_bytes - k->taken * size;
        memmove(k->got.bytes, k->got.bytes + k->taken * size, rest);
        k->taken = 0;
        k->got_bytes = rest;
        ssize_t n = recv(k->fd, k->got.bytes + rest, sizeof k->got.bytes - rest, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0)
            return gone(err);
        k->got_bytes += (size_t)n;
        if (k->got_bytes < size)
            return true;
    }
    *out = k->got.reports[k->taken++];
    *got = true;
    return true;
}
