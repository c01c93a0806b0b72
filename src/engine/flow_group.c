/* flow_group.c: what a group has decided about flows, into the store: in the transaction of the
 * group and behind what it has decided about tasks, so that a mark and the end of its task are
 * stored together or not at all. */
#include "engine/engine_state.h"

#include "store/flow_context_store.h"

#include <malloc.h>
#include <stdlib.h>

/* A group that so many nodes went through has left as much memory behind as its process may need
 * for long: it goes back. */
enum { MANY_NODES = 10000 };

bool flows_stir(const struct flow_group *g)
{
    return g->touched_count || g->change_count || g->begin_count || g->delete_count ||
           g->event_count;
}

void flow_group_change(struct flow_group *g, const struct flow_change *change)
{
    if (g->change_count == g->change_cap) {
        g->change_cap = g->change_cap ? g->change_cap * 2 : 32;
        g->changes = xrealloc(g->changes, g->change_cap * sizeof *g->changes);
    }
    g->changes[g->change_count++] = *change;
}

void flow_group_begin(struct flow_group *g, const struct flow_begin *begin)
{
    g->begins = xrealloc(g->begins, (g->begin_count + 1) * sizeof *g->begins);
    g->begins[g->begin_count++] = *begin;
}

void flow_group_delete(struct flow_group *g, int64_t id)
{
    g->deletes = xrealloc(g->deletes, (g->delete_count + 1) * sizeof *g->deletes);
    g->deletes[g->delete_count++] = id;
}

static void begin_release(struct flow_begin *begin)
{
    for (size_t i = 0; i < begin->text_count; i++)
        free(begin->texts[i]);
    free(begin->texts);
    free(begin->rows);
}

void flow_group_drop(struct flow_group *g, const struct flow_job *flow)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->change_count; i++)
        if (g->changes[i].flow != flow)
            g->changes[kept++] = g->changes[i];
    g->change_count = kept;
    kept = 0;
    for (size_t i = 0; i < g->begin_count; i++)
        if (g->begins[i].flow != flow)
            g->begins[kept++] = g->begins[i];
        else
            begin_release(&g->begins[i]);
    g->begin_count = kept;
    kept = 0;
    for (size_t i = 0; i < g->touched_count; i++)
        if (g->touched[i] != flow)
            g->touched[kept++] = g->touched[i];
    g->touched_count = kept;
}

/* --- staging --- */

void flows_stage(struct engine *e, struct flow_group *g)
{
    g->now_us = e->now.wall_us;
    for (size_t i = 0; i < g->touched_count; i++) {
        struct flow_job *flow = g->touched[i];
        flow->in_group = false;
        for (int mark = 0; flow->marks && mark < FLOW_MARK_COUNT; mark++)
            flow->row.counts[mark] = flow_marks_of(flow->marks, (enum flow_mark)mark);
    }
}

void flow_events_stage(struct engine *e, struct flow_group *g)
{
    for (size_t i = 0; i < g->event_count; i++)
        engine_task_event(e, g->events[i].kind, buf_str(&g->events[i].detail));
}

/* --- storing: the committer --- */

static bool store_presets(struct tx *tx, const struct flow_begin *begin, int64_t now_us,
                          struct err *err)
{
    for (size_t i = 0; i < begin->preset_count; i++) {
        int64_t version = 0;
        bool done = false;
        OWNED_BUF struct buf value;
        buf_init(&value, BUF_NO_CAP);
        flow_pickle_text(begin->presets[i].text, &value);
        struct flow_context_row row = {
            .key = begin->presets[i].key, .bytes = (int64_t)value.len, .value = buf_str(&value)};
        if (!flow_context_store_put(tx, begin->flow->row.id, &row, -1, now_us, &done, &version,
                                    err))
            return false;
    }
    return true;
}

static bool store_begin(struct tx *tx, const struct flow_begin *begin, int64_t now_us,
                        struct err *err)
{
    int64_t id = begin->flow->row.id;
    return flow_node_store_replace(tx, id, begin->rows, begin->count, err) &&
           (!begin->clears || flow_context_store_clear(tx, id, now_us, err)) &&
           store_presets(tx, begin, now_us, err);
}

static bool store_change(struct tx *tx, struct flow_change *change, struct err *err)
{
    struct flow_node_row row = change->row;
    bool failed = row.mark == FLOW_FAILED || row.mark == FLOW_ABORTED;
    row.error = failed ? change->note->row.error : (struct str){NULL, 0};
    return flow_node_store_end(tx, change->flow->row.id, &row, err);
}

bool flows_store(struct tx *tx, const struct flow_group *g, struct err *err)
{
    for (size_t i = 0; i < g->delete_count; i++)
        if (!flow_store_delete(tx, g->deletes[i], g->now_us, err))
            return false;
    for (size_t i = 0; i < g->touched_count; i++)
        if (!flow_store_put(tx, &g->touched[i]->row, err))
            return false;
    for (size_t i = 0; i < g->begin_count; i++)
        if (!store_begin(tx, &g->begins[i], g->now_us, err))
            return false;
    for (size_t i = 0; i < g->change_count; i++)
        if (!store_change(tx, &g->changes[i], err))
            return false;
    return true;
}

/* --- the outcome --- */

void flows_committed(struct engine *e, struct flow_group *g)
{
    for (size_t i = 0; i < g->touched_count; i++)
        if (g->touched[i]->row.state != JOB_RUNNING)
            flow_rest(e, g->touched[i]);
}

void flow_group_release(struct flow_group *g)
{
    bool many = g->change_count > MANY_NODES;
    for (size_t i = 0; i < g->begin_count; i++)
        many = many || g->begins[i].count > MANY_NODES;
    for (size_t i = 0; i < g->begin_count; i++)
        begin_release(&g->begins[i]);
    for (size_t i = 0; i < g->event_count; i++)
        buf_release(&g->events[i].detail);
    free(g->touched);
    free(g->changes);
    free(g->begins);
    free(g->deletes);
    free(g->events);
    *g = (struct flow_group){0};
    if (many)
        malloc_trim(0);
}
