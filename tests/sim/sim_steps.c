/* sim_steps.c: steps, step jobs, artifacts and folders in the real engine under a seeded
 * simulation, in virtual time.
 *
 * Two owners draft, configure, fill, start, cancel, retry, fail and delete jobs, alone and with all
 * that hangs on them, in ways that are right and wrong; they upload, change and delete artifacts,
 * make, move, clear and delete folders, register and delete steps. Workers claim, put outputs in
 * this run and in one that is over, complete, fail, give back and die. Commits fail, the disk is
 * full, the process is killed at named points in the middle of a group. What was acknowledged is in
 * shared memory as a plain model of the rules (steps_model.c), the engine in a child that may be
 * killed at any time. What was asked when it was killed has happened wholly or not at all. After
 * every step:
 *
 *   jobs, artifacts, folders and steps are those of the model, with states, slots, runs and counts;
 *   each op was refused exactly when the model refuses it, and changed nothing then;
 *   nobody sees another owner's;
 *   the events tell each job's states in order, none is lost, none comes twice;
 *   what is totalled equals what is listed; every artifact is there whole; doctor finds nothing.
 *
 * At the end all is driven home and deleted, and no blob is left.
 *
 * Usage: sim_steps [FIRST_SEED [SEEDS [STEPS]]]. A failing seed prints itself and replays exactly.
 */
#include "steps_sim.h"

#include "base/log.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*run)(void);
    int weight;
} verbs[] = {
    {"edit", verb_edit, 40},         {"end", verb_end, 8},           {"retry", verb_retry, 6},
    {"upload", verb_upload, 10},     {"artifact", verb_artifact, 8}, {"register", verb_register, 3},
    {"whole", verb_delete_whole, 3}, {"folder", verb_folder, 12},    {"claim", verb_claim, 25},
    {"settle", verb_settle, 16},     {"output", verb_output, 20},    {"extend", verb_extend, 4},
    {"release", verb_release, 2},    {"time", verb_time, 8},         {"restart", verb_restart, 2},
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
    recover();
}

/* --- the child ------------------------------------------------------------------------------- */

static bool any_under_way(void)
{
    for (int i = 0; i < world->model.job_count; i++)
        if (!world->model.jobs[i].gone && is_waiting_or_running(&world->model.jobs[i]))
            return true;
    return false;
}

/* What was started ends. */
static void work(void)
{
    for (int rounds = 0; any_under_way(); rounds++) {
        MUST(rounds < 200, "jobs never end");
        for (int i = 0; i < SESSIONS; i++) {
            claim(i, rounds % OWNERS, JOBS);
            settle(i, true);
        }
        pass(2 * SECOND_US, true);
        check_all();
    }
}

/* Everything goes: artifacts that may not are allowed to first. */
static void delete_all(void)
{
    for (int i = 0; i < world->model.artifact_count; i++)
        allow_deletion(i);
    for (int rounds = 0; rounds < 2; rounds++)
        for (int i = 0; i < world->model.job_count; i++)
            if (!world->model.jobs[i].gone)
                delete_whole(i);
    check_all();
    for (int owner = 0; owner < OWNERS; owner++)
        clear_all_of(owner);
    check_all();
    check_nothing_is_left();
}

static void run_child(void)
{
    no_faults();
    open_engine();
    recover();
    resolve();
    check_all();
    register_all();
    for (; world->steps_left > 0; world->steps_left--) {
        any_verb();
        check_all();
        if (world->steps_left % 10 == 0)
            check_deeply();
    }
    world->ending = true;
    work();
    verb_restart();
    check_all();
    check_deeply();
    delete_all();
    check_deeply();
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
    int crashes = 0, failures = 0, runs = 0, jobs = 0;
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
        jobs += world->model.job_count;
    }
    fprintf(
        stderr,
        "%llu seeds, %d jobs, %d runs, %d crashes, %d failed commits: all was as the model says\n",
        (unsigned long long)seeds, jobs, runs, crashes, failures);
    return 0;
}
