/* task_end.c: how attempts and tasks end, and what follows from it for others. */
#include "engine/engine_state.h"

#include "base/json.h"
#include "core/retry.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* So long a worker has for stopping a task whose time is over. */
#define STOP_US INT64_C(5000000)

int64_t task_option_us(struct str options, const char *name)
{
    struct str raw;
    double seconds = 0;
    if (options.len == 0 || !json_find(options, name, &raw) || !json_double(raw, &seconds) ||
        !(seconds > 0))
        return 0;
    return seconds > 1e12 ? INT64_C(1000000000000000000) : (int64_t)(seconds * 1e6) + 1;
}

void task_watch_time(struct engine *e, struct task *t, struct str options)
{
    int64_t timeout_us = task_option_us(options, "timeout_s");
    if (!timeout_us)
        return;
    t->run->ends_us = e->now.mono_us + timeout_us;
    delays_add(e->tasks->timeouts, t->id, t->run->ends_us);
}

/* It runs no more: nobody has it, no time-out waits for it. */
static void leave_session(struct engine *e, struct task *t)
{
    struct tasks *tasks = e->tasks;
    if (!t->run)
        return;
    struct lease *lease = leases_by_number(tasks->leases, t->run->session);
    if (lease && lease_holds(lease, t->id))
        lease_drop(lease, t->id);
    delays_remove(tasks->timeouts, t->id);
    tasks->aborting -= t->run->abort != ABORT_NOT;
    tasks->stirred = true; /* it used room, and perhaps a lock */
}

static void drop_edges(struct engine *e, int64_t parent, bool all)
{
    struct task_group *g = &e->building.tasks;
    if (g->drop_count == g->drop_cap) {
        g->drop_cap = g->drop_cap ? g->drop_cap * 2 : 16;
        g->drops = xrealloc(g->drops, g->drop_cap * sizeof *g->drops);
    }
    g->drops[g->drop_count++] = (struct task_drop){parent, all};
}

/* Tells the children of a task that has ended. Those that are to be cancelled are put on a list. */
static void tell_children(struct engine *e, int64_t parent, enum job_state state, bool of_flow,
                          struct id_list *doomed)
{
    struct tasks *tasks = e->tasks;
    bool completed = state == JOB_COMPLETED, all = state != JOB_FAILED;
    enum after_when when = AFTER_COMPLETED;
    if (!task_graph_has_children(tasks->graph, parent))
        return;
    bool later = of_flow && all && !completed;
    if (later)
        flow_cascade_add(e, parent);
    for (int64_t id = 0;
         !later && (id = task_graph_take(tasks->graph, parent, completed, all, &when));) {
        struct task *child = dispatch_find(tasks->dispatch, id);
        if (!child)
            continue;
        if (completed || when == AFTER_ENDED)
            dispatch_parent_done(tasks->dispatch, child, e->now);
        else
            id_list_add(doomed, id);
    }
    /* Who is cancelled for it waits for it again when it is retried. */
    drop_edges(e, parent, completed);
    tasks->stirred = true;
}

static void let_go_of_unique(struct engine *e, struct task_note *note)
{
    struct tasks *tasks = e->tasks;
    /* One that is kept as long as the task is stored is found there once the store has its end. */
    if (!note->t->has_unique || (note->row.unique_while == UNIQUE_STORED && note->inserts))
        return;
    note->t->has_unique = false;
    if (unique_map_get(tasks->unique, note->unique) == note->row.id)
        unique_map_remove(tasks->unique, note->unique);
}

/* The task, in whatever state, leaves memory. */
static void end(struct engine *e, struct task_note *note, enum job_state state,
                struct id_list *doomed)
{
    struct tasks *tasks = e->tasks;
    struct task *t = note->t;
    struct task_row *row = &note->row;
    int64_t keep_us = task_option_us(row->options, "keep_s");
    row->attempts = t->attempts;
    row->max_attempts = t->max_attempts;
    row->fence = t->fence;
    row->priority = t->priority;
    row->session = 0;
    row->aborts = false;
    row->ended_at_us = e->now.wall_us;
    row->expires_at_us = keep_us ? e->now.wall_us + keep_us : 0;
    note_move(e, note, state);
    steps_task_ended(e, note, state);
    leave_session(e, t);
    let_go_of_unique(e, note);
    /* What it waits for is kept in the store, for a retry. */
    if (t->parents)
        task_graph_forget(tasks->graph, row->id);
    note->t = NULL;
    dispatch_remove(tasks->dispatch, t, e->now);
    attempts_set(tasks->ended, row->id, 1 + (int64_t)state);
    id_list_add(&e->building.tasks.ended, row->id);
    /* A flow's node is not retried in its run: who waits for its completion waits in vain. */
    bool of_flow = flow_task_ended(e, note, state);
    bool in_vain = of_flow && state == JOB_FAILED;
    tell_children(e, row->id, in_vain ? JOB_CANCELLED : state, of_flow, doomed);
}

/* --- one by one --- */

static void cancel_one(struct engine *e, struct task_note *note, struct id_list *doomed)
{
    note_event(e, note, "task.cancelled");
    note_write(e, note, WRITE_SAVE);
    e->stats.tasks_cancelled++;
    end(e, note, JOB_CANCELLED, doomed);
}

/* And those who wait for them, and so on. */
static void cancel_all(struct engine *e, struct id_list *doomed)
{
    e->tasks->flows->cascades = true;
    for (size_t i = 0; i < doomed->count; i++) {
        struct task *t = dispatch_find(e->tasks->dispatch, doomed->items[i]);
        struct task_note *note = t ? note_must(e, t) : NULL;
        if (note)
            cancel_one(e, note, doomed);
    }
    e->tasks->flows->cascades = false;
    id_list_release(doomed);
}

static void end_and_follow(struct engine *e, struct task_note *note, enum job_state state)
{
    struct id_list doomed = {0};
    end(e, note, state, &doomed);
    cancel_all(e, &doomed);
    flow_cascade_go(e);
}

void task_cancel(struct engine *e, struct task_note *note)
{
    struct id_list doomed = {0};
    cancel_one(e, note, &doomed);
    cancel_all(e, &doomed);
    flow_cascade_go(e);
}

void task_cancel_in_vain(struct engine *e, struct task_note *note)
{
    struct id_list doomed = {0};
    e->tasks->flows->cascades = true;
    cancel_one(e, note, &doomed);
    cancel_all(e, &doomed);
}

void task_free_children(struct engine *e, int64_t parent)
{
    struct id_list doomed = {0};
    tell_children(e, parent, JOB_COMPLETED, false, &doomed);
    assert(doomed.count == 0);
}

void task_cancel_children(struct engine *e, int64_t parent)
{
    struct id_list doomed = {0};
    tell_children(e, parent, JOB_CANCELLED, false, &doomed);
    cancel_all(e, &doomed);
}

void task_complete(struct engine *e, struct task_note *note, struct str result,
                   struct task_blob result_blob)
{
    note->row.result = result;
    note->row.result_blob = result_blob;
    note->row.error = note->row.error_type = (struct str){NULL, 0};
    note_event(e, note, "task.completed");
    note_write(e, note, WRITE_COMPLETE);
    e->stats.tasks_completed++;
    end_and_follow(e, note, JOB_COMPLETED);
}

/* The error as it is stored: what the worker told, and when that was. */
static void keep_error(struct engine *e, struct task_note *note, struct str error, struct str type)
{
    OWNED_BUF struct buf whole;
    struct json_out o;
    char at[CLOCK_TEXT_SIZE];
    struct lease *lease =
        note->t->run ? leases_by_number(e->tasks->leases, note->t->run->session) : NULL;
    struct str inner = str_trim(error);
    bool object = inner.len >= 2 && inner.ptr[0] == '{';
    buf_init(&whole, BUF_NO_CAP);
    if (object)
        buf_add(&whole, inner.ptr, inner.len - 1);
    else
        buf_add_text(&whole, "{\"message\":null");
    if (!object || str_trim((struct str){inner.ptr + 1, inner.len - 2}).len > 0)
        buf_add_char(&whole, ',');
    json_out_init(&o, &whole);
    json_out_name(&o, "attempt");
    json_out_i64(&o, note->t->attempts);
    json_out_name(&o, "at");
    clock_text(e->now.wall_us, at);
    json_out_text(&o, at);
    json_out_name(&o, "worker");
    json_out_text(&o, lease && *lease_worker(lease) ? lease_worker(lease) : NULL);
    buf_add_char(&whole, '}');
    note_set_error(note, buf_str(&whole), type);
}

/* It waits for its next attempt, or to be taken by somebody else. */
static void wait_again(struct engine *e, struct task_note *note, bool spent, int64_t delay_us)
{
    struct task *t = note->t;
    leave_session(e, t);
    dispatch_return(e->tasks->dispatch, t, spent, delay_us ? e->now.mono_us + delay_us : 0, e->now);
    note->row.session = 0;
    note->row.aborts = false;
    note->row.run_at_us = delay_us ? e->now.wall_us + delay_us : 0;
    note_move(e, note, JOB_PENDING);
    note_write(e, note, WRITE_SAVE);
    flow_task_waits(e, note);
    steps_task_waits(e, note);
}

/* Whether another attempt follows, and when. */
static bool decide(struct engine *e, const struct task_note *note, const struct task_failure *why,
                   int64_t *delay_us)
{
    struct str raw;
    struct err ignored;
    const struct task *t = note->t;
    if (why->final || t->attempts >= t->max_attempts)
        return false;
    *delay_us = why->retry_after_us;
    if (why->retry_after_us > 0)
        return true;
    if (note->row.options.len == 0 || !json_find(note->row.options, "retry", &raw) ||
        json_type_of(raw) != JSON_OBJECT)
        return why->lost; /* as when its worker is gone */
    struct retry_policy policy;
    retry_policy_init(&policy);
    bool again = retry_policy_read(raw, &policy, &ignored) &&
                 retry_decide(&policy, t->attempts, why->type, &e->rng, delay_us);
    retry_policy_release(&policy);
    return again;
}

bool task_fail(struct engine *e, struct task_note *note, const struct task_failure *why)
{
    int64_t delay_us = 0;
    bool stops = note->t->run->abort == ABORT_CANCELLED;
    keep_error(e, note, why->error, why->type);
    if (stops) {
        task_cancel(e, note);
        return false;
    }
    if (decide(e, note, why, &delay_us)) {
        note_event(e, note, "task.failed");
        e->stats.tasks_retried++;
        wait_again(e, note, true, delay_us);
        return true;
    }
    note_event(e, note, "task.dead");
    note_write(e, note, WRITE_SAVE);
    e->stats.tasks_failed++;
    end_and_follow(e, note, JOB_FAILED);
    return false;
}

void task_lose(struct engine *e, struct task_note *note, const char *why)
{
    struct task *t = note->t;
    OWNED_BUF struct buf error;
    struct json_out o;
    buf_init(&error, 256);
    json_out_init(&o, &error);
    json_out_open(&o, '{');
    json_out_name(&o, "message");
    json_out_text(&o, why);
    json_out_name(&o, "type");
    json_out_text(&o, "WorkerLost");
    json_out_close(&o, '}');
    keep_error(e, note, buf_str(&error), STR("WorkerLost"));
    note_event(e, note, "task.lost");
    e->stats.tasks_lost++;
    if (t->run->abort == ABORT_CANCELLED) {
        task_cancel(e, note);
    } else if (t->attempts >= t->max_attempts) {
        note_event(e, note, "task.dead");
        note_write(e, note, WRITE_SAVE);
        e->stats.tasks_failed++;
        end_and_follow(e, note, JOB_FAILED);
    } else {
        wait_again(e, note, true, 0);
    }
}

void task_end_failed(struct engine *e, struct task_note *note, struct str error, struct str type)
{
    keep_error(e, note, error, type);
    note_event(e, note, "task.dead");
    note_write(e, note, WRITE_SAVE);
    e->stats.tasks_failed++;
    end_and_follow(e, note, JOB_FAILED);
}

void task_give_back(struct engine *e, struct task_note *note)
{
    if (note->t->run->abort == ABORT_CANCELLED) {
        task_cancel(e, note);
        return;
    }
    note_event(e, note, "task.returned");
    wait_again(e, note, false, 0);
}

void task_abort(struct engine *e, struct task_note *note, enum task_abort why)
{
    struct task_run *run = note->t->run;
    if (run->abort == ABORT_CANCELLED || run->abort == why)
        return;
    if (run->abort == ABORT_NOT)
        e->tasks->aborting++;
    run->abort = why;
    note->told = false;
    if (why == ABORT_CANCELLED) {
        note->row.aborts = true;
        note_write(e, note, WRITE_SAVE);
    }
    e->tasks->woken = true;
}

/* --- time-outs --- */

static void time_is_over(struct engine *e, struct task_note *note)
{
    struct task *t = note->t;
    if (t->run->lost_us == NEVER_US) {
        t->run->lost_us = e->now.mono_us + STOP_US;
        delays_add(e->tasks->timeouts, t->id, t->run->lost_us);
        task_abort(e, note, ABORT_TIMEOUT);
        return;
    }
    /* Its worker did not stop it. */
    task_fail(e, note,
              &(struct task_failure){.error = STR(TIMEOUT_ERROR), .type = STR("TimeoutError")});
}

void task_timeouts_tick(struct engine *e)
{
    for (int64_t id = 0; (id = delays_take_due(e->tasks->timeouts, e->now.mono_us)) >= 0;) {
        struct task *t = dispatch_find(e->tasks->dispatch, id);
        struct task_note *note = t && t->run ? note_must(e, t) : NULL;
        if (note)
            time_is_over(e, note);
    }
}
