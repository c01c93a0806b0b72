/* pinexq_body.c: see pinexq_body.h. */
#include "http/pinexq/pinexq_body.h"

#include "http/native/native_value.h"

#include <assert.h>

static size_t count_items(struct str list)
{
    struct json j;
    struct str item;
    size_t count = 0;
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item))
            count++;
    return count;
}

static bool read_text(const char *name, struct str raw, struct str *out, struct err *err)
{
    return value_decode(raw, out) || value_wrong(err, name, "a text", raw);
}

static bool read_url(const struct pinexq_member *m, struct str raw, int64_t *out, struct err *err)
{
    struct str url;
    return read_text(m->name, raw, &url, err) && pinexq_url_read(m->name, url, m->kind, out, err);
}

static bool read_texts(struct request *req, const struct pinexq_member *m, struct str raw,
                       struct err *err)
{
    struct pinexq_texts *out = m->out;
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, m->name, "a list of texts", raw);
    struct str *list = request_alloc(req, (count_items(raw) + 1) * sizeof *list);
    if (!list)
        return err_set(err, ERR_BUSY, "memory is out");
    size_t count = 0;
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item))
        if (!read_text(m->name, item, &list[count++], err))
            return false;
    *out = (struct pinexq_texts){list, count};
    return true;
}

static bool read_urls(struct request *req, const struct pinexq_member *m, struct str raw,
                      struct err *err)
{
    struct pinexq_ids *out = m->out;
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, m->name, "a list of URLs", raw);
    int64_t *list = request_alloc(req, (count_items(raw) + 1) * sizeof *list);
    if (!list)
        return err_set(err, ERR_BUSY, "memory is out");
    size_t count = 0;
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item))
        if (!read_url(m, item, &list[count++], err))
            return false;
    *out = (struct pinexq_ids){list, count};
    return true;
}

static bool read_only(const struct pinexq_member *m, struct str raw, struct err *err)
{
    bool yes = false;
    if (!value_bool(m->name, raw, &yes, err))
        return false;
    *(enum step_only *)m->out = yes ? STEP_ONLY : STEP_ONLY_NOT;
    return true;
}

static bool read_value(struct request *req, const struct pinexq_member *m, struct str raw,
                       struct err *err)
{
    switch (m->type) {
    case PINEXQ_TEXT:
        return read_text(m->name, raw, m->out, err);
    case PINEXQ_BOOL:
        return value_bool(m->name, raw, m->out, err);
    case PINEXQ_ONLY:
        return read_only(m, raw, err);
    case PINEXQ_NUMBER:
        return value_i64(m->name, raw, 0, INT32_MAX, m->out, err);
    case PINEXQ_TIME:
        return value_time(m->name, raw, m->out, err);
    case PINEXQ_URL:
        return read_url(m, raw, m->out, err);
    case PINEXQ_TEXTS:
        return read_texts(req, m, raw, err);
    case PINEXQ_URLS:
        return read_urls(req, m, raw, err);
    case PINEXQ_RAW:
        *(struct str *)m->out = raw;
        return true;
    }
    return false;
}

/* More members than any table has. */
#define MEMBERS_MAX 64

static bool read_member(struct request *req, struct str name, struct str raw,
                        const struct pinexq_member *members, size_t count, uint64_t *seen,
                        struct err *err)
{
    bool null = json_type_of(raw) == JSON_NULL;
    for (size_t i = 0; i < count; i++)
        if (json_name_is(name, members[i].name)) {
            if (*seen >> i & 1)
                return err_set(err, ERR_INVALID, "%s: is given twice", members[i].name);
            *seen |= null ? 0 : UINT64_C(1) << i;
            return null || read_value(req, &members[i], raw, err);
        }
    return null || value_unknown(err, name);
}

static bool read_object(struct request *req, struct str raw, const struct pinexq_member *members,
                        size_t count, struct err *err)
{
    struct json j;
    struct str name, value;
    uint64_t seen = 0;
    json_open(&j, raw);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &value))
            if (!read_member(req, name, value, members, count, &seen, err))
                return false;
    if (!json_end(&j))
        return value_fault(err, &j);
    for (size_t i = 0; i < count; i++)
        if (members[i].required && !(seen >> i & 1))
            return err_set(err, ERR_INVALID, "%s: is missing", members[i].name);
    return true;
}

bool pinexq_object_read(struct request *req, const char *place, struct str raw,
                        const struct pinexq_member *members, size_t count, struct err *err)
{
    assert(count <= MEMBERS_MAX);
    return read_object(req, raw, members, count, err) || (place ? value_within(err, place) : false);
}

bool pinexq_body_read(struct request *req, const struct pinexq_member *members, size_t count,
                      struct err *err)
{
    struct str body = {NULL, 0};
    body.ptr = request_body(req, &body.len);
    if (str_trim(body).len == 0)
        body = STR("{}");
    return pinexq_object_read(req, NULL, body, members, count, err);
}

bool pinexq_texts_json(struct request *req, const struct pinexq_texts *texts, struct str *out,
                       struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    if (texts->count == 0)
        return true;
    json_out_init(&o, &b);
    json_out_open(&o, '[');
    for (size_t i = 0; i < texts->count; i++)
        json_out_str(&o, texts->items[i]);
    json_out_close(&o, ']');
    char *kept = b.full ? NULL : request_strdup(req, buf_str(&b));
    *out = (struct str){kept, b.len};
    return kept || err_set(err, ERR_BUSY, "memory is out");
}
