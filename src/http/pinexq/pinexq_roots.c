/* pinexq_roots.c: where a client begins: the entry point, who it is, and what it may do with jobs
 * and with steps as such (pinexq.h). Asked for before nearly everything else: what needs an op asks
 * for what is known. */
#include "core/api_key.h"
#include "http/pinexq/pinexq.h"

/* What the client compares with the version it was made for. */
#define API_VERSION "11.2.0"
#define USER_PATH "/api/User"

static void link_path(struct siren *s, const char *rel, const char *path)
{
    siren_link(s, rel, &(struct pinexq_href){.path = path});
}

static void act(struct siren *s, const struct siren_action *action, const char *path)
{
    siren_act(s, action, &(struct pinexq_href){.path = path, .action = action->name});
}

/* --- entry point, info --- */

bool pinexq_entry_point(struct request *req, struct reply *reply, struct err *err)
{
    static const char *const roots[] = {"EntryPoint", "Info", "JobsRoot", "WorkDataRoot",
                                        "ProcessingStepsRoot"};
    static const char *const paths[] = {"/api/EntryPoint", "/api/Info", "/api/JobsRoot",
                                        "/api/WorkDataRoot", "/api/ProcessingStepsRoot"};
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "EntryPoint", NULL);
    link_path(&s, "self", paths[0]);
    link_path(&s, "FolderRoot", "/api/FolderRoot");
    for (size_t i = 1; i < sizeof roots / sizeof *roots; i++)
        link_path(&s, roots[i], paths[i]);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

/* A user: an owner of things. What others may do is not told. */
static void write_user(struct siren *s, const char *rel, struct str owner, int scope)
{
    static const char *const grants[] = {
        [SCOPE_WORK] = "grant:codeContributor", [SCOPE_ADMIN] = "role:admin"};
    OWNED_MEM char *name = xstrndup(owner.ptr ? owner.ptr : "", owner.len);
    siren_entity(s, "User", rel);
    siren_text(s, "UserId", name);
    struct json_out *o = siren_property(s, "UserGrants");
    json_out_open(o, '[');
    for (int i = SCOPE_WORK; i <= scope; i++)
        json_out_text(o, grants[i]);
    json_out_close(o, ']');
    siren_link(s, "self", &(struct pinexq_href){.path = USER_PATH, .action = *name ? name : NULL});
    siren_end(s);
}

static void write_asker(struct request *req, struct siren *s, const char *rel)
{
    struct step_asker by;
    request_step_asker(req, &by);
    write_user(s, rel, by.owner, (int)request_scope(req));
}

bool pinexq_user_read(const char *member, struct str url, struct str *out, struct err *err)
{
    static const struct str path = STR_INIT(USER_PATH);
    const char *at = url.len ? memmem(url.ptr, url.len, path.ptr, path.len) : NULL;
    if (at) {
        struct str rest = {at + path.len, url.len - (size_t)(at + path.len - url.ptr)};
        if (rest.len && rest.ptr[0] == '/')
            rest = (struct str){rest.ptr + 1, rest.len - 1};
        else if (rest.len)
            at = NULL;
        *out = rest;
    }
    int shown = url.len > 100 ? 100 : (int)url.len;
    return at || err_set(err, ERR_INVALID, "%s: expected the URL of a User, not \"%.*s\"", member,
                         shown, url.ptr ? url.ptr : "");
}

static bool finish_info(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "Info", NULL);
    siren_text(&s, "ApiVersion", API_VERSION);
    siren_text(&s, "BuildVersion", "penstock");
    siren_number(&s, "UsedStorageInBytes", op->step_usage.artifact_bytes);
    write_asker(req, &s, "CurrentUser");
    link_path(&s, "self", "/api/Info");
    siren_link_typed(&s, "ApiEventsEndpoint", "text/event-stream",
                     &(struct pinexq_href){.path = "/api/Events"});
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_info(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    request_step_asker(req, &request_op(req, OP_STEP_USAGE)->step_usage.by);
    return request_call(req, finish_info);
}

bool pinexq_user(struct request *req, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    write_asker(req, &s, NULL);
    return pinexq_reply(reply, &b, err);
}

static bool write_named(struct request *req, struct str owner, int scope, struct reply *reply,
                        struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    write_user(&s, NULL, owner, scope);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_user_named(struct request *req, struct reply *reply, struct err *err)
{
    struct str owner = request_path_param(req, "owner");
    struct step_asker by;
    struct err ignored;
    request_step_asker(req, &by);
    OWNED_MEM char *name = xstrndup(owner.ptr, owner.len);
    bool own = str_is(by.owner, name);
    if (!own && !(by.everyone && api_key_name_check("owner", name, &ignored)))
        return err_set(err, ERR_NOT_FOUND, "there is no user of that name");
    return write_named(req, owner, own ? (int)request_scope(req) : SCOPE_NONE, reply, err);
}

/* --- roots --- */

/* `all`: where the results of its queries are; NULL: clients know no link to all. */
static bool write_root(struct request *req, const char *class, const char *path, const char *all,
                       const struct siren_action *actions, size_t count, struct reply *reply,
                       struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, class, NULL);
    for (size_t i = 0; i < count; i++)
        act(&s, &actions[i], path);
    link_path(&s, "self", path);
    siren_link(&s, "UsedTags", &(struct pinexq_href){.path = path, .action = "UsedTags"});
    if (all)
        pinexq_link_all(&s, "all", all);
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_jobs_root(struct request *req, struct reply *reply, struct err *err)
{
    /* The query first: it is all that a key that only reads is offered. */
    static const struct siren_action actions[] = {
        {.name = "CreateJobQuery", .method = "POST", .parameters = "JobQueryParameters"},
        {.name = "CreateJob", .method = "POST", .parameters = "CreateJobParameters"},
        {.name = "CreateSubJob", .method = "POST", .parameters = "CreateSubJobParameters"},
        {.name = "RapidSetupJob", .method = "POST", .parameters = "JobRapidSetupParameters"},
    };
    size_t count = pinexq_may_work(req) ? sizeof actions / sizeof *actions : 1;
    return write_root(req, "JobsRoot", "/api/JobsRoot", NULL, actions, count, reply, err);
}

bool pinexq_steps_root(struct request *req, struct reply *reply, struct err *err)
{
    static const struct siren_action actions[] = {
        {.name = "CreateProcessingStepQuery",
         .method = "POST",
         .parameters = "ProcessingStepQueryParameters"},
        {.name = "RegisterNewProcessingStep", .method = "POST", .uploads = true},
    };
    size_t count = pinexq_may_work(req) ? sizeof actions / sizeof *actions : 1;
    return write_root(req, "ProcessingStepRoot", "/api/ProcessingStepsRoot", PINEXQ_STEPS_PATH,
                      actions, count, reply, err);
}

bool pinexq_work_data_root(struct request *req, struct reply *reply, struct err *err)
{
    static const struct siren_action actions[] = {
        {.name = "CreateWorkDataQuery", .method = "POST", .parameters = "WorkDataQueryParameters"},
        {.name = "CreateWorkDataTagsQuery",
         .method = "POST",
         .parameters = "WorkDataUsedTagsFilterParameter",
         .value = "{\"RequiredTags\":[]}"},
        {.name = "Upload",
         .method = "POST",
         .parameters = "UploadWorkDataParameters",
         .uploads = true},
    };
    size_t count = pinexq_may_work(req) ? sizeof actions / sizeof *actions : 2;
    return write_root(req, "WorkDataRoot", "/api/WorkDataRoot", PINEXQ_WORK_DATA_PATH, actions,
                      count, reply, err);
}
