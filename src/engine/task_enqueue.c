/* task_enqueue.c: tasks come in. A list is first looked at whole, so that doing it cannot fail. */
#include "engine/engine_state.h"

#include "base/json.h"
#include "core/retry.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define TASK_DELAY_MAX_US (INT64_C(100) * 366 * 24 * 3600 * 1000000)

/* --- looking --- */

struct looking {
    struct engine *e;
    struct op *op;
    struct op_enqueue *enqueue;
    struct tx *tx;            /* opened when something is to be read */
    struct unique_map *batch; /* unique keys of this list: 1 + place; NULL: none yet */
    uint32_t (*edges)[2];     /* within the list */
    size_t edge_count, edge_cap;
};

static bool refuse(struct looking *l, size_t place, enum op_refusal refusal, enum err_code code,
                   int64_t id, const char *what)
{
    l->enqueue->refused = place;
    l->op->refusal = refusal;
    l->op->refused_record = id;
    return err_set(&l->op->err, code, "%s", what);
}

static bool read_store(struct looking *l)
{
    return l->tx || tx_begin(l->e->store, &l->tx, &l->op->err);
}

static bool name_is_fine(struct str name)
{
    if (name.len > TASK_NAME_MAX_BYTES || !str_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool check_names(struct looking *l, size_t place, const struct task_new *task)
{
    const struct {
        const char *what;
        struct str name;
    } names[] = {{"function", task->function}, {"queue", task->queue},
                 {"key", task->key},           {"batch", task->batch},
                 {"lock", task->lock},         {"unique key", task->unique}};
    if (task->function.len == 0)
        return refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, -1, "it names no function");
    if (step_queue_is(task->queue) && !task->own_id)
        return refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, -1,
                      "its queue is for step jobs: start one of those");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!name_is_fine(names[i].name)) {
            OWNED_MEM char *text =
                xasprintf("its %s is not 1 to %d bytes of UTF-8 without control characters",
                          names[i].what, TASK_NAME_MAX_BYTES);
            return refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, -1, text);
        }
    return true;
}

static bool check_options(struct looking *l, size_t place, const struct task_new *task)
{
    struct str policy;
    struct err err;
    if (task->options.len == 0 || !json_find(task->options, "retry", &policy) ||
        json_type_of(policy) == JSON_NULL)
        return true;
    struct retry_policy p;
    retry_policy_init(&p);
    bool ok = retry_policy_read(policy, &p, &err);
    retry_policy_release(&p);
    return ok || refuse(l, place, REFUSED_OTHERWISE, err.code, -1, err.text);
}

static bool check_numbers(struct looking *l, size_t place, const struct task_new *task)
{
    const char *wrong = NULL;
    if (task->priority < TASK_PRIORITY_MIN || task->priority > TASK_PRIORITY_MAX)
        wrong = "its priority is not between -32768 and 32767";
    else if (task->max_attempts < 0 || task->max_attempts > TASK_ATTEMPTS_MAX)
        wrong = "its max_attempts is not between 1 and 1000000";
    else if (task->delay_us < 0 || task->delay_us > TASK_DELAY_MAX_US)
        wrong = "its delay is not between 0 and 100 years";
    else if (task->after_count > TASK_AFTER_MAX)
        wrong = "it waits for more than 1000000 tasks";
    return !wrong || refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, -1, wrong);
}

/* Who has that unique key, 0: nobody. */
static bool find_unique(struct looking *l, struct str unique, int64_t *id)
{
    struct tasks *tasks = l->e->tasks;
    *id = unique_map_get(tasks->unique, unique_key_of(unique, tasks->seed));
    if (*id)
        return true;
    if (!read_store(l) || !task_store_by_unique(l->tx, unique, id, &l->op->err))
        return false;
    if (*id && attempts_get(tasks->ended, *id) == 1 + JOB_STATE_COUNT)
        *id = 0;
    return true;
}

/* A task that has the key; it is in memory when it has not ended. */
static bool check_clash(struct looking *l, size_t place, struct task_new *task)
{
    struct task *old = dispatch_find(l->e->tasks->dispatch, task->id);
    bool waits = old && old->state != JOB_RUNNING;
    if (task->on_clash == CLASH_REFUSE || (task->on_clash == CLASH_REPLACE && !waits)) {
        const char *why =
            old ? " and runs: it cannot be replaced" : " and has ended: it cannot be replaced";
        OWNED_MEM char *text = xasprintf("task %" PRId64 " has its unique key%s", task->id,
                                         task->on_clash == CLASH_REFUSE ? "" : why);
        return refuse(l, place, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, task->id, text);
    }
    if (task->on_clash != CLASH_REPLACE || old->change)
        return true;
    tx_free(TAKE(l->tx));
    return note_need(l->e, old, &l->op->err) != NULL;
}

static bool check_unique(struct looking *l, size_t place, struct task_new *task)
{
    if (task->unique.len == 0)
        return true;
    if (!find_unique(l, task->unique, &task->id))
        return false;
    task->existing = task->id != 0;
    if (task->existing)
        return check_clash(l, place, task);
    struct unique_key key = unique_key_of(task->unique, l->e->tasks->seed);
    if (!l->batch)
        l->batch = unique_map_new();
    int64_t earlier = unique_map_get(l->batch, key);
    if (earlier && task->on_clash == CLASH_REFUSE) {
        OWNED_MEM char *text =
            xasprintf("task %" PRId64 " of this list has its unique key", earlier);
        return refuse(l, place, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, -1, text);
    }
    if (earlier)
        task->id = -earlier; /* until it has one: who it really is */
    else
        unique_map_put(l->batch, key, (int64_t)place + 1);
    return true;
}

/* What became of a task that is not in memory, as a state; JOB_STATE_COUNT: it is not there. What
 * the store said is remembered for doing it. */
static bool find_ended(struct looking *l, int64_t id, enum job_state *out)
{
    struct tasks *tasks = l->e->tasks;
    int64_t known = attempts_get(tasks->ended, id);
    if (!known) {
        bool found = false;
        enum job_state state = JOB_STATE_COUNT;
        if (!read_store(l) || !task_store_state(l->tx, id, &found, &state, &l->op->err))
            return false;
        known = 1 + (int64_t)state;
        attempts_set(tasks->ended, id, known);
    }
    *out = (enum job_state)(known - 1);
    return true;
}

static bool check_parent(struct looking *l, size_t place, const struct task_new *task, int64_t id)
{
    enum job_state state = JOB_STATE_COUNT;
    if (id <= 0)
        return refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, -1, "it waits for task 0");
    if (dispatch_find(l->e->tasks->dispatch, id))
        return true;
    if (!find_ended(l, id, &state))
        return false;
    if (state == JOB_STATE_COUNT ||
        (state == JOB_CANCELLED && task->after_when == AFTER_COMPLETED)) {
        OWNED_MEM char *text = xasprintf("it waits for task %" PRId64 ", which %s", id,
                                         state == JOB_CANCELLED ? "was cancelled" : "is not there");
        return refuse(l, place, REFUSED_PARENT,
                      state == JOB_CANCELLED ? ERR_CONFLICT : ERR_NOT_FOUND, id, text);
    }
    return true;
}

static void add_batch_edge(struct looking *l, size_t child, size_t parent)
{
    if (l->edge_count == l->edge_cap) {
        l->edge_cap = l->edge_cap ? l->edge_cap * 2 : 64;
        l->edges = xrealloc(l->edges, l->edge_cap * sizeof *l->edges);
    }
    l->edges[l->edge_count][0] = (uint32_t)child;
    l->edges[l->edge_count++][1] = (uint32_t)parent;
}

static bool check_parents(struct looking *l, size_t place)
{
    const struct op_enqueue *enqueue = l->enqueue;
    const struct task_new *task = &enqueue->tasks[place];
    bool replaces = task->on_clash == CLASH_REPLACE;
    size_t child = task->id < 0 ? (size_t)(-task->id - 1) : place;
    if ((task->existing || task->id < 0) && !replaces)
        return true;
    for (size_t i = 0; i < task->after_count; i++) {
        int64_t id = task->after[i];
        if (id < 0 && id < -(int64_t)enqueue->count)
            return refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, -1,
                          "it waits for a place that this list does not have");
        const struct task_new *parent = id < 0 ? &enqueue->tasks[-id - 1] : NULL;
        if (parent && !parent->existing)
            add_batch_edge(l, child, (size_t)(parent->id < 0 ? -parent->id - 1 : -id - 1));
        else if (!check_parent(l, place, task, parent ? parent->id : id))
            return false;
    }
    if (task->existing && replace_makes_circle(l->e, enqueue, place))
        return refuse(l, place, REFUSED_OTHERWISE, ERR_INVALID, task->id,
                      "it would wait for itself: what it is to wait for waits for the one that it "
                      "replaces");
    return true;
}

static bool look_at(struct looking *l)
{
    struct op_enqueue *enqueue = l->enqueue;
    for (size_t i = 0; i < enqueue->count; i++) {
        struct task_new *task = &enqueue->tasks[i];
        if (task->left_out)
            continue;
        task->id = 0;
        task->existing = false;
        if (!check_names(l, i, task) || !check_numbers(l, i, task) || !check_options(l, i, task) ||
            !check_unique(l, i, task))
            return false;
    }
    for (size_t i = 0; i < enqueue->count; i++)
        if (enqueue->tasks[i].after_count && !enqueue->tasks[i].left_out && !check_parents(l, i))
            return false;
    return l->edge_count == 0 || task_graph_check_batch((const uint32_t(*)[2])l->edges,
                                                        l->edge_count, enqueue->count, &l->op->err);
}

bool enqueue_check(struct engine *e, struct op *op, struct op_enqueue *enqueue)
{
    struct looking l = {.e = e, .op = op, .enqueue = enqueue};
    enqueue->refused = SIZE_MAX;
    bool ok = look_at(&l);
    tx_free(l.tx);
    unique_map_free(l.batch);
    free(l.edges);
    return ok;
}

/* --- doing --- */

/* Gives ids. Who comes second with a unique key is the first, then. */
static void give_ids(struct engine *e, struct op_enqueue *enqueue)
{
    struct tasks *tasks = e->tasks;
    for (size_t i = 0; i < enqueue->count; i++) {
        struct task_new *task = &enqueue->tasks[i];
        if (task->existing || task->left_out)
            continue;
        if (task->unique.len == 0) {
            task->id = task->own_id ? task->own_id : ++e->last_id;
            continue;
        }
        struct unique_key key = unique_key_of(task->unique, tasks->seed);
        task->id = unique_map_get(tasks->unique, key);
        task->existing = task->id != 0;
        if (!task->existing) {
            task->id = ++e->last_id;
            unique_map_put(tasks->unique, key, task->id);
        }
    }
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

void task_edge_add(struct engine *e, int64_t parent, int64_t child, enum after_when when)
{
    struct task_group *g = &e->building.tasks;
    task_graph_add(e->tasks->graph, parent, child, when);
    if (g->edge_count == g->edge_cap) {
        g->edge_cap = g->edge_cap ? g->edge_cap * 2 : 64;
        g->edges = xrealloc(g->edges, g->edge_cap * sizeof *g->edges);
    }
    g->edges[g->edge_count++] =
        (struct task_edge_row){.parent = parent, .child = child, .when = when};
    struct task *t = dispatch_find(e->tasks->dispatch, parent);
    if (t)
        t->has_children = true;
}

/* Whether the task has to wait for that parent. *doomed: it will never end as it should; the task
 * is cancelled with it, and waits for it should it be retried. */
static bool must_wait_for(struct engine *e, const struct task_new *task, int64_t parent,
                          bool *doomed)
{
    int64_t ended = attempts_get(e->tasks->ended, parent);
    /* One that is in neither is of this list, and comes yet. */
    if (!ended || dispatch_find(e->tasks->dispatch, parent))
        return true;
    enum job_state state = (enum job_state)(ended - 1);
    if (state == JOB_COMPLETED || task->after_when == AFTER_ENDED)
        return false;
    if (state != JOB_FAILED)
        *doomed = true;
    return state != JOB_STATE_COUNT;
}

/* Adds the edges to its parents; returns how many there are. */
static uint32_t add_parents(struct engine *e, const struct op_enqueue *enqueue,
                            const struct task_new *task, bool *doomed)
{
    uint32_t count = 0;
    if (task->after_count == 0)
        return 0;
    OWNED_MEM int64_t *parents = xcalloc(task->after_count, sizeof *parents);
    for (size_t i = 0; i < task->after_count; i++)
        parents[i] = task->after[i] < 0 ? enqueue->tasks[-task->after[i] - 1].id : task->after[i];
    qsort(parents, task->after_count, sizeof *parents, by_id);
    for (size_t i = 0; i < task->after_count; i++) {
        if (i > 0 && parents[i] == parents[i - 1])
            continue;
        if (!must_wait_for(e, task, parents[i], doomed))
            continue;
        task_edge_add(e, parents[i], task->id, task->after_when);
        count++;
    }
    return count;
}

static int64_t run_at(const struct engine *e, const struct task_new *task)
{
    int64_t delayed = task->delay_us ? e->now.wall_us + task->delay_us : 0;
    return delayed > task->run_at_us ? delayed : task->run_at_us;
}

static struct str or_null(struct str text)
{
    return text.len ? text : (struct str){NULL, 0};
}

static void set_arguments(struct task_row *row, const struct task_new *task)
{
    row->arguments_blob = note_blob(&task->arguments_blob);
    row->arguments = task->arguments.len ? task->arguments : STR("{}");
    if (row->arguments_blob.hash)
        row->arguments = (struct str){NULL, 0};
}

static void fill_row(struct engine *e, const struct task_new *task, struct task_note *note)
{
    struct task_row *row = &note->row;
    row->queue = gate_at(e, false, note->leaf->queue)->number;
    row->function = gate_at(e, true, note->leaf->function)->number;
    row->run_at_us = run_at(e, task);
    row->created_at_us = e->now.wall_us;
    row->key = or_null(note->leaf->key);
    row->batch = or_null(note->leaf->batch);
    row->lock = or_null(task->lock);
    row->unique = or_null(task->unique);
    row->unique_while = task->unique_while;
    row->options = or_null(task->options);
    set_arguments(row, task);
}

/* As it enters; its parents are added. *doomed: one of them will never end as it should. */
static struct task_entry entry_of(struct engine *e, const struct op_enqueue *enqueue,
                                  const struct task_new *task, bool *doomed)
{
    return (struct task_entry){
        .id = task->id,
        .queue = gate_need(e, false, task->queue.len ? task->queue : STR("default")),
        .function = gate_need(e, true, task->function),
        .key = task->key,
        .lock = task->lock,
        .priority = (int16_t)task->priority,
        .max_attempts = (uint32_t)(task->max_attempts ? task->max_attempts : TASK_ATTEMPTS_DEFAULT),
        .run_at_us = task->run_at_us,
        /* A delay is told on the clock that is never set. */
        .retry_us = task->delay_us ? e->now.mono_us + task->delay_us : 0,
        .parents = add_parents(e, enqueue, task, doomed)};
}

static void take_up(struct engine *e, const struct op_enqueue *enqueue, struct task_new *task)
{
    struct tasks *tasks = e->tasks;
    bool doomed = false;
    struct task_entry entry = entry_of(e, enqueue, task, &doomed);
    struct task *t = dispatch_add(tasks->dispatch, &entry, e->now);
    t->has_unique = task->unique.len > 0;
    t->has_children = task_graph_has_children(tasks->graph, task->id);
    struct task_note *note =
        note_new(e, t, leaf_get(e, entry.queue, entry.function, task->key, task->batch));
    if (t->has_unique)
        note->unique = unique_key_of(task->unique, tasks->seed);
    fill_row(e, task, note);
    note->inserts = true;
    leaf_count(e, note->leaf, JOB_STATE_COUNT, JOB_PENDING);
    note_event(e, note, "task.enqueued");
    e->stats.tasks_enqueued++;
    if (doomed)
        task_cancel(e, note);
}

/* What the group was to store of what the task waits for. */
static void drop_new_edges(struct task_group *g, int64_t child)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->edge_count; i++)
        if (g->edges[i].child != child)
            g->edges[kept++] = g->edges[i];
    g->edge_count = kept;
}

static void forget_parents(struct engine *e, struct task_note *note)
{
    int64_t id = note->row.id;
    if (!note->t->parents)
        return;
    task_graph_forget(e->tasks->graph, id);
    drop_new_edges(&e->building.tasks, id);
    id_list_add(&e->building.tasks.forgets, id);
}

/* Whether it stays where it stands, so that its key keeps its turn. */
static bool stays_in_place(const struct task *old, const struct task_entry *entry)
{
    return !old->parents && !entry->parents && !entry->retry_us &&
           task_queue(old) == entry->queue && task_function(old) == entry->function &&
           str_eq(task_key_name(old), entry->key) && str_eq(task_lock_name(old), entry->lock);
}

/* The old one, which waits, becomes the new one; it keeps its id, its unique key and its fence, and
 * who waits for it. */
static void replace(struct engine *e, const struct op_enqueue *enqueue, const struct task_new *task)
{
    struct tasks *tasks = e->tasks;
    struct task *t = dispatch_find(tasks->dispatch, task->id);
    struct task_note *note = t ? t->change : NULL;
    bool doomed = false;
    if (!note || t->state == JOB_RUNNING)
        return;
    forget_parents(e, note);
    struct task_entry entry = entry_of(e, enqueue, task, &doomed);
    entry.fence = t->fence;
    if (stays_in_place(t, &entry)) {
        t->attempts = 0;
        t->max_attempts = entry.max_attempts;
        dispatch_change(tasks->dispatch, t, entry.priority, entry.run_at_us, e->now);
    } else {
        dispatch_remove(tasks->dispatch, t, e->now);
        note->t = t = dispatch_add(tasks->dispatch, &entry, e->now);
        t->change = note;
        t->has_unique = true;
        t->has_children = task_graph_has_children(tasks->graph, task->id);
    }
    leaf_count(e, note->leaf, JOB_PENDING, JOB_STATE_COUNT);
    leaf_put(e, note->leaf);
    note->leaf = leaf_get(e, entry.queue, entry.function, task->key, task->batch);
    leaf_count(e, note->leaf, JOB_STATE_COUNT, JOB_PENDING);
    free(TAKE(note->options));
    note_set_error(note, (struct str){NULL, 0}, (struct str){NULL, 0});
    fill_row(e, task, note);
    note->row.started_at_us = 0; /* what it waits for is no retry's delay */
    note->replaces = true;
    blobs_stir(e); /* it may have been the last to need one */
    note_write(e, note, WRITE_SAVE);
    if (doomed)
        task_cancel(e, note);
}

void enqueue_apply(struct engine *e, struct op_enqueue *enqueue)
{
    give_ids(e, enqueue);
    for (size_t i = 0; i < enqueue->count; i++) {
        struct task_new *task = &enqueue->tasks[i];
        if (task->left_out)
            continue;
        if (!task->existing)
            take_up(e, enqueue, task);
        else if (task->on_clash == CLASH_REPLACE)
            replace(e, enqueue, task);
    }
    e->building.tasks.enqueues = true;
    e->tasks->stirred = true;
}

enum op_fate op_enqueue(struct engine *e, struct op *op)
{
    if (!tasks_are_ready(e, op, true) || !enqueue_check(e, op, &op->enqueue))
        return FATE_NOW;
    enqueue_apply(e, &op->enqueue);
    return FATE_DURABLE;
}
