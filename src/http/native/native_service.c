/* native_service.c: health, doctor, and the figures for Prometheus (native.h). */
#include "http/native/native.h"

#include <assert.h>

static bool finish_health(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "status");
    json_out_text(&o, "ok");
    json_out_name(&o, "version");
    json_out_text(&o, PENSTOCK_VERSION);
    json_out_name(&o, "jobs");
    json_out_i64(&o, op->stats.jobs);
    json_out_name(&o, "jobs_by_state");
    json_out_open(&o, '{');
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        if (op->stats.jobs_by_state[state] > 0) {
            json_out_name(&o, job_state_name((enum job_state)state));
            json_out_i64(&o, op->stats.jobs_by_state[state]);
        }
    json_out_close(&o, '}');
    json_out_name(&o, "started_at");
    native_time_write(&o, op->stats.started_at_us);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_health(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_op(req, OP_STATS);
    return request_call(req, finish_health);
}

static bool finish_doctor(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "faults");
    json_out_i64(&o, op->doctor.faults);
    json_out_name(&o, "findings");
    json_out_raw(&o, buf_str(&op->doctor.findings));
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_doctor(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct op *op = request_op(req, OP_DOCTOR);
    request_right(req, SCOPE_ADMIN, NULL, &op->right);
    return request_call(req, finish_doctor);
}

/* ---- figures ---- */

#define FIGURE_AT(member) ((int)__builtin_offsetof(struct op, stats.member))

/* One figure: an int64_t of OP_STATS. Times are kept in microseconds and told in seconds. */
static const struct figure {
    const char *name, *type, *help;
    int at;
    bool time_us;
} figures[] = {
    {"penstock_jobs", "gauge", "Jobs, whatever their state.", FIGURE_AT(jobs), false},
    {"penstock_records_served_total", "counter", "Records handed out since the start.",
     FIGURE_AT(served_total), false},
    {"penstock_records_written_total", "counter", "Records written to outputs since the start.",
     FIGURE_AT(written_total), false},
    {"penstock_records_failed_total", "counter", "Records failed for good since the start.",
     FIGURE_AT(failed_total), false},
    {"penstock_records_repeated_total", "counter",
     "Results left out since the start because their record was done already.",
     FIGURE_AT(repeats_total), false},
    {"penstock_records_in_flight", "gauge", "Records handed out and not settled.",
     FIGURE_AT(in_flight), false},
    {"penstock_leases", "gauge", "Leases that are held.", FIGURE_AT(leases), false},
    {"penstock_leases_ended_total", "counter", "Leases whose time was over, since the start.",
     FIGURE_AT(leases_ended_total), false},
    {"penstock_operations_total", "counter", "Operations that the engine has answered.",
     FIGURE_AT(ops_total), false},
    {"penstock_groups_total", "counter", "Groups of operations applied together.",
     FIGURE_AT(groups_total), false},
    {"penstock_commits_total", "counter", "Transactions of the store.", FIGURE_AT(commits_total),
     false},
    {"penstock_sync_seconds_total", "counter", "Time spent making groups durable.",
     FIGURE_AT(sync_us_total), true},
    {"penstock_start_time_seconds", "gauge", "When the server started, since 1970.",
     FIGURE_AT(started_at_us), true},
};

static void add_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_add_format(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_figure(struct buf *b, const struct figure *f, const struct op *op)
{
    int64_t value = 0;
    memcpy(&value, (const char *)op + f->at, sizeof value);
    add_head(b, f->name, f->type, f->help);
    buf_add_format(b, "%s ", f->name);
    if (f->time_us)
        buf_add_format(b, "%lld.%06lld", (long long)(value / 1000000),
                       (long long)(value % 1000000));
    else
        buf_add_i64(b, value);
    buf_add_char(b, '\n');
}

static bool finish_metrics(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    buf_init(&b, 64 << 10);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        add_figure(&b, &figures[i], op);
    add_head(&b, "penstock_jobs_by_state", "gauge", "Jobs in each state.");
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        buf_add_format(&b, "penstock_jobs_by_state{state=\"%s\"} %lld\n",
                       job_state_name((enum job_state)state),
                       (long long)op->stats.jobs_by_state[state]);
    add_head(&b, "penstock_build_info", "gauge", "Always 1; the version is a label.");
    buf_add_text(&b, "penstock_build_info{version=\"" PENSTOCK_VERSION "\"} 1\n");
    reply_content_type(reply, "text/plain; version=0.0.4; charset=utf-8");
    return native_reply_end(reply, &b, err);
}

bool native_metrics(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_op(req, OP_STATS);
    return request_call(req, finish_metrics);
}
