/* dispatch_own.h: what dispatch*.c share; nobody else includes it.
 *
 * A task that has not ended is in exactly one of these places:
 *
 *   running                              t->run
 *   waits for its time                   a heap of times, by t->waits
 *   waits for its parents only           nowhere
 *   behind others of its lock            lock->behind
 *   could run but for limits and turns   lane->tasks ("ready"; with a lock it is lock->first)
 *
 * A lane with ready tasks is in the heap of its pair (queue, function), or set aside with its key.
 * A pair with lanes in its heap is in the list d->ready. Lanes and keys come and go with their
 * tasks; queues, functions and pairs stay.
 *
 * Two things are done late, when a lane comes to the top of its pair's heap, so that a start costs
 * the same however many lanes its key has: taking over its key's latest turn (turns only grow, so
 * the top of the heap is right once it is up to date), and setting it aside when its key has no
 * room. */
#ifndef PENSTOCK_CORE_DISPATCH_OWN_H
#define PENSTOCK_CORE_DISPATCH_OWN_H

#include "core/dispatch.h"
#include "core/heap.h"
#include "core/table.h"
#include "core/task_slab.h"

enum { WAITS_NOT, WAITS_WALL, WAITS_MONO, WAITS_COUNT };

/* A queue or a function. */
struct station {
    uint32_t place; /* among its kind */
    uint32_t hash;
    struct gate gate;
    bool named_only;    /* a claim from all queues does not mean it */
    struct limit limit; /* of the gate */
    struct task_counts counts;
    uint64_t asked;    /* == d->asks: the present claim takes from it */
    struct lane *best; /* of a queue, while choosing */
    char *name;
};

static inline bool gate_is_shut(const struct gate *gate)
{
    return gate->paused || gate->closed;
}

struct pair {
    struct station *queue, *function;
    struct heap lanes; /* by the queue's order */
    uint32_t place;    /* in d->ready, while lanes.count > 0 */
};

/* What rules give a key. */
struct key_limit {
    struct limit limit;
    struct key *key;
    int64_t look_us; /* in d->looks: when something is to be done about it; 0: it is not there */
    uint32_t place;
};

struct key {
    struct key_limit *limited; /* NULL: no rule concerns it */
    struct lane *aside;        /* lanes set aside until it has room */
    uint64_t turn;             /* grows with each start, and when it comes to have ready tasks */
    uint32_t hash;
    uint32_t lanes, ready; /* how many there are; of them with ready tasks */
    uint32_t running;
    uint32_t len;
    char name[]; /* ended by NUL; "": no key */
};

struct lane {
    struct pair *pair;
    struct key *key;
    struct heap tasks;                     /* ready ones, by priority and age */
    uint64_t turn;                         /* the key's, as it was when last looked at */
    struct lane *next_aside, **this_aside; /* while set aside; this_aside NULL: it is not */
    uint32_t refs;                         /* tasks of it, in any state */
    uint32_t place;                        /* in pair->lanes, while tasks.count > 0 and not aside */
};

struct task_lock {
    struct station *queue;
    struct task *first; /* it runs, or stands in its lane; NULL: nobody could */
    struct heap behind; /* others that could, by priority and age */
    uint32_t hash;
    uint32_t refs; /* tasks of it, in any state */
    uint32_t len;
    char name[]; /* ended by NUL */
};

struct due {
    int64_t at_us;
    struct task *task;
};

/* Tasks by time. */
struct times {
    struct due *heap;
    uint32_t count, cap;
};

struct stations {
    struct station **all;
    size_t count, cap;
    struct table by_name;
};

struct dispatch {
    struct stations queues, functions;
    struct table tasks, pairs, keys, lanes, locks;
    struct pair **ready;
    size_t ready_count, ready_cap;
    struct times times[WAITS_COUNT]; /* [WAITS_NOT] stays empty */
    struct heap looks;               /* of key_limit */
    struct key_rule *rules;          /* owned with their texts */
    size_t rule_count;
    uint64_t turns, asks;         /* counters */
    int64_t began_us;             /* monotonic: what started before is not known; 0: nothing did */
    int64_t looked_us;            /* when limits and times were last looked at */
    bool any_queue, any_function; /* the present claim asks for all of them */
    bool gained;                  /* since the last tick something can run that could not before */
    struct instant now;           /* the last one told */
    struct task_slab *slab;
};

static inline struct station *station_of_queue(const struct task *t)
{
    return t->lane->pair->queue;
}
static inline struct station *station_of_function(const struct task *t)
{
    return t->lane->pair->function;
}

/* Priority, then age: the order in lanes and behind locks. */
static inline bool task_before(const void *a, const void *b)
{
    const struct task *x = a, *y = b;
    return x->priority != y->priority ? x->priority > y->priority : x->id < y->id;
}

/* dispatch_stations.c */
bool station_is_open(const struct station *s, int64_t now_us);
void stations_release(struct stations *all);

/* dispatch_look.c */
/* When rates of queues and functions let something start that they held back at the last look;
 * NEVER_US. That may be past: a clock goes on while a commit is made. */
int64_t rates_open_us(const struct dispatch *d);

/* dispatch_lanes.c */
struct lane *lane_must(struct dispatch *d, struct station *queue, struct station *function,
                       struct str key);
/* One task of it less; frees it, and its key, when it was the last and nothing is to be kept. */
void lane_unref(struct dispatch *d, struct lane *lane);
void lane_add(struct dispatch *d, struct task *t);
void lane_remove(struct dispatch *d, struct task *t);
/* Marks what the claim takes from: it is d->asks from now on. */
void dispatch_ask(struct dispatch *d, const struct claim_ask *ask);
bool lane_is_asked(const struct dispatch *d, const struct pair *p);
/* The lane whose head is next for that claim, NULL when there is none. */
struct lane *lane_next(struct dispatch *d, int64_t now_us);
/* The queue's order has changed. */
void lanes_order_anew(struct dispatch *d, const struct station *queue);
void lanes_release(struct dispatch *d);

/* dispatch_keys.c */
struct key *key_must(struct dispatch *d, struct str name);
/* Frees it when it has no lanes and its limit has forgotten everything. */
void key_drop(struct dispatch *d, struct key *key);
bool key_has_room(const struct key *key, int64_t now_us);
/* One of its tasks starts (or runs on, when `resumed`), or runs no more. */
void key_start(struct dispatch *d, struct key *key, bool resumed, int64_t now_us);
void key_end(struct dispatch *d, struct key *key, int64_t now_us);
/* Looks at it again as soon as time alone may give it room or lets it be forgotten. */
void key_look_later(struct dispatch *d, struct key *key, int64_t now_us);
/* Looks at those whose moment has come; whether any lane came back. */
bool keys_look(struct dispatch *d, int64_t now_us);
void keys_release(struct dispatch *d);
/* The lanes that were set aside are back in their pairs' heaps. Whether there were any. */
bool lanes_come_back(struct dispatch *d, struct key *key);

/* dispatch_locks.c */
struct task_lock *lock_must(struct dispatch *d, struct station *queue, struct str name);
void lock_unref(struct dispatch *d, struct task_lock *lock);
/* A task of it could run: it stands in its lane, or behind. */
void lock_enter(struct dispatch *d, struct task *t);
/* The task, which runs, stands in its lane or behind, leaves; the next goes into its lane. */
void lock_leave(struct dispatch *d, struct task *t);
/* The task, which stands in its lane or behind, starts. */
void lock_start(struct dispatch *d, struct task *t);
void locks_release(struct dispatch *d);

/* dispatch_times.c */
void times_add(struct dispatch *d, struct task *t, unsigned waits, int64_t at_us);
void times_remove(struct dispatch *d, struct task *t);
int64_t times_of(const struct dispatch *d, const struct task *t);
/* Takes out one that is due, NULL when none is. */
struct task *times_take_due(struct dispatch *d, struct instant now);
int64_t times_next_us(const struct dispatch *d, struct instant now); /* monotonic, NEVER_US */
void times_release(struct dispatch *d);

#endif
