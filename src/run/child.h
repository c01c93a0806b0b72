/* child.h: the life of one worker process, as its supervisor sees it: a pure table of state and
 * event. No I/O, no clock.
 *
 *   resting ──due──► starting ──hello──► waiting ──go──► working ──bye──► left ──exit──► gone
 *      ▲                 │                  │           │  │  └─recycle─► recycling
 *      └──────exit───────┴──────exit────────┴───exit────┘  └─stop──► leaving ──bye──► left
 *
 *   A process that ends in `starting`, `waiting`, `working`, `recycling` or `killed` is replaced,
 * by way of `resting`; one that ends in `leaving`, `left` or `ended` is not: the place is `gone`.
 *   `killed` and `ended` were sent SIGKILL and are not reaped yet. A stop turns every state into
 * one that is not replaced. */
#ifndef PENSTOCK_RUN_CHILD_H
#define PENSTOCK_RUN_CHILD_H

#include <stdbool.h>

enum child_state {
    CHILD_RESTING,   /* there is no process; one is started when its time has come */
    CHILD_STARTING,  /* started, nothing heard of it */
    CHILD_WAITING,   /* it said hello and waits for its job */
    CHILD_WORKING,   /* it has its job */
    CHILD_RECYCLING, /* it said bye to be replaced, and has a moment to end */
    CHILD_LEAVING,   /* it was told to stop and has until its time is over */
    CHILD_LEFT,      /* it said bye, or why it failed, and has a moment to end */
    CHILD_KILLED,    /* killed, to be replaced */
    CHILD_ENDED,     /* killed for good */
    CHILD_GONE,      /* nobody comes any more */
    CHILD_STATE_COUNT
};

enum child_event {
    CHILD_HELLO,   /* the process says who it is */
    CHILD_GO,      /* it is given its job */
    CHILD_BYE,     /* the process says that it has finished */
    CHILD_RECYCLE, /* the process wants to be replaced */
    CHILD_FAILURE, /* the process says why it cannot work; the run ends */
    CHILD_STOP,    /* the run ends: nothing is replaced any more */
    CHILD_KILL,    /* it hangs or takes too much memory: it is replaced */
    CHILD_DUE,     /* the time that its state was given is over */
    CHILD_EXIT,    /* the process has ended */
    CHILD_EVENT_COUNT
};

const char *child_state_name(enum child_state state);
/* Where `event` leads from `state`. False when it cannot come there: what a process says out of
 * turn, then *out is untouched. */
bool child_next(enum child_state state, enum child_event event, enum child_state *out);
/* Whether there is a process. */
bool child_is_there(enum child_state state);

#endif
