/* python_repr.c: see python_repr.h. */
#include "io/python_repr.h"

#include "base/json.h"

/* Characters that str.isprintable() denies, beside control characters: separators, format
 * characters, private use, noncharacters. Those that Unicode has not assigned yet are printed as
 * they are: which those are differs from one Python to the next. */
static const struct {
    uint32_t first, last;
} unprintable[] = {
    {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},      {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},      {0x8e2, 0x8e2},
    {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},    {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x3000, 0x3000},   {0xe000, 0xf8ff},    {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},    {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},  {0x1d173, 0x1d17a},
    {0x1fffe, 0x1ffff}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
};

static bool is_printable(uint32_t c)
{
    for (size_t i = 0; i < sizeof unprintable / sizeof *unprintable; i++)
        if (c <= unprintable[i].last)
            return c < unprintable[i].first;
    return true;
}

/* The character at p, in well-formed UTF-8. */
static uint32_t utf8_char(const unsigned char *p, size_t *len)
{
    *len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = *len == 1 ? p[0] : p[0] & (0x7fu >> *len);
    for (size_t i = 1; i < *len; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static void put_char(const unsigned char *p, size_t len, uint32_t c, char quote, struct buf *out)
{
    static const char short_names[] = {['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r'};
    if (c == '\\' || c == (uint32_t)quote) {
        buf_add_char(out, '\\');
        buf_add_char(out, (char)c);
    } else if (c < sizeof short_names && short_names[c]) {
        buf_add_char(out, '\\');
        buf_add_char(out, short_names[c]);
    } else if (c >= 0x20 && is_printable(c)) {
        buf_add(out, p, len);
    } else {
        buf_add_format(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
}

static void put_text(struct str raw, struct buf *out)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    json_text(raw, &text);
    bool single = text.len && memchr(text.data, '\'', text.len);
    bool both = single && memchr(text.data, '"', text.len);
    char quote = single && !both ? '"' : '\'';
    buf_add_char(out, quote);
    for (size_t i = 0, len = 0; i < text.len; i += len) {
        const unsigned char *p = (const unsigned char *)text.data + i;
        uint32_t c = utf8_char(p, &len);
        put_char(p, len, c, quote, out);
    }
    buf_add_char(out, quote);
}

static void put_value(struct json *j, struct buf *out)
{
    struct str raw;
    const char *comma = "";
    switch (json_peek(j)) {
    case JSON_ARRAY:
        json_enter(j, '[');
        buf_add_char(out, '[');
        for (; json_item(j); comma = ", ") {
            buf_add_text(out, comma);
            put_value(j, out);
        }
        buf_add_char(out, ']');
        return;
    case JSON_OBJECT:
        json_enter(j, '{');
        buf_add_char(out, '{');
        for (; json_member(j, &raw); comma = ", ") {
            buf_add_text(out, comma);
            put_text(raw, out);
            buf_add_text(out, ": ");
            put_value(j, out);
        }
        buf_add_char(out, '}');
        return;
    case JSON_STRING:
        if (json_value(j, &raw))
            put_text(raw, out);
        return;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
    case JSON_NUMBER:
    case JSON_NONE:
        break;
    }
    if (!json_value(j, &raw))
        return;
    if (str_is(raw, "true"))
        raw = STR("True");
    else if (str_is(raw, "false"))
        raw = STR("False");
    else if (str_is(raw, "null"))
        raw = STR("None");
    buf_add_str(out, raw);
}

void python_repr(struct str raw, struct buf *out)
{
    struct json j;
    json_open(&j, raw);
    put_value(&j, out);
}
