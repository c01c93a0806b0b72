/* pinexq_query.c: see pinexq_query.h. */
#include "http/pinexq/pinexq_query.h"

#include "base/parse.h"
#include "http/native/native_value.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"

/* A query lies in addresses, and the head of a request has at most HEAD_MAX_BYTES, of which others
 * are the client's. A key that is longer is left out: that page is found by its offset. */
enum { QUERY_MAX_BYTES = 10 << 10, KEY_MAX_BYTES = 2 << 10 };

/* --- reading --- */

static bool read_sort(struct request *req, struct str raw, const struct pinexq_sort *sorts,
                      struct pinexq_query *out, struct err *err)
{
    static const char *const types[] = {"None", "Ascending", "Descending", NULL};
    struct str name = {NULL, 0}, raw_type = {NULL, 0};
    int type = 1;
    const struct pinexq_member members[] = {
        {.name = "PropertyName", .type = PINEXQ_TEXT, .out = &name},
        {.name = "SortType", .type = PINEXQ_RAW, .out = &raw_type},
    };
    if (!pinexq_object_read(req, "SortBy", raw, members, 2, err) ||
        (raw_type.ptr && !value_word("SortBy.SortType", raw_type, types, &type, err)))
        return false;
    if (!name.ptr || type == 0)
        return true;
    for (const struct pinexq_sort *at = sorts; at->name; at++)
        if (str_is(name, at->name)) {
            out->sort = at->sort;
            out->descending = type == 2;
            return true;
        }
    return err_set(err, ERR_INVALID, "SortBy.PropertyName: \"%.*s\" is nothing to sort by",
                   value_shown(name), name.ptr);
}

static bool read_pagination(struct request *req, struct str raw, struct pinexq_query *out,
                            struct err *err)
{
    const struct pinexq_member members[] = {
        {.name = "PageSize", .type = PINEXQ_NUMBER, .out = &out->size},
        {.name = "PageOffset", .type = PINEXQ_NUMBER, .out = &out->offset},
    };
    if (!pinexq_object_read(req, "Pagination", raw, members, 2, err))
        return false;
    if (out->size < 1)
        return err_set(err, ERR_INVALID, "Pagination.PageSize: expected 1 or more");
    if (out->size > PINEXQ_PAGE_MAX)
        out->size = PINEXQ_PAGE_MAX;
    return true;
}

/* How much of an address it takes. */
static size_t escaped_bytes(struct str text)
{
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    pinexq_query_escape(&b, text);
    return b.len;
}

/* `text` stays as it is: what is read of it is a copy's. */
static bool read_query(struct request *req, struct str text, const struct pinexq_sort *sorts,
                       struct pinexq_query *out, struct err *err)
{
    struct str sort = {NULL, 0}, pagination = {NULL, 0};
    const struct pinexq_member members[] = {
        {.name = "Pagination", .type = PINEXQ_RAW, .out = &pagination},
        {.name = "SortBy", .type = PINEXQ_RAW, .out = &sort},
        {.name = "Filter", .type = PINEXQ_RAW, .out = &out->filter},
        {.name = "IncludeRemainingTags", .type = PINEXQ_BOOL, .out = &out->remaining_tags},
    };
    *out = (struct pinexq_query){
        .text = text, .filter = STR("{}"), .sort = -1, .size = PINEXQ_PAGE_DEFAULT, .total = -1};
    if (escaped_bytes(text) > QUERY_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "the query is too long for an address");
    char *copy = request_strdup(req, text);
    if (!copy)
        return err_set(err, ERR_BUSY, "memory is out");
    return pinexq_object_read(req, NULL, (struct str){copy, text.len}, members, 4, err) &&
           (!sort.ptr || read_sort(req, sort, sorts, out, err)) &&
           (!pagination.ptr || read_pagination(req, pagination, out, err));
}

bool pinexq_query_posted(struct request *req, const struct pinexq_sort *sorts,
                         struct pinexq_query *out, struct err *err)
{
    size_t len = 0;
    char *body = request_body(req, &len);
    struct str text = str_trim((struct str){body, len});
    return read_query(req, text.len ? text : STR("{}"), sorts, out, err);
}

static bool read_number(struct request *req, const char *name, int64_t min, int64_t max,
                        int64_t *out, struct err *err)
{
    struct str text;
    return !request_param(req, name, &text) || parse_i64(text, min, max, out, err) ||
           err_add(err, "%s", name);
}

bool pinexq_query_read(struct request *req, const struct pinexq_sort *sorts,
                       struct pinexq_query *out, struct err *err)
{
    struct str text;
    if (!request_param(req, "query", &text))
        text = STR("{}");
    if (!read_query(req, text, sorts, out, err) ||
        !read_number(req, "offset", 0, INT32_MAX, &out->offset, err) ||
        !read_number(req, "size", 1, INT64_MAX, &out->size, err) ||
        !read_number(req, "before", 0, PINEXQ_ID_MAX, &out->before, err) ||
        !read_number(req, "total", 0, PINEXQ_ID_MAX, &out->total, err) ||
        !read_number(req, "number", INT64_MIN, INT64_MAX, &out->after_number, err) ||
        !read_number(req, "after", 1, PINEXQ_ID_MAX, &out->after_id, err))
        return false;
    if (out->size > PINEXQ_PAGE_MAX)
        out->size = PINEXQ_PAGE_MAX;
    if (request_param(req, "text", &text))
        out->after_text = text;
    out->goes_on = out->after_id > 0;
    if (out->goes_on)
        out->offset = 0;
    else
        out->before = out->offset;
    return true;
}

void pinexq_query_page(const struct pinexq_query *q, struct step_page *page)
{
    page->offset = q->offset;
    page->limit = q->size;
    page->goes_on = q->goes_on;
    page->after_text = q->after_text;
    page->after_number = q->after_number;
    page->after_id = q->after_id;
}

/* --- writing --- */

static void add_param(struct buf *out, const char *name, struct str value)
{
    if (out->len)
        buf_add_char(out, '&');
    buf_add_text(out, name);
    buf_add_char(out, '=');
    pinexq_query_escape(out, value);
}

static void add_number(struct buf *out, const char *name, int64_t value)
{
    buf_add_char(out, '&');
    buf_add_text(out, name);
    buf_add_char(out, '=');
    buf_add_i64(out, value);
}

bool pinexq_query_created(struct request *req, struct reply *reply, const char *path,
                          const struct pinexq_query *q, struct err *err)
{
    OWNED_BUF struct buf query;
    buf_init(&query, BUF_NO_CAP);
    add_param(&query, "query", q->text);
    const struct pinexq_href href = {.path = path, .query = buf_str(&query)};
    return pinexq_created(req, reply, &href, err);
}

static int64_t total_of(const struct pinexq_query *q, const struct pinexq_found *found)
{
    return q->total >= 0 ? q->total : found->total;
}

/* An offset past the end is at the end. */
static int64_t before_of(const struct pinexq_query *q, const struct pinexq_found *found)
{
    int64_t total = total_of(q, found);
    return q->before > total ? total : q->before;
}

void pinexq_query_counts(struct siren *s, const struct pinexq_query *q,
                         const struct pinexq_found *found)
{
    siren_number(s, "TotalEntities", total_of(q, found));
    siren_number(s, "CurrentEntitiesCount", (int64_t)found->count);
    siren_number(s, "PreviousEntitiesCount", before_of(q, found));
}

/* What the address of a page says: a key to go on behind, or an offset. */
struct page {
    int64_t size, offset, before, total;
    int64_t after_id, after_number;
    struct str after_text;
};

static void link_page(struct siren *s, const char *rel, const char *path, struct str text,
                      const struct page *page)
{
    OWNED_BUF struct buf query;
    buf_init(&query, BUF_NO_CAP);
    add_param(&query, "query", text);
    if (page->size)
        add_number(&query, "size", page->size);
    if (page->after_id) {
        add_number(&query, "after", page->after_id);
        add_number(&query, "number", page->after_number);
        add_number(&query, "before", page->before);
        add_number(&query, "total", page->total);
        if (page->after_text.ptr)
            add_param(&query, "text", page->after_text);
    } else {
        add_number(&query, "offset", page->offset);
    }
    const struct pinexq_href href = {.path = path, .query = buf_str(&query)};
    siren_link(s, rel, &href);
}

void pinexq_query_links(struct siren *s, const char *path, const struct pinexq_query *q,
                        const struct pinexq_found *found)
{
    int64_t total = total_of(q, found), before = before_of(q, found);
    const struct page self = {q->size,     q->offset,       before,       total,
                              q->after_id, q->after_number, q->after_text};
    const struct page first = {.size = q->size};
    const struct page last = {.size = q->size,
                              .offset = total ? (total - 1) / q->size * q->size : 0};
    const struct page all = {.size = PINEXQ_PAGE_MAX};
    link_page(s, "self", path, q->text, &self);
    link_page(s, "first", path, q->text, &first);
    link_page(s, "last", path, q->text, &last);
    link_page(s, "all", path, q->text, &all);
    if (before > 0) {
        const struct page previous = {.size = q->size,
                                      .offset = before > q->size ? before - q->size : 0};
        link_page(s, "previous", path, q->text, &previous);
    }
    if (found->more && found->last) {
        struct page next = {.size = q->size, .before = before + (int64_t)found->count};
        next.offset = next.before;
        next.total = total;
        next.after_text = str_of(found->last->text);
        if (escaped_bytes(next.after_text) <= KEY_MAX_BYTES) {
            next.after_id = found->last->id;
            next.after_number = found->last->number;
        }
        link_page(s, "next", path, q->text, &next);
    }
}
