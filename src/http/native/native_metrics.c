/* native_metrics.c: the figures for Prometheus (native.h).
 *
 * Four questions to the engine, one after the other: what it counts, the queues, the sessions, and
 * the oldest task that waits for a worker. */
#include "http/native/native.h"

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
    {"penstock_tasks_enqueued_total", "counter", "Tasks that came in since the start.",
     FIGURE_AT(tasks_enqueued_total), false},
    {"penstock_tasks_started_total", "counter", "Starts of tasks since the start.",
     FIGURE_AT(tasks_started_total), false},
    {"penstock_tasks_completed_total", "counter", "Tasks completed since the start.",
     FIGURE_AT(tasks_completed_total), false},
    {"penstock_tasks_retried_total", "counter",
     "Attempts that failed and are followed by another, since the start.",
     FIGURE_AT(tasks_retried_total), false},
    {"penstock_tasks_failed_total", "counter", "Tasks failed for good since the start.",
     FIGURE_AT(tasks_failed_total), false},
    {"penstock_tasks_lost_total", "counter",
     "Runs of tasks whose worker was lost, since the start.", FIGURE_AT(tasks_lost_total), false},
    {"penstock_tasks_cancelled_total", "counter", "Tasks cancelled since the start.",
     FIGURE_AT(tasks_cancelled_total), false},
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

static void drop_text(void *thing)
{
    buf_release(thing);
}

static void add_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_add_format(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_seconds(struct buf *b, int64_t us)
{
    buf_add_format(b, "%lld.%06lld\n", (long long)(us / 1000000), (long long)(us % 1000000));
}

static void add_figure(struct buf *b, const struct figure *f, const struct op *op)
{
    int64_t value = 0;
    memcpy(&value, (const char *)op + f->at, sizeof value);
    add_head(b, f->name, f->type, f->help);
    buf_add_format(b, "%s ", f->name);
    if (f->time_us)
        add_seconds(b, value);
    else
        buf_add_format(b, "%lld\n", (long long)value);
}

/* A label's value: backslash, quote and line end are escaped; names hold no other control
 * character. */
static void add_label(struct buf *b, const char *name)
{
    for (; *name; name++) {
        if (*name == '\\' || *name == '"')
            buf_add_char(b, '\\');
        buf_add_char(b, *name);
    }
}

static bool finish_oldest(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct buf *b = request_state(req);
    int64_t age_us = 0;
    if (op->task_list.count > 0)
        age_us = request_at(req).wall_us - op->task_list.views[0].created_at_us;
    add_head(b, "penstock_oldest_pending_seconds", "gauge",
             "Age of the oldest task that waits for a worker; 0: none does.");
    buf_add_text(b, "penstock_oldest_pending_seconds ");
    add_seconds(b, age_us > 0 ? age_us : 0);
    reply_content_type(reply, "text/plain; version=0.0.4; charset=utf-8");
    return native_reply_end(reply, b, err);
}

static bool finish_sessions(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)reply, (void)err;
    struct buf *b = request_state(req);
    int64_t holding = 0;
    for (size_t i = 0; i < op->workers.count; i++)
        holding += op->workers.sessions[i].holding;
    add_head(b, "penstock_sessions", "gauge", "Sessions of workers that take tasks.");
    buf_add_format(b, "penstock_sessions %zu\n", op->workers.count);
    add_head(b, "penstock_tasks_held", "gauge", "Tasks in the hands of workers.");
    buf_add_format(b, "penstock_tasks_held %lld\n", (long long)holding);
    op = request_op(req, OP_TASK_LIST);
    op->task_list.filter.by_state = true;
    op->task_list.filter.state = JOB_PENDING;
    op->task_list.limit = 1;
    return request_call(req, finish_oldest);
}

static void add_count(struct buf *b, const char *queue, enum job_state state, int64_t count)
{
    buf_add_text(b, "penstock_tasks{queue=\"");
    add_label(b, queue);
    buf_add_format(b, "\",state=\"%s\"} %lld\n", job_state_name(state), (long long)count);
}

static void add_queue(struct buf *b, const struct gate_view *v)
{
    add_count(b, v->name, JOB_BLOCKED, v->counts.blocked);
    add_count(b, v->name, JOB_PENDING, v->counts.pending);
    add_count(b, v->name, JOB_RUNNING, v->counts.running);
    add_count(b, v->name, JOB_COMPLETED, v->completed);
    add_count(b, v->name, JOB_FAILED, v->failed);
    add_count(b, v->name, JOB_CANCELLED, v->cancelled);
}

static bool finish_queues(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct buf *b = request_state(req);
    add_head(b, "penstock_tasks", "gauge", "Tasks that are stored, by queue and state.");
    for (size_t i = 0; i < op->gates.count; i++)
        add_queue(b, &op->gates.views[i]);
    add_head(b, "penstock_queue_paused", "gauge", "1 while a queue is paused.");
    for (size_t i = 0; i < op->gates.count; i++) {
        buf_add_text(b, "penstock_queue_paused{queue=\"");
        add_label(b, op->gates.views[i].name);
        buf_add_format(b, "\"} %d\n", op->gates.views[i].gate.paused);
    }
    request_op(req, OP_WORKERS);
    return request_call(req, finish_sessions);
}

static bool finish_stats(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct buf *b = request_state(req);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        add_figure(b, &figures[i], op);
    add_head(b, "penstock_jobs_by_state", "gauge", "Jobs in each state.");
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        buf_add_format(b, "penstock_jobs_by_state{state=\"%s\"} %lld\n",
                       job_state_name((enum job_state)state),
                       (long long)op->stats.jobs_by_state[state]);
    add_head(b, "penstock_flows", "gauge", "Flows by the state of their last run.");
    for (int state = JOB_RUNNING; state < JOB_STATE_COUNT; state++)
        buf_add_format(b, "penstock_flows{state=\"%s\"} %lld\n",
                       job_state_name((enum job_state)state),
                       (long long)op->stats.flows_by_state[state]);
    add_head(b, "penstock_build_info", "gauge", "Always 1; the version is a label.");
    buf_add_text(b, "penstock_build_info{version=\"" PENSTOCK_VERSION "\"} 1\n");
    request_op(req, OP_GATES);
    return request_call(req, finish_queues);
}

bool native_metrics(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct buf *text = request_alloc(req, sizeof *text);
    if (!text)
        return err_set(err, ERR_BUSY, "memory is out");
    buf_init(text, BUF_NO_CAP);
    request_own(req, text, drop_text);
    request_set_state(req, text);
    request_op(req, OP_STATS);
    return request_call(req, finish_stats);
}
