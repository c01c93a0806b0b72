/* native.c: the table of routes of the native surface, and how it tells what went wrong. */
#include "http/native/native.h"
#include "http/problems.h"

/* Small control messages. */
#define BODY_SMALL_BYTES (64 << 10)
/* Those that may hold a list of many ids. */
#define BODY_IDS_BYTES (2 << 20)

/* Routes of one job ask for no scope of a key: the engine looks at the asker's right, which may
 * also come from the job's own token (request_right). */
static const struct route routes[] = {
    {"POST", "/v1/jobs", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES, native_jobs_create},
    {"GET", "/v1/jobs", SCOPE_READ, BODY_NONE, 0, native_jobs_list},
    {"GET", "/v1/jobs/{job}", SCOPE_READ, BODY_NONE, 0, native_job_show},
    {"DELETE", "/v1/jobs/{job}", SCOPE_ADMIN, BODY_NONE, 0, native_job_delete},
    {"POST", "/v1/jobs/{job}/pause", SCOPE_ADMIN, BODY_NONE, 0, native_job_pause},
    {"POST", "/v1/jobs/{job}/resume", SCOPE_ADMIN, BODY_NONE, 0, native_job_resume},
    {"POST", "/v1/jobs/{job}/cancel", SCOPE_ADMIN, BODY_NONE, 0, native_job_cancel},
    {"POST", "/v1/jobs/{job}/repair", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES, native_job_repair},
    {"POST", "/v1/jobs/{job}/clean", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES, native_job_clean},
    {"GET", "/v1/jobs/{job}/errors", SCOPE_READ, BODY_NONE, 0, native_job_errors},
    {"GET", "/v1/jobs/{job}/events", SCOPE_READ, BODY_NONE, 0, native_job_events},
    {"POST", "/v1/jobs/{job}/claim", SCOPE_NONE, BODY_TAKEN, BODY_SMALL_BYTES, native_claim},
    {"POST", "/v1/jobs/{job}/settle", SCOPE_NONE, BODY_TAKEN, 0, native_settle},
    {"POST", "/v1/jobs/{job}/extend", SCOPE_NONE, BODY_TAKEN, BODY_SMALL_BYTES, native_extend},
    {"POST", "/v1/jobs/{job}/release", SCOPE_NONE, BODY_TAKEN, BODY_SMALL_BYTES, native_release},
    {"POST", "/v1/tasks", SCOPE_WORK, BODY_TAKEN, 0, native_tasks_enqueue},
    {"GET", "/v1/tasks", SCOPE_READ, BODY_NONE, 0, native_tasks_list},
    {"POST", "/v1/tasks/cancel", SCOPE_ADMIN, BODY_TAKEN, BODY_IDS_BYTES, native_tasks_cancel},
    {"POST", "/v1/tasks/retry", SCOPE_ADMIN, BODY_TAKEN, BODY_IDS_BYTES, native_tasks_retry},
    {"POST", "/v1/tasks/delete", SCOPE_ADMIN, BODY_TAKEN, BODY_IDS_BYTES, native_tasks_delete},
    {"GET", "/v1/tasks/errors", SCOPE_READ, BODY_NONE, 0, native_task_errors},
    {"GET", "/v1/tasks/status", SCOPE_READ, BODY_NONE, 0, native_task_status},
    {"GET", "/v1/tasks/{task}", SCOPE_READ, BODY_NONE, 0, native_task_show},
    {"GET", "/v1/tasks/{task}/result", SCOPE_READ, BODY_NONE, 0, native_task_result},
    {"POST", "/v1/work/claim", SCOPE_WORK, BODY_TAKEN, BODY_IDS_BYTES, native_task_claim},
    {"POST", "/v1/work/settle", SCOPE_WORK, BODY_TAKEN, 0, native_task_settle},
    {"POST", "/v1/work/extend", SCOPE_WORK, BODY_TAKEN, BODY_IDS_BYTES, native_task_extend},
    {"POST", "/v1/work/release", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES, native_task_release},
    {"GET", "/v1/queues", SCOPE_READ, BODY_NONE, 0, native_queues_list},
    {"PATCH", "/v1/queues/{name}", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES, native_queue_change},
    {"GET", "/v1/functions", SCOPE_READ, BODY_NONE, 0, native_functions_list},
    {"PATCH", "/v1/functions/{name}", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES,
     native_function_change},
    {"GET", "/v1/limits", SCOPE_READ, BODY_NONE, 0, native_limits_list},
    {"PUT", "/v1/limits/{name}", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES, native_limit_put},
    {"DELETE", "/v1/limits/{name}", SCOPE_ADMIN, BODY_NONE, 0, native_limit_delete},
    {"GET", "/v1/workers", SCOPE_READ, BODY_NONE, 0, native_workers},
    {"GET", "/v1/schedules", SCOPE_READ, BODY_NONE, 0, native_schedules_list},
    {"GET", "/v1/schedules/{name}", SCOPE_READ, BODY_NONE, 0, native_schedule_show},
    {"PUT", "/v1/schedules/{name}", SCOPE_ADMIN, BODY_TAKEN, BODY_IDS_BYTES, native_schedule_set},
    {"DELETE", "/v1/schedules/{name}", SCOPE_ADMIN, BODY_NONE, 0, native_schedule_delete},
    {"POST", "/v1/schedules/{name}/run", SCOPE_ADMIN, BODY_NONE, 0, native_schedule_run},
    {"POST", "/v1/flows", SCOPE_ADMIN, BODY_TAKEN, 0, native_flows_start},
    {"GET", "/v1/flows", SCOPE_READ, BODY_NONE, 0, native_flows_list},
    {"GET", "/v1/flows/{flow}", SCOPE_READ, BODY_NONE, 0, native_flow_show},
    {"DELETE", "/v1/flows/{flow}", SCOPE_ADMIN, BODY_NONE, 0, native_flow_delete},
    {"GET", "/v1/flows/{flow}/nodes", SCOPE_READ, BODY_NONE, 0, native_flow_nodes},
    {"POST", "/v1/flows/{flow}/abort", SCOPE_ADMIN, BODY_NONE, 0, native_flow_abort},
    {"POST", "/v1/flows/{flow}/lock", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES, native_flow_lock},
    {"POST", "/v1/flows/{flow}/unlock", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     native_flow_unlock},
    {"GET", "/v1/flows/{flow}/context", SCOPE_WORK, BODY_NONE, 0, native_context_list},
    {"GET", "/v1/flows/{flow}/context/{key}", SCOPE_WORK, BODY_NONE, 0, native_context_get},
    {"PUT", "/v1/flows/{flow}/context/{key}", SCOPE_WORK, BODY_STREAMED, 0, native_context_put},
    {"DELETE", "/v1/flows/{flow}/context/{key}", SCOPE_WORK, BODY_NONE, 0, native_context_delete},
    {"POST", "/v1/blobs", SCOPE_WORK, BODY_STREAMED, 0, native_blob_put},
    {"GET", "/v1/blobs/{sha256}", SCOPE_READ, BODY_NONE, 0, native_blob_get},
    {"DELETE", "/v1/blobs/{sha256}", SCOPE_ADMIN, BODY_NONE, 0, native_blob_delete},
    {"GET", "/v1/fragments", SCOPE_READ, BODY_NONE, 0, native_datasets},
    {"POST", "/v1/fragments/{dataset}", SCOPE_WORK, BODY_TAKEN, 0, native_fragments_put},
    {"GET", "/v1/fragments/{dataset}", SCOPE_READ, BODY_NONE, 0, native_fragments_list},
    {"DELETE", "/v1/fragments/{dataset}", SCOPE_ADMIN, BODY_NONE, 0, native_fragments_delete},
    {"POST", "/v1/fragments/{dataset}/load", SCOPE_READ, BODY_TAKEN, 0, native_fragments_load},
    {"POST", "/v1/steps", SCOPE_WORK, BODY_TAKEN, 0, native_step_register},
    {"GET", "/v1/steps", SCOPE_READ, BODY_NONE, 0, native_steps_list},
    {"GET", "/v1/steps/{step}", SCOPE_READ, BODY_NONE, 0, native_step_show},
    {"PATCH", "/v1/steps/{step}", SCOPE_ADMIN, BODY_TAKEN, 0, native_step_change},
    {"DELETE", "/v1/steps/{step}", SCOPE_ADMIN, BODY_NONE, 0, native_step_delete},
    {"GET", "/v1/steps/{step}/manifest", SCOPE_READ, BODY_NONE, 0, native_step_manifest},
    {"POST", "/v1/step-jobs", SCOPE_WORK, BODY_TAKEN, 0, native_step_job_create},
    {"GET", "/v1/step-jobs", SCOPE_READ, BODY_NONE, 0, native_step_jobs_list},
    {"GET", "/v1/step-jobs/{job}", SCOPE_READ, BODY_NONE, 0, native_step_job_show},
    {"PATCH", "/v1/step-jobs/{job}", SCOPE_WORK, BODY_TAKEN, 0, native_step_job_change},
    {"DELETE", "/v1/step-jobs/{job}", SCOPE_WORK, BODY_NONE, 0, native_step_job_delete},
    {"POST", "/v1/step-jobs/{job}/cancel", SCOPE_WORK, BODY_NONE, 0, native_step_job_cancel},
    {"POST", "/v1/step-jobs/{job}/fail", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     native_step_job_fail},
    {"PUT", "/v1/step-jobs/{job}/outputs/{slot}", SCOPE_WORK, BODY_STREAMED, 0,
     native_step_output_put},
    {"GET", "/v1/step-jobs/{job}/logs", SCOPE_READ, BODY_NONE, 0, native_step_logs_show},
    {"POST", "/v1/step-jobs/{job}/logs", SCOPE_WORK, BODY_TAKEN, 0, native_step_logs_add},
    {"GET", "/v1/step-jobs/{job}/metrics", SCOPE_READ, BODY_NONE, 0, native_step_metrics_show},
    {"PUT", "/v1/step-jobs/{job}/metrics", SCOPE_WORK, BODY_TAKEN, 0, native_step_metrics_put},
    {"GET", "/v1/folders", SCOPE_READ, BODY_NONE, 0, native_folders_list},
    {"POST", "/v1/folders", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES, native_folder_create},
    {"GET", "/v1/folders/{folder}", SCOPE_READ, BODY_NONE, 0, native_folder_show},
    {"PATCH", "/v1/folders/{folder}", SCOPE_WORK, BODY_TAKEN, BODY_SMALL_BYTES,
     native_folder_change},
    {"DELETE", "/v1/folders/{folder}", SCOPE_WORK, BODY_NONE, 0, native_folder_delete},
    {"GET", "/v1/folders/{folder}/contents", SCOPE_READ, BODY_NONE, 0, native_folder_contents},
    {"POST", "/v1/folders/{folder}/clear", SCOPE_WORK, BODY_NONE, 0, native_folder_clear},
    {"GET", "/v1/folder-suggestions", SCOPE_READ, BODY_NONE, 0, native_folders_suggest},
    {"GET", "/v1/step-tags/{thing}", SCOPE_READ, BODY_NONE, 0, native_step_tags},
    {"POST", "/v1/artifacts", SCOPE_WORK, BODY_STREAMED, 0, native_artifact_upload},
    {"GET", "/v1/artifacts", SCOPE_READ, BODY_NONE, 0, native_artifacts_list},
    {"GET", "/v1/artifacts/{artifact}", SCOPE_READ, BODY_NONE, 0, native_artifact_show},
    {"PATCH", "/v1/artifacts/{artifact}", SCOPE_WORK, BODY_TAKEN, 0, native_artifact_change},
    {"DELETE", "/v1/artifacts/{artifact}", SCOPE_WORK, BODY_NONE, 0, native_artifact_delete},
    {"GET", "/v1/artifacts/{artifact}/content", SCOPE_READ, BODY_NONE, 0, native_artifact_content},
    {"GET", "/v1/artifacts/{artifact}/lineage", SCOPE_READ, BODY_NONE, 0, native_artifact_lineage},
    {"GET", "/v1/events", SCOPE_READ, BODY_NONE, 0, native_events},
    {"GET", "/v1/keys", SCOPE_ADMIN, BODY_NONE, 0, native_keys_list},
    {"POST", "/v1/keys", SCOPE_ADMIN, BODY_TAKEN, BODY_SMALL_BYTES, native_keys_create},
    {"DELETE", "/v1/keys/{name}", SCOPE_ADMIN, BODY_NONE, 0, native_key_revoke},
    {"GET", "/v1/health", SCOPE_NONE, BODY_NONE, 0, native_health},
    {"GET", "/v1/doctor", SCOPE_ADMIN, BODY_NONE, 0, native_doctor},
    {"GET", "/metrics", SCOPE_READ, BODY_NONE, 0, native_metrics},
    {"GET", "/openapi.json", SCOPE_NONE, BODY_NONE, 0, native_openapi},
    {"GET", "/docs", SCOPE_NONE, BODY_NONE, 0, native_docs},
    {"GET", "/redoc", SCOPE_NONE, BODY_NONE, 0, native_docs},
    {"GET", "/docs/docs.css", SCOPE_NONE, BODY_NONE, 0, native_docs_style},
    {"GET", "/docs/docs.js", SCOPE_NONE, BODY_NONE, 0, native_docs_script},
    {"GET", "/docs/oauth2-redirect", SCOPE_NONE, BODY_NONE, 0, native_docs_redirect},
};

/* Refusals that a program must tell from others of the same code. */
static const struct {
    enum op_refusal refusal;
    const char *name, *title;
} named[] = {
    {REFUSED_NAME_TAKEN, "name-taken", "The name is taken"},
    {REFUSED_OUTPUT_TAKEN, "output-taken", "The output belongs to another job"},
    {REFUSED_LEASE_ENDED, "lease-ended", "The lease has ended"},
    {REFUSED_UNIQUE_TAKEN, "unique-taken", "There is a task with this unique key"},
    {REFUSED_FLOW_RUNS, "flow-runs", "The flow runs"},
    {REFUSED_STALE, "stale", "That run of the task is over"},
    {REFUSED_PARENT, "parent", "A task to wait for is unknown or cannot end as it should"},
};

/* The job is closed to an asker without a token: who showed no key either is asked for one. */
static void refuse_asker(struct request *req, const struct err *err, struct reply *reply)
{
    struct err told;
    if (request_header(req, "Authorization"))
        err_set(&told, ERR_FORBIDDEN, "this key does not allow that");
    else
        err_set(&told, ERR_UNAUTHORIZED, "%s, or a key", err->text);
    problem_reply(&told, 0, reply);
}

static void fail(struct request *req, const struct op *op, const struct err *err, int status,
                 struct reply *reply)
{
    if (status == 405) {
        problem_reply_named("method-not-allowed", "The path takes other methods", status, err->text,
                            reply);
        return;
    }
    for (size_t i = 0; op && i < sizeof named / sizeof *named; i++)
        if (op->refusal == named[i].refusal) {
            problem_reply_named(named[i].name, named[i].title, err_http_status(err->code),
                                err->text, reply);
            return;
        }
    if (op && op->refusal == REFUSED_TOKEN && !op->right.has_token) {
        refuse_asker(req, err, reply);
        return;
    }
    problem_reply(err, status, reply);
}

/* What keys with an owner open: the owner's things, and what is nobody's. */
static const char *const owned[] = {"/v1/steps", "/v1/step-",  "/v1/artifacts", "/v1/folder",
                                    "/v1/work/", "/v1/health", "/openapi.json", "/docs",
                                    "/redoc",    NULL};

const struct surface native_surface = {
    .prefix = "/v1",
    .routes = routes,
    .route_count = sizeof routes / sizeof *routes,
    .owned = owned,
    .head_allowed = true,
    .fail = fail,
};
