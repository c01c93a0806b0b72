/* json_out.c: the writer; see json.h. */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_out_init(struct json_out *o, struct buf *buf)
{
    *o = (struct json_out){.buf = buf};
}

static void before_element(struct json_out *o)
{
    if (o->comma)
        buf_add_char(o->buf, ',');
    o->comma = true;
}

void json_out_open(struct json_out *o, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    before_element(o);
    buf_add_char(o->buf, bracket);
    o->comma = false;
}

void json_out_close(struct json_out *o, char bracket)
{
    assert(bracket == '}' || bracket == ']');
    buf_add_char(o->buf, bracket);
    o->comma = true;
}

/* What cannot stand in a string as it is: quote, backslash, control character, bad UTF-8. */
static void add_special(struct buf *buf, unsigned char c)
{
    static const char meant[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt",
                      hex[] = "0123456789abcdef";
    const char *known = c ? strchr(meant, c) : NULL;
    if (c >= 0x80) {
        buf_add_text(buf, "\xef\xbf\xbd");
    } else if (known) {
        buf_add_char(buf, '\\');
        buf_add_char(buf, letters[known - meant]);
    } else {
        char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_add(buf, escape, sizeof escape);
    }
}

static void add_string(struct buf *buf, struct str text)
{
    buf_add_char(buf, '"');
    size_t plain = 0, i = 0; /* bytes from `plain` to i are to be added as they are */
    while (i < text.len) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t length = c < 0x80 ? 1 : str_utf8_length((struct str){text.ptr + i, text.len - i});
        if (length && c >= ' ' && c != '"' && c != '\\') {
            i += length;
            continue;
        }
        buf_add(buf, text.ptr + plain, i - plain);
        add_special(buf, c);
        plain = ++i;
    }
    if (i > plain)
        buf_add(buf, text.ptr + plain, i - plain);
    buf_add_char(buf, '"');
}

void json_out_name(struct json_out *o, const char *name)
{
    before_element(o);
    add_string(o->buf, str_of(name));
    buf_add_char(o->buf, ':');
    o->comma = false;
}

void json_out_text(struct json_out *o, const char *text)
{
    if (text)
        json_out_str(o, str_of(text));
    else
        json_out_null(o);
}

void json_out_str(struct json_out *o, struct str text)
{
    before_element(o);
    add_string(o->buf, text);
}

void json_out_i64(struct json_out *o, int64_t number)
{
    before_element(o);
    buf_add_i64(o->buf, number);
}

void json_out_double(struct json_out *o, double number)
{
    if (!isfinite(number)) {
        json_out_null(o);
        return;
    }
    /* 17 digits always read back; often fewer do, and look like what the person wrote. */
    char digits[32];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    before_element(o);
    buf_add_text(o->buf, digits);
}

void json_out_bool(struct json_out *o, bool value)
{
    json_out_raw(o, value ? STR("true") : STR("false"));
}

void json_out_null(struct json_out *o)
{
    json_out_raw(o, STR("null"));
}

void json_out_raw(struct json_out *o, struct str raw)
{
    before_element(o);
    buf_add_str(o->buf, raw);
}
