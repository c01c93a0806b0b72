/* dispatch_stations.c: queues and functions: their names, gates and counts. */
#include "core/dispatch_own.h"

#include "core/step.h"

#include <xxhash.h>

static uint64_t station_hash(const void *item)
{
    return ((const struct station *)item)->hash;
}

static bool station_is(const void *item, const void *ask)
{
    const struct station *s = item;
    return str_eq(str_of(s->name), *(const struct str *)ask);
}

static const struct table_kind by_name = {station_hash, station_is};

static uint32_t station_must(struct stations *all, struct str name)
{
    uint32_t hash = (uint32_t)XXH3_64bits(name.ptr, name.len);
    struct station *s = table_find(&all->by_name, &by_name, hash, &name);
    if (s)
        return s->place;
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 8;
        all->all = xrealloc(all->all, all->cap * sizeof *all->all);
    }
    s = xcalloc(1, sizeof *s);
    s->place = (uint32_t)all->count;
    s->hash = hash;
    s->name = xstrndup(name.ptr, name.len);
    limit_init(&s->limit, 0, 0);
    table_add(&all->by_name, &by_name, s);
    all->all[all->count++] = s;
    return s->place;
}

bool station_is_open(const struct station *s, int64_t now_us)
{
    return !gate_is_shut(&s->gate) && limit_has_room(&s->limit, now_us);
}

void stations_release(struct stations *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->all[i]->name);
        free(all->all[i]);
    }
    free(all->all);
    free(all->by_name.slots);
}

uint32_t dispatch_queue(struct dispatch *d, struct str name)
{
    uint32_t place = station_must(&d->queues, name);
    d->queues.all[place]->named_only = step_queue_is(name);
    return place;
}

uint32_t dispatch_function(struct dispatch *d, struct str name)
{
    return station_must(&d->functions, name);
}

size_t dispatch_queue_count(const struct dispatch *d)
{
    return d->queues.count;
}

size_t dispatch_function_count(const struct dispatch *d)
{
    return d->functions.count;
}

static struct station *station_at(const struct stations *all, uint32_t place)
{
    assert(place < all->count);
    return all->all[place];
}

const char *dispatch_queue_name(const struct dispatch *d, uint32_t queue)
{
    return station_at(&d->queues, queue)->name;
}

const char *dispatch_function_name(const struct dispatch *d, uint32_t function)
{
    return station_at(&d->functions, function)->name;
}

static void set_gate(struct dispatch *d, struct station *s, const struct gate *gate)
{
    bool had_rate = s->limit.rpm > 0;
    s->gate = *gate;
    limit_set(&s->limit, gate->concurrency, gate->rpm);
    if (!had_rate && d->began_us)
        limit_wait(&s->limit, d->began_us);
}

void dispatch_rest_queue(struct dispatch *d, uint32_t queue)
{
    station_at(&d->queues, queue)->limit.next_us = 0;
}

void dispatch_set_queue_gate(struct dispatch *d, uint32_t queue, const struct gate *gate)
{
    struct station *s = station_at(&d->queues, queue);
    bool other_order = s->gate.fair != gate->fair || s->gate.in_order != gate->in_order;
    set_gate(d, s, gate);
    if (other_order)
        lanes_order_anew(d, s);
}

void dispatch_set_function_gate(struct dispatch *d, uint32_t function, const struct gate *gate)
{
    set_gate(d, station_at(&d->functions, function), gate);
}

const struct gate *dispatch_queue_gate(const struct dispatch *d, uint32_t queue)
{
    return &station_at(&d->queues, queue)->gate;
}

const struct gate *dispatch_function_gate(const struct dispatch *d, uint32_t function)
{
    return &station_at(&d->functions, function)->gate;
}

struct task_counts dispatch_queue_counts(const struct dispatch *d, uint32_t queue)
{
    return station_at(&d->queues, queue)->counts;
}

struct task_counts dispatch_function_counts(const struct dispatch *d, uint32_t function)
{
    return station_at(&d->functions, function)->counts;
}
