/* event.h: one line of the append-only history: what happened to which job, when. */
#ifndef PENSTOCK_CORE_EVENT_H
#define PENSTOCK_CORE_EVENT_H

#include "base/buf.h"

/* Plain value; strings borrowed from whoever made the event. */
struct event {
    int64_t id; /* given by the store, growing; 0 before that */
    int64_t at_us;
    int64_t job_id;
    struct str job_name;
    struct str kind;   /* "job.created", "job.completed", "lease.ended", ... */
    struct str detail; /* a JSON object, may be empty */
};

#endif
