/* pinexq_logs.c: what the runs of a job have logged and measured (pinexq.h). */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/pinexq/pinexq.h"

#include <string.h>

enum { LIMIT_DEFAULT = 100 };

static struct op *report_op(struct request *req, struct err *err)
{
    int64_t id = 0;
    if (!pinexq_path_id(req, &id, err))
        return NULL;
    struct op *op = request_op(req, OP_STEP_REPORT_SHOW);
    request_step_asker(req, &op->step_report_show.by);
    op->step_report_show.job = id;
    return op;
}

/* Names within are lower case, unlike all others. */
static void write_line(struct json_out *o, const struct step_log_line *line)
{
    json_out_open(o, '{');
    json_out_name(o, "number");
    json_out_i64(o, line->number);
    json_out_name(o, "timestamp");
    native_time_write(o, line->at_us);
    json_out_name(o, "level");
    json_out_text(o, step_log_levels[line->level]);
    json_out_name(o, "source");
    json_out_text(o, step_log_sources[line->source]);
    json_out_name(o, "message");
    json_out_str(o, line->message);
    json_out_close(o, '}');
}

static void link_self(struct siren *s, int64_t job, const char *what)
{
    struct pinexq_href self = pinexq_thing(PINEXQ_JOB, job);
    self.action = what;
    siren_link(s, "self", &self);
}

static bool finish_logs(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_step_report_show *ask = &op->step_report_show;
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "log", NULL);
    siren_number(&s, "current", (int64_t)ask->count);
    siren_number(&s, "total", ask->page.total);
    siren_number(&s, "limit", ask->page.limit);
    struct json_out *o = siren_property(&s, "logs");
    json_out_open(o, '[');
    for (size_t i = 0; i < ask->count; i++)
        write_line(o, &ask->lines[i]);
    json_out_close(o, ']');
    link_self(&s, ask->job, "Logs");
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_job_logs(struct request *req, struct reply *reply, struct err *err)
{
    char *order = NULL;
    int64_t limit = LIMIT_DEFAULT, offset = 0;
    const struct member members[] = {
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = INT32_MAX, .out = &limit},
        {.name = "offset", .type = MEMBER_I64, .max = INT64_MAX, .out = &offset},
        {.name = "order", .type = MEMBER_TEXT, .out = &order},
    };
    struct op *op = report_op(req, err);
    (void)reply;
    if (!op || !native_query_read(req, members, 3, err))
        return false;
    bool newest = order && strcasecmp(order, "desc") == 0;
    if (order && !newest && strcasecmp(order, "asc") != 0)
        return err_set(err, ERR_INVALID, "order: expected asc or desc");
    if (limit > STEP_LOG_POST_MAX)
        limit = STEP_LOG_POST_MAX;
    op->step_report_show.page =
        (struct step_log_page){.descending = newest, .offset = offset, .limit = limit};
    return request_call(req, finish_logs);
}

static bool finish_metrics(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_step_report_show *ask = &op->step_report_show;
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "metrics", NULL);
    siren_text(&s, "worker", ask->metrics.worker);
    json_out_raw(siren_property(&s, "metrics"),
                 ask->metrics.json ? str_of(ask->metrics.json) : STR("{}"));
    link_self(&s, ask->job, "Metrics");
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_job_metrics(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = report_op(req, err);
    (void)reply;
    return op && request_call(req, finish_metrics);
}
