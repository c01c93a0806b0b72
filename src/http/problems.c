#include "http/problems.h"

#include "base/json.h"

#include <assert.h>

/* Each code's status and title. The names of err_name make the problem types. */
static const struct {
    int status;
    const char *title;
} problems[ERR_CODE_COUNT] = {
    [ERR_NONE] = {200, "OK"},
    [ERR_INVALID] = {400, "The request is not valid"},
    [ERR_UNAUTHORIZED] = {401, "A key is needed"},
    [ERR_FORBIDDEN] = {403, "This is not allowed"},
    [ERR_NOT_FOUND] = {404, "There is no such thing"},
    [ERR_CONFLICT] = {409, "The state does not allow this"},
    [ERR_LIMIT] = {413, "Larger than the limit"},
    [ERR_BUSY] = {503, "Try again later"},
    [ERR_NO_SPACE] = {507, "The disk is full"},
    [ERR_GONE] = {409, "The output is not there any more"},
    [ERR_IO] = {500, "A file could not be read or written"},
    [ERR_STORE] = {500, "The store has failed"},
    [ERR_FATAL] = {500, "The server must stop"},
    [ERR_INTERNAL] = {500, "A mistake of the server"},
    [ERR_INTERRUPTED] = {503, "The server was stopped"},
    [ERR_TERMINATED] = {503, "The server was stopped"},
    [ERR_NOT_STARTED] = {503, "It could not be started"},
    [ERR_BROKEN] = {500, "Our mistake"},
};

int err_http_status(enum err_code code)
{
    assert((unsigned)code < ERR_CODE_COUNT);
    return problems[code].status;
}

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {431, "Request Header Fields Too Large"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_phrase(int status)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Internal Server Error";
}

void problem_reply_named(const char *name, const char *title, int status, const char *detail,
                         struct reply *reply)
{
    OWNED_BUF struct buf body;
    buf_init(&body, 16 << 10);
    OWNED_BUF struct buf type;
    buf_init(&type, 128);
    buf_add_format(&type, "urn:penstock:problem:%s", name);
    struct json_out out;
    json_out_init(&out, &body);
    json_out_open(&out, '{');
    json_out_name(&out, "type");
    json_out_str(&out, buf_str(&type));
    json_out_name(&out, "title");
    json_out_text(&out, title);
    json_out_name(&out, "status");
    json_out_i64(&out, status);
    json_out_name(&out, "detail");
    json_out_text(&out, detail);
    json_out_close(&out, '}');
    reply_status(reply, status);
    reply_content_type(reply, "application/problem+json");
    if (status == 401)
        reply_header(reply, "WWW-Authenticate", "Bearer");
    if (status == 503)
        reply_header(reply, "Retry-After", "1");
    reply_add_buf(reply, &body);
}

void problem_reply(const struct err *err, int status, struct reply *reply)
{
    int by_code = err_http_status(err->code);
    if (status == 0)
        status = by_code;
    problem_reply_named(err_name(err->code),
                        status == by_code ? problems[err->code].title : http_status_phrase(status),
                        status, err->text, reply);
}
