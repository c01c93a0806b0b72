#include "base/json.h"
#include "http/planchet/planchet_own.h"
#include "http/problems.h"

/* A name may be long, a text of Python's stands around it. */
#define DETAIL_MAX_BYTES (16 << 10)

void planchet_refuse(struct reply *reply, int status, struct str text)
{
    OWNED_BUF struct buf body;
    buf_init(&body, DETAIL_MAX_BYTES * 6);
    struct json_out out;
    json_out_init(&out, &body);
    json_out_open(&out, '{');
    json_out_name(&out, "detail");
    json_out_str(&out, text);
    json_out_close(&out, '}');
    reply_status(reply, status);
    reply_add_buf(reply, &body);
}

bool planchet_refuse_token(struct reply *reply)
{
    planchet_refuse(reply, 403, STR("Wrong or missing authentication token"));
    return true;
}

bool planchet_refuse_body(struct reply *reply)
{
    planchet_refuse(reply, 400, STR("There was an error parsing the body"));
    return true;
}

/* A text as Python's repr() shows it: in single quotes unless it holds one and no double one. */
static void add_repr(struct buf *out, const char *text)
{
    char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
    buf_add_char(out, quote);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (*p == quote || *p == '\\')
            buf_add_char(out, '\\');
        if (c == '\n' || c == '\r' || c == '\t')
            buf_add_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (c < ' ' || c == 0x7f)
            buf_add_format(out, "\\x%02x", c);
        else
            buf_add_char(out, *p);
    }
    buf_add_char(out, quote);
}

static void unknown_job(const struct op *op, struct buf *out)
{
    bool cleaning = op->kind == OP_CONTROL && op->control.verb == CONTROL_CLEAN;
    buf_add_text(out, cleaning ? "Could not find a job name \"" : "No known job: ");
    buf_add_str(out, op->job.name);
    buf_add_text(out, cleaning ? "\"" : "");
}

static void missing_input(const struct op *op, struct buf *out)
{
    const char *path = op->start.spec->source_path;
    if (op->err.code != ERR_NOT_FOUND || !path) {
        buf_add_text(out, op->err.text);
        return;
    }
    buf_add_text(out, "[Errno 2] No such file or directory: ");
    add_repr(out, path);
}

static void name_taken(const struct op *op, struct buf *out)
{
    buf_add_text(out, "Job ");
    buf_add_str(out, op->job.name);
    buf_add_text(out, " already exists.");
}

static void output_taken(const struct op *op, struct buf *out)
{
    const char *path = op->start.spec->sink_path;
    buf_add_text(out, "Output path not allowed `");
    buf_add_text(out, path ? path : "");
    buf_add_text(out, "`.");
}

/* Most often it is one of these with a slip of the pen. */
static void no_program(const struct op *op, struct buf *out)
{
    buf_add_text(out, op->err.text);
    buf_add_text(out, "; JsonlReader, CsvReader, JsonlWriter and CsvWriter are always there");
}

static void never_served(const struct op *op, struct buf *out)
{
    buf_add_text(out, "Item was never served");
    if (op->refused_record >= 0)
        buf_add_format(out, ": %lld", (long long)op->refused_record);
}

static void already_done(const struct op *op, struct buf *out)
{
    buf_add_format(out, "Item already received: %lld", (long long)op->refused_record);
}

/* The words for each refusal: fixed, or made by `write`. */
static const struct {
    const char *text;
    void (*write)(const struct op *op, struct buf *out);
} refusals[] = {
    [REFUSED_JOB_UNKNOWN] = {NULL, unknown_job},
    [REFUSED_TOKEN] = {"Wrong or missing authentication token", NULL},
    [REFUSED_NAME_TAKEN] = {NULL, name_taken},
    [REFUSED_OUTPUT_TAKEN] = {NULL, output_taken},
    [REFUSED_INPUT] = {NULL, missing_input},
    [REFUSED_NO_PROGRAM] = {NULL, no_program},
    [REFUSED_WRITE_ONLY] = {"Trying to read from a write-only job", NULL},
    [REFUSED_READ_ONLY] = {"Trying to send to a read-only job", NULL},
    [REFUSED_NO_WRITER] = {"No valid writer initialised", NULL},
    [REFUSED_NEVER_SERVED] = {NULL, never_served},
    [REFUSED_ALREADY_DONE] = {NULL, already_done},
};

/* What is the asker's mistake is a 400 here, whatever it is called elsewhere. */
static int status_of(enum err_code code, enum op_refusal refusal)
{
    if (refusal == REFUSED_TOKEN)
        return 403;
    int status = err_http_status(code);
    return status == 404 || status == 409 ? 400 : status;
}

static void fail_op(const struct op *op, const struct err *err, struct reply *reply)
{
    OWNED_BUF struct buf text;
    buf_init(&text, DETAIL_MAX_BYTES);
    size_t refusal = op->refusal;
    bool known = refusal < sizeof refusals / sizeof *refusals;
    if (known && refusals[refusal].write)
        refusals[refusal].write(op, &text);
    else
        buf_add_text(&text, known && refusals[refusal].text ? refusals[refusal].text : err->text);
    int status = status_of(err->code, op->refusal);
    /* A worker takes every refusal of its question for work as the end of the data, and ends
     * without a word. What may be well again in a moment must be seen as the fault it is. */
    if (op->kind == OP_CLAIM && status >= 500)
        reply_cut(reply);
    planchet_refuse(reply, status, buf_str(&text));
}

void planchet_fail(struct request *req, const struct op *op, const struct err *err, int status,
                   struct reply *reply)
{
    (void)req;
    if (op && op->err.code != ERR_NONE)
        fail_op(op, err, reply);
    else if (status == 404 || status == 405)
        planchet_refuse(reply, status, str_of(http_status_phrase(status)));
    else
        planchet_refuse(reply, status ? status : err_http_status(err->code), str_of(err->text));
}
