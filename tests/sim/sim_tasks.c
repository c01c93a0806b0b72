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
 * Usage: sim_tasks [FIRST_SEED [SEEDS [STEPS]]]. A failing seed prints itself and replays exactly.
 */
#include "base/fault.h"
#include "base/json.h"
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
/* However far the clock is set forward, what has ended is still there to be looked at. */
#define KEEP_US (INT64_C(100) * 365 * 86400 * SECOND_US)
#define REFUSED_US (2 * SECOND_US) /* more than the engine wants after a failure */
struct engine *sim_engine;
static struct folders *folders;

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", world->folder, name);
}

/* --- asking the engine ----------------------------------------------------------------------- */

static void on_done(struct op *op)
{
    *(bool *)op->context = true;
}

/* Durability is in doubt: the process ends, and recovers by starting again. */
static void give_up(void)
{
    _exit(75);
}

/* What comes meanwhile is looked at in the next step; the clock goes on. */
static void step(struct op *ops)
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

static void hear_all(void);

static void pass(int64_t us)
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

/* --- looking --------------------------------------------------------------------------------- */

static struct op_task_list list(const struct task_filter *filter)
{
    struct op op;
    op_init(&op, OP_TASK_LIST);
    if (filter)
        op.task_list.filter = *filter;
    op.task_list.limit = 1000;
    ask(&op);
    MUST(op.err.code == ERR_NONE && !op.task_list.more, "list: %s", op.err.text);
    return op.task_list;
}

static void list_release(struct op_task_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        task_view_release(&l->views[i]);
    free(l->views);
}

struct task_view show(int64_t id)
{
    struct op op;
    op_init(&op, OP_TASK_SHOW);
    op.task_show.id = id;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "show %lld: %s", (long long)id, op.err.text);
    return op.task_show.view;
}

/* The number that a completed task's result holds; -1: none. */
static int64_t result_of(const struct task_view *view)
{
    OWNED_MEM char *text = text_or_blob(str_of(view->result), &view->result_blob);
    return number_in(text, "r");
}

static void count_view(struct task_counts *c, enum job_state state)
{
    c->blocked += state == JOB_BLOCKED;
    c->pending += state == JOB_PENDING;
    c->running += state == JOB_RUNNING;
}

static void check_gates(bool of_functions, const char *const *names, size_t count,
                        const struct op_task_list *all)
{
    struct op op;
    op_init(&op, OP_GATES);
    op.gates.of_functions = of_functions;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "gates: %s", op.err.text);
    for (size_t n = 0; n < count; n++) {
        struct task_counts listed = {0}, told = {0};
        for (size_t i = 0; i < all->count; i++)
            if (!strcmp(of_functions ? all->views[i].function : all->views[i].queue, names[n]))
                count_view(&listed, all->views[i].state);
        for (size_t i = 0; i < op.gates.count; i++)
            if (!strcmp(op.gates.views[i].name, names[n]))
                told = op.gates.views[i].counts;
        MUST(memcmp(&listed, &told, sizeof told) == 0, "counts of %s", names[n]);
    }
    op_release(&op);
}

static void check_status(const struct op_task_list *all)
{
    struct op op;
    int64_t counts[JOB_STATE_COUNT] = {0};
    op_init(&op, OP_TASK_STATUS);
    ask(&op);
    MUST(op.err.code == ERR_NONE, "status: %s", op.err.text);
    for (size_t i = 0; i < op.task_status.count; i++)
        for (int s = 0; s < JOB_STATE_COUNT; s++)
            counts[s] += op.task_status.leaves[i].counts[s];
    for (size_t i = 0; i < all->count; i++)
        counts[all->views[i].state]--;
    /* The store does not know when a time has come. */
    counts[JOB_PENDING] += counts[JOB_BLOCKED];
    counts[JOB_BLOCKED] = 0;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        MUST(counts[s] == 0, "the status tree has %lld more that are %s", (long long)counts[s],
             job_state_name((enum job_state)s));
    op_release(&op);
}

static struct known *known_or_tick(int64_t id)
{
    struct known *k = known_by_id(id);
    return k ? k : tick_adopt(id);
}

/* Everything that was acknowledged is there, as far as it was told. */
static void check_all(void)
{
    /* A list tells what is stored: what time alone has changed is, too, after this. */
    world->looking = true;
    step(NULL);
    for (int i = 0; i < 1000 && engine_next_us(sim_engine) <= machine_now().mono_us; i++)
        step(NULL);
    hear_all();
    struct op_task_list all = list(NULL);
    int seen = 0, there = 0;
    for (size_t i = 0; i < all.count; i++) {
        struct known *k = known_or_tick(all.views[i].id);
        MUST(k && k->state != KNOWN_GONE, "task %lld comes from nowhere",
             (long long)all.views[i].id);
        known_seen(k, &all.views[i]);
        seen++;
    }
    for (int i = 0; i < world->task_count; i++) {
        enum known_state state = world->tasks[i].state;
        there += state != KNOWN_NOT && state != KNOWN_GONE;
    }
    MUST(seen == there, "%d of %d are there", seen, there);
    check_gates(false, queue_names, QUEUES, &all);
    check_gates(true, function_names, FUNCTIONS, &all);
    check_status(&all);
    world->looking = false;
    list_release(&all);
    if (pick(8) == 0)
        blobs_check_needed();
}

/* --- enqueueing ------------------------------------------------------------------------------ */

/* What an op that enqueues is made of. */
struct asked {
    struct task_new tasks[6];
    char texts[6][32], batch[32], uniques[6][16];
    int64_t after[6][PARENTS_MAX];
    struct blob_pin *pins[6];
    int first, count; /* places in world->tasks */
};

static void asked_release(struct asked *a, const struct op_enqueue *enqueue, bool went_well)
{
    bool known = went_well && enqueue_needs_all_blobs(enqueue);
    for (int i = 0; i < a->count; i++)
        blob_pin_free(a->pins[i], known);
}

static void choose_parents(struct asked *a, int place, struct task_new *t)
{
    struct known *k = &world->tasks[place];
    int64_t *after = a->after[place - a->first];
    for (int tries = pick(4) ? 0 : 1 + pick(PARENTS_MAX); tries > 0 && place > 0; tries--) {
        int p = pick(place);
        const struct known *parent = &world->tasks[p];
        bool same = p >= a->first, twice = false;
        for (int i = 0; i < k->parent_count; i++)
            twice = twice || k->parents[i] == p;
        /* What has ended otherwise, or may be about to, would be refused. */
        if (twice || (same ? parent->unique != 0
                           : parent->state != KNOWN_OPEN && parent->state != KNOWN_COMPLETED))
            continue;
        after[k->parent_count] = same ? -1 - (p - a->first) : parent->id;
        k->parents[k->parent_count++] = p;
    }
    k->when = pick(4) ? AFTER_COMPLETED : AFTER_ENDED;
    t->after = after;
    t->after_count = (size_t)k->parent_count;
    t->after_when = k->when;
}

static void choose_delay(struct known *k, struct task_new *t)
{
    t->delay_us = pick(20) * SECOND_US;
    k->era = world->era;
    k->delay_until_us = world->now.mono_us + t->delay_us;
    k->delay_wall_us = world->now.wall_us + t->delay_us;
}

static void choose_task(struct asked *a, int place, bool unique)
{
    static const char *const options[] = {
        "", "{\"retry\":{\"kind\":\"fixed\",\"delay_s\":2}}",
        "{\"retry\":{\"kind\":\"exponential\",\"delay_s\":1,\"factor\":3}}",
        "{\"retry\":{\"delay_s\":0},\"timeout_s\":20}"};
    int i = place - a->first, option = pick(4);
    struct known *k = &world->tasks[place];
    struct task_new *t = &a->tasks[i];
    *k = (struct known){.request = world->requests,
                        .arguments = place,
                        .queue = pick(4) ? 0 : 1,
                        .function = pick(FUNCTIONS),
                        .key = pick(KEYS),
                        .lock = pick(3) ? 0 : pick(LOCKS),
                        .unique = unique && pick(3) == 0 ? 1 + pick(UNIQUES - 1) : 0,
                        .max_attempts = 1 + pick(4),
                        .priority = pick(3) ? 0 : pick(9) - 4,
                        .retries = option != 0,
                        .times_out = option == 3};
    *t = (struct task_new){.queue = k->queue ? str_of(queue_names[k->queue]) : STR(""),
                           .function = str_of(function_names[k->function]),
                           .options = str_of(options[option]),
                           .key = str_of(key_names[k->key]),
                           .lock = str_of(lock_names[k->lock]),
                           .max_attempts = k->max_attempts,
                           .priority = k->priority,
                           .batch = str_of(a->batch)};
    snprintf(a->texts[i], sizeof a->texts[i], "{\"n\":%d}", place);
    t->arguments = str_of(a->texts[i]);
    if (pick(5) == 0 && (a->pins[i] = put_text(a->texts[i], &t->arguments_blob))) {
        t->arguments = (struct str){NULL, 0};
        k->large = true;
    }
    if (k->unique) {
        snprintf(a->uniques[i], sizeof a->uniques[i], "u%d", k->unique);
        t->unique = str_of(a->uniques[i]);
        t->unique_while = k->unique_while = (enum unique_while)pick(3);
        t->on_clash = (enum unique_clash)pick(3);
    }
    if (pick(5) == 0)
        t->run_at_us = k->run_at_us = world->now.wall_us + pick(60) * SECOND_US;
    else if (pick(8) == 0)
        choose_delay(k, t);
    choose_parents(a, place, t);
}

/* False when no more are to be had. */
static bool choose_tasks(struct asked *a, int most, bool unique)
{
    *a = (struct asked){.first = world->task_count, .count = 1 + pick(most)};
    if (world->ending || a->first + a->count > TASKS_MAX)
        return false;
    snprintf(a->batch, sizeof a->batch, "e%lld", (long long)++world->requests);
    for (int i = 0; i < a->count; i++) {
        world->task_count++;
        choose_task(a, a->first + i, unique);
    }
    return true;
}

/* Whether a task with that unique key keeps others out. */
static bool keeps_out(struct known *k)
{
    if (k->state == KNOWN_NOT || k->state == KNOWN_GONE)
        return false;
    struct task_view view = show(k->id);
    known_seen(k, &view);
    task_view_release(&view);
    if (k->unique_while == UNIQUE_STORED)
        return true;
    return k->state == KNOWN_OPEN && (k->unique_while == UNIQUE_UNFINISHED || !k->ran);
}

/* The old one says from now on what the new one says. */
static void take_over(struct known *old, const struct known *asked)
{
    old->queue = asked->queue;
    old->function = asked->function;
    old->key = asked->key;
    old->lock = asked->lock;
    old->unique_while = asked->unique_while;
    memcpy(old->parents, asked->parents, sizeof old->parents);
    old->parent_count = asked->parent_count;
    old->when = asked->when;
    old->failed_finally = old->aborting = old->hangs = false;
    old->session = 0; /* who had it lost it with its time, or was never told */
    old->priority = asked->priority;
    old->run_at_us = asked->run_at_us;
    old->delay_until_us = 0;
    old->delay_wall_us = asked->delay_wall_us;
    old->era = -1; /* that delay goes by the wall clock */
    old->arguments = asked->arguments;
    old->max_attempts = asked->max_attempts;
    old->retries = asked->retries;
    old->times_out = asked->times_out;
}

static void note_existing(const struct known *asked, const struct task_new *t)
{
    struct known *old = known_by_id(t->id);
    MUST(asked->unique && old && old->unique == asked->unique && old->state != KNOWN_GONE,
         "task %lld is none of that unique key", (long long)t->id);
    if (t->on_clash != CLASH_REPLACE)
        return;
    MUST(!known_is_live(old->session) || old->aborting, "task %lld was replaced while it runs",
         (long long)t->id);
    struct task_view view = show(old->id);
    if (job_state_is_final(view.state))
        known_seen(old, &view);
    else
        take_over(old, asked);
    task_view_release(&view);
}

static void check_has_key_alone(const struct known *k)
{
    for (int i = 0; i < world->task_count && k->unique; i++) {
        struct known *other = &world->tasks[i];
        MUST(other == k || other->unique != k->unique || !keeps_out(other),
             "task %lld should have kept task %lld out", (long long)other->id, (long long)k->id);
    }
}

static void note_new(struct known *k, const struct task_new *t)
{
    MUST(t->id > 0 && !known_by_id(t->id), "id %lld is given twice", (long long)t->id);
    k->id = t->id;
    k->state = KNOWN_OPEN;
    check_has_key_alone(k);
}

static void note_enqueued(struct asked *a)
{
    for (int i = 0; i < a->count; i++) {
        struct known *k = &world->tasks[a->first + i];
        if (!a->tasks[i].id) /* whoever asks for it was stale */
            continue;
        SAY("  task %lld is %s, place %d, unique %d, clash %d, options %.*s\n",
            (long long)a->tasks[i].id, a->tasks[i].existing ? "there" : "new", a->first + i,
            k->unique, (int)a->tasks[i].on_clash, (int)a->tasks[i].options.len,
            a->tasks[i].options.len ? a->tasks[i].options.ptr : "");
        if (a->tasks[i].existing)
            note_existing(k, &a->tasks[i]);
        else
            note_new(k, &a->tasks[i]);
    }
}

static void verb_enqueue(void)
{
    struct asked a;
    struct op op;
    if (!choose_tasks(&a, 6, true))
        return;
    op_init(&op, OP_ENQUEUE);
    op.enqueue.tasks = a.tasks;
    op.enqueue.count = (size_t)a.count;
    world->open_request = world->requests;
    dare(&op);
    world->open_request = 0;
    asked_release(&a, &op.enqueue, op.err.code == ERR_NONE);
    if (op.err.code == ERR_NONE)
        note_enqueued(&a);
    else
        MUST(op.err.code == ERR_CONFLICT || op.err.code == ERR_STORE ||
                 op.err.code == ERR_NO_SPACE || op.refusal == REFUSED_PARENT ||
                 strstr(op.err.text, "it would wait for itself") || strstr(op.err.text, "circle"),
             "enqueue: %s", op.err.text);
    op_release(&op);
}

/* --- sessions -------------------------------------------------------------------------------- */

static void forget_session(struct worker *w)
{
    *w = (struct worker){0};
}

static void heard_of(int session)
{
    struct session *s = &world->sessions[session];
    s->deadline_us = world->asked_us + s->span_us;
}

static bool holds(const struct worker *w, int place)
{
    for (int i = 0; i < w->count; i++)
        if (w->held[i] == place)
            return true;
    return false;
}

static void drop_held(struct worker *w, int place)
{
    for (int i = w->count; i-- > 0;)
        if (w->held[i] == place)
            w->held[i] = w->held[--w->count];
}

static void note_aborts(const struct worker *w, const struct task_aborted *aborts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct known *k = known_by_id(aborts[i].id);
        if (k && k->session == -1) /* the claim that brought it was not answered: now it is known */
            k->session = w->session;
        MUST(k && k->session == w->session, "abort of task %lld of another",
             (long long)aborts[i].id);
        MUST(aborts[i].why == ABORT_CANCELLED ? k->cancel_asked : k->times_out,
             "abort of task %lld for nothing", (long long)aborts[i].id);
        k->aborting = true;
    }
}

/* Parents may have ended since they were last looked at: lost with their sessions, say. */
static void see_parents(const struct known *k)
{
    for (int i = 0; i < k->parent_count; i++) {
        struct known *parent = &world->tasks[k->parents[i]];
        if (parent->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(parent->id);
        if (job_state_is_final(view.state))
            known_seen(parent, &view);
        task_view_release(&view);
    }
}

/* To whichever session a claim handed that out. */
static void note_given(const struct task_claim *claim, int session, bool late)
{
    int64_t asked_us = world->asked_us;
    /* It was handed out at some moment since: the answer says when the lease began anew. */
    if (late)
        world->asked_us = world->now.mono_us - (world->now.wall_us - claim->lease_ends_at_us) -
                          world->sessions[session].span_us;
    for (size_t i = 0; i < claim->count; i++) {
        struct known *k = known_or_tick(claim->tasks[i].id);
        MUST(k, "task %lld is not known", (long long)claim->tasks[i].id);
        see_parents(k);
        known_handed(k, &claim->tasks[i], session, late);
    }
    if (late)
        world->asked_us = asked_us;
}

/* What a claim handed out; `heard`: the answer gets through. */
static void note_handed(struct worker *w, const struct task_claim *claim, bool late, bool heard)
{
    note_given(claim, w->session, late);
    for (size_t i = 0; i < claim->count; i++) {
        int place = (int)(known_by_id(claim->tasks[i].id) - world->tasks);
        drop_held(w, place); /* it had lost it without knowing */
        if (heard)
            w->held[w->count++] = place;
    }
    if (!heard)
        w->unsure = true;
}

static void session_over(struct worker *w)
{
    MUST(!known_is_live(w->session), "a session has ended too early");
    forget_session(w);
}

/* What the session holds besides what it says goes back. */
static void note_holds(const struct worker *w)
{
    for (int i = 0; i < world->task_count; i++) {
        struct known *k = &world->tasks[i];
        if (k->session != w->session || holds(w, i))
            continue;
        SAY("  task %lld goes back from session %d\n", (long long)k->id, w->session);
        k->session = 0;
    }
}

/* The same, where it is not known whether that was heard. */
static void maybe_back(const struct worker *w)
{
    for (int i = 0; i < world->task_count; i++)
        if (world->tasks[i].session == w->session && !holds(w, i))
            world->tasks[i].session = -1;
}

static size_t tell_holds(const struct worker *w, int64_t *ids)
{
    for (int i = 0; i < w->count; i++)
        ids[i] = world->tasks[w->held[i]].id;
    return (size_t)w->count;
}

static void begin_session(struct worker *w, const struct task_claim *claim)
{
    MUST(world->session_count + 1 < SESSIONS_MAX, "so many sessions");
    w->session = ++world->session_count;
    world->sessions[w->session].span_us = claim->lease_us;
    memcpy(w->token, claim->token, sizeof w->token);
}

static void verb_claim(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct str queue = str_of(queue_names[pick(QUEUES)]);
    struct str function = str_of(function_names[pick(FUNCTIONS)]);
    int64_t ids[HELD_MAX];
    struct op op;
    op_init(&op, OP_TASK_CLAIM);
    struct task_claim *c = &op.task_claim;
    bool fresh = !w->session;
    c->max = 1 + pick(6);
    c->max_bytes = 1 << 20;
    c->worker = STR("sim");
    c->lease_us = fresh ? (5 + pick(20)) * SECOND_US : 0;
    c->has_lease = !fresh;
    memcpy(c->token, w->token, sizeof w->token);
    if (pick(4) == 0) {
        c->queues = &queue;
        c->queue_count = 1;
    }
    if (pick(4) == 0) {
        c->functions = &function;
        c->function_count = 1;
    }
    if (!fresh && (w->unsure || pick(10) == 0)) {
        c->has_holds = true;
        c->holds = ids;
        c->holds_count = tell_holds(w, ids);
        world->open_holds = w->session;
    }
    dare(&op);
    world->open_holds = 0;
    if (op.refusal == REFUSED_LEASE_ENDED) {
        session_over(w);
    } else if (op.err.code == ERR_NONE) {
        if (fresh)
            begin_session(w, c);
        if (c->has_holds) {
            note_holds(w);
            w->unsure = false;
        }
        heard_of(w->session);
        note_aborts(w, c->aborts, c->abort_count);
        note_handed(w, c, false, pick(12) != 0);
    } else {
        w->unsure = !fresh;
        if (c->has_holds)
            maybe_back(w);
    }
    op_release(&op);
}

/* --- claims that wait --- */

/* A worker's claim that waits, in the engine's process: it dies with that. Its answer is looked at
 * when what was asked meanwhile has been noted, for it may come with what that has brought. */
static struct waiting {
    struct op op;
    bool waits, answered;
    int session;
    struct str queue;
} waitings[WORKERS];

static void hear(struct worker *w, struct waiting *x)
{
    const struct task_claim *c = &x->op.task_claim;
    bool same = w->session == x->session; /* else it has forgotten it, and so its tasks */
    SAY("  session %d has waited: %s, %d tasks\n", x->session,
        x->op.err.code == ERR_NONE ? "well" : x->op.err.text, (int)c->count);
    if (x->op.refusal == REFUSED_LEASE_ENDED && same)
        session_over(w);
    else if (x->op.err.code != ERR_NONE)
        w->unsure = w->unsure || same;
    else if (!same || atomic_load(&c->given_up)) {
        note_given(c, x->session, true);
        w->unsure = w->unsure || same;
    } else {
        note_aborts(w, c->aborts, c->abort_count);
        note_handed(w, c, true, pick(12) != 0);
    }
    op_release(&x->op);
    x->waits = false;
}

static void hear_all(void)
{
    for (int i = 0; i < WORKERS; i++)
        if (waitings[i].waits && waitings[i].answered)
            hear(&world->workers[i], &waitings[i]);
}

static void verb_wait(void)
{
    int at = pick(WORKERS);
    struct worker *w = &world->workers[at];
    struct waiting *x = &waitings[at];
    if (x->waits && pick(4) == 0)
        atomic_store(&x->op.task_claim.given_up, true);
    if (!w->session || w->unsure || x->waits)
        return;
    *x = (struct waiting){.waits = true, .session = w->session};
    x->queue = str_of(queue_names[pick(QUEUES)]);
    op_init(&x->op, OP_TASK_CLAIM);
    struct task_claim *c = &x->op.task_claim;
    c->max = 1 + pick(6);
    c->max_bytes = 1 << 20;
    c->has_lease = true;
    memcpy(c->token, w->token, sizeof w->token);
    c->wait_until_us = machine_now().mono_us + pick(30) * SECOND_US;
    if (pick(3) == 0) {
        c->queues = &x->queue;
        c->queue_count = 1;
    }
    x->op.done = on_done;
    x->op.context = &x->answered;
    x->op.right.trusted = true;
    world->asked_us = world->now.mono_us;
    step(&x->op);
}

static void verb_extend(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    int64_t ids[HELD_MAX];
    struct op op;
    if (!w->session)
        return;
    op_init(&op, OP_TASK_EXTEND);
    memcpy(op.task_extend.token, w->token, sizeof w->token);
    struct task_progress progress = {.part = 0.5, .text = STR("half")};
    if (w->count) {
        progress.id = world->tasks[w->held[pick(w->count)]].id;
        op.task_extend.progress = &progress;
        op.task_extend.progress_count = 1;
    }
    if (w->unsure || pick(4) == 0) {
        op.task_extend.has_holds = true;
        op.task_extend.holds = ids;
        op.task_extend.holds_count = tell_holds(w, ids);
        world->open_holds = w->session;
    }
    dare(&op);
    world->open_holds = 0;
    if (op.refusal == REFUSED_LEASE_ENDED) {
        session_over(w);
    } else if (op.err.code == ERR_NONE) {
        if (op.task_extend.has_holds) {
            note_holds(w);
            w->unsure = false;
        }
        heard_of(w->session);
        note_aborts(w, op.task_extend.aborts, op.task_extend.abort_count);
    } else if (op.task_extend.has_holds) {
        maybe_back(w);
    }
    op_release(&op);
}

static void verb_release(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct op op;
    if (!w->session)
        return;
    op_init(&op, OP_TASK_RELEASE);
    memcpy(op.task_release.token, w->token, sizeof w->token);
    op.task_release.died = pick(2);
    world->sessions[w->session].deadline_us = 0; /* whatever becomes of it, nobody uses it more */
    dare(&op);
    op_release(&op);
    forget_session(w);
}

/* It dies, and nobody says so. */
static void verb_die(void)
{
    forget_session(&world->workers[pick(WORKERS)]);
}

/* --- settling -------------------------------------------------------------------------------- */

struct settlement {
    struct task_settle_entry entries[HELD_MAX];
    int places[HELD_MAX];
    int64_t results[HELD_MAX];
    char texts[HELD_MAX][64];
    struct blob_pin *pins[HELD_MAX];
    size_t count;
};

static void settlement_release(struct settlement *s, bool stored)
{
    for (size_t i = 0; i < s->count; i++)
        blob_pin_free(s->pins[i], stored && !s->entries[i].stale && !s->entries[i].keeps_value);
}

static void choose_outcome(struct settlement *s, int place)
{
    size_t i = s->count++;
    struct task_settle_entry *e = &s->entries[i];
    *e = (struct task_settle_entry){.id = world->tasks[place].id};
    s->places[i] = place;
    s->results[i] = 0;
    s->pins[i] = NULL;
    if (world->ending || pick(3)) {
        e->outcome = TASK_COMPLETED;
        s->results[i] = ++world->results;
        snprintf(s->texts[i], sizeof s->texts[i], "{\"r\":%lld}", (long long)s->results[i]);
    } else {
        e->outcome = pick(6) ? TASK_FAILED : TASK_ABORTED;
        e->type = STR("Sim");
        e->final = pick(6) == 0;
        e->retry_after_us = pick(4) ? 0 : pick(5) * SECOND_US;
        snprintf(s->texts[i], sizeof s->texts[i], "{\"message\":\"would not\",\"type\":\"Sim\"}");
    }
    if (e->outcome == TASK_COMPLETED && pick(5) == 0 &&
        (s->pins[i] = put_text(s->texts[i], &e->value_blob)))
        return;
    if (e->outcome != TASK_ABORTED)
        e->value = str_of(s->texts[i]);
}

/* Some of what it holds; now and then what it held, or never did. */
static void choose_settlement(struct settlement *s, const struct worker *w)
{
    *s = (struct settlement){0};
    for (int i = 0; i < w->count; i++)
        if (pick(3) && !world->tasks[w->held[i]].hangs)
            choose_outcome(s, w->held[i]);
    int place = world->task_count && pick(8) == 0 ? pick(world->task_count) : -1;
    if (place >= 0 && world->tasks[place].id && !holds(w, place))
        choose_outcome(s, place);
}

static void note_outcome(const struct worker *w, const struct task_settle_entry *e, int place,
                         int64_t result)
{
    struct known *k = &world->tasks[place];
    bool live = known_is_live(w->session) && !k->aborting;
    MUST(!e->stale || k->session != w->session || !live, "task %lld is held, and stale",
         (long long)e->id);
    SAY("  task %lld by session %d: %d%s\n", (long long)e->id, w->session, (int)e->outcome,
        e->stale ? ", stale" : "");
    if (e->stale)
        return;
    MUST(k->session == w->session || k->session == -1, "task %lld is settled by who has it not",
         (long long)e->id);
    MUST(k->state == KNOWN_OPEN, "task %lld is settled twice", (long long)e->id);
    k->session = 0;
    k->failed_finally |= e->outcome == TASK_FAILED && e->final;
    k->delay_wall_us = world->now.wall_us + RETRY_MAX_US;
    k->cancel_asked |= e->outcome == TASK_ABORTED;
    if (e->outcome != TASK_COMPLETED)
        return;
    k->state = KNOWN_COMPLETED;
    k->ever_completed = k->ever_ended = true;
    k->result = result;
}

/* Whether an attempt that failed was the last: who waited for it may be handed out by the same
 * answer. */
static void see_failures(const struct settlement *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct known *k = &world->tasks[s->places[i]];
        if (s->entries[i].stale || k->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(k->id);
        if (job_state_is_final(view.state))
            known_seen(k, &view);
        task_view_release(&view);
    }
}

static void note_settled(struct worker *w, struct settlement *s, const struct op_task_settle *op)
{
    int64_t outcomes[3] = {0}, stale = 0;
    for (size_t i = 0; i < s->count; i++) {
        note_outcome(w, &s->entries[i], s->places[i], s->results[i]);
        stale += s->entries[i].stale;
        outcomes[s->entries[i].outcome] += !s->entries[i].stale;
    }
    MUST(op->completed == outcomes[TASK_COMPLETED] &&
             op->completed + op->retried + op->failed + op->cancelled == (int64_t)s->count - stale,
         "%lld completed, %lld retried, %lld failed, %lld cancelled", (long long)op->completed,
         (long long)op->retried, (long long)op->failed, (long long)op->cancelled);
}

/* What was enqueued with it: all, unless the task that asks for it was stale. */
static void note_followers(const struct settlement *s, struct asked *a)
{
    bool wanted = false;
    for (size_t i = 0; i < s->count; i++)
        wanted = wanted ||
                 (!s->entries[i].stale && (!a->tasks[0].of || a->tasks[0].of == s->entries[i].id));
    for (int i = 0; i < a->count; i++)
        MUST((a->tasks[i].id != 0) == wanted, "a follower has the id %lld",
             (long long)a->tasks[i].id);
    note_enqueued(a);
}

static void remember_open(const struct settlement *s, const struct worker *w, bool enqueues)
{
    world->open_settles = true;
    world->open_worker = (int)(w - world->workers);
    world->open_request = enqueues ? world->requests : 0;
    world->open_count = (int)s->count;
    memcpy(world->open_tasks, s->places, sizeof s->places);
    memcpy(world->open_results, s->results, sizeof s->results);
}

static void verb_settle(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    static struct settlement s;
    struct asked a;
    struct op op;
    if (!w->session)
        return;
    choose_settlement(&s, w);
    if (s.count == 0)
        return;
    op_init(&op, OP_TASK_SETTLE);
    memcpy(op.task_settle.token, w->token, sizeof w->token);
    op.task_settle.entries = s.entries;
    op.task_settle.count = s.count;
    bool enqueues = pick(3) == 0 && choose_tasks(&a, 3, false);
    if (enqueues) {
        op.task_settle.enqueue.tasks = a.tasks;
        op.task_settle.enqueue.count = (size_t)a.count;
        int64_t of = pick(2) ? s.entries[pick((int)s.count)].id : 0;
        for (int i = 0; i < a.count; i++)
            a.tasks[i].of = of;
        world->open_of = of;
    }
    op.task_settle.claims = pick(3) == 0;
    op.task_settle.claim.max = 1 + pick(3);
    op.task_settle.claim.max_bytes = 1 << 20;
    remember_open(&s, w, enqueues);
    dare(&op);
    world->open_settles = false;
    world->open_request = 0;
    settlement_release(&s, op.err.code == ERR_NONE);
    if (enqueues)
        asked_release(&a, &op.task_settle.enqueue, op.err.code == ERR_NONE);
    if (op.refusal == REFUSED_LEASE_ENDED) {
        session_over(w);
    } else if (op.err.code == ERR_NONE) {
        note_settled(w, &s, &op.task_settle);
        see_failures(&s);
        if (enqueues)
            note_followers(&s, &a);
        heard_of(w->session);
        note_aborts(w, op.task_settle.aborts, op.task_settle.abort_count);
        if (op.task_settle.claims)
            note_handed(w, &op.task_settle.claim, false, pick(12) != 0);
        for (size_t i = 0; i < s.count && pick(12); i++) /* or it will settle some twice */
            drop_held(w, s.places[i]);
    } else {
        MUST(op.err.code == ERR_STORE || op.err.code == ERR_NO_SPACE ||
                 op.refusal == REFUSED_PARENT,
             "settle: %s", op.err.text);
        w->unsure = true;
    }
    op_release(&op);
}

/* --- control --------------------------------------------------------------------------------- */

static bool matches(const struct known *k, const struct task_filter *f)
{
    bool listed = !f->ids;
    for (size_t i = 0; i < f->id_count; i++)
        listed = listed || f->ids[i] == k->id;
    enum known_state wanted = f->state == JOB_FAILED      ? KNOWN_FAILED
                              : f->state == JOB_COMPLETED ? KNOWN_COMPLETED
                                                          : KNOWN_CANCELLED;
    bool of_state = !f->by_state || k->state == wanted;
    return k->state != KNOWN_NOT && k->state != KNOWN_GONE && listed && of_state &&
           (!f->queue.len || str_is(f->queue, queue_names[k->queue])) &&
           (!f->function.len || str_is(f->function, function_names[k->function])) &&
           (!f->key.len || str_is(f->key, key_names[k->key]));
}

static bool waits_for_what_is_gone(const struct known *k)
{
    for (int i = 0; i < k->parent_count; i++)
        if (world->tasks[k->parents[i]].state == KNOWN_GONE)
            return true;
    return false;
}

/* It may have been refused because another has its unique key, or because what it waits for will
 * never be. */
static bool is_open_again(const struct known *k)
{
    struct task_view view = show(k->id);
    bool open = !job_state_is_final(view.state);
    task_view_release(&view);
    MUST(open || k->unique || waits_for_what_is_gone(k), "task %lld was not retried",
         (long long)k->id);
    return open;
}

/* What may become of a task that the verb means. */
static void note_asked(struct known *k, enum task_verb verb)
{
    bool over = k->state != KNOWN_OPEN;
    if (verb == TASK_CANCEL && !over) {
        k->cancel_asked = true;
        k->aborting = k->aborting || k->session != 0;
    } else if (verb == TASK_RETRY && (k->state == KNOWN_FAILED || k->state == KNOWN_CANCELLED) &&
               is_open_again(k)) {
        k->run_at_us = k->delay_until_us = k->delay_wall_us = 0;
        k->state = KNOWN_OPEN;
        k->cancel_asked = k->failed_finally = k->aborting = false;
    } else if (verb == TASK_DELETE && over) {
        k->state = KNOWN_GONE;
        k->cancel_asked = true;
    }
}

static void control(enum task_verb verb, const struct task_filter *filter)
{
    struct op op;
    recover();
    check_all(); /* so that what has ended is known to have */
    op_init(&op, OP_TASK_CONTROL);
    op.task_control.verb = verb;
    op.task_control.filter = *filter;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "control: %s", op.err.text);
    for (int i = 0; i < world->task_count; i++)
        if (matches(&world->tasks[i], filter))
            note_asked(&world->tasks[i], verb);
    for (int i = 0; i < world->task_count; i++) {
        const struct known *k = &world->tasks[i];
        if (verb == TASK_RETRY && k->state == KNOWN_OPEN &&
            (k->unique_while != UNIQUE_PENDING || !k->ran))
            check_has_key_alone(k);
    }
    known_spread_cancel();
    op_release(&op);
}

static void verb_control(void)
{
    int64_t ids[3];
    struct task_filter filter = {0};
    if (!world->task_count || pick(4))
        return;
    switch (pick(3)) {
    case 0:
        filter.key = str_of(key_names[1 + pick(KEYS - 1)]);
        break;
    case 1:
        filter.queue = str_of(queue_names[1]);
        filter.function = str_of(function_names[pick(FUNCTIONS)]);
        break;
    default:
        for (filter.ids = ids; filter.id_count < 3; filter.id_count++)
            ids[filter.id_count] = world->tasks[pick(world->task_count)].id + (pick(20) == 0);
    }
    control((enum task_verb)pick(3), &filter);
}

static void set_gate(bool of_functions, int place, const struct gate *gate)
{
    struct op op;
    recover();
    op_init(&op, OP_GATES);
    op.gates.of_functions = of_functions;
    op.gates.set = str_of(of_functions ? function_names[place] : queue_names[place]);
    op.gates.sets_paused = op.gates.sets_concurrency = op.gates.sets_rpm = true;
    op.gates.sets_fair = !of_functions;
    op.gates.gate = *gate;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "gate: %s", op.err.text);
    known_set_gate(of_functions ? gate_of_function(place) : gate_of_queue(place), gate);
    op_release(&op);
}

static struct gate some_gate(void)
{
    static const double rates[] = {0, 0, 30, 60, 600};
    return (struct gate){.concurrency = pick(2) ? 0 : 1 + pick(6), .rpm = rates[pick(5)]};
}

static void verb_gate(void)
{
    bool of_functions = pick(2);
    struct gate gate = some_gate();
    gate.paused = pick(4) == 0;
    gate.fair = !of_functions && pick(2);
    set_gate(of_functions, pick(of_functions ? FUNCTIONS : QUEUES), &gate);
}

static void set_limit(bool put, struct gate gate)
{
    static char name[] = "each", pattern[] = "k*";
    struct op op;
    recover();
    op_init(&op, OP_LIMITS);
    op.limits.verb = put ? LIMITS_PUT : LIMITS_DELETE;
    op.limits.rule = (struct key_rule){
        .name = name, .pattern = pattern, .concurrency = gate.concurrency, .rpm = gate.rpm};
    ask(&op);
    MUST(op.err.code == ERR_NONE, "limit: %s", op.err.text);
    world->has_rule = put;
    for (int k = 1; k <= 2; k++)
        known_set_gate(gate_of_key(k), put ? &gate : &(struct gate){0});
    op_release(&op);
}

static void verb_limit(void)
{
    struct gate gate = some_gate();
    if (gate.concurrency || gate.rpm > 0)
        set_limit(true, gate);
    else if (world->has_rule)
        set_limit(false, (struct gate){0});
}

/* --- time and restarts ----------------------------------------------------------------------- */

static void verb_time(void)
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

static void open_engine(void)
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

static void close_engine(void)
{
    engine_free(TAKE(sim_engine));
    hear_all();
    folders_free(TAKE(folders));
}

/* What may happen while nothing runs: time passes, the machine starts anew, its clock is set. */
static void meanwhile(void)
{
    if (pick(3) == 0)
        time_passes(pick(60) * SECOND_US);
    if (pick(3) == 0)
        world->booted_us = world->now.mono_us - (1 + pick(4)) * SECOND_US;
    if (pick(4) == 0)
        clock_is_set();
}

static void verb_restart(void)
{
    close_engine();
    meanwhile();
    open_engine();
}

/* --- what was asked when the process was killed ---------------------------------------------- */

/* What a task's arguments say; -1: nothing that was asked for. */
static int place_of(const struct task_view *view)
{
    OWNED_MEM char *text = text_or_blob(str_of(view->arguments), &view->arguments_blob);
    int64_t place = number_in(text, "n");
    MUST(place < world->task_count, "arguments %s", text);
    return (int)place;
}

/* The tasks of that request, if they were stored: all or none. */
static bool adopt(int64_t request)
{
    char batch[32];
    snprintf(batch, sizeof batch, "e%lld", (long long)request);
    struct task_filter filter = {.batch = str_of(batch)};
    struct op_task_list found = list(&filter);
    size_t wanted = 0;
    for (int i = 0; i < world->task_count; i++)
        wanted += world->tasks[i].request == request && !world->tasks[i].unique;
    for (size_t i = 0; i < found.count; i++) {
        struct task_view view = show(found.views[i].id);
        int place = place_of(&view);
        MUST(place >= 0 && world->tasks[place].request == request, "task %lld has %s",
             (long long)view.id, view.arguments);
        struct known *k = &world->tasks[place], *old = known_by_id(view.id);
        if (old) { /* it has replaced that one */
            take_over(old, k);
            task_view_release(&view);
            continue;
        }
        /* Another of the request may have replaced it at once. */
        for (int other = 0; k->unique && other < place; other++)
            if (world->tasks[other].request == request && world->tasks[other].unique == k->unique) {
                k = &world->tasks[other];
                break;
            }
        if (k != &world->tasks[place])
            take_over(k, &world->tasks[place]);
        wanted -= !k->unique;
        k->id = view.id;
        k->state = KNOWN_OPEN;
        task_view_release(&view);
    }
    MUST(found.count == 0 || wanted == 0, "a part of request %lld was stored", (long long)request);
    bool stored = found.count > 0;
    list_release(&found);
    return stored;
}

/* Those that the request may have replaced: their arguments say so. */
static void adopt_replaced(int64_t request)
{
    for (int i = 0; i < world->task_count; i++) {
        struct known *k = &world->tasks[i];
        if (!k->unique || k->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(k->id);
        int place = place_of(&view);
        if (place != k->arguments) {
            MUST(world->tasks[place].request == request, "task %lld has %s", (long long)k->id,
                 view.arguments);
            take_over(k, &world->tasks[place]);
        }
        task_view_release(&view);
    }
}

/* Whether a completion of the settlement was stored that asks for followers. */
static bool adopt_settlement(void)
{
    bool any = false;
    for (int i = 0; i < world->open_count; i++) {
        struct known *k = &world->tasks[world->open_tasks[i]];
        if (k->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(k->id);
        bool same = world->open_results[i] && result_of(&view) == world->open_results[i];
        bool asks = !world->open_of || world->open_of == k->id;
        if (view.state != JOB_RUNNING) { /* it may be that it has failed, or was given back */
            k->session = 0;
            k->delay_wall_us = world->latest_wall_us + RETRY_MAX_US;
        }
        k->failed_finally |= view.state == JOB_FAILED;
        k->cancel_asked |= view.state == JOB_CANCELLED;
        if (same && view.state == JOB_COMPLETED) {
            k->state = KNOWN_COMPLETED;
            k->ever_completed = k->ever_ended = true;
            k->result = world->open_results[i];
            any = any || asks;
        }
        task_view_release(&view);
    }
    return any;
}

static void resolve(void)
{
    bool settled = world->open_settles && adopt_settlement();
    bool stored = world->open_request && adopt(world->open_request);
    if (world->open_request)
        adopt_replaced(world->open_request);
    if (world->open_settles && world->open_request)
        MUST(!settled || stored, "a settlement was stored without what it enqueues");
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        w->unsure = w->session != 0;
        if (w->session && w->session == world->open_holds)
            maybe_back(w);
    }
    world->open_holds = 0;
    world->open_settles = false;
    world->open_request = 0;
}

/* --- a run ----------------------------------------------------------------------------------- */

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

static int open_tasks(void)
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
    ticks_check_alive(pass, check_all);
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
    blobs_check_collected(pass);
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
