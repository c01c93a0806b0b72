/* tasks_sim.h: the parts of the simulation of the queue (sim_tasks.c) see each other's tools here.
 */
#ifndef PENSTOCK_TESTS_TASKS_SIM_H
#define PENSTOCK_TESTS_TASKS_SIM_H

#include "base/json.h"
#include "tasks_world.h"

#define BLOB_GRACE_US (20 * SECOND_US)

/* --- sim_tasks.c --- */
/* How many of those that are known have not ended. */
int open_tasks(void);

/* --- tasks_engine.c: the engine, asked, stopped and started anew --- */
extern struct engine *sim_engine;
/* In the folder of the simulation; owned. */
char *path_of(const char *name);
/* The engine's step, whatever it has to do. What ops ask for is told to their `done`. */
void step(struct op *ops);
/* An op's `done`: sets the bool that is its context. */
void on_done(struct op *op);
/* One op, until it is answered: what is done in slices goes on at once. */
void ask(struct op *op);
/* Asks with mischief about. */
void dare(struct op *op);
/* Time passes, and the engine looks. */
void pass(int64_t us);
/* After a failure changes are refused for a while: waits until they are not. */
void recover(void);
void plan(const char *fault);
void no_faults(void);
void open_engine(void);
void close_engine(void);
/* What may happen while nothing runs: time passes, the machine starts anew, its clock is set. */
void meanwhile(void);
void verb_restart(void);
void verb_time(void);

/* --- tasks_look.c: what the engine shows --- */
struct op_task_list list_tasks(const struct task_filter *filter); /* list_tasks_release */
void list_tasks_release(struct op_task_list *l);
struct task_view show(int64_t id); /* task_view_release */
/* The result that it shows; -1: none. */
int64_t result_of(const struct task_view *view);
struct known *known_or_tick(int64_t id);
/* Everything that was acknowledged is there, as far as it has come. */
void check_all(void);

/* --- tasks_enqueue.c --- */
/* What an op that enqueues is made of. */
struct asked {
    struct task_new tasks[6];
    char texts[6][32], batch[32], uniques[6][16];
    int64_t after[6][PARENTS_MAX];
    struct blob_pin *pins[6];
    int first, count; /* places in world->tasks */
};

/* Chooses up to so many. False: there is no room for more. */
bool choose_tasks(struct asked *a, int most, bool unique);
/* What was answered. */
void note_enqueued(struct asked *a);
void asked_release(struct asked *a, const struct op_enqueue *enqueue, bool went_well);
/* The old one is what the one asked for was to be. */
void take_over(struct known *old, const struct known *asked);
void check_has_key_alone(const struct known *k);
void verb_enqueue(void);

/* --- tasks_sessions.c: claims and sessions --- */
/* A session lives from now on for as long as it is to. */
void heard_of(int session);
bool holds(const struct worker *w, int place);
void drop_held(struct worker *w, int place);
void note_aborts(const struct worker *w, const struct task_aborted *aborts, size_t count);
void note_handed(struct worker *w, const struct task_claim *claim, bool late, bool heard);
void session_over(struct worker *w);
/* What it holds may have gone back. */
void maybe_back(const struct worker *w);
/* Answers of claims that waited are looked at. */
void hear_all(void);
void verb_claim(void);
void verb_wait(void);
void verb_extend(void);
void verb_release(void);
void verb_die(void);

/* --- tasks_settle.c --- */
void verb_settle(void);

/* --- tasks_control.c: bulk verbs, gates and limits --- */
void control(enum task_verb verb, const struct task_filter *filter);
void set_gate(bool of_functions, int place, const struct gate *gate);
/* The one rule for keys: put, or deleted. */
void set_limit(bool put, struct gate gate);
void verb_control(void);
void verb_gate(void);
void verb_limit(void);

/* --- tasks_resolve.c --- */
/* After a kill: finds out what has happened of what was asked last. */
void resolve(void);

/* --- tasks_ticks.c: schedules --- */
/* Sets, deletes, pauses or runs one. */
void verb_schedule(void);
/* A task that nobody has asked for: it must be a tick, and the only one of its time. */
struct known *tick_adopt(int64_t id);
/* One that is set ticks, whatever happened before. Then none is left. */
void ticks_check_alive(void);
void ticks_delete_all(void);

/* --- tasks_blobs.c --- */
/* Puts the text into a blob; NULL when that was not to be. */
struct blob_pin *put_text(const char *text, struct task_blob_ref *ref);
/* The text, owned, wherever it is: in the row, or in a blob, which must be there. */
char *text_or_blob(struct str text, const struct task_blob_ref *ref);
/* A member of it; -1: there is none. */
int64_t number_in(const char *text, const char *name);
/* Somebody puts one for nothing, or asks that one be forgotten. */
void verb_blob(void);
/* What tasks need is there. */
void blobs_check_needed(void);
/* Nothing needs any any more: all go. */
void blobs_check_collected(void);

#endif
