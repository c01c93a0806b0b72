/* warm_shell.c: see warm_shell.h. */
#include "run/warm_shell.h"

#include "base/spawn.h"
#include "run/shell_seed.h"
#include "run/shell_seed_bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ORDER_MAX_BYTES: what is longer goes the usual way, where the kernel says how long is too long.
 * TITLE_BYTES: room for the commands to be shown in, as arguments of the seed. */
enum { ORDER_MAX_BYTES = 128 << 10, TITLE_BYTES = 1024 };

struct warm_shell {
    int fd;     /* to the seed; -1: there is none */
    bool unfit; /* a seed has failed: none is tried again */
    bool asked; /* a command has been seen */
    struct buf body;
};

struct warm_shell *warm_shell_new(void)
{
    struct warm_shell *w = xcalloc(1, sizeof *w);
    w->fd = -1;
    buf_init(&w->body, ORDER_MAX_BYTES);
    return w;
}

void warm_shell_free(struct warm_shell *w)
{
    if (!w)
        return;
    fd_drop(&w->fd);
    buf_release(&w->body);
    free(w);
}

/* ---- the seed ---- */

/* Variables by which who starts a program changes how it is loaded: a fork would not heed them. */
static bool means_loading(const char *variable)
{
    static const char *const prefixes[] = {"LD_", "GLIBC_TUNABLES=", "MALLOC_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool any_means_loading(const char *const *variables)
{
    for (; variables && *variables; variables++)
        if (means_loading(*variables))
            return true;
    return false;
}

/* The library as a file that has no name. */
static bool open_library(int *out)
{
    OWNED_FD int fd = memfd_create("penstock-shell", MFD_CLOEXEC);
    ssize_t wrote = fd < 0 ? -1 : write(fd, shell_seed_bytes, shell_seed_size);
    if (wrote < 0 || (size_t)wrote != shell_seed_size)
        return false;
    *out = TAKE_FD(fd);
    return true;
}

/* The keeper has all signals blocked, so nothing interrupts this. 0: it is gone. */
static seed_answer hear(const struct warm_shell *w)
{
    seed_answer answer = 0;
    return recv(w->fd, &answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer ? answer : 0;
}

/* Should the library not be loaded, this is a shell that does nothing, and ends without a word. */
static bool start_seed(struct warm_shell *w)
{
    char room[TITLE_BYTES];
    const char *const argv[] = {"/bin/sh", "-c", ":", room, NULL};
    static const char *const preload[] = {"LD_PRELOAD=/proc/self/fd/0", NULL};
    OWNED_FD int library = -1;
    int ends[2];
    struct err ignored;
    pid_t pid = 0;
    static_assert(SEED_LIBRARY_FD == 0 && SEED_CONTROL_FD == 3, "as they are named here");
    memset(room, ' ', sizeof room - 1);
    room[sizeof room - 1] = '\0';
    if (!open_library(&library) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return false;
    OWNED_FD int ours = ends[0], theirs = ends[1];
    const struct spawn_plan plan = {.argv = argv,
                                    .stdin_fd = library,
                                    .stdout_fd = -1,
                                    .stderr_fd = -1,
                                    .control_fd = theirs,
                                    .environment = preload};
    if (!spawn_start(&plan, &pid, &ignored))
        return false;
    w->fd = TAKE_FD(ours);
    fd_drop(&theirs); /* of which only the seed's copy is to be left: its end is heard */
    return hear(w) == pid;
}

/* ---- orders ---- */

static bool is_command(const struct warm_command *c)
{
    return strcmp(c->argv[0], "/bin/sh") == 0 && c->argv[1] && strcmp(c->argv[1], "-c") == 0 &&
           c->argv[2] && !c->argv[3];
}

static bool write_body(struct warm_shell *w, const struct warm_command *c, uint32_t *variables)
{
    w->body.len = 0;
    w->body.full = false;
    buf_add(&w->body, c->argv[2], strlen(c->argv[2]) + 1);
    *variables = 0;
    for (const char *const *v = c->environment; v && *v; v++, ++*variables)
        buf_add(&w->body, *v, strlen(*v) + 1);
    return !w->body.full;
}

static bool send_order(struct warm_shell *w, int output_fd, uint32_t variables)
{
    struct seed_order order = {.body_bytes = (uint32_t)w->body.len, .variable_count = variables};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec parts[] = {{&order, sizeof order}, {w->body.data, w->body.len}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    assert(c);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &output_fd, sizeof output_fd);
    ssize_t sent = sendmsg(w->fd, &message, MSG_NOSIGNAL);
    if (sent < (ssize_t)sizeof order)
        return false;
    for (size_t done = (size_t)sent - sizeof order; done < w->body.len;) {
        ssize_t n = send(w->fd, w->body.data + done, w->body.len - done, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* Whatever became of the seed, none follows it. */
static enum warm_start give_up(struct warm_shell *w, enum warm_start outcome)
{
    fd_drop(&w->fd);
    w->fd = -1;
    w->unfit = true;
    return outcome;
}

enum warm_start warm_shell_start(struct warm_shell *w, const struct warm_command *c, pid_t *pid)
{
    uint32_t variables = 0;
    if (w->unfit || !is_command(c) || any_means_loading(c->environment) ||
        any_means_loading((const char *const *)environ) || !write_body(w, c, &variables))
        return WARM_NOT_HERE;
    bool first = !w->asked;
    w->asked = true;
    if (first)
        return WARM_NOT_HERE;
    if ((w->fd < 0 && !start_seed(w)) || !send_order(w, c->output_fd, variables))
        return give_up(w, WARM_NOT_HERE);
    seed_answer answer = hear(w);
    if (answer <= 0) /* below 0: it could not fork, which another may */
        return give_up(w, answer < 0 ? WARM_NOT_HERE : WARM_LOST);
    *pid = answer;
    return WARM_STARTED;
}
