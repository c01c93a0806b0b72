/* dispatch_look.c: questions that change nothing: when, whether, and why not. */
#include "core/dispatch_own.h"

int64_t rates_open_us(const struct dispatch *d)
{
    int64_t first = NEVER_US, looked_us = d->looked_us;
    for (size_t i = 0; i < d->ready_count; i++) {
        const struct station *queue = d->ready[i]->queue, *function = d->ready[i]->function;
        if (gate_is_shut(&queue->gate) || gate_is_shut(&function->gate))
            continue;
        int64_t one = limit_next_us(&queue->limit, looked_us);
        int64_t other = limit_next_us(&function->limit, looked_us);
        int64_t both = one > other ? one : other;
        if (both > looked_us && both < first)
            first = both;
    }
    return first;
}

int64_t dispatch_next_us(struct dispatch *d, struct instant now)
{
    const struct key_limit *look = heap_first(&d->looks);
    int64_t next = times_next_us(d, now);
    int64_t opens_us = rates_open_us(d);
    if (look && look->look_us < next)
        next = look->look_us;
    return opens_us < next ? opens_us : next;
}

bool dispatch_may_have(struct dispatch *d, const struct claim_ask *ask)
{
    dispatch_ask(d, ask);
    for (size_t i = 0; i < d->ready_count; i++) {
        const struct pair *p = d->ready[i];
        if (lane_is_asked(d, p) && station_is_open(p->queue, d->now.mono_us) &&
            station_is_open(p->function, d->now.mono_us))
            return true;
    }
    return false;
}

static int64_t later(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

/* When its queue and its function have room by time alone; NEVER_US. */
static int64_t pair_opens_us(const struct pair *p, int64_t now_us)
{
    if (gate_is_shut(&p->queue->gate) || gate_is_shut(&p->function->gate))
        return NEVER_US;
    return later(limit_next_us(&p->queue->limit, now_us),
                 limit_next_us(&p->function->limit, now_us));
}

int64_t dispatch_rates_open_us(struct dispatch *d, const struct claim_ask *ask, struct instant now)
{
    int64_t first = NEVER_US;
    dispatch_ask(d, ask);
    for (size_t i = 0; i < d->ready_count; i++) {
        int64_t opens_us = pair_opens_us(d->ready[i], now.mono_us);
        if (lane_is_asked(d, d->ready[i]) && opens_us < first)
            first = opens_us;
    }
    for (size_t i = 0; i < d->looks.count; i++) {
        const struct key_limit *k = d->looks.items[i];
        int64_t key_us = limit_next_us(&k->limit, now.mono_us);
        for (const struct lane *l = k->key->aside; l && key_us < first; l = l->next_aside) {
            int64_t opens_us = later(key_us, pair_opens_us(l->pair, now.mono_us));
            if (lane_is_asked(d, l->pair) && opens_us < first)
                first = opens_us;
        }
    }
    return first;
}

static enum task_hold explain_ready(const struct task *t, int64_t now_us, int64_t *by)
{
    const struct station *queue = station_of_queue(t), *function = station_of_function(t);
    const struct task *head = t->lane->tasks.items[0];
    if (gate_is_shut(&queue->gate))
        return HOLD_QUEUE_PAUSED;
    if (function->gate.paused)
        return HOLD_FUNCTION_PAUSED;
    if (!limit_has_room(&queue->limit, now_us))
        return HOLD_QUEUE_LIMIT;
    if (!limit_has_room(&function->limit, now_us))
        return HOLD_FUNCTION_LIMIT;
    if (!key_has_room(t->lane->key, now_us))
        return HOLD_KEY_LIMIT;
    if (head == t)
        return HOLD_NOTHING;
    *by = head->id;
    return HOLD_BEHIND;
}

enum task_hold dispatch_explain(const struct dispatch *d, const struct task *t, struct instant now,
                                int64_t *by)
{
    (void)d;
    *by = 0;
    if (t->state == JOB_RUNNING)
        return HOLD_RUNS;
    if (t->parents)
        return HOLD_PARENTS;
    if (t->waits != WAITS_NOT)
        return HOLD_TIME;
    if (t->lock && t->lock->first != t) {
        *by = t->lock->first->id;
        return HOLD_LOCK;
    }
    return explain_ready(t, now.mono_us, by);
}
