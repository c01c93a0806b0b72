/* dispatch_lanes.c: tasks that could run but for limits, by queue, function and key, and whose turn
 * it is. */
#include "core/dispatch_own.h"

#include <xxhash.h>

static const struct heap_order by_priority = {task_before, offsetof(struct task, place)};

static const struct task *head(const struct lane *lane)
{
    assert(lane->tasks.items);
    return lane->tasks.items[0];
}

/* Turns, or priorities first; then age. Two lanes have one turn only when they have one key. */
static bool head_before(const struct lane *x, const struct lane *y, const struct gate *gate)
{
    const struct task *a = head(x), *b = head(y);
    if (gate->fair && x->turn != y->turn)
        return x->turn < y->turn;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (!gate->in_order && x->turn != y->turn)
        return x->turn < y->turn;
    return a->id < b->id;
}

static bool lane_before(const void *a, const void *b)
{
    const struct lane *x = a;
    return head_before(x, b, &x->pair->queue->gate);
}

static const struct heap_order by_turn = {lane_before, offsetof(struct lane, place)};

/* --- pairs and lanes by what they are for --- */

struct pair_ask {
    const struct station *queue, *function;
};

static uint64_t hash_two(const void *a, const void *b)
{
    const void *both[] = {a, b};
    return XXH3_64bits(both, sizeof both);
}

static uint64_t pair_hash(const void *item)
{
    const struct pair *p = item;
    return hash_two(p->queue, p->function);
}

static bool pair_is(const void *item, const void *ask)
{
    const struct pair *p = item;
    const struct pair_ask *a = ask;
    return p->queue == a->queue && p->function == a->function;
}

static const struct table_kind pair_kind = {pair_hash, pair_is};

static struct pair *pair_must(struct dispatch *d, struct station *queue, struct station *function)
{
    struct pair_ask ask = {queue, function};
    struct pair *p = table_find(&d->pairs, &pair_kind, hash_two(queue, function), &ask);
    if (p)
        return p;
    p = xcalloc(1, sizeof *p);
    p->queue = queue;
    p->function = function;
    table_add(&d->pairs, &pair_kind, p);
    return p;
}

struct lane_ask {
    const struct pair *pair;
    const struct key *key;
};

static uint64_t lane_hash(const void *item)
{
    const struct lane *l = item;
    return hash_two(l->pair, l->key);
}

static bool lane_is(const void *item, const void *ask)
{
    const struct lane *l = item;
    const struct lane_ask *a = ask;
    return l->pair == a->pair && l->key == a->key;
}

static const struct table_kind lane_kind = {lane_hash, lane_is};

struct lane *lane_must(struct dispatch *d, struct station *queue, struct station *function,
                       struct str name)
{
    struct pair *pair = pair_must(d, queue, function);
    struct key *key = key_must(d, name);
    struct lane_ask ask = {pair, key};
    struct lane *l = table_find(&d->lanes, &lane_kind, hash_two(pair, key), &ask);
    if (!l) {
        l = xcalloc(1, sizeof *l);
        l->pair = pair;
        l->key = key;
        key->lanes++;
        table_add(&d->lanes, &lane_kind, l);
    }
    l->refs++;
    return l;
}

static void lane_free(struct lane *lane)
{
    if (lane)
        free(lane->tasks.items);
    free(lane);
}

void lane_unref(struct dispatch *d, struct lane *lane)
{
    if (--lane->refs)
        return;
    assert(lane->tasks.count == 0);
    table_remove(&d->lanes, &lane_kind, lane);
    lane->key->lanes--;
    key_drop(d, lane->key);
    lane_free(lane);
}

void lanes_release(struct dispatch *d)
{
    for (size_t i = 0; i < d->lanes.size; i++)
        lane_free(d->lanes.slots[i]);
    free(d->lanes.slots);
    for (size_t i = 0; i < d->pairs.size; i++) {
        struct pair *p = d->pairs.slots[i];
        if (p)
            free(p->lanes.items);
        free(p);
    }
    free(d->pairs.slots);
    free(d->ready);
}

/* --- in and out --- */

static void enter_pair(struct dispatch *d, struct lane *lane)
{
    struct pair *p = lane->pair;
    lane->turn = lane->key->turn;
    heap_add(&p->lanes, &by_turn, lane);
    if (p->lanes.count > 1)
        return;
    if (d->ready_count == d->ready_cap) {
        d->ready_cap = d->ready_cap ? d->ready_cap * 2 : 8;
        d->ready = xrealloc(d->ready, d->ready_cap * sizeof *d->ready);
    }
    p->place = (uint32_t)d->ready_count;
    d->ready[d->ready_count++] = p;
}

static void leave_pair(struct dispatch *d, struct lane *lane)
{
    struct pair *p = lane->pair;
    heap_remove(&p->lanes, &by_turn, lane);
    if (p->lanes.count)
        return;
    struct pair *last = d->ready[--d->ready_count];
    d->ready[p->place] = last;
    last->place = p->place;
}

static void set_aside(struct dispatch *d, struct lane *lane)
{
    struct key *key = lane->key;
    leave_pair(d, lane);
    lane->next_aside = key->aside;
    lane->this_aside = &key->aside;
    if (key->aside)
        key->aside->this_aside = &lane->next_aside;
    key->aside = lane;
}

static void leave_aside(struct lane *lane)
{
    *lane->this_aside = lane->next_aside;
    if (lane->next_aside)
        lane->next_aside->this_aside = lane->this_aside;
    lane->this_aside = NULL;
}

bool lanes_come_back(struct dispatch *d, struct key *key)
{
    bool any = key->aside != NULL;
    while (key->aside) {
        struct lane *lane = key->aside;
        leave_aside(lane);
        enter_pair(d, lane);
    }
    return any;
}

void lane_add(struct dispatch *d, struct task *t)
{
    struct lane *lane = t->lane;
    heap_add(&lane->tasks, &by_priority, t);
    if (lane->tasks.count == 1) {
        if (lane->key->ready++ == 0)
            lane->key->turn = ++d->turns;
        enter_pair(d, lane);
    } else if (t->place == 0 && !lane->this_aside) {
        heap_move(&lane->pair->lanes, &by_turn, lane);
    }
}

void lane_remove(struct dispatch *d, struct task *t)
{
    struct lane *lane = t->lane;
    bool was_head = t->place == 0;
    if (lane->tasks.count == 1) {
        /* Out of its heap first: there it is compared by its head. */
        lane->key->ready--;
        if (lane->this_aside)
            leave_aside(lane);
        else
            leave_pair(d, lane);
    }
    heap_remove(&lane->tasks, &by_priority, t);
    if (was_head && lane->tasks.count && !lane->this_aside)
        heap_move(&lane->pair->lanes, &by_turn, lane);
}

void lanes_order_anew(struct dispatch *d, const struct station *queue)
{
    for (size_t i = 0; i < d->ready_count; i++)
        if (d->ready[i]->queue == queue)
            heap_order_anew(&d->ready[i]->lanes, &by_turn);
}

/* --- choosing --- */

/* The first lane of the pair that has room, brought up to date; NULL when none has: the pair has
 * then left the list of those that are ready. */
static struct lane *pair_first(struct dispatch *d, struct pair *p, int64_t now_us)
{
    struct lane *lane = NULL;
    while ((lane = heap_first(&p->lanes))) {
        if (!key_has_room(lane->key, now_us)) {
            set_aside(d, lane);
            key_look_later(d, lane->key, now_us);
        } else if (lane->turn != lane->key->turn) {
            lane->turn = lane->key->turn;
            heap_move(&p->lanes, &by_turn, lane);
        } else {
            break;
        }
    }
    return lane;
}

/* NULL asks for all, whoever comes. */
static bool mark(struct dispatch *d, struct stations *all, const uint32_t *places, size_t count)
{
    for (size_t i = 0; places && i < count; i++) {
        assert(places[i] < all->count);
        all->all[places[i]]->asked = d->asks;
    }
    return !places;
}

void dispatch_ask(struct dispatch *d, const struct claim_ask *ask)
{
    d->asks++;
    d->any_queue = mark(d, &d->queues, ask->queues, ask->queue_count);
    d->any_function = mark(d, &d->functions, ask->functions, ask->function_count);
}

bool lane_is_asked(const struct dispatch *d, const struct pair *p)
{
    return ((d->any_queue && !p->queue->named_only) || p->queue->asked == d->asks) &&
           (d->any_function || p->function->asked == d->asks);
}

struct lane *lane_next(struct dispatch *d, int64_t now_us)
{
    static const struct gate between = {.fair = false}; /* queues */
    struct lane *best = NULL;
    for (size_t i = 0; i < d->ready_count; i++)
        d->ready[i]->queue->best = NULL;
    /* From the end: a pair that is left with nothing is replaced by one that was looked at. */
    for (size_t i = d->ready_count; i-- > 0;) {
        struct pair *p = d->ready[i];
        if (!lane_is_asked(d, p) || !station_is_open(p->queue, now_us) ||
            !station_is_open(p->function, now_us))
            continue;
        struct lane *lane = pair_first(d, p, now_us);
        if (lane && (!p->queue->best || head_before(lane, p->queue->best, &p->queue->gate)))
            p->queue->best = lane;
    }
    for (size_t i = 0; i < d->ready_count; i++) {
        struct lane *lane = d->ready[i]->queue->best;
        if (lane && (!best || head_before(lane, best, &between)))
            best = lane;
    }
    return best;
}
