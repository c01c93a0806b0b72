/* task_settlement.c: see task_settlement.h. */
#include "http/native/task_settlement.h"

#include "core/retry.h"
#include "http/native/native_value.h"

#include <math.h>
#include <stdlib.h>

enum { ENTRIES_FIRST = 4, TYPE_MAX_BYTES = 512 };

void task_settlement_release(struct task_settlement *s)
{
    free(s->entries);
    if (s->entries)
        buf_release(&s->reasons);
    new_tasks_release(&s->enqueue);
    task_claim_body_release(&s->claim);
    *s = (struct task_settlement){0};
}

static struct task_settle_entry *add_entry(struct task_settlement *s, enum task_outcome outcome,
                                           struct err *err)
{
    if (s->count == TASK_SETTLEMENT_MAX) {
        err_set(err, ERR_LIMIT, "more than %d outcomes at once", TASK_SETTLEMENT_MAX);
        return NULL;
    }
    if (s->count == s->cap) {
        if (!s->entries)
            buf_init(&s->reasons, BUF_NO_CAP);
        s->cap = s->cap ? 2 * s->cap : ENTRIES_FIRST;
        s->entries = xrealloc(s->entries, s->cap * sizeof *s->entries);
    }
    struct task_settle_entry *entry = &s->entries[s->count++];
    *entry = (struct task_settle_entry){.outcome = outcome};
    return entry;
}

static bool wrong(struct err *err, const char *list, size_t index, const char *expected,
                  struct str raw)
{
    return err_set(err, ERR_INVALID, "%s[%zu]: expected %s, not %.*s", list, index, expected,
                   value_shown(raw), raw.ptr);
}

/* --- reasons --- */

/* What of a reason is kept, raw; empty: not told. */
struct reason {
    struct str message, type, traceback, code;
};

static bool read_text_member(const char *name, struct str raw, struct str *out, struct err *err)
{
    if (json_type_of(raw) == JSON_STRING)
        *out = raw;
    else if (json_type_of(raw) != JSON_NULL)
        return value_wrong(err, name, "a text or null", raw);
    return true;
}

/* Whatever a service asks for: more than the longest delay is that. */
static bool read_retry_after(struct str raw, int64_t *out_us, struct err *err)
{
    double seconds = NAN;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (!json_double(raw, &seconds) || !(seconds >= 0))
        return value_wrong(err, "retry_after_s", "seconds from 0 on", raw);
    double us = seconds * 1e6;
    *out_us = us < (double)RETRY_DELAY_MAX_US ? (int64_t)us : RETRY_DELAY_MAX_US;
    /* 0 means by the policy; at once is as soon as can be. */
    if (*out_us == 0)
        *out_us = 1;
    return true;
}

/* What a process or a function ended with. */
static bool read_code(struct str raw, struct str *out, struct err *err)
{
    int64_t code = 0;
    if (!value_i64("code", raw, INT32_MIN, INT32_MAX, &code, err))
        return false;
    *out = json_type_of(raw) == JSON_NULL ? (struct str){NULL, 0} : raw;
    return true;
}

static bool read_reason_member(struct reason *r, struct task_settle_entry *entry, struct str name,
                               struct str raw, struct err *err)
{
    if (json_name_is(name, "message"))
        return read_text_member("message", raw, &r->message, err);
    if (json_name_is(name, "type"))
        return read_text_member("type", raw, &r->type, err);
    if (json_name_is(name, "traceback"))
        return read_text_member("traceback", raw, &r->traceback, err);
    if (json_name_is(name, "code"))
        return read_code(raw, &r->code, err);
    if (json_name_is(name, "final"))
        return value_bool("final", raw, &entry->final, err);
    if (json_name_is(name, "lost"))
        return value_bool("lost", raw, &entry->lost, err);
    if (json_name_is(name, "retry_after_s"))
        return read_retry_after(raw, &entry->retry_after_us, err);
    return value_unknown(err, name);
}

static void keep_part(struct json_out *o, const char *name, struct str raw)
{
    if (raw.len == 0)
        return;
    json_out_name(o, name);
    json_out_raw(o, raw);
}

static void keep_reason(struct task_settlement *s, struct task_settle_entry *entry,
                        const struct reason *r)
{
    struct json_out o;
    size_t before = s->reasons.len;
    json_out_init(&o, &s->reasons);
    json_out_open(&o, '{');
    keep_part(&o, "message", r->message);
    keep_part(&o, "type", r->type);
    keep_part(&o, "traceback", r->traceback);
    keep_part(&o, "code", r->code);
    json_out_close(&o, '}');
    /* Where it will be is known when all are there: point_into. */
    entry->value = (struct str){NULL, s->reasons.len - before};
    /* Last, for it writes over the raw one. */
    if (r->type.len > 0)
        value_decode(r->type, &entry->type);
    if (entry->type.len > TYPE_MAX_BYTES)
        entry->type.len = TYPE_MAX_BYTES;
    while (entry->type.len > 0 && !str_is_utf8(entry->type))
        entry->type.len--;
    /* It is a name for people and for filters, and ends nowhere but at its end. */
    for (size_t i = 0; i < entry->type.len; i++)
        if (!entry->type.ptr[i])
            ((char *)(uintptr_t)entry->type.ptr)[i] = '?';
}

static bool read_reason(struct task_settlement *s, struct task_settle_entry *entry, struct str raw,
                        const char *list, size_t index, struct err *err)
{
    struct reason r = {.message = {NULL, 0}};
    struct json_names seen = {0};
    struct json j;
    struct str name, value;
    switch (json_type_of(raw)) {
    case JSON_NULL:
        break;
    case JSON_STRING:
        r.message = raw;
        break;
    case JSON_OBJECT:
        json_open(&j, raw);
        json_enter(&j, '{');
        while (json_member(&j, &name) && json_value(&j, &value))
            if (!value_once(&seen, name, err) || !read_reason_member(&r, entry, name, value, err))
                return value_place(err, list, index);
        break;
    default:
        return wrong(err, list, index, "a reason: an object, a text or null", raw);
    }
    keep_reason(s, entry, &r);
    return true;
}

/* --- lists --- */

typedef bool read_one(struct task_settlement *s, struct json *j, const char *list, size_t index,
                      struct err *err);

/* One [id, value]; the cursor stands before it. A fault of it is the caller's to see. */
static bool read_pair(struct json *j, const char *list, size_t index, int64_t *id,
                      struct str *value, struct err *err)
{
    struct str raw[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t parts = 0;
    if (json_peek(j) != JSON_ARRAY)
        return !json_value(j, raw) || wrong(err, list, index, "a pair [id, value]", raw[0]);
    json_enter(j, '[');
    while (json_item(j) && json_value(j, &raw[parts < 2 ? parts : 2]))
        parts++;
    if (j->fault)
        return true;
    if (parts != 2)
        return err_set(err, ERR_INVALID, "%s[%zu]: expected a pair [id, value], not %zu values",
                       list, index, parts);
    if (!json_i64(raw[0], 1, INT64_MAX, id))
        return wrong(err, list, index, "a task's id", raw[0]);
    *value = raw[1];
    return true;
}

/* A pair becomes an entry; NULL, and true, when the JSON is broken: its reader tells of that. */
static bool add_pair(struct task_settlement *s, struct json *j, const char *list, size_t index,
                     enum task_outcome outcome, struct task_settle_entry **entry, struct str *value,
                     struct err *err)
{
    int64_t id = 0;
    *entry = NULL;
    if (!read_pair(j, list, index, &id, value, err))
        return false;
    if (j->fault)
        return true;
    if (!(*entry = add_entry(s, outcome, err)))
        return false;
    (*entry)->id = id;
    return true;
}

static bool read_completed(struct task_settlement *s, struct json *j, const char *list,
                           size_t index, struct err *err)
{
    struct str value = {NULL, 0};
    struct task_settle_entry *entry = NULL;
    if (!add_pair(s, j, list, index, TASK_COMPLETED, &entry, &value, err))
        return false;
    if (entry && json_type_of(value) != JSON_NULL)
        entry->value = value;
    return true;
}

static bool read_failure(struct task_settlement *s, struct json *j, const char *list, size_t index,
                         struct err *err)
{
    struct str value = {NULL, 0};
    struct task_settle_entry *entry = NULL;
    if (!add_pair(s, j, list, index, TASK_FAILED, &entry, &value, err))
        return false;
    return !entry || read_reason(s, entry, value, list, index, err);
}

static bool read_aborted(struct task_settlement *s, struct json *j, const char *list, size_t index,
                         struct err *err)
{
    int64_t id = 0;
    struct str raw;
    struct task_settle_entry *entry = NULL;
    if (!json_value(j, &raw))
        return true;
    if (!json_i64(raw, 1, INT64_MAX, &id))
        return wrong(err, list, index, "a task's id", raw);
    if (!(entry = add_entry(s, TASK_ABORTED, err)))
        return false;
    entry->id = id;
    return true;
}

static bool read_list(struct task_settlement *s, struct json *j, const char *list, read_one *read,
                      struct err *err)
{
    struct str raw;
    if (json_peek(j) != JSON_ARRAY)
        return !json_value(j, &raw) || json_type_of(raw) == JSON_NULL ||
               value_wrong(err, list, "a list", raw);
    json_enter(j, '[');
    for (size_t i = 0; json_item(j); i++)
        if (!read(s, j, list, i, err))
            return false;
    return true;
}

/* --- the body --- */

static bool read_claim(struct task_settlement *s, struct json *j, struct err *err)
{
    struct str raw;
    if (json_peek(j) != JSON_OBJECT)
        return !json_value(j, &raw) || json_type_of(raw) == JSON_NULL ||
               value_wrong(err, "claim", "an object or null", raw);
    s->claims = true;
    return task_claim_body_read(&s->claim, j, true, err) || value_within(err, "claim");
}

static bool read_member(struct task_settlement *s, struct json *j, struct str name, struct err *err)
{
    struct str raw;
    if (json_name_is(name, "completed"))
        return read_list(s, j, "completed", read_completed, err);
    if (json_name_is(name, "failures"))
        return read_list(s, j, "failures", read_failure, err);
    if (json_name_is(name, "aborted"))
        return read_list(s, j, "aborted", read_aborted, err);
    if (json_name_is(name, "enqueue"))
        return new_tasks_read_list(&s->enqueue, j, "enqueue", true, err);
    if (json_name_is(name, "claim"))
        return read_claim(s, j, err);
    if (!json_name_is(name, "lease"))
        return value_unknown(err, name);
    return !json_value(j, &raw) || value_decode(raw, &s->lease) ||
           value_wrong(err, "lease", "a token", raw);
}

/* Everything is read and moves no more. */
static void point_into(struct task_settlement *s)
{
    const char *reason = s->entries ? s->reasons.data : NULL;
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].outcome == TASK_FAILED) {
            s->entries[i].value.ptr = reason;
            reason += s->entries[i].value.len;
        }
}

bool task_settlement_read(struct task_settlement *s, char *body, size_t len, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str name;
    json_open(&j, (struct str){body, len});
    if (json_enter(&j, '{'))
        while (json_member(&j, &name))
            if (!value_once(&seen, name, err) || !read_member(s, &j, name, err))
                return false;
    if (!json_end(&j))
        return value_fault(err, &j);
    point_into(s);
    return s->lease.len > 0 || err_set(err, ERR_INVALID, "lease: is required");
}
