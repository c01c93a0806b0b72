/* look.c: see look.h. First what came back, then what was not read yet. */
#include "engine/look.h"

#include "engine/engine_state.h"
#include "engine/identity.h"
#include "engine/resume.h"

static void add_record(struct op *op, const struct source_record *record)
{
    struct buf *out = &op->claim.records;
    buf_add_char(out, op->claim.count ? ',' : '[');
    buf_add_char(out, '[');
    buf_add_i64(out, record->number);
    buf_add_char(out, ',');
    buf_add_str(out, record->json);
    buf_add_char(out, ']');
    op->claim.count++;
}

static bool wants_more(const struct op *op)
{
    return op->claim.count < op->claim.most &&
           (op->claim.count == 0 || (int64_t)op->claim.records.len < op->claim.max_bytes);
}

/* A record's last attempt is made alone, so that one record that kills its worker does not use up
 * the attempts of all that were claimed with it. Kept leases that end spend none. */
static bool must_be_alone(const struct data_job *job, const struct lease *lease, int64_t record)
{
    return job->spec.max_attempts > 1 && !(lease && lease_is_kept(lease)) &&
           attempts_get(job->attempts, record) == job->spec.max_attempts - 1;
}

static enum found found_or(const struct op *op, enum found otherwise)
{
    return op->claim.count ? FOUND : otherwise;
}

/* Claims of what is known and unread. FOUND_END: there is nothing more of it, but perhaps something
 * was claimed. */
static enum found take_returned(struct engine *e, struct data_job *job, struct op *op,
                                struct lease *lease, struct err *err)
{
    while (wants_more(op)) {
        int64_t record = share_next_unread(job, job->unread_from);
        if (record < 0) {
            job->unread_from = ledger_known(job->ledger);
            return FOUND_END;
        }
        job->unread_from = record;
        if (!order_lets(job->order, record))
            return found_or(op, FOUND_LATER);
        int64_t together = suspects_together(job, lease, record);
        bool alone = must_be_alone(job, lease, record);
        bool apart = alone || (together > 0) != op->claim.alone;
        if (apart && op->claim.count > 0)
            return FOUND;
        if (together > 0 && together < op->claim.most)
            op->claim.most = together;
        struct source_record got;
        switch (data_job_read_again(e, job, record, &got, err)) {
        case SOURCE_RECORD:
            ledger_set(job->ledger, record, RECORD_SERVED);
            add_record(op, &got);
            op->claim.alone = together > 0;
            if (lease)
                lease_add(lease, record);
            break;
        case SOURCE_BAD:
            break;
        case SOURCE_PAUSE:
            return found_or(op, FOUND_PAUSE);
        default:
            return FOUND_ERROR;
        }
        if (data_job_must_list(job))
            return found_or(op, FOUND_PAUSE);
        if (alone && op->claim.count > 0)
            return FOUND;
    }
    return FOUND;
}

/* Claims of what is not known yet. */
static enum found take_new(struct engine *e, struct data_job *job, struct op *op,
                           struct lease *lease, struct err *err)
{
    struct source_record got;
    while (wants_more(op)) {
        if (!share_reads_on(job))
            return found_or(op, FOUND_END);
        switch (data_job_read(e, job, RECORD_SERVED, &got, err)) {
        case SOURCE_RECORD:
            add_record(op, &got);
            if (lease)
                lease_add(lease, got.number);
            break;
        case SOURCE_BAD:
            if (data_job_must_list(job))
                return found_or(op, FOUND_PAUSE);
            break;
        case SOURCE_PAUSE:
            return found_or(op, FOUND_PAUSE);
        case SOURCE_END:
        case SOURCE_TAIL:
            return found_or(op, FOUND_END);
        case SOURCE_FAILED:
            return FOUND_ERROR;
        }
    }
    return FOUND;
}

/* What is done must be known before anything is served. */
static enum found look_through(struct engine *e, struct data_job *job)
{
    if (!job->resume)
        resume_begin(e, job, RESUME_GO_ON);
    return FOUND_PAUSE;
}

enum found claim_look(struct engine *e, struct data_job *job, struct op *op, struct lease *lease,
                      struct err *err)
{
    if (!identity_ready(job) && !job_state_is_final(job->row.state))
        return look_through(e, job);
    data_job_begin_slice(e, job);
    enum found found = take_returned(e, job, op, lease, err);
    if (found != FOUND_END)
        return found;
    if (op->claim.alone)
        return FOUND;
    if (order_is_full(job->order))
        return found_or(op, FOUND_LATER);
    bool ended = false;
    if (!data_job_still_ended(e, job, &ended, err) ||
        (!ended && !data_job_need_reader(e, job, err)))
        return FOUND_ERROR;
    if (ended)
        return found_or(op, FOUND_END);
    if (!identity_ready(job))
        return op->claim.count ? FOUND : look_through(e, job);
    if (!job->reader)
        return found_or(op, FOUND_PAUSE);
    int64_t known = ledger_known(job->ledger);
    found = take_new(e, job, op, lease, err);
    if (ledger_known(job->ledger) > known && job->unread_from == known)
        job->unread_from = ledger_known(job->ledger);
    return found;
}
