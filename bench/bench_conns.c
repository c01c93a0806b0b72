/* bench_conns.c: see bench_conns.h. */
#include "bench_conns.h"

#include "base/parse.h"
#include "bench_report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_AHEAD = 16 << 10, EVENTS = 256 };

struct bench_conns {
    struct bench_conn *conns;
    size_t count;
    int epoll, port, also;
    bench_answered *answered;
};

_Noreturn void bench_give_up(const char *what, const char *detail)
{
    fprintf(stderr, "bench: %s: %s\n", what, detail);
    exit(1);
}

static void conn_open(struct bench_conns *all, struct bench_conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)all->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->all = all;
    buf_init(&c->out, BUF_NO_CAP);
    buf_init(&c->in, BUF_NO_CAP);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
        bench_give_up("connect", strerror(errno));
    /* As the server does on loopback; where it is not there the system's stays. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(all->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
        bench_give_up("epoll", strerror(errno));
}

struct bench_conns *bench_conns_open(int port, size_t count, bench_answered *answered)
{
    struct bench_conns *all = xcalloc(1, sizeof *all);
    all->conns = xcalloc(count, sizeof *all->conns);
    all->count = count;
    all->port = port;
    all->also = -1;
    all->answered = answered;
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++)
        conn_open(all, &all->conns[i]);
    return all;
}

void bench_conns_close(struct bench_conns *all)
{
    for (size_t i = 0; i < all->count; i++) {
        close(all->conns[i].fd);
        buf_release(&all->conns[i].out);
        buf_release(&all->conns[i].in);
    }
    close(all->epoll);
    free(all->conns);
    free(all);
}

struct bench_conn *bench_conns_at(struct bench_conns *all, size_t i)
{
    return &all->conns[i];
}

static void push_out(struct bench_conn *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            bench_give_up("send", strerror(errno));
        c->sent += (size_t)n;
    }
}

void bench_conn_send(struct bench_conn *c, const char *path, struct str body)
{
    bench_conn_call(c, "POST", path, body);
}

void bench_conn_call(struct bench_conn *c, const char *method, const char *path, struct str body)
{
    c->out.len = 0;
    buf_add_format(&c->out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", method, path, c->all->port);
    if (c->key)
        buf_add_format(&c->out, "x-api-key: %s\r\n", c->key);
    if (strcmp(method, "GET") != 0)
        buf_add_format(&c->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       body.len);
    buf_add_text(&c->out, "\r\n");
    buf_add_str(&c->out, body);
    c->sent = 0;
    c->in.len = c->want = 0;
    c->busy = true;
    c->began_s = bench_now_s();
    push_out(c);
}

static void read_head(struct bench_conn *c)
{
    static const char name[] = "\r\ncontent-length:";
    const char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
    struct err err;
    int64_t bytes = 0;
    if (!end)
        return;
    c->body_at = (size_t)(end + 4 - c->in.data);
    for (const char *at = c->in.data; at + sizeof name < end; at++)
        if (strncasecmp(at, name, sizeof name - 1) == 0) {
            at += sizeof name - 1;
            const char *stop = memchr(at, '\r', (size_t)(end + 1 - at));
            if (!parse_i64(str_trim((struct str){at, (size_t)(stop - at)}), 0, INT64_C(1) << 32,
                           &bytes, &err))
                bench_give_up("content-length", err.text);
            break;
        }
    c->want = c->body_at + (size_t)bytes;
}

/* Reads what is there. True when the answer is whole. */
static bool pull_in(struct bench_conn *c)
{
    while (c->want == 0 || c->in.len < c->want) {
        if (!buf_reserve(&c->in, READ_AHEAD))
            bench_give_up("read", "memory is out");
        ssize_t n = recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len, 0);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            bench_give_up("read", n < 0 ? strerror(errno) : "the server closed the connection");
        c->in.len += (size_t)n;
        if (c->want == 0)
            read_head(c);
    }
    return true;
}

static void conn_go(struct bench_conn *c)
{
    push_out(c);
    while (c->busy && c->sent == c->out.len && pull_in(c)) {
        c->busy = false;
        int status = c->in.len > 12 ? atoi(c->in.data + 9) : 0;
        struct buf taken = c->in; /* the answer stays while the next request is sent */
        buf_init(&c->in, BUF_NO_CAP);
        c->all->answered(c, status, (struct str){taken.data + c->body_at, taken.len - c->body_at});
        if (c->in.len == 0) {
            buf_release(&c->in);
            c->in = taken;
            c->in.len = 0;
        } else {
            buf_release(&taken);
        }
    }
}

void bench_conns_turn(struct bench_conns *all, int wait_ms, int also)
{
    struct epoll_event events[EVENTS];
    if (also != all->also && also >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
        if (epoll_ctl(all->epoll, EPOLL_CTL_ADD, also, &e) != 0)
            bench_give_up("epoll", strerror(errno));
        all->also = also;
    }
    int n = epoll_wait(all->epoll, events, EVENTS, wait_ms);
    if (n < 0 && errno != EINTR)
        bench_give_up("epoll", strerror(errno));
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            conn_go(events[i].data.ptr);
}

void bench_series_add(struct bench_series *s, double seconds)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1 << 16;
        s->us = xrealloc(s->us, s->cap * sizeof *s->us);
    }
    s->us[s->count++] = (uint32_t)(seconds * 1e6);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

double bench_series_ms(struct bench_series *s, double share)
{
    qsort(s->us, s->count, sizeof *s->us, by_size);
    size_t at = (size_t)((double)s->count * share);
    return s->count ? s->us[at < s->count ? at : s->count - 1] / 1000.0 : 0;
}

void bench_series_out(struct json_out *o, const char *name, struct bench_series *s)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50_ms", 0.5}, {"p99_ms", 0.99}, {"max_ms", 1}};
    json_out_name(o, name);
    json_out_open(o, '{');
    json_out_name(o, "count");
    json_out_i64(o, (int64_t)s->count);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        json_out_name(o, shares[i].name);
        json_out_double(o, bench_series_ms(s, shares[i].share));
    }
    json_out_close(o, '}');
    free(s->us);
    *s = (struct bench_series){.us = NULL};
}

double bench_cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
