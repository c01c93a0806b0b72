/* multipart.c: see multipart.h. A state machine over the bytes. Within a part, what may begin the
 * next boundary is kept back; all else goes to the taker at once. */
#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BOUNDARY_MAX = 70, HEAD_MAX_BYTES = 16 << 10, PARTS_MAX = 100 };

enum state {
    IN_PREAMBLE, /* before the first boundary: as within a part that nobody is told of */
    BEHIND,      /* behind a boundary: its line's end, or the two dashes of the last one */
    IN_HEAD,     /* a part's headers */
    IN_PART,     /* its bytes */
    AT_END       /* behind the last boundary: whatever comes is passed over */
};

struct multipart {
    struct multipart_taker taker;
    enum state state;
    char mark[BOUNDARY_MAX + 4]; /* CR LF "--" boundary */
    size_t mark_len;
    size_t matched; /* so much of the mark was seen at the end of the last piece: kept back */
    size_t assumed; /* of that, so much did not come: a boundary may stand at a beginning */
    struct buf head;
    size_t parts;
};

/* --- parameters of headers --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value of a parameter "; name=value" of a header's text: without quotes, the backslashes
 * before quotes and backslashes taken out of `out`. False when it is not there. */
static bool find_parameter(struct str text, const char *name, struct buf *out)
{
    size_t len = strlen(name);
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            quoted = !quoted;
        else if (quoted && text.ptr[i] == '\\')
            i++;
        if (quoted || text.ptr[i] != ';')
            continue;
        size_t at = i + 1;
        while (at < text.len && is_blank(text.ptr[at]))
            at++;
        if (text.len - at <= len || strncasecmp(text.ptr + at, name, len) != 0 ||
            text.ptr[at + len] != '=')
            continue;
        at += len + 1;
        bool quotes = at < text.len && text.ptr[at] == '"';
        for (at += quotes; at < text.len; at++) {
            char c = text.ptr[at];
            if (quotes ? c == '"' : c == ';' || is_blank(c))
                break;
            if (quotes && c == '\\' && at + 1 < text.len &&
                (text.ptr[at + 1] == '"' || text.ptr[at + 1] == '\\'))
                c = text.ptr[++at];
            buf_add_char(out, c);
        }
        return true;
    }
    return false;
}

static bool begins(struct str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && strncasecmp(text.ptr, with, len) == 0;
}

bool multipart_is(const char *content_type)
{
    return content_type && begins(str_of(content_type), "multipart/form-data");
}

bool multipart_new(const char *content_type, const struct multipart_taker *taker,
                   struct multipart **out, struct err *err)
{
    OWNED_BUF struct buf boundary;
    buf_init(&boundary, 4096);
    if (!multipart_is(content_type))
        return err_set(err, ERR_INVALID, "expected a body of multipart/form-data");
    if (!find_parameter(str_of(content_type), "boundary", &boundary) || boundary.len == 0 ||
        boundary.len > BOUNDARY_MAX || boundary.full)
        return err_set(err, ERR_INVALID, "multipart/form-data without a boundary of 1 to 70 bytes");
    struct multipart *m = xcalloc(1, sizeof *m);
    m->taker = *taker;
    memcpy(m->mark, "\r\n--", 4);
    memcpy(m->mark + 4, boundary.data, boundary.len);
    m->mark_len = boundary.len + 4;
    m->matched = m->assumed = 2;
    buf_init(&m->head, HEAD_MAX_BYTES);
    *out = m;
    return true;
}

void multipart_free(struct multipart *m)
{
    if (!m)
        return;
    buf_release(&m->head);
    free(m);
}

/* --- a part's headers --- */

static void take_disposition(struct str value, struct buf *name, struct buf *filename,
                             bool *has_filename)
{
    (void)find_parameter(value, "name", name);
    *has_filename = find_parameter(value, "filename", filename);
}

/* %22 is how forms write a quote. */
static void undo_quotes(struct buf *text)
{
    size_t to = 0;
    for (size_t i = 0; i < text->len; i++)
        if (text->len - i >= 3 && memcmp(text->data + i, "%22", 3) == 0) {
            text->data[to++] = '"';
            i += 2;
        } else {
            text->data[to++] = text->data[i];
        }
    text->len = to;
}

static bool begin_part(struct multipart *m, struct err *err)
{
    OWNED_BUF struct buf name;
    OWNED_BUF struct buf filename;
    struct multipart_part part = {.name = {NULL, 0}};
    struct str left = buf_str(&m->head);
    bool has_filename = false;
    buf_init(&name, HEAD_MAX_BYTES);
    buf_init(&filename, HEAD_MAX_BYTES);
    while (left.len) {
        const char *end = memchr(left.ptr, '\n', left.len);
        size_t len = end ? (size_t)(end - left.ptr) + 1 : left.len;
        struct str line = str_trim((struct str){left.ptr, len});
        left = (struct str){left.ptr + len, left.len - len};
        if (begins(line, "content-disposition:"))
            take_disposition(line, &name, &filename, &has_filename);
        else if (begins(line, "content-type:"))
            part.content_type = str_trim((struct str){line.ptr + 13, line.len - 13});
    }
    undo_quotes(&filename);
    part.name = (struct str){name.len ? name.data : "", name.len};
    if (has_filename)
        part.filename = (struct str){filename.len ? filename.data : "", filename.len};
    if (++m->parts > PARTS_MAX)
        return err_set(err, ERR_LIMIT, "a form of more than %d parts", PARTS_MAX);
    return m->taker.begin(m->taker.context, &part, err);
}

/* Whether the head is at its end: an empty line. */
static bool head_ends(const struct buf *head)
{
    return (head->len == 2 && memcmp(head->data, "\r\n", 2) == 0) ||
           (head->len >= 4 && memcmp(head->data + head->len - 4, "\r\n\r\n", 4) == 0);
}

/* --- the bytes --- */

static bool tell(struct multipart *m, const char *bytes, size_t len, struct err *err)
{
    if (len == 0 || m->state != IN_PART)
        return true;
    return m->taker.bytes(m->taker.context, (struct str){bytes, len}, err);
}

/* What was kept back was no mark: it is bytes. */
static bool give_back(struct multipart *m, struct err *err)
{
    size_t kept = m->matched, never = m->assumed;
    m->matched = m->assumed = 0;
    return tell(m, m->mark + never, kept - never, err);
}

static bool mark_passed(struct multipart *m, struct err *err)
{
    bool ends = m->state == IN_PART;
    m->state = BEHIND;
    m->matched = m->assumed = 0;
    m->head.len = 0;
    return !ends || m->taker.end(m->taker.context, err);
}

/* How many bytes at the end of the piece may be the beginning of a mark, which holds one CR, at its
 * own beginning. */
static size_t begun_at_end(const struct multipart *m, struct str piece)
{
    size_t look = piece.len < m->mark_len - 1 ? piece.len : m->mark_len - 1;
    const char *end = piece.ptr + piece.len, *cr = memrchr(end - look, '\r', look);
    size_t len = cr ? (size_t)(end - cr) : 0;
    return len > 0 && memcmp(cr, m->mark, len) == 0 ? len : 0;
}

/* Goes on with a mark that was begun. *used: how many bytes of the piece are passed. */
static bool take_begun(struct multipart *m, struct str piece, size_t *used, struct err *err)
{
    size_t at = 0;
    while (at < piece.len && m->matched < m->mark_len && piece.ptr[at] == m->mark[m->matched]) {
        m->matched++;
        at++;
    }
    *used = at;
    if (m->matched == m->mark_len)
        return mark_passed(m, err);
    return at == piece.len || give_back(m, err);
}

/* Bytes, up to the next mark if it is in the piece. */
static bool take_bytes(struct multipart *m, struct str piece, size_t *used, struct err *err)
{
    if (m->matched > 0)
        return take_begun(m, piece, used, err);
    const char *mark = memmem(piece.ptr, piece.len, m->mark, m->mark_len);
    size_t kept = mark ? 0 : begun_at_end(m, piece);
    size_t len = mark ? (size_t)(mark - piece.ptr) : piece.len - kept;
    *used = mark ? len + m->mark_len : piece.len;
    if (!tell(m, piece.ptr, len, err))
        return false;
    m->matched = kept;
    return !mark || mark_passed(m, err);
}

/* Behind a boundary: "--" ends it all, CR LF begins a part; blanks before that are passed over. */
static bool take_behind(struct multipart *m, char c, struct err *err)
{
    if (m->head.len == 0 && is_blank(c))
        return true;
    buf_add_char(&m->head, c);
    if (m->head.len < 2)
        return true;
    if (memcmp(m->head.data, "--", 2) == 0)
        m->state = AT_END;
    else if (memcmp(m->head.data, "\r\n", 2) == 0)
        m->state = IN_HEAD;
    else
        return err_set(err, ERR_INVALID, "a boundary of the form is followed by something else");
    m->head.len = 0;
    return true;
}

static bool take_head(struct multipart *m, char c, struct err *err)
{
    buf_add_char(&m->head, c);
    if (m->head.full)
        return err_set(err, ERR_LIMIT, "the headers of a form's part have more than 16 KiB");
    if (!head_ends(&m->head))
        return true;
    if (!begin_part(m, err))
        return false;
    m->state = IN_PART;
    m->matched = m->assumed = 2;
    m->head.len = 0;
    return true;
}

bool multipart_take(struct multipart *m, struct str piece, struct err *err)
{
    while (piece.len) {
        size_t used = 1;
        bool good = true;
        if (m->state == AT_END)
            return true;
        if (m->state == BEHIND)
            good = take_behind(m, piece.ptr[0], err);
        else if (m->state == IN_HEAD)
            good = take_head(m, piece.ptr[0], err);
        else
            good = take_bytes(m, piece, &used, err);
        if (!good)
            return false;
        piece = (struct str){piece.ptr + used, piece.len - used};
    }
    return true;
}

bool multipart_end(struct multipart *m, struct err *err)
{
    return m->state == AT_END ||
           err_set(err, ERR_INVALID, "the form ends too early: its last boundary is missing");
}
