/* dispatch_model.c: see dispatch_model.h. */
#include "dispatch_model.h"

#include <math.h>

#define SECOND_US INT64_C(1000000)

struct model_task *model_find(struct model *m, int64_t id)
{
    for (int i = 0; i < TASKS_MAX; i++)
        if (m->tasks[i].id == id)
            return &m->tasks[i];
    return NULL;
}

static bool could(const struct model_task *t)
{
    return t->id && !t->running && !t->parents && !t->waits_wall && !t->waits_mono;
}

static bool older(const struct model_task *a, const struct model_task *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

const struct model_task *model_lock_first(const struct model *m, int queue, int lock)
{
    const struct model_task *best = NULL;
    for (int i = 0; i < TASKS_MAX; i++) {
        const struct model_task *t = &m->tasks[i];
        if (!t->id || t->lock != lock || t->queue != queue)
            continue;
        if (t->running)
            return t;
        if (could(t) && (!best || older(t, best)))
            best = t;
    }
    return best;
}

bool model_is_ready(const struct model *m, const struct model_task *t)
{
    return could(t) && (!t->lock || model_lock_first(m, t->queue, t->lock) == t);
}

void model_settle_turns(struct model *m)
{
    m->calls++;
    for (int k = 0; k < KEYS; k++) {
        bool ready = false;
        for (int i = 0; i < TASKS_MAX; i++)
            ready = ready || (m->tasks[i].key == k && model_is_ready(m, &m->tasks[i]));
        if (ready && !m->ready[k])
            m->turns[k] = m->calls;
        m->ready[k] = ready;
    }
}

/* The one that is let through next: those bound to the wall clock first, then by moment and age. */
static struct model_task *next_due(struct model *m, struct instant now)
{
    struct model_task *first = NULL;
    for (int i = 0; i < TASKS_MAX; i++) {
        struct model_task *t = &m->tasks[i];
        if (!(t->waits_wall && t->until_us <= now.wall_us) &&
            !(t->waits_mono && t->until_us <= now.mono_us))
            continue;
        bool earlier = first && (t->until_us != first->until_us ? t->until_us < first->until_us
                                                                : t->id < first->id);
        if (!first || (t->waits_wall != first->waits_wall ? t->waits_wall : earlier))
            first = t;
    }
    return first;
}

void model_tick(struct model *m, struct instant now)
{
    for (struct model_task *t = NULL; (t = next_due(m, now));) {
        t->waits_wall = t->waits_mono = false;
        model_settle_turns(m);
    }
}

int64_t model_running(const struct model *m, const struct model_gate *g)
{
    int64_t running = 0;
    for (int i = 0; i < TASKS_MAX; i++) {
        const struct model_task *t = &m->tasks[i];
        running += t->id && t->running &&
                   (g == &m->queues[t->queue] || g == &m->functions[t->function] ||
                    (t->key && g == &m->keys[t->key]));
    }
    return running;
}

/* How many starts lie in the span up to and with now. */
static int64_t started_within(const struct model_gate *g, int64_t now_us, int64_t span_us)
{
    int64_t count = 0;
    for (size_t i = g->start_count; i-- > g->counted_from && i + STARTS_MAX > g->start_count;) {
        if (g->starts[i % STARTS_MAX] <= now_us - span_us)
            break;
        count++;
    }
    return count;
}

/* With `more` starts at this moment. */
static bool fits_windows(const struct model_gate *g, int64_t now_us, int64_t more)
{
    double rpm = g->gate.rpm;
    if (!(rpm > 0))
        return true;
    if ((double)(started_within(g, now_us, 60 * SECOND_US) + more) > ceil(rpm))
        return false;
    return rpm < 60 || (double)(started_within(g, now_us, SECOND_US) + more) <= ceil(rpm / 60);
}

static enum model_may gate_may(const struct model *m, const struct model_gate *g, int64_t now_us)
{
    const struct gate *gate = &g->gate;
    if (gate->paused || (gate->concurrency && model_running(m, g) >= gate->concurrency))
        return MAY_NOT;
    if (!(gate->rpm > 0) || g->last_us == 0)
        return MAY_CERTAINLY;
    /* A little slower than the rate: by less than a hundredth. */
    if ((double)now_us >= (double)g->last_us + 60e6 / gate->rpm * 1.01 + 1)
        return MAY_CERTAINLY;
    return fits_windows(g, now_us, 1) ? MAY_PERHAPS : MAY_NOT;
}

enum model_may model_may_start(const struct model *m, const struct model_task *t, int64_t now_us)
{
    enum model_may may[] = {gate_may(m, &m->queues[t->queue], now_us),
                            gate_may(m, &m->functions[t->function], now_us),
                            t->key ? gate_may(m, &m->keys[t->key], now_us) : MAY_CERTAINLY};
    enum model_may least = MAY_CERTAINLY;
    for (int i = 0; i < 3; i++)
        least = may[i] < least ? may[i] : least;
    return least;
}

static int by_turn(const struct model *m, const struct model_task *a, const struct model_task *b)
{
    uint64_t x = m->turns[a->key], y = m->turns[b->key];
    return x != y ? (x < y ? 1 : -1) : 0;
}

int model_compare(const struct model *m, const struct model_task *a, const struct model_task *b)
{
    bool fair = a->queue == b->queue && m->queues[a->queue].gate.fair;
    int turn = a->key != b->key ? by_turn(m, a, b) : 0;
    bool tied = a->key != b->key && turn == 0;
    if (fair && (turn || tied))
        return turn;
    if (a->priority != b->priority)
        return a->priority > b->priority ? 1 : -1;
    if (turn || tied)
        return turn;
    return a->id < b->id ? 1 : -1;
}

static bool note_start(struct model_gate *g, int64_t now_us)
{
    g->starts[g->start_count++ % STARTS_MAX] = now_us;
    g->last_us = now_us;
    return fits_windows(g, now_us, 0);
}

bool model_start(struct model *m, struct model_task *t, int64_t now_us)
{
    bool fits = note_start(&m->queues[t->queue], now_us);
    fits = note_start(&m->functions[t->function], now_us) && fits;
    fits = (!t->key || note_start(&m->keys[t->key], now_us)) && fits;
    t->running = true;
    t->attempts++;
    t->fence++;
    model_settle_turns(m);
    m->turns[t->key] = ++m->calls;
    return fits;
}

void model_set_gate(struct model_gate *g, const struct gate *gate)
{
    if (gate->rpm > g->gate.rpm || gate->rpm < g->gate.rpm)
        g->counted_from = g->start_count;
    g->gate = *gate;
}
