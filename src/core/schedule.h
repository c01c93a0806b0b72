/* schedule.h: what is enqueued again and again, and when. Pure.
 *
 * Ticks are found by cron.h. One that is more than a minute late was missed: the server was down,
 * or its clock was set. */
#ifndef PENSTOCK_CORE_SCHEDULE_H
#define PENSTOCK_CORE_SCHEDULE_H

#include "core/cron.h"

#define SCHEDULE_NAME_MAX_BYTES 200
#define SCHEDULE_LATE_US INT64_C(60000000)

/* What becomes of missed ticks. */
enum schedule_missed { MISSED_SKIP, MISSED_ONCE, MISSED_ALL, MISSED_COUNT };
extern const char *const schedule_missed_names[MISSED_COUNT + 1]; /* NULL ends them */

/* As it was set. Texts owned where schedule_copy made them; NULL: none. */
struct schedule {
    char *name;
    /* of the task: */
    char *function, *queue, *key, *batch, *lock;
    char *arguments, *options; /* JSON */
    int64_t priority, max_attempts;
    /* of its time: */
    char *cron;       /* NULL: by every_us */
    int64_t every_us; /* > 0 without cron */
    char *zone;       /* NULL: UTC */
    enum schedule_missed missed;
    bool paused;
    bool pass_time; /* arguments, an object, get the tick's time as "timestamp" */
};
void schedule_release(struct schedule *s);
/* All texts copied. */
void schedule_copy(const struct schedule *from, struct schedule *out);

/* Its time, ready to be asked. */
struct schedule_clock {
    struct cron cron;
    struct zone *zone; /* owned; NULL: by every_us */
    int64_t every_us;
};
/* ERR_INVALID naming the member: the name, cron, zone, every_s, pass_time. */
MUST_CHECK bool schedule_check(const struct schedule *s, struct schedule_clock *out,
                               struct err *err);
void schedule_clock_release(struct schedule_clock *c);
/* The first tick after a moment (wall), NEVER_US when there is none. */
int64_t schedule_next(const struct schedule_clock *c, int64_t after_us);
/* Of missed ticks at most so many are made up for, the last ones. */
#define SCHEDULE_MISSED_MOST 1000
/* The first of the last `most` ticks up to now_us, from the tick next_us on: next_us itself when
 * there are no more. Costs some tens of times `most` steps at most. */
int64_t schedule_clip(const struct schedule_clock *c, int64_t next_us, int64_t now_us, int most);
/* A clock that was set back by no more brings no tick a second time; by more, ticks go by the new
 * time. */
#define SCHEDULE_SET_BACK_US (INT64_C(3) * 3600 * 1000000)
/* What is to be done about the tick `next_us` at the moment `now_us`, by the policy: false: wait
 * until *next_us, which may have been moved on. True: *tick_us is to be enqueued, and *next_us is
 * the one after that. Of those to be made up for once it is the last: who notes it has noted them
 * all. */
bool schedule_due(const struct schedule_clock *c, enum schedule_missed missed, int64_t now_us,
                  int64_t *next_us, int64_t *tick_us);

#endif
