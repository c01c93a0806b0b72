/* retry.h: whether an attempt of a task is followed by another, and when. Pure. */
#ifndef PENSTOCK_CORE_RETRY_H
#define PENSTOCK_CORE_RETRY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"

enum retry_kind { RETRY_FIXED, RETRY_LINEAR, RETRY_EXPONENTIAL, RETRY_KIND_COUNT };

/* What one type of error means instead. */
struct retry_rule {
    char *type; /* name of the error's class; owned */
    bool retry; /* false: final */
    bool timed; /* delay_us holds in place of the policy's, however many attempts there were */
    int64_t delay_us;
};

#define RETRY_RULES_MAX 64
#define RETRY_TYPE_MAX_BYTES 512
#define RETRY_FACTOR_MAX 1000
#define RETRY_DELAY_MAX_US (INT64_C(366) * 24 * 3600 * 1000000)

/* As docs/queue.md says, member `retry`. */
struct retry_policy {
    enum retry_kind kind;
    int64_t delay_us, max_delay_us;
    double factor; /* exponential, 1..RETRY_FACTOR_MAX */
    double jitter; /* 0..1: so much more or less at random, never more than max_delay_us */
    struct retry_rule *rules;
    size_t rule_count;
};

/* The defaults of docs/queue.md. */
void retry_policy_init(struct retry_policy *p);
/* Frees; the policy is as after retry_policy_init. */
void retry_policy_release(struct retry_policy *p);
/* Reads the JSON object over what `p` (initialised) holds; members that are null or absent keep it.
 * ERR_INVALID names the member; `p` is then untouched. */
MUST_CHECK bool retry_policy_read(struct str json, struct retry_policy *p, struct err *err);

/* After the `attempt`-th (from 1) failed with an error of that type ("" when it has none): whether
 * the policy wants another, and how long from now. Growth never overflows. */
bool retry_decide(const struct retry_policy *p, int64_t attempt, struct str type, struct rng *rng,
                  int64_t *delay_us);

#endif
