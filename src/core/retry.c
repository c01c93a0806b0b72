/* retry.c: see retry.h. */
#include "core/retry.h"

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)

static const char *const kind_names[RETRY_KIND_COUNT] = {"fixed", "linear", "exponential"};

void retry_policy_init(struct retry_policy *p)
{
    *p = (struct retry_policy){.kind = RETRY_EXPONENTIAL,
                               .delay_us = SECOND_US,
                               .max_delay_us = 3600 * SECOND_US,
                               .factor = 2,
                               .jitter = 0.1};
}

void retry_policy_release(struct retry_policy *p)
{
    for (size_t i = 0; i < p->rule_count; i++)
        free(p->rules[i].type);
    free(p->rules);
    retry_policy_init(p);
}

/* --- reading --- */

static bool wrong(struct err *err, const char *member, const char *expected, struct str raw)
{
    return err_set(err, ERR_INVALID, "retry.%s: expected %s, not %.*s", member, expected,
                   raw.len > 60 ? 60 : (int)raw.len, raw.ptr);
}

static bool read_delay(const char *member, struct str raw, int64_t *out, struct err *err)
{
    double seconds = NAN;
    if (!json_double(raw, &seconds) ||
        !(seconds >= 0 && seconds <= (double)RETRY_DELAY_MAX_US / 1e6))
        return wrong(err, member, "seconds from 0 to 31622400", raw);
    *out = (int64_t)llround(seconds * 1e6);
    return true;
}

static bool read_kind(struct str raw, enum retry_kind *out, struct err *err)
{
    for (int i = 0; i < RETRY_KIND_COUNT; i++)
        if (json_type_of(raw) == JSON_STRING && json_name_is(raw, kind_names[i])) {
            *out = (enum retry_kind)i;
            return true;
        }
    return wrong(err, "kind", "\"fixed\", \"linear\" or \"exponential\"", raw);
}

static bool read_number(const char *member, struct str raw, double min, double max,
                        const char *expected, double *out, struct err *err)
{
    double value = NAN;
    if (!json_double(raw, &value) || !(value >= min && value <= max))
        return wrong(err, member, expected, raw);
    *out = value;
    return true;
}

static bool read_type(struct str raw, struct retry_rule *rule, struct err *err)
{
    free(rule->type);
    rule->type = json_take_text(raw);
    if (!rule->type || !*rule->type || strlen(rule->type) > RETRY_TYPE_MAX_BYTES)
        return wrong(err, "errors.type", "the name of an error's class", raw);
    return true;
}

static bool read_rule_member(struct str name, struct str raw, struct retry_rule *rule,
                             struct err *err)
{
    if (json_name_is(name, "type"))
        return read_type(raw, rule, err);
    if (json_name_is(name, "retry"))
        return json_bool(raw, &rule->retry) || wrong(err, "errors.retry", "true or false", raw);
    if (!json_name_is(name, "delay_s"))
        return wrong(err, "errors", "type, retry or delay_s", name);
    rule->timed = true;
    return read_delay("errors.delay_s", raw, &rule->delay_us, err);
}

static bool read_rule(struct str raw, struct retry_rule *rule, struct err *err)
{
    struct json j;
    struct str name, value;
    if (json_type_of(raw) != JSON_OBJECT)
        return wrong(err, "errors", "a list of objects", raw);
    json_open(&j, raw);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &value))
        if (json_type_of(value) != JSON_NULL && !read_rule_member(name, value, rule, err))
            return false;
    return rule->type ? true : wrong(err, "errors", "a type in each", raw);
}

static bool read_rules(struct str raw, struct retry_policy *p, struct err *err)
{
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return wrong(err, "errors", "a list of objects", raw);
    for (size_t i = 0; i < p->rule_count; i++)
        free(p->rules[i].type);
    p->rule_count = 0;
    json_open(&j, raw);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item)) {
        if (p->rule_count == RETRY_RULES_MAX)
            return err_set(err, ERR_LIMIT, "retry.errors: more than %d", RETRY_RULES_MAX);
        p->rules = xrealloc(p->rules, (p->rule_count + 1) * sizeof *p->rules);
        struct retry_rule *rule = &p->rules[p->rule_count++];
        *rule = (struct retry_rule){.retry = true};
        if (!read_rule(item, rule, err))
            return false;
    }
    return true;
}

static bool read_member(struct str name, struct str raw, struct retry_policy *p, struct err *err)
{
    if (json_name_is(name, "kind"))
        return read_kind(raw, &p->kind, err);
    if (json_name_is(name, "delay_s"))
        return read_delay("delay_s", raw, &p->delay_us, err);
    if (json_name_is(name, "max_delay_s"))
        return read_delay("max_delay_s", raw, &p->max_delay_us, err);
    if (json_name_is(name, "factor"))
        return read_number("factor", raw, 1, RETRY_FACTOR_MAX, "a number from 1 to 1000",
                           &p->factor, err);
    if (json_name_is(name, "jitter"))
        return read_number("jitter", raw, 0, 1, "a number from 0 to 1", &p->jitter, err);
    if (json_name_is(name, "errors"))
        return read_rules(raw, p, err);
    return err_set(err, ERR_INVALID, "retry: unknown member %.*s",
                   name.len > 60 ? 60 : (int)name.len, name.ptr);
}

static bool read_members(struct str json, struct retry_policy *p, struct err *err)
{
    struct json j;
    struct str name, value;
    json_open(&j, json);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &value))
            if (json_type_of(value) != JSON_NULL && !read_member(name, value, p, err))
                return false;
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "retry: byte %zu: %s", json_fault_at(&j), j.fault);
    return true;
}

static void copy_rules(struct retry_policy *to, const struct retry_policy *from)
{
    to->rules = xcalloc(from->rule_count + 1, sizeof *to->rules);
    for (size_t i = 0; i < from->rule_count; i++) {
        to->rules[i] = from->rules[i];
        to->rules[i].type = xstrdup(from->rules[i].type);
    }
}

bool retry_policy_read(struct str json, struct retry_policy *p, struct err *err)
{
    struct retry_policy read = *p;
    copy_rules(&read, p);
    if (!read_members(json, &read, err)) {
        retry_policy_release(&read);
        return false;
    }
    retry_policy_release(p);
    *p = read;
    return true;
}

/* --- deciding --- */

static const struct retry_rule *rule_of(const struct retry_policy *p, struct str type)
{
    for (size_t i = 0; i < p->rule_count; i++)
        if (str_is(type, p->rules[i].type))
            return &p->rules[i];
    return NULL;
}

/* In doubles, which grow to infinity and never around. */
static double grown_us(const struct retry_policy *p, int64_t attempt)
{
    double delay = (double)p->delay_us;
    if (p->kind == RETRY_LINEAR)
        delay *= (double)attempt;
    else if (p->kind == RETRY_EXPONENTIAL && delay > 0)
        delay *= pow(p->factor, (double)(attempt - 1));
    return fmin(delay, (double)p->max_delay_us);
}

/* Up to so much more or less; what would be more than max is as much less. */
static double jittered(double delay, double jitter, double max, struct rng *rng)
{
    double part = (double)(rng_next(rng) >> 11) * 0x1p-53;
    double moved = delay * (1 + jitter * (2 * part - 1));
    return moved > max ? fmax(2 * max - moved, 0) : moved;
}

bool retry_decide(const struct retry_policy *p, int64_t attempt, struct str type, struct rng *rng,
                  int64_t *delay_us)
{
    assert(attempt >= 1);
    const struct retry_rule *rule = rule_of(p, type);
    if (rule && !rule->retry)
        return false;
    bool timed = rule && rule->timed;
    double delay = timed ? (double)rule->delay_us : grown_us(p, attempt);
    double max = timed ? (double)RETRY_DELAY_MAX_US : (double)p->max_delay_us;
    *delay_us = (int64_t)jittered(delay, p->jitter, max, rng);
    return true;
}
