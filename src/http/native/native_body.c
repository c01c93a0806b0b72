/* native_body.c: see native_body.h. */
#include "http/native/native_body.h"

#include "base/json.h"
#include "base/parse.h"

#include <math.h>
#include <stdlib.h>

enum { SHOWN_BYTES = 60 };

/* How much of a text from outside an error shows. */
static int shown(struct str text)
{
    return text.len > SHOWN_BYTES ? SHOWN_BYTES : (int)text.len;
}

static bool wrong(struct err *err, const struct member *m, const char *expected, struct str raw)
{
    return err_set(err, ERR_INVALID, "%s: expected %s, not %.*s", m->name, expected, shown(raw),
                   raw.ptr);
}

static bool read_i64(const struct member *m, struct str raw, struct err *err)
{
    if (json_i64(raw, m->min, m->max, m->out))
        return true;
    return err_set(err, ERR_INVALID, "%s: expected a whole number from %lld to %lld, not %.*s",
                   m->name, (long long)m->min, (long long)m->max, shown(raw), raw.ptr);
}

static bool read_seconds(const struct member *m, struct str raw, struct err *err)
{
    double seconds = NAN;
    if (!json_double(raw, &seconds) ||
        !(seconds * 1e6 >= (double)m->min && seconds * 1e6 <= (double)m->max))
        return err_set(err, ERR_INVALID, "%s: expected seconds from %g to %g, not %.*s", m->name,
                       (double)m->min / 1e6, (double)m->max / 1e6, shown(raw), raw.ptr);
    *(int64_t *)m->out = (int64_t)(seconds * 1e6);
    return true;
}

static bool read_text(struct request *req, const struct member *m, struct str raw, struct err *err)
{
    OWNED_MEM char *text = json_take_text(raw);
    if (!text || !*text)
        return wrong(err, m, "a text that is not empty", raw);
    char *kept = request_strdup(req, str_of(text));
    if (!kept)
        return err_set(err, ERR_BUSY, "%s: memory is out", m->name);
    *(char **)m->out = kept;
    return true;
}

static bool read_value(struct request *req, const struct member *m, struct str raw, struct err *err)
{
    switch (m->type) {
    case MEMBER_I64:
        return read_i64(m, raw, err);
    case MEMBER_SECONDS:
        return read_seconds(m, raw, err);
    case MEMBER_BOOL:
        return json_bool(raw, m->out) || wrong(err, m, "true or false", raw);
    case MEMBER_TEXT:
        return read_text(req, m, raw, err);
    case MEMBER_RAW:
        *(struct str *)m->out = raw;
        return true;
    }
    return err_set(err, ERR_INTERNAL, "%s: no such type", m->name);
}

static const struct member *member_named(const struct member *members, size_t count,
                                         struct str raw_name)
{
    for (size_t i = 0; i < count; i++)
        if (json_name_is(raw_name, members[i].name))
            return &members[i];
    return NULL;
}

bool native_member_read(struct request *req, struct str raw_name, struct str raw,
                        const struct member *members, size_t count, bool *known, struct err *err)
{
    const struct member *m = member_named(members, count, raw_name);
    *known = m != NULL;
    return !m || json_type_of(raw) == JSON_NULL || read_value(req, m, raw, err);
}

/* A member that is required must be in the object, and not null. */
static bool check_required(struct str object, const struct member *members, size_t count,
                           struct err *err)
{
    struct str raw;
    for (size_t i = 0; i < count; i++)
        if (members[i].required &&
            (!json_find(object, members[i].name, &raw) || json_type_of(raw) == JSON_NULL))
            return err_set(err, ERR_INVALID, "%s: is required", members[i].name);
    return true;
}

bool native_body_read(struct request *req, const struct member *members, size_t count,
                      struct err *err)
{
    struct str body = {NULL, 0}, name, raw;
    body.ptr = request_body(req, &body.len);
    if (str_trim(body).len == 0)
        body = STR("{}");
    struct json j;
    json_open(&j, body);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name)) {
            bool known = false;
            if (!json_value(&j, &raw))
                break;
            if (!native_member_read(req, name, raw, members, count, &known, err))
                return false;
            if (!known)
                return err_set(err, ERR_INVALID, "unknown member %.*s", shown(name), name.ptr);
        }
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "body: byte %zu: %s", json_fault_at(&j), j.fault);
    return check_required(body, members, count, err);
}

static bool read_parameter(struct request *req, const struct member *m, struct str text,
                           struct err *err)
{
    if (m->type == MEMBER_I64)
        return parse_i64(text, m->min, m->max, m->out, err) || err_add(err, "%s", m->name);
    char *kept = request_strdup(req, text);
    if (!kept)
        return err_set(err, ERR_BUSY, "%s: memory is out", m->name);
    *(char **)m->out = kept;
    return true;
}

bool native_query_read(struct request *req, const struct member *members, size_t count,
                       struct err *err)
{
    for (size_t i = 0; i < request_param_count(req); i++) {
        struct str name, text;
        request_param_at(req, i, &name, &text);
        const struct member *m = NULL;
        for (size_t k = 0; k < count && !m; k++)
            if (str_is(name, members[k].name))
                m = &members[k];
        if (!m)
            return err_set(err, ERR_INVALID, "unknown parameter %.*s", shown(name), name.ptr);
        if (!read_parameter(req, m, text, err))
            return false;
    }
    return true;
}
