/* pinexq_work_data_query.c: which work data there is, and which tags (pinexq.h). */
#include "http/native/native_value.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_query.h"
#include "http/pinexq/pinexq_work_data.h"

#define RESULT_PATH PINEXQ_WORK_DATA_PATH

static const struct pinexq_sort sorts[] = {
    {"Name", STEP_SORT_NAME},         {"MediaType", STEP_SORT_MEDIA_TYPE}, {"Kind", STEP_SORT_KIND},
    {"SizeInBytes", STEP_SORT_BYTES}, {"CreatedAt", STEP_SORT_CREATED},    {NULL, 0},
};

/* A kind that we do not have is one that nothing has. */
static bool read_kind(struct str raw, struct step_filter *filter, struct err *err)
{
    static const char *const kinds[] = {"ClientUpload", "ProcessingArtefact", "Unknown",
                                        "Monitoring", NULL};
    int kind = 0;
    if (!raw.ptr)
        return true;
    filter->by_kind = true;
    if (!value_word("Filter.IsKind", raw, kinds, &kind, err))
        return false;
    filter->kind = kind;
    return true;
}

static bool read_filter(struct request *req, struct str raw, struct step_filter *filter,
                        struct err *err)
{
    struct pinexq_texts all = {NULL, 0}, any = {NULL, 0};
    struct str kind = {NULL, 0}, expression = {NULL, 0};
    const struct pinexq_member members[] = {
        {"NameContains", PINEXQ_TEXT, false, &filter->name, 0},
        {"MediaTypeContains", PINEXQ_TEXT, false, &filter->media_type, 0},
        {"TagsByAnd", PINEXQ_TEXTS, false, &all, 0},
        {"TagsByOr", PINEXQ_TEXTS, false, &any, 0},
        {"TagQueryExpression", PINEXQ_TEXT, false, &expression, 0},
        {"ShowHidden", PINEXQ_ONLY, false, &filter->hidden, 0},
        {"CreatedBefore", PINEXQ_TIME, false, &filter->created_before_us, 0},
        {"CreatedAfter", PINEXQ_TIME, false, &filter->created_from_us, 0},
        {"ProducerProcessingStepUrl", PINEXQ_URL, false, &filter->step, PINEXQ_STEP},
        {"IsKind", PINEXQ_RAW, false, &kind, 0},
        {"IsDeletable", PINEXQ_ONLY, false, &filter->deletable, 0},
        {"IsUsed", PINEXQ_ONLY, false, &filter->used, 0},
        {"IsMarkedAsSecret", PINEXQ_ONLY, false, &filter->secret, 0},
        {"Folder", PINEXQ_TEXT, false, &filter->folder, 0},
        {"FolderRecursive", PINEXQ_BOOL, false, &filter->below, 0},
    };
    if (!pinexq_object_read(req, "Filter", raw, members, sizeof members / sizeof *members, err))
        return false;
    if (expression.len)
        return err_set(err, ERR_INVALID, "Filter.TagQueryExpression: is not understood here");
    return read_kind(kind, filter, err) && pinexq_texts_json(req, &all, &filter->tags_all, err) &&
           pinexq_texts_json(req, &any, &filter->tags_any, err);
}

bool pinexq_work_data_query(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_query q;
    struct step_filter filter = {.step = 0};
    return pinexq_query_posted(req, sorts, &q, err) && read_filter(req, q.filter, &filter, err) &&
           pinexq_query_created(req, reply, RESULT_PATH, &q, err);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_artifacts *ask = &op->artifacts;
    const struct pinexq_query *q = request_state(req);
    const struct pinexq_found found = {ask->total, ask->count, ask->more, ask->last};
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "WorkDataQueryResult", NULL);
    pinexq_query_counts(&s, q, &found);
    for (size_t i = 0; i < ask->count; i++)
        pinexq_write_work_data(&s, ask->artifacts[i], "item", pinexq_may_work(req));
    pinexq_query_links(&s, RESULT_PATH, q, &found);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_work_data_result(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_query *q = request_alloc(req, sizeof *q);
    struct step_filter filter = {.step = 0};
    (void)reply;
    if (!q)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!pinexq_query_read(req, sorts, q, err) || !read_filter(req, q->filter, &filter, err))
        return false;
    request_set_state(req, q);
    struct op_artifacts *ask = &request_op(req, OP_ARTIFACTS)->artifacts;
    request_step_asker(req, &ask->by);
    ask->filter = filter;
    ask->page.sort = q->sort < 0 ? STEP_SORT_CREATED : (enum step_sort)q->sort;
    ask->page.descending = q->sort < 0 || q->descending;
    pinexq_query_page(q, &ask->page);
    ask->wants_total = q->total < 0;
    return request_call(req, finish_listed);
}
