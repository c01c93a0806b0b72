/* limit.h: so many at once, so many starts a minute; and rules that give each key its own. Pure. */
#ifndef PENSTOCK_CORE_LIMIT_H
#define PENSTOCK_CORE_LIMIT_H

#include "base/buf.h"
#include "core/pace.h"

struct limit {
    int64_t concurrency; /* 0: none */
    int64_t running;
    struct pace pace; /* core/pace.h: permits are taken at the moment of the start, one at a time */
};

void limit_init(struct limit *l, int64_t concurrency, double rpm);
/* Other figures from now on; what runs goes on counting. */
void limit_set(struct limit *l, int64_t concurrency, double rpm);
/* Whether one more may start now. */
bool limit_has_room(struct limit *l, int64_t now_us);
/* One starts: there is room. */
void limit_start(struct limit *l, int64_t now_us);
/* One runs no more. */
void limit_end(struct limit *l);
/* When there will be room by time alone, NEVER_US when only an end gives any; `now_us` when there
 * is. */
int64_t limit_next_us(struct limit *l, int64_t now_us);

/* Each key that the pattern matches may have so much. `*` stands for any bytes, `?` for one
 * character. */
struct key_rule {
    char *name, *pattern; /* owned by whoever holds it */
    int64_t concurrency;  /* 0: none */
    double rpm;           /* 0: none */
};
/* In linear time, whatever the pattern. */
bool key_pattern_matches(struct str pattern, struct str key);
MUST_CHECK bool key_rule_check(const struct key_rule *rule, struct err *err);

#endif
