/* pinexq.h: the pinexq surface: what pinexq's own client speaks, Siren documents below /api, on the
 * ops of engine/step_op.h.
 *
 * One file a noun; pinexq.c holds the table of routes. docs/pinexq.md tells users what is there.
 * Threads: handlers and finishes run on HTTP threads (route.h). */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_H

#include "http/pinexq/siren.h"
#include "http/reply.h"
#include "http/request.h"

/* --- answers --- */

/* The root of all addresses in this request's answers, in its memory: as the client called us.
 * ERR_INVALID when the Host header is no host. */
MUST_CHECK bool pinexq_root(struct request *req, struct str *out, struct err *err);
/* Starts a document in `b`, which is initialised here. */
MUST_CHECK bool pinexq_begin(struct request *req, struct siren *s, struct buf *b, struct err *err);
/* It is the answer; `b` is empty afterwards. ERR_BUSY when memory is out. */
MUST_CHECK bool pinexq_reply(struct reply *reply, struct buf *b, struct err *err);
/* 201, and where it is. */
MUST_CHECK bool pinexq_created(struct request *req, struct reply *reply,
                               const struct pinexq_href *href, struct err *err);
/* 200 without a body: an action went well and has no result. A finish. */
bool pinexq_done(struct request *req, struct op *op, struct reply *reply, struct err *err);
/* The id in the path's {id}. ERR_NOT_FOUND: there is no such thing. */
MUST_CHECK bool pinexq_path_id(const struct request *req, int64_t *out, struct err *err);
/* Whether the asker's key allows to work: then actions are offered. */
bool pinexq_may_work(const struct request *req);
/* Whether the asker sees the things of all owners. */
bool pinexq_sees_all(const struct request *req);
/* The owner's name in the URL of a user; empty: the house. Borrowed from the URL. ERR_INVALID with
 * `member` in front. */
MUST_CHECK bool pinexq_user_read(const char *member, struct str url, struct str *out,
                                 struct err *err);
/* The link to the first page of all that the results of queries at `path` show. */
void pinexq_link_all(struct siren *s, const char *rel, const char *path);

/* Where results of queries are. */
#define PINEXQ_FOLDERS_PATH "/api/FolderQuery"
#define PINEXQ_ADMIN_FOLDERS_PATH "/api/AdminFolderQuery"
#define PINEXQ_WORK_DATA_PATH "/api/WorkDataQueryResult"
#define PINEXQ_STEPS_PATH "/api/ProcessingStepQuery"

/* --- handlers --- */

/* pinexq_roots.c */
bool pinexq_entry_point(struct request *req, struct reply *reply, struct err *err);
bool pinexq_info(struct request *req, struct reply *reply, struct err *err);
bool pinexq_user(struct request *req, struct reply *reply, struct err *err);
bool pinexq_user_named(struct request *req, struct reply *reply, struct err *err);
bool pinexq_jobs_root(struct request *req, struct reply *reply, struct err *err);
bool pinexq_steps_root(struct request *req, struct reply *reply, struct err *err);
bool pinexq_work_data_root(struct request *req, struct reply *reply, struct err *err);
/* pinexq_jobs.c */
bool pinexq_job_show(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_create(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_create_sub(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_rapid(struct request *req, struct reply *reply, struct err *err);
/* pinexq_job_actions.c */
bool pinexq_job_act(struct request *req, struct reply *reply, struct err *err);
bool pinexq_slot_act(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_delete(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_fail(struct request *req, struct reply *reply, struct err *err);
/* pinexq_job_query.c */
bool pinexq_job_query_create(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_query_page(struct request *req, struct reply *reply, struct err *err);
/* pinexq_folders.c */
bool pinexq_folder_root(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_suggest(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_create(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_show(struct request *req, struct reply *reply, struct err *err);
/* Pages, of the root: */
bool pinexq_root_children(struct request *req, struct reply *reply, struct err *err);
bool pinexq_root_contents(struct request *req, struct reply *reply, struct err *err);
/* and of a folder. */
bool pinexq_folder_children(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_contents(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_rename(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_move(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_delete(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_clear(struct request *req, struct reply *reply, struct err *err);
/* pinexq_folder_query.c */
bool pinexq_folder_query_create(struct request *req, struct reply *reply, struct err *err);
bool pinexq_folder_query_page(struct request *req, struct reply *reply, struct err *err);
bool pinexq_admin_folder_query_create(struct request *req, struct reply *reply, struct err *err);
bool pinexq_admin_folder_query_page(struct request *req, struct reply *reply, struct err *err);
/* pinexq_logs.c */
bool pinexq_job_logs(struct request *req, struct reply *reply, struct err *err);
bool pinexq_job_metrics(struct request *req, struct reply *reply, struct err *err);
/* pinexq_step.c */
bool pinexq_step_show(struct request *req, struct reply *reply, struct err *err);
bool pinexq_step_manifest(struct request *req, struct reply *reply, struct err *err);
/* pinexq_step_actions.c */
bool pinexq_step_act(struct request *req, struct reply *reply, struct err *err);
bool pinexq_step_delete(struct request *req, struct reply *reply, struct err *err);
/* pinexq_step_query.c */
bool pinexq_step_query_create(struct request *req, struct reply *reply, struct err *err);
bool pinexq_step_query_page(struct request *req, struct reply *reply, struct err *err);
/* pinexq_events.c */
bool pinexq_events(struct request *req, struct reply *reply, struct err *err);
/* pinexq_upload.c */
bool pinexq_upload(struct request *req, struct reply *reply, struct err *err);
bool pinexq_step_register(struct request *req, struct reply *reply, struct err *err);
/* pinexq_work_data.c */
bool pinexq_work_data_show(struct request *req, struct reply *reply, struct err *err);
bool pinexq_work_data_content(struct request *req, struct reply *reply, struct err *err);
bool pinexq_work_data_act(struct request *req, struct reply *reply, struct err *err);
bool pinexq_work_data_delete(struct request *req, struct reply *reply, struct err *err);
/* pinexq_work_data_query.c */
bool pinexq_work_data_query(struct request *req, struct reply *reply, struct err *err);
bool pinexq_work_data_result(struct request *req, struct reply *reply, struct err *err);
/* pinexq_tags.c */
bool pinexq_used_tags(struct request *req, struct reply *reply, struct err *err);
bool pinexq_tags_query_create(struct request *req, struct reply *reply, struct err *err);

#endif
