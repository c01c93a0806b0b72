/* native_value.c: see native_value.h. */
#include "http/native/native_value.h"

#include "base/clock.h"
#include "core/retry.h"
#include "core/task.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_BYTES = 60, IDS_FIRST = 16 };

int value_shown(struct str text)
{
    return text.len > SHOWN_BYTES ? SHOWN_BYTES : (int)text.len;
}

bool value_wrong(struct err *err, const char *name, const char *expected, struct str raw)
{
    return err_set(err, ERR_INVALID, "%s: expected %s, not %.*s", name, expected, value_shown(raw),
                   raw.ptr);
}

bool value_unknown(struct err *err, struct str raw_name)
{
    return err_set(err, ERR_INVALID, "unknown member %.*s", value_shown(raw_name), raw_name.ptr);
}

bool value_once(struct json_names *seen, struct str raw_name, struct err *err)
{
    struct str name = {raw_name.ptr + 1, raw_name.len - 2};
    return json_names_add(seen, raw_name) ||
           err_set(err, ERR_INVALID, "%.*s: is given twice", value_shown(name), name.ptr);
}

static bool next_once(struct json *j, struct err *err);

static bool object_once(struct json *j, struct err *err)
{
    struct json_names seen = {0};
    struct str name;
    json_enter(j, '{');
    while (json_member(j, &name)) {
        if (!value_once(&seen, name, err))
            return false;
        if (next_once(j, err))
            continue;
        struct str text = {name.ptr + 1, name.len - 2};
        OWNED_MEM char *place = xstrndup(text.ptr, (size_t)value_shown(text));
        return value_within(err, place);
    }
    return true;
}

static bool list_once(struct json *j, struct err *err)
{
    json_enter(j, '[');
    for (size_t i = 0; json_item(j); i++)
        if (!next_once(j, err))
            return value_place(err, "", i);
    return true;
}

/* The value that comes next, by one cursor for all levels: each byte is read once. It calls itself
 * JSON_DEPTH_LIMIT times at most. */
static bool next_once(struct json *j, struct err *err)
{
    struct str raw;
    switch (json_peek(j)) {
    case JSON_OBJECT:
        return object_once(j, err);
    case JSON_ARRAY:
        return list_once(j, err);
    default:
        json_value(j, &raw);
        return true;
    }
}

bool value_all_once(struct str raw, struct err *err)
{
    struct json j;
    json_open(&j, raw);
    return next_once(&j, err);
}

bool value_within(struct err *err, const char *place)
{
    struct err inner = *err;
    const char *joint = inner.text[0] == '['                     ? ""
                        : strncmp(inner.text, "unknown", 7) == 0 ? ": "
                                                                 : ".";
    return err_set(err, inner.code, "%s%s%s", place, joint, inner.text);
}

bool value_place(struct err *err, const char *list, size_t index)
{
    OWNED_MEM char *place = xasprintf("%s[%zu]", list, index);
    return value_within(err, place);
}

bool value_fault(struct err *err, const struct json *j)
{
    return err_set(err, ERR_INVALID, "body: byte %zu: %s", json_fault_at(j), j->fault);
}

static bool is_null(struct str raw)
{
    return json_type_of(raw) == JSON_NULL;
}

bool value_i64(const char *name, struct str raw, int64_t min, int64_t max, int64_t *out,
               struct err *err)
{
    if (is_null(raw) || json_i64(raw, min, max, out))
        return true;
    return err_set(err, ERR_INVALID, "%s: expected a whole number from %lld to %lld, not %.*s",
                   name, (long long)min, (long long)max, value_shown(raw), raw.ptr);
}

bool value_double(const char *name, struct str raw, double min, double max, double *out,
                  struct err *err)
{
    double number = NAN;
    if (is_null(raw))
        return true;
    if (!json_double(raw, &number) || !(number >= min && number <= max))
        return err_set(err, ERR_INVALID, "%s: expected a number from %g to %g, not %.*s", name, min,
                       max, value_shown(raw), raw.ptr);
    *out = number;
    return true;
}

bool value_seconds(const char *name, struct str raw, int64_t min_us, int64_t max_us,
                   int64_t *out_us, struct err *err)
{
    double seconds = NAN;
    if (is_null(raw))
        return true;
    if (!json_double(raw, &seconds) ||
        !(seconds * 1e6 >= (double)min_us && seconds * 1e6 <= (double)max_us))
        return err_set(err, ERR_INVALID, "%s: expected seconds from %g to %g, not %.*s", name,
                       (double)min_us / 1e6, (double)max_us / 1e6, value_shown(raw), raw.ptr);
    *out_us = (int64_t)(seconds * 1e6);
    return true;
}

bool value_bool(const char *name, struct str raw, bool *out, struct err *err)
{
    return is_null(raw) || json_bool(raw, out) || value_wrong(err, name, "true or false", raw);
}

bool value_word(const char *name, struct str raw, const char *const *words, int *out,
                struct err *err)
{
    char list[128];
    size_t len = 0;
    if (is_null(raw))
        return true;
    for (int i = 0; words[i]; i++)
        if (json_name_is(raw, words[i])) {
            *out = i;
            return true;
        }
    list[0] = '\0';
    for (int i = 0; words[i] && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s\"%s\"", i ? ", " : "one of ",
                                words[i]);
    return value_wrong(err, name, list, raw);
}

bool value_time(const char *name, struct str raw, int64_t *out_us, struct err *err)
{
    /* No escape is needed to write a time: who writes one is told. */
    struct str text = {raw.ptr + 1, raw.len - 2};
    if (is_null(raw))
        return true;
    if (json_type_of(raw) != JSON_STRING || !clock_parse(text, out_us))
        return value_wrong(err, name, "a time such as \"2026-11-22T09:00:00Z\"", raw);
    return true;
}

bool value_decode(struct str raw, struct str *out)
{
    if (json_type_of(raw) != JSON_STRING)
        return false;
    char *to = (char *)(uintptr_t)raw.ptr + 1;
    size_t len = raw.len - 2;
    if (memchr(to, '\\', len)) {
        /* Undone escapes are never longer than they were. */
        OWNED_BUF struct buf text;
        buf_init(&text, BUF_NO_CAP);
        json_text(raw, &text);
        len = text.len;
        if (len > 0)
            memcpy(to, text.data, len);
    }
    *out = (struct str){to, len};
    return true;
}

static bool is_name(struct str text)
{
    if (text.len == 0 || text.len > TASK_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return true;
}

bool value_name(const char *name, struct str raw, struct str *out, struct err *err)
{
    struct str text = {NULL, 0};
    if (is_null(raw))
        return true;
    if (json_type_of(raw) != JSON_STRING)
        return value_wrong(err, name, "a text", raw);
    /* Told as it was sent, hence before it is decoded: what an error would show is at most so long.
     */
    char sent[SHOWN_BYTES + 1];
    snprintf(sent, sizeof sent, "%.*s", (int)raw.len, raw.ptr);
    value_decode(raw, &text);
    if (!is_name(text))
        return err_set(err, ERR_INVALID,
                       "%s: expected 1 to %d bytes without control characters, not %s", name,
                       TASK_NAME_MAX_BYTES, sent);
    *out = text;
    return true;
}

bool value_retry(const char *name, struct str raw, struct err *err)
{
    if (is_null(raw))
        return true;
    if (json_type_of(raw) != JSON_OBJECT)
        return value_wrong(err, name, "an object or null", raw);
    if (!value_all_once(raw, err))
        return value_within(err, name);
    struct retry_policy policy;
    retry_policy_init(&policy);
    bool good = retry_policy_read(raw, &policy, err);
    retry_policy_release(&policy);
    return good;
}

static void add_id(int64_t id, int64_t **list, size_t *count, size_t *cap)
{
    if (*count == *cap) {
        *cap = *cap ? 2 * *cap : IDS_FIRST;
        *list = xrealloc(*list, *cap * sizeof **list);
    }
    (*list)[(*count)++] = id;
}

bool value_ids(const char *name, struct str raw, int64_t min, int64_t **list, size_t *count,
               size_t *cap, struct err *err)
{
    struct json j;
    struct str item;
    int64_t id = 0;
    if (is_null(raw))
        return true;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, name, "a list of ids", raw);
    json_open(&j, raw);
    json_enter(&j, '[');
    for (size_t i = 0; json_item(&j) && json_value(&j, &item); i++) {
        if (!json_i64(item, min, INT64_MAX, &id))
            return err_set(err, ERR_INVALID, "%s[%zu]: expected an id, not %.*s", name, i,
                           value_shown(item), item.ptr);
        add_id(id, list, count, cap);
    }
    return true;
}
