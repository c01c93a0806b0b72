/* step_run.c: a job that is started is a task of the queue under the job's own id; what happens to
 * the task happens to the job, in the group that makes it true. */
#include "engine/engine_state.h"

#include <stdlib.h>

/* --- the start --- */

/* The texts that are borrowed for the call. */
struct start {
    struct task_new task;
    struct op_enqueue enqueue;
    char *queue, *function;
};

static void start_begin(struct engine *e, const struct step_job *job, struct start *start)
{
    const struct step *step = steps_step_of(e, job);
    *start = (struct start){.queue = step_queue_name(str_of(job->owner)),
                            .function = step ? step_function_name(step) : xstrdup("")};
    start->task = (struct task_new){.own_id = job->id,
                                    .function = str_of(start->function),
                                    .queue = str_of(start->queue),
                                    .arguments = str_of(job->arguments),
                                    .options = str_of(job->options),
                                    .priority = job->priority,
                                    .max_attempts = step_job_attempts(job)};
    start->enqueue = (struct op_enqueue){.tasks = &start->task, .count = 1, .refused = SIZE_MAX};
}

static void start_end(struct start *start)
{
    free(start->queue);
    free(start->function);
}

bool steps_check_start(struct engine *e, struct op *op, const struct step_job *job)
{
    struct start start;
    start_begin(e, job, &start);
    bool good = enqueue_check(e, op, &start.enqueue);
    start_end(&start);
    return good;
}

void steps_start(struct engine *e, const struct step_job *job)
{
    struct start start;
    steps_hold_texts(e, job);
    start_begin(e, job, &start);
    enqueue_apply(e, &start.enqueue);
    start_end(&start);
}

/* --- what happens to the task --- */

/* A copy of the job that the note's task is of, NULL: of none. A job that cannot be read breaks the
 * group, as it must change with the task. */
static struct step_job *job_of(struct engine *e, const struct task_note *note)
{
    struct err err = {0};
    if (!gate_at(e, false, note->leaf->queue)->of_steps)
        return NULL;
    const struct step_job *job = steps_job(e, note->row.id, &err);
    if (job)
        return step_job_copy(job);
    /* One that was deleted after it ended, or tasks of before such queues were ours. */
    if (err.code != ERR_NOT_FOUND)
        e->building.tasks.broken = err;
    return NULL;
}

static char *copy(struct str text)
{
    return text.ptr ? xstrndup(text.ptr, text.len) : NULL;
}

static void take_error(struct step_job *job, const struct task_note *note)
{
    if (!note->row.error.ptr)
        return;
    free(job->error);
    job->error = copy(note->row.error);
}

void steps_task_started(struct engine *e, const struct task_note *note, const struct lease *lease)
{
    struct step_job *job = job_of(e, note);
    if (!job)
        return;
    const char *worker = lease_worker(lease);
    job->state = JOB_RUNNING;
    job->fence = note->t->fence;
    job->started_at_us = note->row.started_at_us;
    free(job->worker);
    job->worker = *worker ? xstrdup(worker) : NULL;
    steps_put_job(e, job->id, job);
}

void steps_task_waits(struct engine *e, const struct task_note *note)
{
    struct step_job *job = job_of(e, note);
    if (!job)
        return;
    job->state = JOB_PENDING;
    take_error(job, note);
    steps_put_job(e, job->id, job);
}

/* Of runs before the one that completed nothing is left, but for what is used. */
static void drop_old_outputs(struct engine *e, const struct step_job *job)
{
    struct err ignored;
    int64_t id = job->id, fence = job->fence;
    for (size_t i = job->output_count; i-- > 0;) {
        const struct artifact *a = steps_artifact(e, job->outputs[i].artifact, &ignored);
        if (!a || a->fence == fence || a->used > 0)
            continue;
        steps_drop_artifact(e, a);
        job = steps_job(e, id, &ignored); /* it has one less now */
    }
}

void steps_task_ended(struct engine *e, const struct task_note *note, enum job_state state)
{
    struct step_job *job = job_of(e, note);
    if (!job)
        return;
    job->state = state;
    job->ended_at_us = note->row.ended_at_us;
    if (state == JOB_COMPLETED) {
        free(job->error);
        free(job->result);
        job->error = NULL;
        job->result = note->row.result.ptr ? copy(note->row.result) : xstrdup("null");
    } else {
        take_error(job, note);
    }
    steps_put_job(e, job->id, job);
    if (state == JOB_COMPLETED)
        drop_old_outputs(e, job);
}

void steps_task_back(struct engine *e, int64_t id)
{
    struct err err = {0};
    const struct task *t = dispatch_find(e->tasks->dispatch, id);
    if (!t || !gate_at(e, false, task_queue(t))->of_steps)
        return;
    const struct step_job *job = steps_job(e, id, &err);
    if (!job) {
        if (err.code != ERR_NOT_FOUND)
            e->building.tasks.broken = err;
        return;
    }
    struct step_job *again = step_job_copy(job);
    again->state = JOB_PENDING;
    again->ended_at_us = 0;
    steps_put_job(e, id, again);
}
