/* step_body.h: what requests about steps, step jobs and artifacts say: bodies and queries. The
 * texts lie in the request; lists are its memory. Errors: ERR_INVALID that names the member. */
#ifndef PENSTOCK_HTTP_NATIVE_STEP_BODY_H
#define PENSTOCK_HTTP_NATIVE_STEP_BODY_H

#include "base/json.h"
#include "http/request.h"

/* Bodies of PATCH and POST. */
MUST_CHECK bool step_body_read(struct request *req, struct op_steps *ask, struct err *err);
MUST_CHECK bool step_job_body_read(struct request *req, struct op_step_job_edit *ask,
                                   struct err *err);
MUST_CHECK bool artifact_body_read(struct request *req, struct op_artifact_edit *ask,
                                   struct err *err);

/* A step as paths and bodies name it: an id, NAME:VERSION or NAME. */
void step_name_read(struct str text, int64_t *id, struct str *name, struct str *version);
/* The id in the path. ERR_NOT_FOUND when it is none: there is no such thing. */
MUST_CHECK bool step_path_id(const struct request *req, const char *param, int64_t *out,
                             struct err *err);

/* Queries of lists. */
struct step_list_query {
    struct step_filter filter;
    struct step_page page;
    bool wants_total, wants_tags;
};
MUST_CHECK bool step_jobs_query_read(struct request *req, struct step_list_query *out,
                                     struct err *err);
MUST_CHECK bool artifacts_query_read(struct request *req, struct step_list_query *out,
                                     struct err *err);
MUST_CHECK bool steps_query_read(struct request *req, struct op_steps *ask, struct err *err);
/* What lists of folders, suggestions and contents are asked for, as far as each verb takes it. */
MUST_CHECK bool folders_query_read(struct request *req, struct op_folders *ask, struct err *err);
/* Repeated `tag`s of a query, and one text each. */
struct step_upload_query {
    struct str name, comment, folder;
    const struct str *tags;
    size_t tag_count;
    bool secret;
    int64_t fence, place;
};
MUST_CHECK bool step_upload_query_read(struct request *req, struct step_upload_query *out,
                                       struct err *err);
/* {"total":...} (-1: null), and {"tags":[...]} unless it is NULL. */
void step_sum_write(struct json_out *o, int64_t total, const struct step_tags *tags);
/* {"next":...}: where the next page goes on; NULL: there is none. */
void step_next_write(struct json_out *o, const struct step_place *last, enum step_sort sort);

#endif
