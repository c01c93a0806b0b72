/* exec_life_own.h: what the two files of a program's lives share: exec_life.c, which feeds it and
 * listens to it, and exec_end.c, which judges how a life ended. */
#ifndef PENSTOCK_RUN_EXEC_LIFE_OWN_H
#define PENSTOCK_RUN_EXEC_LIFE_OWN_H

#include "run/exec_life.h"
#include "run/line_program.h"

enum { AGAIN_FIRST_US = 100000 }; /* the first wait before it is started again */

struct exec_life {
    struct exec_life_plan plan;
    struct line_program *program; /* NULL: none runs */
    int64_t slots;
    bool settled;
    bool winding_up;
    enum exec_supply supply;

    /* Of this life. */
    bool input_closed;  /* by us: all it was given was given whole */
    bool input_refused; /* by the program */
    bool pipe_full;
    bool retiring; /* it has grown too large */
    int64_t begun, answered;
    int64_t quiet_us;       /* since when it has said nothing, while it had something to say */
    int64_t fed_us;         /* when it was given something last */
    int64_t looked_us;      /* when we looked whether it waits for the end of its input */
    int64_t silent_us;      /* since when its output is closed; 0: it is not */
    int64_t memory_us;      /* when to look at its memory */
    const char *killed_for; /* why we killed it; NULL: we did not */

    /* Of all lives. */
    size_t suspects; /* so many records from the queue's head on may kill it; 0: none is known to */
    size_t ration;   /* so many of them this life is given */
    struct feed_window window;
    bool proven; /* it answers without being asked to */
    bool keeps;  /* it seemed to keep answers until its input ends */
    bool told;   /* so was the person */
    int64_t ran, ever_answered, fruitless, failures_told;
    struct buf why; /* the last failure's reason */
    int64_t again_us, again_wait_us;
    double start_us;                        /* the last paced start, as it was due */
    int64_t due_us;                         /* the next paced start; NEVER_US */
    int64_t alone_until_us, late_before_us; /* see exec_life.h */
};

/* Ends this life: kills what is left. What it has not answered is to be fed again. */
void exec_life_end(struct exec_life *l);
/* Takes the answer to the head. ERR_INVALID when nothing was asked. */
MUST_CHECK bool exec_life_take(struct exec_life *l, struct str line, int64_t now_us,
                               struct err *err);
/* Logs why a record failed. */
void exec_life_tell(struct exec_life *l, int64_t record, struct str why);

/* The program has ended; everything that it printed was taken but what stands behind its last line.
 * ERR_INVALID when it is of no use to start it again. */
MUST_CHECK bool exec_end_take(struct exec_life *l, int status, int64_t now_us, struct err *err);
/* Reading its output gave `err`: true when that is one record's fault, which has failed now. */
MUST_CHECK bool exec_end_too_long(struct exec_life *l, struct err *err);
/* It has not answered in time. */
void exec_end_time_out(struct exec_life *l);
/* It is not to be started again at once; each time in a row it is to wait longer. */
void exec_end_rest(struct exec_life *l, int64_t now_us);

#endif
