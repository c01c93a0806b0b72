/* limit.h: so many at once, so many starts a minute; and rules that give each key its own. Pure.
 *
 * A rate is held at the moment of the start: there are no permits for later. Starts are even: each
 * moves the next one's moment on by 60 s / rpm, and a little more (LIMIT_PART), which pays for a
 * little slack: a start may come LIMIT_SLACK_US before its moment, to catch up with what a busy
 * engine was late before. Both are chosen so that no window of a minute has more than rpm starts,
 * and none of a second more than rpm / 60 (rounded up). What is not used in time is lost: there are
 * no bursts. */
#ifndef PENSTOCK_CORE_LIMIT_H
#define PENSTOCK_CORE_LIMIT_H

#include "base/buf.h"
#include "base/err.h"

#define LIMIT_PART 0.992    /* of the rate that is really used */
#define LIMIT_SLACK_US 8000 /* 1 s / LIMIT_PART >= 1 s + slack */
#define LIMIT_CONCURRENCY_MAX 1000000
#define LIMIT_RPM_MAX 60e6

struct limit {
    int64_t concurrency; /* 0: none */
    int64_t running;
    double rpm;     /* starts a minute; 0: none */
    double next_us; /* monotonic: moment of the next start; 0: none was yet */
};

void limit_init(struct limit *l, int64_t concurrency, double rpm);
/* Other figures from now on; what runs goes on counting, the last start too. */
void limit_set(struct limit *l, int64_t concurrency, double rpm);
/* What started before `since_us` is not known: waits as if one just had. */
void limit_wait(struct limit *l, int64_t since_us);
/* Whether one more may start now. */
bool limit_has_room(const struct limit *l, int64_t now_us);
/* Whether it is as if nothing had ever started. */
bool limit_is_rested(const struct limit *l, int64_t now_us);
/* One starts: there is room. */
void limit_start(struct limit *l, int64_t now_us);
/* One that started before runs on, even when there is no room. */
void limit_resume(struct limit *l);
/* One runs no more. */
void limit_end(struct limit *l);
/* When there will be room by time alone, NEVER_US when only an end gives any; `now_us` when there
 * is. */
int64_t limit_next_us(const struct limit *l, int64_t now_us);

/* Each key that the pattern matches may have so much. `*` stands for any bytes, `?` for one
 * character. */
struct key_rule {
    char *name, *pattern; /* owned by whoever holds it */
    int64_t concurrency;  /* 0: none */
    double rpm;           /* 0: none */
};
/* Whole key, whole pattern. At most so many steps as both lengths multiplied, no recursion. */
bool key_pattern_matches(struct str pattern, struct str key);
/* Whether it has a name and a pattern of 1 to 512 bytes of UTF-8 without control characters, and
 * limits something, by figures that make sense. ERR_INVALID. */
MUST_CHECK bool key_rule_check(const struct key_rule *rule, struct err *err);

#endif
