/* steps_streams.c: many open streams of events, and jobs that change at a set rate.
 *
 *   steps_streams --port N --path /api/Events [--streams 1000] [--jobs 1000] [--rate 1000]
 *                 [--seconds 10] [--keys FILE]
 *
 * One thread. Makes the jobs, opens the streams, waits until what has been before is told, and then
 * gives a job after the other another name; a name's way is from the sending of its request until a
 * stream has told of it. Prints one JSON object.
 *
 * Without keys all is one owner's: each stream is to tell of each change. With a file that has a
 * key a line, each of another owner, stream i and job i are the i-th owner's: each change is to be
 * told by one stream. */
#include "base/json.h"
#include "base/parse.h"
#include "bench_conns.h"
#include "bench_report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { IN_MAX = 256 << 10, CHANGERS = 64, EVENTS = 256, LINK_DIGITS = 12, KEY_MAX = 200 };
static const double quiet_s = 3; /* longer than the distance of what keeps a stream alive */

struct stream {
    int fd;
    size_t len;
    int64_t told; /* changes */
    char in[IN_MAX];
};

struct bench {
    int64_t port, streams, jobs, rate, seconds;
    const char *path;
    char **keys;       /* of streams and jobs; NULL: none */
    int64_t *ids;      /* of the jobs, ascending */
    double *changed_s; /* when; 0: not yet */
    int64_t made, asked, changed, due, broken;
    bool counts; /* the changes have begun */
    struct stream *all;
    struct bench_conns *conns;
    struct bench_series way;
};

/* --- the streams --- */

static void stream_open(struct bench *b, struct stream *s, int epoll)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)b->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char ask[512];
    const char *key = b->keys ? b->keys[s - b->all] : NULL;
    int len = snprintf(
        ask, sizeof ask,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%lld\r\nAccept: text/event-stream\r\n%s%s%s\r\n",
        b->path, (long long)b->port, key ? "x-api-key: " : "", key ? key : "", key ? "\r\n" : "");
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        send(s->fd, ask, (size_t)len, MSG_NOSIGNAL) != len ||
        fcntl(s->fd, F_SETFL, O_NONBLOCK) != 0)
        bench_give_up("a stream", strerror(errno));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e) != 0)
        bench_give_up("epoll", strerror(errno));
}

/* Which of our jobs a link ends with; -1: none. */
static int64_t job_of(const struct bench *b, const char *digits)
{
    int64_t id = 0;
    for (int i = 0; i < LINK_DIGITS; i++)
        id = id << 4 | (digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
    int64_t at = id - b->ids[0];
    if (at < 0)
        return -1;
    for (at = at < b->jobs ? at : b->jobs - 1; at > 0 && b->ids[at] > id;)
        at--;
    return b->ids[at] == id ? at : -1;
}

/* One line: an event ends with its job's link, of which the last digits are the id. */
static void take_line(struct bench *b, struct stream *s, const char *end, size_t len, double now)
{
    static const char tail[] = "\"}";
    if (len < LINK_DIGITS + 2 || memcmp(end - 2, tail, 2) != 0)
        return;
    int64_t job = job_of(b, end - 2 - LINK_DIGITS);
    if (job < 0 || !b->counts || b->changed_s[job] <= 0)
        return;
    s->told++;
    bench_series_add(&b->way, now - b->changed_s[job]);
}

static void take_events(struct bench *b, struct stream *s)
{
    double now = bench_now_s();
    char *at = s->in, *end;
    while ((end = memchr(at, '\n', (size_t)(s->in + s->len - at)))) {
        take_line(b, s, end, (size_t)(end - at), now);
        at = end + 1;
    }
    s->len -= (size_t)(at - s->in);
    memmove(s->in, at, s->len);
}

static void stream_read(struct bench *b, struct stream *s)
{
    ssize_t n = recv(s->fd, s->in + s->len, IN_MAX - s->len, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close(s->fd);
        s->fd = -1;
        b->broken++;
        return;
    }
    s->len += (size_t)n;
    take_events(b, s);
}

/* --- the jobs --- */

static void change(struct bench *b, struct bench_conn *c)
{
    char path[64], body[64];
    int64_t job = b->asked % b->jobs;
    snprintf(path, sizeof path, "/v1/step-jobs/%lld", (long long)b->ids[job]);
    int len = snprintf(body, sizeof body, "{\"name\":\"named %lld\"}", (long long)b->asked++);
    b->changed_s[job] = bench_now_s();
    b->due--;
    c->key = b->keys ? b->keys[job] : NULL;
    bench_conn_call(c, "PATCH", path, (struct str){body, (size_t)len});
}

static void answered(struct bench_conn *c, int status, struct str body)
{
    struct bench *b = c->owner;
    struct str id = {NULL, 0};
    if (status != 200 && status != 201)
        bench_give_up("the server refuses", body.ptr);
    if (b->counts) {
        b->changed++;
    } else if (!json_find(body, "id", &id) || !json_i64(id, 1, INT64_MAX, &b->ids[b->made++])) {
        bench_give_up("a job without an id", body.ptr);
    }
}

static void make_jobs(struct bench *b)
{
    while (b->made < b->jobs) {
        struct bench_conn *c = bench_conns_at(b->conns, 0);
        c->key = b->keys ? b->keys[b->made] : NULL;
        if (!c->busy)
            bench_conn_send(c, "/v1/step-jobs", STR("{\"name\":\"named\"}"));
        bench_conns_turn(b->conns, -1, -1);
    }
}

/* Those whose time has come, on connections that are free. */
static void change_some(struct bench *b)
{
    for (size_t i = 0; i < CHANGERS && b->due > 0; i++)
        if (!bench_conns_at(b->conns, i)->busy)
            change(b, bench_conns_at(b->conns, i));
}

/* --- both --- */

static void turn(struct bench *b, int epoll, int timer)
{
    struct epoll_event events[EVENTS];
    uint64_t times = 0;
    bench_conns_turn(b->conns, 100, epoll);
    int n = epoll_wait(epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            stream_read(b, events[i].data.ptr);
    if (b->counts && read(timer, &times, sizeof times) == sizeof times)
        b->due += (int64_t)times;
    change_some(b);
}

static int start_timer(int64_t rate, int epoll)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    long every_ns = 1000000000L / rate;
    struct itimerspec spec = {{every_ns / 1000000000L, every_ns % 1000000000L}, {0, 1}};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (timer < 0 || timerfd_settime(timer, 0, &spec, NULL) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e) != 0)
        bench_give_up("timer", strerror(errno));
    return timer;
}

static void run(struct bench *b)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    b->conns = bench_conns_open((int)b->port, CHANGERS, answered);
    for (size_t i = 0; i < CHANGERS; i++)
        bench_conns_at(b->conns, i)->owner = b;
    make_jobs(b);
    for (int64_t i = 0; i < b->streams; i++)
        stream_open(b, &b->all[i], epoll);
    for (double began = bench_now_s(); bench_now_s() - began < quiet_s;)
        turn(b, epoll, -1);
    int timer = start_timer(b->rate, epoll);
    b->counts = true;
    double began = bench_now_s();
    while (bench_now_s() - began < (double)b->seconds)
        turn(b, epoll, timer);
    int64_t asked = b->asked;
    b->due = INT64_MIN / 2; /* nothing more */
    for (double end = bench_now_s(); b->changed < asked || bench_now_s() - end < quiet_s;)
        turn(b, epoll, timer);
    bench_conns_close(b->conns);
    close(timer);
    close(epoll);
}

static void out(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void tell(struct bench *b)
{
    OWNED_BUF struct buf buf;
    struct json_out o;
    int64_t told = 0;
    for (int64_t i = 0; i < b->streams; i++)
        told += b->all[i].told;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    out(&o, "changes", b->changed);
    out(&o, "told", told);
    out(&o, "lost", b->changed * (b->keys ? 1 : b->streams) - told);
    out(&o, "broken", b->broken);
    json_out_name(&o, "cpu_s");
    json_out_double(&o, bench_cpu_s());
    bench_series_out(&o, "way", &b->way);
    json_out_close(&o, '}');
    printf("%.*s\n", (int)buf.len, buf.data);
}

/* As many as there are streams and jobs. */
static void read_keys(struct bench *b, const char *name)
{
    FILE *file = fopen(name, "re");
    char line[KEY_MAX];
    if (!file || b->jobs != b->streams)
        bench_give_up("keys", "a file with one for each stream, and as many jobs");
    b->keys = xcalloc((size_t)b->streams, sizeof *b->keys);
    for (int64_t i = 0; i < b->streams; i++) {
        if (!fgets(line, sizeof line, file))
            bench_give_up("keys", "the file has too few");
        line[strcspn(line, "\n")] = '\0';
        b->keys[i] = xstrdup(line);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    struct bench b = {.streams = 1000, .jobs = 1000, .rate = 1000, .seconds = 10};
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},    {"path", required_argument, NULL, 'u'},
        {"streams", required_argument, NULL, 's'}, {"jobs", required_argument, NULL, 'j'},
        {"rate", required_argument, NULL, 'r'},    {"seconds", required_argument, NULL, 't'},
        {"keys", required_argument, NULL, 'k'},    {NULL, 0, NULL, 0}};
    struct err err = {.text = "see the top of steps_streams.c"};
    const char *keys = NULL;
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *into = c == 'p'   ? &b.port
                        : c == 's' ? &b.streams
                        : c == 'j' ? &b.jobs
                        : c == 'r' ? &b.rate
                        : c == 't' ? &b.seconds
                                   : NULL;
        if (c == 'u')
            b.path = optarg;
        else if (c == 'k')
            keys = optarg;
        else if (!into || !parse_i64(str_of(optarg), 1, 1000000, into, &err))
            bench_give_up("usage", err.text);
    }
    if (b.port == 0 || !b.path)
        bench_give_up("usage", err.text);
    if (keys)
        read_keys(&b, keys);
    b.ids = xcalloc((size_t)b.jobs, sizeof *b.ids);
    b.changed_s = xcalloc((size_t)b.jobs, sizeof *b.changed_s);
    b.all = xcalloc((size_t)b.streams, sizeof *b.all);
    run(&b);
    tell(&b);
    for (int64_t i = 0; b.keys && i < b.streams; i++)
        free(b.keys[i]);
    free(b.keys);
    free(b.ids);
    free(b.changed_s);
    free(b.all);
    return 0;
}
