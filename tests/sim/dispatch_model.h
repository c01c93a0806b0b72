/* dispatch_model.h: what docs/queue.md says of who runs next, word by word: a list of tasks, looked
 * through from end to end for every question. For sim_dispatch.c.
 *
 * Rates are the one thing it does not decide: it knows when one must have room (the last start is
 * long enough ago) and when one must not (a window would be too full); between, both are right. Of
 * keys that came to have something to run by one and the same call, any may have the first turn. */
#ifndef PENSTOCK_TESTS_DISPATCH_MODEL_H
#define PENSTOCK_TESTS_DISPATCH_MODEL_H

#include "core/dispatch.h"

enum { TASKS_MAX = 80, STATIONS = 3, KEYS = 6, LOCKS = 4, RULES_MAX = 3, STARTS_MAX = 4096 };

struct model_task {
    int64_t id;                     /* 0: this place is free */
    int queue, function, key, lock; /* key 0, lock 0: none */
    int16_t priority;
    uint32_t attempts, max_attempts, fence, parents;
    bool running, waits_wall, waits_mono;
    int64_t until_us;
    int64_t session;
};

/* A queue, a function or a key: what limits it, and what of it started. */
struct model_gate {
    struct gate gate;
    int64_t starts[STARTS_MAX]; /* monotonic; a ring */
    size_t start_count;
    size_t counted_from; /* starts before had another rate */
    int64_t last_us;     /* of the last start, or of a restart; 0 */
};

struct model {
    struct model_task tasks[TASKS_MAX];
    struct model_gate queues[STATIONS], functions[STATIONS], keys[KEYS];
    uint64_t turns[KEYS]; /* by the call that gave it */
    bool ready[KEYS];     /* had something to run after the last call */
    uint64_t calls;
};

/* What a claim or a rate says of a task. */
enum model_may { MAY_NOT, MAY_PERHAPS, MAY_CERTAINLY };

/* A call ended: keys that have something to run now and had nothing before get their turn. */
void model_settle_turns(struct model *m);
/* Lets those through whose time has come, one after the other. */
void model_tick(struct model *m, struct instant now);
/* It could run but for limits. */
bool model_is_ready(const struct model *m, const struct model_task *t);
/* Whether it could start now, as far as limits go. */
enum model_may model_may_start(const struct model *m, const struct model_task *t, int64_t now_us);
/* Whether of two that could start the first must: 1; the second: -1; either: 0. */
int model_compare(const struct model *m, const struct model_task *a, const struct model_task *b);
/* Notes a start; false when a window is too full by it. */
bool model_start(struct model *m, struct model_task *t, int64_t now_us);
void model_set_gate(struct model_gate *g, const struct gate *gate);
/* The first of a lock: who runs, or who is best of those that could. NULL. */
const struct model_task *model_lock_first(const struct model *m, int queue, int lock);
int64_t model_running(const struct model *m, const struct model_gate *g);
struct model_task *model_find(struct model *m, int64_t id);

#endif
