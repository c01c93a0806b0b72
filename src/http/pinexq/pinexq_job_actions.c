/* pinexq_job_actions.c: what is done with jobs: by a table that their documents offer, too, so that
 * a document and a refusal say the same (pinexq_job.h). */
#include "base/parse.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_job.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* --- when --- */

static bool may(const struct step_job_view *view, enum step_job_verb verb)
{
    struct err ignored;
    return step_job_may(view->job, view->step, verb, &ignored);
}

static bool may_select(const struct step_job_view *view)
{
    return may(view, STEP_JOB_SELECT);
}

static bool may_configure(const struct step_job_view *view)
{
    return may(view, STEP_JOB_CONFIGURE);
}

/* Why a draft is not ready takes a while to say, and nobody asks. */
static bool may_start(const struct step_job_view *view)
{
    return view->job->state != JOB_DRAFT && may(view, STEP_JOB_START);
}

static bool may_fail(const struct step_job_view *view)
{
    return may(view, STEP_JOB_FAIL);
}

static bool is_visible(const struct step_job_view *view)
{
    return !view->job->hidden;
}

static bool is_hidden(const struct step_job_view *view)
{
    return view->job->hidden;
}

/* --- what --- */

static bool read_step(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    const struct pinexq_member members[] = {
        {"ProcessingStepUrl", PINEXQ_URL, true, &ask->step, PINEXQ_STEP},
    };
    ask->sets = STEP_JOB_SETS_STEP;
    return pinexq_body_read(req, members, COUNT(members), err);
}

/* The body is the parameters themselves. */
static bool read_parameters(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    const char *fault = NULL;
    size_t at = 0;
    ask->sets = STEP_JOB_SETS_PARAMETERS;
    ask->parameters.ptr = request_body(req, &ask->parameters.len);
    ask->parameters = str_trim(ask->parameters);
    if (ask->parameters.len == 0)
        ask->parameters = STR("{}");
    return json_check(ask->parameters, &at, &fault) ||
           err_set(err, ERR_INVALID, "body: byte %zu: %s", at, fault);
}

static bool read_tags(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    struct pinexq_texts tags = {NULL, 0};
    const struct pinexq_member members[] = {
        {"Tags", PINEXQ_TEXTS, true, &tags, 0},
    };
    ask->sets = STEP_JOB_SETS_TAGS;
    if (!pinexq_body_read(req, members, COUNT(members), err))
        return false;
    ask->tags = tags.items;
    ask->tag_count = tags.count;
    return true;
}

/* Without a folder it goes to the root. */
static bool read_folder(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    const struct pinexq_member members[] = {
        {"Folder", PINEXQ_URL, false, &ask->folder_id, PINEXQ_FOLDER},
    };
    ask->sets = STEP_JOB_SETS_FOLDER;
    return pinexq_body_read(req, members, COUNT(members), err);
}

static bool read_name(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    const struct pinexq_member members[] = {
        {"NewName", PINEXQ_TEXT, true, &ask->name, 0},
    };
    ask->sets = STEP_JOB_SETS_NAME;
    return pinexq_body_read(req, members, COUNT(members), err);
}

static bool set_hidden(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_JOB_SETS_HIDDEN;
    ask->hidden = true;
    return true;
}

static bool set_visible(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_JOB_SETS_HIDDEN;
    return true;
}

static bool allow_deletion(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_JOB_SETS_OUTPUT_DELETABLE;
    ask->output_deletable = true;
    return true;
}

static bool disallow_deletion(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_JOB_SETS_OUTPUT_DELETABLE;
    return true;
}

static bool set_started(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_JOB_STARTS;
    return true;
}

#define ACTION(action_name, type)                                                                  \
    {                                                                                              \
        .name = (action_name), .method = "POST", .parameters = (type)                              \
    }

const struct pinexq_job_action pinexq_job_actions[] = {
    {ACTION("SelectProcessing", "SelectProcessingParameters"), may_select, read_step},
    {ACTION("ConfigureProcessing", "ConfigureProcessingParameters"), may_configure,
     read_parameters},
    {ACTION("StartProcessing", NULL), may_start, set_started},
    {ACTION("EditTags", "SetJobTagsParameters"), NULL, read_tags},
    {ACTION("Rename", "RenameJobParameters"), NULL, read_name},
    {ACTION("MoveToFolder", "MoveToFolderParameters"), NULL, read_folder},
    {ACTION("Hide", NULL), is_visible, set_hidden},
    {ACTION("UnHide", NULL), is_hidden, set_visible},
    {ACTION("AllowOutputDataDeletion", NULL), NULL, allow_deletion},
    {ACTION("DisallowOutputDataDeletion", NULL), NULL, disallow_deletion},
    /* Another op: it has a route of its own. */
    {ACTION("SetJobToErrorState", "SetJobErrorStateParameters"), may_fail, NULL},
};
const size_t pinexq_job_action_count = COUNT(pinexq_job_actions);

static struct op_step_job_edit *ask_edit(struct request *req)
{
    struct op_step_job_edit *ask = &request_op(req, OP_STEP_JOB_EDIT)->step_job_edit;
    request_step_asker(req, &ask->by);
    return ask;
}

bool pinexq_job_act(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    struct str name = request_path_param(req, "action");
    (void)reply;
    if (!pinexq_path_id(req, &id, err))
        return false;
    for (size_t i = 0; i < pinexq_job_action_count; i++) {
        const struct pinexq_job_action *action = &pinexq_job_actions[i];
        if (!action->read || !str_is(name, action->siren.name))
            continue;
        struct op_step_job_edit *ask = ask_edit(req);
        ask->id = id;
        return action->read(req, ask, err) && request_call(req, pinexq_done);
    }
    return err_set(err, ERR_NOT_FOUND, "jobs have no such action");
}

/* --- slots --- */

static bool read_slot(struct request *req, struct str action, struct pinexq_ids *out,
                      struct err *err)
{
    int64_t one = 0;
    const struct pinexq_member single[] = {
        {"WorkDataUrl", PINEXQ_URL, true, &one, PINEXQ_WORK_DATA},
    };
    const struct pinexq_member several[] = {
        {"WorkDataUrls", PINEXQ_URLS, true, out, PINEXQ_WORK_DATA},
    };
    if (str_is(action, "Clear"))
        return true;
    if (str_is(action, "SelectWorkDataCollection"))
        return pinexq_body_read(req, several, COUNT(several), err);
    if (!str_is(action, "SelectWorkData"))
        return err_set(err, ERR_NOT_FOUND, "slots have no such action");
    int64_t *list = request_alloc(req, sizeof *list);
    if (!list)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!pinexq_body_read(req, single, COUNT(single), err))
        return false;
    *list = one;
    *out = (struct pinexq_ids){list, 1};
    return true;
}

bool pinexq_slot_act(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0, place = 0;
    struct err ignored;
    struct pinexq_ids ids = {NULL, 0};
    (void)reply;
    if (!pinexq_path_id(req, &id, err))
        return false;
    if (!parse_i64(request_path_param(req, "place"), 0, STEP_SLOTS_MAX - 1, &place, &ignored))
        return err_set(err, ERR_NOT_FOUND, "there is no such slot");
    if (!read_slot(req, request_path_param(req, "action"), &ids, err))
        return false;
    struct step_fill_ask *fill = request_alloc(req, sizeof *fill);
    if (!fill)
        return err_set(err, ERR_BUSY, "memory is out");
    *fill = (struct step_fill_ask){.slot = place, .ids = ids.items, .count = ids.count};
    struct op_step_job_edit *ask = ask_edit(req);
    ask->id = id;
    ask->fills = fill;
    ask->fill_count = 1;
    return request_call(req, pinexq_done);
}

/* --- ends --- */

static struct op *end_op(struct request *req, enum step_job_end how, struct err *err)
{
    int64_t id = 0;
    if (!pinexq_path_id(req, &id, err))
        return NULL;
    struct op *op = request_op(req, OP_STEP_JOB_END);
    request_step_asker(req, &op->step_job_end.by);
    op->step_job_end.id = id;
    op->step_job_end.how = how;
    return op;
}

bool pinexq_job_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return end_op(req, STEP_JOB_END_DELETE, err) && request_call(req, pinexq_done);
}

bool pinexq_job_fail(struct request *req, struct reply *reply, struct err *err)
{
    struct str message = {NULL, 0};
    const struct pinexq_member members[] = {
        {"Message", PINEXQ_TEXT, true, &message, 0},
    };
    (void)reply;
    if (!pinexq_body_read(req, members, COUNT(members), err))
        return false;
    struct op *op = end_op(req, STEP_JOB_END_FAIL, err);
    if (!op)
        return false;
    op->step_job_end.message = message;
    return request_call(req, pinexq_done);
}
