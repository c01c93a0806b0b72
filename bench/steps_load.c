/* steps_load.c: one request again and again, by clients that cost next to nothing.
 *
 *   steps_load --port N --method POST --path /v1/step-jobs [--body FILE] [--expect 201]
 *              [--connections 16] [--requests 100000] [--first 0]
 *
 * One thread, keep-alive connections, each asks again when it has its answer. In path and body #
 * becomes the request's number, counted from `first`, and @ that number modulo 1,000. Prints one
 * JSON object. */
#include "base/json.h"
#include "base/parse.h"
#include "bench_conns.h"
#include "bench_report.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 10, SOME = 1000 };

struct load {
    const char *method, *path;
    char *body;
    size_t body_len;
    int64_t port, connections, requests, first, expect;
    int64_t sent, answered, bytes;
    struct bench_series series;
    struct buf made_path, made_body;
};

/* The text with its places filled in. */
static void fill(struct buf *out, struct str text, int64_t number)
{
    out->len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '#')
            buf_add_format(out, "%lld", (long long)number);
        else if (text.ptr[i] == '@')
            buf_add_format(out, "%lld", (long long)(number % SOME));
        else
            buf_add_char(out, text.ptr[i]);
}

static void ask(struct bench_conn *c)
{
    struct load *l = c->owner;
    if (l->sent == l->requests)
        return;
    int64_t number = l->first + l->sent++;
    fill(&l->made_path, str_of(l->path), number);
    buf_add_char(&l->made_path, '\0');
    fill(&l->made_body, (struct str){l->body, l->body_len}, number);
    bench_conn_call(c, l->method, l->made_path.data, buf_str(&l->made_body));
}

static void answered(struct bench_conn *c, int status, struct str body)
{
    struct load *l = c->owner;
    if (status != l->expect) {
        OWNED_MEM char *text = xstrndup(body.ptr, body.len);
        bench_give_up("the server refuses", text);
    }
    bench_series_add(&l->series, bench_now_s() - c->began_s);
    l->answered++;
    l->bytes += (int64_t)body.len;
    ask(c);
}

static double run(struct load *l)
{
    struct bench_conns *all = bench_conns_open((int)l->port, (size_t)l->connections, answered);
    double began = bench_now_s();
    for (int64_t i = 0; i < l->connections; i++) {
        struct bench_conn *c = bench_conns_at(all, (size_t)i);
        c->owner = l;
        ask(c);
    }
    while (l->answered < l->requests)
        bench_conns_turn(all, -1, -1);
    double seconds = bench_now_s() - began;
    bench_conns_close(all);
    return seconds;
}

static void tell(struct load *l, double seconds)
{
    OWNED_BUF struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    json_out_name(&o, "seconds");
    json_out_double(&o, seconds);
    json_out_name(&o, "bytes");
    json_out_i64(&o, l->bytes);
    json_out_name(&o, "cpu_s");
    json_out_double(&o, bench_cpu_s());
    bench_series_out(&o, "answers", &l->series);
    json_out_close(&o, '}');
    printf("%.*s\n", (int)buf.len, buf.data);
}

static void read_body(struct load *l, const char *name)
{
    FILE *file = fopen(name, "re");
    l->body = xcalloc(BODY_MAX, 1);
    if (!file)
        bench_give_up("cannot open", name);
    l->body_len = fread(l->body, 1, BODY_MAX, file);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct load l = {
        .method = "GET", .path = "/", .connections = 16, .requests = 100000, .expect = 200};
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"method", required_argument, NULL, 'm'},
                                            {"path", required_argument, NULL, 'u'},
                                            {"body", required_argument, NULL, 'b'},
                                            {"expect", required_argument, NULL, 'e'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"requests", required_argument, NULL, 'r'},
                                            {"first", required_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    struct err err = {.text = "see the top of steps_load.c"};
    buf_init(&l.made_path, BUF_NO_CAP);
    buf_init(&l.made_body, BUF_NO_CAP);
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *into = c == 'p'   ? &l.port
                        : c == 'e' ? &l.expect
                        : c == 'c' ? &l.connections
                        : c == 'r' ? &l.requests
                        : c == 'f' ? &l.first
                                   : NULL;
        if (c == 'm')
            l.method = optarg;
        else if (c == 'u')
            l.path = optarg;
        else if (c == 'b')
            read_body(&l, optarg);
        else if (!into || !parse_i64(str_of(optarg), 0, INT64_C(1) << 40, into, &err))
            bench_give_up("usage", err.text);
    }
    if (l.port == 0 || l.connections == 0)
        bench_give_up("usage", err.text);
    tell(&l, run(&l));
    buf_release(&l.made_path);
    buf_release(&l.made_body);
    free(l.body);
    return 0;
}
