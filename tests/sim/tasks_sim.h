/* tasks_sim.h: the parts of the simulation of the queue (sim_tasks.c) see each other's tools here.
 */
#ifndef PENSTOCK_TESTS_TASKS_SIM_H
#define PENSTOCK_TESTS_TASKS_SIM_H

#include "base/json.h"
#include "tasks_world.h"

#define BLOB_GRACE_US (20 * SECOND_US)

/* --- sim_tasks.c --- */
extern struct engine *sim_engine;
/* One op, until it is answered: what is done in slices goes on at once. */
void ask(struct op *op);
/* Asks with mischief about. */
void dare(struct op *op);
/* After a failure changes are refused for a while: waits until they are not. */
void recover(void);
struct task_view show(int64_t id); /* task_view_release */
void plan(const char *fault);
void no_faults(void);

/* --- tasks_ticks.c: schedules --- */
/* Sets, deletes, pauses or runs one. */
void verb_schedule(void);
/* A task that nobody has asked for: it must be a tick, and the only one of its time. */
struct known *tick_adopt(int64_t id);
/* One that is set ticks, whatever happened before. Then none is left. */
void ticks_check_alive(void (*pass)(int64_t us), void (*check_all)(void));
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
void blobs_check_collected(void (*pass)(int64_t us));

#endif
