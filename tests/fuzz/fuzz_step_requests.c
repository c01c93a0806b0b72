/* Requests about steps, whole: "METHOD URI", a line end, the body. Each goes to its handler on the
 * native or the pinexq surface. What a handler says no to is told why; what it asks the engine for
 * is text within the request; and the address of a posted query's result is one that is read. */
#include "fuzz.h"
#include "http/pinexq/pinexq.h"
#include "http/server_own.h"

#include <string.h>

static const struct surface *const surfaces[] = {&native_surface, &pinexq_surface};
enum { SURFACES = sizeof surfaces / sizeof *surfaces, HEAD_MAX = 4096 };

static struct server server;
static struct loop loop = {.server = &server};
static struct conn conn = {.loop = &loop};

/* Those that say what they are asked for by the request alone. */
static bool is_ours(const struct route_match *match)
{
    static const char *const ours[] = {"/v1/step", "/v1/artifacts", "/v1/folder", "/api/"};
    const struct route *route = match->route;
    if (!route || route->body == BODY_STREAMED || route->handle == pinexq_events)
        return false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strncmp(route->path, ours[i], strlen(ours[i])) == 0)
            return true;
    return false;
}

static struct request *request_made(const char *method, struct str uri)
{
    OWNED_MEM char *head =
        xasprintf("%s %.*s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, (int)uri.len, uri.ptr);
    struct request *req = request_new(&conn, head, strlen(head));
    req->scope = SCOPE_ADMIN;
    route_find(surfaces, SURFACES, req->method, req->path, &req->match);
    return req;
}

static void look_at_texts(const struct str *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        HOLDS(texts[i].len == 0 || str_is_utf8(texts[i]));
}

static void look_at_op(const struct op *op)
{
    if (op->kind == OP_STEP_JOB_EDIT) {
        const struct op_step_job_edit *e = &op->step_job_edit;
        const struct str texts[] = {e->name, e->folder, e->step_name, e->step_version};
        look_at_texts(texts, sizeof texts / sizeof *texts);
        look_at_texts(e->tags, e->tag_count);
        HOLDS(e->id >= 0 && e->parent >= 0);
        HOLDS(e->parameters.len == 0 || json_check(e->parameters, NULL, NULL));
        HOLDS(e->options.len == 0 || json_check(e->options, NULL, NULL));
        for (size_t i = 0; i < e->fill_count; i++)
            for (size_t k = 0; k < e->fills[i].count; k++)
                HOLDS(e->fills[i].ids[k] >= 0);
    } else if (op->kind == OP_STEP_JOBS) {
        HOLDS(op->step_jobs.page.limit > 0 && op->step_jobs.page.offset >= 0);
    } else if (op->kind == OP_ARTIFACTS) {
        HOLDS(op->artifacts.page.limit > 0 && op->artifacts.page.offset >= 0);
    }
}

static void look_at_request(const char *method, struct str uri, struct str body, bool follows);

/* Where a posted query's result is. */
static void follow(const struct reply *reply)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        const char *place = reply->headers[i].value;
        if (strcmp(reply->headers[i].name, "Location") == 0)
            look_at_request("GET", str_of(place + strlen("http://localhost")), STR(""), true);
    }
}

static void look_at_request(const char *method, struct str uri, struct str body, bool follows)
{
    struct err err = {.code = ERR_NONE};
    struct request *req = request_made(method, uri);
    if (!req->head.unclear && is_ours(&req->match)) {
        if (req->match.route->body == BODY_TAKEN) {
            req->body = xcalloc(body.len + 1, 1);
            if (body.len)
                memcpy(req->body, body.ptr, body.len);
            req->body_len = body.len;
        }
        bool ok = req->match.route->handle(req, &req->reply, &err);
        HOLDS(ok || err.code != ERR_NONE);
        HOLDS(ok || err.code != ERR_INTERNAL);
        HOLDS(ok || !follows);
        if (ok && req->asked_again)
            look_at_op(&req->op);
        else if (ok)
            follow(&req->reply);
    } else {
        HOLDS(!follows);
    }
    request_free(req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    const char *end = size ? memchr(all.ptr, '\n', size) : NULL;
    const char *blank = end ? memchr(all.ptr, ' ', (size_t)(end - all.ptr)) : NULL;
    if (!blank || end - all.ptr > HEAD_MAX)
        return 0;
    char method[8];
    snprintf(method, sizeof method, "%.*s", (int)(blank - all.ptr), all.ptr);
    struct str uri = {blank + 1, (size_t)(end - blank - 1)};
    struct str body = {end + 1, (size_t)(all.ptr + size - end - 1)};
    for (size_t i = 0; i < uri.len; i++)
        if ((unsigned char)uri.ptr[i] <= ' ') /* it would be another request */
            return 0;
    if (strlen(method) > 0)
        look_at_request(method, uri, body, false);
    requests_release(&loop);
    return 0;
}
