/* source_jsonl.c: one JSON value a line.
 *
 * A record's number is that of its physical line, so nothing may shift them: bad and blank lines
 * keep theirs, and what is appended to a last line that was served without its line end belongs to
 * that line, whose number is used up. Lines end with \n, \r\n or a lone \r: a \r ends the line at
 * once, and a \n that directly follows is dropped when it comes, be that in the next read, after
 * the file has grown, or after a restart that begins between the two. */
#include "base/json.h"
#include "io/source_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum line_mode {
    LINE_NEW,  /* at the beginning of a line */
    LINE_REST, /* behind a served last line: what follows up to a line end is dropped */
    LINE_LONG  /* within a line that is longer than the limit */
};

/* The next place of one byte in the stream: found once, used until it is passed. */
struct finder {
    int64_t at;       /* stream offset, -1: not known */
    int64_t searched; /* there is none before this offset */
};

struct source_jsonl {
    struct source base;
    int64_t number;     /* of the next record */
    int64_t long_start; /* where the line of LINE_LONG begins */
    struct finder lf, cr;
    enum line_mode mode;
    bool skip_lf; /* the last line ended with \r: a \n that follows belongs to it */
    bool bom;     /* the stream begins with a byte order mark */
};

static struct source_jsonl *jsonl_of(struct source *s)
{
    return (struct source_jsonl *)s;
}

static const char *find_byte(struct finder *f, const struct source_bytes *b, char byte)
{
    const char *at = source_bytes_at(b), *end = b->data + b->end;
    if (f->at >= b->offset)
        return at + (f->at - b->offset);
    const char *from = f->searched > b->offset ? at + (f->searched - b->offset) : at;
    const char *found = from < end ? memchr(from, byte, (size_t)(end - from)) : NULL;
    if (found)
        f->at = b->offset + (found - at);
    else
        f->searched = b->offset + (end - at);
    return found;
}

/* The window's first line end, NULL when it has none. In the usual file without \r the second
 * search is done once a window, not once a line. */
static const char *find_line_end(struct source_jsonl *j)
{
    const char *lf = find_byte(&j->lf, &j->base.bytes, '\n');
    const char *cr = find_byte(&j->cr, &j->base.bytes, '\r');
    return !cr || (lf && lf < cr) ? lf : cr;
}

static enum source_got got_bad(struct source_jsonl *j, struct source_record *out,
                               const char *reason)
{
    out->number = j->number;
    out->line = j->number + 1;
    out->json = (struct str){NULL, 0};
    out->reason = reason;
    return SOURCE_BAD;
}

/* One line: a record, or why not. */
static enum source_got judge(struct source_jsonl *j, struct str line, struct source_record *out)
{
    size_t at = 0;
    const char *fault = NULL;
    if (line.len > SOURCE_LINE_MAX)
        return got_bad(j, out, source_too_long);
    line = str_trim(line);
    if (line.len == 0)
        return got_bad(j, out, "empty line");
    struct json_wanted id = {j->base.id_key, 0, {NULL, 0}};
    id.name_len = id.name ? strlen(id.name) : 0;
    if (id.name && *line.ptr != '{')
        return got_bad(j, out, "no JSON object");
    if (json_check_members(line, &id, id.name ? 1 : 0, &at, &fault)) {
        *out = (struct source_record){
            .number = j->number, .line = j->number + 1, .json = line, .id = id.value};
        return SOURCE_RECORD;
    }
    snprintf(j->base.reason, sizeof j->base.reason, "no JSON: %s at byte %zu", fault, at + 1);
    return got_bad(j, out, j->base.reason);
}

/* The input ends, for now, in the middle of a line: `left` bytes of it are in the window. */
static enum source_got at_the_end(struct source_jsonl *j, struct source_record *out)
{
    struct source_bytes *b = &j->base.bytes;
    struct str line = {source_bytes_at(b), source_bytes_left(b)};
    if (j->mode == LINE_LONG) {
        got_bad(j, out, source_too_long);
        return SOURCE_TAIL;
    }
    if (j->mode == LINE_REST)
        source_bytes_pass(b, line.len);
    if (j->mode == LINE_REST || line.len == 0 || str_trim(line).len == 0)
        return SOURCE_END;
    enum source_got got = judge(j, line, out);
    if (got == SOURCE_BAD)
        return SOURCE_TAIL;
    source_bytes_pass(b, line.len);
    j->mode = LINE_REST;
    j->number++;
    return got;
}

/* More into the window. What belongs to no record is not held. */
static bool fill(struct source_jsonl *j, bool *ended, struct err *err)
{
    struct source_bytes *b = &j->base.bytes;
    if (j->mode == LINE_NEW && source_bytes_left(b) > SOURCE_LINE_MAX) {
        j->mode = LINE_LONG;
        j->long_start = b->offset;
    }
    if (j->mode != LINE_NEW)
        source_bytes_pass(b, source_bytes_left(b));
    return source_bytes_fill(b, ended, err);
}

/* Passes the line ended at `end`, which is not a record's own when there was a REST. */
static void pass_line(struct source_jsonl *j, size_t len, char line_end)
{
    j->skip_lf = line_end == '\r';
    source_bytes_pass(&j->base.bytes, len + 1);
    if (j->mode != LINE_REST)
        j->number++;
    j->mode = LINE_NEW;
}

/* The next record; without `check` it is not looked at, only passed. */
static enum source_got step(struct source_jsonl *j, bool check, struct source_record *out,
                            struct err *err)
{
    struct source_bytes *b = &j->base.bytes;
    if (b->offset == 0 && !source_pass_bom(&j->base, &j->bom, err))
        return SOURCE_FAILED;
    if (b->paused)
        return SOURCE_PAUSE;
    for (;;) {
        if (j->skip_lf && source_bytes_left(b)) {
            j->skip_lf = false;
            if (*source_bytes_at(b) == '\n')
                source_bytes_pass(b, 1);
        }
        const char *end = source_bytes_left(b) ? find_line_end(j) : NULL;
        if (!end) {
            bool ended = false;
            if (source_bytes_pause(b))
                return SOURCE_PAUSE;
            if (!fill(j, &ended, err))
                return SOURCE_FAILED;
            if (ended)
                return at_the_end(j, out);
            continue;
        }
        struct str line = {source_bytes_at(b), (size_t)(end - source_bytes_at(b))};
        enum source_got got = SOURCE_RECORD;
        if (j->mode == LINE_LONG)
            got = got_bad(j, out, source_too_long);
        else if (j->mode == LINE_NEW && check)
            got = judge(j, line, out);
        bool was_rest = j->mode == LINE_REST;
        pass_line(j, line.len, *end);
        if (!was_rest)
            return got;
    }
}

static enum source_got jsonl_next(struct source *s, struct source_record *out, struct err *err)
{
    return step(jsonl_of(s), true, out, err);
}

static struct place jsonl_place(const struct source *s)
{
    const struct source_jsonl *j = (const struct source_jsonl *)s;
    int64_t bytes = j->mode == LINE_LONG ? j->long_start : s->bytes.offset;
    /* The mark is no record and its last byte no line end: the first record begins before it. */
    if (j->bom && bytes == SOURCE_BOM_BYTES)
        bytes = 0;
    return (struct place){j->number, bytes, j->number + 1};
}

static bool jsonl_at_line(const struct source *s)
{
    const struct source_jsonl *j = (const struct source_jsonl *)s;
    return j->mode == LINE_NEW && !j->skip_lf && s->bytes.offset > 0;
}

static bool jsonl_seek(struct source *s, struct place place, struct err *err)
{
    struct source_jsonl *j = jsonl_of(s);
    char before = '\n';
    if (place.bytes == 0 ? !source_bytes_seek(&s->bytes, 0, err)
                         : !source_seek_after(s, place.bytes, &before, err))
        return false;
    if (s->bytes.paused)
        return true;
    j->number = place.record;
    j->lf = j->cr = (struct finder){-1, 0};
    j->skip_lf = before == '\r';
    j->mode = before == '\n' || before == '\r' ? LINE_NEW : LINE_REST;
    return true;
}

static bool jsonl_skip_to(struct source *s, int64_t record, struct err *err)
{
    struct source_jsonl *j = jsonl_of(s);
    while (j->number < record) {
        struct source_record unused;
        enum source_got got = step(j, false, &unused, err);
        if (got == SOURCE_FAILED)
            return false;
        if (got == SOURCE_END || got == SOURCE_TAIL || got == SOURCE_PAUSE)
            break;
    }
    return true;
}

static int64_t jsonl_number(const struct source *s)
{
    return ((const struct source_jsonl *)s)->number;
}

static void jsonl_free(struct source *s)
{
    free(jsonl_of(s));
}

struct source *source_jsonl_new(void)
{
    static const struct source_ops ops = {.next = jsonl_next,
                                          .place = jsonl_place,
                                          .seek = jsonl_seek,
                                          .skip_to = jsonl_skip_to,
                                          .number = jsonl_number,
                                          .at_line = jsonl_at_line,
                                          .free = jsonl_free};
    struct source_jsonl *j = xcalloc(1, sizeof *j);
    j->base.ops = &ops;
    j->base.fd = -1;
    j->lf = j->cr = (struct finder){-1, 0};
    return &j->base;
}
