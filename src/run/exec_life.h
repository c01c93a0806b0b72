/* exec_life.h: the lives of the program that an exec worker runs: it is started when there is work,
 * fed, listened to, and when it ends, blamed.
 *
 * Who is to blame. The program answers in order, so a record it has not answered is a suspect: all
 * that were in its hands when it died, as it may read ahead and keep answers in a buffer. They are
 * not failed for that. The next life gets half of them, then its input is closed; so it ends, and
 * either has answered them all, or has died again, with fewer suspects. The one that is left alone
 * with a dying program is failed, as an attempt; the others lose nothing.
 *
 * A program that keeps its answers in a buffer until its input ends (most do, when they print to a
 * pipe) would wait for us as we wait for it. When it has read all there is, says nothing and
 * nothing more can be given to it, its input is closed: it answers, ends, and is started again when
 * there is more.
 *
 * Nothing waits here. Threads: one. */
#ifndef PENSTOCK_RUN_EXEC_LIFE_H
#define PENSTOCK_RUN_EXEC_LIFE_H

#include "run/outcomes.h"
#include "run/record_queue.h"
#include "run/worker_control.h"

#include <poll.h>

struct exec_life_plan {
    const char *command;
    int64_t timeout_us;             /* of one record; 0: no limit */
    int64_t max_memory_bytes;       /* above, it is started anew; 0: no limit */
    int64_t max_records;            /* of one life; 0: no limit */
    struct record_queue *queue;     /* from where it is fed */
    struct outcomes *outcomes;      /* where its answers go */
    struct worker_control *control; /* where what happens is logged */
};

struct exec_life;

/* What the plan points to must outlive it. */
struct exec_life *exec_life_new(const struct exec_life_plan *plan);
void exec_life_free(struct exec_life *l); /* kills the program */
DEFINE_OWNED(exec_life)

/* How many records may be in its hands; -1: no limit. */
void exec_life_set_slots(struct exec_life *l, int64_t slots);
/* Nobody else starts records of this job until then (monotonic). What is to be started at a time
 * and is late may be made up for until then; later it is not fed. */
void exec_life_set_alone_until(struct exec_life *l, int64_t until_us);
/* Such a record is in the way: its owner is to take out what is due before this moment. 0: none. */
int64_t exec_life_late_before_us(const struct exec_life *l);
/* Whether all that was answered is settled: what is to run alone waits for that. */
void exec_life_set_settled(struct exec_life *l, bool settled);

enum exec_supply {
    SUPPLY_COMING, /* more records may come at any moment */
    SUPPLY_DRY,    /* nothing more can be had for now */
    SUPPLY_LIMITED /* nothing more can be had because limits of the job hold it back */
};
/* Does what can be done now: starts, feeds, reads, ends lives. Errors: ERR_NOT_FOUND when the
 * program cannot be run; ERR_INVALID when its answers cannot be told apart; what was answered
 * before stays in the outcomes when it is right. */
MUST_CHECK bool exec_life_step(struct exec_life *l, int64_t now_us, enum exec_supply supply,
                               struct err *err);
/* What to wait for, and until when (monotonic; NEVER_US). */
enum { EXEC_LIFE_FDS = 3 };
size_t exec_life_fds(const struct exec_life *l, struct pollfd fds[EXEC_LIFE_FDS]);
int64_t exec_life_next_us(struct exec_life *l, enum exec_supply supply);

/* Starts no further record; the input is closed, so that the program ends when it has answered. */
void exec_life_wind_up(struct exec_life *l, int64_t now_us);
/* Kills it. What it has not answered stays in the queue, to be fed again. */
void exec_life_kill(struct exec_life *l);
/* Whether there is a program. */
bool exec_life_is_on(const struct exec_life *l);
/* Records that it has in its hands, and that it has answered in all its lives. */
size_t exec_life_running(const struct exec_life *l);
int64_t exec_life_ran(const struct exec_life *l);

#endif
