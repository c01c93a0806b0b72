/* sim_tasks.c: the queue in the real engine under a seeded simulation, in virtual time.
 *
 * Tasks are enqueued, alone and with others, with parents, locks, keys, unique keys, times and
 * retries. Sessions claim, settle, settle twice, settle late, enqueue with settlements, extend,
 * forget, release and die; claims wait, and some are given up; arguments and results lie in blobs,
 * and others put blobs for nothing (tasks_blobs.c); schedules tick (tasks_ticks.c); answers get
 * lost; somebody cancels, retries and deletes by filters, pauses and limits; the wall clock is set
 * forward and back by up to years, the monotonic one begins anew when the machine does, and
 * everything stands still for minutes; commits fail, the disk is full, and the process is killed at
 * named points in the middle of a group. What was acknowledged and who was given what is in shared
 * memory (tasks_world.h), the engine in a child that may be killed at any time. After every step:
 *
 *   no task lost, none settled twice, none in two live leases; the fence of each grows;
 *   no lock held twice, no child before its parents, no limit exceeded in any window;
 *   counts equal what is listed; no tick is there twice; what a task needs is there.
 *
 * At the end all is let go, and every task ends; when all are deleted, no blob is left.
 *
 * This file has the run; each subject a file of its own, of which tasks_sim.h tells.
 *
 * Usage: sim_tasks [FIRST_SEED [SEEDS [STEPS]]]. A failing seed prints itself and replays exactly.
 */
#include "base/log.h"
#include "tasks_sim.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct world *world;
uint64_t seed_now;
enum { UNSET_ROUNDS = 250 };

static const struct {
    const char *name;
    void (*run)(void);
    int weight;
} verbs[] = {
    {"enqueue", verb_enqueue, 20}, {"claim", verb_claim, 26},    {"settle", verb_settle, 26},
    {"extend", verb_extend, 6},    {"release", verb_release, 2}, {"die", verb_die, 2},
    {"control", verb_control, 6},  {"gate", verb_gate, 3},       {"limit", verb_limit, 2},
    {"restart", verb_restart, 1},  {"time", verb_time, 20},      {"schedule", verb_schedule, 4},
    {"blob", verb_blob, 4},        {"wait", verb_wait, 10},
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
    hear_all();
}

int open_tasks(void)
{
    int open = 0;
    for (int i = 0; i < world->task_count; i++)
        open += world->tasks[i].state == KNOWN_OPEN;
    return open;
}

/* Until now the clock may have stood anywhere: that keeps nobody waiting but who wants to run at a
 * time that the clock tells. */
static void set_clock_right(void)
{
    for (int i = 0; i < world->task_count; i++) {
        const struct known *k = &world->tasks[i];
        if (k->state != KNOWN_OPEN || known_may_wait(k))
            continue;
        struct task_view view = show(k->id);
        MUST(view.hold != HOLD_TIME, "task %lld waits for the clock", (long long)k->id);
        task_view_release(&view);
    }
    if (world->now.wall_us < world->latest_wall_us)
        world->now.wall_us = world->latest_wall_us;
}

/* Nothing is held back any more; what waits for something that failed waits for its retry. */
static void drive_to_the_end(void)
{
    struct task_filter failed = {.by_state = true, .state = JOB_FAILED},
                       cancelled = {.by_state = true, .state = JOB_CANCELLED};
    world->ending = true;
    for (int i = 0; i < QUEUES; i++)
        set_gate(false, i, &(struct gate){0});
    for (int i = 0; i < FUNCTIONS; i++)
        set_gate(true, i, &(struct gate){0});
    if (world->has_rule)
        set_limit(false, (struct gate){0});
    ticks_check_alive();
    for (int rounds = 0; open_tasks() > 0; rounds++) {
        MUST(rounds < 5000, "%d tasks never end", open_tasks());
        if (rounds == UNSET_ROUNDS)
            set_clock_right();
        verb_claim();
        verb_settle();
        verb_extend();
        hear_all();
        /* One whose unique key is taken can only be forgotten; who waits for what was cancelled is
         * cancelled with it when that is forgotten. */
        if (rounds % 50 == 49)
            control(rounds > 300 ? TASK_DELETE : TASK_RETRY, &failed);
        if (rounds % 50 == 49 && rounds > 400)
            control(TASK_DELETE, &cancelled);
        pass(SECOND_US);
        check_all();
    }
}

static void delete_all(void)
{
    static const enum job_state states[] = {JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED};
    for (int i = 0; i < 3; i++)
        control(TASK_DELETE, &(struct task_filter){.by_state = true, .state = states[i]});
    for (int i = 0; i < world->task_count; i++)
        MUST(world->tasks[i].state == KNOWN_NOT || world->tasks[i].state == KNOWN_GONE,
             "task %lld was not deleted", (long long)world->tasks[i].id);
}

static void run_child(void)
{
    no_faults();
    world->looking = false;
    if (world->era > 0)
        meanwhile();
    open_engine();
    recover();
    resolve();
    check_all();
    for (; world->steps_left > 0; world->steps_left--) {
        any_verb();
        if (pick(4) == 0)
            check_all();
    }
    drive_to_the_end();
    verb_restart();
    check_all();
    delete_all();
    blobs_check_collected();
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
    world->latest_wall_us = world->now.wall_us;
    world->steps_left = steps;
    snprintf(world->folder, sizeof world->folder, "%s/penstock-sim-XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(world->folder), "no folder for the simulation");
    OWNED_MEM char *data = path_of("data");
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
    int crashes = 0, failures = 0, tasks = 0;
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
        tasks += world->task_count;
    }
    fprintf(stderr,
            "%llu seeds, %d tasks, %d crashes, %d failed commits: every task has ended once\n",
            (unsigned long long)seeds, tasks, crashes, failures);
    return 0;
}
