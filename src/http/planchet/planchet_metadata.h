/* planchet_metadata.h: from Planchet's way of describing a job to ours. Plain memory, no I/O. */
#ifndef PENSTOCK_HTTP_PLANCHET_METADATA_H
#define PENSTOCK_HTTP_PLANCHET_METADATA_H

#include "base/err.h"
#include "core/job.h"

/* What the query says. The texts may be empty; lease_s and max_attempts have ptr NULL when they are
 * not there, then those of the metadata count. */
struct planchet_request {
    struct str reader, writer, mode, lease_s, max_attempts;
};

/* Makes the spec. `metadata` is a valid JSON object. A name that is no class of Planchet's is one
 * of the operator's programs. ERR_INVALID, in the words of the metadata. `out` is initialised, and
 * the caller's to release whatever happens. */
MUST_CHECK bool planchet_spec(const struct planchet_request *query, struct str metadata,
                              struct data_spec *out, struct err *err);

#endif
