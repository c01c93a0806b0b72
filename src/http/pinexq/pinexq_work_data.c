/* pinexq_work_data.c: work data is shown, changed, deleted and downloaded (pinexq.h). */
#include "http/pinexq/pinexq_work_data.h"
#include "http/artifact_send.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"

/* --- shown --- */

static bool ask_show(struct request *req, route_finish *finish, struct err *err)
{
    int64_t id = 0;
    if (!pinexq_path_id(req, &id, err))
        return false;
    struct op *op = request_op(req, OP_ARTIFACT_SHOW);
    request_step_asker(req, &op->artifact_show.by);
    op->artifact_show.id = id;
    return request_call(req, finish);
}

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    pinexq_write_work_data(&s, op->artifact_show.artifact, NULL, pinexq_may_work(req));
    return pinexq_reply(reply, &b, err);
}

bool pinexq_work_data_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_show(req, finish_shown, err);
}

static bool finish_content(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct artifact *a = op->artifact_show.artifact;
    reply_header(reply, "Cache-Control", "no-store");
    return artifact_send(req, a, pinexq_media_type(a), reply, err);
}

bool pinexq_work_data_content(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_show(req, finish_content, err);
}

/* --- changed, deleted --- */

/* What an action does: it sets, from its body or to a value. */
struct action {
    const char *name;
    unsigned sets;
    bool value; /* of what is set, without a body */
    bool (*read)(struct request *req, struct op_artifact_edit *ask, struct err *err);
};

static bool read_tags(struct request *req, struct op_artifact_edit *ask, struct err *err)
{
    struct pinexq_texts tags = {NULL, 0};
    const struct pinexq_member members[] = {{"Tags", PINEXQ_TEXTS, true, &tags, 0}};
    if (!pinexq_body_read(req, members, 1, err))
        return false;
    ask->tags = tags.items;
    ask->tag_count = tags.count;
    return true;
}

static bool read_name(struct request *req, struct op_artifact_edit *ask, struct err *err)
{
    const struct pinexq_member members[] = {{"NewName", PINEXQ_TEXT, true, &ask->name, 0}};
    return pinexq_body_read(req, members, 1, err);
}

static bool read_comment(struct request *req, struct op_artifact_edit *ask, struct err *err)
{
    const struct pinexq_member members[] = {{"Comment", PINEXQ_TEXT, false, &ask->comment, 0}};
    return pinexq_body_read(req, members, 1, err);
}

/* Without a folder it goes to the root. */
static bool read_folder(struct request *req, struct op_artifact_edit *ask, struct err *err)
{
    const struct pinexq_member members[] = {
        {"Folder", PINEXQ_URL, false, &ask->folder_id, PINEXQ_FOLDER}};
    return pinexq_body_read(req, members, 1, err);
}

static const struct action actions[] = {
    {"AllowDeletion", ARTIFACT_SETS_DELETABLE, true, NULL},
    {"DisallowDeletion", ARTIFACT_SETS_DELETABLE, false, NULL},
    {"EditTags", ARTIFACT_SETS_TAGS, false, read_tags},
    {"Rename", ARTIFACT_SETS_NAME, false, read_name},
    {"EditComment", ARTIFACT_SETS_COMMENT, false, read_comment},
    {"Hide", ARTIFACT_SETS_HIDDEN, true, NULL},
    {"UnHide", ARTIFACT_SETS_HIDDEN, false, NULL},
    {"MarkAsSecret", ARTIFACT_SETS_SECRET, true, NULL},
    {"MoveToFolder", ARTIFACT_SETS_FOLDER, false, read_folder},
};

static struct op_artifact_edit *ask_edit(struct request *req, unsigned sets, struct err *err)
{
    int64_t id = 0;
    if (!pinexq_path_id(req, &id, err))
        return NULL;
    struct op_artifact_edit *ask = &request_op(req, OP_ARTIFACT_EDIT)->artifact_edit;
    request_step_asker(req, &ask->by);
    ask->id = id;
    ask->sets = sets;
    return ask;
}

bool pinexq_work_data_act(struct request *req, struct reply *reply, struct err *err)
{
    struct str name = request_path_param(req, "action");
    (void)reply;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        const struct action *action = &actions[i];
        if (!str_is(name, action->name))
            continue;
        struct op_artifact_edit *ask = ask_edit(req, action->sets, err);
        if (!ask)
            return false;
        ask->hidden = ask->deletable = ask->secret = action->value;
        return (!action->read || action->read(req, ask, err)) && request_call(req, pinexq_done);
    }
    return err_set(err, ERR_NOT_FOUND, "work data has no such action");
}

bool pinexq_work_data_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_edit(req, ARTIFACT_DELETES, err) && request_call(req, pinexq_done);
}
