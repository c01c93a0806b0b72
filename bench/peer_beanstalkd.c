/* peer_beanstalkd.c: what queue_bench does, of beanstalkd: jobs are put one by one on half of the
 * connections, reserved and deleted one by one on the others.
 *
 *   peer_beanstalkd --port N [--enqueuers 16] [--workers 16] [--tasks 100000]
 *
 * One thread, epoll. Prints one JSON object: {"settled":N,"seconds":S}. */
#include "base/parse.h"
#include "bench_conns.h"
#include "bench_report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT_MAX = 1024 };
static const char body[] = "{\"function\":\"noop\",\"arguments\":{\"at\":1234567890123}}";

struct peer {
    int64_t port, enqueuers, workers, tasks;
    int64_t sent, put, deleted;
};

enum step { STEP_PUT, STEP_RESERVE, STEP_DELETE };

struct link {
    struct peer *peer;
    int fd;
    enum step step;
    char in[TEXT_MAX];
    size_t in_len;
    char id[32];
};

static void say(struct link *l, const char *text, size_t len)
{
    /* A command is shorter than any socket's buffer. */
    if (send(l->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
        bench_give_up("send", strerror(errno));
}

static void put(struct link *l)
{
    char text[TEXT_MAX];
    if (l->peer->sent == l->peer->tasks)
        return;
    l->peer->sent++;
    int len = snprintf(text, sizeof text, "put 0 0 60 %zu\r\n%s\r\n", sizeof body - 1, body);
    l->step = STEP_PUT;
    say(l, text, (size_t)len);
}

static void reserve(struct link *l)
{
    l->step = STEP_RESERVE;
    say(l, "reserve\r\n", 9);
}

static void forget(struct link *l)
{
    char text[TEXT_MAX];
    int len = snprintf(text, sizeof text, "delete %s\r\n", l->id);
    l->step = STEP_DELETE;
    say(l, text, (size_t)len);
}

/* Whether what has come is the whole answer, and then goes on to the next command. */
static bool answered(struct link *l)
{
    struct peer *p = l->peer;
    const char *end = memmem(l->in, l->in_len, "\r\n", 2);
    if (!end)
        return false;
    if (l->step == STEP_RESERVE) {
        if (l->in_len < (size_t)(end - l->in) + 2 + sizeof body - 1 + 2)
            return false;
        if (sscanf(l->in, "RESERVED %31s", l->id) != 1)
            bench_give_up("reserve", l->in);
        l->in_len = 0;
        forget(l);
        return true;
    }
    bool good = strncmp(l->in, l->step == STEP_PUT ? "INSERTED" : "DELETED", 7) == 0;
    if (!good)
        bench_give_up("beanstalkd", l->in);
    l->in_len = 0;
    if (l->step == STEP_PUT) {
        p->put++;
        put(l);
    } else {
        p->deleted++;
        reserve(l);
    }
    return true;
}

static void go_on(struct link *l)
{
    for (;;) {
        ssize_t n = recv(l->fd, l->in + l->in_len, sizeof l->in - l->in_len - 1, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            bench_give_up("read", n < 0 ? strerror(errno) : "closed");
        l->in_len += (size_t)n;
        l->in[l->in_len] = '\0';
        (void)answered(l);
    }
}

static void link_open(struct link *l, struct peer *p, int epoll)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)p->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    l->peer = p;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(l->fd, F_SETFL, O_NONBLOCK) != 0)
        bench_give_up("connect", strerror(errno));
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = l};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, l->fd, &e) != 0)
        bench_give_up("epoll", strerror(errno));
}

static double run(struct peer *p)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int64_t count = p->enqueuers + p->workers;
    struct link *links = xcalloc((size_t)count, sizeof *links);
    for (int64_t i = 0; i < count; i++)
        link_open(&links[i], p, epoll);
    double began = bench_now_s();
    for (int64_t i = 0; i < count; i++)
        if (i < p->enqueuers)
            put(&links[i]);
        else
            reserve(&links[i]);
    while (p->deleted < p->tasks) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++)
            go_on(events[i].data.ptr);
    }
    double seconds = bench_now_s() - began;
    for (int64_t i = 0; i < count; i++)
        close(links[i].fd);
    close(epoll);
    free(links);
    return seconds;
}

int main(int argc, char **argv)
{
    struct peer p = {.enqueuers = 16, .workers = 16, .tasks = 100000};
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"enqueuers", required_argument, NULL, 'e'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {"tasks", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    struct err err = {.text = "see the top of peer_beanstalkd.c"};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *into = c == 'p'   ? &p.port
                        : c == 'e' ? &p.enqueuers
                        : c == 'w' ? &p.workers
                        : c == 't' ? &p.tasks
                                   : NULL;
        if (!into || !parse_i64(str_of(optarg), 1, INT64_C(1) << 40, into, &err))
            bench_give_up("usage", err.text);
    }
    double seconds = run(&p);
    printf("{\"settled\":%lld,\"seconds\":%.6f}\n", (long long)p.deleted, seconds);
    return 0;
}
