/* task_load.c: memory of tasks from the store: when the engine is opened, and after a commit that
 * failed. Then the store holds exactly what was acknowledged. What has ended is not looked at. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

static void load_gate(void *context, const struct task_gate_row *row)
{
    struct engine *e = context;
    struct tasks *tasks = e->tasks;
    uint32_t place = gate_place(e, row->of_function, row->name);
    struct task_gate *gate = gate_at(e, row->of_function, place);
    struct gate settings = {.paused = row->paused,
                            .fair = row->fair,
                            .concurrency = row->concurrency,
                            .rpm = (double)row->rpm_millionths / 1e6};
    gate->number = row->number;
    gate->of_steps = !row->of_function && step_queue_is(row->name);
    gate->counts[JOB_COMPLETED] = row->completed;
    gate->counts[JOB_FAILED] = row->failed;
    gate->counts[JOB_CANCELLED] = row->cancelled;
    if (row->of_function)
        dispatch_set_function_gate(tasks->dispatch, place, &settings);
    else
        dispatch_set_queue_gate(tasks->dispatch, place, &settings);
    /* Numbers grow one by one. */
    tasks->by_number = xrealloc(tasks->by_number, (size_t)(row->number + 1) * sizeof(uint32_t));
    for (int64_t i = tasks->loaded_gates + 1; i < row->number; i++)
        tasks->by_number[i] = UINT32_MAX;
    tasks->by_number[row->number] = place;
    tasks->last_gate = tasks->loaded_gates = row->number;
}

static void load_rule(void *context, const struct task_rule_row *row)
{
    struct engine *e = context;
    struct tasks *tasks = e->tasks;
    tasks->rules = xrealloc(tasks->rules, (tasks->rule_count + 1) * sizeof *tasks->rules);
    tasks->rules[tasks->rule_count++] =
        (struct key_rule){.name = xstrndup(row->name.ptr, row->name.len),
                          .pattern = xstrndup(row->pattern.ptr, row->pattern.len),
                          .concurrency = row->concurrency,
                          .rpm = (double)row->rpm_millionths / 1e6};
}

static void load_session(void *context, const struct task_session_row *row)
{
    struct engine *e = context;
    struct lease *lease =
        leases_restore(e->tasks->leases, row->number, row->token, e->now.mono_us + row->span_us);
    lease_keep(lease, row->worker, row->span_us);
    struct task_session *session = task_session_add(e, row->number);
    session->since_at_us = row->since_us;
    session->last_at_us = e->now.wall_us;
    session->queues = row->queues.ptr ? xstrndup(row->queues.ptr, row->queues.len) : NULL;
    session->functions =
        row->functions.ptr ? xstrndup(row->functions.ptr, row->functions.len) : NULL;
}

static void load_edge(void *context, const struct task_edge_row *row)
{
    struct engine *e = context;
    task_graph_add(e->tasks->graph, row->parent, row->child, row->when);
}

/* A running one goes on in its session, which gets a whole span; one whose session is not there was
 * damaged, and waits. */
static void resume(struct engine *e, struct task *t, const struct task_row *row)
{
    struct lease *lease = leases_by_number(e->tasks->leases, row->session);
    if (!lease || t->state != JOB_PENDING)
        return;
    dispatch_resume(e->tasks->dispatch, t, row->session, row->started_at_us);
    lease_add(lease, row->id);
    if (row->aborts) {
        t->run->abort = ABORT_CANCELLED;
        e->tasks->aborting++;
    }
    task_watch_time(e, t, row->options);
}

/* What it waits for, wall. What runs has had its time. What has run waits for a retry, so long
 * after its start: a clock that shows less than that start was set back, and must not make it wait
 * for the difference. */
static int64_t waits_until_us(const struct engine *e, const struct task_row *row)
{
    if (row->state == JOB_RUNNING || !row->run_at_us)
        return 0;
    int64_t back_us = row->started_at_us - e->now.wall_us;
    return back_us > 0 ? row->run_at_us - back_us : row->run_at_us;
}

static bool load_task(void *context, const struct task_row *row, struct err *err)
{
    struct engine *e = context;
    struct tasks *tasks = e->tasks;
    uint32_t queue = gate_by_number(e, false, row->queue),
             function = gate_by_number(e, true, row->function);
    if (queue == UINT32_MAX || function == UINT32_MAX)
        return err_set(err, ERR_STORE, "task %" PRId64 " is of no known queue or function",
                       row->id);
    struct task_entry entry = {.id = row->id,
                               .queue = queue,
                               .function = function,
                               .key = row->key,
                               .lock = row->lock,
                               .priority = (int16_t)row->priority,
                               .attempts = (uint32_t)row->attempts,
                               .max_attempts = (uint32_t)row->max_attempts,
                               .fence = (uint32_t)row->fence,
                               .run_at_us = waits_until_us(e, row),
                               .parents =
                                   (uint32_t)task_graph_parents(tasks->graph, row->id, NULL, 0)};
    struct task *t = dispatch_add(tasks->dispatch, &entry, e->now);
    t->has_children = task_graph_has_children(tasks->graph, row->id);
    if (row->unique.ptr && (row->unique_while != UNIQUE_PENDING || row->fence == 0)) {
        t->has_unique = true;
        unique_map_put(tasks->unique, unique_key_of(row->unique, tasks->seed), row->id);
    }
    if (row->state == JOB_RUNNING)
        resume(e, t, row);
    return true;
}

static bool load_all(struct engine *e, struct tx *tx, struct err *err)
{
    struct tasks *tasks = e->tasks;
    int64_t last_session = 0;
    if (!task_store_last_id(tx, &e->last_id, err) ||
        !task_session_store_last(tx, &last_session, err))
        return false;
    leases_number_from(tasks->leases, last_session);
    dispatch_begin(tasks->dispatch, e->now);
    if (!task_gate_store_load(tx, load_gate, e, err) ||
        !task_rule_store_load(tx, load_rule, e, err) ||
        !task_session_store_load(tx, load_session, e, err) ||
        !task_edge_store_load(tx, load_edge, e, err))
        return false;
    dispatch_set_key_rules(tasks->dispatch, tasks->rules, tasks->rule_count);
    return task_store_load_open(tx, load_task, e, err) && flows_load(e, tx, err);
}

static void gather_note(void *context, struct task *t)
{
    struct list *notes = context;
    if (t->change)
        list_add(notes, t->change);
}

/* Notes refer to tasks and leaves: they go first. Those of tasks that have ended are in a group
 * only, which lets go of them itself. */
static void forget_notes(struct engine *e)
{
    struct list notes = {0};
    if (e->tasks->dispatch)
        dispatch_each(e->tasks->dispatch, gather_note, &notes);
    for (size_t i = 0; i < notes.count; i++)
        note_free(e, notes.items[i]);
    list_release(&notes);
}

void tasks_forget(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    task_group_drop_notes(e, &e->building.tasks);
    task_group_drop_notes(e, &e->committing.tasks);
    forget_notes(e);
    flows_forget(e);
    leaves_release(e);
    task_sessions_release(e);
    dispatch_free(TAKE(tasks->dispatch));
    task_graph_free(TAKE(tasks->graph));
    leases_free(TAKE(tasks->leases));
    unique_map_free(TAKE(tasks->unique));
    delays_free(TAKE(tasks->timeouts));
    attempts_free(TAKE(tasks->ended));
    for (size_t i = 0; i < tasks->rule_count; i++) {
        free(tasks->rules[i].name);
        free(tasks->rules[i].pattern);
    }
    free(TAKE(tasks->rules));
    free(TAKE(tasks->queues));
    free(TAKE(tasks->functions));
    free(TAKE(tasks->by_number));
    tasks->rule_count = tasks->queue_count = tasks->function_count = 0;
    tasks->last_gate = tasks->loaded_gates = tasks->aborting = 0;
}

/* Places are the dispatch's: those of claims that wait are found anew. */
static void find_places_again(struct engine *e)
{
    for (struct op *op = e->tasks->claims; op; op = op->next)
        task_claim_find_places(e, &op->task_claim);
}

bool tasks_load(struct engine *e, struct err *err)
{
    struct tasks *tasks = e->tasks;
    tasks_forget(e);
    tasks->dispatch = dispatch_new();
    tasks->graph = task_graph_new();
    tasks->leases = leases_new();
    tasks->unique = unique_map_new();
    tasks->timeouts = delays_new();
    tasks->ended = attempts_new();
    tasks->unreadable = true;
    OWNED(tx) struct tx *tx = NULL;
    bool ok = tx_begin(e->store, &tx, err) && load_all(e, tx, err);
    find_places_again(e);
    if (!ok)
        return err_add(err, "read tasks");
    tasks->unreadable = false;
    tasks->stirred = true;
    return true;
}
