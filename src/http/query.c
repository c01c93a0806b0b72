#include "http/query.h"

#include <stdlib.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Undoes %XX (and '+') into `out`; never longer than raw. Returns the length. */
static size_t decode(struct str raw, bool plus_is_blank, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%' && i + 2 < raw.len) {
            int high = hex_digit(raw.ptr[i + 1]), low = hex_digit(raw.ptr[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        out[len++] = c;
    }
    return len;
}

/* Length of the well-formed UTF-8 character at `s`, 0 when there is none. */
static size_t char_length(const char *s, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++)
        if (str_is_utf8((struct str){s, n}))
            return n;
    return 0;
}

/* Copies `s` to `out` with U+FFFD for each byte that belongs to no character: at most three bytes
 * for one. Returns the length. */
static size_t mend_utf8(struct str s, char *out)
{
    if (str_is_utf8(s)) {
        memcpy(out, s.ptr, s.len);
        return s.len;
    }
    size_t len = 0;
    for (size_t i = 0; i < s.len;) {
        size_t n = char_length(s.ptr + i, s.len - i);
        if (n == 0) {
            memcpy(out + len, "\xEF\xBF\xBD", 3);
            len += 3;
            i++;
        } else {
            memcpy(out + len, s.ptr + i, n);
            len += n;
            i += n;
        }
    }
    return len;
}

/* Decodes `raw` behind *at, moves *at behind the NUL that ends it. `scratch` holds raw.len bytes.
 */
static struct str take_text(struct str raw, char *scratch, char **at)
{
    struct str decoded = {scratch, decode(raw, true, scratch)};
    struct str text = {*at, decoded.len == 0 ? 0 : mend_utf8(decoded, *at)};
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return text;
}

static struct str next_piece(struct str *rest)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, '&', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct str piece = {rest->ptr, len};
    size_t passed = end ? len + 1 : len;
    rest->ptr += passed;
    rest->len -= passed;
    return piece;
}

void query_parse(struct str raw, struct query *out)
{
    *out = (struct query){0};
    size_t pieces = 0;
    for (struct str rest = raw; rest.len > 0;)
        if (next_piece(&rest).len > 0)
            pieces++;
    if (pieces == 0)
        return;
    out->params = xcalloc(pieces, sizeof *out->params);
    /* Each text at most triples (a bare bad byte), and is ended by NUL; the scratch comes last. */
    out->text = xcalloc(1, raw.len * 4 + pieces * 2);
    char *scratch = out->text + raw.len * 3 + pieces * 2, *at = out->text;
    for (struct str rest = raw; rest.len > 0;) {
        struct str piece = next_piece(&rest);
        if (piece.len == 0)
            continue;
        const char *equals = memchr(piece.ptr, '=', piece.len);
        size_t name_len = equals ? (size_t)(equals - piece.ptr) : piece.len;
        size_t value_at = equals ? name_len + 1 : piece.len;
        struct query_param *param = &out->params[out->count++];
        param->name = take_text((struct str){piece.ptr, name_len}, scratch, &at);
        param->value =
            take_text((struct str){piece.ptr + value_at, piece.len - value_at}, scratch, &at);
    }
}

void query_release(struct query *q)
{
    free(q->params);
    free(q->text);
    *q = (struct query){0};
}

const struct query_param *query_find(const struct query *q, const char *name)
{
    for (size_t i = q->count; i > 0; i--)
        if (str_is(q->params[i - 1].name, name))
            return &q->params[i - 1];
    return NULL;
}

bool query_decode_segment(struct str raw, char *out, size_t *len)
{
    *len = decode(raw, false, out);
    out[*len] = '\0';
    struct str text = {out, *len};
    return *len > 0 && !memchr(out, '\0', *len) && str_is_utf8(text);
}
