/* schedule_op.h: what is asked of the engine about schedules: a member of struct op's union (op.h).
 */
#ifndef PENSTOCK_ENGINE_SCHEDULE_OP_H
#define PENSTOCK_ENGINE_SCHEDULE_OP_H

#include "core/schedule.h"

/* A schedule as it is shown. Texts owned. */
struct schedule_view {
    struct schedule spec;
    int64_t created_at_us;
    int64_t last_at_us, last_task_id; /* 0: none */
    int64_t next_at_us;               /* 0: none comes */
    char *failure;                    /* why the last tick came to nothing; NULL */
};

enum schedules_verb {
    SCHEDULES_LIST,   /* all, or the one of `name` */
    SCHEDULES_SET,    /* makes or replaces `spec`, and shows it; ticks count from now */
    SCHEDULES_DELETE, /* what it has enqueued stays */
    SCHEDULES_RUN     /* enqueues one now, paused or not; its own ticks stay as they are */
};

/* OP_SCHEDULES. ERR_NOT_FOUND for an unknown name, ERR_INVALID as schedule_check says, and what
 * OP_ENQUEUE says. */
struct op_schedules {
    enum schedules_verb verb;
    const char *name;            /* ended by NUL; NULL with LIST: all */
    const struct schedule *spec; /* SET */
    struct schedule_view *views; /* out, owned, in order of names */
    size_t count;
    int64_t task_id; /* out of RUN */
};

/* OP_SCHEDULE_TICK, the engine's own: a tick was enqueued. */
struct op_schedule_tick {
    const char *name;
    int64_t at_us, task_id;
};

#endif
