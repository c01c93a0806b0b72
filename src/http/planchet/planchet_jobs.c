/* planchet_jobs.c: starting, cleaning and watching jobs. */
#include "base/json.h"
#include "http/planchet/planchet_metadata.h"
#include "http/planchet/planchet_own.h"
#include "http/planchet/planchet_params.h"

#include <stdlib.h>

bool planchet_done(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_add_borrowed(reply, STR("null"));
    return true;
}

static void free_spec(void *spec)
{
    data_spec_release(spec);
    free(spec);
}

enum metadata { METADATA_OBJECT, METADATA_FAULTY, METADATA_NO_JSON };

static enum metadata read_metadata(struct request *req, struct planchet_faults *faults,
                                   struct str *metadata)
{
    size_t len = 0;
    const char *body = request_body(req, &len);
    *metadata = str_trim((struct str){body, len});
    if (len > 0 && !json_check(*metadata, NULL, NULL))
        return METADATA_NO_JSON;
    enum json_type type = len > 0 ? json_type_of(*metadata) : JSON_NULL;
    if (type == JSON_OBJECT)
        return METADATA_OBJECT;
    planchet_faults_add(faults, (struct planchet_place){"body", "metadata", -1, -1},
                        type == JSON_NULL ? FAULT_MISSING : FAULT_NO_OBJECT);
    return METADATA_FAULTY;
}

bool planchet_scramble(struct request *req, struct reply *reply, struct err *err)
{
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    struct planchet_request query = {
        .reader = planchet_text_param(req, &faults, "reader_name", true),
        .writer = planchet_text_param(req, &faults, "writer_name", true),
        .mode = planchet_text_param(req, &faults, "mode", false),
        .lease_s = planchet_text_param(req, &faults, "lease_s", false),
        .max_attempts = planchet_text_param(req, &faults, "max_attempts", false),
    };
    struct str token = planchet_text_param(req, &faults, "token", false), metadata;
    bool clean_start = planchet_bool_param(req, &faults, "clean_start", false, false);
    bool cont = planchet_bool_param(req, &faults, "cont", false, false);
    bool force = planchet_bool_param(req, &faults, "force_overwrite", false, false);
    if (read_metadata(req, &faults, &metadata) == METADATA_NO_JSON)
        return planchet_refuse_body(reply);
    if (faults.count > 0) {
        planchet_faults_reply(&faults, reply);
        return true;
    }
    if (!query.mode.ptr)
        query.mode = STR("read-write");
    struct data_spec *spec = xcalloc(1, sizeof *spec);
    request_own(req, spec, free_spec);
    if (!planchet_spec(&query, metadata, spec, err) || !job_name_check(name, err))
        return false;
    struct op *op = request_op(req, OP_START);
    op->job.name = name;
    request_right(req, SCOPE_WORK, &token, &op->right);
    if (op->right.strict)
        return planchet_refuse_token(reply);
    op->start.spec = spec;
    op->start.clean_start = clean_start;
    op->start.repair = cont;
    op->start.force_overwrite = force;
    op->start.set_token = token.ptr != NULL;
    if (token.ptr)
        request_token_hash(req, token, op->start.token_hash);
    return request_call(req, planchet_done);
}

static struct op *control_op(struct request *req, enum control_verb verb, struct str name,
                             struct str token)
{
    struct op *op = request_op(req, OP_CONTROL);
    op->job.name = name;
    op->control.verb = verb;
    request_right(req, SCOPE_WORK, &token, &op->right);
    return op;
}

/* Deleting what is not there is no mistake. */
static bool deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    if (op->err.code != ERR_NONE && op->refusal != REFUSED_JOB_UNKNOWN) {
        *err = op->err;
        return false;
    }
    return planchet_done(req, op, reply, err);
}

bool planchet_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    struct str token = planchet_text_param(req, &faults, "token", false);
    if (faults.count > 0) {
        planchet_faults_reply(&faults, reply);
        return true;
    }
    control_op(req, CONTROL_DELETE, name, token);
    return request_ask(req, deleted);
}

static bool cleaned(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    if (op->report.view.spec.sink_format == FORMAT_NONE)
        planchet_refuse(reply, 400,
                        STR("No cleaning method found for writer type \"<class 'NoneType'>\""));
    else
        reply_add_borrowed(reply, STR("null"));
    return true;
}

/* The items are cleaned; whether there is an output that could be is seen in the job. */
static bool clean_output(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct job_ref job = op->job;
    op = request_op(req, OP_REPORT);
    op->job = job;
    op->right.trusted = true;
    return request_call(req, cleaned);
}

bool planchet_clean(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    bool output = planchet_bool_param(req, &faults, "output", true, false);
    struct str token = planchet_text_param(req, &faults, "token", false);
    if (faults.count > 0) {
        planchet_faults_reply(&faults, reply);
        return true;
    }
    struct op *op = control_op(req, CONTROL_CLEAN, name, token);
    op->control.with_output = output;
    return request_call(req, output ? clean_output : planchet_done);
}

bool planchet_purge(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    bool output = planchet_bool_param(req, &faults, "output", false, false);
    struct str token = planchet_text_param(req, &faults, "token", false);
    if (faults.count > 0) {
        planchet_faults_reply(&faults, reply);
        return true;
    }
    struct op_right right;
    request_right(req, SCOPE_ADMIN, &token, &right);
    /* Without a master token purging is open, as long as no keys are asked for. */
    if (!right.trusted && (right.strict || request_has_master(req))) {
        planchet_refuse(reply, 403, STR("Wrong or missing master authentication token"));
        return true;
    }
    struct op *op = request_op(req, OP_CONTROL);
    op->right.trusted = true;
    op->control.verb = CONTROL_PURGE;
    op->control.with_output = output;
    return request_call(req, planchet_done);
}

static bool reported(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    if (op->refusal == REFUSED_JOB_UNKNOWN && op->err.code != ERR_NONE) {
        reply_add_borrowed(reply, STR("{}"));
        return true;
    }
    if (op->err.code != ERR_NONE) {
        *err = op->err;
        return false;
    }
    const struct job_view *view = &op->report.view;
    OWNED_BUF struct buf body;
    buf_init(&body, 256);
    struct json_out out;
    json_out_init(&out, &body);
    json_out_open(&out, '{');
    json_out_name(&out, "served");
    json_out_i64(&out, view->served);
    json_out_name(&out, "received");
    json_out_i64(&out, view->done);
    json_out_name(&out, "status");
    json_out_text(&out, view->state == JOB_COMPLETED ? "COMPLETE" : "IN_PROGRESS");
    json_out_close(&out, '}');
    reply_add_buf(reply, &body);
    return true;
}

bool planchet_report(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    if (faults.count > 0) {
        planchet_faults_reply(&faults, reply);
        return true;
    }
    /* Open to all, as the client cannot show anything with it. */
    struct op *op = request_op(req, OP_REPORT);
    op->job.name = name;
    op->right.trusted = true;
    return request_ask(req, reported);
}

static bool healthy(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)err;
    /* Open to all; but names only to those who may read. */
    size_t names = request_scope(req) >= SCOPE_READ ? op->stats.finished_count : 0;
    OWNED_BUF struct buf body;
    buf_init(&body, BUF_NO_CAP);
    struct json_out out;
    json_out_init(&out, &body);
    json_out_open(&out, '{');
    json_out_name(&out, "Redis status");
    json_out_text(&out, "Online");
    json_out_name(&out, "Number of jobs");
    json_out_i64(&out, op->stats.jobs);
    json_out_name(&out, "Number of finished jobs");
    json_out_open(&out, '[');
    for (size_t i = 0; i < names; i++)
        json_out_text(&out, op->stats.finished[i]);
    json_out_close(&out, ']');
    json_out_close(&out, '}');
    reply_add_buf(reply, &body);
    return true;
}

bool planchet_health(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_op(req, OP_STATS)->right.trusted = true;
    return request_call(req, healthy);
}
