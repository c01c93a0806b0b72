/* pinexq_tags.c: which tags are in use: by all of a kind, or by the work data that has some
 * (pinexq.h). */
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "store/step_store.h"

enum { TAGS_MAX = 10000, QUERY_MAX_BYTES = 10 << 10 };

/* The roots that have tags, and what is said of them. */
static const struct tagged {
    const char *root, *class;
    enum step_thing thing;
} tagged[] = {
    {"JobsRoot", "JobUsedTags", STEP_THING_JOB},
    {"ProcessingStepsRoot", "ProcessingStepUsedTags", STEP_THING_STEP},
    {"WorkDataRoot", "WorkDataUsedTagsQueryResult", STEP_THING_ARTIFACT},
};

/* What is asked: the tags that the things must have; none: all things. */
struct asked {
    const struct tagged *of;
    struct pinexq_texts tags;
};

/* The query of the answer's address. */
static void write_query(struct buf *out, const struct pinexq_texts *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        buf_add_text(out, i ? "&tag=" : "tag=");
        pinexq_query_escape(out, tags->items[i]);
    }
}

static bool write_tags(struct request *req, const struct step_tags *tags, struct reply *reply,
                       struct err *err)
{
    const struct asked *asked = request_state(req);
    OWNED_BUF struct buf b;
    OWNED_BUF struct buf path;
    OWNED_BUF struct buf query;
    struct siren s;
    buf_init(&path, 100);
    buf_init(&query, BUF_NO_CAP);
    buf_add_format(&path, "/api/%s/UsedTags%c", asked->of->root, 0);
    write_query(&query, &asked->tags);
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, asked->of->class, NULL);
    siren_texts(&s, "Tags", tags);
    siren_link(&s, "self", &(struct pinexq_href){.path = path.data, .query = buf_str(&query)});
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

static bool finish_used(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return write_tags(req, &op->step_tags.tags, reply, err);
}

static bool finish_narrowed(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    return write_tags(req, &op->artifacts.tags, reply, err);
}

static bool read_tags(struct request *req, struct asked *asked, struct err *err)
{
    size_t count = request_param_count(req);
    struct str *items = request_alloc(req, (count + 1) * sizeof *items);
    if (!items)
        return err_set(err, ERR_BUSY, "memory is out");
    asked->tags.items = items;
    for (size_t i = 0; i < count; i++) {
        struct str name, value;
        request_param_at(req, i, &name, &value);
        if (str_is(name, "tag"))
            items[asked->tags.count++] = value;
    }
    return true;
}

/* The tags of the work data that has all of some, but for those. */
static bool ask_narrowed(struct request *req, const struct asked *asked, struct err *err)
{
    struct op_artifacts *ask = &request_op(req, OP_ARTIFACTS)->artifacts;
    request_step_asker(req, &ask->by);
    ask->wants_tags = true;
    ask->page.limit = 1;
    return pinexq_texts_json(req, &asked->tags, &ask->filter.tags_all, err) &&
           request_call(req, finish_narrowed);
}

static bool ask_used(struct request *req, const struct asked *asked)
{
    struct op_step_tags *ask = &request_op(req, OP_STEP_TAGS)->step_tags;
    request_step_asker(req, &ask->by);
    ask->thing = (int)asked->of->thing;
    ask->limit = TAGS_MAX;
    return request_call(req, finish_used);
}

bool pinexq_used_tags(struct request *req, struct reply *reply, struct err *err)
{
    struct str root = request_path_param(req, "root");
    struct asked *asked = request_alloc(req, sizeof *asked);
    (void)reply;
    if (!asked)
        return err_set(err, ERR_BUSY, "memory is out");
    *asked = (struct asked){0};
    for (size_t i = 0; i < sizeof tagged / sizeof *tagged; i++)
        if (str_is(root, tagged[i].root))
            asked->of = &tagged[i];
    if (!asked->of)
        return err_set(err, ERR_NOT_FOUND, "there are no tags of that");
    request_set_state(req, asked);
    if (asked->of->thing == STEP_THING_ARTIFACT && !read_tags(req, asked, err))
        return false;
    return asked->tags.count ? ask_narrowed(req, asked, err) : ask_used(req, asked);
}

bool pinexq_tags_query_create(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_texts tags = {NULL, 0};
    const struct pinexq_member members[] = {{"RequiredTags", PINEXQ_TEXTS, false, &tags, 0}};
    OWNED_BUF struct buf query;
    buf_init(&query, BUF_NO_CAP);
    if (!pinexq_body_read(req, members, 1, err))
        return false;
    write_query(&query, &tags);
    if (query.len > QUERY_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "the query is too long for an address");
    const struct pinexq_href href = {.path = "/api/WorkDataRoot/UsedTags",
                                     .query = buf_str(&query)};
    return pinexq_created(req, reply, &href, err);
}
