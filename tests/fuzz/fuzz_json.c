/* JSON: a walk with the cursor and one check of the whole agree, also on where the fault is; every
 * slice is JSON by itself; what is written from any bytes is JSON and reads back. */
#include "base/json.h"
#include "fuzz.h"

static void look_at_text(struct str raw)
{
    OWNED_BUF struct buf text, again, written;
    buf_init(&text, BUF_NO_CAP);
    buf_init(&again, BUF_NO_CAP);
    buf_init(&written, BUF_NO_CAP);
    HOLDS(json_text(raw, &text));
    HOLDS(str_is_utf8(buf_str(&text)));
    struct json_out o;
    json_out_init(&o, &written);
    json_out_str(&o, buf_str(&text));
    HOLDS(json_check(buf_str(&written), NULL, NULL));
    HOLDS(json_text(buf_str(&written), &again));
    HOLDS(str_eq(buf_str(&text), buf_str(&again)));
    OWNED_MEM char *taken = json_take_text(raw);
    HOLDS(!taken || json_name_is(raw, taken));
}

static void look_at_number(struct str raw)
{
    int64_t whole;
    double real;
    if (json_i64(raw, INT64_MIN, INT64_MAX, &whole)) {
        OWNED_BUF struct buf digits;
        buf_init(&digits, BUF_NO_CAP);
        buf_add_i64(&digits, whole);
        HOLDS(str_eq(buf_str(&digits), raw) || str_is(raw, "-0"));
    }
    if (json_double(raw, &real)) {
        OWNED_BUF struct buf written;
        struct json_out o;
        double back;
        buf_init(&written, BUF_NO_CAP);
        json_out_init(&o, &written);
        json_out_double(&o, real);
        HOLDS(json_double(buf_str(&written), &back) && back == real);
    }
}

static void look_at_slice(struct str raw)
{
    bool flag;
    struct str found;
    enum json_type type = json_type_of(raw);
    HOLDS(type != JSON_NONE);
    HOLDS(json_check(raw, NULL, NULL));
    if (type == JSON_STRING)
        look_at_text(raw);
    else if (type == JSON_NUMBER)
        look_at_number(raw);
    HOLDS(json_bool(raw, &flag) == (type == JSON_TRUE || type == JSON_FALSE));
    HOLDS(type == JSON_OBJECT || !json_find(raw, "a", &found));
}

/* Looking for members changes nothing about what is JSON, nor about where the fault is, and finds
 * what a search finds. */
static void look_for_members(struct str text)
{
    struct json_wanted wanted[2] = {{"a", 1, {NULL, 0}}, {"", 0, {NULL, 0}}};
    size_t at = 0, wanted_at = 0;
    const char *fault = NULL, *wanted_fault = NULL;
    bool sound = json_check(text, &at, &fault);
    HOLDS(json_check_members(text, wanted, 2, &wanted_at, &wanted_fault) == sound);
    if (!sound) {
        HOLDS(at == wanted_at && strcmp(fault, wanted_fault) == 0);
        return;
    }
    struct json j;
    struct str raw, found;
    json_open(&j, text);
    HOLDS(json_value(&j, &raw));
    for (size_t i = 0; i < 2; i++)
        if (json_find(raw, wanted[i].name, &found))
            HOLDS(found.ptr == wanted[i].value.ptr && found.len == wanted[i].value.len);
        else
            HOLDS(!wanted[i].value.ptr);
}

static bool walk(struct json *j)
{
    struct str raw;
    switch (json_peek(j)) {
    case JSON_OBJECT:
        if (!json_enter(j, '{'))
            return false;
        while (json_member(j, &raw)) {
            look_at_slice(raw);
            if (!walk(j))
                return false;
        }
        return !j->fault;
    case JSON_ARRAY:
        if (!json_enter(j, '['))
            return false;
        while (json_item(j))
            if (!walk(j))
                return false;
        return !j->fault;
    default:
        if (!json_value(j, &raw))
            return false;
        look_at_slice(raw);
        return true;
    }
}

/* Sees each outermost element as one slice. */
static void slice(struct str text)
{
    struct json j;
    struct str raw;
    json_open(&j, text);
    enum json_type type = json_peek(&j);
    if (type == JSON_ARRAY && json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &raw))
            look_at_slice(raw);
    else if (type == JSON_OBJECT && json_enter(&j, '{'))
        while (json_member(&j, &raw) && json_value(&j, &raw))
            look_at_slice(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct json j;
    size_t fault_at = 0;
    const char *fault = NULL;
    bool ok = json_check(text, &fault_at, &fault);
    json_open(&j, text);
    HOLDS((walk(&j) && json_end(&j)) == ok);
    HOLDS(ok || (json_fault_at(&j) == fault_at && strcmp(j.fault, fault) == 0));
    HOLDS(fault_at <= size);
    HOLDS(!ok || str_is_utf8(text));
    slice(text);
    look_for_members(text);

    OWNED_BUF struct buf written;
    struct json_out o;
    buf_init(&written, BUF_NO_CAP);
    json_out_init(&o, &written);
    json_out_str(&o, text);
    HOLDS(json_check(buf_str(&written), NULL, NULL));
    return 0;
}
