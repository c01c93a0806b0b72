/* limits.c: what a job's limits leave to a claim: how many records it may take now, how many of
 * them its worker may run at once, and when they may start. For a job without limits it costs two
 * looks. */
#include "engine/engine_state.h"

#define SECOND_US 1e6

void limits_set(struct data_job *job)
{
    const struct data_spec *spec = &job->spec;
    double next_us = job->pace.next_us;
    job->limited = spec->concurrency > 0 || spec->rpm > 0 || spec->adaptive;
    pace_init(&job->pace, spec->rpm, spec->adaptive);
    job->pace.next_us = next_us;
}

void limits_resume(struct engine *e, struct data_job *job)
{
    if (!pace_is_on(&job->pace))
        return;
    double every_us = pace_every_us(&job->pace);
    job->pace.next_us =
        (double)e->now.mono_us + PACE_AHEAD_US + (every_us < SECOND_US ? every_us : SECOND_US);
}

void limits_wake(struct data_job *job)
{
    if (job->waiting)
        job->again_now = true;
}

/* Records in flight that no session holds: those who claimed them run all of them. */
static int64_t plain_in_flight(const struct data_job *job)
{
    int64_t count = ledger_count(job->ledger, RECORD_SERVED) - delays_count(job->delays);
    for (int64_t i = 0; i < leases_count(job->leases); i++) {
        const struct lease *lease = leases_at(job->leases, (size_t)i);
        count -= lease_is_kept(lease) ? lease_open(lease) : 0;
    }
    return count;
}

/* How many more records a session may hold. Where each start is counted it holds none ahead; where
 * the rate may have to fall suddenly, few. Nor does one that has less than its even share, as those
 * before it are still to come down: it would work at what it holds, a few at once, before it asks
 * again. */
static int64_t session_room(const struct data_job *job, const struct lease *session)
{
    int64_t share = slots_offer(job->slots, lease_number(session));
    if (share == 0)
        return 0;
    if (pace_is_on(&job->pace) || share < slots_even(job->slots, lease_number(session)))
        return share - lease_open(session);
    if (job->spec.adaptive)
        return share + share / 4 + 1 - lease_open(session);
    return INT64_MAX;
}

/* Whether slots are left for it; op->claim.most becomes how many. */
static bool slots_allow(struct data_job *job, struct op *op, const struct lease *session)
{
    int64_t total = job->spec.concurrency - plain_in_flight(job);
    slots_set_total(job->slots, total);
    int64_t room = session ? session_room(job, session) : total - slots_used(job->slots);
    if (room < op->claim.most)
        op->claim.most = room;
    if (room > 0)
        return true;
    op->claim.held_up = HELD_UP_BY_SLOTS;
    return false;
}

static bool pace_allows(struct engine *e, struct data_job *job, struct op *op,
                        const struct lease *session)
{
    int64_t starts_us = session ? lease_starts_us(session) : 0;
    if (starts_us > e->now.mono_us) {
        op->claim.held_up = HELD_UP_BY_PACE;
        if (starts_us < job->wake_us)
            job->wake_us = starts_us;
        return false;
    }
    int64_t permits = pace_free(&job->pace, e->now.mono_us);
    if (permits < op->claim.most)
        op->claim.most = permits;
    if (permits > 0)
        return true;
    op->claim.held_up = HELD_UP_BY_PACE;
    if (pace_next_us(&job->pace) < job->wake_us)
        job->wake_us = pace_next_us(&job->pace);
    return false;
}

bool limits_allow(struct engine *e, struct data_job *job, struct op *op)
{
    struct lease *session = session_of(job, op);
    op->claim.most = op->claim.max_records;
    op->claim.held_up = HELD_UP_BY_NOTHING;
    if (session && suspects_are_open(job, session)) {
        op->claim.held_up = HELD_UP_BY_SUSPECTS;
        return false;
    }
    if (job->spec.concurrency > 0 && !slots_allow(job, op, session))
        return false;
    return !pace_is_on(&job->pace) || pace_allows(e, job, op, session);
}

void limits_answer(struct engine *e, struct data_job *job, struct op *op)
{
    if (!job->limited)
        return;
    const struct lease *session = session_of(job, op);
    if (session && job->spec.concurrency > 0) {
        int64_t used = slots_used(job->slots);
        op->claim.slots = slots_grant(job->slots, lease_number(session), lease_open(session));
        if (slots_used(job->slots) < used)
            limits_wake(job);
    }
    if (!session && job->spec.concurrency > 0)
        op->claim.slots = op->claim.count;
    op->claim.paced = pace_is_on(&job->pace);
    op->claim.clock_us = e->now.mono_us;
    op->claim.alone_us = session && leases_count(job->leases) == 1 ? PACE_ALONE_US : 0;
    if (!op->claim.paced)
        pace_see(&job->pace, e->now.mono_us, op->claim.count);
    else if (op->claim.count > 0)
        pace_take(&job->pace, e->now.mono_us, op->claim.count, &op->claim.first_us,
                  &op->claim.every_us);
    else
        op->claim.every_us = pace_every_us(&job->pace);
}

bool limits_changed(const struct data_job *job, const struct op *op)
{
    const struct lease *session = session_of(job, op);
    if (!session || job->spec.concurrency == 0)
        return false;
    int64_t share = slots_share(job->slots, lease_number(session));
    int64_t offer = slots_offer(job->slots, lease_number(session));
    return offer < share || (offer > share && lease_open(session) > share);
}

/* A worker that is alone catches up what it was late with. One that comes beside it waits until it
 * must have noticed (docs/worker-protocol.md): else both together might make a second too full. */
void limits_join(struct engine *e, struct data_job *job, struct lease *session)
{
    if (pace_is_on(&job->pace) && leases_count(job->leases) > 1)
        lease_set_starts(session, e->now.mono_us + PACE_JOIN_US);
    if (job->spec.concurrency == 0)
        return;
    slots_join(job->slots, lease_number(session));
    limits_wake(job); /* the others are to make room */
}

void limits_report(struct data_job *job, const struct lease *session, int64_t running)
{
    if (job->spec.concurrency == 0 || running < 0)
        return;
    int64_t used = slots_used(job->slots);
    int64_t runs = running < lease_open(session) ? running : lease_open(session);
    slots_report(job->slots, lease_number(session), runs);
    if (slots_used(job->slots) < used)
        limits_wake(job);
}

void limits_slow(struct engine *e, struct data_job *job, int64_t record)
{
    bool again = !record_set_has(&job->slowed, record);
    if (!pace_slow(&job->pace, e->now.mono_us, again))
        return;
    /* What was handed out at the old rate may be told of now: that is no reason to halve again. */
    record_set_release(&job->slowed);
    for (int64_t i = 0; i < leases_count(job->leases); i++)
        record_set_join(&job->slowed, lease_records(leases_at(job->leases, (size_t)i)));
}
