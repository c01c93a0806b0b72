/* tasks_engine.c: the engine of the simulation of the queue: asked, with mischief about, stopped
 * and started anew (tasks_sim.h). */
#include "base/fault.h"
#include "tasks_sim.h"

#include <stdlib.h>
#include <unistd.h>

/* However far the clock is set forward, what has ended is still there to be looked at. */
#define KEEP_US (INT64_C(100) * 365 * 86400 * SECOND_US)
#define REFUSED_US (2 * SECOND_US) /* more than the engine wants after a failure */

struct engine *sim_engine;
static struct folders *folders;

char *path_of(const char *name)
{
    return xasprintf("%s/%s", world->folder, name);
}

void on_done(struct op *op)
{
    *(bool *)op->context = true;
}

/* Durability is in doubt: the process ends, and recovers by starting again. */
static void give_up(void)
{
    _exit(75);
}

/* What comes meanwhile is looked at in the next step; the clock goes on. */
void step(struct op *ops)
{
    struct err err;
    bool pending = false;
    bool ok = engine_begin(sim_engine, ops, machine_now(), &pending, &err);
    while (ok && pending) {
        engine_commit(sim_engine);
        if (!world->looking && pick(4) == 0)
            time_passes(pick(40) * 1000);
        ok = engine_finish(sim_engine, machine_now(), &pending, &err);
    }
    if (!ok)
        give_up();
}

void ask(struct op *op)
{
    bool answered = false;
    op->done = on_done;
    op->context = &answered;
    op->right.trusted = true;
    step(op);
    for (int i = 0; !answered && i < 10000; i++)
        step(NULL);
    MUST(answered, "op %d was not answered", (int)op->kind);
}

void no_faults(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(NULL);
#endif
}

void plan(const char *fault)
{
#ifdef PENSTOCK_FAULTS
    SAY("  fault %s\n", fault);
    fault_set(fault);
#else
    (void)fault;
#endif
}

/* What may go wrong with the next op; whether something may. */
static bool plan_fault(void)
{
#ifdef PENSTOCK_FAULTS
    static const char *const plans[] = {"store.commit:1:fail",  "store.commit:1:full",
                                        "store.commit:2:fail",  "store.begin:1:fail",
                                        "store.commit:1:kill",  "store.committed:1:kill",
                                        "group.written:1:kill", "group.answered:1:kill"};
    const char *chosen = plans[pick((int)(sizeof plans / sizeof *plans))];
    if (world->ending || pick(10))
        return false;
    plan(chosen);
    return true;
#else
    return false;
#endif
}

void dare(struct op *op)
{
    bool planned = plan_fault();
    world->asked_us = world->now.mono_us;
    ask(op);
    no_faults();
    SAY("  answered: %s\n", op->err.code == ERR_NONE ? "well" : op->err.text);
    bool failed = op->err.code == ERR_STORE || op->err.code == ERR_NO_SPACE;
    world->failures += failed;
    /* The commit may have failed of what else came with it: sessions that ended, say. */
    if (!failed && !planned)
        return;
    world->era++;
    world->looked_us = world->now.mono_us;
    world->refused_until_us = world->now.mono_us + REFUSED_US;
}

void pass(int64_t us)
{
    time_passes(us);
    world->asked_us = world->now.mono_us;
    step(NULL);
    hear_all();
}

void recover(void)
{
    if (world->refused_until_us > world->now.mono_us)
        pass(world->refused_until_us - world->now.mono_us);
}

void verb_time(void)
{
    int64_t next = engine_next_us(sim_engine) - machine_now().mono_us;
    int64_t us = pick(3) ? pick(800) * 1000 : pick(12) * SECOND_US;
    if (pick(20) == 0)
        clock_is_set();
    if (pick(40) == 0) { /* nobody runs for a while, and the next that comes finds it so */
        time_passes(pick(120) * SECOND_US);
        world->looked_us = world->now.mono_us;
    } else
        pass(pick(3) == 0 && next > 0 && next < 60 * SECOND_US ? next : us);
}

void open_engine(void)
{
    OWNED_MEM char *state = path_of("state");
    OWNED_MEM char *data = path_of("data");
    struct err err;
    folders = folders_new();
    MUST(folders_add(folders, data, &err), "%s", err.text);
    struct engine_options options = {.state_dir = state,
                                     .folders = folders,
                                     .seeded = true,
                                     .seed = rng_next(&world->rng),
                                     .keep_tasks_us = KEEP_US,
                                     .blob_grace_us = BLOB_GRACE_US};
    world->era++;
    world->looked_us = world->now.mono_us;
    MUST(engine_open(&options, machine_now(), &sim_engine, &err), "%s", err.text);
}

void close_engine(void)
{
    engine_free(TAKE(sim_engine));
    hear_all();
    folders_free(TAKE(folders));
}

/* What may happen while nothing runs: time passes, the machine starts anew, its clock is set. */
void meanwhile(void)
{
    if (pick(3) == 0)
        time_passes(pick(60) * SECOND_US);
    if (pick(3) == 0)
        world->booted_us = world->now.mono_us - (1 + pick(4)) * SECOND_US;
    if (pick(4) == 0)
        clock_is_set();
}

void verb_restart(void)
{
    close_engine();
    meanwhile();
    open_engine();
}
