/* flows_hands.c: the workers of the simulation of flows: they claim, settle, stop what they are
 * told to, and die. */
#include "flows_sim.h"

static int node_of(const struct task_handed *t)
{
    struct str node, id;
    int64_t number = 0;
    MUST(json_find(t->arguments, "node", &node) && json_find(node, "id", &id) &&
             json_i64(id, 1, NODES, &number),
         "arguments %.*s", (int)t->arguments.len, t->arguments.ptr);
    return (int)number - 1;
}

static void note_handed(struct worker *w, const struct task_claim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        int at = node_of(&claim->tasks[i]);
        const struct known *k = &world->known[at];
        SAY("  node %d runs as task %lld\n", at + 1, (long long)claim->tasks[i].id);
        MUST(world->list[at].there && k->selected, "node %d runs, and is not of this run", at + 1);
        MUST(!k->completed, "node %d was complete and runs again", at + 1);
        MUST(w->count < HELD, "too many are held");
        w->held[w->count].task = claim->tasks[i].id;
        w->held[w->count++].node = at;
    }
}

void verb_claim(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct op op;
    op_init(&op, OP_TASK_CLAIM);
    struct str queue = STR("flow/f");
    op.task_claim.queues = &queue;
    op.task_claim.queue_count = 1;
    op.task_claim.max = 1 + pick(4);
    op.task_claim.worker = STR("w");
    op.task_claim.has_lease = w->has_token;
    op.task_claim.early = pick(2) == 0;
    memcpy(op.task_claim.token, w->token, sizeof w->token);
    dare(&op);
    if (op.err.code == ERR_NONE) {
        w->has_token = true;
        memcpy(w->token, op.task_claim.token, sizeof w->token);
        note_handed(w, &op.task_claim);
    } else if (op.refusal == REFUSED_LEASE_ENDED) {
        *w = (struct worker){0};
    }
    op_release(&op);
}

static void note_settled(struct worker *w, const struct op_task_settle *settle, bool good)
{
    for (size_t i = 0; i < settle->count; i++)
        for (int h = 0; h < w->count; h++) {
            if (w->held[h].task != settle->entries[i].id)
                continue;
            int at = w->held[h].node;
            if (good && !settle->entries[i].stale && settle->entries[i].outcome == TASK_COMPLETED) {
                world->known[at].completed = true;
                world->completions++;
            }
            world->known[at].doubtful = false;
            if (good)
                w->held[h--] = w->held[--w->count];
        }
}

void verb_settle(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct task_settle_entry entries[HELD];
    struct op op;
    if (!w->has_token || !w->count)
        return;
    op_init(&op, OP_TASK_SETTLE);
    memcpy(op.task_settle.token, w->token, sizeof w->token);
    op.task_settle.entries = entries;
    for (int h = 0; h < w->count; h++) {
        if (pick(3) == 0)
            continue;
        struct task_settle_entry *entry = &entries[op.task_settle.count++];
        bool fails = !world->ending && pick(4) == 0;
        *entry =
            (struct task_settle_entry){.id = w->held[h].task,
                                       .outcome = fails ? TASK_FAILED : TASK_COMPLETED,
                                       .value = fails ? STR("{\"code\":3}") : STR("{\"code\":0}"),
                                       .final = pick(3) == 0};
        /* A stale one may be of a node of an earlier run. */
        world->known[w->held[h].node].doubtful = !fails;
    }
    op.task_settle.claims = pick(2);
    op.task_settle.claim.max = pick(3);
    dare(&op);
    bool good = op.err.code == ERR_NONE;
    note_settled(w, &op.task_settle, good);
    if (good)
        note_handed(w, &op.task_settle.claim);
    else if (op.refusal == REFUSED_LEASE_ENDED)
        *w = (struct worker){0};
    op_release(&op);
}

/* Stops what it is asked to stop. */
void verb_extend(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct task_settle_entry entries[HELD];
    struct op op, settle;
    if (!w->has_token)
        return;
    op_init(&op, OP_TASK_EXTEND);
    memcpy(op.task_extend.token, w->token, sizeof w->token);
    ask(&op);
    if (op.refusal == REFUSED_LEASE_ENDED)
        *w = (struct worker){0};
    op_init(&settle, OP_TASK_SETTLE);
    memcpy(settle.task_settle.token, w->token, sizeof w->token);
    settle.task_settle.entries = entries;
    for (size_t i = 0; op.err.code == ERR_NONE && i < op.task_extend.abort_count && i < HELD; i++)
        entries[settle.task_settle.count++] =
            (struct task_settle_entry){.id = op.task_extend.aborts[i].id, .outcome = TASK_ABORTED};
    if (settle.task_settle.count) {
        dare(&settle);
        note_settled(w, &settle.task_settle, settle.err.code == ERR_NONE);
    }
    op_release(&settle);
    op_release(&op);
}

void verb_die(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct op op;
    op_init(&op, OP_TASK_RELEASE);
    memcpy(op.task_release.token, w->token, sizeof w->token);
    op.task_release.died = pick(2);
    bool quietly = pick(2);
    if (w->has_token && !quietly)
        dare(&op);
    op_release(&op);
    *w = (struct worker){0};
}
