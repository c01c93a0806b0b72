/* suspects.c: records that were in the hands of a worker that died with its session. One of them
 * may have killed it, and would kill the next; which one is not known.
 *
 * They are served again apart from all others: an eighth of what was lost together at a time, and
 * what is lost again by an eighth of that, until one is alone. Who dies on a single one has found
 * it: it fails. All others are done on the way, and no attempt is spent. Not stored: after a
 * restart all are innocent. */
#include "base/json.h"
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
    bool proven;    /* nothing else was running */
    struct str how; /* what became of the worker */
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

static void fail_one(struct tally *tally, int64_t record)
{
    OWNED_BUF struct buf message, reason;
    struct json_out o;
    buf_init(&message, BUF_NO_CAP);
    buf_init(&reason, BUF_NO_CAP);
    buf_add_text(&message, "its worker ");
    buf_add_str(&message, tally->how);
    buf_add_text(&message, "; it ran this record and no other");
    json_out_init(&o, &reason);
    json_out_open(&o, '{');
    json_out_name(&o, "message");
    json_out_str(&o, buf_str(&message));
    json_out_name(&o, "type");
    json_out_text(&o, "WorkerLost");
    json_out_close(&o, '}');
    suspects_forget(tally->job, record);
    settle_fail(tally->e, tally->job, record, true, &tally->job->bad_lines, "", buf_str(&reason));
    tally->failed++;
}

static void lose_one(void *context, int64_t record)
{
    struct tally *tally = context;
    struct data_job *job = tally->job;
    if (ledger_get(job->ledger, record) != RECORD_SERVED)
        return;
    if (tally->proven && tally->count == 1) {
        fail_one(tally, record);
        return;
    }
    if (tally->proven || lost_with(job, record) == 0)
        suspect(job, record, tally->count);
    data_job_set(job, record, RECORD_UNREAD);
}

int64_t suspects_lose(struct engine *e, struct data_job *job, const struct lease *lease,
                      struct str how)
{
    struct tally tally = {.e = e, .job = job, .count = lease_open(lease), .how = how};
    tally.proven = lease_is_alone(lease) && suspects_in(job, lease) == tally.count;
    lease_each(lease, lose_one, &tally);
    return tally.failed;
}
