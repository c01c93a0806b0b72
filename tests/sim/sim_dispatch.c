/* sim_dispatch.c: the dispatcher of tasks against a plain model, seeded.
 *
 * Tasks are added, taken, given back, ended, changed and let go by parents; queues and functions
 * are paused and limited, rules for keys come and go, clocks jump, and now and then all is built
 * anew as after a restart. After every step: each task is where the model says, with the same
 * reason; counts are equal; what was taken is what the definition says is next; nobody waits who
 * could run; no lock is held twice, no limit exceeded in any window; and who sleeps until
 * dispatch_next_us misses nothing. At the end everything runs to its end.
 *
 * Usage: sim_dispatch [FIRST_SEED [SEEDS [STEPS]]]. A failing seed prints itself and replays
 * exactly. */
#include "base/parse.h"
#include "base/rng.h"
#include "dispatch_model.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)

static const char *const names[STATIONS] = {"a", "b", "c"};
static const char *const keys[KEYS] = {"", "k1", "k2", "k3", "l1", "l2"};
static const char *const locks[LOCKS] = {"", "x", "y", "z"};
static const char *const patterns[] = {"*", "k?", "k1", "*2", "l*", "nobody"};

/* What a seed is made of. */
struct taste {
    int queues, functions, keys, locks;
    int most; /* tasks at a time */
    bool rates, jumps;
};

static struct rng rng;
static uint64_t seed_now;
static int steps_left;
static struct taste taste;
static struct model model;
static struct key_rule rules[RULES_MAX];
static size_t rule_count;
static struct dispatch *d;
static struct instant now;
static int64_t last_id;
static char doing[64];

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu, %d steps left, %s: " #condition ": ",                      \
                    (unsigned long long)seed_now, steps_left, doing);                              \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define DO(...) snprintf(doing, sizeof doing, __VA_ARGS__)

static int pick(int n)
{
    return (int)rng_below(&rng, (uint64_t)n);
}

/* A random task that is in; NULL: none (found quickly enough). */
static struct model_task *any_task(void)
{
    for (int i = 0; i < 20; i++) {
        struct model_task *t = &model.tasks[pick(TASKS_MAX)];
        if (t->id)
            return t;
    }
    return NULL;
}

static struct task *real(const struct model_task *t)
{
    struct task *found = dispatch_find(d, t->id);
    MUST(found, "task %lld is lost", (long long)t->id);
    return found;
}

/* --- what the claim should find --- */

static bool has(const uint32_t *list, size_t count, int place)
{
    bool found = !list;
    for (size_t i = 0; i < count; i++)
        found = found || list[i] == (uint32_t)place;
    return found;
}

static enum model_may may_take(const struct claim_ask *ask, const struct model_task *t,
                               int64_t now_us)
{
    if (!has(ask->queues, ask->queue_count, t->queue) ||
        !has(ask->functions, ask->function_count, t->function) || !model_is_ready(&model, t))
        return MAY_NOT;
    return model_may_start(&model, t, now_us);
}

/* The most certain of all answers: whether anything can be taken. */
static enum model_may may_have(const struct claim_ask *ask, int64_t now_us)
{
    enum model_may most = MAY_NOT;
    for (int i = 0; i < TASKS_MAX; i++)
        if (model.tasks[i].id) {
            enum model_may may = may_take(ask, &model.tasks[i], now_us);
            most = may > most ? may : most;
        }
    return most;
}

/* Whether t may be the first of its queue: nothing that certainly could start must come before. */
static bool may_be_first(const struct claim_ask *ask, const struct model_task *t)
{
    for (int i = 0; i < TASKS_MAX; i++) {
        const struct model_task *other = &model.tasks[i];
        if (other->id && other != t && other->queue == t->queue &&
            may_take(ask, other, now.mono_us) == MAY_CERTAINLY &&
            model_compare(&model, other, t) > 0)
            return false;
    }
    return true;
}

/* Whether another queue's first, whichever it is, must come before t. */
static bool is_beaten_by(const struct claim_ask *ask, const struct model_task *t, int queue)
{
    bool certain = false, beaten = true;
    for (int i = 0; i < TASKS_MAX; i++) {
        const struct model_task *other = &model.tasks[i];
        if (!other->id || other->queue != queue)
            continue;
        enum model_may may = may_take(ask, other, now.mono_us);
        certain = certain || may == MAY_CERTAINLY;
        if (may != MAY_NOT && may_be_first(ask, other) && model_compare(&model, other, t) <= 0)
            beaten = false;
    }
    return certain && beaten;
}

static void check_choice(const struct claim_ask *ask, const struct model_task *t)
{
    MUST(may_take(ask, t, now.mono_us) != MAY_NOT, "task %lld may not start", (long long)t->id);
    MUST(may_be_first(ask, t), "task %lld is not next in its queue", (long long)t->id);
    for (int q = 0; q < STATIONS; q++)
        MUST(q == t->queue || !is_beaten_by(ask, t, q), "task %lld is not next", (long long)t->id);
}

/* --- the verbs --- */

static void add_entry(const struct model_task *t, int64_t run_at_us, int64_t retry_us)
{
    struct task_entry entry = {.id = t->id,
                               .queue = (uint32_t)t->queue,
                               .function = (uint32_t)t->function,
                               .key = str_of(keys[t->key]),
                               .lock = str_of(locks[t->lock]),
                               .priority = t->priority,
                               .attempts = t->attempts,
                               .max_attempts = t->max_attempts,
                               .fence = t->fence,
                               .run_at_us = run_at_us,
                               .retry_us = retry_us,
                               .parents = t->parents};
    dispatch_add(d, &entry, now);
}

static int64_t some_time(int64_t from_us)
{
    return from_us + pick(20) * SECOND_US - 3 * SECOND_US + pick(3);
}

static void verb_add(void)
{
    int place = 0;
    while (place < taste.most && model.tasks[place].id)
        place++;
    if (place == taste.most)
        return;
    struct model_task *t = &model.tasks[place];
    int64_t run_at_us = pick(6) ? 0 : some_time(now.wall_us);
    int64_t retry_us = pick(12) ? 0 : some_time(now.mono_us);
    *t = (struct model_task){.id = last_id += 1 + pick(3),
                             .queue = pick(taste.queues),
                             .function = pick(taste.functions),
                             .key = pick(taste.keys),
                             .lock = pick(2) ? 0 : pick(taste.locks),
                             .priority = (int16_t)(pick(3) ? 0 : pick(4) - 1),
                             .max_attempts = 5,
                             .parents = pick(8) ? 0 : (uint32_t)(1 + pick(3))};
    DO("add %lld", (long long)t->id);
    int64_t wall = run_at_us ? run_at_us - now.wall_us : 0;
    int64_t mono = retry_us ? retry_us - now.mono_us : 0;
    t->waits_wall = wall > 0 && wall >= mono;
    t->waits_mono = !t->waits_wall && mono > 0;
    t->until_us = t->waits_wall ? run_at_us : retry_us;
    add_entry(t, run_at_us, retry_us);
    model_settle_turns(&model);
}

static struct claim_ask some_ask(uint32_t *lists)
{
    struct claim_ask ask = {.max = (size_t)(1 + pick(4))};
    uint32_t *functions = lists + STATIONS;
    if (pick(3) == 0) {
        ask.queues = lists;
        for (int q = 0; q < taste.queues; q++)
            if (pick(2))
                lists[ask.queue_count++] = (uint32_t)q;
    }
    if (pick(3) == 0) {
        ask.functions = functions;
        for (int f = 0; f < taste.functions; f++)
            if (pick(2))
                functions[ask.function_count++] = (uint32_t)f;
    }
    return ask;
}

static void take(const struct claim_ask *ask)
{
    struct task *out[TASKS_MAX];
    int64_t session = 1 + pick(5);
    DO("take %zu", ask->max);
    model_tick(&model, now);
    size_t taken = dispatch_take(d, ask, session, now, out);
    MUST(taken <= ask->max, "%zu", taken);
    for (size_t i = 0; i < taken; i++) {
        struct model_task *t = model_find(&model, out[i]->id);
        MUST(t, "task %lld is not in", (long long)out[i]->id);
        check_choice(ask, t);
        MUST(model_start(&model, t, now.mono_us), "a window is too full by task %lld",
             (long long)t->id);
        t->session = session;
        MUST(out[i]->run && out[i]->run->started_at_us == now.wall_us, "no run");
    }
    if (taken < ask->max) {
        MUST(may_have(ask, now.mono_us) != MAY_CERTAINLY, "something was left");
        MUST(!dispatch_may_have(d, ask), "it says that there is more");
    }
}

static void verb_take(void)
{
    uint32_t lists[2 * STATIONS];
    struct claim_ask ask = some_ask(lists);
    take(&ask);
}

static void verb_return(void)
{
    struct model_task *t = any_task();
    if (!t || !t->running)
        return;
    bool spent = pick(2);
    int64_t retry_us = pick(2) ? 0 : some_time(now.mono_us);
    DO("return %lld", (long long)t->id);
    dispatch_return(d, real(t), spent, retry_us, now);
    t->running = false;
    t->attempts -= !spent;
    t->waits_mono = retry_us > now.mono_us;
    t->until_us = retry_us;
    model_settle_turns(&model);
}

static void remove_task(struct model_task *t)
{
    DO("remove %lld", (long long)t->id);
    dispatch_remove(d, real(t), now);
    *t = (struct model_task){0};
    model_settle_turns(&model);
}

static void verb_remove(void)
{
    struct model_task *t = any_task();
    if (t && (t->running || pick(4) == 0))
        remove_task(t);
}

static void verb_parent(void)
{
    struct model_task *t = any_task();
    if (!t || !t->parents)
        return;
    DO("a parent of %lld is done", (long long)t->id);
    dispatch_parent_done(d, real(t), now);
    t->parents--;
    model_settle_turns(&model);
}

static void verb_change(void)
{
    struct model_task *t = any_task();
    if (!t || t->running)
        return;
    int16_t priority = (int16_t)(pick(4) - 1);
    int64_t run_at_us = pick(2) ? DISPATCH_SAME_TIME : pick(2) ? 0 : some_time(now.wall_us);
    DO("change %lld", (long long)t->id);
    dispatch_change(d, real(t), priority, run_at_us, now);
    t->priority = priority;
    if (run_at_us != DISPATCH_SAME_TIME) {
        t->waits_mono = false;
        t->waits_wall = run_at_us > now.wall_us;
        t->until_us = run_at_us;
    }
    model_settle_turns(&model);
}

static double some_rate(void)
{
    static const double rates[] = {20, 60, 90, 240, 6000};
    return taste.rates && pick(2) ? rates[pick(5)] : 0;
}

static void verb_gate(void)
{
    struct gate gate = {.paused = pick(6) == 0,
                        .concurrency = pick(3) ? 0 : 1 + pick(4),
                        .rpm = some_rate(),
                        .fair = pick(3) == 0};
    bool of_function = pick(2);
    int place = pick(of_function ? taste.functions : taste.queues);
    DO("gate of %s %d", of_function ? "function" : "queue", place);
    if (of_function) {
        dispatch_set_function_gate(d, (uint32_t)place, &gate);
        model_set_gate(&model.functions[place], &gate);
    } else {
        dispatch_set_queue_gate(d, (uint32_t)place, &gate);
        model_set_gate(&model.queues[place], &gate);
    }
}

/* Of each figure the lowest of all rules that match. */
static void set_rules(void)
{
    dispatch_set_key_rules(d, rules, rule_count);
    for (int k = 1; k < KEYS; k++) {
        struct gate gate = {0};
        for (size_t i = 0; i < rule_count; i++) {
            if (!key_pattern_matches(str_of(rules[i].pattern), str_of(keys[k])))
                continue;
            if (rules[i].concurrency &&
                (!gate.concurrency || rules[i].concurrency < gate.concurrency))
                gate.concurrency = rules[i].concurrency;
            if (rules[i].rpm > 0 && (!(gate.rpm > 0) || rules[i].rpm < gate.rpm))
                gate.rpm = rules[i].rpm;
        }
        model_set_gate(&model.keys[k], &gate);
    }
}

static void verb_rules(void)
{
    static char name[] = "rule";
    DO("rules");
    rule_count = (size_t)pick(RULES_MAX + 1);
    for (size_t i = 0; i < rule_count; i++) {
        const char *pattern = patterns[pick((int)(sizeof patterns / sizeof *patterns))];
        rules[i] = (struct key_rule){.name = name, .concurrency = pick(3), .rpm = some_rate()};
        memcpy(&rules[i].pattern, &pattern, sizeof pattern);
    }
    set_rules();
}

/* As a restart does it: what ran runs on or is pending again; all else from what is stored. */
static void verb_restart(void)
{
    DO("restart");
    dispatch_free(d);
    d = dispatch_new();
    dispatch_begin(d, now);
    for (int i = 0; i < STATIONS; i++) {
        MUST(dispatch_queue(d, str_of(names[i])) == (uint32_t)i, "order of queues");
        MUST(dispatch_function(d, str_of(names[i])) == (uint32_t)i, "order of functions");
        dispatch_set_queue_gate(d, (uint32_t)i, &model.queues[i].gate);
        dispatch_set_function_gate(d, (uint32_t)i, &model.functions[i].gate);
        model.queues[i].last_us = model.functions[i].last_us = now.mono_us;
    }
    dispatch_set_key_rules(d, rules, rule_count);
    struct model before = model;
    for (int i = 0; i < TASKS_MAX; i++)
        model.tasks[i] = (struct model_task){0};
    for (int k = 0; k < KEYS; k++) {
        model.ready[k] = false;
        model.keys[k].last_us = now.mono_us;
    }
    for (int i = 0; i < TASKS_MAX; i++) {
        struct model_task *t = &model.tasks[i];
        if (!before.tasks[i].id)
            continue;
        *t = before.tasks[i];
        t->running = false;
        /* A moment that has passed since the last tick is no reason to wait. */
        t->waits_wall = t->waits_wall && t->until_us > now.wall_us;
        t->waits_mono = t->waits_mono && t->until_us > now.mono_us;
        add_entry(t, t->waits_wall ? t->until_us : 0, t->waits_mono ? t->until_us : 0);
        model_settle_turns(&model);
    }
    for (int i = 0; i < TASKS_MAX; i++)
        if (before.tasks[i].running && pick(3)) {
            dispatch_resume(d, real(&model.tasks[i]), before.tasks[i].session, 7);
            model.tasks[i].running = true;
            model_settle_turns(&model);
        }
}

/* --- time --- */

/* Time goes on; whoever had slept until dispatch_next_us must not have missed anything. */
static void verb_time(void)
{
    struct claim_ask all = {.max = 1};
    int64_t next_us = dispatch_next_us(d, now);
    bool nothing = !dispatch_may_have(d, &all), jumped = false;
    int64_t gone = pick(3) == 0 && next_us != NEVER_US && next_us > now.mono_us
                       ? next_us - now.mono_us - pick(2)
                   : pick(4) ? pick(2000000)
                             : pick(30) * SECOND_US;
    MUST(next_us >= now.mono_us || next_us == NEVER_US, "a moment that has passed");
    now.mono_us += gone;
    now.wall_us += gone;
    if (taste.jumps && pick(8) == 0) {
        now.wall_us += (pick(100) - 50) * SECOND_US;
        jumped = true;
    }
    DO("time");
    model_tick(&model, now);
    bool told = dispatch_tick(d, now);
    bool something = may_have(&all, now.mono_us) == MAY_CERTAINLY;
    if (nothing && something) {
        MUST(told, "the tick says nothing");
        MUST(jumped || next_us <= now.mono_us, "asleep until %lld, now %lld", (long long)next_us,
             (long long)now.mono_us);
    }
    MUST(!something || dispatch_may_have(d, &all), "a claim would not even ask");
}

/* --- looking --- */

static void check_hold(const struct model_task *t, const struct task *r)
{
    int64_t by = 0;
    enum task_hold hold = dispatch_explain(d, r, now, &by);
    const struct model_task *first = t->lock ? model_lock_first(&model, t->queue, t->lock) : NULL;
    if (t->running || t->parents || t->waits_wall || t->waits_mono) {
        enum task_hold want = t->running ? HOLD_RUNS : t->parents ? HOLD_PARENTS : HOLD_TIME;
        MUST(hold == want, "task %lld: %d, not %d", (long long)t->id, (int)hold, (int)want);
        return;
    }
    if (first && first != t) {
        MUST(hold == HOLD_LOCK && by == first->id, "task %lld: %d by %lld, not %lld",
             (long long)t->id, (int)hold, (long long)by, (long long)first->id);
        return;
    }
    bool held = hold != HOLD_NOTHING && hold != HOLD_BEHIND;
    enum model_may may = model_may_start(&model, t, now.mono_us);
    MUST(may == MAY_PERHAPS || held == (may == MAY_NOT), "task %lld: %d", (long long)t->id,
         (int)hold);
}

static void check_task(const struct model_task *t)
{
    const struct task *r = real(t);
    bool blocked = t->parents || t->waits_wall || t->waits_mono;
    enum job_state state = t->running ? JOB_RUNNING : blocked ? JOB_BLOCKED : JOB_PENDING;
    MUST(r->state == state, "task %lld is %s", (long long)t->id,
         job_state_name((enum job_state)r->state));
    MUST(r->attempts == t->attempts && r->fence == t->fence && r->parents == t->parents &&
             r->priority == t->priority,
         "task %lld: figures", (long long)t->id);
    MUST(task_queue(r) == (uint32_t)t->queue && task_function(r) == (uint32_t)t->function &&
             str_is(task_key_name(r), keys[t->key]) && str_is(task_lock_name(r), locks[t->lock]),
         "task %lld: names", (long long)t->id);
    MUST(!r->run == !t->running && (!r->run || r->run->session == t->session), "task %lld: run",
         (long long)t->id);
    int64_t until_us = t->waits_wall   ? t->until_us
                       : t->waits_mono ? t->until_us - now.mono_us + now.wall_us
                                       : 0;
    MUST(task_waits_until_us(d, r) == until_us, "task %lld: time", (long long)t->id);
    check_hold(t, r);
}

static int64_t *state_count(struct task_counts *c, const struct model_task *t)
{
    return t->running                                     ? &c->running
           : t->parents || t->waits_wall || t->waits_mono ? &c->blocked
                                                          : &c->pending;
}

static void check_all(void)
{
    struct task_counts queues[STATIONS] = {{0}}, functions[STATIONS] = {{0}};
    size_t count = 0;
    for (int i = 0; i < TASKS_MAX; i++) {
        const struct model_task *t = &model.tasks[i];
        if (!t->id)
            continue;
        check_task(t);
        count++;
        ++*state_count(&queues[t->queue], t);
        ++*state_count(&functions[t->function], t);
    }
    MUST(dispatch_count(d) == count, "%zu, not %zu", dispatch_count(d), count);
    for (int i = 0; i < STATIONS; i++) {
        struct task_counts q = dispatch_queue_counts(d, (uint32_t)i);
        struct task_counts f = dispatch_function_counts(d, (uint32_t)i);
        MUST(memcmp(&q, &queues[i], sizeof q) == 0, "counts of queue %d", i);
        MUST(memcmp(&f, &functions[i], sizeof f) == 0, "counts of function %d", i);
    }
    for (int i = 0; i < TASKS_MAX; i++)
        for (int j = 0; j < i; j++)
            MUST(!model.tasks[i].running || !model.tasks[j].running || !model.tasks[i].lock ||
                     model.tasks[i].lock != model.tasks[j].lock ||
                     model.tasks[i].queue != model.tasks[j].queue,
                 "lock %d is held twice", model.tasks[i].lock);
}

/* --- a seed --- */

static const struct {
    void (*run)(void);
    int weight;
} verbs[] = {{verb_add, 30},    {verb_take, 25},  {verb_return, 12}, {verb_remove, 14},
             {verb_parent, 14}, {verb_change, 4}, {verb_gate, 3},    {verb_rules, 1},
             {verb_restart, 1}, {verb_time, 16}};

static void any_verb(void)
{
    int all = 0, at = 0;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        all += verbs[i].weight;
    int chosen = pick(all);
    while (chosen >= verbs[at].weight)
        chosen -= verbs[at++].weight;
    verbs[at].run();
}

static void begin(uint64_t seed)
{
    seed_now = seed;
    rng_init(&rng, seed);
    taste = (struct taste){.queues = 1 + pick(STATIONS),
                           .functions = 1 + pick(STATIONS),
                           .keys = 1 + pick(KEYS),
                           .locks = 1 + pick(LOCKS),
                           .most = pick(4) ? TASKS_MAX : 2 + pick(4),
                           .rates = pick(3) == 0,
                           .jumps = pick(3) == 0};
    model = (struct model){0};
    rule_count = 0;
    last_id = 0;
    now = (struct instant){1000 * SECOND_US, 1700000000 * SECOND_US};
    d = dispatch_new();
    for (int i = 0; i < STATIONS; i++) {
        MUST(dispatch_queue(d, str_of(names[i])) == (uint32_t)i, "order of queues");
        MUST(dispatch_function(d, str_of(names[i])) == (uint32_t)i, "order of functions");
    }
}

/* Lets everything run to its end, under the limits there are: nothing is held back for good. */
static void drain(void)
{
    struct claim_ask all = {.max = 3};
    for (int i = 0; i < STATIONS; i++) {
        model.queues[i].gate.paused = model.functions[i].gate.paused = false;
        dispatch_set_queue_gate(d, (uint32_t)i, &model.queues[i].gate);
        dispatch_set_function_gate(d, (uint32_t)i, &model.functions[i].gate);
    }
    for (int rounds = 0; dispatch_count(d) > 0; rounds++) {
        MUST(rounds < 100000, "%zu never end", dispatch_count(d));
        for (int i = 0; i < TASKS_MAX; i++) {
            struct model_task *t = &model.tasks[i];
            for (; t->id && t->parents; t->parents--)
                dispatch_parent_done(d, real(t), now);
            model_settle_turns(&model);
            if (t->id && t->running)
                remove_task(t);
        }
        take(&all);
        int64_t next_us = dispatch_next_us(d, now);
        if (dispatch_may_have(d, &all) || next_us == NEVER_US || next_us <= now.mono_us)
            continue;
        now.wall_us += next_us - now.mono_us;
        now.mono_us = next_us;
    }
    check_all();
}

static void run(uint64_t seed, int steps)
{
    begin(seed);
    for (steps_left = steps; steps_left > 0; steps_left--) {
        any_verb();
        check_all();
    }
    drain();
    dispatch_free(d);
}

static int64_t argument(int argc, char **argv, int i, int64_t otherwise)
{
    struct err err;
    int64_t value = otherwise;
    if (i < argc && !parse_i64(str_of(argv[i]), 1, INT64_MAX, &value, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    int64_t first = argument(argc, argv, 1, 1), seeds = argument(argc, argv, 2, 1);
    int64_t steps = argument(argc, argv, 3, 400);
    for (int64_t seed = first; seed < first + seeds; seed++)
        run((uint64_t)seed, (int)steps);
    printf("%lld seeds\n", (long long)seeds);
    return 0;
}
