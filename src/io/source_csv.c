/* source_csv.c: CSV rows as JSON arrays, typed by column within chunks.
 *
 * A chunk is read whole before its first row is given out, since any row can decide what its column
 * is. It is chunk_rows rows, or fewer when they are large (CHUNK_BYTES, CHUNK_CELLS), which depends
 * on nothing but the bytes from the chunk's start on: whoever starts there gets the same chunk and
 * the same numbers. The chunk's bytes stay in the window until it is passed. At the end of the
 * input an unfinished chunk is given out with what there is; rows that come later join it, so that
 * its place stays good, and the whole chunk decides their types. A chunk never ends with a row that
 * lacks its line end, so no place lies within a line. */
#include "base/json.h"
#include "io/csv_header.h"
#include "io/csv_row.h"
#include "io/csv_type.h"
#include "io/source_kind.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHUNK_BYTES = 16 << 20,
    CHUNK_CELLS = 1 << 20,
    COLUMNS_MAX = 100000,
    HEADER_READ_BYTES = 3 * CHUNK_BYTES /* as stored and decompressed: empty frames end, too */
};

struct csv_line {
    size_t at, len; /* in the window, from the chunk's start */
    int64_t line;   /* physical, from 1 */
    int64_t cells;
};

struct source_csv {
    struct source base;
    int64_t chunk_rows;
    size_t width;       /* number of columns, told by the header */
    bool objects;       /* rows are objects; then: */
    struct buf names;   /* `"name":` of each column, one after the other */
    size_t *name_ends;  /* where each of them ends */
    bool header_open;   /* the input ends within the header, for now */
    struct place first; /* where the rows begin */

    /* The chunk in hand. */
    struct place chunk;
    struct csv_line *rows;
    size_t row_count, row_cap;
    size_t ready; /* rows that may be given out; behind them reading goes on */
    size_t next;  /* row to give out */
    bool closed;  /* no row will join */

    /* Reading on behind its rows. */
    size_t at;       /* scanned so far, from the chunk's start */
    size_t row_at;   /* where the row in hand begins */
    int64_t line;    /* on which it begins */
    bool within;     /* a row was begun */
    bool skip_lf;    /* the last row ended with \r */
    bool unfinished; /* the last of `rows` has no line end yet */
    bool too_long;   /* the row in hand is passed without being held */
    struct csv_scan scan;

    /* Types. */
    uint8_t *looks; /* per column, of the first `typed` rows */
    size_t typed;
    bool as_floats; /* integers come as floats: all columns are numbers, one has floats */
    struct csv_cells cells;
    struct buf json;
};

static struct source_csv *csv_of(struct source *s)
{
    return (struct source_csv *)s;
}

/* Begins a chunk where the window begins. */
static void begin_chunk(struct source_csv *c, struct place place)
{
    c->chunk = place;
    c->line = place.line;
    c->row_count = c->ready = c->next = c->typed = 0;
    c->at = c->row_at = 0;
    c->closed = c->within = c->unfinished = c->too_long = false;
    memset(c->looks, 0, c->width);
}

/* The place behind a closed chunk. */
static struct place next_chunk(const struct source_csv *c)
{
    return (struct place){c->chunk.record + (int64_t)c->row_count, c->chunk.bytes + (int64_t)c->at,
                          c->line};
}

static void add_row(struct source_csv *c, size_t len)
{
    if (c->row_count == c->row_cap) {
        c->row_cap = c->row_cap ? 2 * c->row_cap : 128;
        c->rows = xrealloc(c->rows, c->row_cap * sizeof *c->rows);
    }
    c->rows[c->row_count++] = (struct csv_line){c->row_at, len, c->line, c->scan.cells};
}

/* Scans what the window has, up to the end of one row. False when the row goes on behind it. */
static bool scan_row(struct source_csv *c)
{
    struct source_bytes *b = &c->base.bytes;
    struct str rest = {source_bytes_at(b) + c->at, source_bytes_left(b) - c->at};
    if (!rest.len)
        return false;
    if (c->skip_lf && *rest.ptr == '\n') {
        c->at++;
        c->skip_lf = false;
        return scan_row(c);
    }
    c->skip_lf = false;
    if (!c->within) {
        csv_scan_init(&c->scan);
        c->row_at = c->at;
        c->within = true;
    }
    size_t used = 0;
    bool ended = csv_scan(&c->scan, rest, &used);
    c->at += used;
    if (!ended)
        return false;
    c->within = false;
    c->skip_lf = rest.ptr[used - 1] == '\r';
    return true;
}

/* A row has ended at c->at. */
static void take_row(struct source_csv *c)
{
    if (!c->scan.blank)
        add_row(c, c->at - c->row_at - 1);
    c->line += c->scan.lines + 1;
    c->closed = c->row_count >= (size_t)c->chunk_rows || c->at >= CHUNK_BYTES ||
                c->row_count * c->width >= CHUNK_CELLS;
}

/* The last row was given out, or could have been, without its line end; now it may go on. */
static void reopen_row(struct source_csv *c)
{
    if (!c->unfinished)
        return;
    c->unfinished = false;
    c->row_count--;
    c->typed = 0;
    memset(c->looks, 0, c->width);
}

/* Why a row without line end is not given out yet; NULL when it is whole as far as one can tell. */
static const char *unfinished_reason(struct source_csv *c)
{
    char *reason = c->base.reason;
    if (c->scan.state == CSV_QUOTED)
        snprintf(reason, sizeof c->base.reason, "a quoted cell is not closed");
    else if (c->scan.cells < (int64_t)c->width)
        snprintf(reason, sizeof c->base.reason, "%lld of %zu cells and no line end",
                 (long long)c->scan.cells, c->width);
    else
        return NULL;
    return reason;
}

/* Reads on until the chunk is closed, the input ends for now or a pause is due. */
static bool read_rows(struct source_csv *c, bool *ended, struct err *err)
{
    struct source_bytes *b = &c->base.bytes;
    *ended = false;
    while (!c->closed) {
        if (scan_row(c)) {
            take_row(c);
            continue;
        }
        if (c->within && c->at - c->row_at > SOURCE_LINE_MAX) {
            c->closed = c->too_long = true;
            return true;
        }
        if (source_bytes_pause(b))
            return true;
        if (!source_bytes_fill(b, ended, err))
            return false;
        if (*ended)
            return true;
        reopen_row(c);
    }
    return true;
}

/* Makes rows ready. What was read before a failure is given out first; the failure comes again. */
static bool load(struct source_csv *c, bool *ended, struct err *err)
{
    if (!read_rows(c, ended, err) && c->row_count <= c->ready)
        return false;
    /* The rows that are there would be typed without those that follow. */
    if (c->base.bytes.paused)
        return true;
    bool last_open = *ended && c->within && !c->scan.blank && !c->unfinished;
    if (last_open && !unfinished_reason(c)) {
        add_row(c, c->at - c->row_at);
        c->unfinished = true;
    }
    c->ready = c->row_count;
    return true;
}

/* Passes the rest of a row that is too long, whose beginning is in the window and counted. True
 * when it has ended and the next chunk has begun; else the input has, for now, or a pause is due.
 */
static bool pass_long_row(struct source_csv *c, bool *passed, struct err *err)
{
    struct source_bytes *b = &c->base.bytes;
    for (;;) {
        /* Scanned bytes go; the chunk's place stays until the row has ended. */
        source_bytes_pass(b, c->at);
        c->at = 0;
        if (scan_row(c))
            break;
        bool ended = false;
        source_bytes_pass(b, c->at);
        c->at = 0;
        *passed = false;
        if (source_bytes_pause(b))
            return true;
        if (!source_bytes_fill(b, &ended, err))
            return false;
        if (ended)
            return true;
    }
    source_bytes_pass(b, c->at);
    int64_t line = c->line + c->scan.lines + 1;
    begin_chunk(c, (struct place){c->chunk.record + (int64_t)c->row_count + 1, b->offset, line});
    *passed = true;
    return true;
}

static bool is_ascii(struct str s)
{
    size_t i = 0;
    uint64_t word = 0, any = 0;
    for (; i + sizeof word <= s.len; i += sizeof word) {
        memcpy(&word, s.ptr + i, sizeof word);
        any |= word;
    }
    for (; i < s.len; i++)
        any |= (uint64_t)(unsigned char)s.ptr[i];
    return !(any & UINT64_C(0x8080808080808080));
}

static struct str row_text(const struct source_csv *c, const struct csv_line *row)
{
    return (struct str){source_bytes_at(&c->base.bytes) + row->at, row->len};
}

/* Whether the row can become a record. */
static bool is_good(const struct source_csv *c, const struct csv_line *row)
{
    struct str text = row_text(c, row);
    return row->len <= SOURCE_LINE_MAX && row->cells <= (int64_t)c->width &&
           !memchr(text.ptr, '\0', text.len) && (is_ascii(text) || str_is_utf8(text));
}

/* Why it cannot. */
static const char *fault_of(struct source_csv *c, const struct csv_line *row)
{
    if (row->len > SOURCE_LINE_MAX)
        return source_too_long;
    if (row->cells > (int64_t)c->width) {
        snprintf(c->base.reason, sizeof c->base.reason, "%lld cells, the header has %zu",
                 (long long)row->cells, c->width);
        return c->base.reason;
    }
    struct str cell;
    int64_t number = 1;
    csv_cells_open(&c->cells, row_text(c, row));
    for (; csv_cells_next(&c->cells, &cell); number++)
        if (!str_is_utf8(cell) || (cell.len && memchr(cell.ptr, '\0', cell.len)))
            break;
    bool zero = cell.len && memchr(cell.ptr, '\0', cell.len);
    snprintf(c->base.reason, sizeof c->base.reason, "cell %lld %s", (long long)number,
             zero ? "has a NUL character" : "is no UTF-8");
    return c->base.reason;
}

/* Looks at the rows that have become ready. Bad ones have no say in what a column is. */
static void type_rows(struct source_csv *c)
{
    for (; c->typed < c->ready; c->typed++) {
        const struct csv_line *row = &c->rows[c->typed];
        if (!is_good(c, row))
            continue;
        struct str cell;
        csv_cells_open(&c->cells, row_text(c, row));
        for (size_t i = 0; i < c->width && csv_cells_next(&c->cells, &cell); i++)
            if (!(c->looks[i] & CSV_WORDS))
                c->looks[i] |= (uint8_t)csv_look(cell);
    }
    bool floats = false, numbers = true;
    for (size_t i = 0; i < c->width; i++) {
        enum csv_type type = csv_type_of(c->looks[i]);
        floats = floats || type == CSV_FLOATS;
        numbers = numbers && type != CSV_BOOLEANS && type != CSV_TEXT;
    }
    c->as_floats = floats && numbers;
}

/* What stands before the value of a column. */
static void begin_value(struct source_csv *c, size_t column)
{
    buf_add_char(&c->json, column ? ',' : c->objects ? '{' : '[');
    if (!c->objects)
        return;
    size_t at = column ? c->name_ends[column - 1] : 0;
    buf_add(&c->json, c->names.data + at, c->name_ends[column] - at);
}

static void write_row(struct source_csv *c, const struct csv_line *row)
{
    struct str cell;
    size_t i = 0;
    c->json.len = 0;
    csv_cells_open(&c->cells, row_text(c, row));
    for (; i < c->width && csv_cells_next(&c->cells, &cell); i++) {
        enum csv_type type = csv_type_of(c->looks[i]);
        begin_value(c, i);
        csv_cell_write(cell, type == CSV_INTEGERS && c->as_floats ? CSV_FLOATS : type, &c->json);
    }
    for (; i < c->width; i++) {
        begin_value(c, i);
        buf_add_text(&c->json, "null");
    }
    buf_add_char(&c->json, c->objects ? '}' : ']');
}

static enum source_got give_row(struct source_csv *c, struct source_record *out)
{
    const struct csv_line *row = &c->rows[c->next];
    if (c->typed < c->ready)
        type_rows(c);
    *out = (struct source_record){.number = c->chunk.record + (int64_t)c->next, .line = row->line};
    c->next++;
    if (!is_good(c, row)) {
        out->reason = fault_of(c, row);
        return SOURCE_BAD;
    }
    write_row(c, row);
    if (c->json.full) {
        buf_release(&c->json);
        out->reason = source_too_long;
        return SOURCE_BAD;
    }
    out->json = buf_str(&c->json);
    return SOURCE_RECORD;
}

/* Nothing more for now: is there the beginning of a row? */
static enum source_got at_the_end(struct source_csv *c, struct source_record *out)
{
    const char *reason = c->too_long ? source_too_long : NULL;
    /* A row that was given out and goes on has its number: only its end is missing. */
    if (c->next > c->row_count)
        return SOURCE_END;
    if (!reason && c->within && !c->scan.blank && !c->unfinished)
        reason = unfinished_reason(c);
    if (!reason)
        return SOURCE_END;
    *out = (struct source_record){
        .number = c->chunk.record + (int64_t)c->row_count, .line = c->line, .reason = reason};
    return SOURCE_TAIL;
}

static enum source_got long_row(struct source_csv *c, struct source_record *out, struct err *err)
{
    int64_t number = c->chunk.record + (int64_t)c->row_count, line = c->line;
    bool passed = false;
    if (!pass_long_row(c, &passed, err))
        return SOURCE_FAILED;
    if (c->base.bytes.paused)
        return SOURCE_PAUSE;
    if (!passed)
        return at_the_end(c, out);
    *out = (struct source_record){.number = number, .line = line, .reason = source_too_long};
    return SOURCE_BAD;
}

/* Sees to it that the next row is ready, in this chunk or the next. False at the end, at a pause,
 * before a row that is too long (`too_long`), or with an error (*failed). */
static bool next_ready(struct source_csv *c, bool *failed, struct err *err)
{
    *failed = false;
    while (c->next >= c->ready) {
        bool ended = false;
        if (c->closed && c->too_long)
            return false;
        if (c->closed) {
            struct place place = next_chunk(c);
            source_bytes_pass(&c->base.bytes, c->at);
            begin_chunk(c, place);
        }
        if (!load(c, &ended, err)) {
            *failed = true;
            return false;
        }
        if ((ended || c->base.bytes.paused) && c->next >= c->ready)
            return false;
    }
    return true;
}

static bool read_header(struct source_csv *c, struct err *err);

static enum source_got csv_next(struct source *s, struct source_record *out, struct err *err)
{
    struct source_csv *c = csv_of(s);
    bool failed = false;
    if (c->header_open && !read_header(c, err))
        return SOURCE_FAILED;
    if (c->header_open)
        return SOURCE_END;
    if (next_ready(c, &failed, err))
        return give_row(c, out);
    if (failed)
        return SOURCE_FAILED;
    if (c->base.bytes.paused)
        return SOURCE_PAUSE;
    return c->too_long ? long_row(c, out, err) : at_the_end(c, out);
}

static struct place csv_place(const struct source *s)
{
    const struct source_csv *c = (const struct source_csv *)s;
    bool passed = c->closed && !c->too_long && c->next >= c->row_count;
    return passed ? next_chunk(c) : c->chunk;
}

static bool csv_seek(struct source *s, struct place place, struct err *err)
{
    struct source_csv *c = csv_of(s);
    char before = '\n';
    if (c->header_open || place.bytes == 0)
        place = c->first;
    if (place.bytes && !source_seek_after(s, place.bytes, &before, err))
        return false;
    if (s->bytes.paused)
        return true;
    c->skip_lf = before == '\r';
    begin_chunk(c, place);
    return true;
}

static bool csv_skip_to(struct source *s, int64_t record, struct err *err)
{
    struct source_csv *c = csv_of(s);
    bool failed = c->header_open && !read_header(c, err);
    while (!failed && !c->header_open && c->chunk.record + (int64_t)c->next < record) {
        if (next_ready(c, &failed, err)) {
            int64_t want = record - c->chunk.record;
            c->next = want < (int64_t)c->ready ? (size_t)want : c->ready;
            continue;
        }
        struct source_record unused;
        if (failed || c->base.bytes.paused || !c->too_long)
            break;
        enum source_got got = long_row(c, &unused, err);
        failed = got == SOURCE_FAILED;
        if (got != SOURCE_BAD)
            break;
    }
    return !failed;
}

static int64_t csv_number(const struct source *s)
{
    const struct source_csv *c = (const struct source_csv *)s;
    return c->chunk.record + (int64_t)c->next;
}

static void csv_free(struct source *s)
{
    struct source_csv *c = csv_of(s);
    free(c->rows);
    free(c->looks);
    csv_cells_release(&c->cells);
    buf_release(&c->names);
    free(c->name_ends);
    buf_release(&c->json);
    free(c);
}

/* Of rows that are arrays the names do not matter; a header that may still go on says nothing. */
static bool csv_inputs(struct source *s, char **out, struct err *err)
{
    const struct source_csv *c = csv_of(s);
    (void)err;
    if (c->objects && !c->header_open)
        *out = csv_header_text(c->names.data, c->name_ends, c->width);
    return true;
}

static bool csv_check_inputs(struct source *s, const char *before, struct err *err)
{
    OWNED_MEM char *now = NULL;
    if (!csv_header_is_text(before))
        return err_set(err, ERR_CONFLICT, "the job was started on several inputs, not on %s alone",
                       s->name);
    return csv_inputs(s, &now, err) && (!now || csv_header_check(s->name, now, before, err));
}

struct source *source_csv_new(int64_t chunk_rows, bool objects)
{
    static const struct source_ops ops = {.next = csv_next,
                                          .place = csv_place,
                                          .seek = csv_seek,
                                          .skip_to = csv_skip_to,
                                          .number = csv_number,
                                          .free = csv_free,
                                          .inputs = csv_inputs,
                                          .check_inputs = csv_check_inputs};
    struct source_csv *c = xcalloc(1, sizeof *c);
    c->base.ops = &ops;
    c->base.fd = -1;
    c->chunk_rows = chunk_rows > 0 ? chunk_rows : CSV_CHUNK_ROWS;
    c->objects = objects;
    buf_init(&c->json, SOURCE_LINE_MAX);
    buf_init(&c->names, BUF_NO_CAP);
    return &c->base;
}

/* The first row that is not blank, from the start of the stream. */
static bool find_header(struct source_csv *c, bool *ended, struct err *err)
{
    *ended = false;
    do {
        while (!scan_row(c) && !*ended) {
            if (c->at > CHUNK_BYTES || source_bytes_pause(&c->base.bytes))
                return err_set(err, ERR_INVALID, "the header of %s is longer than 16 MiB",
                               c->base.name);
            if (!source_bytes_fill(&c->base.bytes, ended, err))
                return false;
        }
        c->line += *ended ? 0 : c->scan.lines + 1;
    } while (c->scan.blank && !*ended);
    return true;
}

static int by_text(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Two columns of one name would be one member. */
static bool check_names(struct source_csv *c, struct err *err)
{
    OWNED_MEM struct str *names = xcalloc(c->width, sizeof *names);
    for (size_t i = 0; i < c->width; i++) {
        size_t at = i ? c->name_ends[i - 1] : 0;
        names[i] = (struct str){c->names.data + at, c->name_ends[i] - at};
    }
    qsort(names, c->width, sizeof *names, by_text);
    for (size_t i = 1; i < c->width; i++)
        if (by_text(&names[i - 1], &names[i]) == 0)
            return err_set(err, ERR_INVALID, "the header of %s names the column %.*s twice",
                           c->base.name, names[i].len > 60 ? 60 : (int)names[i].len - 1,
                           names[i].ptr);
    return true;
}

/* The header is in the window. A column without a name gets one by its place. */
static bool take_names(struct source_csv *c, bool ended, struct err *err)
{
    struct str row = {source_bytes_at(&c->base.bytes) + c->row_at,
                      c->at - c->row_at - (ended ? 0 : 1)};
    struct str cell;
    struct json_out o;
    size_t i = 0;
    if (!str_is_utf8(row))
        return err_set(err, ERR_INVALID, "the header of %s is no UTF-8", c->base.name);
    c->names.len = 0;
    c->name_ends = xrealloc(c->name_ends, c->width * sizeof *c->name_ends);
    json_out_init(&o, &c->names);
    csv_cells_open(&c->cells, row);
    for (; i < c->width && csv_cells_next(&c->cells, &cell); i++) {
        char place[32];
        snprintf(place, sizeof place, "column %zu", i + 1);
        o.comma = false;
        json_out_str(&o, cell.len ? cell : str_of(place));
        buf_add_char(&c->names, ':');
        c->name_ends[i] = c->names.len;
    }
    assert(i == c->width);
    return check_names(c, err);
}

static bool read_header(struct source_csv *c, struct err *err)
{
    struct source_bytes *b = &c->base.bytes;
    bool bom = false, ended = false;
    int64_t allowed = b->allowed;
    b->allowed = HEADER_READ_BYTES;
    if (!source_bytes_seek(b, 0, err) || !source_pass_bom(&c->base, &bom, err))
        return false;
    c->at = 0;
    c->line = 1;
    c->within = c->skip_lf = false;
    csv_scan_init(&c->scan);
    if (!find_header(c, &ended, err))
        return false;
    b->allowed = allowed;
    if (c->scan.blank)
        return err_set(err, ERR_INVALID, "%s is empty: there is no header", c->base.name);
    if (ended && c->scan.state == CSV_QUOTED)
        return err_set(err, ERR_INVALID, "a quoted cell in the header of %s is not closed",
                       c->base.name);
    if (c->scan.cells > COLUMNS_MAX)
        return err_set(err, ERR_INVALID, "the header of %s has %lld cells, more than %d",
                       c->base.name, (long long)c->scan.cells, COLUMNS_MAX);
    c->header_open = ended;
    c->width = (size_t)c->scan.cells;
    c->looks = xrealloc(c->looks, c->width);
    if (c->objects && !take_names(c, ended, err))
        return false;
    source_bytes_pass(b, c->at);
    c->first = ended ? (struct place){0, 0, 1} : (struct place){0, b->offset, c->line};
    begin_chunk(c, c->first);
    return true;
}

bool source_csv_begin(struct source *s, struct err *err)
{
    return read_header(csv_of(s), err);
}
