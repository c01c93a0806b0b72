/* pinexq_folders.c: folders: their root, documents, actions, and pages of what is in them
 * (pinexq.h). */
#include "base/parse.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "http/pinexq/pinexq_folder.h"
#include "http/pinexq/pinexq_job.h"
#include "http/pinexq/pinexq_query.h"
#include "http/pinexq/pinexq_step.h"
#include "http/pinexq/pinexq_work_data.h"

#include <stdio.h>

#define ROOT_PATH "/api/FolderRoot"

enum { SUGGESTED_DEFAULT = 20, PATH_BYTES = 80 };

static const struct pinexq_sort sorts[] = {{NULL, 0}};

struct op *pinexq_folders_op(struct request *req, enum folders_verb verb, int64_t id)
{
    struct op *op = request_op(req, OP_FOLDERS);
    request_step_asker(req, &op->folders.by);
    op->folders.verb = verb;
    op->folders.id = id;
    op->folders.parent = -1;
    return op;
}

static struct op *named_op(struct request *req, enum folders_verb verb, struct err *err)
{
    int64_t id = 0;
    return pinexq_path_id(req, &id, err) ? pinexq_folders_op(req, verb, id) : NULL;
}

/* --- documents --- */

static void act(struct siren *s, const struct siren_action *action, int64_t id)
{
    struct pinexq_href href = pinexq_thing(PINEXQ_FOLDER, id);
    /* The thing itself is deleted, all else has a path of its own. */
    href.action = action->destroys && action->method[0] == 'D' ? NULL : action->name;
    siren_act(s, action, &href);
}

static void link_part(struct siren *s, int64_t id, const char *part)
{
    struct pinexq_href href = pinexq_thing(PINEXQ_FOLDER, id);
    href.action = part;
    siren_link(s, part, &href);
}

struct str pinexq_folder_name(const struct folder_view *view)
{
    struct str path = str_of(view->path);
    size_t at = path.len - 1;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    return (struct str){path.ptr + at, path.len - 1 - at};
}

void pinexq_folder_link(struct siren *s, int64_t folder)
{
    if (folder)
        siren_link(s, "ParentFolder", &(struct pinexq_href){.kind = PINEXQ_FOLDER, .id = folder});
}

void pinexq_write_folder(struct siren *s, const struct folder_view *view, const char *rel,
                         bool may_work)
{
    static const struct siren_action actions[] = {
        {.name = "Rename", .method = "POST", .parameters = "RenameFolderActionParameters"},
        {.name = "Move", .method = "POST", .parameters = "MoveFolderActionParameters"},
        {.name = "Delete", .method = "DELETE", .destroys = true},
        {.name = "Clear", .method = "POST", .destroys = true},
    };
    size_t offered = may_work ? sizeof actions / sizeof *actions : 0;
    struct pinexq_href self = pinexq_thing(PINEXQ_FOLDER, view->id);
    char parent[PINEXQ_UUID_CHARS + 1];
    if (view->parent)
        pinexq_uuid_write(view->parent, parent);
    siren_entity(s, "Folder", rel);
    siren_text(s, "OwnerId", view->owner);
    json_out_str(siren_property(s, "Name"), pinexq_folder_name(view));
    siren_text(s, "Path", view->path);
    siren_text(s, "ParentId", view->parent ? parent : NULL);
    for (size_t i = 0; i < offered; i++)
        act(s, &actions[i], view->id);
    siren_link(s, "self", &self);
    if (view->parent)
        siren_link(s, "Parent", &(struct pinexq_href){.kind = PINEXQ_FOLDER, .id = view->parent});
    link_part(s, view->id, "Children");
    link_part(s, view->id, "Contents");
    siren_end(s);
}

/* Clients fill in what they want of these, and take them to be there. */
#define QUERY_DEFAULTS                                                                             \
    "{\"Filter\":{},\"Pagination\":{\"PageSize\":100,\"PageOffset\":0},"                           \
    "\"SortBy\":{\"PropertyName\":\"Path\",\"SortType\":\"Ascending\"}}"

static void root_actions(struct siren *s, const struct request *req)
{
    static const struct {
        struct siren_action action;
        enum { READERS, WORKERS, SEEING_ALL } whose;
    } actions[] = {
        {{.name = "CreateFolderQuery",
          .method = "POST",
          .parameters = "FolderQueryParameters",
          .value = QUERY_DEFAULTS},
         READERS},
        {{.name = "CreateFolder", .method = "POST", .parameters = "CreateFolderParameters"},
         WORKERS},
        {{.name = "CreateAdminFolderQuery",
          .method = "POST",
          .parameters = "AdminFolderQueryParameters",
          .value = QUERY_DEFAULTS},
         SEEING_ALL},
    };
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (actions[i].whose == READERS ||
            (actions[i].whose == WORKERS ? pinexq_may_work(req) : pinexq_sees_all(req)))
            siren_act(s, &actions[i].action,
                      &(struct pinexq_href){.path = ROOT_PATH, .action = actions[i].action.name});
}

bool pinexq_folder_root(struct request *req, struct reply *reply, struct err *err)
{
    static const char *const parts[] = {"Suggest", "Children", "Contents"};
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "FolderRoot", NULL);
    root_actions(&s, req);
    siren_link(&s, "self", &(struct pinexq_href){.path = ROOT_PATH});
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        siren_link(&s, parts[i], &(struct pinexq_href){.path = ROOT_PATH, .action = parts[i]});
    pinexq_link_all(&s, "all", PINEXQ_FOLDERS_PATH);
    if (pinexq_sees_all(req))
        pinexq_link_all(&s, "all-admin", PINEXQ_ADMIN_FOLDERS_PATH);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    pinexq_write_folder(&s, &op->folders.views[0], NULL, pinexq_may_work(req));
    return pinexq_reply(reply, &b, err);
}

bool pinexq_folder_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return named_op(req, FOLDERS_SHOW, err) && request_call(req, finish_shown);
}

static bool finish_suggested(struct request *req, struct op *op, struct reply *reply,
                             struct err *err)
{
    const struct op_folders *ask = &op->folders;
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "FolderSuggestions", NULL);
    json_out_str(siren_property(&s, "Prefix"), ask->path);
    struct json_out *o = siren_property(&s, "Suggestions");
    json_out_open(o, '[');
    for (size_t i = 0; i < ask->count; i++)
        json_out_text(o, ask->views[i].path);
    json_out_close(o, ']');
    siren_link(&s, "self", &(struct pinexq_href){.path = ROOT_PATH, .action = "Suggest"});
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_folder_suggest(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = pinexq_folders_op(req, FOLDERS_SUGGEST, -1);
    struct str text;
    (void)reply;
    op->folders.list.limit = SUGGESTED_DEFAULT;
    if (request_param(req, "prefix", &text))
        op->folders.path = text;
    if (request_param(req, "limit", &text) &&
        !parse_i64(text, 1, INT32_MAX, &op->folders.list.limit, err))
        return err_add(err, "limit");
    return request_call(req, finish_suggested);
}

/* --- pages --- */

/* The page's own address, without its query. */
static void page_path(const struct op_folders *ask, const char *part, char out[PATH_BYTES])
{
    char uuid[PINEXQ_UUID_CHARS + 1];
    if (!ask->id) {
        snprintf(out, PATH_BYTES, ROOT_PATH "/%s", part);
        return;
    }
    pinexq_uuid_write(ask->id, uuid);
    snprintf(out, PATH_BYTES, "/api/Folder/%s/%s", uuid, part);
}

static bool finish_children(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    const struct op_folders *ask = &op->folders;
    const struct pinexq_query *query = request_state(req);
    char path[PATH_BYTES];
    struct step_place last = {0, 0, NULL};
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    if (ask->count)
        last =
            (struct step_place){ask->views[ask->count - 1].id, 0, ask->views[ask->count - 1].path};
    const struct pinexq_found found = {ask->total, ask->count, ask->more, &last};
    page_path(ask, "Children", path);
    siren_entity(&s, "FolderChildrenResult", NULL);
    pinexq_query_counts(&s, query, &found);
    for (size_t i = 0; i < ask->count; i++)
        pinexq_write_folder(&s, &ask->views[i], "item", pinexq_may_work(req));
    pinexq_query_links(&s, path, query, &found);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

static int64_t write_item(struct siren *s, const struct request *req,
                          const struct folder_item *item, bool may_work)
{
    if (item->job.job) {
        pinexq_write_job(s, &item->job, "item", may_work);
        return item->job.job->id;
    }
    if (item->artifact) {
        pinexq_write_work_data(s, item->artifact, "item", may_work);
        return item->artifact->id;
    }
    pinexq_write_step(s, req, &item->step, "item");
    return item->step.step->id;
}

static bool finish_contents(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    const struct op_folders *ask = &op->folders;
    const struct pinexq_query *query = request_state(req);
    char path[PATH_BYTES];
    struct step_place last = {0, 0, NULL};
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    page_path(ask, "Contents", path);
    siren_entity(&s, "FolderContentsResult", NULL);
    struct pinexq_found found = {ask->total, ask->item_count, ask->more, &last};
    pinexq_query_counts(&s, query, &found);
    for (size_t i = 0; i < ask->item_count; i++)
        last.id = write_item(&s, req, &ask->items[i], pinexq_may_work(req));
    pinexq_query_links(&s, path, query, &found);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

/* Which things the children must hold, as the link of a client says it. A kind that is never in a
 * folder here finds none. */
static bool read_contains(struct str word, unsigned *things, bool *nothing, struct err *err)
{
    static const struct {
        const char *name;
        unsigned things;
    } words[] = {{"job", 1u << STEP_THING_JOB},
                 {"workdata", 1u << STEP_THING_ARTIFACT},
                 {"processingstep", 1u << STEP_THING_STEP},
                 {"actiontemplate", 0},
                 {"actiontrigger", 0}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(word, words[i].name)) {
            *things = words[i].things;
            *nothing = !words[i].things;
            return true;
        }
    return err_set(err, ERR_INVALID, "Filter.Contains: expected job, workdata or processingstep");
}

/* The pages that follow have the filter in their query. */
static bool keep_filter(struct request *req, struct pinexq_query *query, struct str word,
                        struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "Filter");
    json_out_open(&o, '{');
    json_out_name(&o, "Contains");
    json_out_str(&o, word);
    json_out_close(&o, '}');
    json_out_close(&o, '}');
    char *kept = b.full ? NULL : request_strdup(req, buf_str(&b));
    query->text = (struct str){kept, b.len};
    return kept || err_set(err, ERR_BUSY, "memory is out");
}

static bool read_filter(struct request *req, struct pinexq_query *query, struct op_folders *ask,
                        struct err *err)
{
    struct str word = {NULL, 0};
    bool nothing = false;
    const struct pinexq_member members[] = {
        {.name = "Contains", .type = PINEXQ_TEXT, .out = &word},
    };
    if (!pinexq_object_read(req, "Filter", query->filter, members, 1, err))
        return false;
    if (!word.ptr && !request_param(req, "Filter.Contains", &word))
        return true;
    if (!read_contains(word, &ask->list.things, &nothing, err))
        return false;
    if (nothing)
        ask->list.name = STR("/"); /* which is in no name */
    return keep_filter(req, query, word, err);
}

static struct op *page_op(struct request *req, enum folders_verb verb, int64_t id, struct err *err)
{
    struct pinexq_query *query = request_alloc(req, sizeof *query);
    if (!query) {
        err_set(err, ERR_BUSY, "memory is out");
        return NULL;
    }
    if (!pinexq_query_read(req, sorts, query, err))
        return NULL;
    struct op *op = pinexq_folders_op(req, verb, id);
    op->folders.list.limit = query->size;
    op->folders.list.offset = query->offset;
    op->folders.list.before = query->after_id;
    op->folders.list.after = query->after_text;
    op->folders.list.after_id = query->after_id;
    request_set_state(req, query);
    return op;
}

static bool show_children(struct request *req, int64_t id, struct err *err)
{
    struct op *op = page_op(req, FOLDERS_LIST, id, err);
    return op && read_filter(req, request_state(req), &op->folders, err) &&
           request_call(req, finish_children);
}

static bool show_contents(struct request *req, int64_t id, struct err *err)
{
    return page_op(req, FOLDERS_CONTENTS, id, err) && request_call(req, finish_contents);
}

bool pinexq_root_children(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return show_children(req, 0, err);
}

bool pinexq_root_contents(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return show_contents(req, 0, err);
}

bool pinexq_folder_children(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    (void)reply;
    return pinexq_path_id(req, &id, err) && show_children(req, id, err);
}

bool pinexq_folder_contents(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    (void)reply;
    return pinexq_path_id(req, &id, err) && show_contents(req, id, err);
}

/* --- actions --- */

static bool finish_created(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct pinexq_href place = pinexq_thing(PINEXQ_FOLDER, op->folders.views[0].id);
    return pinexq_created(req, reply, &place, err);
}

bool pinexq_folder_create(struct request *req, struct reply *reply, struct err *err)
{
    int64_t parent = 0;
    struct str name = {NULL, 0};
    const struct pinexq_member members[] = {
        {"Name", PINEXQ_TEXT, true, &name, 0},
        {"ParentFolder", PINEXQ_URL, false, &parent, PINEXQ_FOLDER},
    };
    (void)reply;
    if (!pinexq_body_read(req, members, 2, err))
        return false;
    pinexq_folders_op(req, FOLDERS_CREATE, parent)->folders.name = name;
    return request_call(req, finish_created);
}

bool pinexq_folder_rename(struct request *req, struct reply *reply, struct err *err)
{
    struct str name = {NULL, 0};
    const struct pinexq_member members[] = {{"NewName", PINEXQ_TEXT, true, &name, 0}};
    (void)reply;
    if (!pinexq_body_read(req, members, 1, err))
        return false;
    struct op *op = named_op(req, FOLDERS_EDIT, err);
    if (!op)
        return false;
    op->folders.name = name;
    return request_call(req, pinexq_done);
}

bool pinexq_folder_move(struct request *req, struct reply *reply, struct err *err)
{
    int64_t parent = 0;
    const struct pinexq_member members[] = {
        {"NewParentFolder", PINEXQ_URL, false, &parent, PINEXQ_FOLDER}};
    (void)reply;
    if (!pinexq_body_read(req, members, 1, err))
        return false;
    struct op *op = named_op(req, FOLDERS_EDIT, err);
    if (!op)
        return false;
    op->folders.parent = parent;
    return request_call(req, pinexq_done);
}

bool pinexq_folder_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return named_op(req, FOLDERS_DELETE, err) && request_call(req, pinexq_done);
}

/* The one action whose answer has a body, and plain JSON it is. */
static bool finish_cleared(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    static const char *const types[] = {"ProcessingStep", "Job", "WorkData"};
    const struct op_folders *ask = &op->folders;
    char uuid[PINEXQ_UUID_CHARS + 1];
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "DeletedCount");
    json_out_i64(&o, ask->deleted);
    json_out_name(&o, "SkippedCount");
    json_out_i64(&o, (int64_t)ask->outcome_count - ask->deleted);
    json_out_name(&o, "Outcomes");
    json_out_open(&o, '[');
    for (size_t i = 0; i < ask->outcome_count; i++) {
        const struct folder_outcome *outcome = &ask->outcomes[i];
        pinexq_uuid_write(outcome->id, uuid);
        json_out_open(&o, '{');
        json_out_name(&o, "ItemType");
        json_out_text(&o, types[outcome->thing]);
        json_out_name(&o, "ItemId");
        json_out_text(&o, uuid);
        json_out_name(&o, "Status");
        json_out_text(&o, outcome->reason ? "Skipped" : "Deleted");
        json_out_name(&o, "Reason");
        json_out_text(&o, outcome->reason);
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    if (b.full)
        return err_set(err, ERR_BUSY, "memory is out");
    reply_content_type(reply, "application/json");
    reply_header(reply, "Cache-Control", "no-store");
    reply_add_buf(reply, &b);
    return true;
}

bool pinexq_folder_clear(struct request *req, struct reply *reply, struct err *err)
{
    struct op *op = named_op(req, FOLDERS_CLEAR, err);
    (void)reply;
    if (!op)
        return false;
    op->folders.keeps_steps = request_scope(req) < SCOPE_ADMIN;
    return request_call(req, finish_cleared);
}
