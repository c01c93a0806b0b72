/* pinexq_jobs.c: jobs are made, and shown (pinexq.h). */
#include "http/native/native_value.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_events.h"
#include "http/pinexq/pinexq_job.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* --- shown --- */

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    pinexq_write_job(&s, &op->step_job_show.view, NULL, pinexq_may_work(req));
    pinexq_job_was_read(req, op->step_job_show.view.job);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_job_show(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    (void)reply;
    if (!pinexq_path_id(req, &id, err))
        return false;
    struct op *op = request_op(req, OP_STEP_JOB_SHOW);
    request_step_asker(req, &op->step_job_show.by);
    op->step_job_show.id = id;
    return request_call(req, finish_shown);
}

/* --- made --- */

static bool finish_made(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct pinexq_href href = pinexq_thing(PINEXQ_JOB, op->step_job_edit.job);
    return pinexq_created(req, reply, &href, err);
}

static struct op_step_job_edit *ask_new(struct request *req, unsigned sets)
{
    struct op_step_job_edit *ask = &request_op(req, OP_STEP_JOB_EDIT)->step_job_edit;
    request_step_asker(req, &ask->by);
    ask->sets = sets;
    return ask;
}

bool pinexq_job_create(struct request *req, struct reply *reply, struct err *err)
{
    struct op_step_job_edit *ask = ask_new(req, STEP_JOB_SETS_NAME);
    const struct pinexq_member members[] = {
        {"Name", PINEXQ_TEXT, true, &ask->name, 0},
        {"Folder", PINEXQ_URL, false, &ask->folder_id, PINEXQ_FOLDER},
    };
    (void)reply;
    if (!pinexq_body_read(req, members, COUNT(members), err))
        return false;
    if (ask->folder_id)
        ask->sets |= STEP_JOB_SETS_FOLDER;
    return request_call(req, finish_made);
}

/* What a sub job is to be, while its parent's folder is asked for. */
struct sub_job {
    struct str name;
    int64_t parent;
};

static bool make_sub_job(struct request *req, const struct sub_job *what, struct str folder)
{
    unsigned sets = STEP_JOB_SETS_NAME | (folder.ptr ? (unsigned)STEP_JOB_SETS_FOLDER : 0u);
    struct op_step_job_edit *ask = ask_new(req, sets);
    ask->name = what->name;
    ask->parent = what->parent;
    ask->folder = folder;
    return request_call(req, finish_made);
}

static bool finish_parent(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct sub_job *what = request_state(req);
    const char *folder = op->step_job_show.view.job->folder;
    (void)reply;
    char *kept = request_strdup(req, str_of(folder));
    return kept ? make_sub_job(req, what, str_of(kept)) : err_set(err, ERR_BUSY, "memory is out");
}

bool pinexq_job_create_sub(struct request *req, struct reply *reply, struct err *err)
{
    bool inherits = false;
    struct sub_job *what = request_alloc(req, sizeof *what);
    (void)reply;
    if (!what)
        return err_set(err, ERR_BUSY, "memory is out");
    const struct pinexq_member members[] = {
        {"Name", PINEXQ_TEXT, true, &what->name, 0},
        {"ParentJobUrl", PINEXQ_URL, true, &what->parent, PINEXQ_JOB},
        {"InheritParentFolder", PINEXQ_BOOL, false, &inherits, 0},
    };
    if (!pinexq_body_read(req, members, COUNT(members), err))
        return false;
    if (!inherits)
        return make_sub_job(req, what, (struct str){NULL, 0});
    request_set_state(req, what);
    struct op *op = request_op(req, OP_STEP_JOB_SHOW);
    request_step_asker(req, &op->step_job_show.by);
    op->step_job_show.id = what->parent;
    return request_call(req, finish_parent);
}

/* --- at once --- */

/* Whatever is wrong with it, it is the body. */
static bool finish_rapid(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    bool wrong = op->err.code == ERR_CONFLICT || op->err.code == ERR_NOT_FOUND;
    if (op->err.code == ERR_NONE)
        return finish_made(req, op, reply, err);
    return err_set(err, wrong ? ERR_INVALID : op->err.code, "%s", op->err.text);
}

static bool read_fill(struct request *req, struct str raw, struct step_fill_ask *out,
                      struct err *err)
{
    struct pinexq_ids ids = {NULL, 0};
    out->slot = -1;
    const struct pinexq_member members[] = {
        {"Index", PINEXQ_NUMBER, true, &out->slot, 0},
        {"WorkDataUrls", PINEXQ_URLS, false, &ids, PINEXQ_WORK_DATA},
    };
    if (!pinexq_object_read(req, NULL, raw, members, COUNT(members), err))
        return false;
    out->ids = ids.items;
    out->count = ids.count;
    return true;
}

static bool read_fills(struct request *req, struct str raw, struct op_step_job_edit *ask,
                       struct err *err)
{
    struct json j;
    struct str item;
    if (!raw.ptr)
        return true;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, "InputDataSlots", "a list", raw);
    struct step_fill_ask *fills = request_alloc(req, STEP_SLOTS_MAX * sizeof *fills);
    if (!fills)
        return err_set(err, ERR_BUSY, "memory is out");
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item)) {
        if (ask->fill_count == STEP_SLOTS_MAX)
            return err_set(err, ERR_INVALID, "InputDataSlots: more than %d", STEP_SLOTS_MAX);
        if (!read_fill(req, item, &fills[ask->fill_count], err))
            return value_place(err, "InputDataSlots", ask->fill_count);
        ask->fill_count++;
    }
    ask->fills = fills;
    return true;
}

/* A text that holds JSON. */
static bool check_parameters(struct op_step_job_edit *ask, struct err *err)
{
    const char *fault = NULL;
    size_t at = 0;
    ask->parameters = str_trim(ask->parameters);
    if (ask->parameters.len == 0)
        return true;
    ask->sets |= STEP_JOB_SETS_PARAMETERS;
    return json_check(ask->parameters, &at, &fault) ||
           err_set(err, ERR_INVALID, "Parameters: the JSON in it is wrong at byte %zu: %s", at,
                   fault);
}

bool pinexq_job_rapid(struct request *req, struct reply *reply, struct err *err)
{
    struct op_step_job_edit *ask = ask_new(req, STEP_JOB_SETS_NAME | STEP_JOB_SETS_STEP);
    struct pinexq_texts tags = {NULL, 0};
    struct str fills = {NULL, 0};
    bool starts = true;
    enum step_only deletable = STEP_BOTH;
    const struct pinexq_member members[] = {
        {"Name", PINEXQ_TEXT, true, &ask->name, 0},
        {"ProcessingStepUrl", PINEXQ_URL, true, &ask->step, PINEXQ_STEP},
        {"ParentJobUrl", PINEXQ_URL, false, &ask->parent, PINEXQ_JOB},
        {"Tags", PINEXQ_TEXTS, false, &tags, 0},
        {"Parameters", PINEXQ_TEXT, false, &ask->parameters, 0},
        {"AllowOutputDataDeletion", PINEXQ_ONLY, false, &deletable, 0},
        {"InputDataSlots", PINEXQ_RAW, false, &fills, 0},
        {"Start", PINEXQ_BOOL, false, &starts, 0},
    };
    (void)reply;
    if (!pinexq_body_read(req, members, COUNT(members), err) || !check_parameters(ask, err) ||
        !read_fills(req, fills, ask, err))
        return false;
    ask->tags = tags.items;
    ask->tag_count = tags.count;
    ask->sets |= tags.items ? (unsigned)STEP_JOB_SETS_TAGS : 0u;
    ask->sets |= starts ? (unsigned)STEP_JOB_STARTS : 0u;
    ask->sets |= deletable != STEP_BOTH ? (unsigned)STEP_JOB_SETS_OUTPUT_DELETABLE : 0u;
    ask->output_deletable = deletable == STEP_ONLY;
    return request_ask(req, finish_rapid);
}
