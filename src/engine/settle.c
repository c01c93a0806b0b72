/* settle.c: results and failures come in.
 *
 * An op is looked at whole before any of it is applied: what is refused leaves no trace. Applying
 * marks the ledger at once, so that a second result in the same group is seen as a repeat; each
 * entry keeps what its record was before, so that all can be taken back when the group fails. */
#include "engine/engine_state.h"
#include "engine/identity.h"

#include <assert.h>

static enum op_fate refuse_record(struct op *op, enum op_refusal refusal, enum err_code code,
                                  const char *what, int64_t record)
{
    op->refused_record = record;
    return op_refuse(op, refusal, code, "record %lld %s", (long long)record, what);
}

static struct str line_of(const struct op *op, const struct settle_entry *entry)
{
    if (entry->len == 0)
        return (struct str){0};
    return (struct str){op->settle.lines + entry->at, entry->len};
}

static bool has_results(const struct op *op)
{
    for (size_t i = 0; i < op->settle.count; i++)
        if (!op->settle.entries[i].failed && !op->settle.entries[i].skipped)
            return true;
    return false;
}

static int64_t highest_record(const struct op *op)
{
    int64_t highest = -1;
    for (size_t i = 0; i < op->settle.count; i++)
        if (op->settle.entries[i].record > highest)
            highest = op->settle.entries[i].record;
    return highest;
}

/* After a crash records may be in somebody's hands that reading has not reached again: go there.
 * Failures may be told of records that were not served yet. What a lease holds is known. */
static bool reach_records(struct engine *e, struct data_job *job, struct op *op, bool *paused)
{
    *paused = false;
    int64_t highest = highest_record(op);
    bool may_exist = highest < job->served_before || !has_results(op);
    if (op->settle.has_lease || highest < ledger_known(job->ledger) || !may_exist)
        return true;
    int64_t bound = job->row.progress.served_below;
    if (!data_job_reach(e, job, highest, paused, &op->err))
        return false;
    if (bound != job->row.progress.served_below || data_job_must_list(job))
        engine_touch(e, job);
    return true;
}

static bool is_settled(const struct data_job *job, int64_t record)
{
    enum record_state state = ledger_get(job->ledger, record);
    return state == RECORD_DONE || state == RECORD_FAILED;
}

/* Whether it is a failure that may have been told before: its record is to be tried again since. */
static bool was_told(const struct data_job *job, const struct settle_entry *entry)
{
    return entry->failed && attempts_get(job->attempts, entry->record) > 0;
}

/* Whether it is a result of what has failed without ever having been tried: a line that could not
 * be read. Nobody can have been served that. */
static bool was_unreadable(const struct data_job *job, const struct settle_entry *entry)
{
    return !entry->failed && ledger_get(job->ledger, entry->record) == RECORD_FAILED &&
           attempts_get(job->attempts, entry->record) == 0;
}

/* Whether every entry names a record that exists and that the asker may settle. With a lease that
 * is what it holds, and what is settled already: whoever asks again, since the answer got lost, is
 * no liar. */
static bool check_records(struct data_job *job, struct op *op, const struct lease *lease)
{
    int64_t known = ledger_known(job->ledger);
    for (size_t i = 0; i < op->settle.count; i++) {
        int64_t record = op->settle.entries[i].record;
        if (record < 0 || record >= known ||
            (!op->settle.has_lease && was_unreadable(job, &op->settle.entries[i]))) {
            refuse_record(op, REFUSED_NEVER_SERVED, ERR_INVALID, "was never served", record);
            return false;
        }
        if (op->settle.has_lease && !(lease && lease_holds(lease, record)) &&
            !is_settled(job, record) && !was_told(job, &op->settle.entries[i])) {
            refuse_record(op, REFUSED_NEVER_SERVED, ERR_CONFLICT, "is not held by this lease",
                          record);
            return false;
        }
    }
    return true;
}

/* Hands the result to the sink, or to where it waits for its turn, once it is known to fit. */
static bool write_result(struct data_job *job, struct op *op, const struct settle_entry *entry,
                         bool in_order)
{
    size_t mark = sink_mark(job->sink);
    if (!sink_add(job->sink, line_of(op, entry), &op->err)) {
        op->refused_record = entry->record;
        if (entry->record >= 0)
            err_add(&op->err, "record %lld", (long long)entry->record);
        return false;
    }
    if (in_order) {
        const struct held_record *held = in_hand_find(job->in_hand, entry->record);
        sink_rewind(job->sink, mark);
        order_add(job->order, entry->record, job->spec.id_key && held ? &held->id : NULL,
                  line_of(op, entry));
    }
    return true;
}

/* Takes a record out of the lease that holds it: the asker's, or on surfaces without tokens
 * whichever does. Returns that lease's number, 0 when none did. */
static int64_t leave_lease(struct data_job *job, struct lease *asker, int64_t record)
{
    struct lease *lease = asker;
    if (!lease && leases_count(job->leases))
        lease = leases_holder(job->leases, record);
    if (!lease || !lease_holds(lease, record))
        return 0;
    lease_drop(lease, record);
    suspects_forget(job, record);
    if (record_set_has(&job->slowed, record))
        record_set_drop(&job->slowed, record);
    return lease_number(lease);
}

static void count_result(struct data_job *job, struct op *op, const struct settle_entry *entry)
{
    *(entry->skipped ? &op->settle.skipped : &op->settle.written) += 1;
    *(entry->skipped ? &job->live.skipped : &job->live.written) += 1;
}

static bool apply_result(struct data_job *job, struct op *op, struct settle_entry *entry,
                         struct lease *lease)
{
    enum record_state before = ledger_get(job->ledger, entry->record);
    /* A failed record's late result is taken: better late than never. With a lease only what is
     * still in flight counts: whatever else became of it was settled. */
    bool repeat = before == RECORD_DONE || (op->settle.has_lease && before != RECORD_SERVED);
    if (repeat && !op->settle.overwrite && !job->spec.allow_repeats) {
        op->settle.repeats++;
        job->live.repeats++;
        return true;
    }
    if (!entry->skipped && !write_result(job, op, entry, job->order && before != RECORD_DONE))
        return false;
    identity_settled(job, entry->record, line_of(op, entry));
    if (before != RECORD_DONE)
        data_job_set(job, entry->record, RECORD_DONE);
    if (before == RECORD_SERVED)
        entry->lease = leave_lease(job, lease, entry->record);
    entry->before = (uint8_t)before;
    entry->taken = true;
    count_result(job, op, entry);
    return true;
}

static struct str reason_of(const struct op *op, const struct settle_entry *entry)
{
    return str_trim(line_of(op, entry));
}

bool settle_fail(struct engine *e, struct data_job *job, int64_t record, bool final,
                 struct buf *lines, const char *reason, struct str reason_json)
{
    int64_t attempts = attempts_get(job->attempts, record) + 1;
    data_job_set_attempts(job, record, attempts);
    bool failed = final || (job->spec.max_attempts > 0 && attempts >= job->spec.max_attempts);
    data_job_set(job, record, failed ? RECORD_FAILED : RECORD_UNREAD);
    if (failed)
        data_job_error_line(job, lines, "failed", record, NULL, 0, reason, reason_json, attempts,
                            e->now.wall_us);
    return failed;
}

/* How long a record waits for its next attempt, in microseconds. What a service asks for is never
 * cut short; else it is a tenth more or less, so that what failed together does not come again
 * together. */
static int64_t delay_us(struct engine *e, const struct data_job *job,
                        const struct settle_entry *entry)
{
    double chance = (double)rng_below(&e->rng, 1 << 20) / (1 << 20);
    if (entry->retry_after_us > 0)
        return (int64_t)((double)entry->retry_after_us * (1 + chance / 10));
    int64_t failed_before = attempts_get(job->attempts, entry->record) - 1;
    double delay = (double)job->spec.retry_delay_us;
    for (int64_t i = 0; i < failed_before && delay < (double)DATA_RETRY_DELAY_MAX_US; i++)
        delay *= job->spec.retry_factor > 1 ? job->spec.retry_factor : 1;
    if (delay > (double)DATA_RETRY_DELAY_MAX_US)
        delay = (double)DATA_RETRY_DELAY_MAX_US;
    return (int64_t)(delay * (0.9 + chance / 5));
}

/* A record that waits counts as served, so that the job is not at its end, and is in no lease. It
 * waits in any case until its failure is durable: else it would be in other hands already when that
 * is taken back. */
static void delay_record(struct engine *e, struct data_job *job, const struct settle_entry *entry,
                         enum record_state before)
{
    if (before != RECORD_SERVED)
        return;
    data_job_set(job, entry->record, RECORD_SERVED);
    delays_add(job->delays, entry->record, e->now.mono_us + delay_us(e, job, entry));
    engine_activate(e, job);
}

void delays_end_due(struct engine *e, struct data_job *job)
{
    for (int64_t record = 0; (record = delays_take_due(job->delays, e->now.mono_us)) >= 0;)
        data_job_set(job, record, RECORD_UNREAD);
}

static bool apply_failure(struct engine *e, struct data_job *job, struct op *op,
                          struct settle_entry *entry, struct lease *lease)
{
    enum record_state before = ledger_get(job->ledger, entry->record);
    if (before == RECORD_DONE && !op->settle.has_lease) {
        refuse_record(op, REFUSED_ALREADY_DONE, ERR_CONFLICT, "is done already", entry->record);
        return false;
    }
    /* What is not in flight has spent its attempt already: this is told a second time, or too late.
     */
    bool in_time = before == RECORD_SERVED || (before == RECORD_UNREAD && op->settle.final);
    bool held = before == RECORD_SERVED && (!lease || lease_holds(lease, entry->record));
    if (!in_time || (op->settle.has_lease && !held) || delays_has(job->delays, entry->record)) {
        op->settle.repeats++;
        return true;
    }
    if (entry->throttled)
        limits_slow(e, job, entry->record);
    if (before == RECORD_SERVED)
        entry->lease = leave_lease(job, lease, entry->record);
    bool failed = settle_fail(e, job, entry->record, op->settle.final || entry->final,
                              &job->failure_lines, "marked by its worker", reason_of(op, entry));
    if (!failed)
        delay_record(e, job, entry, before);
    entry->before = (uint8_t)before;
    entry->taken = true;
    *(failed ? &op->settle.failed : &op->settle.retried) += 1;
    job->live.retried += !failed;
    return true;
}

/* Takes back the first `count` entries of an op, last first. */
static void revert_entries(struct data_job *job, struct op *op, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        struct settle_entry *entry = &op->settle.entries[i];
        if (!entry->taken)
            continue;
        entry->taken = false;
        if (entry->failed)
            data_job_set_attempts(job, entry->record,
                                  attempts_get(job->attempts, entry->record) - 1);
        if (job->spec.mode == MODE_WRITE)
            continue;
        if (entry->failed)
            delays_remove(job->delays, entry->record);
        else
            identity_taken_back(job, entry->record);
        /* Whose result was lost here does not come again by itself when nobody waits for a lease to
         * end: the record is served anew. */
        enum record_state back = (enum record_state)entry->before;
        struct lease *lease = entry->lease ? leases_by_number(job->leases, entry->lease) : NULL;
        if (lease)
            lease_add(lease, entry->record);
        else if (back == RECORD_SERVED)
            back = RECORD_UNREAD;
        data_job_set(job, entry->record, back);
    }
}

static void forget_counts(struct op *op)
{
    op->settle.written = op->settle.skipped = op->settle.repeats = 0;
    op->settle.failed = op->settle.retried = 0;
}

void settle_revert(struct engine *e, struct op *op)
{
    revert_entries(op->of, op, op->settle.count);
    e->stats.written -= op->settle.written;
    e->stats.repeats -= op->settle.repeats;
    e->stats.failed -= op->settle.failed;
    forget_counts(op);
}

/* A read job takes notice of results without writing them: done is done. */
static void apply_read(struct data_job *job, struct op *op, struct settle_entry *entry,
                       struct lease *lease)
{
    if (ledger_get(job->ledger, entry->record) != RECORD_SERVED)
        return;
    data_job_set(job, entry->record, RECORD_DONE);
    entry->lease = leave_lease(job, lease, entry->record);
    entry->before = RECORD_SERVED;
    entry->taken = true;
    op->settle.written++;
}

/* A job that only writes has no ledger: results are written, failures are listed. */
static bool apply_write(struct engine *e, struct data_job *job, struct op *op,
                        struct settle_entry *entry)
{
    if (entry->failed) {
        data_job_error_line(job, &job->failure_lines, "failed", entry->record, NULL, 0,
                            "marked by its worker", reason_of(op, entry), 0, e->now.wall_us);
        op->settle.failed++;
        return true;
    }
    if (!entry->skipped && !write_result(job, op, entry, false))
        return false;
    count_result(job, op, entry);
    return true;
}

static bool apply_entry(struct engine *e, struct data_job *job, struct op *op,
                        struct settle_entry *entry, struct lease *lease)
{
    if (job->spec.mode == MODE_WRITE)
        return apply_write(e, job, op, entry);
    if (entry->failed)
        return apply_failure(e, job, op, entry, lease);
    if (job->spec.mode == MODE_READ) {
        apply_read(job, op, entry, lease);
        return true;
    }
    return apply_result(job, op, entry, lease);
}

/* Applies all entries. When one is refused by the sink none of the op stands. */
static bool apply_all(struct engine *e, struct data_job *job, struct op *op, struct lease *lease)
{
    size_t mark = job->sink ? sink_mark(job->sink) : 0;
    size_t order = job->order ? order_mark(job->order) : 0;
    struct live before = job->live;
    size_t failure_bytes = job->failure_lines.len, note_bytes[NOTE_KIND_COUNT];
    for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
        note_bytes[kind] = job->notes[kind].len;
    for (size_t i = 0; i < op->settle.count; i++) {
        if (apply_entry(e, job, op, &op->settle.entries[i], lease))
            continue;
        /* Planchet keeps the marks before the one that it refuses. */
        if (op->refusal == REFUSED_ALREADY_DONE)
            return true;
        revert_entries(job, op, i);
        job->live = before;
        job->failure_lines.len = failure_bytes;
        for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
            job->notes[kind].len = note_bytes[kind];
        if (job->sink)
            sink_rewind(job->sink, mark);
        if (job->order)
            order_rewind(job->order, order);
        forget_counts(op);
        return false;
    }
    return true;
}

static bool all_settled(const struct data_job *job, const struct op *op)
{
    for (size_t i = 0; i < op->settle.count; i++)
        if (!is_settled(job, op->settle.entries[i].record))
            return false;
    return op->settle.count > 0;
}

static enum op_fate check_settle(struct engine *e, struct op *op, struct lease **lease)
{
    struct data_job *job = op->of;
    bool results = has_results(op) || op->settle.results_only;
    if (job->spec.mode == MODE_READ && results && !op->settle.has_lease)
        return op_refuse(op, REFUSED_READ_ONLY, ERR_CONFLICT,
                         "job %s only reads: it takes no results", job->row.name);
    if (job->spec.mode != MODE_READ && job->spec.sink_format == FORMAT_NONE && results)
        return op_refuse(op, REFUSED_NO_WRITER, ERR_CONFLICT, "job %s has no output",
                         job->row.name);
    if (job->row.state == JOB_CANCELLED || job->row.state == JOB_FAILED)
        return op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT, "job %s is %s", job->row.name,
                         job_state_name(job->row.state));
    if (op->settle.has_lease && !(*lease = leases_find(job->leases, op->settle.token)) &&
        !all_settled(job, op))
        return op_refuse(op, REFUSED_LEASE_ENDED, ERR_CONFLICT,
                         "the lease has ended: its records are served again");
    if (job->spec.mode == MODE_WRITE)
        return FATE_DURABLE;
    bool paused = false;
    if (!reach_records(e, job, op, &paused))
        return FATE_NOW;
    if (paused)
        return FATE_WAITS;
    return check_records(job, op, *lease) ? FATE_DURABLE : FATE_NOW;
}

/* Whether something of the op may go into the output. */
static bool writes_anew(const struct data_job *job, const struct op *op)
{
    if (job->spec.sink_format == FORMAT_NONE)
        return false;
    for (size_t i = 0; i < op->settle.count; i++)
        if (!op->settle.entries[i].failed && !op->settle.entries[i].skipped &&
            (op->settle.overwrite || job->spec.allow_repeats ||
             ledger_get(job->ledger, op->settle.entries[i].record) != RECORD_DONE))
            return true;
    return false;
}

/* Makes ready for what will be written. The output of a job that has ended is its owner's: a
 * restart cuts nothing off it. So before a late result is written to it, it is stored that the job
 * goes on.
 */
static bool open_output(struct engine *e, struct data_job *job, struct op *op)
{
    if (job_state_is_final(job->stored_state)) {
        if (job_state_is_final(job->row.state) && !engine_move(e, job, JOB_REOPEN, &op->err))
            return false;
        if (!engine_store(e, job, &op->err))
            return false;
    }
    return data_job_need_programs(e, job, &op->err) && data_job_need_sink(e, job, &op->err);
}

static void wait_for_reading(struct engine *e, struct data_job *job, struct op *op)
{
    op->next = NULL;
    *job->reaching_end = op;
    job->reaching_end = &op->next;
    engine_activate(e, job);
}

/* What waited to be reached, oldest first; nothing waits any more. */
static struct op *take_reaching(struct data_job *job)
{
    struct op *first = TAKE(job->reaching);
    job->reaching_end = &job->reaching;
    return first;
}

void settles_go_on(struct engine *e, struct data_job *job)
{
    for (struct op *line = take_reaching(job); line;) {
        struct op *op = line;
        line = op->next;
        /* Once one must wait again this step has read enough for all of them. */
        if (job->reaching) {
            wait_for_reading(e, job, op);
            continue;
        }
        op_meet_fate(e, op, op_settle(e, op));
    }
}

void settles_end(struct data_job *job, const struct err *why)
{
    for (struct op *line = take_reaching(job); line;) {
        struct op *op = line;
        line = op->next;
        op->err = *why;
        op->done(op);
    }
}

enum op_fate op_settle(struct engine *e, struct op *op)
{
    struct lease *lease = NULL;
    int64_t number = 0;
    op->refused_record = -1;
    if (!op_find_job(e, op))
        return FATE_NOW;
    struct data_job *job = op->of;
    enum op_fate fate = check_settle(e, op, &lease);
    if (fate == FATE_WAITS)
        wait_for_reading(e, job, op);
    if (fate != FATE_DURABLE)
        return fate;
    if (lease)
        number = lease_number(lease);
    if (writes_anew(job, op) && !open_output(e, job, op))
        return FATE_NOW;
    /* A commit on the way may have swept it away, if it held nothing any more. */
    if (lease && (lease = leases_by_number(job->leases, number)))
        session_lives(job, lease, e->now.mono_us);
    engine_touch(e, job);
    if (!apply_all(e, job, op, lease))
        return FATE_NOW;
    if (job->limited || job->suspect_count)
        limits_wake(job);
    data_job_count_rate(job, op->settle.written + op->settle.skipped + op->settle.failed,
                        e->now.mono_us);
    e->stats.written += op->settle.written;
    e->stats.repeats += op->settle.repeats;
    e->stats.failed += op->settle.failed;
    return FATE_DURABLE;
}
