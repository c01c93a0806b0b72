/* native_service.c: health and doctor (native.h). */
#include "http/native/native.h"

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
