/* lose.c: leases that end: given back by their workers, or lost with them. What was lost with an
 * ordinary lease has spent an attempt; what was lost with a session is served apart (suspects.c).
 */
#include "base/json.h"
#include "engine/engine_state.h"

static void give_back_one(void *context, int64_t record)
{
    struct data_job *job = context;
    if (ledger_get(job->ledger, record) == RECORD_SERVED)
        data_job_set(job, record, RECORD_UNREAD);
}

void lease_give_back(struct data_job *job, struct lease *lease)
{
    lease_each(lease, give_back_one, job);
    data_job_end_lease(job, lease);
}

struct ending {
    struct engine *e;
    struct data_job *job;
    int64_t back, failed;
};

/* An ordinary lease spends an attempt of each record. Nobody is told of it, so it is never taken
 * back: its line waits among those that stay. */
static void end_one(void *context, int64_t record)
{
    struct ending *ending = context;
    if (ledger_get(ending->job->ledger, record) != RECORD_SERVED)
        return;
    if (settle_fail(ending->e, ending->job, record, false, &ending->job->bad_lines,
                    "its lease ended on the last attempt", (struct str){0}))
        ending->failed++;
    else
        ending->back++;
}

static void tell_of_ending(struct engine *e, struct data_job *job, const struct ending *ending)
{
    OWNED_BUF struct buf detail;
    struct json_out o;
    buf_init(&detail, 256);
    json_out_init(&o, &detail);
    json_out_open(&o, '{');
    json_out_name(&o, "returned");
    json_out_i64(&o, ending->back);
    json_out_name(&o, "failed");
    json_out_i64(&o, ending->failed);
    json_out_close(&o, '}');
    engine_event(e, job, "lease.ended", buf_str(&detail));
}

void lease_lose(struct engine *e, struct data_job *job, struct lease *lease, struct str how)
{
    struct ending ending = {.e = e, .job = job};
    if (lease_is_kept(lease)) {
        int64_t open = lease_open(lease);
        ending.failed = suspects_lose(e, job, lease, how);
        ending.back = open - ending.failed;
    } else {
        lease_each(lease, end_one, &ending);
    }
    data_job_end_lease(job, lease);
    limits_wake(job);
    if (ending.back == 0 && ending.failed == 0)
        return;
    e->stats.leases_ended++;
    e->stats.failed += ending.failed;
    tell_of_ending(e, job, &ending);
    engine_touch(e, job);
}

void leases_end_due(struct engine *e, struct data_job *job)
{
    for (struct lease *lease = NULL; (lease = leases_first(job->leases));) {
        if (lease_ends_us(lease) > e->now.mono_us)
            return;
        lease_lose(e, job, lease, STR("was not heard of in time"));
    }
}

static struct lease *named_lease(struct data_job *job, struct op *op)
{
    struct lease *lease = leases_find(job->leases, op->lease.token);
    if (!lease)
        op_refuse(op, REFUSED_LEASE_ENDED, ERR_CONFLICT,
                  "the lease has ended: its records are served again");
    return lease;
}

/* A claim's answer did not reach its worker: its records go back. The lease goes too, unless the
 * worker knows it from earlier claims; what that has told since of what it holds is what counts. */
static void take_answer_back(struct data_job *job, struct op *op, struct lease *lease)
{
    if (lease && op->lease.stays && lease_was_recalled(lease, op->lease.answer))
        return;
    claim_take_back(job, op->lease.records, lease);
    if (lease && !op->lease.stays)
        data_job_end_lease(job, lease);
}

enum op_fate op_release_claim(struct engine *e, struct op *op)
{
    if (!op_find_job(e, op))
        return FATE_NOW;
    struct data_job *job = op->of;
    struct lease *lease = op->lease.has_lease ? named_lease(job, op) : NULL;
    if (op->lease.has_lease && !lease)
        return FATE_NOW;
    bool whole = lease && !op->lease.records.len;
    if (whole)
        claims_end_of(job, op->lease.token);
    if (whole && op->lease.died)
        lease_lose(e, job, lease, op->lease.how.len ? op->lease.how : STR("died"));
    else if (whole)
        lease_give_back(job, lease);
    else
        take_answer_back(job, op, lease);
    limits_wake(job);
    if (job->spec.mode == MODE_READ)
        engine_touch(e, job);
    claims_feed(e, job);
    return FATE_DURABLE;
}

enum op_fate op_extend(struct engine *e, struct op *op)
{
    if (!op_find_job(e, op))
        return FATE_NOW;
    struct data_job *job = op->of;
    struct lease *lease = named_lease(job, op);
    if (!lease)
        return FATE_NOW;
    int64_t usual_us = lease_is_kept(lease) ? lease_span_us(lease) : job->spec.lease_us;
    int64_t lease_us = op->lease.lease_us > 0 ? op->lease.lease_us : usual_us;
    if (lease_us <= 0)
        return op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID, "how long? the job has no lease time");
    lease_extend(job->leases, lease, e->now.mono_us + lease_us);
    op->lease.lease_ends_at_us = e->now.wall_us + lease_us;
    return FATE_NOW;
}
