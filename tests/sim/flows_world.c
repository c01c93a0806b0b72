/* flows_world.c: what the simulation of flows knows, how it asks the engine, and what must hold. */
#include "flows_sim.h"

#include "base/fault.h"

#include <unistd.h>

struct world *world;
uint64_t seed_now;
struct engine *sim_engine;

int pick(int count)
{
    return (int)(rng_next(&world->rng) % (uint64_t)count);
}

/* --- asking the engine ----------------------------------------------------------------------- */

static void on_done(struct op *op)
{
    *(bool *)op->context = true;
}

void step(struct op *ops)
{
    struct err err;
    /* Durability is in doubt: the process ends, and recovers by starting again. */
    if (!engine_step(sim_engine, ops, world->now, &err))
        _exit(75);
}

static void ask_with(struct op *op, struct op *other)
{
    bool answered = false, others = !other;
    op->done = on_done;
    op->context = &answered;
    op->right.trusted = true;
    op->next = other;
    if (other) {
        other->done = on_done;
        other->context = &others;
        other->right.trusted = true;
    }
    step(op);
    for (int i = 0; (!answered || !others) && i < 10000; i++)
        step(NULL);
    MUST(answered && others, "op %d was not answered", (int)op->kind);
}

void ask(struct op *op)
{
    ask_with(op, NULL);
}

void no_faults(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(NULL);
#endif
}

void plan_fault(void)
{
#ifdef PENSTOCK_FAULTS
    static const char *const plans[] = {
        "store.commit:1:fail",  "store.commit:1:full", "store.commit:2:fail",
        "store.begin:1:fail",   "store.commit:1:kill", "store.committed:1:kill",
        "group.written:1:kill", "group.early:1:kill",  "group.answered:1:kill"};
    if (world->ending || pick(10))
        return;
    const char *plan = plans[pick((int)(sizeof plans / sizeof *plans))];
    SAY("  fault %s\n", plan);
    fault_set(plan);
#endif
}

/* Asks with mischief about. */
void dare(struct op *op)
{
    plan_fault();
    ask(op);
    no_faults();
    SAY("  answered: %s\n", op->err.code == ERR_NONE ? "well" : op->err.text);
    if (op->err.code != ERR_STORE && op->err.code != ERR_NO_SPACE)
        return;
    world->failures++;
    world->refused_until_us = world->now.mono_us + REFUSED_US;
}

void pass(int64_t us)
{
    world->now.mono_us += us;
    world->now.wall_us += us;
    step(NULL);
}

void recover(void)
{
    if (world->refused_until_us > world->now.mono_us)
        pass(world->refused_until_us - world->now.mono_us);
}

/* --- looking --------------------------------------------------------------------------------- */

bool look(struct seen *s)
{
    struct op show, nodes;
    op_init(&show, OP_FLOW_SHOW);
    show.job.name = STR("f");
    op_init(&nodes, OP_FLOW_NODES);
    nodes.job.name = STR("f");
    nodes.flow_nodes.limit = NODES + 1;
    /* In one step: a cascade goes on with each. */
    ask_with(&show, &nodes);
    *s = (struct seen){.state = JOB_STATE_COUNT};
    if (show.refusal == REFUSED_FLOW_UNKNOWN) {
        op_release(&nodes);
        op_release(&show);
        return false;
    }
    MUST(show.err.code == ERR_NONE, "show: %s", show.err.text);
    MUST(nodes.err.code == ERR_NONE, "nodes: %s", nodes.err.text);
    const struct flow_view *v = &show.flow_show.view;
    s->state = v->state;
    s->stops = v->stops;
    s->run = v->run;
    int64_t counts[FLOW_MARK_COUNT] = {0};
    for (size_t i = 0; i < nodes.flow_nodes.count; i++) {
        const struct flow_node_view *n = &nodes.flow_nodes.views[i];
        int at = n->id - 1;
        MUST(at >= 0 && at < NODES && !s->there[at], "node %d is told twice", n->id);
        s->there[at] = true;
        s->marks[at] = n->mark;
        s->tasks[at] = n->task;
        s->node_runs[at] = n->run;
        counts[n->mark]++;
    }
    MUST(memcmp(counts, v->counts, sizeof counts) == 0, "the counts are not those of the nodes");
    op_release(&nodes);
    op_release(&show);
    return true;
}

static bool is_bad(enum flow_mark mark)
{
    return mark == FLOW_FAILED || mark == FLOW_DEFAULTED || mark == FLOW_ABORTED;
}

static bool is_over(const struct seen *s, int at)
{
    return s->marks[at] == FLOW_COMPLETED || s->marks[at] == FLOW_NORUN || is_bad(s->marks[at]) ||
           !world->known[at].selected;
}

/* Whether a parent keeps the node waiting, or has made it D. Only those of the same run count. */
static void check_node(const struct seen *s, int at)
{
    const struct listed *n = &world->list[at];
    enum flow_mark mark = s->marks[at];
    bool all_well = true, all_over = true, any_bad = false;
    for (int i = 0; i < n->parent_count; i++) {
        int parent = n->parents[i];
        if (!world->known[parent].selected)
            continue;
        all_well = all_well && s->marks[parent] == FLOW_COMPLETED;
        all_over = all_over && is_over(s, parent);
        any_bad = any_bad || is_bad(s->marks[parent]);
    }
    bool started = mark == FLOW_RUNNING || mark == FLOW_COMPLETED || mark == FLOW_FAILED;
    if (n->always) {
        MUST(!started || all_over, "node %d has started before its parents ended", at + 1);
        MUST(mark != FLOW_DEFAULTED, "node %d is D and always runs", at + 1);
        return;
    }
    MUST(!started || all_well, "node %d has started before its parents were complete", at + 1);
    MUST(mark != FLOW_DEFAULTED || any_bad, "node %d is D for no reason", at + 1);
    if (any_bad && !s->stops && s->state != JOB_CANCELLED &&
        (s->still || s->state != JOB_RUNNING || mark != FLOW_PENDING))
        MUST(mark == FLOW_DEFAULTED || mark == FLOW_ABORTED, "node %d is %c, it should be D",
             at + 1, flow_mark_letter(mark));
}

static void check_doctor(void)
{
    struct op op;
    op_init(&op, OP_DOCTOR);
    ask(&op);
    if (op.err.code == ERR_NONE)
        MUST(op.doctor.faults == 0, "doctor: %.*s", (int)op.doctor.findings.len,
             op.doctor.findings.data);
    op_release(&op);
}

/* A cascade goes on without being asked, a portion a step. Half of the time what is looked at is
 * what it has left halfway. */
static bool let_it_go_on(void)
{
    if (world->steps_left % 2 || world->refused_until_us > world->now.mono_us)
        return false;
    for (int i = 0; i < 2 * NODES; i++)
        step(NULL);
    return true;
}

void check_all(void)
{
    struct seen s;
    bool still = let_it_go_on();
    if (!world->started) {
        MUST(!look(&s), "a flow comes from nowhere");
        return;
    }
    MUST(look(&s), "the flow is gone");
    s.still = still;
    bool open = false, runs = false;
    for (int at = 0; at < NODES; at++) {
        const struct known *k = &world->known[at];
        MUST(s.there[at] == world->list[at].there, "node %d is %s", at + 1,
             s.there[at] ? "there" : "gone");
        if (!s.there[at])
            continue;
        MUST(!k->completed || s.marks[at] == FLOW_COMPLETED,
             "node %d was reported complete and is %c", at + 1, flow_mark_letter(s.marks[at]));
        open = open || s.marks[at] == FLOW_RUNNING ||
               (s.marks[at] == FLOW_PENDING && s.state == JOB_RUNNING);
        runs = runs || s.marks[at] == FLOW_RUNNING;
        if (k->selected)
            check_node(&s, at);
    }
    MUST(!still || !s.stops || runs, "it stops, nothing of it runs, and it has not stopped");
    MUST(open == (s.state == JOB_RUNNING), "the flow is %s and %s", job_state_name(s.state),
         open ? "some of it is open" : "none of it is open");
    check_doctor();
}
