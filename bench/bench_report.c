/* bench_report.c: see bench_report.h. */
#include "bench_report.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

static void out_number(struct json_out *o, const char *name, double value)
{
    json_out_name(o, name);
    if (value == 0.0)
        json_out_null(o);
    else
        json_out_double(o, value < 100 ? (double)(int64_t)(value * 1000) / 1000
                                       : (double)(int64_t)value);
}

void bench_report(const struct bench_result *r)
{
    OWNED_BUF struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    json_out_name(&o, "name");
    json_out_text(&o, r->name);
    out_number(&o, "value", r->value);
    json_out_name(&o, "unit");
    json_out_text(&o, r->unit);
    out_number(&o, "goal", r->goal);
    out_number(&o, "peer", r->peer);
    out_number(&o, "ratio", r->peer > 0 ? r->value / r->peer : 0.0);
    out_number(&o, "limit", r->limit);
    json_out_name(&o, "peer_name");
    json_out_text(&o, r->peer_name);
    json_out_name(&o, "limit_name");
    json_out_text(&o, r->limit_name);
    json_out_close(&o, '}');
    buf_add_char(&buf, '\n');
    fwrite(buf.data, 1, buf.len, stdout);
    fflush(stdout);
}

double bench_now_s(void)
{
    return (double)clock_now().mono_us / 1e6;
}
