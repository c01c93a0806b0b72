/* dispatch_keys.c: keys: whose turn it is, and what rules let them have. */
#include "core/dispatch_own.h"

#include <math.h>
#include <xxhash.h>

static uint64_t key_hash(const void *item)
{
    return ((const struct key *)item)->hash;
}

static bool key_is(const void *item, const void *ask)
{
    const struct key *k = item;
    return str_eq((struct str){k->name, k->len}, *(const struct str *)ask);
}

static const struct table_kind kind = {key_hash, key_is};

static bool look_before(const void *a, const void *b)
{
    const struct key_limit *x = a, *y = b;
    return x->look_us < y->look_us;
}

static const struct heap_order by_look = {look_before, offsetof(struct key_limit, place)};

/* --- rules --- */

/* The lower of two figures of which 0 means none. */
static double lower(double a, double b)
{
    return a > 0 && (b <= 0 || a < b) ? a : b;
}

static void look_never(struct dispatch *d, struct key_limit *k)
{
    if (k->look_us)
        heap_remove(&d->looks, &by_look, k);
    k->look_us = 0;
}

/* What all rules that match give it: of each figure the lowest. */
static void apply_rules(struct dispatch *d, struct key *key)
{
    double concurrency = 0, rpm = 0;
    for (size_t i = 0; key->len && i < d->rule_count; i++)
        if (key_pattern_matches(str_of(d->rules[i].pattern), (struct str){key->name, key->len})) {
            concurrency = lower((double)d->rules[i].concurrency, concurrency);
            rpm = lower(d->rules[i].rpm, rpm);
        }
    bool limited = concurrency > 0 || rpm > 0;
    if (!limited && key->limited) {
        look_never(d, key->limited);
        free(TAKE(key->limited));
    } else if (limited && !key->limited) {
        key->limited = xcalloc(1, sizeof *key->limited);
        key->limited->key = key;
        key->limited->limit.running = key->running;
    }
    if (!limited)
        return;
    struct limit *l = &key->limited->limit;
    bool had_rate = l->rpm > 0;
    limit_set(l, (int64_t)concurrency, rpm);
    if (!had_rate && d->began_us)
        limit_wait(l, d->began_us);
}

static void release_rules(struct dispatch *d)
{
    for (size_t i = 0; i < d->rule_count; i++) {
        free(d->rules[i].name);
        free(d->rules[i].pattern);
    }
    free(TAKE(d->rules));
    d->rule_count = 0;
}

void dispatch_set_key_rules(struct dispatch *d, const struct key_rule *rules, size_t count)
{
    release_rules(d);
    d->rules = xcalloc(count + 1, sizeof *d->rules);
    for (size_t i = 0; i < count; i++) {
        d->rules[i] = rules[i];
        d->rules[i].name = xstrdup(rules[i].name);
        d->rules[i].pattern = xstrdup(rules[i].pattern);
    }
    d->rule_count = count;
    size_t keys = 0;
    OWNED_MEM struct key **all = xcalloc(d->keys.count + 1, sizeof *all);
    for (size_t i = 0; i < d->keys.size; i++)
        if (d->keys.slots[i])
            all[keys++] = d->keys.slots[i];
    for (size_t i = 0; i < keys; i++) {
        apply_rules(d, all[i]);
        /* The next claim sets them aside again where that is right. */
        lanes_come_back(d, all[i]);
        key_drop(d, all[i]);
    }
}

/* --- keys --- */

struct key *key_must(struct dispatch *d, struct str name)
{
    uint32_t hash = (uint32_t)XXH3_64bits(name.ptr, name.len);
    struct key *key = table_find(&d->keys, &kind, hash, &name);
    if (key)
        return key;
    key = xcalloc(1, sizeof *key + name.len + 1);
    key->hash = hash;
    key->len = (uint32_t)name.len;
    if (name.len)
        memcpy(key->name, name.ptr, name.len);
    table_add(&d->keys, &kind, key);
    apply_rules(d, key);
    return key;
}

static void key_free(struct key *key)
{
    if (key)
        free(key->limited);
    free(key);
}

bool key_has_room(const struct key *key, int64_t now_us)
{
    return !key->limited || limit_has_room(&key->limited->limit, now_us);
}

static void look_at(struct dispatch *d, struct key_limit *k, int64_t at_us)
{
    if (at_us == k->look_us)
        return;
    look_never(d, k);
    k->look_us = at_us;
    heap_add(&d->looks, &by_look, k);
}

void key_drop(struct dispatch *d, struct key *key)
{
    struct key_limit *k = key->limited;
    if (key->lanes)
        return;
    if (k && !limit_is_rested(&k->limit, d->now.mono_us)) {
        look_at(d, k, (int64_t)ceil(k->limit.next_us));
        return;
    }
    if (k)
        look_never(d, k);
    table_remove(&d->keys, &kind, key);
    key_free(key);
}

void key_look_later(struct dispatch *d, struct key *key, int64_t now_us)
{
    int64_t at_us = limit_next_us(&key->limited->limit, now_us);
    if (at_us != NEVER_US)
        look_at(d, key->limited, at_us);
}

void key_start(struct dispatch *d, struct key *key, bool resumed, int64_t now_us)
{
    key->running++;
    if (!resumed)
        key->turn = ++d->turns;
    if (key->limited && resumed)
        limit_resume(&key->limited->limit);
    else if (key->limited)
        limit_start(&key->limited->limit, now_us);
}

void key_end(struct dispatch *d, struct key *key, int64_t now_us)
{
    key->running--;
    if (!key->limited)
        return;
    limit_end(&key->limited->limit);
    if (!key->aside)
        return;
    if (key_has_room(key, now_us))
        lanes_come_back(d, key);
    else
        key_look_later(d, key, now_us);
}

bool keys_look(struct dispatch *d, int64_t now_us)
{
    bool any = false;
    for (struct key_limit *k = NULL; (k = heap_first(&d->looks)) && k->look_us <= now_us;) {
        struct key *key = k->key;
        look_never(d, k);
        if (!key->lanes)
            key_drop(d, key);
        else if (key_has_room(key, now_us))
            any = lanes_come_back(d, key) || any;
        else if (key->aside)
            key_look_later(d, key, now_us);
    }
    return any;
}

void keys_release(struct dispatch *d)
{
    for (size_t i = 0; i < d->keys.size; i++)
        key_free(d->keys.slots[i]);
    free(d->keys.slots);
    free(d->looks.items);
    release_rules(d);
}
