/* pinexq.c: the table of routes of the pinexq surface, and what its handlers share. */
#include "http/pinexq/pinexq.h"

#include "http/pinexq/pinexq_events.h"
#include "http/pinexq/pinexq_query.h"
#include "http/problems.h"

#include <inttypes.h>

/* Small control messages; what holds parameters or lists may be as long as any body. */
#define BODY_SMALL_BYTES (64 << 10)

/* What is asked most comes first. */
static const struct route routes[] = {
    {"GET", "/api/Job/{id}", SCOPE_READ, BODY_NONE, 0, pinexq_job_show},
    {"POST", "/api/JobsRoot/RapidSetupJob", SCOPE_WORK, BODY_TAKEN, 0, pinexq_job_rapid},
    {"GET", "/api/EntryPoint", SCOPE_READ, BODY_NONE, 0, pinexq_entry_point},
    {"GET", "/api/Info", SCOPE_READ, BODY_NONE, 0, pinexq_info},
    {"GET", "/api/User", SCOPE_READ, BODY_NONE, 0, pinexq_user},
    {"GET", "/api/User/{owner}", SCOPE_READ, BODY_NONE, 0, pinexq_user_named},
    {"GET", "/api/JobsRoot", SCOPE_READ, BODY_NONE, 0, pinexq_jobs_root},
    {"GET", "/api/ProcessingStepsRoot", SCOPE_READ, BODY_NONE, 0, pinexq_steps_root},
    {"POST", "/api/JobsRoot/CreateJob", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_job_create},
    {"POST", "/api/JobsRoot/CreateSubJob", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_job_create_sub},
    {"POST", "/api/JobsRoot/CreateJobQuery", SCOPE_READ, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_job_query_create},
    {"GET", "/api/JobQuery", SCOPE_READ, BODY_NONE, 0, pinexq_job_query_page},
    {"GET", "/api/Job/{id}/Logs", SCOPE_READ, BODY_NONE, 0, pinexq_job_logs},
    {"GET", "/api/Job/{id}/Metrics", SCOPE_READ, BODY_NONE, 0, pinexq_job_metrics},
    {"DELETE", "/api/Job/{id}", SCOPE_WORK, BODY_NONE, 0, pinexq_job_delete},
    {"POST", "/api/Job/{id}/SetJobToErrorState", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_job_fail},
    {"POST", "/api/Job/{id}/{action}", SCOPE_WORK, BODY_TAKEN, 0, pinexq_job_act},
    {"POST", "/api/Job/{id}/InputDataSlot/{place}/{action}", SCOPE_WORK, BODY_TAKEN, 0,
     pinexq_slot_act},
    {"GET", "/api/FolderRoot", SCOPE_READ, BODY_NONE, 0, pinexq_folder_root},
    {"GET", "/api/FolderRoot/Suggest", SCOPE_READ, BODY_NONE, 0, pinexq_folder_suggest},
    {"GET", "/api/FolderRoot/Children", SCOPE_READ, BODY_NONE, 0, pinexq_root_children},
    {"GET", "/api/FolderRoot/Contents", SCOPE_READ, BODY_NONE, 0, pinexq_root_contents},
    {"POST", "/api/FolderRoot/CreateFolder", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_folder_create},
    {"POST", "/api/FolderRoot/CreateFolderQuery", SCOPE_READ, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_folder_query_create},
    {"GET", PINEXQ_FOLDERS_PATH, SCOPE_READ, BODY_NONE, 0, pinexq_folder_query_page},
    {"POST", "/api/FolderRoot/CreateAdminFolderQuery", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_admin_folder_query_create},
    {"GET", PINEXQ_ADMIN_FOLDERS_PATH, SCOPE_ADMIN, BODY_NONE, 0, pinexq_admin_folder_query_page},
    {"GET", "/api/Folder/{id}", SCOPE_READ, BODY_NONE, 0, pinexq_folder_show},
    {"GET", "/api/Folder/{id}/Children", SCOPE_READ, BODY_NONE, 0, pinexq_folder_children},
    {"GET", "/api/Folder/{id}/Contents", SCOPE_READ, BODY_NONE, 0, pinexq_folder_contents},
    {"POST", "/api/Folder/{id}/Rename", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_folder_rename},
    {"POST", "/api/Folder/{id}/Move", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES, pinexq_folder_move},
    {"DELETE", "/api/Folder/{id}", SCOPE_WORK, BODY_NONE, 0, pinexq_folder_delete},
    {"POST", "/api/Folder/{id}/Clear", SCOPE_WORK, BODY_NONE, 0, pinexq_folder_clear},
    {"POST", "/api/ProcessingStepsRoot/CreateProcessingStepQuery", SCOPE_READ, BODY_TAKEN,
     BODY_SMALL_BYTES, pinexq_step_query_create},
    {"GET", PINEXQ_STEPS_PATH, SCOPE_READ, BODY_NONE, 0, pinexq_step_query_page},
    {"GET", "/api/ProcessingStep/{id}", SCOPE_READ, BODY_NONE, 0, pinexq_step_show},
    {"GET", "/api/ProcessingStep/{id}/Manifest", SCOPE_READ, BODY_NONE, 0, pinexq_step_manifest},
    {"DELETE", "/api/ProcessingStep/{id}", SCOPE_ADMIN, BODY_NONE, 0, pinexq_step_delete},
    {"POST", "/api/ProcessingStep/{id}/{action}", SCOPE_ADMIN, BODY_TAKEN, 0, pinexq_step_act},
    {"POST", "/api/ProcessingStepsRoot/RegisterNewProcessingStep", SCOPE_WORK, BODY_STREAMED, 0,
     pinexq_step_register},
    {"GET", "/api/Events", SCOPE_READ, BODY_NONE, 0, pinexq_events},
    {"GET", "/api/WorkDataRoot", SCOPE_READ, BODY_NONE, 0, pinexq_work_data_root},
    {"POST", "/api/WorkDataRoot/Upload", SCOPE_WORK, BODY_STREAMED, 0, pinexq_upload},
    {"POST", "/api/WorkDataRoot/CreateWorkDataQuery", SCOPE_READ, BODY_TAKEN, 0,
     pinexq_work_data_query},
    {"POST", "/api/WorkDataRoot/CreateWorkDataTagsQuery", SCOPE_READ, BODY_TAKEN, BODY_SMALL_BYTES,
     pinexq_tags_query_create},
    {"GET", PINEXQ_WORK_DATA_PATH, SCOPE_READ, BODY_NONE, 0, pinexq_work_data_result},
    {"GET", "/api/{root}/UsedTags", SCOPE_READ, BODY_NONE, 0, pinexq_used_tags},
    {"GET", "/api/WorkData/{id}", SCOPE_READ, BODY_NONE, 0, pinexq_work_data_show},
    {"DELETE", "/api/WorkData/{id}", SCOPE_WORK, BODY_NONE, 0, pinexq_work_data_delete},
    {"GET", "/api/WorkData/{id}/Content", SCOPE_READ, BODY_NONE, 0, pinexq_work_data_content},
    {"POST", "/api/WorkData/{id}/{action}", SCOPE_WORK, BODY_TAKEN, 0, pinexq_work_data_act},
};

/* --- answers --- */

bool pinexq_root(struct request *req, struct str *out, struct err *err)
{
    OWNED_BUF struct buf origin, root;
    buf_init(&origin, BUF_NO_CAP);
    buf_init(&root, BUF_NO_CAP);
    request_origin(req, &origin);
    if (!pinexq_root_make(buf_str(&origin), &root, err))
        return false;
    char *kept = origin.full || root.full ? NULL : request_strdup(req, buf_str(&root));
    *out = (struct str){kept, root.len};
    return kept || err_set(err, ERR_BUSY, "memory is out");
}

bool pinexq_begin(struct request *req, struct siren *s, struct buf *b, struct err *err)
{
    struct str root;
    /* As long as the texts of what it shows are, and as many as a page holds. */
    buf_init(b, BUF_NO_CAP);
    if (!pinexq_root(req, &root, err))
        return false;
    siren_begin(s, b, root);
    return true;
}

bool pinexq_reply(struct reply *reply, struct buf *b, struct err *err)
{
    if (b->full)
        return err_set(err, ERR_BUSY, "memory is out");
    /* Exactly this: with a charset behind it the client takes the document for a file. */
    reply_content_type(reply, SIREN_MEDIA_TYPE);
    reply_header(reply, "Cache-Control", "no-store");
    reply_add_buf(reply, b);
    return true;
}

bool pinexq_created(struct request *req, struct reply *reply, const struct pinexq_href *href,
                    struct err *err)
{
    struct str root;
    OWNED_BUF struct buf place;
    buf_init(&place, BUF_NO_CAP);
    if (!pinexq_root(req, &root, err))
        return false;
    pinexq_href_write(&place, root, href);
    buf_add_char(&place, '\0');
    if (place.full)
        return err_set(err, ERR_BUSY, "memory is out");
    reply_status(reply, 201);
    reply_header(reply, "Location", place.data);
    reply_header(reply, "Cache-Control", "no-store");
    return true;
}

bool pinexq_done(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    /* Never 204: that is an error to the client. */
    reply_header(reply, "Cache-Control", "no-store");
    return true;
}

bool pinexq_path_id(const struct request *req, int64_t *out, struct err *err)
{
    struct str text = request_path_param(req, "id");
    return pinexq_uuid_read(text, out) ||
           err_set(err, ERR_NOT_FOUND, "there is nothing of the id %.*s",
                   text.len > 60 ? 60 : (int)text.len, text.ptr);
}

bool pinexq_may_work(const struct request *req)
{
    return request_scope(req) >= SCOPE_WORK;
}

bool pinexq_sees_all(const struct request *req)
{
    struct step_asker by;
    request_step_asker(req, &by);
    return by.everyone;
}

void pinexq_link_all(struct siren *s, const char *rel, const char *path)
{
    OWNED_BUF struct buf query;
    buf_init(&query, BUF_NO_CAP);
    buf_add_text(&query, "size=");
    buf_add_i64(&query, PINEXQ_PAGE_MAX);
    siren_link(s, rel, &(struct pinexq_href){.path = path, .query = buf_str(&query)});
}

static void fail(struct request *req, const struct op *op, const struct err *err, int status,
                 struct reply *reply)
{
    (void)req, (void)op;
    if (status == 405)
        problem_reply_named("method-not-allowed", "The path takes other methods", status, err->text,
                            reply);
    else
        problem_reply(err, status, reply);
    reply_header(reply, "Cache-Control", "no-store");
}

static const char *const owned[] = {"/api/", NULL};

const struct surface pinexq_surface = {
    .prefix = "/api",
    .routes = routes,
    .route_count = sizeof routes / sizeof *routes,
    .owned = owned,
    .head_allowed = true,
    .resets = PINEXQ_EVENTS_PATH,
    .fail = fail,
};
