/* native_body.c: see native_body.h. */
#include "http/native/native_body.h"

#include "base/json.h"
#include "base/parse.h"
#include "http/native/native_value.h"

#include <stdlib.h>

static bool read_text(struct request *req, const struct member *m, struct str raw, struct err *err)
{
    OWNED_MEM char *text = json_take_text(raw);
    if (!text || !*text)
        return value_wrong(err, m->name, "a text that is not empty", raw);
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
        return value_i64(m->name, raw, m->min, m->max, m->out, err);
    case MEMBER_SECONDS:
        return value_seconds(m->name, raw, m->min, m->max, m->out, err);
    case MEMBER_BOOL:
        return value_bool(m->name, raw, m->out, err);
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
    struct json_names seen = {0};
    struct json j;
    json_open(&j, body);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name)) {
            bool known = false;
            if (!json_value(&j, &raw))
                break;
            if (!value_once(&seen, name, err) ||
                !native_member_read(req, name, raw, members, count, &known, err))
                return false;
            if (!known)
                return value_unknown(err, name);
        }
    if (!json_end(&j))
        return value_fault(err, &j);
    return check_required(body, members, count, err);
}

static bool read_parameter(struct request *req, const struct member *m, struct str text,
                           struct err *err)
{
    if (m->type == MEMBER_I64)
        return parse_i64(text, m->min, m->max, m->out, err) || err_add(err, "%s", m->name);
    if (m->type == MEMBER_SECONDS)
        return parse_seconds(text, m->min, m->max, m->out, err) || err_add(err, "%s", m->name);
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return err_set(err, ERR_INVALID, "%s: holds the character U+0000", m->name);
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
            return err_set(err, ERR_INVALID, "unknown parameter %.*s", value_shown(name), name.ptr);
        if (!read_parameter(req, m, text, err))
            return false;
    }
    return true;
}
