/* bench_report.h: how every benchmark tells its results: one JSON line each on stdout. */
#ifndef PENSTOCK_BENCH_REPORT_H
#define PENSTOCK_BENCH_REPORT_H

#include <stdint.h>

struct bench_result {
    const char *name, *unit;
    double value;
    double goal;            /* what is promised, in the same unit; 0: nothing */
    double peer;            /* the peer's value in the same run; 0: there is no peer */
    double limit;           /* what this machine can do at most, measured here; 0: not known */
    const char *peer_name;  /* may be NULL */
    const char *limit_name; /* may be NULL */
};

/* Prints {"name","value","unit","goal","peer","ratio","limit"}: what is 0 becomes null, `ratio` is
 * value / peer. */
void bench_report(const struct bench_result *result);

/* Monotonic seconds. */
double bench_now_s(void);

#endif
