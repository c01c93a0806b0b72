/* session.c: a worker's session: a kept lease that later claims name and add to (lease.h).
 *
 * What a worker holds and what its lease holds must never differ for good: a lease that lives on
 * would keep a record of which its worker knows nothing from everybody. So an answer that did not
 * get through gives its records back, and a worker whose connection broke says in its next claim
 * which records it has; what it does not name is served again. */
#include "engine/engine_state.h"

struct lease *session_of(const struct data_job *job, const struct op *op)
{
    return op->claim.add ? leases_find(job->leases, op->claim.token) : NULL;
}

void session_lives(struct data_job *job, struct lease *lease, int64_t from_us)
{
    int64_t ends_us = from_us + lease_span_us(lease);
    if (lease_is_kept(lease) && ends_us > lease_ends_us(lease))
        lease_extend(job->leases, lease, ends_us);
}

static struct lease *begin_session(struct engine *e, struct data_job *job, struct op *op)
{
    struct lease *lease = claim_new_lease(e, job, op);
    if (!lease) {
        op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID,
                  "how long is it to be kept? the job has no lease time");
        return NULL;
    }
    lease_keep(lease, op->claim.worker, lease_ends_us(lease) - e->now.mono_us);
    memcpy(op->claim.token, lease_token(lease), LEASE_TOKEN_BYTES);
    op->claim.made = op->claim.add = true;
    limits_join(e, job, lease);
    return lease;
}

static struct lease *find_session(struct data_job *job, struct op *op)
{
    struct lease *lease = leases_find(job->leases, op->claim.token);
    if (!lease) {
        op_refuse(op, REFUSED_LEASE_ENDED, ERR_CONFLICT,
                  "the lease has ended: its records are served again");
        return NULL;
    }
    if (!lease_is_kept(lease)) {
        op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT,
                  "the lease is not a kept one: nothing can be added to it");
        return NULL;
    }
    if (op->claim.lease_us > 0)
        lease_set_span(lease, op->claim.lease_us);
    return lease;
}

static void serve_again(void *context, int64_t record)
{
    struct data_job *job = context;
    data_job_set(job, record, RECORD_UNREAD);
}

/* What the lease holds beyond what its worker knows of goes back. */
static void recall(struct data_job *job, struct lease *lease, const struct op *op)
{
    struct record_set known = {0};
    for (size_t i = 0; i < op->claim.hold_count; i++)
        if (op->claim.holds[i] >= 0 && !record_set_has(&known, op->claim.holds[i]))
            record_set_add(&known, op->claim.holds[i]);
    struct record_set back = lease_recall(lease, &known);
    record_set_each(&back, serve_again, job);
    record_set_release(&known);
    record_set_release(&back);
}

bool session_begin(struct engine *e, struct data_job *job, struct op *op)
{
    if (!op->claim.keep && !op->claim.add)
        return true;
    bool known = op->claim.add;
    if (known)
        claims_end_of(job, op->claim.token);
    struct lease *lease = known ? find_session(job, op) : begin_session(e, job, op);
    if (!lease)
        return false;
    /* Who may not have heard the last answer may not know its share either. */
    if (known && op->claim.has_holds)
        recall(job, lease, op);
    else
        limits_report(job, lease, op->claim.running);
    /* While its claim waits here the worker lives: its time begins when the wait is over. */
    bool waits = op->claim.wait_until_us > e->now.mono_us && op->claim.wait_until_us != NEVER_US;
    session_lives(job, lease, waits ? op->claim.wait_until_us : e->now.mono_us);
    engine_activate(e, job);
    return true;
}

bool session_answer(struct engine *e, struct data_job *job, struct op *op)
{
    struct lease *lease = session_of(job, op);
    if (!op->claim.add)
        return true;
    /* The end of a job is the end of its sessions: who asked meanwhile is told the one. */
    if (!lease && op->claim.finished)
        return true;
    if (!lease)
        return find_session(job, op) != NULL;
    if (op->claim.finished) {
        data_job_end_lease(job, lease);
        return true;
    }
    lease_extend(job->leases, lease, e->now.mono_us + lease_span_us(lease));
    limits_answer(e, job, op);
    op->claim.has_lease = true;
    op->claim.answer = lease_count_answer(lease);
    op->claim.lease_ends_at_us = e->now.wall_us + lease_span_us(lease);
    return true;
}

void session_abandon(struct engine *e, struct data_job *job, struct op *op)
{
    struct lease *lease = session_of(job, op);
    if (!lease)
        return;
    if (op->claim.made)
        data_job_end_lease(job, lease);
    else
        lease_extend(job->leases, lease, e->now.mono_us + lease_span_us(lease));
}
