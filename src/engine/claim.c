/* claim.c: records go out: first those that came back, then what was not read yet.
 *
 * Serving needs nothing durable: what is in flight at a crash is served again. Two exceptions are
 * answered only after a commit: a job that only reads (handing out is its progress), and the rare
 * claim that raises the stored bound of what may be in somebody's hands. */
#include "base/json.h"
#include "engine/engine_state.h"
#include "engine/identity.h"
#include "engine/look.h"

#include <assert.h>

static int64_t lease_us_of(const struct data_job *job, const struct op *op)
{
    return op->claim.lease_us > 0 ? op->claim.lease_us : job->spec.lease_us;
}

static void drop_records(struct op *op)
{
    op->claim.count = 0;
    op->claim.records.len = 0;
    op->claim.has_lease = op->claim.alone = false;
}

/* Gives back what a failed look had claimed already. */
static void undo_look(struct data_job *job, struct op *op, struct lease *lease)
{
    if (op->claim.count) {
        buf_add_char(&op->claim.records, ']');
        claim_take_back(job, buf_str(&op->claim.records), lease);
    }
    if (lease && !lease_is_kept(lease))
        data_job_end_lease(job, lease);
    drop_records(op);
}

static void finish_claim(struct engine *e, struct data_job *job, struct op *op, struct lease *lease)
{
    buf_add_char(&op->claim.records, ']');
    double mean = (double)op->claim.records.len / (double)op->claim.count;
    job->record_bytes += (mean - job->record_bytes) / 8;
    e->stats.served += op->claim.count;
    if (lease && lease_is_kept(lease)) {
        lease_set_alone(lease, op->claim.alone);
        (void)!session_answer(e, job, op); /* it is there */
        return;
    }
    limits_answer(e, job, op);
    if (!lease)
        return;
    op->claim.has_lease = true;
    memcpy(op->claim.token, lease_token(lease), LEASE_TOKEN_BYTES);
    op->claim.lease_ends_at_us = e->now.wall_us + (lease_ends_us(lease) - e->now.mono_us);
    engine_activate(e, job);
}

void engine_new_token(struct engine *e, uint8_t token[LEASE_TOKEN_BYTES])
{
    if (e->options.seeded)
        for (size_t i = 0; i < LEASE_TOKEN_BYTES; i += sizeof(uint64_t)) {
            uint64_t word = rng_next(&e->rng);
            memcpy(token + i, &word, sizeof word);
        }
    else
        random_bytes(token, LEASE_TOKEN_BYTES);
}

struct lease *claim_new_lease(struct engine *e, struct data_job *job, const struct op *op)
{
    int64_t lease_us = lease_us_of(job, op);
    if (lease_us <= 0)
        return NULL;
    uint8_t token[LEASE_TOKEN_BYTES];
    engine_new_token(e, token);
    return leases_add(job->leases, token, e->now.mono_us + lease_us);
}

static enum found try_claim(struct engine *e, struct data_job *job, struct op *op, struct err *err)
{
    drop_records(op);
    double expected = job->record_bytes * 1.1 * (double)op->claim.most + 64;
    if (expected < (double)op->claim.max_bytes &&
        !buf_reserve(&op->claim.records, (size_t)expected)) {
        err_set(err, ERR_LIMIT, "no memory for %lld records", (long long)op->claim.most);
        return FOUND_ERROR;
    }
    struct lease *session = session_of(job, op);
    struct lease *lease = session ? session : claim_new_lease(e, job, op);
    enum found found = claim_look(e, job, op, lease, err);
    if (found == FOUND && op->claim.records.full) {
        err_set(err, ERR_LIMIT, "no memory for the records");
        found = FOUND_ERROR;
    }
    if (found == FOUND) {
        finish_claim(e, job, op, lease);
        return found;
    }
    undo_look(job, op, lease);
    return found;
}

/* Whether the reader's program may have printed what was not looked at: nobody is told to go home
 * before it has ended and its last lines were read. */
static bool may_print_more(const struct data_job *job)
{
    return job->feed_in && !job->exhausted;
}

/* Whether a claim that found nothing may be kept waiting. */
static bool may_wait(const struct engine *e, const struct data_job *job, const struct op *op,
                     enum found found)
{
    return found == FOUND_PAUSE || claim_is_held(job, op) ||
           op->claim.wait_until_us > e->now.mono_us;
}

static void put_in_line(struct data_job *job, struct op *op)
{
    op->next = NULL;
    *job->waiting_end = op;
    job->waiting_end = &op->next;
}

static void wait_for_records(struct engine *e, struct data_job *job, struct op *op)
{
    put_in_line(job, op);
    engine_activate(e, job);
    watch_job(e, job);
}

/* Whether nothing will come any more of a job, as far as anybody can tell now. */
static bool is_finished(const struct data_job *job)
{
    return job_state_is_final(job->row.state) ||
           (job->portion_over && ledger_count(job->ledger, RECORD_SERVED) == 0);
}

/* What a claim that found nothing is told. */
static enum op_fate answer_empty(struct engine *e, struct data_job *job, struct op *op)
{
    drop_records(op);
    buf_add_text(&op->claim.records, "[]");
    op->claim.finished = is_finished(job);
    (void)!session_answer(e, job, op); /* refused, and that is the answer */
    return FATE_NOW;
}

/* A claim that got records moves the job on. True when it must be durable first. */
static bool claimed(struct engine *e, struct data_job *job, struct op *op)
{
    struct err ignored;
    bool durable =
        job->spec.mode == MODE_READ || job->row.progress.served_below > job->stored.served_below;
    /* Lines appended to an input whose job was completed open it again. */
    if (job_state_is_final(job->row.state) && !engine_move(e, job, JOB_REOPEN, &ignored))
        return durable;
    if (job->row.state == JOB_PENDING && !engine_move(e, job, JOB_CLAIM, &ignored))
        return durable;
    if (durable)
        engine_touch(e, job);
    if (job->feed_in && job->reader)
        program_consumed(job->feed_in, source_place(job->reader).bytes);
    op->of = job;
    return durable;
}

/* Whether nothing will ever come of the job: a program does not print more because it is asked. */
static bool is_over(const struct data_job *job)
{
    return job->row.state == JOB_CANCELLED || job->row.state == JOB_FAILED ||
           (job->row.state == JOB_COMPLETED && job->spec.source_format == FORMAT_PROGRAM);
}

/* Who is told that nothing will come may go home: the job's end must be durable before. */
static enum op_fate answer_end(struct engine *e, struct data_job *job, struct op *op)
{
    enum op_fate fate = answer_empty(e, job, op);
    if (op->claim.finished && job->stored_state != job->row.state)
        engine_touch(e, job);
    return job->touched ? FATE_DURABLE : fate;
}

/* There may be records, but none for this claim now. */
static enum op_fate hold_up(struct engine *e, struct data_job *job, struct op *op)
{
    if (!may_wait(e, job, op, FOUND_END) || limits_changed(job, op))
        return answer_empty(e, job, op);
    wait_for_records(e, job, op);
    return FATE_WAITS;
}

static enum op_fate claim_now(struct engine *e, struct data_job *job, struct op *op)
{
    if (op->claim.add && !session_of(job, op)) /* it was ended while the claim waited */
        return answer_empty(e, job, op);
    /* What is at its end, and what opens it again, is decided between commits, not during one: it
     * may take the sink in hand, which is being written now. */
    if (e->in_commit && job_state_is_final(job->row.state)) {
        job->again_now = true;
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    if (is_over(job) || (job->portion_over && is_finished(job)))
        return answer_end(e, job, op);
    if (job->row.paused) {
        if (!op->claim.wait_paused && op->claim.wait_until_us <= e->now.mono_us)
            return answer_empty(e, job, op);
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    if (job->resume) {
        job->again_now = true;
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    if (!data_job_need_programs(e, job, &op->err))
        return FATE_NOW;
    /* Asked before the look: it may print its last lines and end behind it. */
    bool prints = job->feed_in && program_state(job->feed_in) == PROGRAM_RUNNING;
    if (!limits_allow(e, job, op))
        return hold_up(e, job, op);
    enum found found = try_claim(e, job, op, &op->err);
    if (data_job_must_list(job))
        engine_touch(e, job);
    if (found == FOUND)
        return claimed(e, job, op) ? FATE_DURABLE : FATE_NOW;
    if (found == FOUND_ERROR)
        return FATE_NOW;
    bool later = (e->in_commit && found == FOUND_END) || job->resume;
    if (found == FOUND_PAUSE || later)
        job->again_now = true;
    job->held_up = found == FOUND_LATER;
    if (later) {
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    /* Also when the end was met before: a commit may have been under way then. */
    if (found == FOUND_END && !prints) {
        job->exhausted = true;
        job_advance(e, job);
    }
    if (job->resume) { /* the end is put in order, and told then */
        job->again_now = true;
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    if (!job_state_is_final(job->row.state) && may_wait(e, job, op, found) &&
        !limits_changed(job, op)) {
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    enum op_fate fate = answer_end(e, job, op);
    /* A job that ended long ago lets go again of what it has just looked at. */
    if (job_state_is_final(job->row.state) && !job->touched)
        data_job_rest(job);
    return fate;
}

void claims_look_for_end(struct engine *e, struct data_job *job)
{
    bool begun = job->row.state == JOB_RUNNING ||
                 (job->row.state == JOB_PENDING && ledger_known(job->ledger) > 0);
    job->looks_for_end = false;
    if (!begun || !job->spec.source_path || !identity_ready(job) || job->resume ||
        ledger_count(job->ledger, RECORD_UNREAD))
        return;
    struct op op;
    struct err ignored;
    op_init(&op, OP_CLAIM);
    op.claim.most = op.claim.max_bytes = 1;
    enum found found = claim_look(e, job, &op, NULL, &ignored);
    undo_look(job, &op, NULL);
    op_release(&op);
    if (data_job_must_list(job))
        engine_touch(e, job);
    if (found == FOUND_PAUSE) {
        job->looks_for_end = true;
        engine_activate(e, job);
    }
    if (found == FOUND_END) {
        job->exhausted = true;
        job_advance(e, job);
    }
}

/* Whether what a waiting claim lacks is what all others lack, too. */
static bool is_common(const struct op *op)
{
    return op->claim.held_up == HELD_UP_BY_NOTHING || op->claim.held_up == HELD_UP_BY_PACE;
}

static bool somebody_waits(const struct data_job *job)
{
    for (const struct op *op = job->waiting; op; op = op->next)
        if (is_common(op))
            return true;
    return false;
}

enum op_fate op_claim(struct engine *e, struct op *op)
{
    if (!op_find_job(e, op))
        return FATE_NOW;
    struct data_job *job = op->of;
    if (job->spec.mode == MODE_WRITE || job->spec.source_format == FORMAT_NONE)
        return op_refuse(op, REFUSED_WRITE_ONLY, ERR_CONFLICT,
                         "job %s only takes results: it has no input", job->row.name);
    if (!session_begin(e, job, op))
        return FATE_NOW;
    if (op->claim.max_records <= 0)
        return answer_empty(e, job, op);
    /* First come, first served: whoever waits already is before us. */
    if (!job->row.paused && op->claim.wait_until_us > e->now.mono_us && somebody_waits(job)) {
        wait_for_records(e, job, op);
        return FATE_WAITS;
    }
    return claim_now(e, job, op);
}

static struct op *pop_waiting(struct data_job *job)
{
    struct op *op = job->waiting;
    job->waiting = op->next;
    if (!job->waiting)
        job->waiting_end = &job->waiting;
    op->next = NULL;
    return op;
}

void claims_feed(struct engine *e, struct data_job *job)
{
    bool dry = false; /* nothing for one means nothing for those behind it */
    job->again_now = false;
    job->wake_us = NEVER_US;
    /* Take the line as it stands: who is told to wait on lines up again behind. */
    struct op *line = job->waiting;
    job->waiting = NULL;
    job->waiting_end = &job->waiting;
    while (line) {
        struct op *op = line;
        line = op->next;
        op->next = NULL;
        if (dry && !limits_changed(job, op)) {
            put_in_line(job, op);
            continue;
        }
        enum op_fate fate = dry ? answer_empty(e, job, op) : claim_now(e, job, op);
        op_meet_fate(e, op, fate);
        dry = dry || (fate == FATE_WAITS && is_common(op));
    }
}

void claims_end(struct data_job *job, const struct err *why)
{
    while (job->waiting) {
        struct op *op = pop_waiting(job);
        struct lease *session = session_of(job, op);
        drop_records(op);
        buf_add_text(&op->claim.records, "[]");
        op->claim.finished = is_finished(job);
        if (session && (op->claim.finished || (why && op->claim.made)))
            data_job_end_lease(job, session);
        if (why)
            op->err = *why;
        op->done(op);
    }
}

bool claim_is_held(const struct data_job *job, const struct op *op)
{
    return (op->claim.wait_paused && job->row.paused) || job->resume ||
           (op->claim.wait_leased && leases_count(job->leases) > 0) || may_print_more(job);
}

bool claim_is_given_up(const struct op *op)
{
    return op->claim.given_up && atomic_load(op->claim.given_up);
}

void claims_time_out(struct engine *e, struct data_job *job)
{
    struct op **at = &job->waiting;
    /* Nobody is told that there is nothing before the look has come to an end. */
    bool looks = job->again_now && !job->row.paused && !job_state_is_final(job->row.state);
    while (*at) {
        struct op *op = *at;
        bool waits = looks || claim_is_held(job, op) || op->claim.wait_until_us > e->now.mono_us;
        if (waits && !claim_is_given_up(op)) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op->next = NULL;
        answer_empty(e, job, op);
        if (claim_is_given_up(op))
            session_abandon(e, job, op);
        op->done(op);
    }
    job->waiting_end = at;
}

void claims_end_of(struct data_job *job, const uint8_t token[LEASE_TOKEN_BYTES])
{
    struct op **at = &job->waiting;
    while (*at) {
        struct op *op = *at;
        if (!op->claim.add || memcmp(op->claim.token, token, LEASE_TOKEN_BYTES) != 0) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op->next = NULL;
        drop_records(op);
        op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT,
                  "its lease was released, or has claimed again since");
        op->done(op);
    }
    job->waiting_end = at;
}

void claim_take_back(struct data_job *job, struct str records, struct lease *lease)
{
    struct json j;
    struct str number, rest;
    int64_t record = 0;
    json_open(&j, records);
    if (json_enter(&j, '['))
        while (json_item(&j)) {
            if (!json_enter(&j, '[') || !json_item(&j) || !json_value(&j, &number) ||
                !json_item(&j) || !json_value(&j, &rest) || json_item(&j))
                break;
            if (!json_i64(number, 0, ledger_known(job->ledger) - 1, &record) ||
                ledger_get(job->ledger, record) != RECORD_SERVED)
                continue;
            if (lease && !lease_holds(lease, record))
                continue;
            if (lease)
                lease_drop(lease, record);
            data_job_set(job, record, RECORD_UNREAD);
        }
}

void claim_revert(struct data_job *job, struct op *op)
{
    struct lease *lease = op->claim.has_lease ? leases_find(job->leases, op->claim.token) : NULL;
    if (op->claim.has_lease && !lease) /* then they went back when it ended */
        return;
    claim_take_back(job, buf_str(&op->claim.records), lease);
    if (lease && (op->claim.made || !lease_is_kept(lease)))
        data_job_end_lease(job, lease);
}
