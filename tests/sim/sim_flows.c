/* sim_flows.c: flows in the real engine under a seeded simulation, in virtual time.
 *
 * Random lists are started; workers claim, complete, fail, time out, die, and say what is stale;
 * somebody aborts, cancels single nodes, restarts with an edited list, by selection or not, and
 * takes over runs that go on; commits fail, the disk is full, and the process is killed at named
 * points in the middle of a group. What was acknowledged is in shared memory, the engine in a child
 * that may be killed at any time. After every step:
 *
 *   what was reported complete is C, and never runs again but by a fresh run or a selection;
 *   a node runs only when each parent of this run is C (or has ended, for one that is `always`);
 *   D are the descendants of what failed, was aborted or is D, and nothing else, `always` apart;
 *   marks, counts and states fit together, and doctor finds nothing wrong.
 *
 * At the end the flow is driven home: every node that can run runs, and the flow ends.
 *
 * Usage: sim_flows [FIRST_SEED [SEEDS [STEPS]]]. A failing seed prints itself and replays exactly.
 */
#include "flows_sim.h"

#include "base/log.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct folders *folders;

static void open_engine(void)
{
    struct err err;
    OWNED_MEM char *state = xasprintf("%s/state", world->folder);
    OWNED_MEM char *data = xasprintf("%s/data", world->folder);
    folders = folders_new();
    MUST(folders_add(folders, data, &err), "%s", err.text);
    /* A seed of its own for each life: tokens are given once. So is how much is done at a time. */
    struct engine_options options = {.state_dir = state,
                                     .folders = folders,
                                     .flow_portion = pick(3),
                                     .seeded = true,
                                     .seed = rng_next(&world->rng)};
    MUST(engine_open(&options, world->now, &sim_engine, &err), "the engine does not open: %s",
         err.text);
}

static void close_engine(void)
{
    engine_free(TAKE(sim_engine));
    folders_free(TAKE(folders));
}

static void verb_restart(void)
{
    close_engine();
    open_engine();
}

/* --- people ---------------------------------------------------------------------------------- */

static void verb_abort(void)
{
    struct op op;
    op_init(&op, OP_FLOW_ABORT);
    op.job.name = STR("f");
    op.flow_abort.at_once = pick(4) == 0;
    dare(&op);
    op_release(&op);
    /* What of it has not begun is left a portion at a time, after a restart, too. */
    if (pick(3) == 0)
        verb_restart();
}

static void verb_cancel(void)
{
    struct seen s;
    struct op op;
    if (!look(&s))
        return;
    const int64_t id = s.tasks[pick(NODES)];
    op_init(&op, OP_TASK_CONTROL);
    op.task_control.verb = (enum task_verb)pick(3);
    op.task_control.filter.ids = &id;
    op.task_control.filter.id_count = 1;
    if (id)
        dare(&op);
    op_release(&op);
}

/* Between two portions of a cascade, or in one of them. */
static void verb_step(void)
{
    plan_fault();
    step(NULL);
    no_faults();
    world->refused_until_us = world->now.mono_us + REFUSED_US;
}

static void verb_time(void)
{
    static const int64_t spans_us[] = {SECOND_US / 10, SECOND_US, 5 * SECOND_US, 30 * SECOND_US};
    pass(spans_us[pick(4)]);
}

/* --- the child ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
    int weight;
} verbs[] = {
    {"start", verb_start, 5},   {"claim", verb_claim, 30}, {"settle", verb_settle, 30},
    {"extend", verb_extend, 5}, {"die", verb_die, 3},      {"abort", verb_abort, 1},
    {"cancel", verb_cancel, 2}, {"time", verb_time, 12},   {"restart", verb_restart, 1},
    {"step", verb_step, 10},
};

static void any_verb(void)
{
    int all = 0, at = 0;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        all += verbs[i].weight;
    int chosen = pick(all);
    while (chosen >= verbs[at].weight)
        chosen -= verbs[at++].weight;
    SAY("%d at %lld us: %s\n", world->steps_left, (long long)world->now.mono_us, verbs[at].name);
    verbs[at].run();
}

/* Works until the flow has ended. */
static void work(void)
{
    struct seen s;
    for (int rounds = 0; look(&s) && s.state == JOB_RUNNING; rounds++) {
        MUST(rounds < 3000, "the flow never ends");
        verb_claim();
        verb_settle();
        verb_extend();
        pass(SECOND_US);
        check_all();
    }
}

/* Whatever became of it: a restart in which nothing fails brings all of it home. */
static void drive_to_the_end(void)
{
    struct seen s;
    world->ending = true;
    if (!world->started)
        start(false, false, -1);
    work();
    start(true, false, -1);
    work();
    MUST(look(&s) && s.state == JOB_COMPLETED, "the flow is %s", job_state_name(s.state));
    for (int at = 0; at < NODES; at++)
        MUST(!s.there[at] || s.marks[at] == FLOW_COMPLETED || s.marks[at] == FLOW_NORUN,
             "node %d has not run", at + 1);
}

static void run_child(void)
{
    no_faults();
    open_engine();
    recover();
    resolve();
    check_all();
    for (; world->steps_left > 0; world->steps_left--) {
        any_verb();
        check_all();
    }
    recover();
    drive_to_the_end();
    verb_restart();
    check_all();
    close_engine();
    _exit(0);
}

/* --- the parent ------------------------------------------------------------------------------ */

static bool in_child(bool *finished)
{
    pid_t pid = fork();
    if (pid == 0)
        run_child();
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    *finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return *finished || (WIFEXITED(status) && WEXITSTATUS(status) == 75) ||
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        OWNED_MEM char *inner = xasprintf("%s/%s", path, entry->d_name);
        if (unlink(inner))
            remove_folder(inner);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static bool run_seed(uint64_t seed, int steps)
{
    const char *base = getenv("TMPDIR");
    bool finished = false, ok = true;
    memset(world, 0, sizeof *world);
    seed_now = seed;
    rng_init(&world->rng, seed);
    world->now = (struct instant){SECOND_US, INT64_C(1700000000) * SECOND_US};
    world->steps_left = steps;
    snprintf(world->folder, sizeof world->folder, "%s/penstock-sim-XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(world->folder), "no folder for the simulation");
    OWNED_MEM char *data = xasprintf("%s/data", world->folder);
    MUST(mkdir(data, 0700) == 0, "no folder for the data");
    while (ok && !finished) {
        ok = in_child(&finished);
        world->crashes += !finished;
        if (!finished && world->steps_left > 0)
            world->steps_left--;
    }
    if (!ok)
        fprintf(stderr, "seed %llu failed: its files are in %s\n", (unsigned long long)seed,
                world->folder);
    else
        remove_folder(world->folder);
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    int steps = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 250;
    int crashes = 0, failures = 0, runs = 0, completions = 0;
    log_set_level(LOG_ERROR);
    if (!getenv("SIM_VERBOSE") && !freopen("/dev/null", "a", stdout))
        return 1;
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        return 1;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (!run_seed(seed, steps))
            return 1;
        crashes += world->crashes;
        failures += world->failures;
        runs += world->runs;
        completions += world->completions;
    }
    fprintf(stderr,
            "%llu seeds, %d runs of flows, %d nodes completed, %d crashes, %d failed commits: what "
            "was complete never ran again\n",
            (unsigned long long)seeds, runs, completions, crashes, failures);
    return 0;
}
