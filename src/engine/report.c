/* report.c: what the engine tells of itself: one job, many jobs, figures. Never changes anything.
 */
#include "engine/engine_state.h"

#include <stdlib.h>

enum { LIST_MAX = 1000 };

enum op_fate op_report(struct engine *e, struct op *op)
{
    if (!op_find_job(e, op))
        return FATE_NOW;
    /* What is counted may be in the group still: told when it is durable. */
    data_job_view(op->of, e->now, &op->report.view);
    return op->of->touched ? FATE_DURABLE : FATE_NOW;
}

enum op_fate op_list(struct engine *e, struct op *op)
{
    int64_t limit = op->list.limit;
    if (limit < 1 || limit > LIST_MAX)
        limit = LIST_MAX;
    op->list.views = xcalloc((size_t)limit, sizeof *op->list.views);
    for (size_t i = job_table_after(&e->jobs, op->list.after_id); i < e->jobs.count; i++) {
        const struct data_job *job = e->jobs.jobs[i];
        if (op->list.by_state && job->row.state != op->list.state)
            continue;
        if ((int64_t)op->list.count == limit) {
            op->list.more = true;
            break;
        }
        data_job_view(job, e->now, &op->list.views[op->list.count++]);
    }
    return FATE_NOW;
}

enum op_fate op_stats(struct engine *e, struct op *op)
{
    op->stats.jobs = (int64_t)e->jobs.count;
    op->stats.served_total = e->stats.served;
    op->stats.written_total = e->stats.written;
    op->stats.failed_total = e->stats.failed;
    op->stats.repeats_total = e->stats.repeats;
    op->stats.tasks_enqueued_total = e->stats.tasks_enqueued;
    op->stats.tasks_started_total = e->stats.tasks_started;
    op->stats.tasks_completed_total = e->stats.tasks_completed;
    op->stats.tasks_retried_total = e->stats.tasks_retried;
    op->stats.tasks_failed_total = e->stats.tasks_failed;
    op->stats.tasks_lost_total = e->stats.tasks_lost;
    op->stats.tasks_cancelled_total = e->stats.tasks_cancelled;
    op->stats.leases_ended_total = e->stats.leases_ended;
    op->stats.commits_total = e->stats.commits;
    op->stats.groups_total = e->stats.groups;
    op->stats.sync_us_total = e->stats.sync_us;
    op->stats.ops_total = e->stats.ops;
    op->stats.started_at_us = e->started_at_us;
    for (size_t i = 0; i < e->tasks->flows->count; i++)
        op->stats.flows_by_state[e->tasks->flows->list[i]->row.state]++;
    op->stats.finished = xcalloc(e->jobs.count, sizeof *op->stats.finished);
    for (size_t i = 0; i < e->jobs.count; i++) {
        const struct data_job *job = e->jobs.jobs[i];
        op->stats.jobs_by_state[job->row.state]++;
        op->stats.in_flight += ledger_count(job->ledger, RECORD_SERVED);
        op->stats.leases += leases_count(job->leases);
        if (job->row.state == JOB_COMPLETED)
            op->stats.finished[op->stats.finished_count++] = xstrdup(job->row.name);
    }
    return FATE_NOW;
}
