/* pinexq_step.h: processing steps as pinexq's ProcessingStep. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_STEP_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_STEP_H

#include "http/pinexq/siren.h"
#include "http/request.h"

/* What may be done with a step, by one table for documents and routes as with jobs
 * (pinexq_job.h). */
struct pinexq_step_action {
    struct siren_action siren;            /* method POST; its name is the last part of its path */
    bool (*may)(const struct step *step); /* whether it is offered; NULL: always */
    bool (*read)(struct request *req, struct op_steps *ask, struct err *err);
};
extern const struct pinexq_step_action pinexq_step_actions[];
extern const size_t pinexq_step_action_count;

/* A whole document of it, embedded as `rel`, or NULL. The request says whose things may be changed:
 * actions are offered to an administrator's key of the step's owner. */
void pinexq_write_step(struct siren *s, const struct request *req, const struct step_view *view,
                       const char *rel);

#endif
