/* tail.c: the tails of outputs (io/sink.h) between the commits: bytes that ride, and when they are
 * settled, that is, synced into the output and dropped from the store. See group.c for the order.
 */
#include "base/log.h"
#include "engine/engine_state.h"
#include "store/tail_store.h"

/* How old a tail gets. */
#define SETTLE_US INT64_C(1000000)

void tail_reach(struct engine *e, struct data_job *job)
{
    struct err err;
    if (job->row.progress.tail_bytes && !job->sink && !data_job_need_sink(e, job, &err))
        LOG1(LOG_WARN, "output.unreachable", "reason", "%s", err.text);
}

/* With ids the output may be changed between runs: it is looked through then. */
static bool is_sealed(const struct data_job *job)
{
    return job->sink && !job->spec.id_key;
}

bool tail_seal(struct tx *tx, const struct data_job *job, struct err *err)
{
    struct sink_seal seal;
    return !is_sealed(job) || (sink_take_seal(job->sink, &seal, err) &&
                               tail_store_seal(tx, job->row.id, seal.end_bytes,
                                               (struct str){seal.bytes, seal.len}, err));
}

bool tail_take_seal(struct staged *staged, struct err *err)
{
    const struct data_job *job = staged->job;
    staged->sealed = is_sealed(job) && sink_synced(job->sink) >= 0 &&
                     sink_synced(job->sink) != job->sealed_bytes;
    return !staged->sealed || sink_take_seal(job->sink, &staged->seal, err);
}

bool tail_store(struct tx *tx, const struct staged *staged, struct err *err)
{
    const struct data_progress *p = &staged->row.progress, *stored = &staged->job->stored;
    int64_t id = staged->row.id, from = p->tail_bytes ? p->sink_bytes - p->tail_bytes : INT64_MAX;
    if (stored->tail_bytes && from > stored->sink_bytes - stored->tail_bytes &&
        !tail_store_drop(tx, id, from, err))
        return false;
    /* Behind the drop, which takes the seal of before along. */
    if (staged->sealed && !tail_store_seal(tx, id, staged->seal.end_bytes,
                                           (struct str){staged->seal.bytes, staged->seal.len}, err))
        return false;
    struct str ridden = {0};
    if (staged->job->sink)
        ridden = sink_ridden(staged->job->sink);
    return !ridden.len || tail_store_add(tx, id, p->sink_bytes - (int64_t)ridden.len, ridden, err);
}

void tail_note(struct engine *e, struct data_job *job, const struct staged *staged)
{
    if (staged->sealed)
        job->sealed_bytes = staged->seal.end_bytes;
    if (job->row.progress.tail_bytes && e->settle_due_us == NEVER_US)
        e->settle_due_us = e->now.mono_us + SETTLE_US;
}

bool engine_flush_output(struct engine *e, struct data_job *job, struct err *err)
{
    if (!engine_flush(e, err))
        return false;
    tail_reach(e, job);
    return !job->sink || sink_flush(job->sink, err);
}

static void settle_tails(struct engine *e)
{
    for (size_t i = 0; i < e->jobs.count; i++) {
        struct data_job *job = e->jobs.jobs[i];
        if (!job->sink || !job->stored.tail_bytes)
            continue;
        job->settles = true;
        engine_touch(e, job);
    }
}

void engine_settle_due(struct engine *e)
{
    if (e->settle_due_us > e->now.mono_us)
        return;
    e->settle_due_us = NEVER_US;
    settle_tails(e);
}

bool engine_settle(struct engine *e, struct instant now, struct err *err)
{
    if (e->fatal) {
        *err = e->failure;
        return false;
    }
    e->now = now;
    settle_tails(e);
    return engine_flush(e, err);
}
