/* flow_state.c: flows in memory, and how their nodes' tasks move their marks (flow_state.h). */
#include "engine/engine_state.h"

#include "base/json.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>

struct flows *flows_new(void)
{
    return xcalloc(1, sizeof(struct flows));
}

static void flow_free(struct flow_job *flow)
{
    flow_marks_free(flow->marks);
    free(flow->places);
    free(flow->name);
    free(flow->pools);
    free(flow->variables);
    free(flow);
}

void flows_forget(struct engine *e)
{
    struct flows *flows = e->tasks->flows;
    for (size_t i = 0; i < flows->count; i++)
        flow_free(flows->list[i]);
    free(TAKE(flows->list));
    flows->count = flows->running = flows->stopping = flows->cascade_at = 0;
    id_list_release(&flows->cascade);
}

void flows_free(struct engine *e)
{
    flows_forget(e);
    free(TAKE(e->tasks->flows));
}

/* --- the list --- */

struct flow_job *flow_add(struct engine *e, int64_t id, struct str name)
{
    struct flows *flows = e->tasks->flows;
    struct flow_job *flow = xcalloc(1, sizeof *flow);
    flow->name = xstrndup(name.ptr, name.len);
    flow->row.id = id;
    flow->row.name = str_of(flow->name);
    flows->list = xrealloc(flows->list, (flows->count + 1) * sizeof(void *));
    flows->list[flows->count++] = flow;
    return flow;
}

void flow_rest(struct engine *e, struct flow_job *flow)
{
    if (!flow->marks)
        return;
    e->tasks->flows->running--;
    flow_marks_free(TAKE(flow->marks));
    free(TAKE(flow->places));
}

void flow_drop(struct engine *e, struct flow_job *flow)
{
    struct flows *flows = e->tasks->flows;
    size_t kept = 0;
    for (size_t i = 0; i < flows->count; i++)
        if (flows->list[i] != flow)
            flows->list[kept++] = flows->list[i];
    flows->count = kept;
    flow_rest(e, flow);
    flow_free(flow);
}

struct flow_job *flow_by_name(const struct engine *e, struct str name)
{
    const struct flows *flows = e->tasks->flows;
    for (size_t i = 0; i < flows->count; i++)
        if (str_eq(flows->list[i]->row.name, name))
            return flows->list[i];
    return NULL;
}

struct flow_job *flow_find(struct engine *e, struct op *op)
{
    const struct flows *flows = e->tasks->flows;
    struct flow_job *found = op->job.id > 0 ? NULL : flow_by_name(e, op->job.name);
    for (size_t i = 0; op->job.id > 0 && i < flows->count; i++)
        if (flows->list[i]->row.id == op->job.id)
            found = flows->list[i];
    if (found)
        return found;
    if (op->job.id > 0)
        op_refuse(op, REFUSED_FLOW_UNKNOWN, ERR_NOT_FOUND, "there is no flow %" PRId64, op->job.id);
    else
        op_refuse(op, REFUSED_FLOW_UNKNOWN, ERR_NOT_FOUND, "there is no flow named %.*s",
                  (int)(op->job.name.len > 200 ? 200 : op->job.name.len), op->job.name.ptr);
    return NULL;
}

char *flow_queue_name(struct str flow)
{
    return xasprintf("flow/%.*s", (int)flow.len, flow.ptr);
}

char *flow_pool_key(struct str flow, struct str pool)
{
    return xasprintf("flow/%.*s/%.*s", (int)flow.len, flow.ptr, (int)pool.len, pool.ptr);
}

/* --- its row, its events --- */

void flow_touch(struct engine *e, struct flow_job *flow)
{
    struct flow_group *g = &e->building.tasks.flows;
    if (flow->in_group)
        return;
    flow->in_group = true;
    if (g->touched_count == g->touched_cap) {
        g->touched_cap = g->touched_cap ? g->touched_cap * 2 : 8;
        g->touched = xrealloc(g->touched, g->touched_cap * sizeof(void *));
    }
    g->touched[g->touched_count++] = flow;
}

void flow_event(struct engine *e, const struct flow_job *flow, const char *kind, bool behind)
{
    struct flow_group *g = &e->building.tasks.flows;
    struct buf detail;
    struct json_out o;
    buf_init(&detail, BUF_NO_CAP);
    json_out_init(&o, &detail);
    json_out_open(&o, '{');
    json_out_name(&o, "flow");
    json_out_i64(&o, flow->row.id);
    json_out_name(&o, "name");
    json_out_text(&o, flow->name);
    json_out_name(&o, "run");
    json_out_i64(&o, flow->row.run);
    json_out_close(&o, '}');
    struct log_line *line = log_begin(LOG_INFO, kind);
    log_value(line, "flow", "%s", flow->name);
    log_value(line, "run", "%" PRId64, flow->row.run);
    log_end(line);
    if (!behind) {
        engine_task_event(e, kind, buf_str(&detail));
        buf_release(&detail);
        return;
    }
    g->events = xrealloc(g->events, (g->event_count + 1) * sizeof *g->events);
    g->events[g->event_count++] = (struct flow_event){kind, detail};
}

void flow_finish(struct engine *e, struct flow_job *flow)
{
    enum job_state state = flow_marks_outcome(flow->marks, flow->row.stops, flow->row.kept);
    flow->row.state = state;
    flow->row.stops = false;
    flow->stop_at = 0;
    flow_close(e, flow, false);
    flow->row.lock_task = flow->row.lock_fence = 0;
    flow->row.ended_at_us = e->now.wall_us;
    flow_touch(e, flow);
    flow_event(e, flow,
               state == JOB_COMPLETED ? "flow.completed"
               : state == JOB_FAILED  ? "flow.failed"
                                      : "flow.cancelled",
               true);
    e->tasks->flows->look = true;
}

/* --- what becomes of tasks --- */

static bool is_of(const struct flow_job *flow, int64_t task)
{
    return task >= flow->row.first_task && task < flow->row.first_task + flow->row.tasks;
}

bool flow_has_task(const struct engine *e, int64_t task)
{
    const struct flows *flows = e->tasks->flows;
    for (size_t i = 0; i < flows->count; i++)
        if (is_of(flows->list[i], task))
            return true;
    return false;
}

/* The flow that runs the task, and the place of its node. */
static struct flow_job *find_run(const struct engine *e, int64_t task, size_t *place)
{
    const struct flows *flows = e->tasks->flows;
    for (size_t i = 0, left = flows->running; left && i < flows->count; i++) {
        struct flow_job *flow = flows->list[i];
        left -= flow->marks != NULL;
        if (!flow->marks || !is_of(flow, task))
            continue;
        *place = flow->places[task - flow->row.first_task];
        return flow;
    }
    return NULL;
}

/* A step that cannot be is our mistake: told, and the marks stay as they are. */
static bool move(struct engine *e, struct flow_job *flow, size_t place, enum flow_step step)
{
    if (flow_marks_move(flow->marks, place, step, e->now.wall_us))
        return true;
    struct log_line *line = log_begin(LOG_ERROR, "flow.mark-lost");
    log_value(line, "flow", "%s", flow->name);
    log_value(line, "node", "%d", flow_marks_id(flow->marks, place));
    log_value(line, "step", "%d", (int)step);
    log_end(line);
    return false;
}

void flow_task_started(struct engine *e, const struct task *t)
{
    size_t place = 0;
    struct flow_job *flow = find_run(e, t->id, &place);
    if (flow && move(e, flow, place, FLOW_START))
        e->tasks->flows->look = true;
}

void flow_task_waits(struct engine *e, const struct task_note *note)
{
    size_t place = 0;
    struct flow_job *flow = find_run(e, note->row.id, &place);
    if (!flow)
        return;
    flow_lock_leave(e, flow, note->row.id);
    (void)move(e, flow, place, FLOW_GIVE_BACK);
}

static enum flow_step step_of(const struct engine *e, const struct flow_job *flow, size_t place,
                              const struct task_note *note, enum job_state state)
{
    bool began = note->row.attempts > 0;
    if (state == JOB_COMPLETED)
        return FLOW_COMPLETE;
    if (state == JOB_FAILED)
        return FLOW_FAIL;
    if (flow->row.stops)
        return began || flow_marks_get(flow->marks, place) == FLOW_RUNNING ? FLOW_ABORT
                                                                           : FLOW_LEAVE;
    return e->tasks->flows->cascades ? FLOW_DEFAULT : FLOW_ABORT;
}

static void read_code(struct str json, struct flow_node_row *row)
{
    struct str raw;
    row->has_code = json.len && json_type_of(json) == JSON_OBJECT &&
                    json_find(json, "code", &raw) &&
                    json_i64(raw, INT64_MIN, INT64_MAX, &row->code);
}

/* How it ended, as it is stored. */
static void note_end(struct engine *e, struct flow_job *flow, size_t place, struct task_note *note,
                     int64_t since_us)
{
    struct flow_change change = {.flow = flow, .note = note};
    struct flow_node_row *row = &change.row;
    row->place = (int64_t)place;
    row->id = flow_marks_id(flow->marks, place);
    row->mark = flow_marks_get(flow->marks, place);
    row->run = flow->row.run;
    row->attempts = note->row.attempts;
    if (row->attempts > 0) {
        row->started_at_us = since_us ? since_us : note->row.started_at_us;
        row->ended_at_us = e->now.wall_us;
    }
    if (row->mark == FLOW_COMPLETED) {
        int64_t took_us = row->ended_at_us - row->started_at_us;
        row->usual_us = took_us > 0 ? took_us : 1;
        read_code(note->row.result, row);
    } else if (row->mark == FLOW_FAILED) {
        read_code(note->row.error, row);
    }
    flow_group_change(&e->building.tasks.flows, &change);
}

bool flow_task_ended(struct engine *e, struct task_note *note, enum job_state state)
{
    size_t place = 0;
    struct flow_job *flow = find_run(e, note->row.id, &place);
    if (!flow)
        return false;
    flow_lock_leave(e, flow, note->row.id);
    int64_t since_us = flow_marks_since_us(flow->marks, place);
    enum flow_step step = step_of(e, flow, place, note, state);
    if (!move(e, flow, place, step))
        return true;
    if (step != FLOW_LEAVE)
        note_end(e, flow, place, note, since_us);
    flow_touch(e, flow);
    e->tasks->flows->look = true;
    if (flow_marks_open(flow->marks) == 0)
        flow_finish(e, flow);
    return true;
}

bool flow_write_arguments(const struct engine *e, int64_t task, struct str row, struct buf *out)
{
    const struct flows *flows = e->tasks->flows;
    const struct flow_job *flow = NULL;
    struct json_out o;
    for (size_t i = 0; i < flows->count && !flow; i++)
        flow = is_of(flows->list[i], task) ? flows->list[i] : NULL;
    if (!flow)
        return false;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "flow");
    json_out_i64(&o, flow->row.id);
    json_out_name(&o, "name");
    json_out_text(&o, flow->name);
    json_out_name(&o, "run");
    json_out_i64(&o, flow->row.run);
    json_out_name(&o, "mode");
    json_out_text(&o, flow->row.mode == FLOW_SHELL ? "shell" : "python");
    json_out_name(&o, "node");
    json_out_raw(&o, row);
    json_out_name(&o, "variables");
    json_out_raw(&o, flow->row.variables);
    json_out_close(&o, '}');
    return true;
}

/* --- from the store --- */

static bool load_flow(void *context, const struct flow_store_row *row, struct err *err)
{
    struct engine *e = context;
    (void)err;
    struct flow_job *flow = flow_add(e, row->id, row->name);
    struct str name = flow->row.name;
    flow->row = *row;
    flow->row.name = name;
    flow->pools = xstrndup(row->pools.ptr ? row->pools.ptr : "", row->pools.len);
    flow->variables = xstrndup(row->variables.ptr ? row->variables.ptr : "", row->variables.len);
    flow->row.pools = str_of(flow->pools);
    flow->row.variables = str_of(flow->variables);
    /* Of a queue's settings this one is not stored. */
    OWNED_MEM char *queue = flow_queue_name(flow->row.name);
    uint32_t place = gate_place(e, false, str_of(queue));
    struct gate gate = *dispatch_queue_gate(e->tasks->dispatch, place);
    gate.in_order = true;
    gate.closed = row->stops;
    dispatch_set_queue_gate(e->tasks->dispatch, place, &gate);
    return true;
}

struct loading {
    struct engine *e;
    struct flow_job *flow;
};

/* A node is open while its task is in the dispatch. */
static bool load_node(void *context, const struct flow_node_row *row, struct err *err)
{
    struct loading *l = context;
    struct flow_job *flow = l->flow;
    int64_t at = row->task - flow->row.first_task;
    if (row->place >= flow->row.nodes || (row->task && (at < 0 || at >= flow->row.tasks)))
        return err_set(err, ERR_STORE, "node %d of flow %s is damaged in the store", row->id,
                       flow->name);
    const struct task *t = row->task && row->mark == FLOW_PENDING
                               ? dispatch_find(l->e->tasks->dispatch, row->task)
                               : NULL;
    flow_marks_put(flow->marks, (size_t)row->place, row->id, row->mark, t != NULL, row->ahead_us);
    if (row->task)
        flow->places[at] = (uint32_t)row->place;
    return !t || !t->run ||
           flow_marks_move(flow->marks, (size_t)row->place, FLOW_START, t->run->started_at_us) ||
           err_set(err, ERR_STORE, "node %d of flow %s is damaged in the store", row->id,
                   flow->name);
}

bool flows_load(struct engine *e, struct tx *tx, struct err *err)
{
    struct flows *flows = e->tasks->flows;
    if (!flow_store_load(tx, load_flow, e, err))
        return false;
    for (size_t i = 0; i < flows->count; i++) {
        struct flow_job *flow = flows->list[i];
        struct loading l = {e, flow};
        if (flow->row.state != JOB_RUNNING)
            continue;
        flow->marks = flow_marks_new((size_t)flow->row.nodes);
        flow->places = xcalloc((size_t)flow->row.tasks + 1, sizeof *flow->places);
        flows->running++;
        if (!flow_node_store_walk(tx, flow->row.id, 0, false, FLOW_PENDING, flow->row.nodes + 1,
                                  load_node, &l, err))
            return false;
        flow_cascade_resume(e, flow);
        flow->stop_at = flow->row.stops ? flow->row.tasks : 0;
        flows->stopping += flow->stop_at > 0;
    }
    flows->look = true;
    return true;
}
