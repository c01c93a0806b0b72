/* planchet_records.c: giving out items and taking them back. */
#include "base/json.h"
#include "http/planchet/planchet_items.h"
#include "http/planchet/planchet_own.h"
#include "http/planchet/planchet_params.h"

#include <stdlib.h>

#define BATCH_DEFAULT 100
/* An answer ends here however many items were asked for. */
#define SERVE_MAX_BYTES (64 << 20)

static bool served(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)err;
    request_claims(req);
    reply_add_borrowed(reply, op->claim.records.len > 0 ? buf_str(&op->claim.records) : STR("[]"));
    return true;
}

bool planchet_serve(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    int64_t batch = planchet_int_param(req, &faults, "batch_size", BATCH_DEFAULT);
    struct str token = planchet_text_param(req, &faults, "token", false);
    if (faults.count > 0) {
        planchet_faults_reply(&faults, reply);
        return true;
    }
    struct op *op = request_op(req, OP_CLAIM);
    op->job.name = name;
    request_right(req, SCOPE_WORK, &token, &op->right);
    op->claim.max_records = batch;
    op->claim.max_bytes = SERVE_MAX_BYTES;
    /* An empty answer ends a worker, so it is given only when nothing can come any more. */
    op->claim.wait_paused = true;
    op->claim.wait_leased = true;
    return request_call(req, served);
}

static void free_items(void *items)
{
    planchet_items_release(items);
    free(items);
}

/* Reads the body by `read`; NULL when an answer was made. The items live as long as the request. */
static struct planchet_items *read_body(struct request *req, struct reply *reply, bool ids,
                                        struct planchet_faults *faults)
{
    struct planchet_items *items = xcalloc(1, sizeof *items);
    request_own(req, items, free_items);
    size_t len = 0;
    char *body = request_body(req, &len);
    bool is_json = true;
    if (len == 0)
        planchet_faults_add(faults, (struct planchet_place){"body", ids ? "ids" : "items", -1, -1},
                            FAULT_MISSING);
    else
        is_json = ids ? planchet_ids_read(body, len, items, faults)
                      : planchet_items_read(body, len, items, faults);
    if (!is_json)
        planchet_refuse_body(reply);
    else if (faults->count > 0)
        planchet_faults_reply(faults, reply);
    else if (items->full)
        planchet_refuse(reply, 413, STR("more items than one call may bring (1250000)"));
    else
        return items;
    return NULL;
}

static struct op *settle_op(struct request *req, struct str name, struct str token,
                            const struct planchet_items *items)
{
    struct op *op = request_op(req, OP_SETTLE);
    op->job.name = name;
    request_right(req, SCOPE_WORK, &token, &op->right);
    op->settle.entries = items->entries;
    op->settle.count = items->count;
    op->settle.lines = items->lines;
    return op;
}

bool planchet_receive(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    bool overwrite = planchet_bool_param(req, &faults, "overwrite", false, true);
    struct str token = planchet_text_param(req, &faults, "token", false);
    struct planchet_items *items = read_body(req, reply, false, &faults);
    if (!items)
        return true;
    struct op *op = settle_op(req, name, token, items);
    op->settle.overwrite = overwrite;
    op->settle.results_only = true;
    return request_call(req, planchet_done);
}

bool planchet_mark_errors(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    OWNED_FAULTS struct planchet_faults faults;
    planchet_faults_init(&faults);
    struct str name = planchet_text_param(req, &faults, "job_name", true);
    struct str token = planchet_text_param(req, &faults, "token", false);
    struct planchet_items *items = read_body(req, reply, true, &faults);
    if (!items)
        return true;
    struct op *op = settle_op(req, name, token, items);
    op->settle.failures_only = true;
    op->settle.final = true;
    return request_call(req, planchet_done);
}
