/* task_wait.c: claims and extends that wait. Claims get what there is in the order in which they
 * came, within the group that brought it. */
#include "engine/engine_state.h"

#include <assert.h>
#include <stdlib.h>

void task_claim_wait(struct engine *e, struct op *op)
{
    op->next = NULL;
    *e->tasks->claims_end = op;
    e->tasks->claims_end = &op->next;
}

void task_extend_wait(struct engine *e, struct op *op)
{
    op->next = e->tasks->extends;
    e->tasks->extends = op;
}

static void answer(struct engine *e, struct op *op)
{
    bool durable = op->err.code == ERR_NONE && tasks_stir(&e->building);
    op_meet_fate(e, op, durable ? FATE_DURABLE : FATE_NOW);
}

/* Gives a waiting claim what there is. False: it waits on. */
static bool feed_one(struct engine *e, struct op *op)
{
    struct tasks *tasks = e->tasks;
    struct task_claim *claim = &op->task_claim;
    struct lease *lease = leases_find(tasks->leases, claim->token);
    bool given_up = atomic_load(&claim->given_up);
    bool over = claim->wait_until_us <= e->now.mono_us || given_up;
    if (!lease) {
        op_refuse(op, REFUSED_LEASE_ENDED, ERR_CONFLICT,
                  "the lease has ended: its tasks run elsewhere");
        return true;
    }
    if (!given_up && !claim_tasks(e, claim, lease, &op->err))
        return true;
    if (claim->count == 0 && !over && !task_session_untold(e, lease))
        return false;
    /* Nobody has heard of a session whose first claim was given up. */
    if (given_up && claim->made)
        task_session_end(e, lease);
    else
        lease_extend(tasks->leases, lease, e->now.mono_us + lease_span_us(lease));
    if (!given_up)
        task_claim_finish(e, claim, lease);
    return true;
}

void task_claims_feed(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    struct op **at = &tasks->claims;
    while (*at) {
        struct op *op = *at;
        const struct task_claim *claim = &op->task_claim;
        bool look = tasks->stirred || tasks->woken || claim->wait_until_us <= e->now.mono_us ||
                    atomic_load(&claim->given_up);
        if (!look || !feed_one(e, op)) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        if (!*at)
            tasks->claims_end = at;
        answer(e, op);
    }
    tasks->stirred = false;
}

void task_extends_look(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    for (struct op **at = &tasks->extends; *at;) {
        struct op *op = *at;
        struct op_task_extend *extend = &op->task_extend;
        struct lease *lease = leases_find(tasks->leases, extend->token);
        bool over = extend->wait_until_us <= e->now.mono_us || atomic_load(&extend->given_up);
        if (lease && !over && !(tasks->woken && task_session_untold(e, lease))) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        if (lease)
            task_extend_finish(e, op, lease);
        else
            op_refuse(op, REFUSED_LEASE_ENDED, ERR_CONFLICT,
                      "the lease has ended: its tasks run elsewhere");
        answer(e, op);
    }
    tasks->woken = false;
}

/* A session claims anew, or ends: its claim that waits is over. */
void task_waits_end_of(struct engine *e, const uint8_t token[LEASE_TOKEN_BYTES])
{
    struct tasks *tasks = e->tasks;
    for (struct op **at = &tasks->claims; *at;) {
        struct op *op = *at;
        if (memcmp(op->task_claim.token, token, LEASE_TOKEN_BYTES) != 0) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        if (!*at)
            tasks->claims_end = at;
        op_refuse(op, REFUSED_OTHERWISE, ERR_CONFLICT,
                  "another request of this session came while this claim waited");
        op_meet_fate(e, op, FATE_NOW);
    }
}

int64_t task_waits_next_us(const struct engine *e)
{
    const struct tasks *tasks = e->tasks;
    int64_t next = NEVER_US;
    for (const struct op *op = tasks->claims; op; op = op->next)
        if (atomic_load(&op->task_claim.given_up))
            return 0;
        else if (op->task_claim.wait_until_us < next)
            next = op->task_claim.wait_until_us;
    for (const struct op *op = tasks->extends; op; op = op->next)
        if (atomic_load(&op->task_extend.given_up))
            return 0;
        else if (op->task_extend.wait_until_us < next)
            next = op->task_extend.wait_until_us;
    for (const struct op *op = tasks->shows; op; op = op->next)
        if (atomic_load(&op->task_show.given_up))
            return 0;
        else if (op->task_show.wait_until_us < next)
            next = op->task_show.wait_until_us;
    return next;
}
