/* native.h: the parts of the native surface, the REST interface below /v1, and the pages beside it.
 *
 * One file a noun; native.c holds the table of routes. What each route takes and answers is written
 * in docs/openapi.json. Threads: handlers and finishes run on HTTP threads (route.h). */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_H

#include "base/json.h"
#include "http/reply.h"
#include "http/request.h"

/* Which job the path's {job} names: an id, or `~` and a name. ERR_INVALID. */
MUST_CHECK bool native_job_ref(const struct request *req, struct job_ref *out, struct err *err);
/* An op on that job with the asker's right, NULL when the path names none. */
struct op *native_job_op(struct request *req, enum op_kind kind, enum scope needed,
                         struct err *err);
/* A job as JSON. */
void native_job_write(const struct job_view *view, struct json_out *o);
/* A wall-clock time, null for 0. */
void native_time_write(struct json_out *o, int64_t at_us);
/* Starts the answer {"...}: a JSON writer on `b`, which is initialised. */
void native_reply_begin(struct json_out *o, struct buf *b);
/* Ends it; ERR_LIMIT when it grew too long. `b` is empty afterwards. */
MUST_CHECK bool native_reply_end(struct reply *reply, struct buf *b, struct err *err);

/* A task as JSON; `whole`: with arguments and result. `texts`: those that lie in blobs
 * (native_large.h), NULL when none does. */
struct task_texts;
void native_task_write(const struct task_view *view, bool whole, struct task_texts *texts,
                       struct json_out *o);
/* {"explain":..}: why a task does not run; HOLD_COUNT: null, nothing holds it back. */
void native_explain_write(enum task_hold hold, int64_t by, struct json_out *o);
/* What became of tasks that were enqueued: [{"id":..,"existing":..},..], null for one that was left
 * out. */
void native_enqueued_write(const struct op_enqueue *enqueue, struct json_out *o);
/* Puts the place of the task that was refused in front of what the engine said. Always false. */
bool native_enqueue_refused(const struct op_enqueue *enqueue, const char *list, struct err *err);

/* native_jobs.c */
bool native_jobs_create(struct request *req, struct reply *reply, struct err *err);
bool native_jobs_list(struct request *req, struct reply *reply, struct err *err);
bool native_job_show(struct request *req, struct reply *reply, struct err *err);
bool native_job_delete(struct request *req, struct reply *reply, struct err *err);
bool native_job_pause(struct request *req, struct reply *reply, struct err *err);
bool native_job_resume(struct request *req, struct reply *reply, struct err *err);
bool native_job_cancel(struct request *req, struct reply *reply, struct err *err);
bool native_job_repair(struct request *req, struct reply *reply, struct err *err);
bool native_job_clean(struct request *req, struct reply *reply, struct err *err);
/* native_errors.c */
bool native_job_errors(struct request *req, struct reply *reply, struct err *err);
/* native_work.c */
bool native_claim(struct request *req, struct reply *reply, struct err *err);
bool native_extend(struct request *req, struct reply *reply, struct err *err);
bool native_release(struct request *req, struct reply *reply, struct err *err);
/* native_settle.c */
bool native_settle(struct request *req, struct reply *reply, struct err *err);
/* native_tasks.c */
bool native_tasks_enqueue(struct request *req, struct reply *reply, struct err *err);
bool native_tasks_list(struct request *req, struct reply *reply, struct err *err);
bool native_task_show(struct request *req, struct reply *reply, struct err *err);
bool native_task_result(struct request *req, struct reply *reply, struct err *err);
/* native_flows.c */
bool native_flows_start(struct request *req, struct reply *reply, struct err *err);
bool native_flows_list(struct request *req, struct reply *reply, struct err *err);
bool native_flow_show(struct request *req, struct reply *reply, struct err *err);
bool native_flow_nodes(struct request *req, struct reply *reply, struct err *err);
bool native_flow_abort(struct request *req, struct reply *reply, struct err *err);
bool native_flow_delete(struct request *req, struct reply *reply, struct err *err);
bool native_flow_lock(struct request *req, struct reply *reply, struct err *err);
bool native_flow_unlock(struct request *req, struct reply *reply, struct err *err);
/* native_flow_context.c */
bool native_context_list(struct request *req, struct reply *reply, struct err *err);
bool native_context_get(struct request *req, struct reply *reply, struct err *err);
bool native_context_put(struct request *req, struct reply *reply, struct err *err);
bool native_context_delete(struct request *req, struct reply *reply, struct err *err);
/* native_task_bulk.c */
bool native_tasks_cancel(struct request *req, struct reply *reply, struct err *err);
bool native_tasks_retry(struct request *req, struct reply *reply, struct err *err);
bool native_tasks_delete(struct request *req, struct reply *reply, struct err *err);
/* native_task_status.c */
bool native_task_errors(struct request *req, struct reply *reply, struct err *err);
bool native_task_status(struct request *req, struct reply *reply, struct err *err);
/* native_work_tasks.c */
bool native_task_claim(struct request *req, struct reply *reply, struct err *err);
bool native_task_settle(struct request *req, struct reply *reply, struct err *err);
bool native_task_extend(struct request *req, struct reply *reply, struct err *err);
bool native_task_release(struct request *req, struct reply *reply, struct err *err);
/* native_queues.c */
bool native_queues_list(struct request *req, struct reply *reply, struct err *err);
bool native_queue_change(struct request *req, struct reply *reply, struct err *err);
bool native_functions_list(struct request *req, struct reply *reply, struct err *err);
bool native_function_change(struct request *req, struct reply *reply, struct err *err);
bool native_limits_list(struct request *req, struct reply *reply, struct err *err);
bool native_limit_put(struct request *req, struct reply *reply, struct err *err);
bool native_limit_delete(struct request *req, struct reply *reply, struct err *err);
/* native_workers.c */
bool native_workers(struct request *req, struct reply *reply, struct err *err);
/* native_schedules.c */
bool native_schedules_list(struct request *req, struct reply *reply, struct err *err);
bool native_schedule_show(struct request *req, struct reply *reply, struct err *err);
bool native_schedule_set(struct request *req, struct reply *reply, struct err *err);
bool native_schedule_delete(struct request *req, struct reply *reply, struct err *err);
bool native_schedule_run(struct request *req, struct reply *reply, struct err *err);
/* native_blobs.c */
bool native_blob_put(struct request *req, struct reply *reply, struct err *err);
bool native_blob_get(struct request *req, struct reply *reply, struct err *err);
bool native_blob_delete(struct request *req, struct reply *reply, struct err *err);
/* native_fragments.c */
bool native_datasets(struct request *req, struct reply *reply, struct err *err);
bool native_fragments_put(struct request *req, struct reply *reply, struct err *err);
bool native_fragments_load(struct request *req, struct reply *reply, struct err *err);
bool native_fragments_list(struct request *req, struct reply *reply, struct err *err);
bool native_fragments_delete(struct request *req, struct reply *reply, struct err *err);
/* native_steps.c */
bool native_step_register(struct request *req, struct reply *reply, struct err *err);
bool native_steps_list(struct request *req, struct reply *reply, struct err *err);
bool native_step_show(struct request *req, struct reply *reply, struct err *err);
bool native_step_change(struct request *req, struct reply *reply, struct err *err);
bool native_step_delete(struct request *req, struct reply *reply, struct err *err);
bool native_step_manifest(struct request *req, struct reply *reply, struct err *err);
bool native_step_tags(struct request *req, struct reply *reply, struct err *err);
/* native_step_jobs.c */
bool native_step_job_create(struct request *req, struct reply *reply, struct err *err);
bool native_step_jobs_list(struct request *req, struct reply *reply, struct err *err);
bool native_step_job_show(struct request *req, struct reply *reply, struct err *err);
bool native_step_job_change(struct request *req, struct reply *reply, struct err *err);
bool native_step_job_delete(struct request *req, struct reply *reply, struct err *err);
bool native_step_job_cancel(struct request *req, struct reply *reply, struct err *err);
bool native_step_job_fail(struct request *req, struct reply *reply, struct err *err);
/* native_folders.c */
bool native_folders_list(struct request *req, struct reply *reply, struct err *err);
bool native_folders_suggest(struct request *req, struct reply *reply, struct err *err);
bool native_folder_contents(struct request *req, struct reply *reply, struct err *err);
bool native_folder_show(struct request *req, struct reply *reply, struct err *err);
bool native_folder_create(struct request *req, struct reply *reply, struct err *err);
bool native_folder_change(struct request *req, struct reply *reply, struct err *err);
bool native_folder_delete(struct request *req, struct reply *reply, struct err *err);
bool native_folder_clear(struct request *req, struct reply *reply, struct err *err);
/* native_step_logs.c */
bool native_step_logs_show(struct request *req, struct reply *reply, struct err *err);
bool native_step_logs_add(struct request *req, struct reply *reply, struct err *err);
bool native_step_metrics_show(struct request *req, struct reply *reply, struct err *err);
bool native_step_metrics_put(struct request *req, struct reply *reply, struct err *err);
/* native_artifacts.c */
bool native_artifacts_list(struct request *req, struct reply *reply, struct err *err);
bool native_artifact_show(struct request *req, struct reply *reply, struct err *err);
bool native_artifact_change(struct request *req, struct reply *reply, struct err *err);
bool native_artifact_delete(struct request *req, struct reply *reply, struct err *err);
bool native_artifact_lineage(struct request *req, struct reply *reply, struct err *err);
/* native_artifact_bytes.c */
bool native_artifact_upload(struct request *req, struct reply *reply, struct err *err);
bool native_step_output_put(struct request *req, struct reply *reply, struct err *err);
bool native_artifact_content(struct request *req, struct reply *reply, struct err *err);
/* native_events.c */
bool native_events(struct request *req, struct reply *reply, struct err *err);
bool native_job_events(struct request *req, struct reply *reply, struct err *err);
/* native_keys.c */
bool native_keys_list(struct request *req, struct reply *reply, struct err *err);
bool native_keys_create(struct request *req, struct reply *reply, struct err *err);
bool native_key_revoke(struct request *req, struct reply *reply, struct err *err);
/* native_service.c */
bool native_health(struct request *req, struct reply *reply, struct err *err);
bool native_doctor(struct request *req, struct reply *reply, struct err *err);
/* native_metrics.c */
bool native_metrics(struct request *req, struct reply *reply, struct err *err);
/* native_pages.c */
bool native_openapi(struct request *req, struct reply *reply, struct err *err);
bool native_docs(struct request *req, struct reply *reply, struct err *err);
bool native_docs_style(struct request *req, struct reply *reply, struct err *err);
bool native_docs_script(struct request *req, struct reply *reply, struct err *err);
bool native_docs_redirect(struct request *req, struct reply *reply, struct err *err);

/* Whether what a release says of a worker that died is short enough; NULL is fine. ERR_INVALID. */
MUST_CHECK bool native_check_how(const char *how, struct err *err);

/* native_token.c: lease tokens as 32 hexadecimal digits. */
#define NATIVE_TOKEN_TEXT (2 * LEASE_TOKEN_BYTES)
void native_token_write(const uint8_t token[LEASE_TOKEN_BYTES], char out[NATIVE_TOKEN_TEXT + 1]);
/* ERR_INVALID when it cannot be a token. */
MUST_CHECK bool native_token_read(struct str text, uint8_t out[LEASE_TOKEN_BYTES], struct err *err);

#endif
