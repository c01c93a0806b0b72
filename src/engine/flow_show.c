/* flow_show.c: what is told of flows. Of one that runs the marks are in memory, all else is in the
 * store. An answer that tells of what is not stored yet waits for the group. */
#include "engine/engine_state.h"

#include <stdlib.h>

static enum op_fate told(const struct engine *e)
{
    return tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}

/* --- one flow --- */

static void add_failed(struct flow_view *view, int32_t id)
{
    if (!view->failed)
        view->failed = xcalloc(FLOW_LISTED_MAX, sizeof *view->failed);
    if (view->failed_count < FLOW_LISTED_MAX)
        view->failed[view->failed_count++] = id;
}

static bool name_running(void *context, const struct flow_node_row *row, struct err *err)
{
    struct flow_running *running = context;
    (void)err;
    running->name = xstrndup(row->name.ptr ? row->name.ptr : "", row->name.len);
    return true;
}

/* From memory; the names of those that run are in the store, or come there with this group. */
static bool list_marked(struct engine *e, const struct flow_job *flow, struct flow_view *view,
                        struct err *err)
{
    const struct flow_marks *m = flow->marks;
    size_t count = flow_marks_count(m);
    OWNED(tx) struct tx *tx = NULL;
    for (size_t p = 0;
         view->failed_count < FLOW_LISTED_MAX && (p = flow_marks_next(m, FLOW_FAILED, p)) < count;
         p++)
        add_failed(view, flow_marks_id(m, p));
    if (!flow_marks_of(m, FLOW_RUNNING))
        return true;
    if (!tx_begin(e->store, &tx, err))
        return false;
    view->running = xcalloc(FLOW_LISTED_MAX, sizeof *view->running);
    for (size_t p = 0;
         view->running_count < FLOW_LISTED_MAX && (p = flow_marks_next(m, FLOW_RUNNING, p)) < count;
         p++) {
        struct flow_running *running = &view->running[view->running_count++];
        running->id = flow_marks_id(m, p);
        running->since_us = flow_marks_since_us(m, p);
        if (!flow_node_store_walk(tx, flow->row.id, (int64_t)p, false, FLOW_PENDING, 1,
                                  name_running, running, err))
            return false;
    }
    return true;
}

static bool list_failed(void *context, const struct flow_node_row *row, struct err *err)
{
    (void)err;
    add_failed(context, row->id);
    return true;
}

static bool list_stored(struct engine *e, const struct flow_job *flow, struct flow_view *view,
                        struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return flow->row.counts[FLOW_FAILED] == 0 ||
           (tx_begin(e->store, &tx, err) &&
            flow_node_store_walk(tx, flow->row.id, 0, true, FLOW_FAILED, FLOW_LISTED_MAX,
                                 list_failed, view, err));
}

bool flow_view_fill(struct engine *e, struct flow_job *flow, bool whole, struct flow_view *view,
                    struct err *err)
{
    const struct flow_store_row *row = &flow->row;
    flow_view_release(view);
    *view = (struct flow_view){.id = row->id,
                               .name = xstrdup(flow->name),
                               .mode = row->mode,
                               .state = row->state,
                               .stops = row->stops,
                               .run = row->run,
                               .nodes = row->nodes,
                               .created_at_us = row->created_at_us,
                               .started_at_us = row->started_at_us,
                               .ended_at_us = row->ended_at_us,
                               .max_running = row->max_running,
                               .gap_us = row->gap_us,
                               .variables = xstrdup(flow->variables),
                               .pools = xstrdup(flow->pools),
                               .eta_us = -1,
                               .lock_task = row->lock_task};
    int64_t until_us = row->ended_at_us ? row->ended_at_us : e->now.wall_us;
    view->elapsed_us = until_us > row->started_at_us ? until_us - row->started_at_us : 0;
    for (int mark = 0; mark < FLOW_MARK_COUNT; mark++)
        view->counts[mark] =
            flow->marks ? flow_marks_of(flow->marks, (enum flow_mark)mark) : row->counts[mark];
    if (flow->marks && row->state == JOB_RUNNING)
        view->eta_us = flow_marks_eta_us(flow->marks, e->now.wall_us);
    if (!whole)
        return true;
    return flow->marks ? list_marked(e, flow, view, err) : list_stored(e, flow, view, err);
}

enum op_fate op_flow_show(struct engine *e, struct op *op)
{
    struct op_flow_show *ask = &op->flow_show;
    struct flow_job *flow = tasks_are_ready(e, op, false) ? flow_find(e, op) : NULL;
    if (!flow)
        return FATE_NOW;
    if (flow->row.state == JOB_RUNNING && ask->wait_until_us > e->now.mono_us) {
        flow_wait(&e->tasks->flows->shows, op);
        return FATE_WAITS;
    }
    if (!flow_view_fill(e, flow, true, &ask->view, &op->err))
        return FATE_NOW;
    return told(e);
}

/* --- all flows --- */

enum op_fate op_flow_list(struct engine *e, struct op *op)
{
    struct op_flow_list *ask = &op->flow_list;
    if (!tasks_are_ready(e, op, false))
        return FATE_NOW;
    const struct flows *flows = e->tasks->flows;
    ask->views = xcalloc(flows->count + 1, sizeof *ask->views);
    for (size_t i = 0; i < flows->count; i++) {
        struct flow_job *flow = flows->list[i];
        if (flow->row.id <= ask->after || (ask->by_state && flow->row.state != ask->state))
            continue;
        ask->more = (int64_t)ask->count == ask->limit;
        if (ask->more)
            break;
        if (!flow_view_fill(e, flow, false, &ask->views[ask->count++], &op->err))
            return FATE_NOW;
    }
    return told(e);
}

/* --- nodes --- */

struct listing {
    struct engine *e;
    struct flow_job *flow;
    struct op_flow_nodes *ask;
};

static char *copy(struct str text)
{
    return text.ptr ? xstrndup(text.ptr, text.len) : NULL;
}

/* Of a node that is open the store knows nothing but that: its task does. */
static void add_memory(const struct listing *l, const struct flow_node_row *row,
                       struct flow_node_view *view)
{
    const struct flow_marks *m = l->flow->marks;
    if (!m || (size_t)row->place >= flow_marks_count(m))
        return;
    view->mark = flow_marks_get(m, (size_t)row->place);
    const struct task *t = flow_marks_is_open(m, (size_t)row->place)
                               ? dispatch_find(l->e->tasks->dispatch, row->task)
                               : NULL;
    if (!t)
        return;
    view->attempts = t->attempts;
    if (t->run)
        view->started_at_us = t->run->started_at_us;
}

/* Ended in the group that is built: the store learns of it with that. */
static void add_change(const struct listing *l, struct flow_node_view *view, int64_t place)
{
    const struct flow_group *g = &l->e->building.tasks.flows;
    for (size_t i = 0; i < g->change_count; i++) {
        const struct flow_node_row *row = &g->changes[i].row;
        if (g->changes[i].flow != l->flow || row->place != place)
            continue;
        view->attempts = row->attempts;
        view->code = row->code;
        view->has_code = row->has_code;
        view->started_at_us = row->started_at_us;
        view->ended_at_us = row->ended_at_us;
        if (row->mark == FLOW_FAILED || row->mark == FLOW_ABORTED) {
            free(view->error);
            view->error = copy(g->changes[i].note->row.error);
        }
    }
}

static bool list_node(void *context, const struct flow_node_row *row, struct err *err)
{
    struct listing *l = context;
    struct op_flow_nodes *ask = l->ask;
    (void)err;
    ask->more = (int64_t)ask->count == ask->limit;
    if (ask->more)
        return false;
    struct flow_node_view *view = &ask->views[ask->count++];
    *view = (struct flow_node_view){.id = row->id,
                                    .mark = row->mark,
                                    .task = row->task,
                                    .run = row->run,
                                    .attempts = row->attempts,
                                    .code = row->code,
                                    .has_code = row->has_code,
                                    .started_at_us = row->started_at_us,
                                    .ended_at_us = row->ended_at_us,
                                    .name = copy(row->name),
                                    .logfile = copy(row->logfile),
                                    .after = copy(row->after),
                                    .error = copy(row->error)};
    add_memory(l, row, view);
    add_change(l, view, row->place);
    view->elapsed_us =
        view->ended_at_us && view->started_at_us ? view->ended_at_us - view->started_at_us : -1;
    return true;
}

/* Where the list goes on. */
static bool find_start(struct listing *l, struct tx *tx, int64_t *from, struct err *err)
{
    *from = 0;
    if (l->ask->after == 0)
        return true;
    if (!flow_node_store_place(tx, l->flow->row.id, l->ask->after, from, err))
        return false;
    return ++*from > 0 ||
           err_set(err, ERR_NOT_FOUND, "flow %s has no node %d", l->flow->name, l->ask->after);
}

/* By a mark of memory: each one found there is read. */
static bool list_by_memory(struct listing *l, struct tx *tx, int64_t from, struct err *err)
{
    const struct flow_marks *m = l->flow->marks;
    for (size_t p = (size_t)from;
         !l->ask->more && (p = flow_marks_next(m, l->ask->mark, p)) < flow_marks_count(m); p++)
        if (!flow_node_store_walk(tx, l->flow->row.id, (int64_t)p, false, FLOW_PENDING, 1,
                                  list_node, l, err))
            return false;
    return true;
}

enum op_fate op_flow_nodes(struct engine *e, struct op *op)
{
    struct op_flow_nodes *ask = &op->flow_nodes;
    int64_t from = 0;
    struct listing l = {.e = e, .ask = ask};
    if (!tasks_are_ready(e, op, false) || !(l.flow = flow_find(e, op)))
        return FATE_NOW;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, &op->err) || !find_start(&l, tx, &from, &op->err))
        return FATE_NOW;
    ask->views = xcalloc((size_t)ask->limit + 1, sizeof *ask->views);
    bool ok = l.flow->marks && ask->by_mark
                  ? list_by_memory(&l, tx, from, &op->err)
                  : flow_node_store_walk(tx, l.flow->row.id, from, ask->by_mark, ask->mark,
                                         ask->limit + 1, list_node, &l, &op->err);
    return ok ? told(e) : FATE_NOW;
}
