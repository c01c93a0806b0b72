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
#include "base/fault.h"
#include "base/log.h"
#include "engine/engine.h"
#include "http/native/new_flow.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
#define REFUSED_US (2 * SECOND_US) /* more than the engine wants after a failure */

enum { NODES = 14, PARENTS = 3, WORKERS = 3, HELD = NODES };

/* A node of the list as it was last sent. Its id is its place + 1, shuffled ids would say no more.
 */
struct listed {
    bool there, always;
    int parents[PARENTS], parent_count;
    int max_attempts;
    int edits;
};

/* What is known for sure of a node in the run that goes on. */
struct known {
    bool selected;  /* it is of this run */
    bool completed; /* that was acknowledged, in this run or one before it that this one keeps */
    bool doubtful;  /* its completion was sent, and not answered */
};

struct worker {
    bool has_token;
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t heard_us;
    struct {
        int64_t task;
        int node;
    } held[HELD];
    int count;
};

static struct world {
    struct rng rng;
    struct instant now;
    char folder[128];
    int steps_left;
    bool ending, started, in_doubt; /* in doubt: a start was sent, and not answered */
    int64_t refused_until_us;
    struct listed list[NODES], asked[NODES];
    struct known known[NODES], asked_known[NODES];
    struct worker workers[WORKERS];
    int crashes, failures, runs, completions;
} * world;

static uint64_t seed_now;
static struct engine *engine;
static struct folders *folders;

#define SAY(...) printf(__VA_ARGS__)
#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: ", (unsigned long long)seed_now);                          \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            fflush(stdout);                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int pick(int count)
{
    return (int)(rng_next(&world->rng) % (uint64_t)count);
}

/* --- asking the engine ----------------------------------------------------------------------- */

static void on_done(struct op *op)
{
    *(bool *)op->context = true;
}

static void step(struct op *ops)
{
    struct err err;
    /* Durability is in doubt: the process ends, and recovers by starting again. */
    if (!engine_step(engine, ops, world->now, &err))
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

static void ask(struct op *op)
{
    ask_with(op, NULL);
}

static void no_faults(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(NULL);
#endif
}

static void plan_fault(void)
{
#ifdef PENSTOCK_FAULTS
    static const char *const plans[] = {"store.commit:1:fail",  "store.commit:1:full",
                                        "store.commit:2:fail",  "store.begin:1:fail",
                                        "store.commit:1:kill",  "store.committed:1:kill",
                                        "group.written:1:kill", "group.answered:1:kill"};
    if (world->ending || pick(10))
        return;
    const char *plan = plans[pick((int)(sizeof plans / sizeof *plans))];
    SAY("  fault %s\n", plan);
    fault_set(plan);
#endif
}

/* Asks with mischief about. */
static void dare(struct op *op)
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

static void pass(int64_t us)
{
    world->now.mono_us += us;
    world->now.wall_us += us;
    step(NULL);
}

static void recover(void)
{
    if (world->refused_until_us > world->now.mono_us)
        pass(world->refused_until_us - world->now.mono_us);
}

/* --- looking --------------------------------------------------------------------------------- */

struct seen {
    enum job_state state;
    bool stops;
    bool still; /* nothing is on its way: what is to be D is */
    int64_t run;
    enum flow_mark marks[NODES];
    bool there[NODES];
    int64_t tasks[NODES];
    int64_t node_runs[NODES];
};

static bool look(struct seen *s)
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

static void check_all(void)
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

/* --- starting -------------------------------------------------------------------------------- */

static void choose_list(struct listed *list)
{
    for (int at = 0; at < NODES; at++) {
        struct listed *n = &list[at];
        bool keeps = n->there && pick(4);
        if (keeps)
            continue;
        *n = (struct listed){.there = pick(5) != 0,
                             .always = pick(8) == 0,
                             .max_attempts = 1 + pick(3),
                             .edits = pick(1000)};
        for (int tries = pick(PARENTS + 1); tries > 0 && at > 0; tries--)
            n->parents[n->parent_count++] = pick(at);
    }
    list[0].there = true;
    /* Parents that are gone are waited for no more. */
    for (int at = 0; at < NODES; at++) {
        struct listed *n = &list[at];
        int kept = 0;
        for (int i = 0; i < n->parent_count; i++)
            if (list[n->parents[i]].there)
                n->parents[kept++] = n->parents[i];
        n->parent_count = kept;
    }
}

static char *body_of(const struct listed *list, bool restart, bool take_over, int only)
{
    struct buf b;
    bool any = false;
    buf_init(&b, BUF_NO_CAP);
    buf_add_format(&b, "{\"name\":\"f\",\"restart\":%s,\"take_over\":%s,\"max_running\":%d,",
                   restart ? "true" : "false", take_over ? "true" : "false", 1 + pick(6));
    if (only >= 0)
        buf_add_format(&b, "\"select\":{\"descendants\":%d},", only + 1);
    buf_add_text(&b, "\"nodes\":[");
    for (int at = 0; at < NODES; at++) {
        const struct listed *n = &list[at];
        if (!n->there)
            continue;
        buf_add_format(&b,
                       "%s{\"id\":%d,\"name\":\"n%d\",\"module\":\"m\",\"worker\":\"W%d\","
                       "\"max_attempts\":%d,\"retry_wait_s\":%d,\"always\":%s,\"after\":[",
                       any ? "," : "", at + 1, at + 1, n->edits, n->max_attempts, pick(3),
                       n->always ? "true" : "false");
        any = true;
        for (int i = 0; i < n->parent_count; i++)
            buf_add_format(&b, "%s%d", i ? "," : "", n->parents[i] + 1);
        buf_add_format(&b, "]%s}", pick(5) ? "" : ",\"timeout_s\":20");
    }
    buf_add_text(&b, "]}");
    return buf_take(&b);
}

/* Its own rule, from marks: what such a start does with each node. */
static void foresee(const struct seen *s, bool there, bool restart, int only)
{
    bool chosen[NODES] = {false}, all_done = true;
    for (int at = 0; at < NODES; at++) {
        const struct listed *n = &world->asked[at];
        chosen[at] = n->there && (only < 0 || at == only);
        for (int i = 0; only >= 0 && n->there && i < n->parent_count; i++)
            chosen[at] = chosen[at] || chosen[n->parents[i]];
        if (there && s->there[at])
            all_done = all_done && (s->marks[at] == FLOW_COMPLETED || s->marks[at] == FLOW_NORUN);
    }
    bool fresh = !restart || !there || (only < 0 && all_done);
    for (int at = 0; at < NODES; at++) {
        struct known *k = &world->asked_known[at];
        bool done =
            there && s->there[at] && (s->marks[at] == FLOW_COMPLETED || s->marks[at] == FLOW_NORUN);
        *k = (struct known){0};
        if (!world->asked[at].there)
            continue;
        k->selected = chosen[at] && (fresh || only >= 0 || !done);
        k->completed =
            !fresh && !k->selected && there && s->there[at] && s->marks[at] == FLOW_COMPLETED;
    }
}

static void take_start(void)
{
    memcpy(world->list, world->asked, sizeof world->list);
    memcpy(world->known, world->asked_known, sizeof world->known);
    world->started = true;
    world->in_doubt = false;
    world->runs++;
}

static void start(bool restart, bool take_over, int only)
{
    struct new_flow f = {.node_cap = 0};
    struct seen s;
    struct err err;
    struct op op;
    bool there = look(&s);
    memcpy(world->asked, world->list, sizeof world->asked);
    if (!world->ending || !world->started)
        choose_list(world->asked);
    if (only >= 0 && !world->asked[only].there)
        only = 0;
    foresee(&s, there, restart, only);
    OWNED_MEM char *body = body_of(world->asked, restart, take_over, only);
    MUST(new_flow_read(&f, str_of(body), &err), "%s: %s", body, err.text);
    op_init(&op, OP_FLOW_START);
    struct buf told = op.flow_start.told;
    op.flow_start = f.ask;
    op.flow_start.told = told;
    SAY("  %s\n", body);
    world->in_doubt = true;
    dare(&op);
    world->in_doubt = false;
    if (op.err.code == ERR_NONE)
        take_start();
    else
        MUST(op.err.code == ERR_STORE || op.err.code == ERR_NO_SPACE ||
                 (op.refusal == REFUSED_FLOW_RUNS && there && s.state == JOB_RUNNING && !take_over),
             "start: %s", op.err.text);
    op_release(&op);
    new_flow_release(&f);
}

static void verb_start(void)
{
    start(pick(4) != 0, pick(3) == 0, pick(6) ? -1 : pick(NODES));
}

/* The process was killed while a start was on its way: it has happened, or not. */
static void resolve(void)
{
    struct seen s;
    bool there = look(&s);
    for (int w = 0; w < WORKERS; w++)
        world->workers[w] = (struct worker){0};
    for (int at = 0; at < NODES; at++) {
        struct known *k = &world->known[at];
        if (k->doubtful && there && s.there[at] && s.marks[at] == FLOW_COMPLETED)
            k->completed = true;
        k->doubtful = false;
    }
    if (!world->in_doubt)
        return;
    world->in_doubt = false;
    if (there && s.run > world->runs)
        take_start();
}

/* --- workers --------------------------------------------------------------------------------- */

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

static void verb_claim(void)
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

static void verb_settle(void)
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
static void verb_extend(void)
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

static void verb_die(void)
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

/* --- people ---------------------------------------------------------------------------------- */

static void verb_abort(void)
{
    struct op op;
    op_init(&op, OP_FLOW_ABORT);
    op.job.name = STR("f");
    op.flow_abort.at_once = pick(4) == 0;
    dare(&op);
    op_release(&op);
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
    MUST(engine_open(&options, world->now, &engine, &err), "the engine does not open: %s",
         err.text);
}

static void close_engine(void)
{
    engine_free(TAKE(engine));
    folders_free(TAKE(folders));
}

static void verb_restart(void)
{
    close_engine();
    open_engine();
}

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
