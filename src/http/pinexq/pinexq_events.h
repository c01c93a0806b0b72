/* pinexq_events.h: the stream of what happens to an owner's jobs: handler pinexq_events (pinexq.h).
 */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_EVENTS_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_EVENTS_H

#include "core/step_job.h"
#include "http/request.h"

/* Where the stream is. */
#define PINEXQ_EVENTS_PATH "/api/Events"

/* To be called when a job was read. One that has failed is told of once more: whoever waits for it
 * may have begun to after its last event, and asks only for success when it looks first. */
void pinexq_job_was_read(const struct request *req, const struct step_job *job);

#endif
