/* json_schema.c: see json_schema.h. The schema is read as it is needed; what it takes is bounded by
 * a count of schemas that are applied. Of a value that several schemas may allow, oneOf is read as
 * anyOf: keywords that are passed over could make two of them fit where only one does. */
#include "core/json_schema.h"

#include "base/json.h"
#include "base/parse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WORK_MAX = 100000,
    WORK_MAX_BYTES = 512 << 20,
    DEPTH_MAX = 128,
    PATH_MAX_BYTES = 200,
    SHOWN_BYTES = 60
};

enum keyword {
    KEY_TYPE,
    KEY_ENUM,
    KEY_CONST,
    KEY_PROPERTIES,
    KEY_REQUIRED,
    KEY_ADDITIONAL_PROPERTIES,
    KEY_PATTERN_PROPERTIES,
    KEY_MIN_PROPERTIES,
    KEY_MAX_PROPERTIES,
    KEY_ITEMS,
    KEY_PREFIX_ITEMS,
    KEY_MIN_ITEMS,
    KEY_MAX_ITEMS,
    KEY_MINIMUM,
    KEY_MAXIMUM,
    KEY_EXCLUSIVE_MINIMUM,
    KEY_EXCLUSIVE_MAXIMUM,
    KEY_MULTIPLE_OF,
    KEY_MIN_LENGTH,
    KEY_MAX_LENGTH,
    KEY_ANY_OF,
    KEY_ONE_OF,
    KEY_ALL_OF,
    KEY_REF,
    KEYWORD_COUNT
};

static const char *const keywords[KEYWORD_COUNT] = {[KEY_TYPE] = "type",
                                                    [KEY_ENUM] = "enum",
                                                    [KEY_CONST] = "const",
                                                    [KEY_PROPERTIES] = "properties",
                                                    [KEY_REQUIRED] = "required",
                                                    [KEY_ADDITIONAL_PROPERTIES] =
                                                        "additionalProperties",
                                                    [KEY_PATTERN_PROPERTIES] = "patternProperties",
                                                    [KEY_MIN_PROPERTIES] = "minProperties",
                                                    [KEY_MAX_PROPERTIES] = "maxProperties",
                                                    [KEY_ITEMS] = "items",
                                                    [KEY_PREFIX_ITEMS] = "prefixItems",
                                                    [KEY_MIN_ITEMS] = "minItems",
                                                    [KEY_MAX_ITEMS] = "maxItems",
                                                    [KEY_MINIMUM] = "minimum",
                                                    [KEY_MAXIMUM] = "maximum",
                                                    [KEY_EXCLUSIVE_MINIMUM] = "exclusiveMinimum",
                                                    [KEY_EXCLUSIVE_MAXIMUM] = "exclusiveMaximum",
                                                    [KEY_MULTIPLE_OF] = "multipleOf",
                                                    [KEY_MIN_LENGTH] = "minLength",
                                                    [KEY_MAX_LENGTH] = "maxLength",
                                                    [KEY_ANY_OF] = "anyOf",
                                                    [KEY_ONE_OF] = "oneOf",
                                                    [KEY_ALL_OF] = "allOf",
                                                    [KEY_REF] = "$ref"};

/* What a schema says, read in one pass. */
struct schema {
    struct json_wanted says[KEYWORD_COUNT];
};

static bool read_schema(struct str raw, struct schema *out)
{
    for (size_t i = 0; i < KEYWORD_COUNT; i++)
        out->says[i] = (struct json_wanted){.name = keywords[i], .name_len = strlen(keywords[i])};
    return json_check_members(raw, out->says, KEYWORD_COUNT, NULL, NULL);
}

static bool says(const struct schema *schema, enum keyword key, struct str *out)
{
    *out = schema->says[key].value;
    return out->ptr != NULL;
}

struct checking {
    struct str root;
    struct err *err;
    int work;      /* schemas that may still be applied */
    int64_t bytes; /* of the schema and the value that may still be read: again and again, too */
    int depth;     /* of them within each other */
    bool given;    /* the outermost object is not whole yet */
    char path[PATH_MAX_BYTES];
};

static bool check(struct checking *c, struct str schema, struct str value);

/* --- what goes wrong --- */

static bool wrong(struct checking *c, const char *expected, struct str value)
{
    int len = value.len > SHOWN_BYTES ? SHOWN_BYTES : (int)value.len;
    /* Not within a character. */
    while (len > 0 && (size_t)len < value.len && ((unsigned char)value.ptr[len] & 0xc0) == 0x80)
        len--;
    return err_set(c->err, ERR_INVALID, "%s: expected %s, not %.*s%s", c->path, expected, len,
                   value.ptr, (size_t)len < value.len ? "..." : "");
}

/* Goes into a member; returns where the path ended before. */
static size_t enter_member(struct checking *c, const char *name)
{
    size_t before = strlen(c->path);
    snprintf(c->path + before, sizeof c->path - before, ".%.100s", name);
    return before;
}

static size_t enter_item(struct checking *c, size_t index)
{
    size_t before = strlen(c->path);
    snprintf(c->path + before, sizeof c->path - before, "[%zu]", index);
    return before;
}

static void path_leave(struct checking *c, size_t before)
{
    c->path[before] = '\0';
}

/* --- values --- */

static bool is_whole(struct str raw)
{
    double number = 0;
    int64_t whole = 0;
    if (json_type_of(raw) != JSON_NUMBER)
        return false;
    return json_i64(raw, INT64_MIN, INT64_MAX, &whole) || !json_double(raw, &number) ||
           number == floor(number);
}

static bool same_numbers(struct str a, struct str b)
{
    int64_t x = 0, y = 0;
    double p = 0, q = 0;
    if (json_i64(a, INT64_MIN, INT64_MAX, &x) && json_i64(b, INT64_MIN, INT64_MAX, &y))
        return x == y;
    if (json_double(a, &p) && json_double(b, &q))
        return p == q;
    return str_eq(a, b);
}

static bool same_texts(struct str a, struct str b)
{
    OWNED_BUF struct buf x;
    OWNED_BUF struct buf y;
    buf_init(&x, BUF_NO_CAP);
    buf_init(&y, BUF_NO_CAP);
    if (str_eq(a, b))
        return true;
    return json_text(a, &x) && json_text(b, &y) && str_eq(buf_str(&x), buf_str(&y));
}

static bool same_lists(struct str a, struct str b)
{
    struct json x, y;
    struct str p, q;
    json_open(&x, a);
    json_open(&y, b);
    if (!json_enter(&x, '[') || !json_enter(&y, '['))
        return false;
    for (;;) {
        bool more = json_item(&x), other = json_item(&y);
        if (!more || !other)
            return more == other;
        if (!json_value(&x, &p) || !json_value(&y, &q) || !json_same(p, q))
            return false;
    }
}

/* Whether each member of a is in b, the same. */
static bool is_within(struct str a, struct str b)
{
    struct json j;
    struct str name, value, other;
    json_open(&j, a);
    if (!json_enter(&j, '{'))
        return false;
    while (json_member(&j, &name) && json_value(&j, &value)) {
        OWNED_MEM char *text = json_take_text(name);
        if (!text || !json_find(b, text, &other) || !json_same(value, other))
            return false;
    }
    return true;
}

bool json_same(struct str a, struct str b)
{
    enum json_type type = json_type_of(a);
    if (type != json_type_of(b))
        return false;
    switch (type) {
    case JSON_NUMBER:
        return same_numbers(a, b);
    case JSON_STRING:
        return same_texts(a, b);
    case JSON_ARRAY:
        return same_lists(a, b);
    case JSON_OBJECT:
        return is_within(a, b) && is_within(b, a);
    default:
        return true;
    }
}

/* --- keywords of all values --- */

static bool has_type(struct str value, struct str name)
{
    static const struct {
        const char *name;
        enum json_type type;
    } names[] = {{"object", JSON_OBJECT}, {"array", JSON_ARRAY}, {"string", JSON_STRING},
                 {"number", JSON_NUMBER}, {"null", JSON_NULL},   {"boolean", JSON_TRUE},
                 {"boolean", JSON_FALSE}};
    enum json_type type = json_type_of(value);
    bool known = json_name_is(name, "integer");
    if (known && is_whole(value))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_name_is(name, names[i].name)) {
            known = true;
            if (names[i].type == type)
                return true;
        }
    return !known; /* a type of somebody's own */
}

static bool check_type(struct checking *c, const struct schema *schema, struct str value)
{
    struct str type, name;
    struct json j;
    if (!says(schema, KEY_TYPE, &type))
        return true;
    if (json_type_of(type) == JSON_STRING) {
        OWNED_MEM char *word = json_take_text(type);
        char expected[64];
        if (has_type(value, type))
            return true;
        bool vowel = word && strchr("aeiou", word[0]);
        snprintf(expected, sizeof expected, "a%s %.40s", vowel ? "n" : "", word ? word : "value");
        return wrong(c, word && strcmp(word, "null") == 0 ? "null" : expected, value);
    }
    if (json_type_of(type) != JSON_ARRAY)
        return true;
    json_open(&j, type);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &name))
            if (json_type_of(name) != JSON_STRING || has_type(value, name))
                return true;
    return wrong(c, "a value of another type", value);
}

static bool check_const(struct checking *c, const struct schema *schema, struct str value)
{
    struct str wanted, item;
    struct json j;
    if (says(schema, KEY_CONST, &wanted) && !json_same(wanted, value))
        return wrong(c, "the one value that is allowed", value);
    if (!says(schema, KEY_ENUM, &wanted) || json_type_of(wanted) != JSON_ARRAY)
        return true;
    json_open(&j, wanted);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item))
            if (json_same(item, value))
                return true;
    return wrong(c, "one of the values that are allowed", value);
}

/* --- numbers, texts --- */

static bool limit_of(const struct schema *schema, enum keyword key, double *out)
{
    struct str raw;
    return says(schema, key, &raw) && json_double(raw, out);
}

static bool check_multiple(struct checking *c, const struct schema *schema, struct str value)
{
    struct str raw;
    int64_t of = 0, number = 0;
    if (says(schema, KEY_MULTIPLE_OF, &raw) && json_i64(raw, 1, INT64_MAX, &of) &&
        json_i64(value, INT64_MIN, INT64_MAX, &number) && number % of != 0)
        return wrong(c, "a multiple of what is asked for", value);
    return true;
}

static bool check_number(struct checking *c, const struct schema *schema, struct str value)
{
    static const struct {
        enum keyword key;
        int sign;
        bool excludes;
    } limits[] = {{KEY_MINIMUM, 1, false},
                  {KEY_EXCLUSIVE_MINIMUM, 1, true},
                  {KEY_MAXIMUM, -1, false},
                  {KEY_EXCLUSIVE_MAXIMUM, -1, true}};
    double number = 0, limit = 0;
    if (!json_double(value, &number))
        return true;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (!limit_of(schema, limits[i].key, &limit))
            continue;
        double above = limits[i].sign > 0 ? number - limit : limit - number;
        if (above < 0 || (limits[i].excludes && number == limit)) {
            char expected[80];
            snprintf(expected, sizeof expected, "a number %s%s %g",
                     limits[i].sign > 0 ? "above" : "below",
                     limits[i].excludes ? "" : " or equal to", limit);
            return wrong(c, expected, value);
        }
    }
    return check_multiple(c, schema, value);
}

static double char_count(struct str raw)
{
    OWNED_BUF struct buf text;
    double count = 0;
    buf_init(&text, BUF_NO_CAP);
    if (!json_text(raw, &text))
        return 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

/* A count of characters, elements or members between two limits. */
static bool check_count(struct checking *c, const struct schema *schema, enum keyword least,
                        enum keyword most, double count, const char *of, struct str value)
{
    double limit = 0;
    char expected[80];
    if (limit_of(schema, least, &limit) && count < limit)
        snprintf(expected, sizeof expected, "at least %g %s", limit, of);
    else if (limit_of(schema, most, &limit) && count > limit)
        snprintf(expected, sizeof expected, "at most %g %s", limit, of);
    else
        return true;
    return wrong(c, expected, value);
}

static bool check_text(struct checking *c, const struct schema *schema, struct str value)
{
    struct str ignored;
    if (!says(schema, KEY_MIN_LENGTH, &ignored) && !says(schema, KEY_MAX_LENGTH, &ignored))
        return true;
    return check_count(c, schema, KEY_MIN_LENGTH, KEY_MAX_LENGTH, char_count(value), "characters",
                       value);
}

/* --- lists, objects --- */

/* The schema of an element by its place; false: none says anything of it. */
static bool schema_of_item(struct checking *c, const struct schema *schema, size_t index,
                           struct str *out)
{
    struct str list, item;
    struct json j;
    if (!says(schema, KEY_PREFIX_ITEMS, &list) || json_type_of(list) != JSON_ARRAY)
        return says(schema, KEY_ITEMS, out);
    c->bytes -= (int64_t)list.len;
    json_open(&j, list);
    if (json_enter(&j, '['))
        for (size_t i = 0; json_item(&j) && json_value(&j, &item); i++)
            if (i == index) {
                *out = item;
                return true;
            }
    return says(schema, KEY_ITEMS, out);
}

static bool check_list(struct checking *c, const struct schema *schema, struct str value)
{
    struct json j;
    struct str item, of;
    size_t count = 0;
    json_open(&j, value);
    if (!json_enter(&j, '['))
        return true;
    for (; json_item(&j) && json_value(&j, &item); count++) {
        if (c->bytes <= 0 || !schema_of_item(c, schema, count, &of) ||
            json_type_of(of) == JSON_ARRAY)
            continue;
        size_t before = enter_item(c, count);
        if (!check(c, of, item))
            return false;
        path_leave(c, before);
    }
    return check_count(c, schema, KEY_MIN_ITEMS, KEY_MAX_ITEMS, (double)count, "elements", value);
}

/* What says something of a member: its property, or what is said of all others. */
static bool schema_of_member(struct checking *c, const struct schema *schema, const char *name,
                             struct str *out)
{
    struct str properties, ignored;
    if (says(schema, KEY_PROPERTIES, &properties)) {
        c->bytes -= (int64_t)properties.len;
        if (json_find(properties, name, out))
            return true;
    }
    return !says(schema, KEY_PATTERN_PROPERTIES, &ignored) &&
           says(schema, KEY_ADDITIONAL_PROPERTIES, out);
}

static bool check_members(struct checking *c, const struct schema *schema, struct str value,
                          size_t *count)
{
    struct json j;
    struct str raw, member, of;
    json_open(&j, value);
    if (!json_enter(&j, '{'))
        return true;
    for (; json_member(&j, &raw) && json_value(&j, &member); ++*count) {
        if (c->bytes <= 0)
            continue;
        OWNED_MEM char *name = json_take_text(raw);
        if (!name || !schema_of_member(c, schema, name, &of))
            continue;
        size_t before = enter_member(c, name);
        if (json_type_of(of) == JSON_FALSE)
            return err_set(c->err, ERR_INVALID, "%s: there is no such member", c->path);
        if (!check(c, of, member))
            return false;
        path_leave(c, before);
    }
    return true;
}

static bool check_object(struct checking *c, const struct schema *schema, struct str value)
{
    struct str required, raw, ignored;
    struct json j;
    size_t count = 0;
    bool partial = c->given && c->depth == 1;
    if (!partial && says(schema, KEY_REQUIRED, &required) && json_type_of(required) == JSON_ARRAY) {
        json_open(&j, required);
        if (json_enter(&j, '['))
            while (c->bytes > 0 && json_item(&j) && json_value(&j, &raw)) {
                OWNED_MEM char *name = json_take_text(raw);
                c->bytes -= (int64_t)value.len;
                if (name && !json_find(value, name, &ignored))
                    return err_set(c->err, ERR_INVALID, "%s: the member %.60s is missing", c->path,
                                   name);
            }
    }
    return check_members(c, schema, value, &count) &&
           check_count(c, schema, KEY_MIN_PROPERTIES, KEY_MAX_PROPERTIES, (double)count, "members",
                       value);
}

/* --- schemas within schemas --- */

static bool check_any(struct checking *c, struct str list, struct str value)
{
    struct json j;
    struct str one;
    struct err first = {0}, *told = c->err;
    size_t before = strlen(c->path);
    if (json_type_of(list) != JSON_ARRAY)
        return true;
    json_open(&j, list);
    if (!json_enter(&j, '['))
        return true;
    for (bool any = false; json_item(&j) && json_value(&j, &one); any = true) {
        struct err err = {0};
        c->err = &err;
        bool fits = check(c, one, value);
        c->err = told;
        path_leave(c, before);
        if (fits)
            return true;
        if (!any)
            first = err;
    }
    if (first.code == ERR_NONE)
        return true; /* an empty list says nothing */
    *told = first;
    return false;
}

static bool check_all(struct checking *c, struct str list, struct str value)
{
    struct json j;
    struct str one;
    if (json_type_of(list) != JSON_ARRAY)
        return true;
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &one))
            if (!check(c, one, value))
                return false;
    return true;
}

/* The n-th element of a list. */
static bool element(struct str list, const char *digits, struct str *out)
{
    struct json j;
    struct err ignored;
    int64_t wanted = 0;
    json_open(&j, list);
    if (json_type_of(list) != JSON_ARRAY || !json_enter(&j, '['))
        return false;
    if (!parse_i64(str_of(digits), 0, INT32_MAX, &wanted, &ignored))
        return false;
    for (int64_t i = 0; json_item(&j) && json_value(&j, out); i++)
        if (i == wanted)
            return true;
    return false;
}

/* ~1 is a slash and ~0 a tilde in a pointer's word. */
static void undo_escapes(char *word)
{
    char *to = word;
    for (const char *at = word; *at; at++)
        if (at[0] == '~' && (at[1] == '0' || at[1] == '1'))
            *to++ = *++at == '0' ? '~' : '/';
        else
            *to++ = *at;
    *to = '\0';
}

/* What a reference within the schema means. */
static bool follow(struct checking *c, struct str ref, struct str *out)
{
    OWNED_MEM char *text = json_take_text(ref);
    struct str at = c->root, next;
    if (!text || text[0] != '#')
        return false;
    for (char *word = text[1] == '/' ? text + 2 : NULL; word;) {
        char *slash = strchr(word, '/');
        if (slash)
            *slash = '\0';
        undo_escapes(word);
        c->bytes -= (int64_t)at.len;
        if (!json_find(at, word, &next) && !element(at, word, &next))
            return false;
        at = next;
        word = slash ? slash + 1 : NULL;
    }
    *out = at;
    return text[1] == '\0' || text[1] == '/';
}

static bool check_within(struct checking *c, const struct schema *schema, struct str value)
{
    struct str part, place;
    return (!says(schema, KEY_REF, &part) || !follow(c, part, &place) || check(c, place, value)) &&
           (!says(schema, KEY_ANY_OF, &part) || check_any(c, part, value)) &&
           (!says(schema, KEY_ONE_OF, &part) || check_any(c, part, value)) &&
           (!says(schema, KEY_ALL_OF, &part) || check_all(c, part, value));
}

static bool check_value(struct checking *c, const struct schema *schema, struct str value)
{
    switch (json_type_of(value)) {
    case JSON_NUMBER:
        return check_number(c, schema, value);
    case JSON_STRING:
        return check_text(c, schema, value);
    case JSON_ARRAY:
        return check_list(c, schema, value);
    case JSON_OBJECT:
        return check_object(c, schema, value);
    default:
        return true;
    }
}

static bool check(struct checking *c, struct str schema, struct str value)
{
    enum json_type type = json_type_of(schema);
    if (type == JSON_FALSE)
        return wrong(c, "nothing", value);
    if (type != JSON_OBJECT || c->work <= 0 || c->bytes <= 0 || c->depth >= DEPTH_MAX)
        return true;
    struct schema s;
    c->bytes -= (int64_t)schema.len;
    if (!read_schema(schema, &s))
        return true;
    c->work--;
    c->depth++;
    bool ok = check_type(c, &s, value) && check_const(c, &s, value) && check_value(c, &s, value) &&
              check_within(c, &s, value);
    c->depth--;
    return ok;
}

bool json_schema_check(struct str schema, struct str value, const char *name, struct err *err)
{
    struct checking c = {.root = schema, .err = err, .work = WORK_MAX, .bytes = WORK_MAX_BYTES};
    snprintf(c.path, sizeof c.path, "%s", name);
    return check(&c, schema, str_trim(value));
}

bool json_schema_check_given(struct str schema, struct str object, const char *name,
                             struct err *err)
{
    struct checking c = {
        .root = schema, .err = err, .work = WORK_MAX, .bytes = WORK_MAX_BYTES, .given = true};
    snprintf(c.path, sizeof c.path, "%s", name);
    return check(&c, schema, str_trim(object));
}

/* --- an object's properties --- */

static bool default_of(struct str schema, const char *name, struct str *out)
{
    struct str properties, property;
    return json_find(schema, "properties", &properties) && json_find(properties, name, &property) &&
           json_find(property, "default", out);
}

bool json_schema_complete(struct str schema, struct str given, struct str defaults,
                          struct str *missing)
{
    struct str required, raw, ignored;
    struct json j;
    if (!json_find(schema, "required", &required) || json_type_of(required) != JSON_ARRAY)
        return true;
    json_open(&j, required);
    if (!json_enter(&j, '['))
        return true;
    while (json_item(&j) && json_value(&j, &raw)) {
        OWNED_MEM char *name = json_take_text(raw);
        if (!name || json_find(given, name, &ignored) || json_find(defaults, name, &ignored) ||
            default_of(schema, name, &ignored))
            continue;
        *missing = raw;
        return false;
    }
    return true;
}

/* Writes the members of an object that are in none of the two others. */
static void fill_from(struct str object, struct str but, struct str nor, struct buf *out, bool *any)
{
    struct json j;
    struct str raw, value, ignored;
    json_open(&j, object);
    if (object.len == 0 || json_type_of(object) != JSON_OBJECT || !json_enter(&j, '{'))
        return;
    while (json_member(&j, &raw) && json_value(&j, &value)) {
        OWNED_MEM char *name = json_take_text(raw);
        if (name && (json_find(but, name, &ignored) || json_find(nor, name, &ignored)))
            continue;
        buf_add_text(out, *any ? "," : "");
        buf_add_str(out, raw);
        buf_add_char(out, ':');
        buf_add_str(out, value);
        *any = true;
    }
}

static void fill_defaults(struct str schema, struct str given, struct str defaults, struct buf *out,
                          bool *any)
{
    struct json j;
    struct str properties, raw, property, value, ignored;
    if (!json_find(schema, "properties", &properties) || json_type_of(properties) != JSON_OBJECT)
        return;
    json_open(&j, properties);
    if (!json_enter(&j, '{'))
        return;
    while (json_member(&j, &raw) && json_value(&j, &property)) {
        OWNED_MEM char *name = json_take_text(raw);
        if (!name || !json_find(property, "default", &value) || json_find(given, name, &ignored) ||
            json_find(defaults, name, &ignored))
            continue;
        buf_add_text(out, *any ? "," : "");
        buf_add_str(out, raw);
        buf_add_char(out, ':');
        buf_add_str(out, value);
        *any = true;
    }
}

void json_schema_fill(struct str schema, struct str given, struct str defaults, struct buf *out)
{
    struct str none = {NULL, 0};
    bool any = false;
    buf_add_char(out, '{');
    fill_from(given, none, none, out, &any);
    fill_from(defaults, given, none, out, &any);
    fill_defaults(schema, given, defaults, out, &any);
    buf_add_char(out, '}');
}
