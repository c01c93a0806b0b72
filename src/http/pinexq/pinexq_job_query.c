/* pinexq_job_query.c: queries of jobs (pinexq.h). */
#include "http/native/native_value.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_job.h"
#include "http/pinexq/pinexq_query.h"

#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

#define PATH "/api/JobQuery"

static const struct pinexq_sort sorts[] = {{"CreatedAt", STEP_SORT_CREATED},
                                           {"Name", STEP_SORT_NAME},
                                           {"CompletedAt", STEP_SORT_ENDED},
                                           {NULL, 0}};

/* What a client may ask for; `known` false: no job is ever in it. */
static const struct {
    const char *name;
    bool known;
    enum job_state state;
} states[] = {
    {"Created", true, JOB_DRAFT},       {"ReadyForProcessing", true, JOB_READY},
    {"Pending", true, JOB_PENDING},     {"Processing", true, JOB_RUNNING},
    {"Completed", true, JOB_COMPLETED}, {"Error", true, JOB_FAILED},
    {"Canceled", true, JOB_CANCELLED},  {"DataMissing", false, JOB_DRAFT},
    {"Undefined", false, JOB_DRAFT},
};

struct job_filter {
    struct step_filter filter;
    bool nothing; /* no job can match */
};

static bool read_state(struct str name, struct job_filter *out, struct err *err)
{
    if (!name.ptr)
        return true;
    for (size_t i = 0; i < COUNT(states); i++)
        if (str_is(name, states[i].name)) {
            out->filter.by_state = true;
            out->filter.state = states[i].state;
            out->nothing = !states[i].known;
            return true;
        }
    return err_set(err, ERR_INVALID, "Filter.State: there is no state \"%.*s\"", value_shown(name),
                   name.ptr);
}

static bool read_filter(struct request *req, const struct pinexq_query *query,
                        struct job_filter *out, struct err *err)
{
    struct step_filter *f = &out->filter;
    struct pinexq_texts all = {NULL, 0}, any = {NULL, 0};
    struct str state = {NULL, 0}, expression = {NULL, 0};
    const struct pinexq_member members[] = {
        {"State", PINEXQ_TEXT, false, &state, 0},
        {"Name", PINEXQ_TEXT, false, &f->name, 0},
        {"TagsByAnd", PINEXQ_TEXTS, false, &all, 0},
        {"TagsByOr", PINEXQ_TEXTS, false, &any, 0},
        {"TagQueryExpression", PINEXQ_TEXT, false, &expression, 0},
        {"ShowHidden", PINEXQ_ONLY, false, &f->hidden, 0},
        {"CreatedBefore", PINEXQ_TIME, false, &f->created_before_us, 0},
        {"CreatedAfter", PINEXQ_TIME, false, &f->created_from_us, 0},
        {"ProcessingStepUrl", PINEXQ_URL, false, &f->step, PINEXQ_STEP},
        {"WorkDataUrl", PINEXQ_URL, false, &f->artifact, PINEXQ_WORK_DATA},
        {"ParentJobUrl", PINEXQ_URL, false, &f->parent, PINEXQ_JOB},
        {"IsSubJob", PINEXQ_ONLY, false, &f->sub_job, 0},
        {"Folder", PINEXQ_TEXT, false, &f->folder, 0},
        {"FolderRecursive", PINEXQ_BOOL, false, &f->below, 0},
    };
    if (!pinexq_object_read(req, "Filter", query->filter, members, COUNT(members), err))
        return false;
    if (expression.len)
        return err_set(err, ERR_INVALID,
                       "Filter.TagQueryExpression: is not understood here: use "
                       "TagsByAnd and TagsByOr");
    return read_state(state, out, err) && pinexq_texts_json(req, &all, &f->tags_all, err) &&
           pinexq_texts_json(req, &any, &f->tags_any, err);
}

bool pinexq_job_query_create(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_query query;
    struct job_filter filter = {.nothing = false};
    return pinexq_query_posted(req, sorts, &query, err) && read_filter(req, &query, &filter, err) &&
           pinexq_query_created(req, reply, PATH, &query, err);
}

/* `ask` NULL: nothing was found, nor asked for. */
static bool write_page(struct request *req, const struct pinexq_query *query,
                       const struct op_step_jobs *ask, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    struct pinexq_found found = {.total = 0};
    if (ask)
        found = (struct pinexq_found){ask->total, ask->count, ask->more, ask->last};
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "JobQueryResult", NULL);
    pinexq_query_counts(&s, query, &found);
    if (query->remaining_tags && ask)
        siren_texts(&s, "RemainingTags", &ask->tags);
    for (size_t i = 0; i < found.count; i++)
        pinexq_write_job(&s, &ask->views[i], "item", pinexq_may_work(req));
    pinexq_query_links(&s, PATH, query, &found);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

static bool finish_page(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return write_page(req, request_state(req), &op->step_jobs, reply, err);
}

bool pinexq_job_query_page(struct request *req, struct reply *reply, struct err *err)
{
    struct pinexq_query *query = request_alloc(req, sizeof *query);
    struct job_filter filter = {.nothing = false};
    if (!query)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!pinexq_query_read(req, sorts, query, err) || !read_filter(req, query, &filter, err))
        return false;
    if (filter.nothing)
        return write_page(req, query, NULL, reply, err);
    struct op *op = request_op(req, OP_STEP_JOBS);
    struct op_step_jobs *ask = &op->step_jobs;
    request_step_asker(req, &ask->by);
    ask->filter = filter.filter;
    /* Newest first, unless another order is asked for. */
    ask->page.sort = query->sort < 0 ? STEP_SORT_CREATED : (enum step_sort)query->sort;
    ask->page.descending = query->sort < 0 || query->descending;
    pinexq_query_page(query, &ask->page);
    ask->wants_total = query->total < 0;
    ask->wants_tags = query->remaining_tags;
    request_set_state(req, query);
    return request_call(req, finish_page);
}
