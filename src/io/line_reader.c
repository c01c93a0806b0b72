/* line_reader.c: see line_reader.h. */
#include "io/line_reader.h"

#include "io/source_kind.h"

void line_reader_init(struct line_reader *r, int fd, const char *name, int64_t limit_bytes,
                      bool csv)
{
    *r = (struct line_reader){.csv = csv};
    csv_scan_init(&r->scan);
    source_bytes_init(&r->bytes, fd, name, limit_bytes);
}

void line_reader_release(struct line_reader *r)
{
    source_bytes_release(&r->bytes);
}

void line_reader_allow(struct line_reader *r, int64_t bytes)
{
    r->bytes.allowed = bytes;
}

int64_t line_reader_at(const struct line_reader *r)
{
    return r->bytes.offset;
}

/* A byte order mark stands before the first line only. */
static void pass_mark(struct line *line)
{
    if (line->at_bytes == 0 && line->text.len >= SOURCE_BOM_BYTES &&
        memcmp(line->text.ptr, SOURCE_BOM, SOURCE_BOM_BYTES) == 0) {
        line->text.ptr += SOURCE_BOM_BYTES;
        line->text.len -= SOURCE_BOM_BYTES;
    }
}

/* The window's first `len` bytes are a line, or the rest of a long one; `end` bytes end it. */
static enum line_got take(struct line_reader *r, size_t len, size_t end, struct line *out)
{
    struct source_bytes *b = &r->bytes;
    *out = (struct line){{source_bytes_at(b), len}, r->began_at, end > 0, r->in_long};
    if (r->in_long)
        out->text = (struct str){"", 0};
    source_bytes_pass(b, len + end);
    r->began_at = b->offset;
    r->searched = 0;
    r->in_long = false;
    csv_scan_init(&r->scan);
    pass_mark(out);
    return LINE_HERE;
}

/* What is too long is not held. */
static void drop_long(struct line_reader *r)
{
    size_t left = source_bytes_left(&r->bytes);
    r->searched = left;
    if (left <= SOURCE_LINE_MAX && !r->in_long)
        return;
    r->in_long = true;
    r->searched = 0;
    source_bytes_pass(&r->bytes, left);
}

/* Whether a line ends in the window; *len bytes of it stand before its end. */
static bool find_end(struct line_reader *r, size_t *len)
{
    size_t left = source_bytes_left(&r->bytes);
    const char *text = source_bytes_at(&r->bytes);
    struct str rest = {text + r->searched, left - r->searched};
    if (!r->csv) {
        const char *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
        *len = end ? (size_t)(end - text) : left;
        return end;
    }
    size_t used = 0;
    bool ended = csv_scan(&r->scan, rest, &used);
    *len = r->searched + used - ended;
    return ended;
}

enum line_got line_reader_next(struct line_reader *r, struct line *out, struct err *err)
{
    struct source_bytes *b = &r->bytes;
    for (bool ended = false;;) {
        size_t len = 0, left = source_bytes_left(b);
        if (find_end(r, &len))
            return take(r, len, 1, out);
        drop_long(r);
        if (ended)
            return left || r->in_long ? take(r, source_bytes_left(b), 0, out) : LINE_NONE;
        if (source_bytes_pause(b))
            return LINE_PAUSE;
        if (!source_bytes_fill(b, &ended, err))
            return LINE_FAILED;
    }
}
