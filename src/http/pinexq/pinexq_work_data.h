/* pinexq_work_data.h: artifacts as pinexq's WorkData. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_WORK_DATA_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_WORK_DATA_H

#include "core/artifact.h"
#include "http/pinexq/siren.h"

/* A whole document of it, embedded as `rel`, or NULL: by itself. `may_work`: the asker may change
 * it, then actions are offered (pinexq_may_work). */
void pinexq_write_work_data(struct siren *s, const struct artifact *a, const char *rel,
                            bool may_work);

/* As it is downloaded: what its clients would take for a document of ours is just bytes. */
const char *pinexq_media_type(const struct artifact *a);

#endif
