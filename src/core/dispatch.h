/* dispatch.h: all tasks that have not ended, and which of them may run next. Pure: no clock, no
 * I/O.
 *
 * A *lane* holds the tasks of one queue, function and key that could run now but for limits, in a
 * heap by priority and age. Tasks that wait for their time or their parents are in no lane; of
 * those that share a lock in a queue only the first is, and none while another runs.
 *
 * To find the next task, the heads of lanes are compared: by priority, then by whose turn it is,
 * then by age; in a fair queue turns come before priority. Whose turn: that key's which has waited
 * longest for one, since its last start, or since it came to have tasks that could run. So each key
 * waits for no more than one task of each other key, however many keys come. Tasks without a key
 * take turns as if they had one of their own. Between the firsts of several queues it is priority,
 * turn, age, whether those queues are fair or not.
 *
 * A lane whose key has used up a limit is set aside until that limit has room. Nothing is ever
 * scanned: claiming costs O(log waiting) and a look at each (queue, function) pair that has
 * something. */
#ifndef PENSTOCK_CORE_DISPATCH_H
#define PENSTOCK_CORE_DISPATCH_H

#include "base/clock.h"
#include "core/limit.h"
#include "core/task.h"

struct dispatch;

struct dispatch *dispatch_new(void);
void dispatch_free(struct dispatch *d);
DEFINE_OWNED(dispatch)
/* The process begins, on tasks of before: rates that are set from now on wait as if something had
 * just started. */
void dispatch_begin(struct dispatch *d, struct instant now);

/* Queues and functions by name: their places, growing from 0; made when new. Never forgotten. */
uint32_t dispatch_queue(struct dispatch *d, struct str name);
uint32_t dispatch_function(struct dispatch *d, struct str name);
size_t dispatch_queue_count(const struct dispatch *d);
size_t dispatch_function_count(const struct dispatch *d);
const char *dispatch_queue_name(const struct dispatch *d, uint32_t queue);
const char *dispatch_function_name(const struct dispatch *d, uint32_t function);

/* What holds a queue or a function back. Copied; takes effect at once. */
struct gate {
    bool paused;
    bool closed;         /* as paused, but nobody's setting: what is there is being taken away */
    int64_t concurrency; /* 0: no limit */
    double rpm;          /* starts a minute; 0: no limit */
    bool fair;           /* of a queue: turns of keys before priority */
    bool in_order;       /* of a queue: no turns of keys; among equal priorities the oldest */
};
void dispatch_set_queue_gate(struct dispatch *d, uint32_t queue, const struct gate *gate);
/* Of a queue of which nothing has started for as long as its rate asks: the next may start at once.
 */
void dispatch_rest_queue(struct dispatch *d, uint32_t queue);
void dispatch_set_function_gate(struct dispatch *d, uint32_t function, const struct gate *gate);
const struct gate *dispatch_queue_gate(const struct dispatch *d, uint32_t queue);
const struct gate *dispatch_function_gate(const struct dispatch *d, uint32_t function);
/* All rules for keys, in place of those before; copied. What runs counts at once. */
void dispatch_set_key_rules(struct dispatch *d, const struct key_rule *rules, size_t count);

/* A task as it enters: by being enqueued or from the store. */
struct task_entry {
    int64_t id; /* > 0, not in here */
    uint32_t queue, function;
    struct str key, lock; /* empty: none; copied */
    int16_t priority;
    uint32_t attempts, max_attempts, fence;
    int64_t run_at_us; /* wall: not before; 0 */
    int64_t retry_us;  /* monotonic: not before; 0. Of both the one that is later now holds */
    uint32_t parents;  /* open ones */
};
/* Takes it up: blocked while it has open parents or its time is not come, else pending; ids need
 * not grow. Borrowed: valid until dispatch_remove. */
struct task *dispatch_add(struct dispatch *d, const struct task_entry *entry, struct instant now);
/* NULL when there is none that has not ended. */
struct task *dispatch_find(const struct dispatch *d, int64_t id);
size_t dispatch_count(const struct dispatch *d);
/* Each of them, in no order; `each` must not change d. */
void dispatch_each(const struct dispatch *d, void (*each)(void *context, struct task *t),
                   void *context);

uint32_t task_queue(const struct task *t);
uint32_t task_function(const struct task *t);
struct str task_key_name(const struct task *t);  /* borrowed while it is in here; empty: none */
struct str task_lock_name(const struct task *t); /* likewise */
/* Until when it waits for its time, wall (a retry's as seen from the last instant told); 0: it does
 * not. */
int64_t task_waits_until_us(const struct dispatch *d, const struct task *t);

/* What a claim asks for. */
struct claim_ask {
    const uint32_t *queues, *functions; /* NULL: all */
    size_t queue_count, function_count;
    size_t max;
};
/* Takes up to ask->max tasks, the next first: running from now on for that session, attempts and
 * fence counted, room in limits and locks used. `out` holds ask->max. Returns how many. */
size_t dispatch_take(struct dispatch *d, const struct claim_ask *ask, int64_t session,
                     struct instant now, struct task **out);
/* A task that ran before a restart runs on in that session: no attempt counted, room used even if
 * there is none. It is pending, and none that shares its lock runs. */
void dispatch_resume(struct dispatch *d, struct task *t, int64_t session, int64_t started_at_us);

/* A running task runs no more and waits again, until retry_us (monotonic; 0: at once). `spent`: the
 * attempt counts; else it is as if it had not been started (its fence stays). t->run is freed. */
void dispatch_return(struct dispatch *d, struct task *t, bool spent, int64_t retry_us,
                     struct instant now);
/* The task has ended (any way, from any state): frees it. */
void dispatch_remove(struct dispatch *d, struct task *t, struct instant now);
/* A parent of the task ended well. */
void dispatch_parent_done(struct dispatch *d, struct task *t, struct instant now);
#define DISPATCH_SAME_TIME INT64_C(-1)
/* Replaces what a task that is not running waits by (unique, on_clash replace; change of priority):
 * run_at_us (0: none) takes the place of what time it waits for, a retry's too; with
 * DISPATCH_SAME_TIME that stays. */
void dispatch_change(struct dispatch *d, struct task *t, int16_t priority, int64_t run_at_us,
                     struct instant now);

/* Lets tasks through whose time has come; to be called first in each step. Returns whether since
 * the last tick time alone let anything run that could not before. */
bool dispatch_tick(struct dispatch *d, struct instant now);
/* When dispatch_tick is needed next: a time has come or a rate has room again (monotonic; a
 * wall-clock time is seen from `now`); NEVER_US. Counts on everything having been tried that
 * dispatch_may_have says yes to. */
int64_t dispatch_next_us(struct dispatch *d, struct instant now);
/* Whether a claim that asks so might get something, as of the last instant told. May say yes in
 * vain (then dispatch_take takes nothing, and it says no until something changes), never no. */
bool dispatch_may_have(struct dispatch *d, const struct claim_ask *ask);
/* After a claim that got nothing: when (monotonic, or a little later) a rate lets something start
 * that nothing else keeps from it; NEVER_US: there is no such thing. */
int64_t dispatch_rates_open_us(struct dispatch *d, const struct claim_ask *ask, struct instant now);

/* How many are where. */
struct task_counts {
    int64_t blocked, pending, running;
};
struct task_counts dispatch_queue_counts(const struct dispatch *d, uint32_t queue);
struct task_counts dispatch_function_counts(const struct dispatch *d, uint32_t function);

/* Why a task does not run at this moment. */
enum task_hold {
    HOLD_NOTHING, /* the first of its lane: as soon as a worker asks and its key has its turn */
    HOLD_RUNS,
    HOLD_PARENTS,
    HOLD_PARENT_FAILED, /* never said here: what has ended is not known. *by: the parent */
    HOLD_TIME,
    HOLD_LOCK, /* *by: the task that has it, or that comes before */
    HOLD_QUEUE_PAUSED,
    HOLD_FUNCTION_PAUSED,
    HOLD_QUEUE_LIMIT,
    HOLD_FUNCTION_LIMIT,
    HOLD_KEY_LIMIT,
    HOLD_BEHIND,    /* *by: a task of its lane that comes before */
    HOLD_NO_WORKER, /* the engine's: no session takes such tasks (task_explain) */
    HOLD_COUNT
};
/* *by is 0 where nothing else is said. */
enum task_hold dispatch_explain(const struct dispatch *d, const struct task *t, struct instant now,
                                int64_t *by);

#endif
