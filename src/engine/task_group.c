/* task_group.c: what a group has decided about tasks, into the store. It goes in the transaction of
 * the group (group.c); when that fails, memory is thrown away and read again. */
#include "engine/engine_state.h"

#include "base/log.h"
#include "store/event_store.h"

#include <stdlib.h>

#define RETRY_US INT64_C(1000000)

/* The oldest events go, so many at a time. */
enum { TRIM_EVERY = 1000 };

bool tasks_stir(const struct group *g)
{
    const struct task_group *t = &g->tasks;
    return t->note_count || t->deletes.count || t->drop_count || t->move_count ||
           t->session_deletes.count || t->leaf_count || t->event_count || t->gates_changed ||
           t->sessions_changed || t->rules_changed || flows_stir(&t->flows) ||
           t->broken.code != ERR_NONE;
}

/* --- staging --- */

static void stage_note(struct task_note *note)
{
    struct task_row *row = &note->row;
    const struct task *t = note->t;
    if (!t)
        return;
    row->priority = t->priority;
    row->attempts = t->attempts;
    row->max_attempts = t->max_attempts;
    row->fence = t->fence;
}

static void stage_tallies(struct engine *e, struct task_group *g)
{
    g->tallies = xcalloc(g->leaf_count, sizeof *g->tallies);
    for (size_t i = 0; i < g->leaf_count; i++) {
        struct task_leaf *leaf = g->leaves[i];
        struct task_tally_row *row = &g->tallies[i];
        *row = (struct task_tally_row){.key = leaf->key,
                                       .batch = leaf->batch,
                                       .queue = gate_at(e, false, leaf->queue)->number,
                                       .function = gate_at(e, true, leaf->function)->number,
                                       .first_at_us = e->now.wall_us,
                                       .last_at_us = e->now.wall_us};
        memcpy(row->counts, leaf->delta, sizeof row->counts);
        memset(leaf->delta, 0, sizeof leaf->delta);
        leaf->touched = false;
        leaf->refs++; /* its texts are needed until the commit */
    }
}

static void stage_counts_of(struct engine *e, struct task_group *g, bool of_function,
                            uint32_t place)
{
    struct task_gate *gate = gate_at(e, of_function, place);
    const int64_t *delta = gate->delta;
    if (!delta[JOB_COMPLETED] && !delta[JOB_FAILED] && !delta[JOB_CANCELLED])
        return;
    g->counts[g->count_count++] = (struct task_gate_row){.number = gate->number,
                                                         .completed = delta[JOB_COMPLETED],
                                                         .failed = delta[JOB_FAILED],
                                                         .cancelled = delta[JOB_CANCELLED]};
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        gate->counts[state] += gate->delta[state];
    memset(gate->delta, 0, sizeof gate->delta);
}

/* What changed of queues and functions is what changed of leaves. */
static void stage_counts(struct engine *e, struct task_group *g)
{
    g->counts = xcalloc(2 * g->leaf_count, sizeof *g->counts);
    for (size_t i = 0; i < g->leaf_count; i++) {
        stage_counts_of(e, g, false, g->leaves[i]->queue);
        stage_counts_of(e, g, true, g->leaves[i]->function);
    }
}

static void stage_gates_of(struct engine *e, struct task_group *g, bool of_function)
{
    const struct tasks *tasks = e->tasks;
    size_t count = of_function ? tasks->function_count : tasks->queue_count;
    for (size_t i = 0; i < count; i++) {
        struct task_gate *gate = gate_at(e, of_function, (uint32_t)i);
        if (!gate->fresh && !gate->changed)
            continue;
        g->gates = xrealloc(g->gates, (g->gate_count + 1) * sizeof *g->gates);
        g->gate_fresh = xrealloc(g->gate_fresh, (g->gate_count + 1) * sizeof *g->gate_fresh);
        gate_row(e, of_function, (uint32_t)i, &g->gates[g->gate_count]);
        g->gate_fresh[g->gate_count++] = gate->fresh;
        gate->fresh = gate->changed = false;
    }
}

/* Whatever a removal or a person's setting has left without tasks and settings. */
static void stage_unused_gates(struct engine *e, struct task_group *g)
{
    for (size_t i = 0; i < g->leaf_count; i++) {
        gate_forget_unused(e, false, g->leaves[i]->queue);
        gate_forget_unused(e, true, g->leaves[i]->function);
    }
    for (size_t i = 0; i < g->gate_count; i++)
        gate_forget_unused(e, g->gates[i].of_function,
                           gate_place(e, g->gates[i].of_function, g->gates[i].name));
}

static void stage_sessions(struct engine *e, struct task_group *g)
{
    struct tasks *tasks = e->tasks;
    g->sessions = xcalloc(tasks->session_count, sizeof *g->sessions);
    for (size_t i = 0; i < tasks->session_count; i++) {
        struct task_session *session = tasks->sessions[i];
        struct lease *lease =
            session->put ? leases_by_number(tasks->leases, session->number) : NULL;
        session->put = false;
        if (!lease)
            continue;
        struct task_session_row *row = &g->sessions[g->session_count++];
        *row = (struct task_session_row){.number = session->number,
                                         .worker = str_of(lease_worker(lease)),
                                         .queues = str_of(session->queues),
                                         .functions = str_of(session->functions),
                                         .span_us = lease_span_us(lease),
                                         .since_us = session->since_at_us};
        memcpy(row->token, lease_token(lease), sizeof row->token);
    }
}

static void stage_rules(struct engine *e, struct task_group *g)
{
    const struct tasks *tasks = e->tasks;
    g->rules = xcalloc(tasks->rule_count, sizeof *g->rules);
    for (; g->rule_count < tasks->rule_count; g->rule_count++) {
        const struct key_rule *rule = &tasks->rules[g->rule_count];
        g->rules[g->rule_count] =
            (struct task_rule_row){.name = str_of(rule->name),
                                   .pattern = str_of(rule->pattern),
                                   .concurrency = rule->concurrency,
                                   .rpm_millionths = (int64_t)(rule->rpm * 1e6 + 0.5)};
    }
}

static void stage_events(struct engine *e, struct task_group *g)
{
    for (size_t i = 0; i < g->event_count; i++) {
        buf_add_text(&g->events[i].detail, "]}");
        engine_task_event(e, g->events[i].kind, buf_str(&g->events[i].detail));
    }
    e->tasks->events += (int64_t)g->event_count;
    g->trims = e->tasks->events >= TRIM_EVERY;
    if (g->trims)
        e->tasks->events = 0;
}

void tasks_stage(struct engine *e, struct group *group)
{
    struct task_group *g = &group->tasks;
    for (size_t i = 0; i < g->note_count; i++) {
        stage_note(g->notes[i]);
        g->notes[i]->in_group = false;
    }
    if (g->leaf_count) {
        stage_counts(e, g);
        stage_tallies(e, g);
    }
    if (g->gates_changed) {
        stage_gates_of(e, g, false);
        stage_gates_of(e, g, true);
    }
    stage_unused_gates(e, g);
    if (g->sessions_changed)
        stage_sessions(e, g);
    if (g->rules_changed)
        stage_rules(e, g);
    stage_events(e, g);
    g->at_us = e->now.wall_us;
    flows_stage(e, &g->flows);
    flow_events_stage(e, &g->flows);
    g->last_id = e->last_id;
    attempts_clear(e->tasks->ended);
}

/* --- storing: the committer --- */

/* The rows that `wants` says, in one verb. */
static bool
store_rows(struct tx *tx, const struct task_group *g, bool (*wants)(const struct task_note *note),
           bool (*verb)(struct tx *, const struct task_row *const *, size_t, struct err *),
           struct err *err)
{
    OWNED_MEM const struct task_row **rows = xcalloc(g->note_count, sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; i < g->note_count; i++)
        if (wants(g->notes[i]))
            rows[count++] = &g->notes[i]->row;
    return count == 0 || verb(tx, rows, count, err);
}

static bool inserts(const struct task_note *note)
{
    return note->inserts;
}
static bool starts(const struct task_note *note)
{
    return note->write == WRITE_START;
}
static bool completes(const struct task_note *note)
{
    return note->write == WRITE_COMPLETE;
}
static bool saves(const struct task_note *note)
{
    return note->write == WRITE_SAVE;
}

static bool store_gates(struct tx *tx, const struct task_group *g, struct err *err)
{
    for (size_t i = 0; i < g->gate_count; i++)
        if (!(g->gate_fresh[i] ? task_gate_store_insert : task_gate_store_save)(tx, &g->gates[i],
                                                                                err))
            return false;
    for (size_t i = 0; i < g->count_count; i++)
        if (!task_gate_store_count(tx, g->counts[i].number, g->counts[i].completed,
                                   g->counts[i].failed, g->counts[i].cancelled, err))
            return false;
    return true;
}

static bool forget_gates(struct tx *tx, const struct task_group *g, struct err *err)
{
    for (size_t i = 0; i < g->gate_deletes.count; i++)
        if (!task_gate_store_delete(tx, g->gate_deletes.items[i], err))
            return false;
    return true;
}

static bool store_edges(struct tx *tx, const struct task_group *g, struct err *err)
{
    /* Who is retried or replaced forgets what it waited for before it waits anew. */
    for (size_t i = 0; i < g->forgets.count; i++)
        if (!task_edge_store_forget(tx, g->forgets.items[i], err))
            return false;
    if (g->edge_count && !task_edge_store_add(tx, g->edges, g->edge_count, err))
        return false;
    for (size_t i = 0; i < g->move_count; i++)
        if (!task_edge_store_move(tx, g->moves[i].from, g->moves[i].to, g->moves[i].child, err))
            return false;
    for (size_t i = 0; i < g->drop_count; i++)
        if (!task_edge_store_drop(tx, g->drops[i].parent, AFTER_ENDED, err) ||
            (g->drops[i].all &&
             !task_edge_store_drop(tx, g->drops[i].parent, AFTER_COMPLETED, err)))
            return false;
    return true;
}

static bool store_sessions(struct tx *tx, const struct task_group *g, struct err *err)
{
    for (size_t i = 0; i < g->session_count; i++)
        if (!task_session_store_put(tx, &g->sessions[i], err))
            return false;
    for (size_t i = 0; i < g->session_deletes.count; i++)
        if (!task_session_store_delete(tx, g->session_deletes.items[i], err))
            return false;
    return true;
}

static bool store_rules(struct tx *tx, const struct task_group *g, struct err *err)
{
    if (g->rules_changed && !task_rule_store_clear(tx, err))
        return false;
    for (size_t i = 0; i < g->rule_count; i++)
        if (!task_rule_store_put(tx, &g->rules[i], err))
            return false;
    return true;
}

static bool store_replacements(struct tx *tx, const struct task_group *g, struct err *err)
{
    for (size_t i = 0; i < g->note_count; i++)
        if (g->notes[i]->replaces && !g->notes[i]->inserts &&
            !task_store_replace(tx, &g->notes[i]->row, g->at_us, err))
            return false;
    return true;
}

bool tasks_store(struct tx *tx, struct task_group *g, struct err *err)
{
    if (g->broken.code != ERR_NONE) {
        *err = g->broken;
        return false;
    }
    return store_gates(tx, g, err) && store_sessions(tx, g, err) && store_rules(tx, g, err) &&
           store_rows(tx, g, inserts, task_store_insert, err) &&
           store_rows(tx, g, starts, task_store_start, err) &&
           store_rows(tx, g, completes, task_store_complete, err) &&
           store_rows(tx, g, saves, task_store_save, err) && store_replacements(tx, g, err) &&
           store_edges(tx, g, err) &&
           (g->deletes.count == 0 ||
            task_store_delete(tx, g->deletes.items, g->deletes.count, g->at_us, err)) &&
           flows_store(tx, &g->flows, err) &&
           (g->leaf_count == 0 || task_tally_store_add(tx, g->tallies, g->leaf_count, err)) &&
           forget_gates(tx, g, err) &&
           (!g->enqueues || task_store_set_last_id(tx, g->last_id, err)) &&
           (!g->trims || event_store_trim(tx, EVENTS_KEPT, err));
}

/* --- the outcome --- */

/* A key that is kept as long as the task is stored is found in the store from now on. */
static void forget_unique(struct engine *e, const struct task_note *note)
{
    struct unique_map *unique = e->tasks->unique;
    if (note->unique.low && unique_map_get(unique, note->unique) == note->row.id)
        unique_map_remove(unique, note->unique);
}

static void settle_note(struct engine *e, struct task_note *note)
{
    note->write = WRITE_NOTHING;
    note->inserts = note->replaces = false;
    if (!note->t)
        forget_unique(e, note);
    if (!note->t || note->t->state != JOB_RUNNING) {
        note_free(e, note);
        return;
    }
    /* Texts of ops that are answered now. */
    struct task_row *row = &note->row;
    row->lock = row->unique = row->key = row->batch = row->arguments = row->result =
        (struct str){NULL, 0};
    row->arguments_blob = row->result_blob = (struct task_blob){NULL, 0};
}

static void put_leaves(struct engine *e, struct task_group *g)
{
    for (size_t i = 0; g->tallies && i < g->leaf_count; i++)
        leaf_put(e, g->leaves[i]);
}

void tasks_committed(struct engine *e, struct group *group)
{
    struct task_group *g = &group->tasks;
    flows_committed(e, &g->flows);
    for (size_t i = 0; i < g->note_count; i++)
        settle_note(e, g->notes[i]);
    g->note_count = 0;
    put_leaves(e, g);
    g->leaf_count = 0;
    task_shows_committed(e, &g->ended);
    if (g->ended.count)
        tasks_keep_later(e);
}

void task_take_back(struct op *op, const struct err *why)
{
    if (op->err.code == ERR_NONE)
        op->err = *why;
    switch (op->kind) {
    case OP_TASK_CLAIM:
        op->task_claim.count = op->task_claim.abort_count = 0;
        break;
    case OP_TASK_SETTLE:
        op->task_settle.claim.count = op->task_settle.abort_count = 0;
        break;
    default:
        break;
    }
}

void task_group_drop_notes(struct engine *e, struct task_group *g)
{
    for (size_t i = 0; i < g->note_count; i++)
        note_free(e, g->notes[i]);
    g->note_count = g->leaf_count = 0;
}

/* Bulk verbs that go on have done a part that came to nothing. */
static void end_controls(struct engine *e, const struct err *why)
{
    for (struct op **at = &e->tasks->slices; *at;) {
        struct op *op = *at;
        if (op->kind != OP_TASK_CONTROL) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        op->err = *why;
        op->done(op);
    }
}

void tasks_failed(struct engine *e, struct group *group, const struct err *why)
{
    struct tasks *tasks = e->tasks;
    if (!tasks_stir(group))
        return;
    for (size_t i = 0; i < group->answers.count; i++) {
        struct op *op = group->answers.items[i];
        if (op->kind >= OP_ENQUEUE)
            task_take_back(op, why);
    }
    if (why->code == ERR_FATAL) {
        task_group_drop_notes(e, &group->tasks);
        return;
    }
    tasks->refused_why = *why;
    tasks->refused_until_us = e->now.mono_us + RETRY_US;
    struct err unread;
    if (!tasks_load(e, &unread))
        LOG1(LOG_ERROR, "tasks.unread", "reason", "%s", unread.text);
    end_controls(e, why);
}

void task_group_release(struct task_group *g)
{
    for (size_t i = 0; i < g->event_count; i++)
        buf_release(&g->events[i].detail);
    flow_group_release(&g->flows);
    free(g->notes);
    free(g->edges);
    free(g->drops);
    free(g->moves);
    free(g->leaves);
    free(g->events);
    free(g->tallies);
    free(g->gates);
    free(g->gate_fresh);
    free(g->counts);
    free(g->sessions);
    free(g->rules);
    id_list_release(&g->forgets);
    id_list_release(&g->deletes);
    id_list_release(&g->ended);
    id_list_release(&g->session_deletes);
    id_list_release(&g->gate_deletes);
    *g = (struct task_group){0};
}
