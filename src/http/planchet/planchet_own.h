/* planchet_own.h: what the files of the Planchet surface share. Threads: HTTP. */
#ifndef PENSTOCK_HTTP_PLANCHET_OWN_H
#define PENSTOCK_HTTP_PLANCHET_OWN_H

#include "http/planchet/planchet_faults.h"
#include "http/reply.h"
#include "http/request.h"

/* The handlers of planchet_jobs.c and planchet_records.c. */
route_handler planchet_scramble, planchet_delete, planchet_clean, planchet_purge, planchet_report,
    planchet_health, planchet_serve, planchet_receive, planchet_mark_errors;

/* The answer of everything that writes: `null`. */
bool planchet_done(struct request *req, struct op *op, struct reply *reply, struct err *err);
/* {"detail": text} */
void planchet_refuse(struct reply *reply, int status, struct str text);
/* 403, the token is wrong or missing. True, as an answer was made. */
bool planchet_refuse_token(struct reply *reply);
/* 400, as for every body that is no JSON. True. */
bool planchet_refuse_body(struct reply *reply);
/* surface.fail: errors in the words that Planchet's clients know. */
void planchet_fail(struct request *req, const struct op *op, const struct err *err, int status,
                   struct reply *reply);

#endif
