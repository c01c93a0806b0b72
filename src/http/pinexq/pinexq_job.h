/* pinexq_job.h: step jobs as pinexq's Job. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_JOB_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_JOB_H

#include "engine/step_op.h"
#include "http/pinexq/siren.h"

/* What may be done with a job besides what its slots take: the document offers it and the route
 * takes it by one table (pinexq_job_actions.c). */
struct request;
struct pinexq_job_action {
    struct siren_action siren; /* method POST; its name is the last part of its path */
    /* Whether it is offered; NULL: always. */
    bool (*may)(const struct step_job_view *view);
    /* Fills what is asked of the engine from the request's body, in place of what it says: */
    bool (*read)(struct request *req, struct op_step_job_edit *ask, struct err *err);
};
extern const struct pinexq_job_action pinexq_job_actions[];
extern const size_t pinexq_job_action_count;

/* A whole document of it with its slots and what is in them; embedded as `rel`, or NULL. `may_work`
 * as of pinexq_write_work_data. */
void pinexq_write_job(struct siren *s, const struct step_job_view *view, const char *rel,
                      bool may_work);
/* What a state is called. */
const char *pinexq_job_state(enum job_state state);

#endif
