/* task_claim_body.c: see task_claim_body.h. */
#include "http/native/task_claim_body.h"

#include "http/native/native_value.h"

#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define WAIT_MAX_US (3600 * SECOND_US)
/* Of arguments in one answer; one task fits whatever its size. */
#define ANSWER_MAX_BYTES (INT64_C(16) << 20)
enum { NAMES_MAX = 10000, NAMES_FIRST = 4 };

void task_claim_body_release(struct task_claim_body *c)
{
    free(c->queues);
    free(c->functions);
    free(c->holds);
    *c = (struct task_claim_body){0};
}

/* A list of names; null: all. */
static bool read_names(const char *name, struct str raw, struct str **list, size_t *count,
                       struct err *err)
{
    struct json j;
    struct str item;
    size_t cap = 0;
    free(*list);
    *list = NULL;
    *count = 0;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, name, "a list of names, or null for all", raw);
    json_open(&j, raw);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item)) {
        if (*count == NAMES_MAX)
            return err_set(err, ERR_LIMIT, "%s: more than %d names", name, NAMES_MAX);
        if (*count == cap) {
            cap = cap ? 2 * cap : NAMES_FIRST;
            *list = xrealloc(*list, cap * sizeof **list);
        }
        struct str *to = &(*list)[*count];
        *to = (struct str){NULL, 0};
        OWNED_MEM char *place = NULL;
        if (json_type_of(item) != JSON_STRING || !value_name(name, item, to, err)) {
            place = xasprintf("%s[%zu]", name, *count);
            return value_wrong(err, place, "a name", item);
        }
        (*count)++;
    }
    if (*count == 0)
        return err_set(err, ERR_INVALID, "%s: expected at least one name, or null for all", name);
    return true;
}

static bool read_worker(struct task_claim_body *c, struct str raw, struct err *err)
{
    if (!value_name("worker", raw, &c->worker, err))
        return false;
    return c->worker.len <= TASK_WORKER_MAX_BYTES ||
           err_set(err, ERR_INVALID, "worker: expected a name of up to %d bytes",
                   TASK_WORKER_MAX_BYTES);
}

static bool read_holds(struct task_claim_body *c, struct str raw, struct err *err)
{
    c->holds_count = 0;
    c->has_holds = json_type_of(raw) != JSON_NULL;
    return value_ids("holds", raw, 1, &c->holds, &c->holds_count, &c->holds_cap, err);
}

static bool read_lease(struct task_claim_body *c, struct str raw, struct err *err)
{
    return json_type_of(raw) == JSON_NULL || value_decode(raw, &c->lease) ||
           value_wrong(err, "lease", "a token", raw);
}

static bool read_member(struct task_claim_body *c, struct str name, struct str raw, bool inner,
                        struct err *err)
{
    if (json_name_is(name, "max"))
        return value_i64("max", raw, 0, TASK_CLAIM_MAX, &c->max, err);
    if (json_name_is(name, "wait_s"))
        return value_seconds("wait_s", raw, 0, inner ? 0 : WAIT_MAX_US, &c->wait_us, err);
    if (json_name_is(name, "queues"))
        return read_names("queues", raw, &c->queues, &c->queue_count, err);
    if (json_name_is(name, "functions"))
        return read_names("functions", raw, &c->functions, &c->function_count, err);
    if (json_name_is(name, "holds"))
        return read_holds(c, raw, err);
    if (!inner && json_name_is(name, "lease"))
        return read_lease(c, raw, err);
    if (!inner && json_name_is(name, "early"))
        return value_bool("early", raw, &c->early, err);
    if (!inner && json_name_is(name, "worker"))
        return read_worker(c, raw, err);
    if (!inner && json_name_is(name, "lease_s"))
        return value_seconds("lease_s", raw, SECOND_US, TASK_LEASE_MAX_US, &c->lease_us, err);
    return value_unknown(err, name);
}

bool task_claim_body_read(struct task_claim_body *c, struct json *j, bool inner, struct err *err)
{
    struct json_names seen = {0};
    struct str name, raw;
    task_claim_body_release(c);
    c->max = 1;
    if (json_enter(j, '{'))
        while (json_member(j, &name) && json_value(j, &raw))
            if (!value_once(&seen, name, err) || !read_member(c, name, raw, inner, err))
                return false;
    if (c->has_holds && !inner && !c->lease.len)
        return j->fault || err_set(err, ERR_INVALID, "holds: goes with lease");
    return true;
}

void task_claim_body_apply(const struct task_claim_body *c, struct task_claim *claim)
{
    claim->queues = c->queues;
    claim->queue_count = c->queue_count;
    claim->functions = c->functions;
    claim->function_count = c->function_count;
    claim->max = c->max;
    claim->max_bytes = ANSWER_MAX_BYTES;
    claim->worker = c->worker;
    claim->lease_us = c->lease_us;
    claim->holds = c->holds;
    claim->holds_count = c->holds_count;
    claim->has_holds = c->has_holds;
    claim->early = c->early;
}
