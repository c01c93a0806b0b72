/* sink_rows.c: see sink_rows.h.
 *
 * All rows of a file have the same number of cells: that of the job's first row. Objects are put
 * in order by names, which the first object brings; the header line they make is written only when
 * that object is the first row of a new file. */
#include "io/sink_rows.h"

#include "base/json.h"
#include "io/python_repr.h"

#include <stdlib.h>

enum { COLUMNS_MAX = 100000 };
#define NOT_HERE SIZE_MAX

struct column {
    char *name; /* NULL: a column without a name. Owned; may hold NUL characters */
    size_t len;
};

struct sink_rows {
    struct buf group, header;
    struct column *columns; /* width of them; NULL when width is 0 */
    size_t width;           /* 0: not fixed yet */
    size_t *sorted;         /* the named columns by name */
    size_t sorted_count;
    bool named;
    size_t fixed_at, named_at; /* where in this group's bytes that happened, or NOT_HERE */
    struct str *cells;         /* of the row in hand: raw values; ptr NULL: none */
    struct buf text;           /* of the cell in hand */
    struct buf json;           /* the columns as stored */
};

static bool is_named(const struct column *c, struct str name)
{
    return c->name && c->len == name.len && memcmp(c->name, name.ptr, name.len) == 0;
}

static int name_order(struct str a, struct str b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int column_order(const void *a, const void *b, void *rows)
{
    const struct sink_rows *r = rows;
    const struct column *x = &r->columns[*(const size_t *)a], *y = &r->columns[*(const size_t *)b];
    int order = name_order((struct str){x->name, x->len}, (struct str){y->name, y->len});
    /* Of equal names the first column counts. */
    return order ? order : *(const size_t *)a < *(const size_t *)b ? -1 : 1;
}

static void sort_names(struct sink_rows *r)
{
    free(r->sorted);
    r->sorted = xcalloc(r->width, sizeof *r->sorted);
    r->sorted_count = 0;
    for (size_t i = 0; i < r->width; i++)
        if (r->columns[i].name)
            r->sorted[r->sorted_count++] = i;
    qsort_r(r->sorted, r->sorted_count, sizeof *r->sorted, column_order, r);
}

/* The column of that name, NOT_HERE when there is none. Most objects have their members in the
 * order of the columns: `guess` is looked at first. */
static size_t find_column(const struct sink_rows *r, struct str name, size_t guess)
{
    if (guess < r->width && is_named(&r->columns[guess], name))
        return guess;
    size_t low = 0, high = r->sorted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct column *c = &r->columns[r->sorted[middle]];
        if (name_order((struct str){c->name, c->len}, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->sorted_count && is_named(&r->columns[r->sorted[low]], name) ? r->sorted[low]
                                                                                : NOT_HERE;
}

static void drop_names(struct sink_rows *r)
{
    for (size_t i = 0; i < r->width; i++) {
        free(r->columns[i].name);
        r->columns[i].name = NULL;
    }
    r->sorted_count = 0;
    r->named = false;
    r->named_at = NOT_HERE;
    r->header.len = r->json.len = 0;
}

static void rows_reset(struct sink_rows *r)
{
    drop_names(r);
    free(TAKE(r->columns));
    free(TAKE(r->cells));
    free(TAKE(r->sorted));
    r->width = 0;
    r->fixed_at = NOT_HERE;
}

static void fix_width(struct sink_rows *r, size_t width)
{
    r->width = width;
    r->columns = xcalloc(width, sizeof *r->columns);
    r->cells = xcalloc(width, sizeof *r->cells);
    r->fixed_at = r->group.len;
    r->json.len = 0;
}

/* A string's text: where it stands when nothing is escaped, else in r->text. */
static struct str text_of(struct sink_rows *r, struct str raw)
{
    struct str inner = {raw.ptr + 1, raw.len - 2};
    if (!memchr(inner.ptr, '\\', inner.len))
        return inner;
    r->text.len = 0;
    json_text(raw, &r->text);
    return buf_str(&r->text);
}

static void set_name(struct column *c, struct str text)
{
    c->name = xcalloc(text.len + 1, 1);
    c->len = text.len;
    if (text.len)
        memcpy(c->name, text.ptr, text.len);
}

/* How many elements the array has, 0 when it is none or not a valid one. */
static size_t count_stored(struct str columns)
{
    struct json j;
    struct str raw;
    size_t width = 0;
    json_open(&j, columns);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &raw))
            width++;
    return json_end(&j) ? width : 0;
}

bool sink_rows_restore(struct sink_rows *r, const char *columns, struct err *err)
{
    size_t width = columns ? count_stored(str_of(columns)) : 0;
    if (columns && (width == 0 || width > COLUMNS_MAX))
        return err_set(err, ERR_STORE, "the stored columns of the output are damaged");
    rows_reset(r);
    r->group.len = 0;
    if (!columns)
        return true;
    fix_width(r, width);
    struct json j;
    struct str raw;
    json_open(&j, str_of(columns));
    json_enter(&j, '[');
    for (size_t i = 0; json_item(&j) && json_value(&j, &raw); i++) {
        if (json_type_of(raw) != JSON_STRING)
            continue;
        set_name(&r->columns[i], text_of(r, raw));
        r->named = true;
    }
    sort_names(r);
    r->fixed_at = NOT_HERE;
    return true;
}

struct sink_rows *sink_rows_new(const char *columns, struct err *err)
{
    OWNED(sink_rows) struct sink_rows *r = xcalloc(1, sizeof *r);
    buf_init(&r->group, BUF_NO_CAP);
    buf_init(&r->header, BUF_NO_CAP);
    buf_init(&r->text, BUF_NO_CAP);
    buf_init(&r->json, BUF_NO_CAP);
    r->fixed_at = r->named_at = NOT_HERE;
    return sink_rows_restore(r, columns, err) ? TAKE(r) : NULL;
}

void sink_rows_free(struct sink_rows *r)
{
    if (!r)
        return;
    rows_reset(r);
    buf_release(&r->group);
    buf_release(&r->header);
    buf_release(&r->text);
    buf_release(&r->json);
    free(r);
}

/* A cell, quoted when a reader would otherwise see something else. */
static void put_cell(struct sink_rows *r, struct buf *out, struct str text)
{
    bool quoted = r->width == 1; /* alone: an empty or blank line is no row to readers */
    for (size_t i = 0; quoted && i < text.len; i++)
        quoted = text.ptr[i] == ' ' || text.ptr[i] == '\t';
    static const char special[256] = {[','] = 1, ['"'] = 1, ['\n'] = 1, ['\r'] = 1};
    for (size_t i = 0; !quoted && i < text.len; i++)
        quoted = special[(unsigned char)text.ptr[i]];
    if (!quoted) {
        buf_add_str(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (const char *quote = NULL; text.len && (quote = memchr(text.ptr, '"', text.len));) {
        size_t len = (size_t)(quote - text.ptr) + 1;
        buf_add(out, text.ptr, len);
        buf_add_char(out, '"');
        text.ptr += len;
        text.len -= len;
    }
    buf_add_str(out, text);
    buf_add_char(out, '"');
}

static struct str cell_text(struct sink_rows *r, struct str raw)
{
    if (!raw.ptr)
        return STR("");
    switch (raw.ptr[0]) {
    case '"':
        return text_of(r, raw);
    case 'n':
        return STR("");
    case 't':
        return STR("True");
    case 'f':
        return STR("False");
    case '[':
    case '{':
        r->text.len = 0;
        python_repr(raw, &r->text);
        return buf_str(&r->text);
    default:
        return raw;
    }
}

static void put_row(struct sink_rows *r)
{
    for (size_t i = 0; i < r->width; i++) {
        if (i)
            buf_add_char(&r->group, ',');
        put_cell(r, &r->group, cell_text(r, r->cells[i]));
    }
    buf_add_char(&r->group, '\n');
}

static void put_header(struct sink_rows *r)
{
    for (size_t i = 0; i < r->width; i++) {
        if (i)
            buf_add_char(&r->header, ',');
        put_cell(r, &r->header, (struct str){r->columns[i].name, r->columns[i].len});
    }
    buf_add_char(&r->header, '\n');
}

/* How many elements or members the value has; -1 for a scalar. */
static int64_t count_cells(struct str json)
{
    struct json j;
    struct str raw;
    int64_t count = 0;
    json_open(&j, json);
    bool object = json_peek(&j) == JSON_OBJECT;
    if (!object && json_peek(&j) != JSON_ARRAY)
        return -1;
    json_enter(&j, object ? '{' : '[');
    while (object ? json_member(&j, &raw) : json_item(&j)) {
        if (!json_value(&j, &raw))
            break;
        count++;
    }
    return count;
}

static bool add_array(struct sink_rows *r, struct str json, size_t count, struct err *err)
{
    if (count > r->width)
        return err_set(err, ERR_INVALID, "the row has %zu cells, the output has %zu columns", count,
                       r->width);
    struct json j;
    json_open(&j, json);
    json_enter(&j, '[');
    size_t i = 0;
    while (json_item(&j) && json_value(&j, &r->cells[i]))
        i++;
    for (; i < r->width; i++)
        r->cells[i] = (struct str){NULL, 0};
    put_row(r);
    return true;
}

/* The names of an object's members, each once, as the named columns of `out`. */
static void names_of(struct sink_rows *r, struct str json, size_t count, struct sink_rows *out)
{
    *out = (struct sink_rows){.width = count};
    out->columns = xcalloc(count, sizeof *out->columns);
    struct json j;
    struct str name, unused;
    json_open(&j, json);
    json_enter(&j, '{');
    for (size_t i = 0; json_member(&j, &name) && json_value(&j, &unused); i++)
        set_name(&out->columns[i], text_of(r, name));
    sort_names(out);
    /* Backwards, so that each is compared with one that still has its name. */
    for (size_t k = count; k-- > 1;) {
        struct column *c = &out->columns[out->sorted[k]];
        const struct column *before = &out->columns[out->sorted[k - 1]];
        if (!is_named(before, (struct str){c->name, c->len}))
            continue;
        free(TAKE(c->name));
        out->sorted_count--;
    }
}

/* Names the columns after the object's members. */
static bool fix_names(struct sink_rows *r, struct str json, size_t count, struct err *err)
{
    struct sink_rows found;
    names_of(r, json, count, &found);
    size_t unique = found.sorted_count;
    bool fits = !r->width || unique <= r->width;
    if (!r->width)
        fix_width(r, unique);
    for (size_t i = 0, to = 0; i < count; i++) {
        if (!found.columns[i].name)
            continue;
        if (fits)
            r->columns[to++] = found.columns[i];
        else
            free(found.columns[i].name);
    }
    free(found.columns);
    free(found.sorted);
    if (!fits)
        return err_set(err, ERR_INVALID, "the object has %zu members, the output has %zu columns",
                       unique, r->width);
    sort_names(r);
    r->named = true;
    r->named_at = r->group.len;
    r->json.len = 0;
    return true;
}

static bool unknown_column(struct sink_rows *r, struct str name, struct err *err)
{
    OWNED_BUF struct buf known;
    buf_init(&known, 300);
    for (size_t i = 0; i < r->width && !known.full; i++)
        if (r->columns[i].name)
            buf_add_format(&known, "%s%.*s", known.len ? ", " : "", (int)r->columns[i].len,
                           r->columns[i].name);
    return err_set(err, ERR_INVALID, "the output has no column \"%.*s\", only %.*s%s",
                   (int)(name.len < 100 ? name.len : 100), name.ptr, (int)known.len,
                   known.len ? known.data : "", known.full ? ", ..." : "");
}

static bool add_object(struct sink_rows *r, struct str json, size_t count, struct err *err)
{
    bool first_row = !r->width;
    if (!r->named && count && !fix_names(r, json, count, err))
        return false;
    if (first_row)
        put_header(r);
    for (size_t i = 0; i < r->width; i++)
        r->cells[i] = (struct str){NULL, 0};
    struct json j;
    struct str name, value;
    size_t guess = 0;
    json_open(&j, json);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &value)) {
        struct str text = text_of(r, name);
        size_t at = find_column(r, text, guess);
        if (at == NOT_HERE)
            return unknown_column(r, text, err);
        r->cells[at] = value;
        guess = at + 1;
    }
    put_row(r);
    return true;
}

static bool add_row(struct sink_rows *r, struct str json, struct err *err)
{
    int64_t count = count_cells(json);
    if (count < 0)
        return err_set(err, ERR_INVALID, "a row must be a list or an object");
    if (count == 0 && !r->width)
        return err_set(err, ERR_INVALID, "the first row has no cells");
    if (count > COLUMNS_MAX)
        return err_set(err, ERR_INVALID, "the row has %lld cells, more than %d", (long long)count,
                       COLUMNS_MAX);
    if (str_trim(json).ptr[0] == '{')
        return add_object(r, json, (size_t)count, err);
    if (!r->width)
        fix_width(r, (size_t)count);
    return add_array(r, json, (size_t)count, err);
}

bool sink_rows_add(struct sink_rows *r, struct str json, struct err *err)
{
    size_t before = r->group.len;
    if (!add_row(r, json, err))
        return false;
    if (!r->group.full && !r->text.full && !r->header.full)
        return true;
    r->group.full = r->text.full = r->header.full = false;
    sink_rows_rewind(r, before);
    return err_set(err, ERR_BUSY, "no memory for the row");
}

struct str sink_rows_group(const struct sink_rows *r)
{
    return buf_str(&r->group);
}

struct str sink_rows_header(const struct sink_rows *r)
{
    return buf_str(&r->header);
}

void sink_rows_rewind(struct sink_rows *r, size_t len)
{
    if (r->fixed_at != NOT_HERE && len <= r->fixed_at)
        rows_reset(r);
    else if (r->named_at != NOT_HERE && len <= r->named_at)
        drop_names(r);
    r->group.len = len;
}

void sink_rows_settle(struct sink_rows *r)
{
    r->group.len = r->header.len = 0;
    r->fixed_at = r->named_at = NOT_HERE;
}

const char *sink_rows_columns(struct sink_rows *r)
{
    if (!r->width)
        return NULL;
    if (r->json.len)
        return r->json.data;
    struct json_out o;
    json_out_init(&o, &r->json);
    json_out_open(&o, '[');
    for (size_t i = 0; i < r->width; i++) {
        if (r->columns[i].name)
            json_out_str(&o, (struct str){r->columns[i].name, r->columns[i].len});
        else
            json_out_null(&o);
    }
    json_out_close(&o, ']');
    buf_add_char(&r->json, '\0');
    return r->json.data;
}
