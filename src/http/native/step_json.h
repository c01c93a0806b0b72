/* step_json.h: steps, step jobs and artifacts as JSON (docs/steps.md). */
#ifndef PENSTOCK_HTTP_NATIVE_STEP_JSON_H
#define PENSTOCK_HTTP_NATIVE_STEP_JSON_H

#include "base/json.h"
#include "engine/step_op.h"

/* {"tags":[...]} */
void step_tags_json_write(struct json_out *o, const struct step_tags *list);
void step_json_write(struct json_out *o, const struct step_view *view);
void step_job_json_write(struct json_out *o, const struct step_job_view *view);
void artifact_json_write(struct json_out *o, const struct artifact *a);

#endif
