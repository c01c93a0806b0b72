/* pinexq_step_actions.c: what is done with steps: by a table that their documents offer, too
 * (pinexq_step.h). */
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_step.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* --- when --- */

static bool is_visible(const struct step *step)
{
    return !step->hidden;
}

static bool is_hidden(const struct step *step)
{
    return step->hidden;
}

static bool is_current(const struct step *step)
{
    return step->deprecated_at_us == 0;
}

static bool is_deprecated(const struct step *step)
{
    return step->deprecated_at_us != 0;
}

static bool has_defaults(const struct step *step)
{
    return step->defaults != NULL;
}

static bool is_public(const struct step *step)
{
    return step->is_public;
}

static bool is_private(const struct step *step)
{
    return !step->is_public;
}

static bool has_code_hash(const struct step *step)
{
    return step->code_hash != NULL;
}

/* --- what --- */

static bool read_one(struct request *req, const char *name, bool required, struct str *out,
                     struct err *err)
{
    const struct pinexq_member members[] = {
        {name, PINEXQ_TEXT, required, out, 0},
    };
    return pinexq_body_read(req, members, COUNT(members), err);
}

static bool read_tags(struct request *req, struct op_steps *ask, struct err *err)
{
    struct pinexq_texts tags = {NULL, 0};
    const struct pinexq_member members[] = {
        {"Tags", PINEXQ_TEXTS, true, &tags, 0},
    };
    ask->sets = STEP_SETS_TAGS;
    if (!pinexq_body_read(req, members, COUNT(members), err))
        return false;
    ask->tags = tags.items;
    ask->tag_count = tags.count;
    return true;
}

/* None: what the manifest says. */
/* Without a folder it goes to the root. */
static bool read_folder(struct request *req, struct op_steps *ask, struct err *err)
{
    const struct pinexq_member members[] = {
        {"Folder", PINEXQ_URL, false, &ask->folder_id, PINEXQ_FOLDER},
    };
    ask->sets = STEP_SETS_FOLDER;
    return pinexq_body_read(req, members, COUNT(members), err);
}

static bool read_title(struct request *req, struct op_steps *ask, struct err *err)
{
    ask->sets = STEP_SETS_TITLE;
    return read_one(req, "Title", false, &ask->title, err);
}

static bool set_hidden(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_HIDDEN;
    ask->hidden = true;
    return true;
}

static bool set_visible(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_HIDDEN;
    return true;
}

static bool read_reason(struct request *req, struct op_steps *ask, struct err *err)
{
    ask->sets = STEP_SETS_DEPRECATION;
    ask->deprecation = STR("");
    return read_one(req, "Reason", false, &ask->deprecation, err);
}

static bool set_current(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_DEPRECATION;
    return true;
}

/* The body is the parameters themselves. */
static bool read_defaults(struct request *req, struct op_steps *ask, struct err *err)
{
    const char *fault = NULL;
    size_t at = 0;
    ask->sets = STEP_SETS_DEFAULTS;
    ask->defaults.ptr = request_body(req, &ask->defaults.len);
    ask->defaults = str_trim(ask->defaults);
    return json_check(ask->defaults, &at, &fault) ||
           err_set(err, ERR_INVALID, "body: byte %zu: %s", at, fault);
}

static bool clear_defaults(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_DEFAULTS;
    return true;
}

static bool set_public(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_PUBLIC;
    ask->is_public = true;
    return true;
}

static bool set_private(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_PUBLIC;
    return true;
}

static bool read_code_hash(struct request *req, struct op_steps *ask, struct err *err)
{
    ask->sets = STEP_SETS_CODE_HASH;
    return read_one(req, "CodeHash", true, &ask->code_hash, err);
}

static bool clear_code_hash(struct request *req, struct op_steps *ask, struct err *err)
{
    (void)req, (void)err;
    ask->sets = STEP_SETS_CODE_HASH;
    return true;
}

#define ACTION(action_name, type)                                                                  \
    {                                                                                              \
        .name = (action_name), .method = "POST", .parameters = (type)                              \
    }

const struct pinexq_step_action pinexq_step_actions[] = {
    {ACTION("EditTags", "SetProcessingStepTagsParameters"), NULL, read_tags},
    {ACTION("EditTitle", "SetProcessingStepTitleParameters"), NULL, read_title},
    {ACTION("MoveToFolder", "MoveToFolderParameters"), NULL, read_folder},
    {ACTION("Hide", NULL), is_visible, set_hidden},
    {ACTION("UnHide", NULL), is_hidden, set_visible},
    {ACTION("Deprecate", "DeprecatePsActionParameters"), is_current, read_reason},
    {ACTION("Restore", NULL), is_deprecated, set_current},
    {ACTION("ConfigureDefaultParameters", "ConfigureDefaultParameters"), step_has_parameters,
     read_defaults},
    {ACTION("ClearDefaultParameters", NULL), has_defaults, clear_defaults},
    {ACTION("MakePublic", NULL), is_private, set_public},
    {ACTION("MakePrivate", NULL), is_public, set_private},
    {ACTION("AssignCodeHash", "AssignCodeHashParameters"), NULL, read_code_hash},
    {ACTION("ClearCodeHash", NULL), has_code_hash, clear_code_hash},
};
const size_t pinexq_step_action_count = COUNT(pinexq_step_actions);

/* --- handlers --- */

static struct op_steps *ask_of(struct request *req, enum steps_verb verb, struct err *err)
{
    int64_t id = 0;
    if (!pinexq_path_id(req, &id, err))
        return NULL;
    struct op_steps *ask = &request_op(req, OP_STEPS)->steps;
    ask->verb = verb;
    request_step_asker(req, &ask->by);
    ask->id = id;
    return ask;
}

bool pinexq_step_act(struct request *req, struct reply *reply, struct err *err)
{
    struct str name = request_path_param(req, "action");
    struct op_steps *ask = ask_of(req, STEPS_EDIT, err);
    (void)reply;
    if (!ask)
        return false;
    for (size_t i = 0; i < pinexq_step_action_count; i++)
        if (str_is(name, pinexq_step_actions[i].siren.name))
            return pinexq_step_actions[i].read(req, ask, err) && request_call(req, pinexq_done);
    return err_set(err, ERR_NOT_FOUND, "steps have no such action");
}

bool pinexq_step_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_of(req, STEPS_DELETE, err) && request_call(req, pinexq_done);
}
