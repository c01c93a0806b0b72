/* load_client.c: workers that cost next to nothing, to measure the server and not them.
 *
 *   load_client --port N --job NAME [--batch 1000] [--connections 4] [--records N] [--drop N]
 *
 * One thread, epoll, keep-alive connections. Each one asks /serve for a batch and sends the bytes
 * of the answer straight back to /receive (the shape is the same), until the input is at its end or
 * about `records` were asked for. With --drop N each N-th batch is kept and never sent back; with
 * --drop 1 nothing is. Prints one JSON object: counts, seconds, latencies, our own CPU time. */
#include "base/json.h"
#include "base/parse.h"

#include "bench_report.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 1024, READ_AHEAD = 64 << 10 };

/* Latencies of one kind of call, in microseconds. */
struct series {
    uint32_t *us;
    size_t count, cap;
};

struct load {
    const char *job;
    int64_t port, batch, connections, records, drop;
    int64_t asked, batches, dropped, bytes; /* what was served */
    int64_t open;                           /* connections still at work */
    struct series serve, receive;
};

enum step { STEP_SEND, STEP_READ };

struct conn {
    struct load *load;
    int fd;
    enum step step;
    bool receiving; /* the call under way is /receive, else /serve */
    double began_s;
    char head[HEAD_MAX];
    size_t head_len, sent; /* of the request: head, then body */
    const char *body;
    size_t body_len;
    char *in;
    size_t in_len, in_cap;
    size_t want; /* bytes of the whole answer, 0 while its head is incomplete */
    size_t answer_at;
};

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "load_client: %s: %s\n", what, detail);
    exit(1);
}

static void series_add(struct series *s, double seconds)
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

/* Milliseconds that this share of the calls did not exceed; sorted first. */
static double series_at(const struct series *s, double share)
{
    size_t at = (size_t)((double)s->count * share);
    return s->count ? s->us[at < s->count ? at : s->count - 1] / 1000.0 : 0;
}

static void conn_begin(struct conn *c, const char *path, const char *query, size_t body_len)
{
    int len = snprintf(c->head, sizeof c->head,
                       "POST %s?job_name=%s&%s HTTP/1.1\r\nHost: 127.0.0.1:%lld\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       path, c->load->job, query, (long long)c->load->port, body_len);
    assert(len > 0 && (size_t)len < sizeof c->head);
    c->head_len = (size_t)len;
    c->body_len = body_len;
    c->sent = 0;
    c->step = STEP_SEND;
    c->began_s = bench_now_s();
}

/* Asks for the next batch; false when enough was asked for. */
static bool conn_serve(struct conn *c)
{
    struct load *l = c->load;
    if (l->records > 0 && l->asked >= l->records)
        return false;
    l->asked += l->batch;
    char query[64];
    snprintf(query, sizeof query, "batch_size=%lld", (long long)l->batch);
    c->receiving = false;
    conn_begin(c, "/serve", query, 0);
    return true;
}

/* Sends the batch that was just read back. It lies in `in`, which is not read into until all is
 * sent. */
static void conn_receive(struct conn *c)
{
    c->body = c->in + c->answer_at;
    c->receiving = true;
    conn_begin(c, "/receive", "overwrite=False", c->want - c->answer_at);
}

/* An answer is there. False when the connection has nothing more to do. */
static bool conn_answered(struct conn *c)
{
    struct load *l = c->load;
    if (strncmp(c->in, "HTTP/1.1 200", 12) != 0) {
        c->in[c->want < c->in_cap ? c->want : c->in_cap - 1] = '\0';
        give_up("the server refuses", c->in);
    }
    series_add(c->receiving ? &l->receive : &l->serve, bench_now_s() - c->began_s);
    if (c->receiving)
        return conn_serve(c);
    size_t len = c->want - c->answer_at;
    if (len <= 2)
        return false;
    l->batches++;
    l->bytes += (int64_t)len;
    if (l->drop > 0 && l->batches % l->drop == 0) {
        l->dropped++;
        return conn_serve(c);
    }
    conn_receive(c);
    return true;
}

/* Finds the end of the head and how long the body is. */
static void conn_read_head(struct conn *c)
{
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return;
    *end = '\0';
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    if (!length)
        give_up("an answer without a length", c->in);
    length += strlen("\r\ncontent-length:");
    struct err err;
    int64_t bytes = 0;
    if (!parse_i64(str_trim((struct str){length, strcspn(length, "\r")}), 0, INT64_C(1) << 32,
                   &bytes, &err))
        give_up("content-length", err.text);
    c->answer_at = (size_t)(end + 4 - c->in);
    c->want = c->answer_at + (size_t)bytes;
}

static void conn_make_room(struct conn *c)
{
    size_t need = (c->want > c->in_len ? c->want : c->in_len) + READ_AHEAD;
    if (c->in_cap < need) {
        c->in_cap = need;
        c->in = xrealloc(c->in, c->in_cap);
    }
}

/* False when the socket has no room now. */
static bool conn_send(struct conn *c)
{
    while (c->sent < c->head_len + c->body_len) {
        size_t body_at = c->sent > c->head_len ? c->sent - c->head_len : 0;
        size_t head_at = c->sent < c->head_len ? c->sent : c->head_len;
        struct iovec parts[2] = {
            {c->head + head_at, c->head_len - head_at},
            {(char *)(uintptr_t)c->body + body_at, c->body_len - body_at},
        };
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = c->body_len ? 2 : 1};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0)
            give_up("send", strerror(errno));
        c->sent += (size_t)n;
    }
    c->step = STEP_READ;
    c->in_len = c->want = 0;
    return true;
}

/* False when nothing is there now. */
static bool conn_read(struct conn *c)
{
    while (c->want == 0 || c->in_len < c->want) {
        conn_make_room(c);
        ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            give_up("the connection ended", n < 0 ? strerror(errno) : "closed by the server");
        c->in_len += (size_t)n;
        if (c->want == 0)
            conn_read_head(c);
    }
    return true;
}

static void conn_go(struct conn *c)
{
    while (c->fd >= 0) {
        if (c->step == STEP_SEND && !conn_send(c))
            return;
        if (!conn_read(c))
            return;
        if (!conn_answered(c)) {
            close(c->fd);
            c->fd = -1;
            c->load->open--;
        }
    }
}

static void conn_open(struct conn *c, struct load *l, int epoll)
{
    c->load = l;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)l->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
        give_up("connect", strerror(errno));
    /* As the server does on loopback; where it is not there the system's stays. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
        give_up("epoll", strerror(errno));
    l->open++;
}

static double run(struct load *l)
{
    struct conn *conns = xcalloc((size_t)l->connections, sizeof *conns);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int64_t i = 0; i < l->connections; i++)
        conn_open(&conns[i], l, epoll);
    double began = bench_now_s();
    for (int64_t i = 0; i < l->connections; i++)
        if (conn_serve(&conns[i]))
            conn_go(&conns[i]);
    while (l->open > 0) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, -1);
        if (n < 0 && errno != EINTR)
            give_up("epoll", strerror(errno));
        for (int i = 0; i < n; i++)
            conn_go(events[i].data.ptr);
    }
    double seconds = bench_now_s() - began;
    for (int64_t i = 0; i < l->connections; i++)
        free(conns[i].in);
    free(conns);
    close(epoll);
    return seconds;
}

static void out_series(struct json_out *o, const char *name, struct series *s)
{
    qsort(s->us, s->count, sizeof *s->us, by_size);
    json_out_name(o, name);
    json_out_open(o, '{');
    json_out_name(o, "calls");
    json_out_i64(o, (int64_t)s->count);
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50_ms", 0.5}, {"p99_ms", 0.99}, {"max_ms", 1}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        json_out_name(o, shares[i].name);
        json_out_double(o, series_at(s, shares[i].share));
    }
    json_out_close(o, '}');
    free(s->us);
}

static void tell(struct load *l, double seconds)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    OWNED_BUF struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    json_out_name(&o, "batches");
    json_out_i64(&o, l->batches);
    json_out_name(&o, "dropped");
    json_out_i64(&o, l->dropped);
    json_out_name(&o, "bytes");
    json_out_i64(&o, l->bytes);
    json_out_name(&o, "seconds");
    json_out_double(&o, seconds);
    json_out_name(&o, "cpu_s");
    json_out_double(&o, cpu);
    out_series(&o, "serve", &l->serve);
    out_series(&o, "receive", &l->receive);
    json_out_close(&o, '}');
    printf("%.*s\n", (int)buf.len, buf.data);
}

int main(int argc, char **argv)
{
    struct load l = {.job = "bench", .batch = 1000, .connections = 4};
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"job", required_argument, NULL, 'j'},
                                            {"batch", required_argument, NULL, 'b'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"records", required_argument, NULL, 'r'},
                                            {"drop", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct err err = {.text = "see the top of load_client.c"};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t number = 0, *into = c == 'p'   ? &l.port
                                    : c == 'b' ? &l.batch
                                    : c == 'c' ? &l.connections
                                    : c == 'r' ? &l.records
                                    : c == 'd' ? &l.drop
                                               : NULL;
        if (c == 'j')
            l.job = optarg;
        else if (!into || !parse_i64(str_of(optarg), 1, INT64_C(1) << 40, &number, &err))
            give_up("usage", err.text);
        else
            *into = number;
    }
    if (l.port == 0)
        give_up("usage", err.text);
    tell(&l, run(&l));
    return 0;
}
