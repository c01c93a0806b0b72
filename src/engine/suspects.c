/* suspects.c: records that were in the hands of a worker that died with its session. One of them
 * may have killed it, and would kill the next; which one is not known.
 *
 * They are served again apart from all others: an eighth of what was lost together at a time, and
 * what is lost again by an eighth of that, until one is alone. Who dies on a single one has found
 * it: it fails. All others are done on the way, and no attempt is spent. Not stored: after a
 * restart all are innocent. */
#include "engine/engine_state.h"

enum { SUSPECTS_PARTS = 8 };

static int64_t lost_with(const struct data_job *job, int64_t record)
{
    return job->suspect_count ? attempts_get(job->suspects, record) : 0;
}

static void suspect(struct data_job *job, int64_t record, int64_t lost_together)
{
    if (attempts_get(job->suspects, record) == 0)
        job->suspect_count++;
    attempts_set(job->suspects, record, lost_together);
}

void suspects_forget(struct data_job *job, int64_t record)
{
    if (lost_with(job, record) == 0)
        return;
    attempts_set(job->suspects, record, 0);
    if (--job->suspect_count == 0)
        attempts_clear(job->suspects);
}

int64_t suspects_together(const struct data_job *job, const struct lease *lease, int64_t record)
{
    if (!lease || !lease_is_kept(lease))
        return 0;
    return (lost_with(job, record) + SUSPECTS_PARTS - 1) / SUSPECTS_PARTS;
}

struct tally {
    struct engine *e;
    struct data_job *job;
    int64_t suspects, count;
    bool proven; /* nothing else was running */
    int64_t failed;
};

static void count_suspect(void *context, int64_t record)
{
    struct tally *tally = context;
    tally->suspects += lost_with(tally->job, record) > 0;
}

static int64_t suspects_in(struct data_job *job, const struct lease *lease)
{
    struct tally tally = {.job = job};
    if (job->suspect_count)
        lease_each(lease, count_suspect, &tally);
    return tally.suspects;
}

bool suspects_are_open(struct data_job *job, struct lease *lease)
{
    if (!lease_is_alone(lease))
        return false;
    if (suspects_in(job, lease) > 0)
        return true;
    lease_set_alone(lease, false);
    return false;
}

static void lose_one(void *context, int64_t record)
{
    static const char reason[] =
        "{\"message\":\"its worker died, or was not heard of any more, while it ran this record "
        "and no other\",\"type\":\"WorkerLost\"}";
    struct tally *tally = context;
    struct data_job *job = tally->job;
    if (ledger_get(job->ledger, record) != RECORD_SERVED)
        return;
    if (tally->proven && tally->count == 1) {
        suspects_forget(job, record);
        settle_fail(tally->e, job, record, true, &job->bad_lines, "", STR(reason));
        tally->failed++;
        return;
    }
    if (tally->proven || lost_with(job, record) == 0)
        suspect(job, record, tally->count);
    data_job_set(job, record, RECORD_UNREAD);
}

int64_t suspects_lose(struct engine *e, struct data_job *job, const struct lease *lease)
{
    struct tally tally = {.e = e, .job = job, .count = lease_open(lease)};
    tally.proven = lease_is_alone(lease) && suspects_in(job, lease) == tally.count;
    lease_each(lease, lose_one, &tally);
    return tally.failed;
}
