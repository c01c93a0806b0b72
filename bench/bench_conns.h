/* bench_conns.h: keep-alive connections that cost next to nothing: one thread, epoll, one request
 * at a time on each. For clients that measure a server and not themselves. */
#ifndef PENSTOCK_BENCH_BENCH_CONNS_H
#define PENSTOCK_BENCH_BENCH_CONNS_H

#include "base/buf.h"
#include "base/json.h"

#include <stdint.h>

struct bench_conns;

struct bench_conn {
    struct bench_conns *all;
    int fd;          /* -1: closed */
    void *owner;     /* the caller's */
    const char *key; /* its API key; NULL: none; the caller's */
    struct buf out, in;
    size_t sent;
    size_t want, body_at; /* of the answer; want 0: its head is not whole */
    double began_s;
    bool busy; /* a request is on the way */
};

/* The answer is there: its status and body, borrowed until the call ends. The connection is free
 * for the next bench_conn_send. */
typedef void bench_answered(struct bench_conn *c, int status, struct str body);

/* So many connections to 127.0.0.1:port. What goes wrong ends the program. */
struct bench_conns *bench_conns_open(int port, size_t count, bench_answered *answered);
void bench_conns_close(struct bench_conns *all);
struct bench_conn *bench_conns_at(struct bench_conns *all, size_t i);
/* Sends a request: POST with a JSON body, or as it is said. */
void bench_conn_send(struct bench_conn *c, const char *path, struct str body);
void bench_conn_call(struct bench_conn *c, const char *method, const char *path, struct str body);
/* Moves what can be moved; waits up to so many milliseconds (-1: without end) for something. Also
 * comes back when `also` (-1: none) can be read. */
void bench_conns_turn(struct bench_conns *all, int wait_ms, int also);

/* Says why and ends the program. */
_Noreturn void bench_give_up(const char *what, const char *detail);

/* Latencies, in microseconds. Zeroed is empty. */
struct bench_series {
    uint32_t *us;
    size_t count, cap;
};
void bench_series_add(struct bench_series *s, double seconds);
/* Milliseconds that this share did not exceed. Sorts. */
double bench_series_ms(struct bench_series *s, double share);
/* {"count","p50_ms","p99_ms","max_ms"} under that name. Frees what the series holds. */
void bench_series_out(struct json_out *o, const char *name, struct bench_series *s);
/* The processor time of this process so far, in seconds. */
double bench_cpu_s(void);

#endif
