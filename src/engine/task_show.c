/* task_show.c: one task, whole; and waiting for its end. What is shown is what the store holds,
 * with what memory knows besides: why it waits, how far it is. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PARENTS_LISTED = 100 };

static char *copy(struct str text)
{
    return text.ptr ? xstrndup(text.ptr, text.len) : NULL;
}

enum job_state task_state_of_row(struct engine *e, const struct task_row *row)
{
    const struct task *t =
        row->state == JOB_PENDING ? dispatch_find(e->tasks->dispatch, row->id) : NULL;
    return t && t->state == JOB_BLOCKED ? JOB_BLOCKED : row->state;
}

/* Which of them have ended in vain: they stay in the graph, the dispatcher has forgotten them. */
static void find_failed_parent(struct tasks *tasks, struct task_view *view)
{
    OWNED_MEM int64_t *all = xcalloc(view->parents_open, sizeof *all);
    task_graph_parents(tasks->graph, view->id, all, view->parents_open);
    for (size_t i = 0; i < view->parents_open; i++)
        if (!dispatch_find(tasks->dispatch, all[i])) {
            view->hold = HOLD_PARENT_FAILED;
            view->held_by = all[i];
            return;
        }
}

/* What only memory knows. */
static void add_memory(struct engine *e, const struct task_row *row, bool whole,
                       struct task_view *view)
{
    struct tasks *tasks = e->tasks;
    const struct task *t = dispatch_find(tasks->dispatch, row->id);
    view->progress = -1;
    if (!t)
        return;
    if (whole)
        view->hold = task_explain(e, t, &view->held_by);
    if (row->state == JOB_RUNNING && t->run) {
        struct lease *lease = leases_by_number(tasks->leases, t->run->session);
        view->worker = lease ? xstrdup(lease_worker(lease)) : NULL;
        view->progress = t->run->progress;
        view->progress_text = xstrdup_or_null(t->run->progress_text);
        view->abort = t->run->abort;
    }
    if (!t->parents || !whole)
        return;
    view->parents = xcalloc(PARENTS_LISTED, sizeof *view->parents);
    view->parents_open = task_graph_parents(tasks->graph, row->id, view->parents, PARENTS_LISTED);
    view->parent_count = view->parents_open < PARENTS_LISTED ? view->parents_open : PARENTS_LISTED;
    find_failed_parent(tasks, view);
}

static char *gate_name(struct engine *e, bool of_function, int64_t number)
{
    struct dispatch *d = e->tasks->dispatch;
    uint32_t place = gate_by_number(e, of_function, number);
    if (place == UINT32_MAX)
        return xstrdup("");
    return xstrdup(of_function ? dispatch_function_name(d, place) : dispatch_queue_name(d, place));
}

static char *arguments_of(const struct engine *e, const struct task_row *row)
{
    struct buf whole;
    buf_init(&whole, BUF_NO_CAP);
    if (flow_write_arguments(e, row->id, row->arguments, &whole))
        return buf_take(&whole);
    buf_release(&whole);
    return copy(row->arguments);
}

void task_view_of_row(struct engine *e, const struct task_row *row, bool whole,
                      struct task_view *view)
{
    *view = (struct task_view){.id = row->id,
                               .function = gate_name(e, true, row->function),
                               .queue = gate_name(e, false, row->queue),
                               .key = copy(row->key),
                               .batch = copy(row->batch),
                               .lock = copy(row->lock),
                               .unique = copy(row->unique),
                               .state = task_state_of_row(e, row),
                               .priority = row->priority,
                               .attempts = row->attempts,
                               .max_attempts = row->max_attempts,
                               .fence = row->fence,
                               .created_at_us = row->created_at_us,
                               .run_at_us = row->run_at_us,
                               .started_at_us = row->started_at_us,
                               .ended_at_us = row->ended_at_us,
                               .error = copy(row->error)};
    if (whole) {
        view->arguments = arguments_of(e, row);
        view->options = copy(row->options);
        view->result = copy(row->result);
        view->arguments_blob = task_blob_ref_of(&row->arguments_blob);
        view->result_blob = task_blob_ref_of(&row->result_blob);
    }
    add_memory(e, row, whole, view);
}

struct showing {
    struct engine *e;
    struct task_view *view;
};

static bool show_row(void *context, const struct task_row *row, struct err *err)
{
    struct showing *showing = context;
    (void)err;
    task_view_release(showing->view);
    task_view_of_row(showing->e, row, true, showing->view);
    return true;
}

/* Reads it into the view; false: refused. */
static bool show(struct engine *e, struct op *op)
{
    struct showing showing = {e, &op->task_show.view};
    bool found = false;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, &op->err) ||
        !task_store_read(tx, op->task_show.id, &found, show_row, &showing, &op->err))
        return false;
    if (!found)
        op_refuse(op, REFUSED_TASK_UNKNOWN, ERR_NOT_FOUND, "there is no task %" PRId64,
                  op->task_show.id);
    return found;
}

static void watch(struct engine *e, int64_t id, int64_t more)
{
    attempts_set(e->tasks->watched, id, attempts_get(e->tasks->watched, id) + more);
}

enum op_fate op_task_show(struct engine *e, struct op *op)
{
    const struct op_task_show *ask = &op->task_show;
    if (!tasks_are_ready(e, op, false) || ask->id <= 0) {
        if (op->err.code == ERR_NONE)
            op_refuse(op, REFUSED_TASK_UNKNOWN, ERR_NOT_FOUND, "there is no task %" PRId64,
                      ask->id);
        return FATE_NOW;
    }
    if (!show(e, op) || job_state_is_final(ask->view.state) || ask->wait_until_us <= e->now.mono_us)
        return FATE_NOW;
    op->next = e->tasks->shows;
    e->tasks->shows = op;
    watch(e, ask->id, 1);
    return FATE_WAITS;
}

/* Takes an op that waits off its list and answers it with what there is now. */
static void answer(struct engine *e, struct op **at)
{
    struct op *op = *at;
    *at = op->next;
    watch(e, op->task_show.id, -1);
    (void)!show(e, op); /* or its error */
    op_meet_fate(e, op, FATE_NOW);
}

void task_shows_look(struct engine *e)
{
    for (struct op **at = &e->tasks->shows; *at;)
        if ((*at)->task_show.wait_until_us <= e->now.mono_us ||
            atomic_load(&(*at)->task_show.given_up))
            answer(e, at);
        else
            at = &(*at)->next;
}

void task_shows_committed(struct engine *e, const struct id_list *ended)
{
    bool any = false;
    for (size_t i = 0; e->tasks->shows && i < ended->count && !any; i++)
        any = attempts_get(e->tasks->watched, ended->items[i]) > 0;
    if (!any)
        return;
    struct attempts *now = attempts_new();
    for (size_t i = 0; i < ended->count; i++)
        attempts_set(now, ended->items[i], 1);
    for (struct op **at = &e->tasks->shows; *at;)
        if (attempts_get(now, (*at)->task_show.id))
            answer(e, at);
        else
            at = &(*at)->next;
    attempts_free(now);
}
