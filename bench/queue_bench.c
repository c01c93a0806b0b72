/* queue_bench.c: services and workers of a queue that cost next to nothing.
 *
 *   queue_bench --port N [--enqueuers 16] [--workers 16] [--batch 1] [--tasks 100000] [--rate N]
 *               [--arguments BYTES]
 *
 * One thread. Enqueuers post batches until so many tasks are enqueued; workers settle what they
 * have and claim the next in the same request, and wait when there is nothing. It ends when the
 * enqueuers have sent all and the workers have settled as many. With --workers 0 it enqueues only,
 * with
 * --enqueuers 0 it works only. With --rate so many tasks a second are enqueued, one by one at even
 * distances, and the time from their sending to their start is measured. Prints one JSON object. */
#include "base/json.h"
#include "base/parse.h"
#include "bench_conns.h"
#include "bench_report.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { TOKEN_MAX = 64 };
static const char claim_path[] = "/v1/work/claim", settle_path[] = "/v1/work/settle",
                  enqueue_path[] = "/v1/tasks";

struct bench {
    int64_t port, enqueuers, workers, batch, tasks, rate, arguments;
    int64_t sent, enqueued, settled;
    int64_t due; /* with a rate: to be sent, but no connection was free */
    struct bench_conns *conns;
    struct bench_series start, enqueue; /* from sending to start; of the enqueueing request */
    char *filler;
};

/* A connection's part: an enqueuer, or a worker with its session. */
struct part {
    struct bench *bench;
    struct bench_conn *conn;
    bool works, idle;
    char lease[TOKEN_MAX];
    struct buf body;
    int64_t held; /* tasks that the request on the way is about */
};

static int64_t now_us(void)
{
    return (int64_t)(bench_now_s() * 1e6);
}

/* --- enqueuers --- */

static void enqueue(struct part *p, int64_t count)
{
    struct bench *b = p->bench;
    p->body.len = 0;
    buf_add_text(&p->body, "{\"tasks\":[");
    for (int64_t i = 0; i < count; i++)
        buf_add_format(&p->body,
                       "%s{\"function\":\"noop\",\"queue\":\"bench\",\"arguments\":{\"at\":%lld"
                       ",\"text\":\"%s\"}}",
                       i ? "," : "", (long long)now_us(), b->filler);
    buf_add_text(&p->body, "]}");
    b->sent += count;
    p->held = count;
    p->idle = false;
    bench_conn_send(p->conn, enqueue_path, buf_str(&p->body));
}

static void enqueue_more(struct part *p)
{
    struct bench *b = p->bench;
    int64_t left = b->tasks - b->sent, count = left < b->batch ? left : b->batch;
    p->idle = true;
    if (b->rate == 0 && count > 0)
        enqueue(p, count);
    else if (b->rate > 0 && b->due > 0) {
        b->due--;
        enqueue(p, 1);
    }
}

/* --- workers --- */

static void claim(struct part *p)
{
    p->body.len = 0;
    buf_add_format(&p->body, "{\"queues\":[\"bench\"],\"max\":%lld,\"wait_s\":1",
                   (long long)p->bench->batch);
    if (p->lease[0])
        buf_add_format(&p->body, ",\"lease\":\"%s\"}", p->lease);
    else
        buf_add_text(&p->body, ",\"worker\":\"bench\"}");
    p->held = 0;
    bench_conn_send(p->conn, claim_path, buf_str(&p->body));
}

/* One task of an answer goes into the settlement. */
static void take_task(struct part *p, struct str task)
{
    struct str id = {NULL, 0}, arguments, at;
    int64_t sent_us = 0;
    if (!json_find(task, "id", &id))
        bench_give_up("a task without an id", task.ptr);
    if (p->bench->rate > 0 && json_find(task, "arguments", &arguments) &&
        json_find(arguments, "at", &at) && json_i64(at, 0, INT64_MAX, &sent_us))
        bench_series_add(&p->bench->start, (double)(now_us() - sent_us) / 1e6);
    buf_add_format(&p->body, "%s[%.*s,null]", p->held ? "," : "", (int)id.len, id.ptr);
    p->held++;
}

/* Settles what an answer brought and asks for more, or waits when it brought nothing. */
static void work_on(struct part *p, struct str answer)
{
    struct json j;
    struct str tasks = {NULL, 0}, task;
    p->body.len = 0;
    p->held = 0;
    buf_add_format(&p->body, "{\"lease\":\"%s\",\"completed\":[", p->lease);
    if (!json_find(answer, "tasks", &tasks))
        bench_give_up("an answer without tasks", answer.ptr);
    json_open(&j, tasks);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &task))
        take_task(p, task);
    if (p->held == 0) {
        if (p->bench->settled < p->bench->tasks)
            claim(p);
        return;
    }
    buf_add_format(&p->body, "],\"claim\":{\"queues\":[\"bench\"],\"max\":%lld}}",
                   (long long)p->bench->batch);
    bench_conn_send(p->conn, settle_path, buf_str(&p->body));
}

static void take_lease(struct part *p, struct str answer)
{
    struct str lease, token;
    if (p->lease[0] || !json_find(answer, "lease", &lease) || !json_find(lease, "token", &token))
        return;
    snprintf(p->lease, sizeof p->lease, "%.*s", (int)token.len - 2, token.ptr + 1);
}

/* --- both --- */

static void answered(struct bench_conn *c, int status, struct str body)
{
    struct part *p = c->owner;
    struct bench *b = p->bench;
    if (status != 200 && status != 201) {
        OWNED_MEM char *text = xstrndup(body.ptr, body.len);
        bench_give_up("the server refuses", text);
    }
    if (!p->works) {
        bench_series_add(&b->enqueue, bench_now_s() - c->began_s);
        b->enqueued += p->held;
        enqueue_more(p);
        return;
    }
    b->settled += p->held;
    take_lease(p, body);
    work_on(p, body);
}

/* With a rate: those whose time has come go to connections that are free. */
static void tick(struct bench *b, struct part *parts, int timer)
{
    uint64_t times = 0;
    if (read(timer, &times, sizeof times) != sizeof times)
        return;
    for (uint64_t i = 0; i < times && b->sent + b->due < b->tasks; i++)
        b->due++;
    for (int64_t i = 0; i < b->enqueuers && b->due > 0; i++)
        if (parts[i].idle)
            enqueue_more(&parts[i]);
}

static int start_timer(int64_t rate)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    long every_ns = 1000000000L / rate;
    struct itimerspec spec = {{every_ns / 1000000000L, every_ns % 1000000000L}, {0, 1}};
    if (timer < 0 || timerfd_settime(timer, 0, &spec, NULL) < 0)
        bench_give_up("timer", strerror(errno));
    return timer;
}

static bool is_done(const struct bench *b)
{
    return (b->enqueuers == 0 || b->enqueued >= b->tasks) &&
           (b->workers == 0 || b->settled >= b->tasks);
}

static double run(struct bench *b)
{
    int64_t count = b->enqueuers + b->workers;
    struct part *parts = xcalloc((size_t)count, sizeof *parts);
    int timer = b->rate > 0 ? start_timer(b->rate) : -1;
    b->conns = bench_conns_open((int)b->port, (size_t)count, answered);
    double began = bench_now_s();
    for (int64_t i = 0; i < count; i++) {
        struct part *p = &parts[i];
        *p = (struct part){.bench = b, .works = i >= b->enqueuers, .idle = true};
        buf_init(&p->body, BUF_NO_CAP);
        p->conn = bench_conns_at(b->conns, (size_t)i);
        p->conn->owner = p;
        if (p->works)
            claim(p);
        else
            enqueue_more(p);
    }
    while (!is_done(b)) {
        bench_conns_turn(b->conns, -1, timer);
        if (timer >= 0)
            tick(b, parts, timer);
    }
    double seconds = bench_now_s() - began;
    bench_conns_close(b->conns);
    for (int64_t i = 0; i < count; i++)
        buf_release(&parts[i].body);
    free(parts);
    return seconds;
}

static void tell(struct bench *b, double seconds)
{
    OWNED_BUF struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    json_out_name(&o, "enqueued");
    json_out_i64(&o, b->enqueued);
    json_out_name(&o, "settled");
    json_out_i64(&o, b->settled);
    json_out_name(&o, "seconds");
    json_out_double(&o, seconds);
    json_out_name(&o, "cpu_s");
    json_out_double(&o, bench_cpu_s());
    bench_series_out(&o, "enqueue", &b->enqueue);
    bench_series_out(&o, "start", &b->start);
    json_out_close(&o, '}');
    printf("%.*s\n", (int)buf.len, buf.data);
}

int main(int argc, char **argv)
{
    struct bench b = {.enqueuers = 16, .workers = 16, .batch = 1, .tasks = 100000};
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},      {"enqueuers", required_argument, NULL, 'e'},
        {"workers", required_argument, NULL, 'w'},   {"batch", required_argument, NULL, 'b'},
        {"tasks", required_argument, NULL, 't'},     {"rate", required_argument, NULL, 'r'},
        {"arguments", required_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
    struct err err = {.text = "see the top of queue_bench.c"};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *into = c == 'p'   ? &b.port
                        : c == 'e' ? &b.enqueuers
                        : c == 'w' ? &b.workers
                        : c == 'b' ? &b.batch
                        : c == 't' ? &b.tasks
                        : c == 'r' ? &b.rate
                        : c == 'a' ? &b.arguments
                                   : NULL;
        if (!into || !parse_i64(str_of(optarg), 0, INT64_C(1) << 40, into, &err))
            bench_give_up("usage", err.text);
    }
    if (b.port == 0 || b.batch == 0)
        bench_give_up("usage", err.text);
    b.filler = xcalloc((size_t)b.arguments + 1, 1);
    memset(b.filler, 'x', (size_t)b.arguments);
    tell(&b, run(&b));
    free(b.filler);
    return 0;
}
