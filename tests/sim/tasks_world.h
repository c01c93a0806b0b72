/* tasks_world.h: what sim_tasks.c knows of the queue from the outside: what was acknowledged, who
 * was given what, and until when. It lives in shared memory and outlives the engine's process.
 *
 * A session is known by its number here, in order of their beginnings. `deadline_us` is never later
 * than the engine's: until then nobody else may be given what it holds. */
#ifndef PENSTOCK_TESTS_TASKS_WORLD_H
#define PENSTOCK_TESTS_TASKS_WORLD_H

#include "base/rng.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TASKS_MAX = 400,
    SESSIONS_MAX = 2000,
    WORKERS = 4,
    QUEUES = 2,
    FUNCTIONS = 2,
    KEYS = 4,  /* 0: none */
    LOCKS = 3, /* 0: none */
    UNIQUES = 4,
    PARENTS_MAX = 4,
    HELD_MAX = TASKS_MAX,
    STARTS_MAX = 4096,
    SCHEDULES = 3,
    GATES = QUEUES + FUNCTIONS + KEYS
};
#define SECOND_US INT64_C(1000000)
/* More than the engine needs to end a run whose time is over: a time-out, five seconds to obey, and
 * that nobody looks for some seconds. */
#define TIMED_OUT_US (60 * SECOND_US)
/* No retry waits longer. */
#define RETRY_MAX_US (60 * SECOND_US)

enum known_state {
    KNOWN_NOT,
    KNOWN_OPEN,
    KNOWN_COMPLETED,
    KNOWN_FAILED,
    KNOWN_CANCELLED,
    KNOWN_GONE
};

/* A task that was asked for: its place is what its arguments say. */
struct known {
    enum known_state state; /* KNOWN_NOT: not acknowledged */
    int64_t id, request;
    int queue, function, key, lock, unique;
    enum unique_while unique_while;
    int parents[PARENTS_MAX], parent_count;
    enum after_when when;
    int64_t run_at_us, max_attempts, fence, priority;
    int64_t delay_until_us; /* monotonic: it was asked for with a delay; 0 */
    int64_t delay_wall_us;  /* what the store has of that, or of a retry's delay, at most */
    int era;                /* in which it was asked for */
    bool retries, times_out;
    int64_t started_us; /* when it was last handed out */
    bool hangs;         /* whoever has it now never settles it: its time-out must */
    bool ever_completed, ever_ended, ran;
    bool cancel_asked;   /* it, or something it waits for, was to be cancelled or deleted */
    bool failed_finally; /* a worker said so */
    bool aborting;       /* its worker may lose it at any time */
    int64_t result;      /* of its completion */
    int arguments;       /* the place that its arguments say: its own, until it is replaced */
    int session;         /* that holds it, 0: none, -1: one that nobody knows of */
    bool large;          /* the arguments that were asked for lie in a blob */
    int schedule;        /* 1 + that of which it is a tick; 0 */
    int64_t tick_at_us;  /* of a tick; 0: it was run by hand */
};

struct worker {
    int session; /* 0: it has none */
    uint8_t token[LEASE_TOKEN_BYTES];
    int held[HELD_MAX], count; /* what it believes to hold */
    bool unsure;               /* an answer to it was lost */
};

struct session {
    int64_t deadline_us, span_us;
};

/* A queue, a function or a key: its limits, and what of it started. */
struct known_gate {
    struct gate gate;
    int64_t starts[STARTS_MAX];
    size_t start_count, counted_from;
};

struct world {
    struct rng rng;
    struct instant now; /* whose monotonic clock is the truth, and goes on while nobody runs */
    int64_t asked_us;   /* when the last op was asked whose commit may take time */
    int64_t booted_us;  /* when the machine's own monotonic clock began */
    int era;            /* grows whenever the engine has read everything from its store again */
    int64_t looked_us;  /* since when it has looked at the clock at least every few seconds */
    int64_t latest_wall_us;
    int64_t refused_until_us; /* monotonic: after a failed commit, perhaps */
    char folder[64];
    struct known tasks[TASKS_MAX];
    int task_count;
    struct worker workers[WORKERS];
    struct session sessions[SESSIONS_MAX];
    int session_count;
    struct known_gate gates[GATES];
    bool has_rule;
    int64_t requests, results; /* counters */
    int steps_left, crashes, failures;
    bool looking; /* the clock stands still for it */
    bool ending;  /* no more mischief: everything is to end */
    /* What was asked when the process was killed: */
    int64_t open_request; /* of an enqueueing, 0: none */
    int64_t open_of;      /* within a settlement: the task that asks for it, 0: any */
    bool open_settles;
    int open_holds; /* the session that says all it has, 0: none */
    int open_worker;
    int64_t open_results[HELD_MAX]; /* by place in open_tasks; 0: no completion */
    int open_tasks[HELD_MAX], open_count;
};

extern struct world *world;
extern uint64_t seed_now;

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu, %d steps left: " #condition ": ",                          \
                    (unsigned long long)seed_now, world->steps_left);                              \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, " (%s)\n", world->folder);                                             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* What happens, for who replays a seed with SIM_VERBOSE=1. */
#define SAY(...) (getenv("SIM_VERBOSE") ? (void)fprintf(stderr, __VA_ARGS__) : (void)0)

int pick(int n);
extern const char *const queue_names[QUEUES];
extern const char *const function_names[FUNCTIONS];
extern const char *const key_names[KEYS];
extern const char *const lock_names[LOCKS];

struct known_gate *gate_of_queue(int queue);
struct known_gate *gate_of_function(int function);
struct known_gate *gate_of_key(int key);
void known_set_gate(struct known_gate *g, const struct gate *gate);

/* The two clocks as the engine sees them. */
struct instant machine_now(void);
/* Lets so much time pass, and perhaps the wall clock be set, to before or after. */
void time_passes(int64_t us);
void clock_is_set(void);

/* The task with that id, NULL. */
struct known *known_by_id(int64_t id);
bool known_is_live(int session);
/* The task was handed to that session: everything that must hold then. `late`: the answer was not
 * looked at at once, and the task may have been seen to run already. */
void known_handed(struct known *k, const struct task_handed *handed, int session, bool late);
/* What the store has of it, and whether that can be. */
void known_seen(struct known *k, const struct task_view *view);
/* Whether a task that has not ended may wait for long yet for a time that the wall clock tells. */
bool known_may_wait(const struct known *k);
/* What asks for the end of a task asks for that of all that wait for it. */
void known_spread_cancel(void);

#endif
