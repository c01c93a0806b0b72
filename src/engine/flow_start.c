/* flow_start.c: a run of a flow begins, or is planned only. All that can be refused is refused
 * before anything changes; then the tasks of the nodes that run are enqueued, with who waits for
 * whom, and are stored together with the flow and all its marks. */
#include "engine/engine_state.h"

#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* --- what is known of earlier runs --- */

struct earlier {
    struct flow_job *flow;      /* NULL: there was none */
    struct flow_past *past;     /* by place of the list of then */
    struct flow_node_row *rows; /* likewise; their errors are owned, other texts not there */
    size_t count, cap;
};

static void earlier_release(struct earlier *p)
{
    for (size_t i = 0; i < p->count; i++)
        free((char *)(uintptr_t)p->rows[i].error.ptr);
    free(p->past);
    free(p->rows);
}

/* A mark that is in memory is the later one; what runs has been left, if it is asked for here. */
static enum flow_mark mark_now(const struct flow_job *flow, const struct flow_node_row *row)
{
    if (!flow->marks)
        return row->mark;
    enum flow_mark mark = flow_marks_get(flow->marks, (size_t)row->place);
    return mark == FLOW_RUNNING ? FLOW_ABORTED : mark;
}

static bool take_node(void *context, const struct flow_node_row *row, struct err *err)
{
    struct earlier *p = context;
    if (row->place >= p->flow->row.nodes || p->count == p->cap)
        return err_set(err, ERR_STORE, "flow %s is damaged in the store", p->flow->name);
    struct flow_node_row *kept = &p->rows[p->count];
    *kept = *row;
    kept->mark = mark_now(p->flow, row);
    kept->name = kept->logfile = kept->after = (struct str){NULL, 0};
    kept->error.ptr = row->error.ptr ? xstrndup(row->error.ptr, row->error.len) : NULL;
    p->past[p->count++] =
        (struct flow_past){.id = row->id, .mark = kept->mark, .run = row->run, .print = row->print};
    return true;
}

/* What ended in the group that is built is not in the store yet: its figures are. */
static void take_changes(struct engine *e, struct earlier *p)
{
    const struct flow_group *g = &e->building.tasks.flows;
    for (size_t i = 0; i < g->change_count; i++) {
        const struct flow_change *change = &g->changes[i];
        if (change->flow != p->flow || change->row.place >= (int64_t)p->count)
            continue;
        struct flow_node_row *row = &p->rows[change->row.place];
        row->attempts = change->row.attempts;
        row->code = change->row.code;
        row->has_code = change->row.has_code;
        row->started_at_us = change->row.started_at_us;
        row->ended_at_us = change->row.ended_at_us;
        if (change->row.usual_us)
            row->usual_us = change->row.usual_us;
        row->run = p->past[change->row.place].run = change->row.run;
    }
}

static bool earlier_read(struct engine *e, struct flow_job *flow, struct earlier *p,
                         struct err *err)
{
    *p = (struct earlier){.flow = flow};
    if (!flow)
        return true;
    p->cap = (size_t)flow->row.nodes;
    p->past = xcalloc(p->cap + 1, sizeof *p->past);
    p->rows = xcalloc(p->cap + 1, sizeof *p->rows);
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) ||
        !flow_node_store_walk(tx, flow->row.id, 0, false, FLOW_PENDING, flow->row.nodes + 1,
                              take_node, p, err))
        return false;
    take_changes(e, p);
    return true;
}

/* --- looking --- */

struct starting {
    struct engine *e;
    struct op *op;
    struct op_flow_start *ask;
    struct flow_job *flow; /* NULL: a new one */
    struct earlier earlier;
    struct flow_web web;
    struct flow_plan plan;
};

static void starting_release(struct starting *s)
{
    flow_plan_release(&s->plan);
    flow_web_release(&s->web);
    earlier_release(&s->earlier);
}

static bool check_name(const char *what, struct str name, size_t max, struct err *err)
{
    bool fine = name.len > 0 && name.len <= max && name.ptr[0] != '@' && str_is_utf8(name);
    for (size_t i = 0; fine && i < name.len; i++)
        fine = (unsigned char)name.ptr[i] >= ' ' && name.ptr[i] != 0x7f && name.ptr[i] != '*' &&
               name.ptr[i] != '?';
    return fine || err_set(err, ERR_INVALID,
                           "%s: expected 1 to %zu bytes of UTF-8 without control characters, * "
                           "and ?, and no @ at its start",
                           what, max);
}

static bool check_pools(const struct op_flow_start *ask, struct err *err)
{
    for (size_t i = 0; i < ask->pool_count; i++)
        if (!check_name("pools", ask->pools[i].name, FLOW_POOL_MAX_BYTES, err))
            return false;
    for (size_t i = 0; i < ask->node_count; i++) {
        struct str pool = ask->nodes[i].pool;
        bool found = pool.len == 0;
        for (size_t k = 0; k < ask->pool_count && !found; k++)
            found = str_eq(pool, ask->pools[k].name);
        if (!found)
            return err_set(err, ERR_INVALID, "node %d: pool: there is no pool %.*s", ask->web[i].id,
                           pool.len > 100 ? 100 : (int)pool.len, pool.ptr);
    }
    return true;
}

static bool refuse_running(const struct starting *s)
{
    op_refuse(s->op, REFUSED_FLOW_RUNS, ERR_CONFLICT,
              "flow %s runs already: run %" PRId64 " goes on%s", s->flow->name, s->flow->row.run,
              s->flow->row.stops ? ", and is being stopped" : "");
    return false;
}

/* A run that began in the group that is built is stored first: what is known of it is read there.
 */
static bool flush_begun(struct engine *e, struct str name, struct err *err)
{
    const struct flow_group *g = &e->building.tasks.flows;
    for (size_t i = 0; i < g->begin_count; i++)
        if (str_eq(g->begins[i].flow->row.name, name))
            return engine_flush(e, err);
    return true;
}

static bool look(struct starting *s)
{
    const struct op_flow_start *ask = s->ask;
    struct err *err = &s->op->err;
    if (!check_name("name", ask->name, FLOW_NAME_MAX_BYTES, err) || !check_pools(ask, err))
        return false;
    if (ask->node_count == 0)
        return err_set(err, ERR_INVALID, "nodes: there are none");
    if (!flush_begun(s->e, ask->name, err))
        return false;
    s->flow = flow_by_name(s->e, ask->name);
    if (s->flow && s->flow->row.state == JOB_RUNNING && !ask->take_over && !ask->dry_run)
        return refuse_running(s);
    OWNED_MEM uint64_t *prints = xcalloc(ask->node_count, sizeof *prints);
    for (size_t i = 0; i < ask->node_count; i++)
        prints[i] = ask->nodes[i].print;
    return flow_web_init(&s->web, ask->web, ask->node_count, ask->after, err) &&
           earlier_read(s->e, s->flow, &s->earlier, err) &&
           flow_plan_make(&s->web, ask->web, prints, ask->restart, &ask->select, s->earlier.past,
                          s->earlier.count, &s->plan, err);
}

static void tell_plan(struct starting *s)
{
    struct op_flow_start *ask = s->ask;
    struct json_out o;
    json_out_init(&o, &ask->told);
    json_out_open(&o, '[');
    for (size_t p = 0; p < s->plan.count; p++) {
        OWNED_BUF struct buf why;
        buf_init(&why, 200);
        flow_plan_why(&s->plan, p, s->earlier.past, &why);
        json_out_open(&o, '{');
        json_out_name(&o, "id");
        json_out_i64(&o, ask->web[p].id);
        json_out_name(&o, "does");
        json_out_text(&o, flow_does_names[s->plan.nodes[p].does]);
        json_out_name(&o, "why");
        json_out_str(&o, buf_str(&why));
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
}

static void answer(struct starting *s)
{
    struct op_flow_start *ask = s->ask;
    memcpy(ask->does, s->plan.does, sizeof ask->does);
    ask->fresh = s->plan.fresh;
    ask->edited = xcalloc(s->plan.edited + 1, sizeof *ask->edited);
    for (size_t p = 0; p < s->plan.count; p++)
        if (s->plan.nodes[p].edited)
            ask->edited[ask->edited_count++] = ask->web[p].id;
}

/* --- the tasks --- */

/* Texts and lists that the new tasks borrow until they are enqueued; options until the commit. */
#define RUNNER_SLACK_US (INT64_C(15) * 1000000)

struct making {
    struct task_new *tasks;
    int64_t *after;
    char *queue;
    char **keys; /* of the pools */
    struct buf options;
    uint32_t *task_of; /* by place: 1 + place among the tasks; 0: it does not run */
    int64_t *ahead_us; /* by place, see flow_marks_put */
};

/* A fixed wait before each further attempt, and the time-out: an object, or nothing. */
static void write_options(const struct flow_new_node *node, struct buf *out)
{
    struct json_out o;
    if (node->max_attempts <= 1 && !node->timeout_us)
        return;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    if (node->max_attempts > 1) {
        double wait_s = (double)node->retry_wait_us / 1e6;
        json_out_name(&o, "retry");
        json_out_open(&o, '{');
        json_out_name(&o, "kind");
        json_out_text(&o, "fixed");
        json_out_name(&o, "delay_s");
        json_out_double(&o, wait_s);
        json_out_name(&o, "max_delay_s");
        json_out_double(&o, wait_s);
        json_out_name(&o, "jitter");
        json_out_i64(&o, 0);
        json_out_close(&o, '}');
    }
    if (node->timeout_us) {
        /* Its runner ends it in time, with 10 s for it to do so itself: this is for one that is
         * stuck. */
        json_out_name(&o, "timeout_s");
        json_out_double(&o, (double)(node->timeout_us + RUNNER_SLACK_US) / 1e6);
    }
    json_out_close(&o, '}');
}

static struct str key_of(const struct starting *s, const struct making *m, struct str pool)
{
    for (size_t i = 0; i < s->ask->pool_count; i++)
        if (pool.len && str_eq(pool, s->ask->pools[i].name))
            return str_of(m->keys[i]);
    return (struct str){NULL, 0};
}

/* It waits for those of its parents that run, too. */
static size_t link_task(const struct starting *s, struct making *m, size_t place, size_t at)
{
    const struct flow_web *w = &s->web;
    struct task_new *task = &m->tasks[m->task_of[place] - 1];
    task->after = m->after + at;
    for (uint32_t i = w->first_parent[place]; i < w->first_parent[place + 1]; i++) {
        uint32_t parent = m->task_of[w->parents[i]];
        if (parent)
            m->after[at + task->after_count++] = -(int64_t)parent;
    }
    return at + task->after_count;
}

static void make_tasks(const struct starting *s, struct making *m)
{
    const struct op_flow_start *ask = s->ask;
    size_t count = 0, at = 0, options_at = 0;
    for (size_t p = 0; p < s->plan.count; p++)
        if (s->plan.nodes[p].does == FLOW_DOES_RUN)
            m->task_of[p] = (uint32_t)++count;
    for (size_t p = 0; p < s->plan.count; p++) {
        if (!m->task_of[p])
            continue;
        const struct flow_new_node *node = &ask->nodes[p];
        struct task_new *task = &m->tasks[m->task_of[p] - 1];
        write_options(node, &m->options);
        *task = (struct task_new){.function = STR(FLOW_FUNCTION),
                                  .queue = str_of(m->queue),
                                  .arguments = node->row,
                                  .options = {NULL, m->options.len - options_at},
                                  .key = key_of(s, m, node->pool),
                                  .after_when = node->always ? AFTER_ENDED : AFTER_COMPLETED,
                                  .max_attempts = node->max_attempts};
        options_at = m->options.len;
        at = link_task(s, m, p, at);
    }
    const char *options = m->options.data;
    for (size_t i = 0; i < count; i++)
        if (m->tasks[i].options.len) {
            m->tasks[i].options.ptr = options;
            options += m->tasks[i].options.len;
        }
}

static void set_limits(struct engine *e, const struct starting *s, const struct making *m)
{
    const struct op_flow_start *ask = s->ask;
    struct tasks *tasks = e->tasks;
    uint32_t place = gate_need(e, false, str_of(m->queue));
    struct gate gate = *dispatch_queue_gate(tasks->dispatch, place);
    gate.in_order = true;
    gate.closed = false;
    gate.concurrency = ask->max_running;
    gate.rpm = ask->gap_us ? 60e6 / (double)ask->gap_us : 0;
    dispatch_set_queue_gate(tasks->dispatch, place, &gate);
    /* A run that was asked for by hand begins at once. */
    dispatch_rest_queue(tasks->dispatch, place);
    gate_at(e, false, place)->changed = true;
    e->building.tasks.gates_changed = true;
    flow_drop_pools(e, s->flow);
    if (ask->pool_count == 0)
        return;
    tasks->rules =
        xrealloc(tasks->rules, (tasks->rule_count + ask->pool_count) * sizeof *tasks->rules);
    for (size_t i = 0; i < ask->pool_count; i++)
        tasks->rules[tasks->rule_count++] = (struct key_rule){.name = xstrdup(m->keys[i]),
                                                              .pattern = xstrdup(m->keys[i]),
                                                              .concurrency = ask->pools[i].size};
    dispatch_set_key_rules(tasks->dispatch, tasks->rules, tasks->rule_count);
    e->building.tasks.rules_changed = true;
}

/* --- the nodes --- */

/* How long each node that runs takes as far as is known: as it did, or as the others did. */
static int64_t *guess_times(const struct starting *s)
{
    int64_t known = 0, sum_us = 0;
    int64_t *takes_us = xcalloc(s->plan.count + 1, sizeof *takes_us);
    for (size_t p = 0; p < s->plan.count; p++) {
        uint32_t past = s->plan.nodes[p].past;
        takes_us[p] = past == UINT32_MAX ? 0 : s->earlier.rows[past].usual_us;
        known += takes_us[p] > 0;
        sum_us += takes_us[p];
    }
    for (size_t p = 0; p < s->plan.count; p++)
        if (s->plan.nodes[p].does != FLOW_DOES_RUN)
            takes_us[p] = 0;
        else if (takes_us[p] == 0 && known > 0)
            takes_us[p] = sum_us / known;
    return takes_us;
}

static void guess_ahead(struct starting *s, struct making *m)
{
    OWNED_MEM int64_t *takes_us = guess_times(s);
    m->ahead_us = xcalloc(s->plan.count + 1, sizeof *m->ahead_us);
    flow_web_ahead(&s->web, takes_us, m->ahead_us);
}

/* One that is kept is as it was, but for what its row says by now. */
static struct flow_node_row row_of(struct starting *s, size_t place, struct flow_begin *begin)
{
    const struct flow_planned *planned = &s->plan.nodes[place];
    assert(planned->past == UINT32_MAX || s->earlier.rows);
    struct flow_node_row *before =
        planned->past == UINT32_MAX ? NULL : &s->earlier.rows[planned->past];
    struct flow_node_row row = {.mark = FLOW_PENDING, .run = s->flow->row.run};
    if (planned->does == FLOW_DOES_KEEP) {
        assert(before);
        row = *before;
        row.task = 0;
        if (row.error.ptr)
            begin->texts[begin->text_count++] = (char *)(uintptr_t)row.error.ptr;
        before->error.ptr = NULL;
    } else if (planned->does == FLOW_DOES_NORUN) {
        row.mark = FLOW_NORUN;
    }
    row.usual_us = before ? before->usual_us : 0;
    row.place = (int64_t)place;
    row.id = s->ask->web[place].id;
    /* What is compared the next time is what it ran with. */
    if (planned->does != FLOW_DOES_KEEP)
        row.print = s->ask->nodes[place].print;
    row.name = s->ask->nodes[place].name;
    row.logfile = s->ask->nodes[place].logfile;
    row.after = s->ask->nodes[place].after.len ? s->ask->nodes[place].after : STR("[]");
    return row;
}

static void make_nodes(struct starting *s, const struct making *m)
{
    const int64_t *ahead_us = m->ahead_us;
    struct flow_job *flow = s->flow;
    struct flow_begin begin = {.flow = flow,
                               .rows = xcalloc(s->plan.count, sizeof *begin.rows),
                               .count = s->plan.count,
                               .texts = xcalloc(s->plan.does[FLOW_DOES_KEEP] + 1, sizeof(char *)),
                               .clears = s->plan.fresh && !s->ask->keep_context,
                               .presets = s->ask->presets,
                               .preset_count = s->ask->preset_count};
    flow->marks = flow_marks_new(s->plan.count);
    flow->places = xcalloc(s->plan.does[FLOW_DOES_RUN] + 1, sizeof *flow->places);
    flow->row.kept = 0;
    for (size_t p = 0; p < s->plan.count; p++) {
        struct flow_node_row *row = &begin.rows[p];
        *row = row_of(s, p, &begin);
        row->ahead_us = ahead_us[p];
        if (m->task_of[p]) {
            row->task = flow->row.first_task + m->task_of[p] - 1;
            flow->places[m->task_of[p] - 1] = (uint32_t)p;
        } else {
            flow->row.kept += row->mark != FLOW_COMPLETED && row->mark != FLOW_NORUN;
        }
        flow_marks_put(flow->marks, p, row->id, row->mark, row->task != 0, ahead_us[p]);
    }
    flow_group_begin(&s->e->building.tasks.flows, &begin);
}

/* --- doing --- */

static void set_text(char **text, struct str *row, struct str value)
{
    free(*text);
    *text = value.len ? xstrndup(value.ptr, value.len) : xstrdup("{}");
    *row = str_of(*text);
}

static void fill_flow(struct starting *s)
{
    struct flow_job *flow = s->flow;
    const struct op_flow_start *ask = s->ask;
    struct flow_store_row *row = &flow->row;
    row->mode = ask->mode;
    row->state = JOB_RUNNING;
    row->stops = false;
    row->run++;
    row->max_running = ask->max_running;
    row->gap_us = ask->gap_us;
    row->nodes = (int64_t)ask->node_count;
    row->lock_task = row->lock_fence = 0;
    row->started_at_us = s->e->now.wall_us;
    row->ended_at_us = 0;
    set_text(&flow->pools, &row->pools, ask->pools_row);
    set_text(&flow->variables, &row->variables, ask->variables);
}

/* What is left of the run before. */
static bool clear_away(struct starting *s)
{
    struct engine *e = s->e;
    if (!s->flow)
        return true;
    if (s->flow->row.state == JOB_RUNNING)
        flow_end_at_once(e, s->flow);
    else if (!flow_forget_tasks(e, s->flow, &s->op->err))
        return false;
    flow_rest(e, s->flow);
    flow_group_drop(&e->building.tasks.flows, s->flow);
    s->flow->in_group = false;
    return true;
}

static void begin_tasks(struct starting *s, struct making *m)
{
    struct op_enqueue enqueue = {
        .tasks = m->tasks, .count = s->plan.does[FLOW_DOES_RUN], .refused = SIZE_MAX};
    if (enqueue.count)
        enqueue_apply(s->e, &enqueue);
    s->flow->row.tasks = (int64_t)enqueue.count;
    s->flow->row.first_task = enqueue.count ? m->tasks[0].id : 0;
    /* Of large flows they are large, and the nodes come yet. */
    free(TAKE(m->tasks));
    free(TAKE(m->after));
}

static void making_init(const struct starting *s, struct making *m)
{
    *m = (struct making){.tasks = xcalloc(s->plan.does[FLOW_DOES_RUN] + 1, sizeof *m->tasks),
                         .after = xcalloc(s->web.edges + 1, sizeof *m->after),
                         .queue = flow_queue_name(s->ask->name),
                         .keys = xcalloc(s->ask->pool_count + 1, sizeof *m->keys),
                         .task_of = xcalloc(s->plan.count + 1, sizeof *m->task_of)};
    buf_init(&m->options, BUF_NO_CAP);
    for (size_t i = 0; i < s->ask->pool_count; i++)
        m->keys[i] = flow_pool_key(s->ask->name, s->ask->pools[i].name);
}

/* The options are borrowed by rows until the commit: the group takes them over. */
static void making_release(struct engine *e, const struct starting *s, struct making *m)
{
    free(m->tasks);
    free(m->after);
    free(m->queue);
    for (size_t i = 0; i < s->ask->pool_count; i++)
        free(m->keys[i]);
    free(m->keys);
    free(m->task_of);
    free(m->ahead_us);
    if (m->options.data)
        list_add(&e->building.texts, m->options.data);
}

static bool begin(struct starting *s)
{
    struct engine *e = s->e;
    struct making m;
    bool known = s->flow != NULL;
    if (!clear_away(s))
        return false;
    if (!known) {
        s->flow = flow_add(e, ++e->last_id, s->ask->name);
        s->flow->row.created_at_us = e->now.wall_us;
    }
    e->building.tasks.enqueues = true;
    fill_flow(s);
    flow_touch(e, s->flow);
    flow_event(e, s->flow, s->plan.fresh ? "flow.started" : "flow.restarted", false);
    making_init(s, &m);
    set_limits(e, s, &m);
    make_tasks(s, &m);
    guess_ahead(s, &m);
    flow_web_release(&s->web);
    begin_tasks(s, &m);
    make_nodes(s, &m);
    making_release(e, s, &m);
    e->tasks->flows->running++;
    e->tasks->flows->look = true;
    if (s->plan.fresh)
        blobs_stir(e);
    if (flow_marks_open(s->flow->marks) == 0)
        flow_finish(e, s->flow);
    return true;
}

enum op_fate op_flow_start(struct engine *e, struct op *op)
{
    struct starting s = {.e = e, .op = op, .ask = &op->flow_start};
    bool ok = tasks_are_ready(e, op, true) && look(&s);
    if (ok)
        answer(&s);
    if (ok && s.ask->dry_run)
        tell_plan(&s);
    else if (ok)
        ok = begin(&s);
    if (ok && s.flow) {
        s.ask->id = s.flow->row.id;
        s.ask->run = s.flow->row.run;
    }
    starting_release(&s);
    return ok && tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}
