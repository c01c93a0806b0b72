/* steps_engine.c: the engine of the simulation of steps: asked, with mischief about, stopped and
 * started anew (steps_sim.h). */
#include "base/fault.h"
#include "steps_sim.h"

#include <unistd.h>

/* What has ended is still there to be looked at. */
#define KEEP_US (INT64_C(3650) * 86400 * SECOND_US)

struct world *world;
uint64_t seed_now;
struct engine *sim_engine;
static struct folders *folders;

const char *const owner_names[OWNERS] = {"", "lab"};

int pick(int count)
{
    return (int)(rng_next(&world->rng) % (uint64_t)count);
}

struct step_asker asker(int owner)
{
    return (struct step_asker){.owner = str_of(owner_names[owner]), .name = STR("somebody")};
}

/* --- asking ---------------------------------------------------------------------------------- */

static void on_done(struct op *op)
{
    *(bool *)op->context = true;
}

static void step(struct op *ops)
{
    struct err err;
    /* Durability is in doubt: the process ends, and recovers by starting again. */
    if (!engine_step(sim_engine, ops, world->now, &err))
        _exit(75);
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

/* Something may go wrong; whether it may. */
static bool plan_fault(void)
{
#ifdef PENSTOCK_FAULTS
    static const char *const plans[] = {"store.commit:1:fail",  "store.commit:1:full",
                                        "store.commit:2:fail",  "store.begin:1:fail",
                                        "store.commit:1:kill",  "store.committed:1:kill",
                                        "group.written:1:kill", "group.answered:1:kill"};
    if (world->ending || pick(10))
        return false;
    const char *plan = plans[pick((int)(sizeof plans / sizeof *plans))];
    SAY("  fault %s\n", plan);
    fault_set(plan);
    return true;
#else
    return false;
#endif
}

static bool failed(const struct op *op)
{
    return op->err.code == ERR_STORE || op->err.code == ERR_NO_SPACE;
}

/* Memory was thrown away, sessions are read again. */
static void note_failure(void)
{
    world->failures++;
    world->refused_until_us = world->now.mono_us + REFUSED_US;
    sessions_anew(REFUSED_US);
}

void dare_quietly(struct op *op)
{
    bool planned = plan_fault();
    ask(op);
    no_faults();
    SAY("  answered: %s\n", op->err.code == ERR_NONE ? "well" : op->err.text);
    if (failed(op) || planned)
        note_failure();
}

bool dare(struct op *op, enum err_code expected)
{
    world->in_doubt = true;
    dare_quietly(op);
    world->in_doubt = false;
    if (failed(op))
        return false;
    MUST(op->err.code == expected, "op %d: expected %d: %s", (int)op->kind, (int)expected,
         op->err.code == ERR_NONE ? "it went well" : op->err.text);
    if (expected != ERR_NONE)
        return false;
    world->model = world->asked;
    return true;
}

/* --- sessions and time ----------------------------------------------------------------------- */

void session_heard(int session)
{
    struct session *s = &world->sessions[session];
    int64_t ends_us = world->now.mono_us + SPAN_US;
    s->ends_us = ends_us > s->ends_us ? ends_us : s->ends_us;
    s->late_us = s->ends_us > s->late_us ? s->ends_us : s->late_us;
}

/* One that was not yet looked at is not read again: it ends when it ends. */
void sessions_anew(int64_t late_us)
{
    for (int i = 0; i <= SESSIONS; i++) {
        struct session *s = &world->sessions[i];
        int64_t late = world->now.mono_us + SPAN_US + late_us;
        s->late_us = late > s->late_us ? late : s->late_us;
    }
}

void pass(int64_t us, bool safely)
{
    world->now.mono_us += us;
    world->now.wall_us += us;
    bool planned = !safely && plan_fault();
    step(NULL);
    no_faults();
    if (planned)
        note_failure();
    observe_losses();
}

void recover(void)
{
    while (world->refused_until_us > world->now.mono_us)
        pass(world->refused_until_us - world->now.mono_us, true);
}

void verb_time(void)
{
    static const int64_t spans_us[] = {SECOND_US / 10, SECOND_US, 4 * SECOND_US, 12 * SECOND_US};
    pass(spans_us[pick(4)], false);
}

/* --- its lives ------------------------------------------------------------------------------- */

void open_engine(void)
{
    struct err err;
    OWNED_MEM char *state = xasprintf("%s/state", world->folder);
    OWNED_MEM char *data = xasprintf("%s/data", world->folder);
    folders = folders_new();
    MUST(folders_add(folders, data, &err), "%s", err.text);
    /* A seed of its own for each life: tokens are given once. */
    struct engine_options options = {.state_dir = state,
                                     .folders = folders,
                                     .seeded = true,
                                     .seed = rng_next(&world->rng),
                                     .keep_tasks_us = KEEP_US,
                                     .list_work =
                                         (int64_t)(seed_now % 2), /* 1: pages are picked out */
                                     .slice_rows = seed_now % 2 ? 3 : 0,
                                     .blob_grace_us = GRACE_US};
    MUST(engine_open(&options, world->now, &sim_engine, &err), "the engine does not open: %s",
         err.text);
    sessions_anew(0);
}

void close_engine(void)
{
    engine_free(TAKE(sim_engine));
    folders_free(TAKE(folders));
}

void verb_restart(void)
{
    close_engine();
    open_engine();
}
