/* flows_sim.h: the parts of the simulation of flows (sim_flows.c) see each other's tools here. */
#ifndef PENSTOCK_TESTS_FLOWS_SIM_H
#define PENSTOCK_TESTS_FLOWS_SIM_H

#include "base/json.h"
#include "base/rng.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define REFUSED_US (2 * SECOND_US) /* more than the engine wants after a failure */

enum { NODES = 14, PARENTS = 3, WORKERS = 3, HELD = NODES };

/* A node of the list as it was last sent. Its id is its place + 1, shuffled ids would say no more.
 */
struct listed {
    bool there, always;
    int parents[PARENTS], parent_count;
    int max_attempts;
    int edits;
};

/* What is known for sure of a node in the run that goes on. */
struct known {
    bool selected;  /* it is of this run */
    bool completed; /* that was acknowledged, in this run or one before it that this one keeps */
    bool doubtful;  /* its completion was sent, and not answered */
};

struct worker {
    bool has_token;
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t heard_us;
    struct {
        int64_t task;
        int node;
    } held[HELD];
    int count;
};

struct world {
    struct rng rng;
    struct instant now;
    char folder[128];
    int steps_left;
    bool ending, started, in_doubt; /* in doubt: a start was sent, and not answered */
    int64_t refused_until_us;
    struct listed list[NODES], asked[NODES];
    struct known known[NODES], asked_known[NODES];
    struct worker workers[WORKERS];
    int crashes, failures, runs, completions;
};

#define SAY(...) printf(__VA_ARGS__)
#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: ", (unsigned long long)seed_now);                          \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            fflush(stdout);                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct seen {
    enum job_state state;
    bool stops;
    bool still; /* nothing is on its way: what is to be D is */
    int64_t run;
    enum flow_mark marks[NODES];
    bool there[NODES];
    int64_t tasks[NODES];
    int64_t node_runs[NODES];
};

/* --- flows_world.c: asking the engine, and what must hold --- */
extern struct world *world; /* in memory that outlives the child that is killed */
extern uint64_t seed_now;
extern struct engine *sim_engine;
int pick(int count);
void step(struct op *ops);
/* One op, until it is answered. */
void ask(struct op *op);
/* Asks with mischief about. */
void dare(struct op *op);
void plan_fault(void);
void no_faults(void);
void pass(int64_t us);
/* After a failure changes are refused for a while: waits until they are not. */
void recover(void);
/* The flow as it is; false: there is none. */
bool look(struct seen *s);
void check_all(void);

/* --- flows_starts.c: lists and their runs --- */
/* `only`: a place, of which the descendants are selected; -1. */
void start(bool restart, bool take_over, int only);
void verb_start(void);
/* The process was killed while a start was on its way: it has happened, or not. */
void resolve(void);

/* --- flows_hands.c: workers --- */
void verb_claim(void);
void verb_settle(void);
void verb_extend(void);
void verb_die(void);

#endif
