/* native_step_logs.c: what the runs of step jobs log and measure (native.h). */
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_value.h"
#include "http/native/step_body.h"

#include <stdlib.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = STEP_LOG_POST_MAX };

/* --- put --- */

/* The run that tells: the job in the path and the query's fence. */
static struct op *report_op(struct request *req, struct err *err)
{
    int64_t id = 0, fence = 0;
    const struct member members[] = {
        {.name = "fence", .type = MEMBER_I64, .min = 1, .max = INT64_MAX, .out = &fence},
    };
    if (!step_path_id(req, "job", &id, err) || !native_query_read(req, members, 1, err))
        return NULL;
    if (!fence) {
        err_set(err, ERR_INVALID, "fence: it is needed, as the claim told it");
        return NULL;
    }
    struct op *op = request_op(req, OP_STEP_REPORT);
    request_step_asker(req, &op->step_report.by);
    op->step_report.job = id;
    op->step_report.fence = fence;
    return op;
}

static bool read_line_member(struct step_log_line *line, struct str name, struct str raw,
                             struct err *err)
{
    int word = 0;
    if (json_name_is(name, "message")) {
        if (!value_decode(raw, &line->message))
            return value_wrong(err, "message", "a text", raw);
        return true;
    }
    if (json_name_is(name, "at"))
        return value_time("at", raw, &line->at_us, err);
    if (json_name_is(name, "level")) {
        word = (int)line->level;
        if (!value_word("level", raw, step_log_levels, &word, err))
            return false;
        line->level = (enum step_log_level)word;
        return true;
    }
    if (json_name_is(name, "source")) {
        word = (int)line->source;
        if (!value_word("source", raw, step_log_sources, &word, err))
            return false;
        line->source = (enum step_log_source)word;
        return true;
    }
    return value_unknown(err, name);
}

static bool read_line(struct json *j, struct step_log_line *line, struct err *err)
{
    struct str name, raw;
    if (!json_enter(j, '{'))
        return err_set(err, ERR_INVALID, ": expected an object");
    while (json_member(j, &name) && json_value(j, &raw))
        if (!read_line_member(line, name, raw, err))
            return false;
    return line->message.ptr || err_set(err, ERR_INVALID, "message: it is needed");
}

static size_t count_items(struct str list)
{
    struct json j;
    struct str item;
    size_t count = 0;
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item))
            count++;
    return count;
}

/* A list of lines; one without a time was written just now. */
static bool read_lines(struct request *req, struct str raw, struct op_step_report *ask,
                       struct err *err)
{
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, "lines", "a list", raw);
    size_t count = count_items(raw), got = 0;
    if (count > STEP_LOG_POST_MAX)
        return err_set(err, ERR_LIMIT, "lines: at most %d at once", STEP_LOG_POST_MAX);
    struct step_log_line *lines = request_alloc(req, (count + 1) * sizeof *lines);
    if (!lines)
        return err_set(err, ERR_BUSY, "memory is out");
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    for (; json_item(&j) && json_value(&j, &item); got++) {
        struct json in;
        lines[got] = (struct step_log_line){
            .at_us = request_at(req).wall_us, .fence = ask->fence, .level = STEP_LOG_INFO};
        json_open(&in, item);
        if (!read_line(&in, &lines[got], err))
            return value_place(err, "lines", got);
    }
    ask->lines = lines;
    ask->count = got;
    return true;
}

static bool finish_added(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "stored");
    json_out_i64(&o, (int64_t)op->step_report.count);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_step_logs_add(struct request *req, struct reply *reply, struct err *err)
{
    struct str lines = {NULL, 0};
    const struct member members[] = {
        {.name = "lines", .type = MEMBER_RAW, .required = true, .out = &lines},
    };
    struct op *op = report_op(req, err);
    (void)reply;
    return op && native_body_read(req, members, 1, err) &&
           read_lines(req, lines, &op->step_report, err) && request_call(req, finish_added);
}

static bool finish_measured(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

/* The body is one JSON object, whatever is in it. */
static bool read_object(struct request *req, struct str *out, struct err *err)
{
    struct json j;
    struct str body = {NULL, 0}, raw;
    body.ptr = request_body(req, &body.len);
    json_open(&j, body);
    if (!json_value(&j, &raw) || !json_end(&j))
        return value_fault(err, &j);
    if (json_type_of(raw) != JSON_OBJECT)
        return value_wrong(err, "metrics", "an object", raw);
    if (raw.len > STEP_METRICS_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "metrics: at most %d bytes", STEP_METRICS_MAX_BYTES);
    *out = raw;
    return true;
}

bool native_step_metrics_put(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = report_op(req, err);
    (void)reply;
    return op && read_object(req, &op->step_report.metrics, err) &&
           request_call(req, finish_measured);
}

/* --- read --- */

static struct op *show_op(struct request *req, struct err *err)
{
    int64_t id = 0;
    if (!step_path_id(req, "job", &id, err))
        return NULL;
    struct op *op = request_op(req, OP_STEP_REPORT_SHOW);
    request_step_asker(req, &op->step_report_show.by);
    op->step_report_show.job = id;
    return op;
}

static void write_line(struct json_out *o, const struct step_log_line *line)
{
    json_out_open(o, '{');
    json_out_name(o, "number");
    json_out_i64(o, line->number);
    json_out_name(o, "at");
    native_time_write(o, line->at_us);
    json_out_name(o, "fence");
    json_out_i64(o, line->fence);
    json_out_name(o, "level");
    json_out_text(o, step_log_levels[line->level]);
    json_out_name(o, "source");
    json_out_text(o, step_log_sources[line->source]);
    json_out_name(o, "message");
    json_out_str(o, line->message);
    json_out_close(o, '}');
}

static bool finish_lines(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_step_report_show *ask = &op->step_report_show;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP); /* STEP_LOG_KEPT_BYTES, escaped */
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "lines");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->count; i++)
        write_line(&o, &ask->lines[i]);
    json_out_close(&o, ']');
    json_out_name(&o, "total");
    json_out_i64(&o, ask->page.total);
    json_out_name(&o, "gone");
    json_out_i64(&o, ask->page.gone);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_step_logs_show(struct request *req, struct reply *reply, struct err *err)
{
    char *order = NULL;
    int64_t limit = LIMIT_DEFAULT, offset = 0;
    const struct member members[] = {
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = LIMIT_MAX, .out = &limit},
        {.name = "offset", .type = MEMBER_I64, .max = INT64_MAX, .out = &offset},
        {.name = "order", .type = MEMBER_TEXT, .out = &order},
    };
    struct op *op = show_op(req, err);
    (void)reply;
    if (!op || !native_query_read(req, members, 3, err))
        return false;
    bool newest = order && strcmp(order, "desc") == 0;
    if (order && !newest && strcmp(order, "asc") != 0)
        return err_set(err, ERR_INVALID, "order: expected asc or desc");
    op->step_report_show.page =
        (struct step_log_page){.descending = newest, .offset = offset, .limit = limit};
    return request_call(req, finish_lines);
}

static bool finish_metrics(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct step_metrics *metrics = &op->step_report_show.metrics;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "worker");
    json_out_text(&o, metrics->worker);
    json_out_name(&o, "at");
    native_time_write(&o, metrics->at_us);
    json_out_name(&o, "metrics");
    json_out_raw(&o, metrics->json ? str_of(metrics->json) : STR("{}"));
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_step_metrics_show(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = show_op(req, err);
    (void)reply, (void)err;
    return op && request_call(req, finish_metrics);
}
