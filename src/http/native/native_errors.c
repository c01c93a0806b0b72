/* native_errors.c: the failed records of a job, from its error file, in pages (native.h).
 *
 * The engine appends whole lines and says where the file is; this reads it from the offset that the
 * client got with the page before. A line that is still being written is left for the next page. */
#include "base/file.h"
#include "engine/engine.h"
#include "http/native/native.h"
#include "http/native/native_body.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };
/* Read at once. A longer line, of a long record, is shown without what does not fit. */
#define PAGE_BYTES (1 << 20)

struct page {
    int64_t after, limit;
};

static void write_empty(struct json_out *o)
{
    json_out_close(o, ']');
    json_out_name(o, "next");
    json_out_null(o);
    json_out_close(o, '}');
}

/* Writes up to `limit` whole lines; returns how many bytes they take. */
static size_t write_lines(struct str text, int64_t limit, struct json_out *o)
{
    size_t used = 0;
    for (int64_t i = 0; i < limit; i++) {
        const char *end = memchr(text.ptr + used, '\n', text.len - used);
        if (!end)
            break;
        struct str line = {text.ptr + used, (size_t)(end - text.ptr) - used};
        /* A person may have edited the file: what is no JSON is shown as text. */
        if (json_check(line, NULL, NULL))
            json_out_raw(o, line);
        else
            json_out_str(o, line);
        used += line.len + 1;
    }
    return used;
}

/* Of a line that is too long the members that are whole within its head, and a mark. */
static void write_cut(struct str head, int64_t bytes, struct json_out *o)
{
    struct json j;
    struct str name, value;
    json_out_open(o, '{');
    json_open(&j, head);
    /* What ends with the head may go on behind it. */
    for (bool on = json_enter(&j, '{'); on && json_member(&j, &name) && json_value(&j, &value) &&
                                        value.ptr + value.len < head.ptr + head.len;) {
        OWNED_MEM char *text = json_take_text(name);
        if (!text || strcmp(text, "cut_bytes") == 0)
            continue;
        json_out_name(o, text);
        json_out_raw(o, value);
    }
    json_out_name(o, "cut_bytes");
    json_out_i64(o, bytes);
    json_out_close(o, '}');
}

/* How long the line is that begins at `after`, with its end; 0 when it has none yet. */
static bool measure_line(int fd, const char *name, int64_t after, char *bytes, int64_t *length,
                         struct err *err)
{
    for (int64_t at = after;;) {
        size_t got = 0;
        *length = 0;
        if (!file_read_at(fd, at, bytes, PAGE_BYTES, &got, name, err))
            return false;
        const char *end = memchr(bytes, '\n', got);
        if (end)
            *length = at + (end - bytes) + 1 - after;
        if (end || got < PAGE_BYTES)
            return true;
        at += (int64_t)got;
    }
}

/* The only line of a page, which is longer than all that is read at once. */
static bool write_long_line(int fd, const char *name, const struct page *page, struct str head,
                            int64_t *length, struct json_out *o, struct err *err)
{
    OWNED_MEM char *bytes = malloc(PAGE_BYTES);
    if (!bytes)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!measure_line(fd, name, page->after, bytes, length, err))
        return false;
    if (*length > 0)
        write_cut(head, *length - 1, o);
    return true;
}

static bool write_page(int fd, const char *name, const struct page *page, struct json_out *o,
                       struct err *err)
{
    OWNED_MEM char *bytes = malloc(PAGE_BYTES);
    if (!bytes)
        return err_set(err, ERR_BUSY, "memory is out");
    size_t got = 0;
    if (!file_read_at(fd, page->after, bytes, PAGE_BYTES, &got, name, err))
        return false;
    int64_t used = (int64_t)write_lines((struct str){bytes, got}, page->limit, o);
    bool more = memchr(bytes + used, '\n', got - (size_t)used) != NULL || got == PAGE_BYTES;
    if (used == 0 && got == PAGE_BYTES &&
        !write_long_line(fd, name, page, (struct str){bytes, got}, &used, o, err))
        return false;
    json_out_close(o, ']');
    json_out_name(o, "next");
    if (more && used > 0)
        json_out_i64(o, page->after + used);
    else
        json_out_null(o);
    json_out_close(o, '}');
    return true;
}

static bool finish_errors(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct page page = {0, PAGE_DEFAULT};
    const struct member members[] = {
        {.name = "after", .type = MEMBER_I64, .max = INT64_MAX, .out = &page.after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = PAGE_MAX, .out = &page.limit},
    };
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    /* A file that is not there yet, or that a person has moved away, tells of nothing. */
    OWNED_FD int fd = -1;
    if (!engine_open_errors(request_engine(req), &op->report.view, &fd, err) &&
        err->code != ERR_NOT_FOUND)
        return false;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "errors");
    json_out_open(&o, '[');
    if (fd < 0)
        write_empty(&o);
    else if (!write_page(fd, op->report.view.errors_path, &page, &o, err))
        return false;
    return native_reply_end(reply, &b, err);
}

bool native_job_errors(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct op *op = native_job_op(req, OP_REPORT, SCOPE_READ, err);
    if (!op)
        return false;
    op->report.contents = true;
    return request_call(req, finish_errors);
}
