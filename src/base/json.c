/* json.c: the cursor and the conversions; see json.h. The validator is json_scan.c. */
#include "base/json.h"

#include "base/json_scan.h"
#include "base/parse.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void json_open(struct json *j, struct str text)
{
    *j = (struct json){.due = true};
    j->start = j->at = text.ptr ? text.ptr : "";
    j->end = j->start + text.len;
}

static bool fail(struct json *j, const char *at, const char *fault)
{
    j->at = at;
    j->fault = fault;
    return false;
}

/* Fails at j->at: there stands something else, or nothing. */
static bool fail_expected(struct json *j, const char *fault)
{
    return fail(j, j->at, j->at == j->end ? JSON_FAULT_EARLY : fault);
}

static void skip_blanks(struct json *j)
{
    j->at = json_skip_blanks(j->at, j->end);
}

static enum json_type type_at(const char *p, const char *end)
{
    if (p == end)
        return JSON_NONE;
    switch (*p) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return *p == '-' || (*p >= '0' && *p <= '9') ? JSON_NUMBER : JSON_NONE;
    }
}

enum json_type json_peek(struct json *j)
{
    if (j->fault || !j->due)
        return JSON_NONE;
    skip_blanks(j);
    return type_at(j->at, j->end);
}

bool json_enter(struct json *j, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    if (j->fault)
        return false;
    assert(j->due);
    skip_blanks(j);
    if (j->at == j->end || *j->at != bracket)
        return fail_expected(j, bracket == '{' ? "expected an object" : "expected an array");
    if (j->depth == JSON_DEPTH_LIMIT)
        return fail(j, j->at, JSON_FAULT_DEEP);
    j->at++;
    j->depth++;
    j->objects = j->objects << 1 | (bracket == '{');
    j->begun <<= 1;
    j->due = false;
    return true;
}

/* Whether another element follows in the container we are in, which `close` closes; stands where it
 * begins, or has left the container. */
static bool next_element(struct json *j, char close)
{
    struct str unread;
    if (j->due && !json_value(j, &unread))
        return false;
    skip_blanks(j);
    if (j->at < j->end && *j->at == close) {
        j->at++;
        j->depth--;
        j->objects >>= 1;
        j->begun >>= 1;
        return false;
    }
    if (j->begun & 1) {
        if (j->at == j->end || *j->at != ',')
            return fail_expected(j, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        j->at = json_skip_blanks(j->at + 1, j->end);
    }
    j->begun |= 1;
    return true;
}

bool json_item(struct json *j)
{
    if (j->fault)
        return false;
    assert(j->depth && !(j->objects & 1));
    if (!next_element(j, ']'))
        return false;
    j->due = true;
    return true;
}

bool json_member(struct json *j, struct str *name)
{
    if (j->fault)
        return false;
    assert(j->depth && j->objects & 1);
    if (!next_element(j, '}'))
        return false;
    struct json_fault fault;
    const char *name_end = NULL,
               *value = json_scan_name(j->at, j->start, j->end, &name_end, &fault);
    if (!value)
        return fail(j, fault.at, fault.text);
    *name = (struct str){j->at, (size_t)(name_end - j->at)};
    j->at = value;
    j->due = true;
    return true;
}

bool json_value(struct json *j, struct str *raw)
{
    if (j->fault)
        return false;
    assert(j->due);
    skip_blanks(j);
    struct json_fault fault;
    const char *behind = json_scan(j->at, j->start, j->end, JSON_DEPTH_LIMIT, &fault);
    if (!behind)
        return fail(j, fault.at, fault.text);
    *raw = (struct str){j->at, (size_t)(behind - j->at)};
    j->at = behind;
    j->due = false;
    return true;
}

bool json_end(struct json *j)
{
    if (j->fault)
        return false;
    skip_blanks(j);
    if (j->depth || j->due)
        return fail_expected(j, "the value was not read to its end");
    return j->at == j->end || fail(j, j->at, "more than one value");
}

size_t json_fault_at(const struct json *j)
{
    return (size_t)(j->at - j->start);
}

/* True at the end of a sound text, else tells what is wrong with it. */
static bool check_end(struct json *j, size_t *fault_at, const char **fault)
{
    if (json_end(j))
        return true;
    if (fault_at)
        *fault_at = json_fault_at(j);
    if (fault)
        *fault = j->fault;
    return false;
}

bool json_check(struct str text, size_t *fault_at, const char **fault)
{
    struct json j;
    struct str raw;
    json_open(&j, text);
    (void)json_value(&j, &raw);
    return check_end(&j, fault_at, fault);
}

/* Names are seldom written with escapes. */
static bool is_wanted(struct str raw_name, const struct json_wanted *wanted)
{
    if (raw_name.len == wanted->name_len + 2 &&
        memcmp(raw_name.ptr + 1, wanted->name, wanted->name_len) == 0)
        return true;
    return memchr(raw_name.ptr, '\\', raw_name.len) && json_name_is(raw_name, wanted->name);
}

struct wanted_list {
    struct json_wanted *wanted;
    size_t count;
};

static void take_member(void *context, struct str name, struct str value)
{
    struct wanted_list *list = context;
    for (size_t i = 0; i < list->count; i++)
        if (is_wanted(name, &list->wanted[i]))
            list->wanted[i].value = value;
}

bool json_check_members(struct str text, struct json_wanted *wanted, size_t count, size_t *fault_at,
                        const char **fault)
{
    struct json j;
    struct json_fault why;
    struct wanted_list list = {wanted, count};
    for (size_t i = 0; i < count; i++)
        wanted[i].value = (struct str){NULL, 0};
    json_open(&j, text);
    if (json_peek(&j) != JSON_OBJECT)
        return json_check(text, fault_at, fault);
    const char *behind =
        json_scan_members(j.at, j.start, j.end, JSON_DEPTH_LIMIT, take_member, &list, &why);
    if (behind) {
        j.at = behind;
        j.due = false;
    } else {
        fail(&j, why.at, why.text);
    }
    return check_end(&j, fault_at, fault);
}

enum json_type json_type_of(struct str raw)
{
    return raw.len ? type_at(raw.ptr, raw.ptr + raw.len) : JSON_NONE;
}

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        uint32_t digit = (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        value = value << 4 | digit;
    }
    return value;
}

static size_t utf8_encode(uint32_t code, char out[4])
{
    static const unsigned char marks[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(marks[length] | code);
    return length;
}

/* Undoes the valid escape at *p, which is passed. Answers the number of bytes in `out`. */
static size_t undo_escape(const char **p, char out[4])
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    char c = (*p)[1];
    if (c != 'u') {
        const char *letter = strchr(letters, c);
        *out = letter ? meant[letter - letters] : c;
        *p += 2;
        return 1;
    }
    uint32_t code = hex4(*p + 2);
    *p += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(*p + 2) - 0xdc00);
        *p += 6;
    }
    return utf8_encode(code, out);
}

/* Without the quotes; false when raw is no string. */
static bool unquote(struct str *raw)
{
    if (raw->len < 2 || raw->ptr[0] != '"')
        return false;
    *raw = (struct str){raw->ptr + 1, raw->len - 2};
    return true;
}

bool json_name_is(struct str raw_name, const char *name)
{
    if (!unquote(&raw_name))
        return false;
    const char *p = raw_name.ptr, *end = p + raw_name.len;
    while (p < end) {
        char text[4];
        size_t length = 1;
        if (*p == '\\')
            length = undo_escape(&p, text);
        else
            *text = *p++;
        /* strncmp stops where `name` ends; a NUL in the text must not equal that end. */
        if (!*text || strncmp(name, text, length) != 0)
            return false;
        name += length;
    }
    return !*name;
}

bool json_text(struct str raw, struct buf *out)
{
    if (!unquote(&raw))
        return false;
    const char *p = raw.ptr, *end = p + raw.len;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        buf_add(out, p, (size_t)((escape ? escape : end) - p));
        if (!escape)
            break;
        char text[4];
        size_t length = undo_escape(&escape, text);
        buf_add(out, text, length);
        p = escape;
    }
    return true;
}

char *json_take_text(struct str raw)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    if (!json_text(raw, &text) || (text.len && memchr(text.data, '\0', text.len)))
        return NULL;
    return buf_take(&text);
}

char *json_take_shown(struct str raw)
{
    OWNED_BUF struct buf text, shown;
    buf_init(&text, BUF_NO_CAP);
    buf_init(&shown, BUF_NO_CAP);
    if (!json_text(raw, &text))
        return NULL;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i])
            buf_add_char(&shown, text.data[i]);
        else
            buf_add_text(&shown, "\xef\xbf\xbd");
    return buf_take(&shown);
}

bool json_i64(struct str raw, int64_t min, int64_t max, int64_t *out)
{
    struct err ignored;
    return parse_i64(raw, min, max, out, &ignored);
}

bool json_double(struct str raw, double *out)
{
    if (json_type_of(raw) != JSON_NUMBER)
        return false;
    /* strtod wants a NUL behind the digits, of which there may be any number. */
    OWNED_MEM char *text = xstrndup(raw.ptr, raw.len);
    double number = strtod(text, NULL);
    if (!isfinite(number))
        return false;
    *out = number;
    return true;
}

bool json_bool(struct str raw, bool *out)
{
    enum json_type type = json_type_of(raw);
    if (type != JSON_TRUE && type != JSON_FALSE)
        return false;
    *out = type == JSON_TRUE;
    return true;
}

bool json_find(struct str raw_object, const char *name, struct str *value)
{
    if (json_type_of(raw_object) != JSON_OBJECT)
        return false;
    struct json j;
    struct str member, raw;
    bool found = false;
    json_open(&j, raw_object);
    (void)json_enter(&j, '{');
    while (json_member(&j, &member) && json_value(&j, &raw))
        if (json_name_is(member, name)) {
            *value = raw;
            found = true;
        }
    return found;
}
