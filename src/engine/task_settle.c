/* task_settle.c: what became of tasks that a session holds, and what is enqueued and claimed with
 * it: all of it or nothing is stored. */
#include "engine/engine_state.h"

#include <stdlib.h>

/* The task, when the session holds it. */
static struct task *held(struct engine *e, const struct lease *lease, int64_t id)
{
    struct task *t = dispatch_find(e->tasks->dispatch, id);
    return t && t->run && t->run->session == lease_number(lease) ? t : NULL;
}

/* Says which outcomes are stale. What is needed for the others is read first, so that doing it
 * cannot fail. */
static bool look(struct engine *e, struct op *op, const struct lease *lease, bool *all_stale)
{
    struct op_task_settle *settle = &op->task_settle;
    *all_stale = settle->count > 0;
    for (size_t i = 0; i < settle->count; i++) {
        struct task_settle_entry *entry = &settle->entries[i];
        struct task *t = held(e, lease, entry->id);
        entry->stale = !t;
        if (!t)
            continue;
        *all_stale = false;
        if (!note_need(e, t, &op->err))
            return false;
    }
    return true;
}

/* Leaves out what a stale task asks for, and what would wait for that. */
static void leave_out(struct engine *e, struct op_task_settle *settle, const struct lease *lease,
                      bool all_stale)
{
    struct op_enqueue *enqueue = &settle->enqueue;
    for (size_t i = 0; i < enqueue->count; i++) {
        struct task_new *task = &enqueue->tasks[i];
        task->left_out = task->of ? !held(e, lease, task->of) : all_stale;
        task->id = 0;
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < enqueue->count; i++)
            for (size_t k = 0; !enqueue->tasks[i].left_out && k < enqueue->tasks[i].after_count;
                 k++) {
                int64_t place = -enqueue->tasks[i].after[k] - 1;
                if (place >= 0 && place < (int64_t)enqueue->count && enqueue->tasks[place].left_out)
                    enqueue->tasks[i].left_out = more = true;
            }
    }
}

static void settle_failure(struct engine *e, struct op_task_settle *settle, struct task_note *note,
                           struct str error, struct str type, const struct task_settle_entry *entry)
{
    const struct task_failure why = {error, type, entry->final, entry->lost, entry->retry_after_us};
    bool stops = note->t->run->abort == ABORT_CANCELLED;
    if (task_fail(e, note, &why))
        settle->retried++;
    else if (stops)
        settle->cancelled++;
    else
        settle->failed++;
}

/* A large result is in its blob, but for a step job's: that is kept with the job. */
static void settle_completed(struct engine *e, struct task_settle_entry *entry,
                             struct task_note *note)
{
    bool large = entry->value_blob.bytes > 0;
    entry->keeps_value = large && gate_at(e, false, note->leaf->queue)->of_steps;
    bool in_row = entry->value.len && (!large || entry->keeps_value);
    struct task_blob nowhere = {NULL, 0};
    task_complete(e, note, in_row ? entry->value : (struct str){NULL, 0},
                  entry->keeps_value ? nowhere : note_blob(&entry->value_blob));
}

static void settle_one(struct engine *e, struct op_task_settle *settle,
                       struct task_settle_entry *entry, struct task_note *note)
{
    switch (entry->outcome) {
    case TASK_COMPLETED:
        settle_completed(e, entry, note);
        settle->completed++;
        break;
    case TASK_FAILED:
        settle_failure(e, settle, note, entry->value, entry->type, entry);
        break;
    case TASK_ABORTED:
        if (note->t->run->abort == ABORT_TIMEOUT) {
            settle_failure(e, settle, note, STR(TIMEOUT_ERROR), STR("TimeoutError"), entry);
            break;
        }
        task_cancel(e, note);
        settle->cancelled++;
        break;
    }
}

enum op_fate op_task_settle(struct engine *e, struct op *op)
{
    struct op_task_settle *settle = &op->task_settle;
    bool all_stale = false;
    if (!tasks_are_ready(e, op, true))
        return FATE_NOW;
    struct lease *lease = task_session_find(e, op, settle->token, 0);
    if (!lease || !look(e, op, lease, &all_stale))
        return FATE_NOW;
    leave_out(e, settle, lease, all_stale);
    if (settle->enqueue.count && !enqueue_check(e, op, &settle->enqueue))
        return FATE_NOW;
    for (size_t i = 0; i < settle->count; i++) {
        struct task_settle_entry *entry = &settle->entries[i];
        struct task *t = held(e, lease, entry->id);
        entry->stale = !t;
        if (t)
            settle_one(e, settle, entry, t->change);
    }
    if (settle->enqueue.count)
        enqueue_apply(e, &settle->enqueue);
    if (settle->claims) {
        struct err ignored; /* nothing was taken: it claims again */
        task_claim_find_places(e, &settle->claim);
        (void)!claim_tasks(e, &settle->claim, lease, &ignored);
        task_claim_finish(e, &settle->claim, lease);
    }
    task_session_aborts(e, lease, &settle->aborts, &settle->abort_count);
    return tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}

/* --- extend --- */

static void tell_progress(struct engine *e, const struct op_task_extend *extend,
                          const struct lease *lease)
{
    for (size_t i = 0; i < extend->progress_count; i++) {
        const struct task_progress *progress = &extend->progress[i];
        struct task *t = held(e, lease, progress->id);
        if (!t)
            continue;
        double part = progress->part;
        t->run->progress = part >= 0 ? (part <= 1 ? part : 1) : -1;
        free(t->run->progress_text);
        t->run->progress_text =
            progress->text.len ? xstrndup(progress->text.ptr, progress->text.len) : NULL;
    }
}

void task_extend_finish(struct engine *e, struct op *op, struct lease *lease)
{
    struct op_task_extend *extend = &op->task_extend;
    lease_extend(e->tasks->leases, lease, e->now.mono_us + lease_span_us(lease));
    extend->lease_ends_at_us = e->now.wall_us + lease_span_us(lease);
    task_session_aborts(e, lease, &extend->aborts, &extend->abort_count);
}

enum op_fate op_task_extend(struct engine *e, struct op *op)
{
    struct op_task_extend *extend = &op->task_extend;
    if (!tasks_are_ready(e, op, extend->has_holds))
        return FATE_NOW;
    struct lease *lease = task_session_find(e, op, extend->token, extend->wait_until_us);
    if (!lease)
        return FATE_NOW;
    tell_progress(e, extend, lease);
    if (extend->has_holds)
        task_session_recall(e, lease, extend->holds, extend->holds_count);
    if (extend->wait_until_us > e->now.mono_us && !task_session_untold(e, lease)) {
        task_extend_wait(e, op);
        return FATE_WAITS;
    }
    task_extend_finish(e, op, lease);
    return tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}
