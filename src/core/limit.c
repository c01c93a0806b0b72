/* limit.c: see limit.h. Why the figures hold: between the first and the last of n starts lie at
 * least (n - 1) * every - slack. With every = 60 s / (rpm * part), n = rpm / 60 + 1 starts take at
 * least 1 s / part - slack, which is no less than a second. A minute leaves more. */
#include "core/limit.h"

#include "base/clock.h"
#include "core/task.h"

#include <assert.h>
#include <math.h>

#define MINUTE_US 60e6

static double every_us(double rpm)
{
    return MINUTE_US / (rpm * LIMIT_PART);
}

void limit_init(struct limit *l, int64_t concurrency, double rpm)
{
    *l = (struct limit){.concurrency = concurrency, .rpm = rpm};
}

void limit_set(struct limit *l, int64_t concurrency, double rpm)
{
    l->concurrency = concurrency;
    if (l->next_us > 0 && l->rpm > 0 && rpm > 0)
        l->next_us += every_us(rpm) - every_us(l->rpm);
    else
        l->next_us = 0;
    l->rpm = rpm;
}

void limit_wait(struct limit *l, int64_t since_us)
{
    if (!(l->rpm > 0))
        return;
    double next = (double)since_us + every_us(l->rpm) + LIMIT_SLACK_US;
    if (next > l->next_us)
        l->next_us = next;
}

static double opens_us(const struct limit *l)
{
    return l->rpm > 0 ? l->next_us - LIMIT_SLACK_US : 0;
}

static bool is_full(const struct limit *l)
{
    return l->concurrency > 0 && l->running >= l->concurrency;
}

bool limit_has_room(const struct limit *l, int64_t now_us)
{
    return !is_full(l) && (double)now_us >= opens_us(l);
}

bool limit_is_rested(const struct limit *l, int64_t now_us)
{
    return l->running == 0 && (!(l->rpm > 0) || (double)now_us >= l->next_us);
}

void limit_start(struct limit *l, int64_t now_us)
{
    l->running++;
    if (l->rpm > 0)
        l->next_us = fmax(l->next_us, (double)now_us) + every_us(l->rpm);
}

void limit_resume(struct limit *l)
{
    l->running++;
}

void limit_end(struct limit *l)
{
    assert(l->running > 0);
    l->running--;
}

int64_t limit_next_us(const struct limit *l, int64_t now_us)
{
    if (is_full(l))
        return NEVER_US;
    double opens = ceil(opens_us(l));
    return opens > (double)now_us ? (int64_t)opens : now_us;
}

/* How many bytes the character at `at` has; one where it is no UTF-8. */
static size_t step(struct str s, size_t at)
{
    size_t length = str_utf8_length((struct str){s.ptr + at, s.len - at});
    return length ? length : 1;
}

bool key_pattern_matches(struct str pattern, struct str key)
{
    size_t p = 0, k = 0, star = SIZE_MAX, tried = 0; /* the last star, and where it ends in key */
    while (k < key.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            tried = k;
        } else if (p < pattern.len && pattern.ptr[p] == '?') {
            p++;
            k += step(key, k);
        } else if (p < pattern.len && pattern.ptr[p] == key.ptr[k]) {
            p++;
            k++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            k = ++tried;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

static bool check_text(const char *what, const char *text, struct err *err)
{
    struct str s = str_of(text);
    bool plain = true;
    for (size_t i = 0; i < s.len; i++)
        plain = plain && (unsigned char)s.ptr[i] >= ' ' && s.ptr[i] != 0x7f;
    if (s.len == 0 || s.len > TASK_NAME_MAX_BYTES || !plain || !str_is_utf8(s))
        return err_set(err, ERR_INVALID,
                       "a limit's %s has 1 to %d bytes of UTF-8 without control characters", what,
                       TASK_NAME_MAX_BYTES);
    return true;
}

bool key_rule_check(const struct key_rule *rule, struct err *err)
{
    if (!check_text("name", rule->name, err) || !check_text("pattern", rule->pattern, err))
        return false;
    if (rule->concurrency < 0 || rule->concurrency > LIMIT_CONCURRENCY_MAX)
        return err_set(err, ERR_INVALID, "limit %s: concurrency is 0 to %d, not %lld", rule->name,
                       LIMIT_CONCURRENCY_MAX, (long long)rule->concurrency);
    if (!(rule->rpm >= 0 && rule->rpm <= LIMIT_RPM_MAX))
        return err_set(err, ERR_INVALID, "limit %s: rpm is 0 to %.0f, not %g", rule->name,
                       LIMIT_RPM_MAX, rule->rpm);
    if (rule->concurrency == 0 && !(rule->rpm > 0))
        return err_set(err, ERR_INVALID, "limit %s limits nothing", rule->name);
    return true;
}
