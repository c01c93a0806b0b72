/* step_tag.c: see step_tag.h. */
#include "core/step_tag.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdlib.h>

const char *const step_tag_type_names[STEP_TAG_TYPE_COUNT] = {
    "KeyOnly", "String", "Integer", "Float", "Boolean", "Date", "Time", "Timestamp"};

/* --- what a value is --- */

/* Whether the text has this form: 9 stands for a digit, all else for itself. */
static bool has_form(struct str text, const char *form)
{
    if (text.len != strlen(form))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        if (form[i] == '9' ? !digit : form[i] != text.ptr[i])
            return false;
    }
    return true;
}

static bool is_date(struct str text)
{
    return has_form(text, "9999-99-99");
}

static bool is_time(struct str text)
{
    return has_form(text, "99:99") || has_form(text, "99:99:99");
}

/* A date and a time behind it, with a zone or without. */
static bool looks_like_timestamp(struct str text)
{
    return text.len >= 16 && is_date((struct str){text.ptr, 10}) &&
           (text.ptr[10] == 'T' || text.ptr[10] == 't' || text.ptr[10] == ' ') &&
           has_form((struct str){text.ptr + 11, 5}, "99:99");
}

static enum step_tag_type type_of(struct str value)
{
    int64_t at_us = 0, whole = 0;
    double number = 0;
    bool json = json_check(value, NULL, NULL) && json_type_of(value) == JSON_NUMBER;
    if (str_is(value, "true") || str_is(value, "false"))
        return STEP_TAG_BOOLEAN;
    if (json && json_i64(value, INT64_MIN, INT64_MAX, &whole))
        return STEP_TAG_INTEGER;
    if (json && json_double(value, &number))
        return STEP_TAG_FLOAT;
    if (is_date(value))
        return STEP_TAG_DATE;
    if (is_time(value))
        return STEP_TAG_TIME;
    return clock_parse(value, &at_us) ? STEP_TAG_TIMESTAMP : STEP_TAG_STRING;
}

void step_tag_split(struct str tag, struct step_tag *out)
{
    const char *sign = tag.len ? memchr(tag.ptr, '=', tag.len) : NULL;
    if (!sign) {
        *out = (struct step_tag){.key = str_trim(tag), .type = STEP_TAG_KEY_ONLY};
        return;
    }
    size_t len = (size_t)(sign - tag.ptr);
    out->key = str_trim((struct str){tag.ptr, len});
    out->value = str_trim((struct str){sign + 1, tag.len - len - 1});
    out->type = type_of(out->value);
}

/* --- lists --- */

static size_t char_count(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return true;
    return false;
}

/* Whether it may be one, split; what is said of it otherwise. */
static const char *fault_of(struct str tag, const struct step_tag *split)
{
    if (!str_is_utf8(tag) || has_control(tag))
        return "is no text of UTF-8 without control characters";
    if (split->key.len == 0)
        return "has nothing before its =, or is empty";
    if (char_count(split->key) > STEP_TAG_MAX_CHARS ||
        char_count(split->value) > STEP_TAG_MAX_CHARS)
        return "has more than 1024 characters";
    if (split->type == STEP_TAG_STRING && looks_like_timestamp(split->value))
        return "has a timestamp that is none, or has no zone";
    return NULL;
}

/* As it is kept: trimmed around key and value. */
static char *make(const struct step_tag *split)
{
    if (split->type == STEP_TAG_KEY_ONLY)
        return xstrndup(split->key.ptr, split->key.len);
    return xasprintf("%.*s=%.*s", (int)split->key.len, split->key.ptr, (int)split->value.len,
                     split->value.ptr ? split->value.ptr : "");
}

static void add(struct step_tags *tags, char *tag)
{
    if (step_tags_have(tags, str_of(tag))) {
        free(tag);
        return;
    }
    tags->items = xrealloc(tags->items, (tags->count + 2) * sizeof *tags->items);
    tags->items[tags->count++] = tag;
    tags->items[tags->count] = NULL;
}

bool step_tags_make(const struct str *tags, size_t count, struct step_tags *out, struct err *err)
{
    struct step_tags made = {0};
    if (count > STEP_TAGS_MAX)
        return err_set(err, ERR_INVALID, "there are %zu tags, more than %d", count, STEP_TAGS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct step_tag split = {.type = STEP_TAG_KEY_ONLY};
        step_tag_split(tags[i], &split);
        const char *fault = fault_of(tags[i], &split);
        if (fault) {
            step_tags_release(&made);
            return err_set(err, ERR_INVALID, "tag %zu %s", i + 1, fault);
        }
        add(&made, make(&split));
    }
    *out = made;
    return true;
}

void step_tags_copy(const struct step_tags *from, struct step_tags *out)
{
    *out = (struct step_tags){0};
    if (from->count == 0)
        return;
    out->items = xcalloc(from->count + 1, sizeof *out->items);
    for (; out->count < from->count; out->count++)
        out->items[out->count] = xstrdup(from->items[out->count]);
}

void step_tags_release(struct step_tags *tags)
{
    for (size_t i = 0; i < tags->count; i++)
        free(tags->items[i]);
    free(tags->items);
    *tags = (struct step_tags){0};
}

bool step_tags_have(const struct step_tags *tags, struct str tag)
{
    for (size_t i = 0; i < tags->count; i++)
        if (str_is(tag, tags->items[i]))
            return true;
    return false;
}

bool step_tags_same(const struct step_tags *a, const struct step_tags *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

void step_tags_write(const struct step_tags *tags, struct buf *out)
{
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '[');
    for (size_t i = 0; i < tags->count; i++)
        json_out_text(&o, tags->items[i]);
    json_out_close(&o, ']');
}

void step_tags_read(struct str json, struct step_tags *out)
{
    struct json j;
    struct str raw;
    *out = (struct step_tags){0};
    if (json.len == 0 || !json_check(json, NULL, NULL) || json_type_of(json) != JSON_ARRAY)
        return;
    json_open(&j, json);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &raw)) {
            char *tag = json_take_text(raw);
            if (tag)
                add(out, tag);
        }
}
