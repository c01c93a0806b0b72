/* pinexq_roots.c: where a client begins: the entry point, who it is, and what it may do with jobs
 * and with steps as such (pinexq.h). Asked for before nearly everything else: no op is needed. */
#include "http/pinexq/pinexq.h"

/* What the client compares with the version it was made for. */
#define API_VERSION "11.2.0"

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

static void write_user(struct request *req, struct siren *s, const char *rel)
{
    static const char *const grants[] = {
        [SCOPE_WORK] = "grant:codeContributor", [SCOPE_ADMIN] = "role:admin"};
    struct step_asker by;
    request_step_asker(req, &by);
    siren_entity(s, "User", rel);
    json_out_str(siren_property(s, "UserId"), by.owner);
    struct json_out *o = siren_property(s, "UserGrants");
    json_out_open(o, '[');
    for (int i = SCOPE_WORK; i <= (int)request_scope(req); i++)
        json_out_text(o, grants[i]);
    json_out_close(o, ']');
    link_path(s, "self", "/api/User");
    siren_end(s);
}

bool pinexq_info(struct request *req, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, "Info", NULL);
    siren_text(&s, "ApiVersion", API_VERSION);
    siren_text(&s, "BuildVersion", "penstock");
    write_user(req, &s, "CurrentUser");
    link_path(&s, "self", "/api/Info");
    siren_link_typed(&s, "ApiEventsEndpoint", "text/event-stream",
                     &(struct pinexq_href){.path = "/api/Events"});
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_user(struct request *req, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    write_user(req, &s, NULL);
    return pinexq_reply(reply, &b, err);
}

/* --- roots --- */

static bool write_root(struct request *req, const char *class, const char *path,
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
    return write_root(req, "JobsRoot", "/api/JobsRoot", actions, count, reply, err);
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
    return write_root(req, "ProcessingStepRoot", "/api/ProcessingStepsRoot", actions, count, reply,
                      err);
}

bool pinexq_work_data_root(struct request *req, struct reply *reply, struct err *err)
{
    static const struct siren_action actions[] = {
        {.name = "CreateWorkDataQuery", .method = "POST", .parameters = "WorkDataQueryParameters"},
        {.name = "Upload",
         .method = "POST",
         .parameters = "UploadWorkDataParameters",
         .uploads = true},
    };
    size_t count = pinexq_may_work(req) ? sizeof actions / sizeof *actions : 1;
    return write_root(req, "WorkDataRoot", "/api/WorkDataRoot", actions, count, reply, err);
}
