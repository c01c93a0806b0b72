/* step_params.c: see step_body.h: queries. */
#include "base/parse.h"
#include "http/native/native_value.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

enum param_kind { PARAM_TEXT, PARAM_NUMBER, PARAM_ONLY, PARAM_TIME, PARAM_FLAG, PARAM_LIST };

/* A list of texts, gathered from a parameter that may come again. */
struct texts {
    struct str *items; /* of the request's memory */
    size_t count;
};

struct param {
    const char *name;
    enum param_kind kind;
    void *out; /* struct str, int64_t, enum step_only, int64_t, bool, struct texts */
    int64_t min, max;
};

static bool wrong(struct err *err, const char *name, const char *expected, struct str value)
{
    return err_set(err, ERR_INVALID, "%s: expected %s, not \"%.*s\"", name, expected,
                   value_shown(value), value.ptr);
}

static bool add_text(struct request *req, struct texts *to, struct str value, struct err *err)
{
    if (!to->items)
        to->items = request_alloc(req, request_param_count(req) * sizeof *to->items);
    if (!to->items)
        return err_set(err, ERR_BUSY, "memory is out");
    to->items[to->count++] = value;
    return true;
}

static bool read_param(struct request *req, const struct param *p, struct str value,
                       struct err *err)
{
    bool yes = false;
    switch (p->kind) {
    case PARAM_TEXT:
        *(struct str *)p->out = (struct str){value.ptr ? value.ptr : "", value.len};
        return true;
    case PARAM_NUMBER:
        return parse_i64(value, p->min, p->max, p->out, err) || err_add(err, "%s", p->name);
    case PARAM_ONLY:
        if (!parse_bool(value, &yes))
            return wrong(err, p->name, "true or false", value);
        *(enum step_only *)p->out = yes ? STEP_ONLY : STEP_ONLY_NOT;
        return true;
    case PARAM_TIME:
        return clock_parse(value, p->out) || wrong(err, p->name, "a time with its zone", value);
    case PARAM_FLAG:
        return parse_bool(value, p->out) || wrong(err, p->name, "true or false", value);
    case PARAM_LIST:
        return add_text(req, p->out, value, err);
    }
    return false;
}

static bool read_params(struct request *req, const struct param *params, size_t count,
                        struct err *err)
{
    struct step_asker by;
    request_step_asker(req, &by);
    for (size_t i = 0; i < request_param_count(req); i++) {
        struct str name, value;
        const struct param *found = NULL;
        request_param_at(req, i, &name, &value);
        for (size_t k = 0; k < count; k++)
            if (str_is(name, params[k].name))
                found = &params[k];
        if (!found && by.everyone && str_is(name, "owner"))
            continue; /* it has said whose things are meant (request_list_asker) */
        if (!found)
            return err_set(err, ERR_INVALID, "unknown parameter \"%.*s\"", value_shown(name),
                           name.ptr);
        if (!read_param(req, found, value, err))
            return false;
    }
    return true;
}

/* As the store takes them. */
static bool to_json(struct request *req, const struct texts *texts, struct str *out,
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

/* --- pages --- */

static const char *const sorts[STEP_SORT_COUNT] = {"created",    "name", "ended",
                                                   "media_type", "kind", "bytes"};

static bool is_text_key(enum step_sort sort)
{
    return sort == STEP_SORT_NAME || sort == STEP_SORT_MEDIA_TYPE;
}

/* A page's `next` again: the id, and behind a colon the key. */
static bool read_after(struct str after, struct step_page *page, struct err *err)
{
    struct err ignored;
    const char *colon = after.len ? memchr(after.ptr, ':', after.len) : NULL;
    size_t len = colon ? (size_t)(colon - after.ptr) : after.len;
    struct str key = colon ? (struct str){colon + 1, after.len - len - 1} : STR("");
    bool good = parse_i64((struct str){after.ptr, len}, 1, INT64_MAX, &page->after_id, &ignored);
    if (page->sort == STEP_SORT_CREATED)
        good = good && !colon;
    else if (is_text_key(page->sort))
        page->after_text = key;
    else
        good = good && parse_i64(key, INT64_MIN, INT64_MAX, &page->after_number, &ignored);
    page->goes_on = true;
    return good || wrong(err, "after", "what a page of this order gave as next", after);
}

void step_next_write(struct json_out *o, const struct step_place *last, enum step_sort sort)
{
    json_out_name(o, "next");
    if (!last) {
        json_out_null(o);
        return;
    }
    OWNED_MEM char *text = NULL;
    if (sort == STEP_SORT_CREATED)
        text = xasprintf("%" PRId64, last->id);
    else if (is_text_key(sort))
        text = xasprintf("%" PRId64 ":%s", last->id, last->text ? last->text : "");
    else
        text = xasprintf("%" PRId64 ":%" PRId64, last->id, last->number);
    json_out_text(o, text);
}

void step_sum_write(struct json_out *o, int64_t total, const struct step_tags *tags)
{
    json_out_name(o, "total");
    if (total >= 0)
        json_out_i64(o, total);
    else
        json_out_null(o);
    if (tags)
        step_tags_json_write(o, tags);
}

static bool has_param(struct request *req, const char *name)
{
    struct str ignored;
    return request_param(req, name, &ignored);
}

struct list_params {
    struct texts all, any;
    struct str sort, after;
};

/* By which orders a list can be asked for. */
struct orders {
    unsigned of; /* bits by enum step_sort */
    const char *words;
};

static const struct orders job_orders = {1U << STEP_SORT_CREATED | 1U << STEP_SORT_NAME |
                                             1U << STEP_SORT_ENDED,
                                         "created, name or ended"};
static const struct orders artifact_orders = {1U << STEP_SORT_CREATED | 1U << STEP_SORT_NAME |
                                                  1U << STEP_SORT_MEDIA_TYPE |
                                                  1U << STEP_SORT_KIND | 1U << STEP_SORT_BYTES,
                                              "created, name, media_type, kind or bytes"};

/* The order: newest first unless another is named. */
static bool finish_list(struct request *req, struct step_list_query *q, struct list_params *p,
                        const struct orders *orders, struct err *err)
{
    int word = STEP_SORT_CREATED;
    for (; p->sort.ptr && word < STEP_SORT_COUNT && !str_is(p->sort, sorts[word]); word++)
        ;
    if (!(orders->of & 1U << word))
        return wrong(err, "sort", orders->words, p->sort);
    q->page.sort = (enum step_sort)word;
    if (!has_param(req, "descending"))
        q->page.descending = !p->sort.ptr;
    if (p->after.ptr && !read_after(p->after, &q->page, err))
        return false;
    return to_json(req, &p->all, &q->filter.tags_all, err) &&
           to_json(req, &p->any, &q->filter.tags_any, err);
}

#define LIST_PARAMS(q, p)                                                                          \
    {"name_contains", PARAM_TEXT, &(q)->filter.name, 0, 0}, {"tag", PARAM_LIST, &(p).all, 0, 0},   \
        {"any_tag", PARAM_LIST, &(p).any, 0, 0},                                                   \
        {"hidden", PARAM_ONLY, &(q)->filter.hidden, 0, 0},                                         \
        {"created_from", PARAM_TIME, &(q)->filter.created_from_us, 0, 0},                          \
        {"created_before", PARAM_TIME, &(q)->filter.created_before_us, 0, 0},                      \
        {"folder", PARAM_TEXT, &(q)->filter.folder, 0, 0},                                         \
        {"below", PARAM_FLAG, &(q)->filter.below, 0, 0},                                           \
        {"step", PARAM_NUMBER, &(q)->filter.step, 1, INT64_MAX},                                   \
        {"sort", PARAM_TEXT, &(p).sort, 0, 0}, {"after", PARAM_TEXT, &(p).after, 0, 0},            \
        {"descending", PARAM_FLAG, &(q)->page.descending, 0, 0},                                   \
        {"offset", PARAM_NUMBER, &(q)->page.offset, 0, INT32_MAX},                                 \
        {"limit", PARAM_NUMBER, &(q)->page.limit, 1, PAGE_MAX},                                    \
        {"total", PARAM_FLAG, &(q)->wants_total, 0, 0},                                            \
    {                                                                                              \
        "tags", PARAM_FLAG, &(q)->wants_tags, 0, 0                                                 \
    }

bool step_jobs_query_read(struct request *req, struct step_list_query *out, struct err *err)
{
    struct list_params p = {.sort = {NULL, 0}};
    struct str state = {NULL, 0};
    const struct param params[] = {
        LIST_PARAMS(out, p),
        {"state", PARAM_TEXT, &state, 0, 0},
        {"artifact", PARAM_NUMBER, &out->filter.artifact, 1, INT64_MAX},
        {"parent", PARAM_NUMBER, &out->filter.parent, 1, INT64_MAX},
        {"sub_job", PARAM_ONLY, &out->filter.sub_job, 0, 0},
    };
    out->page.limit = PAGE_DEFAULT;
    if (!read_params(req, params, sizeof params / sizeof *params, err))
        return false;
    out->filter.by_state = state.ptr != NULL;
    if (state.ptr && !job_state_parse(state, &out->filter.state))
        return wrong(err, "state", "a state of jobs", state);
    return finish_list(req, out, &p, &job_orders, err);
}

bool artifacts_query_read(struct request *req, struct step_list_query *out, struct err *err)
{
    struct list_params p = {.sort = {NULL, 0}};
    struct str kind = {NULL, 0};
    const struct param params[] = {
        LIST_PARAMS(out, p),
        {"kind", PARAM_TEXT, &kind, 0, 0},
        {"job", PARAM_NUMBER, &out->filter.producer, 1, INT64_MAX},
        {"media_type", PARAM_TEXT, &out->filter.media_type, 0, 0},
        {"deletable", PARAM_ONLY, &out->filter.deletable, 0, 0},
        {"used", PARAM_ONLY, &out->filter.used, 0, 0},
        {"secret", PARAM_ONLY, &out->filter.secret, 0, 0},
    };
    out->page.limit = PAGE_DEFAULT;
    if (!read_params(req, params, sizeof params / sizeof *params, err))
        return false;
    out->filter.by_kind = kind.ptr != NULL;
    for (int i = 0; kind.ptr && i < ARTIFACT_KIND_COUNT; i++)
        if (str_is(kind, artifact_kind_names[i]))
            out->filter.kind = i + 1;
    if (kind.ptr && !out->filter.kind--)
        return wrong(err, "kind", "upload or output", kind);
    return finish_list(req, out, &p, &artifact_orders, err);
}

bool steps_query_read(struct request *req, struct op_steps *ask, struct err *err)
{
    struct str name = {NULL, 0}, part = {NULL, 0};
    struct texts all = {NULL, 0}, any = {NULL, 0};
    const struct param params[] = {
        {"name", PARAM_TEXT, &name, 0, 0},
        {"name_contains", PARAM_TEXT, &part, 0, 0},
        {"version", PARAM_TEXT, &ask->list.version, 0, 0},
        {"tag", PARAM_LIST, &all, 0, 0},
        {"any_tag", PARAM_LIST, &any, 0, 0},
        {"hidden", PARAM_ONLY, &ask->list.hidden, 0, 0},
        {"deprecated", PARAM_ONLY, &ask->list.deprecated, 0, 0},
        {"prerelease", PARAM_ONLY, &ask->list.prerelease, 0, 0},
        {"public", PARAM_ONLY, &ask->list.is_public, 0, 0},
        {"folder", PARAM_TEXT, &ask->list.folder, 0, 0},
        {"below", PARAM_FLAG, &ask->list.below, 0, 0},
        {"offset", PARAM_NUMBER, &ask->list.offset, 0, INT32_MAX},
        {"limit", PARAM_NUMBER, &ask->list.limit, 1, PAGE_MAX},
        {"tags", PARAM_FLAG, &ask->list.wants_tags, 0, 0},
    };
    ask->list.limit = PAGE_DEFAULT;
    if (!read_params(req, params, sizeof params / sizeof *params, err))
        return false;
    ask->list.name_is = name.ptr != NULL;
    ask->list.name = name.ptr ? name : part;
    ask->list.tags_all = all.items;
    ask->list.all_count = all.count;
    ask->list.tags_any = any.items;
    ask->list.any_count = any.count;
    return true;
}

static bool read_folders_list(struct request *req, struct op_folders *ask, struct err *err)
{
    static const char *const words[] = {"step", "job", "artifact"};
    struct texts with = {NULL, 0};
    const struct param params[] = {
        {"path", PARAM_TEXT, &ask->path, 0, 0},
        {"below", PARAM_FLAG, &ask->list.below, 0, 0},
        {"name_contains", PARAM_TEXT, &ask->list.name, 0, 0},
        {"with", PARAM_LIST, &with, 0, 0},
        {"descending", PARAM_FLAG, &ask->list.descending, 0, 0},
        {"after", PARAM_TEXT, &ask->list.after, 0, 0},
        {"offset", PARAM_NUMBER, &ask->list.offset, 0, INT32_MAX},
        {"limit", PARAM_NUMBER, &ask->list.limit, 1, PAGE_MAX},
    };
    if (!read_params(req, params, sizeof params / sizeof *params, err))
        return false;
    for (size_t i = 0; i < with.count; i++) {
        unsigned bit = 0;
        for (unsigned k = 0; k < sizeof words / sizeof *words; k++)
            if (str_is(with.items[i], words[k]))
                bit = 1u << k;
        if (!bit)
            return wrong(err, "with", "step, job or artifact", with.items[i]);
        ask->list.things |= bit;
    }
    return true;
}

bool folders_query_read(struct request *req, struct op_folders *ask, struct err *err)
{
    const struct param suggested[] = {
        {"prefix", PARAM_TEXT, &ask->path, 0, 0},
        {"limit", PARAM_NUMBER, &ask->list.limit, 1, PAGE_MAX},
    };
    const struct param contents[] = {
        {"after", PARAM_NUMBER, &ask->list.before, 1, INT64_MAX},
        {"offset", PARAM_NUMBER, &ask->list.offset, 0, INT32_MAX},
        {"limit", PARAM_NUMBER, &ask->list.limit, 1, PAGE_MAX},
    };
    ask->list.limit = PAGE_DEFAULT;
    if (ask->verb == FOLDERS_LIST)
        return read_folders_list(req, ask, err);
    return ask->verb == FOLDERS_SUGGEST ? read_params(req, suggested, 2, err)
                                        : read_params(req, contents, 3, err);
}

bool step_upload_query_read(struct request *req, struct step_upload_query *out, struct err *err)
{
    struct texts tags = {NULL, 0};
    const struct param params[] = {
        {"name", PARAM_TEXT, &out->name, 0, 0},
        {"comment", PARAM_TEXT, &out->comment, 0, 0},
        {"folder", PARAM_TEXT, &out->folder, 0, 0},
        {"tag", PARAM_LIST, &tags, 0, 0},
        {"secret", PARAM_FLAG, &out->secret, 0, 0},
        {"fence", PARAM_NUMBER, &out->fence, 1, INT64_MAX},
        {"place", PARAM_NUMBER, &out->place, 0, STEP_JOB_INPUTS_MAX - 1},
    };
    if (!read_params(req, params, sizeof params / sizeof *params, err))
        return false;
    out->tags = tags.items;
    out->tag_count = tags.count;
    return true;
}
