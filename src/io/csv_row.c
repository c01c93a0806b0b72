/* csv_row.c: see csv_row.h. */
#include "io/csv_row.h"

#include <stdlib.h>

static const bool ends_unquoted[256] = {[','] = true, ['\n'] = true, ['\r'] = true};
static const bool ends_quoted[256] = {['"'] = true, ['\n'] = true, ['\r'] = true};

void csv_scan_init(struct csv_scan *s)
{
    *s = (struct csv_scan){.state = CSV_CELL_START, .blank = true, .cells = 1};
}

/* Through an unquoted stretch, up to and with what ends it. Returns that, 0 at the end of the text.
 */
static char scan_unquoted(struct csv_scan *s, const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    while (s->blank && p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (s->blank && p < end && *p != '\n' && *p != '\r')
        s->blank = false;
    while (p < end && !ends_unquoted[*p])
        p++;
    *at = p < end ? p + 1 : p;
    return p < end ? (char)*p : 0;
}

static void scan_quoted(struct csv_scan *s, const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    if (s->after_cr && *p == '\n')
        p++;
    s->after_cr = false;
    while (p < end && !ends_quoted[*p])
        p++;
    if (p < end) {
        if (*p == '"')
            s->state = CSV_QUOTE;
        else
            s->lines++;
        s->after_cr = *p == '\r';
        p++;
    }
    *at = p;
}

bool csv_scan(struct csv_scan *s, struct str text, size_t *used)
{
    const unsigned char *start = (const unsigned char *)text.ptr, *p = start, *end = p + text.len;
    while (p < end) {
        switch (s->state) {
        case CSV_CELL_START:
            s->state = *p == '"' ? CSV_QUOTED : CSV_UNQUOTED;
            if (*p != '"')
                break;
            s->blank = false;
            p++;
            break;
        case CSV_QUOTED:
            scan_quoted(s, &p, end);
            break;
        case CSV_QUOTE:
            s->state = *p == '"' ? CSV_QUOTED : CSV_UNQUOTED;
            p += *p == '"';
            break;
        case CSV_UNQUOTED:
            switch (scan_unquoted(s, &p, end)) {
            case ',':
                s->cells++;
                s->state = CSV_CELL_START;
                break;
            case '\n':
            case '\r':
                *used = (size_t)(p - start);
                return true;
            default:
                break;
            }
            break;
        }
    }
    *used = text.len;
    return false;
}

void csv_count_add(struct csv_count *c, struct str text)
{
    while (text.len) {
        if (!c->within)
            csv_scan_init(&c->scan);
        size_t used = 0;
        c->within = !csv_scan(&c->scan, text, &used);
        if (!c->within && !c->scan.blank)
            c->rows++;
        text.ptr += used;
        text.len -= used;
    }
}

int64_t csv_count_end(const struct csv_count *c)
{
    return c->rows + (c->within && !c->scan.blank);
}

void csv_cells_open(struct csv_cells *c, struct str row)
{
    c->at = row.ptr;
    c->end = row.ptr + row.len;
    c->more = true;
}

void csv_cells_release(struct csv_cells *c)
{
    free(c->scratch);
    *c = (struct csv_cells){0};
}

/* A quoted cell that is more than its text between two quotes: undone into the scratch. */
static struct str undo_quotes(struct csv_cells *c)
{
    size_t most = (size_t)(c->end - c->at);
    if (c->scratch_cap < most) {
        c->scratch = xrealloc(c->scratch, most);
        c->scratch_cap = most;
    }
    const char *p = c->at + 1;
    char *to = c->scratch;
    while (p < c->end) {
        if (*p == '"') {
            p++;
            if (p == c->end || *p != '"')
                break;
        }
        *to++ = *p++;
    }
    while (p < c->end && *p != ',')
        *to++ = *p++;
    c->at = p;
    return (struct str){c->scratch, (size_t)(to - c->scratch)};
}

static struct str quoted_cell(struct csv_cells *c)
{
    const char *first = c->at + 1;
    const char *quote = first < c->end ? memchr(first, '"', (size_t)(c->end - first)) : NULL;
    if (!quote || (quote + 1 < c->end && quote[1] != ','))
        return undo_quotes(c);
    c->at = quote + 1;
    return (struct str){first, (size_t)(quote - first)};
}

bool csv_cells_next(struct csv_cells *c, struct str *text)
{
    if (!c->more)
        return false;
    if (c->at < c->end && *c->at == '"') {
        *text = quoted_cell(c);
    } else {
        const char *start = c->at;
        while (c->at < c->end && *c->at != ',')
            c->at++;
        *text = (struct str){start, (size_t)(c->at - start)};
    }
    c->more = c->at < c->end;
    if (c->more)
        c->at++;
    return true;
}
