/* native_view.c: how a job is shown, and what the handlers share (native.h). */
#include "base/parse.h"
#include "http/native/native.h"

#include <math.h>

/* Of one answer that is put together: a page of jobs with long names and paths. */
#define REPLY_MAX_BYTES (16 << 20)

bool native_job_ref(const struct request *req, struct job_ref *out, struct err *err)
{
    struct str text = request_path_param(req, "job");
    struct job_ref ref = {0};
    struct err ignored;
    if (text.len > 1 && text.ptr[0] == '~')
        ref.name = (struct str){text.ptr + 1, text.len - 1};
    else if (!parse_i64(text, 1, INT64_MAX, &ref.id, &ignored))
        return err_set(err, ERR_INVALID, "job %.*s: expected an id, or ~ and a name",
                       text.len > 60 ? 60 : (int)text.len, text.ptr);
    *out = ref;
    return true;
}

struct op *native_job_op(struct request *req, enum op_kind kind, enum scope needed, struct err *err)
{
    struct job_ref ref;
    if (!native_job_ref(req, &ref, err))
        return NULL;
    struct op *op = request_op(req, kind);
    op->job = ref;
    request_right(req, needed, NULL, &op->right);
    return op;
}

void native_time_write(struct json_out *o, int64_t at_us)
{
    char text[CLOCK_TEXT_SIZE];
    if (at_us <= 0) {
        json_out_null(o);
        return;
    }
    clock_text(at_us, text);
    json_out_text(o, text);
}

/* The spec's members stand beside the job's own, as they were asked for. */
static void write_spec(const struct data_spec *spec, struct json_out *o)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    data_spec_write(spec, &text);
    struct str raw;
    static const char *const members[] = {"mode",         "source",        "sink",   "lease_s",
                                          "max_attempts", "allow_repeats", "limits", "retry",
                                          "identity",     "errors"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_out_name(o, members[i]);
        if (json_find(buf_str(&text), members[i], &raw))
            json_out_raw(o, raw);
        else
            json_out_null(o);
    }
}

/* Records that run now: what a worker holds beyond its slots waits in its hands. */
static int64_t in_flight(const struct job_view *v)
{
    int64_t count = v->served - v->waiting;
    for (size_t i = 0; i < v->worker_count; i++) {
        const struct worker_view *w = &v->workers[i];
        if (w->slots >= 0 && w->holding > w->slots)
            count -= w->holding - w->slots;
    }
    return count > 0 ? count : 0;
}

static void write_counts(const struct job_view *v, struct json_out *o)
{
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {
        {"known", v->known},           {"unread", v->unread},
        {"served", v->served},         {"done", v->done},
        {"failed", v->failed},         {"bad", v->bad},
        {"repeats", v->repeats},       {"written", v->written},
        {"skipped", v->skipped},       {"in_flight", in_flight(v)},
        {"waiting", v->waiting},       {"done_before", v->done_before},
        {"duplicates", v->duplicates}, {"left_out", v->left_out},
        {"no_id", v->no_id},           {"held", v->held},
        {"retried", v->retried},
    };
    json_out_open(o, '{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_out_name(o, counts[i].name);
        json_out_i64(o, counts[i].count);
    }
    json_out_name(o, "total");
    if (v->total >= 0)
        json_out_i64(o, v->total);
    else
        json_out_null(o);
    json_out_close(o, '}');
}

/* Estimates: three decimals say all there is. */
static double rounded(double number)
{
    return round(number * 1000) / 1000;
}

static void write_workers(const struct job_view *v, struct json_out *o)
{
    json_out_open(o, '[');
    for (size_t i = 0; i < v->worker_count; i++) {
        json_out_open(o, '{');
        json_out_name(o, "worker");
        json_out_text(o, v->workers[i].name);
        json_out_name(o, "holding");
        json_out_i64(o, v->workers[i].holding);
        json_out_name(o, "slots");
        if (v->workers[i].slots >= 0)
            json_out_i64(o, v->workers[i].slots);
        else
            json_out_null(o);
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
}

/* How fast it may go now; null when nothing limits the rate. */
static void write_pace(const struct job_view *v, struct json_out *o)
{
    if (!(v->pace.rpm > 0) && !v->spec.adaptive) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '{');
    json_out_name(o, "rpm");
    json_out_double(o, v->pace.rpm > 0 ? rounded(v->pace.rpm) : (double)NAN);
    json_out_name(o, "lowest_rpm");
    json_out_double(o, v->pace.halved ? rounded(v->pace.lowest_rpm) : (double)NAN);
    json_out_name(o, "halved");
    json_out_i64(o, v->pace.halved);
    json_out_name(o, "throttled");
    json_out_i64(o, v->pace.throttled);
    json_out_close(o, '}');
}

void native_job_write(const struct job_view *v, struct json_out *o)
{
    json_out_open(o, '{');
    json_out_name(o, "id");
    json_out_i64(o, v->id);
    json_out_name(o, "name");
    json_out_text(o, v->name);
    json_out_name(o, "kind");
    json_out_text(o, job_kind_name(v->kind));
    json_out_name(o, "state");
    json_out_text(o, job_state_name(v->state));
    json_out_name(o, "paused");
    json_out_bool(o, v->paused);
    json_out_name(o, "protected");
    json_out_bool(o, v->has_token);
    write_spec(&v->spec, o);
    json_out_name(o, "records");
    write_counts(v, o);
    json_out_name(o, "leases");
    json_out_i64(o, v->leases);
    json_out_name(o, "workers");
    write_workers(v, o);
    json_out_name(o, "pace");
    write_pace(v, o);
    json_out_name(o, "exhausted");
    json_out_bool(o, v->exhausted);
    json_out_name(o, "rate_per_s");
    json_out_double(o, rounded(v->rate));
    json_out_name(o, "eta_s");
    json_out_double(o, v->eta_s >= 0 ? rounded(v->eta_s) : (double)NAN);
    json_out_name(o, "failure");
    json_out_text(o, v->failure);
    json_out_name(o, "tail");
    json_out_text(o, v->tail);
    json_out_name(o, "errors_path");
    json_out_text(o, v->errors_path);
    json_out_name(o, "created_at");
    native_time_write(o, v->created_at_us);
    json_out_name(o, "started_at");
    native_time_write(o, v->started_at_us);
    json_out_name(o, "ended_at");
    native_time_write(o, v->ended_at_us);
    json_out_close(o, '}');
}

void native_reply_begin(struct json_out *o, struct buf *b)
{
    buf_init(b, REPLY_MAX_BYTES);
    json_out_init(o, b);
}

bool native_reply_end(struct reply *reply, struct buf *b, struct err *err)
{
    if (b->full)
        return err_set(err, ERR_LIMIT, "the answer is too long: ask for less at once");
    reply_add_buf(reply, b);
    return true;
}
