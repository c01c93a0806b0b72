/* native_jobs.c: jobs below /v1/jobs: start, list, show, control (native.h).
 *
 * What changes a job asks the engine twice: for the change, then for the job as it is now. */
#include "base/rng.h"
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_value.h"

#include <stdio.h>
#include <stdlib.h>

#define LEASE_DEFAULT_US (INT64_C(30) * 1000000)
enum { ATTEMPTS_DEFAULT = 3, PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    native_job_write(&op->report.view, &o);
    return native_reply_end(reply, &b, err);
}

static bool finish_created(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    char place[64];
    snprintf(place, sizeof place, "/v1/jobs/%lld", (long long)op->report.view.id);
    if (!finish_shown(req, op, reply, err))
        return false;
    reply_status(reply, 201);
    reply_header(reply, "Location", place);
    return true;
}

/* After a change: shows the job by `show`. The right goes along, as the op is made anew. */
static bool ask_for_job(struct request *req, struct job_ref ref, struct op_right right,
                        route_finish *show)
{
    struct op *op = request_op(req, OP_REPORT);
    op->job = ref;
    op->right = right;
    return request_call(req, show);
}

/* ---- create ---- */

struct new_job {
    struct data_spec spec;
    char *name, *token;
    bool clean_start, repair, resume, force_overwrite;
    struct portion portion;
    struct err refused; /* what the engine said first, see finish_started */
};

static void new_job_release(void *thing)
{
    struct new_job *job = thing;
    data_spec_release(&job->spec);
}

/* The members that are not ours are the spec's: they are put into an object of their own. */
static bool read_new_job(struct request *req, struct new_job *job, struct err *err)
{
    struct str portion = {NULL, 0};
    const struct member members[] = {
        {.name = "name", .type = MEMBER_TEXT, .out = &job->name},
        {.name = "token", .type = MEMBER_TEXT, .out = &job->token},
        {.name = "clean_start", .type = MEMBER_BOOL, .out = &job->clean_start},
        {.name = "repair", .type = MEMBER_BOOL, .out = &job->repair},
        {.name = "resume", .type = MEMBER_BOOL, .out = &job->resume},
        {.name = "portion", .type = MEMBER_RAW, .out = &portion},
        {.name = "force_overwrite", .type = MEMBER_BOOL, .out = &job->force_overwrite},
    };
    OWNED_BUF struct buf spec;
    buf_init(&spec, BUF_NO_CAP);
    buf_add_char(&spec, '{');
    struct str body = {NULL, 0}, name, raw;
    body.ptr = request_body(req, &body.len);
    struct json j;
    json_open(&j, body);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name)) {
            bool known = false;
            if (!json_value(&j, &raw))
                break;
            if (!native_member_read(req, name, raw, members, sizeof members / sizeof *members,
                                    &known, err))
                return false;
            if (known)
                continue;
            if (spec.len > 1)
                buf_add_char(&spec, ',');
            buf_add_str(&spec, name);
            buf_add_char(&spec, ':');
            buf_add_str(&spec, raw);
        }
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "body: byte %zu: %s", json_fault_at(&j), j.fault);
    if (!value_all_once(body, err))
        return false;
    buf_add_char(&spec, '}');
    if (portion.ptr && !portion_read(portion, &job->portion, err))
        return false;
    return data_spec_read(buf_str(&spec), &job->spec, err) && data_spec_check(&job->spec, err);
}

/* A name for a job that was given none: unlikely to be taken, easy to read out. */
static char *made_up_name(struct request *req)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
    uint8_t random[10];
    char name[4 + sizeof random + 1] = "job-";
    random_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        name[4 + i] = letters[random[i] % (sizeof letters - 1)];
    name[4 + sizeof random] = '\0';
    return request_strdup(req, str_of(name));
}

/* The output was taken: by a job of this very name, then that is the news. */
static bool finish_name_looked_up(struct request *req, struct op *op, struct reply *reply,
                                  struct err *err)
{
    (void)reply;
    const struct new_job *job = request_state(req);
    bool taken = op->err.code == ERR_NONE;
    op->refusal = taken ? REFUSED_NAME_TAKEN : REFUSED_OUTPUT_TAKEN;
    if (taken)
        return err_set(err, ERR_CONFLICT, "job %.200s exists already", job->name);
    *err = job->refused;
    return false;
}

static bool finish_started(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)reply;
    struct new_job *job = request_state(req);
    if (op->err.code == ERR_NONE)
        return ask_for_job(req, (struct job_ref){.id = op->start.job_id}, op->right,
                           finish_created);
    if (op->refusal != REFUSED_OUTPUT_TAKEN || job->clean_start || job->repair || job->resume) {
        *err = op->err;
        return false;
    }
    job->refused = op->err;
    struct op_right right = op->right;
    op = request_op(req, OP_REPORT);
    op->job.name = str_of(job->name);
    op->right = right;
    return request_ask(req, finish_name_looked_up);
}

bool native_jobs_create(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct new_job *job = request_alloc(req, sizeof *job);
    if (!job)
        return err_set(err, ERR_BUSY, "memory is out");
    data_spec_init(&job->spec);
    request_own(req, job, new_job_release);
    job->spec.lease_us = LEASE_DEFAULT_US;
    job->spec.max_attempts = ATTEMPTS_DEFAULT;
    if (!read_new_job(req, job, err))
        return false;
    if (job->clean_start + job->repair + job->resume > 1)
        return err_set(err, ERR_INVALID, "clean_start, repair and resume exclude each other");
    if (!job->resume && (portion_is_part(&job->portion) || job->portion.retry_skipped))
        return err_set(err, ERR_INVALID, "portion needs resume");
    if (!job->name && !(job->name = made_up_name(req)))
        return err_set(err, ERR_BUSY, "memory is out");
    struct str name = str_of(job->name);
    if (!job_name_check(name, err))
        return false;

    struct op *op = request_op(req, OP_START);
    op->job.name = name;
    request_right(req, SCOPE_ADMIN, NULL, &op->right);
    op->start.spec = &job->spec;
    op->start.clean_start = job->clean_start;
    op->start.repair = job->repair;
    op->start.resume = job->resume;
    op->start.portion = job->portion;
    op->start.force_overwrite = job->force_overwrite;
    op->start.set_token = job->token != NULL;
    if (job->token)
        request_token_hash(req, str_of(job->token), op->start.token_hash);
    request_set_state(req, job);
    return request_ask(req, finish_started);
}

/* ---- list ---- */

/* The path of the page behind this one. */
static void write_next(const struct op *op, struct json_out *o)
{
    if (!op->list.more || op->list.count == 0) {
        json_out_null(o);
        return;
    }
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs?after=%lld&limit=%lld%s%s",
             (long long)op->list.views[op->list.count - 1].id, (long long)op->list.limit,
             op->list.by_state ? "&state=" : "",
             op->list.by_state ? job_state_name(op->list.state) : "");
    json_out_text(o, path);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "jobs");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->list.count; i++)
        native_job_write(&op->list.views[i], &o);
    json_out_close(&o, ']');
    json_out_name(&o, "next");
    write_next(op, &o);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_jobs_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *state = NULL;
    int64_t after = 0, limit = PAGE_DEFAULT;
    const struct member members[] = {
        {.name = "state", .type = MEMBER_TEXT, .out = &state},
        {.name = "after", .type = MEMBER_I64, .max = INT64_MAX, .out = &after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = PAGE_MAX, .out = &limit},
    };
    enum job_state wanted = JOB_DRAFT;
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (state && !job_state_parse(str_of(state), &wanted))
        return err_set(err, ERR_INVALID,
                       "state: %.60s is none of pending, running, completed, failed, cancelled",
                       state);
    struct op *op = request_op(req, OP_LIST);
    request_right(req, SCOPE_READ, NULL, &op->right);
    op->list.by_state = state != NULL;
    op->list.state = wanted;
    op->list.after_id = after;
    op->list.limit = limit;
    return request_call(req, finish_listed);
}

/* ---- one job ---- */

bool native_job_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return native_job_op(req, OP_REPORT, SCOPE_READ, err) && request_call(req, finish_shown);
}

static bool finish_controlled(struct request *req, struct op *op, struct reply *reply,
                              struct err *err)
{
    (void)reply, (void)err;
    return ask_for_job(req, op->job, op->right, finish_shown);
}

/* A control op, NULL when the path names no job. */
static struct op *control_op(struct request *req, enum control_verb verb, struct err *err)
{
    struct op *op = native_job_op(req, OP_CONTROL, SCOPE_ADMIN, err);
    if (op)
        op->control.verb = verb;
    return op;
}

static bool control(struct request *req, enum control_verb verb, struct err *err)
{
    return control_op(req, verb, err) && request_call(req, finish_controlled);
}

bool native_job_pause(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control(req, CONTROL_PAUSE, err);
}

bool native_job_resume(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control(req, CONTROL_RESUME, err);
}

bool native_job_cancel(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control(req, CONTROL_CANCEL, err);
}

bool native_job_repair(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    bool failed = false;
    const struct member members[] = {{.name = "failed", .type = MEMBER_BOOL, .out = &failed}};
    if (!native_body_read(req, members, 1, err))
        return false;
    struct op *op = control_op(req, CONTROL_REPAIR, err);
    if (!op)
        return false;
    op->control.with_failed = failed;
    return request_call(req, finish_controlled);
}

bool native_job_clean(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    bool output = true;
    const struct member members[] = {{.name = "output", .type = MEMBER_BOOL, .out = &output}};
    if (!native_body_read(req, members, 1, err))
        return false;
    struct op *op = control_op(req, CONTROL_CLEAN, err);
    if (!op)
        return false;
    op->control.with_output = output;
    return request_call(req, finish_controlled);
}

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_job_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return control_op(req, CONTROL_DELETE, err) && request_call(req, finish_deleted);
}
