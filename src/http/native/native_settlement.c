/* native_settlement.c: see native_settlement.h. */
#include "http/native/native_settlement.h"

#include "base/json.h"
#include "core/ledger.h"

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

/* One [number, value]; the cursor stands before it. A fault of the cursor is the caller's to see.
 */
static bool read_pair(struct json *j, const char *what, size_t index, struct settlement *s,
                      struct err *err)
{
    struct str raw[2] = {{NULL, 0}, {NULL, 0}}, more;
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
    enum json_type type = json_type_of(raw[1]);
    if (entry.failed && type != JSON_STRING && type != JSON_NULL)
        return wrong_pair(err, what, index, "expected a reason, a text or null");
    if (!entry.failed || type == JSON_STRING) {
        make_line(s->body, raw[1]);
        entry.at = (uint32_t)(raw[1].ptr - s->body);
        entry.len = (uint32_t)raw[1].len + 1;
    }
    return settlement_add(s, entry, err);
}

static bool read_pairs(struct json *j, const char *what, struct settlement *s, struct err *err)
{
    struct str ignored;
    if (json_peek(j) == JSON_NULL)
        return json_value(j, &ignored) || j->fault;
    if (json_peek(j) != JSON_ARRAY)
        return j->fault || err_set(err, ERR_INVALID, "%s: expected a list of pairs", what);
    json_enter(j, '[');
    for (size_t i = 0; json_item(j); i++)
        if (!read_pair(j, what, i, s, err))
            return false;
    return true;
}

static bool read_member(struct json *j, struct str name, struct settlement *s, struct err *err)
{
    if (json_name_is(name, "results"))
        return read_pairs(j, "results", s, err);
    if (json_name_is(name, "failures"))
        return read_pairs(j, "failures", s, err);
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
    struct json j;
    struct str name;
    if (len > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "a body of more than 4 GiB");
    s->body = body;
    json_open(&j, (struct str){body, len});
    if (json_enter(&j, '{'))
        while (json_member(&j, &name))
            if (!read_member(&j, name, s, err))
                return false;
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "body: byte %zu: %s", json_fault_at(&j), j.fault);
    return true;
}
