/* native_settlement.c: see native_settlement.h. */
#include "http/native/native_settlement.h"
#include "http/native/native_value.h"

#include "base/json.h"
#include "core/ledger.h"

#include <math.h>
#include <stdlib.h>

enum { ENTRIES_FIRST = 128 };

void settlement_release(struct settlement *s)
{
    free(s->entries);
    *s = (struct settlement){0};
}

static bool settlement_add(struct settlement *s, struct settle_entry entry, struct err *err)
{
    if (s->count == SETTLEMENT_MAX)
        return err_set(err, ERR_LIMIT, "more than %d results and failures at once", SETTLEMENT_MAX);
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : ENTRIES_FIRST;
        s->entries = xrealloc(s->entries, s->cap * sizeof *s->entries);
    }
    s->entries[s->count++] = entry;
    return true;
}

/* The value at `raw`, inside the body, as a line: one byte longer. */
static void make_line(char *body, struct str raw)
{
    char *line = body + (raw.ptr - body);
    for (const char *c = "\n\r"; *c; c++)
        for (char *at = line; (at = memchr(at, *c, (size_t)(line + raw.len - at)));)
            *at = ' ';
    line[raw.len] = '\n';
}

static bool wrong_pair(struct err *err, const char *what, size_t index, const char *why)
{
    return err_set(err, ERR_INVALID, "%s[%zu]: %s", what, index, why);
}

static bool read_flag(struct str raw, bool *out)
{
    return json_type_of(raw) == JSON_NULL || json_bool(raw, out);
}

static bool is_text_or_null(struct str raw)
{
    enum json_type type = json_type_of(raw);
    return type == JSON_STRING || type == JSON_NULL;
}

/* Whatever a service asks for: more than a day is a day. */
static bool read_wait(struct str raw, int64_t *out_us)
{
    double seconds = NAN;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (!json_double(raw, &seconds) || !(seconds >= 0))
        return false;
    double us = seconds * 1e6;
    *out_us = us < (double)DATA_RETRY_DELAY_MAX_US ? (int64_t)us : DATA_RETRY_DELAY_MAX_US;
    return true;
}

/* The members of a reason that is an object; `message` and `type` stay where they are. */
static bool read_reason(struct str raw, struct settle_entry *entry, const char **wrong)
{
    struct json_names seen = {0};
    struct json j;
    struct str name, value;
    json_open(&j, raw);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &value)) {
        if (!json_names_add(&seen, name)) {
            *wrong = "a reason has each of its members once";
        } else if (json_name_is(name, "message")) {
            if (!is_text_or_null(value))
                *wrong = "message: expected a text or null";
        } else if (json_name_is(name, "type")) {
            if (!is_text_or_null(value))
                *wrong = "type: expected a text or null";
        } else if (json_name_is(name, "final")) {
            if (!read_flag(value, &entry->final))
                *wrong = "final: expected true or false";
        } else if (json_name_is(name, "throttled")) {
            if (!read_flag(value, &entry->throttled))
                *wrong = "throttled: expected true or false";
        } else if (json_name_is(name, "retry_after_s")) {
            if (!read_wait(value, &entry->retry_after_us))
                *wrong = "retry_after_s: expected seconds from 0 on";
        } else {
            *wrong = "a reason has message, type, final, retry_after_s and throttled only";
        }
        if (*wrong)
            return false;
    }
    return true;
}

/* What stands behind the number: a result, or a failure's reason. */
static bool read_outcome(struct settlement *s, struct settle_entry *entry, struct str raw,
                         const char **wrong)
{
    enum json_type type = json_type_of(raw);
    if (entry->failed && type == JSON_NULL)
        return true;
    if (entry->failed && type != JSON_STRING && type != JSON_OBJECT) {
        *wrong = "expected a reason: a text, an object or null";
        return false;
    }
    if (entry->failed && type == JSON_OBJECT && !read_reason(raw, entry, wrong))
        return false;
    make_line(s->body, raw);
    entry->at = (uint32_t)(raw.ptr - s->body);
    entry->len = (uint32_t)raw.len + 1;
    return true;
}

/* One [number, value]; the cursor stands before it. A fault of the cursor is the caller's to see.
 */
static bool read_pair(struct json *j, const char *what, size_t index, struct settlement *s,
                      struct err *err)
{
    struct str raw[2] = {{NULL, 0}, {NULL, 0}}, more;
    const char *wrong = NULL;
    size_t parts = 0;
    if (json_peek(j) != JSON_ARRAY)
        return j->fault || wrong_pair(err, what, index, "expected a pair of number and value");
    json_enter(j, '[');
    while (json_item(j) && json_value(j, parts < 2 ? &raw[parts] : &more))
        parts++;
    if (j->fault)
        return true;
    if (parts != 2)
        return wrong_pair(err, what, index, "expected a pair of number and value");
    struct settle_entry entry = {.failed = what[0] == 'f'};
    if (!json_i64(raw[0], 0, LEDGER_RECORDS_MAX - 1, &entry.record))
        return wrong_pair(err, what, index, "expected a record's number");
    if (!read_outcome(s, &entry, raw[1], &wrong))
        return wrong_pair(err, what, index, wrong);
    return settlement_add(s, entry, err);
}

/* One number of a record that gave nothing to write. */
static bool read_skipped(struct json *j, const char *what, size_t index, struct settlement *s,
                         struct err *err)
{
    struct str raw;
    struct settle_entry entry = {.skipped = true};
    if (!json_value(j, &raw))
        return true;
    if (!json_i64(raw, 0, LEDGER_RECORDS_MAX - 1, &entry.record))
        return wrong_pair(err, what, index, "expected a record's number");
    return settlement_add(s, entry, err);
}

typedef bool read_one(struct json *j, const char *what, size_t index, struct settlement *s,
                      struct err *err);

static bool read_list(struct json *j, const char *what, read_one *read, struct settlement *s,
                      struct err *err)
{
    struct str ignored;
    if (json_peek(j) == JSON_NULL)
        return json_value(j, &ignored) || j->fault;
    if (json_peek(j) != JSON_ARRAY)
        return j->fault || err_set(err, ERR_INVALID, "%s: expected a list of %s", what,
                                   read == read_pair ? "pairs" : "numbers");
    json_enter(j, '[');
    for (size_t i = 0; json_item(j); i++)
        if (!read(j, what, i, s, err))
            return false;
    return true;
}

static bool read_member(struct json *j, struct str name, struct settlement *s, struct err *err)
{
    if (json_name_is(name, "results"))
        return read_list(j, "results", read_pair, s, err);
    if (json_name_is(name, "failures"))
        return read_list(j, "failures", read_pair, s, err);
    if (json_name_is(name, "skipped"))
        return read_list(j, "skipped", read_skipped, s, err);
    if (!json_name_is(name, "lease"))
        return err_set(err, ERR_INVALID, "unknown member %.*s", name.len > 60 ? 60 : (int)name.len,
                       name.ptr);
    struct str raw;
    if (json_value(j, &raw) && json_type_of(raw) != JSON_NULL)
        s->lease = raw;
    return true;
}

bool settlement_read(struct settlement *s, char *body, size_t len, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str name;
    if (len > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "a body of more than 4 GiB");
    s->body = body;
    json_open(&j, (struct str){body, len});
    if (json_enter(&j, '{'))
        while (json_member(&j, &name))
            if (!value_once(&seen, name, err) || !read_member(&j, name, s, err))
                return false;
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "body: byte %zu: %s", json_fault_at(&j), j.fault);
    return true;
}
