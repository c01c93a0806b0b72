/* bench_dispatch.c: what the dispatcher of tasks costs, alone: time a verb with a million tasks
 * waiting, and memory a task.
 *
 * Each case is a process of its own, so that its memory is its own: all tasks are added; then tasks
 * are taken and removed, and as many added, so that a million wait all the time; then the rest is
 * removed in an order of chance. Told is processor time a verb, and memory. */
#include "base/rng.h"
#include "core/dispatch.h"

#include "bench_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TASKS 1000000
#define TURNS 1000000 /* taken, removed and added */
#define MEGABYTE 1e6

static const struct scene {
    const char *name;
    bool keys, locks, priorities, scheduled; /* a key, a lock each; a priority, a time by chance */
    double goal_mb;                          /* of memory with all of them; 0: none */
} scenes[] = {
    {"dispatch one lane", false, false, false, false, 95},
    {"dispatch priorities", false, false, true, false, 95},
    {"dispatch a key each", true, false, false, false, 0},
    {"dispatch a lock each", false, true, false, false, 0},
    {"dispatch later", false, false, false, true, 0},
};

static const struct instant now = {1000, 1000};
static const struct claim_ask one = {.max = 1};

static double resident_mb(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        abort();
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / MEGABYTE;
}

static void add(struct dispatch *d, const struct scene *s, int64_t id, struct rng *rng)
{
    char name[32];
    int len = snprintf(name, sizeof name, "customer-%lld", (long long)id);
    struct str text = {name, (size_t)len}, none = {NULL, 0};
    struct task_entry entry = {
        .id = id, .key = s->keys ? text : none, .lock = s->locks ? text : none, .max_attempts = 5};
    if (s->priorities)
        entry.priority = (int16_t)rng_below(rng, 100);
    if (s->scheduled)
        entry.run_at_us = now.wall_us + 1 + (int64_t)rng_below(rng, INT64_C(1000000000));
    dispatch_add(d, &entry, now);
}

static void tell(const struct scene *s, const char *what, double value, const char *unit,
                 double goal)
{
    char name[64];
    snprintf(name, sizeof name, "%s: %s", s->name, what);
    bench_report(&(struct bench_result){.name = name, .unit = unit, .value = value, .goal = goal});
}

/* Of the processor: whatever else the machine does. */
static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static double ns_each(double since_s, int64_t count)
{
    return (cpu_s() - since_s) * 1e9 / (double)count;
}

/* Time goes to the two verbs apart; of a task that is later nothing can be taken. */
static void turn(struct dispatch *d, const struct scene *s, struct rng *rng)
{
    struct task *t = NULL;
    double begin = cpu_s();
    if (s->scheduled)
        return;
    for (int64_t i = 0; i < TURNS; i++) {
        if (dispatch_take(d, &one, 1, now, &t) != 1)
            abort();
        dispatch_remove(d, t, now);
        add(d, s, TASKS + 1 + i, rng);
    }
    tell(s, "add, take, end", ns_each(begin, TURNS), "ns", 0);
}

/* Each id once, in an order of chance. */
static void remove_all(struct dispatch *d, const struct scene *s, struct rng *rng)
{
    int64_t first = s->scheduled ? 1 : TURNS + 1, count = 0;
    OWNED_MEM int64_t *ids = xcalloc(TASKS, sizeof *ids);
    for (int64_t i = 0; i < TASKS; i++) {
        int64_t other = (int64_t)rng_below(rng, (uint64_t)i + 1);
        ids[i] = ids[other];
        ids[other] = first + i;
    }
    double begin = cpu_s();
    for (int64_t i = 0; i < TASKS; i++) {
        struct task *t = dispatch_find(d, ids[i]);
        if (t)
            dispatch_remove(d, t, now);
        count += t != NULL;
    }
    tell(s, "cancel any", ns_each(begin, count ? count : 1), "ns", 0);
}

static void measure(const struct scene *s)
{
    struct rng rng;
    rng_init(&rng, 1);
    double before = resident_mb();
    struct dispatch *d = dispatch_new();
    dispatch_queue(d, STR("q"));
    dispatch_function(d, STR("f"));
    double begin = cpu_s();
    for (int64_t id = 1; id <= TASKS; id++)
        add(d, s, id, &rng);
    tell(s, "add", ns_each(begin, TASKS), "ns", 0);
    tell(s, "memory of 1 M", resident_mb() - before, "MB", s->goal_mb);
    turn(d, s, &rng);
    remove_all(d, s, &rng);
    dispatch_free(d);
}

int main(void)
{
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            measure(&scenes[i]);
            fflush(stdout);
            _exit(0);
        }
        int status = 1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    return 0;
}
