/* helper.h: threads that may wait for the disk, which the loops' threads may not.
 *
 * A request is handed over as an op is to the engine: it belongs to the helper until the op's
 * `done`. Threads: any hands over; whoever made it starts and stops it. */
#ifndef PENSTOCK_HTTP_HELPER_H
#define PENSTOCK_HTTP_HELPER_H

#include "base/err.h"
#include "base/own.h"
#include "http/request.h"

struct helper;

/* Starts its threads. ERR_INTERNAL. */
MUST_CHECK bool helper_start(struct helper **out, struct err *err);
/* Runs work(req) on one of them, puts its error into `op`, which is the request's, and calls
 * op->done. */
void helper_take(struct helper *h, struct request *req, struct op *op, request_work *work);
/* Does what is left, ends the threads, frees all. NULL is fine. */
void helper_free(struct helper *h);
DEFINE_OWNED(helper)

#endif
