/* sim_sessions.c: sessions and limits under a seeded simulation, in virtual time.
 *
 * Workers that keep to docs/worker-protocol.md run the records of a job with slots, a pace and
 * delays between attempts: they start, end, fail, skip; their answers get lost, they die, some
 * records kill whoever runs them; commits fail and the engine is opened anew. What is checked at
 * every moment:
 *
 *   never more records run than `concurrency`, and no record twice at once;
 *   no second has more starts than the rate allows;
 *
 * and at the end: each record is in the output once, or gave nothing, or has failed after exactly
 * its attempts; those that kill have failed, and cost no other an attempt.
 *
 * Usage: sim_sessions [FIRST_SEED [SEEDS]]. A failing seed prints itself and replays exactly. */
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/engine.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS_MAX = 240, WORKERS = 5, STARTS_MAX = 1 << 16 };
#define SECOND_US INT64_C(1000000)
#define LEASE_US (30 * SECOND_US)
#define LATE_US 4900 /* who is later than that with a start gives the record back */

enum outcome { RESULT, SKIP, FAIL };

/* A record in a worker's hands. */
struct hand {
    enum { WAITS, RUNS, ENDED } state;
    int64_t record, at_us; /* not to be started before; running until */
    bool apart;            /* nothing else may run beside */
    enum outcome outcome;
    bool throttled;
};

struct worker {
    bool begun;
    bool unsure;  /* it may have missed an answer */
    bool lets_go; /* of records that it could not start in time */
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t slots; /* -1: no limit */
    double every_us, last_start_us;
    struct hand hands[RECORDS_MAX];
    int count;
    struct call *claim; /* on its way, NULL */
    int64_t away_until_us;
};

/* A claim that may wait. */
struct call {
    struct op op;
    struct worker *worker; /* NULL: it has died, nobody hears the answer */
    atomic_bool given_up;
    bool answered;
    int64_t *holds;
    struct call *next;
};

/* An answer that did not get through, on its way back. */
struct giving_back {
    struct op op;
    char *records;
    int64_t at_us;
    struct giving_back *next;
};

static struct rng rng;
static struct instant now;
static struct engine *engine;
static char folder[64];
static uint64_t seed_now;
static struct data_spec spec;
static int lines;
static bool kills[RECORDS_MAX];
static bool acked[RECORDS_MAX], skipped[RECORDS_MAX];
static bool blamed[RECORDS_MAX];  /* it was lost among those that run apart */
static int failures[RECORDS_MAX]; /* attempts that the engine has taken as failed */
static struct worker workers[WORKERS];
static struct call *calls;
static struct giving_back *on_its_way;
static double starts[STARTS_MAX];
static size_t starts_first, starts_count;
static int deaths;

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu, at %lld us: " #condition ": ",                             \
                    (unsigned long long)seed_now, (long long)now.mono_us);                         \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, " (%s)\n", folder);                                                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int pick(int n)
{
    return (int)rng_below(&rng, (uint64_t)n);
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

/* --- asking the engine ----------------------------------------------------------------------- */

static void step(struct op *ops)
{
    struct err err;
    MUST(engine_step(engine, ops, now, &err), "%s", err.text);
}

static void set_true(struct op *op)
{
    *(bool *)op->context = true;
}

/* One op that is answered at once. */
static void ask(struct op *op)
{
    bool answered = false;
    op->done = set_true;
    op->context = &answered;
    op->job.name = STR("job");
    op->right.trusted = true;
    step(op);
    MUST(answered, "op %d was not answered", (int)op->kind);
}

static struct job_view report(void)
{
    struct op op;
    op_init(&op, OP_REPORT);
    ask(&op);
    MUST(op.err.code == ERR_NONE, "%s", op.err.text);
    return op.report.view;
}

/* --- what runs ------------------------------------------------------------------------------- */

static int running(const struct worker *w)
{
    int count = 0;
    for (int i = 0; i < w->count; i++)
        count += w->hands[i].state == RUNS;
    return count;
}

static void check_running(void)
{
    bool runs[RECORDS_MAX] = {false};
    int all = 0;
    for (int i = 0; i < WORKERS; i++)
        for (int k = 0; k < workers[i].count; k++) {
            const struct hand *hand = &workers[i].hands[k];
            MUST(hand->state != RUNS || !runs[hand->record], "record %lld runs twice",
                 (long long)hand->record);
            runs[hand->record] |= hand->state == RUNS;
            all += hand->state == RUNS;
        }
    MUST(spec.concurrency == 0 || all <= spec.concurrency, "%d run, of %lld", all,
         (long long)spec.concurrency);
}

static void note_start(void)
{
    double at = (double)now.mono_us;
    while (starts_count && starts[starts_first % STARTS_MAX] <= at - 1e6) {
        starts_first++;
        starts_count--;
    }
    MUST(starts_count < STARTS_MAX, "so many starts");
    starts[(starts_first + starts_count++) % STARTS_MAX] = at;
    MUST(spec.rpm <= 0 || (double)starts_count <= ceil(spec.rpm / 60), "%zu starts in a second",
         starts_count);
}

static void forget_all(struct worker *w)
{
    w->count = 0;
    w->begun = w->unsure = w->lets_go = false;
}

static void drop_hand(struct worker *w, int i)
{
    w->hands[i] = w->hands[--w->count];
}

/* --- claims ---------------------------------------------------------------------------------- */

static void on_claimed(struct op *op)
{
    struct call *call = op->context;
    call->answered = true;
}

static void claim(struct worker *w)
{
    struct call *call = xcalloc(1, sizeof *call);
    struct op *op = &call->op;
    op_init(op, OP_CLAIM);
    op->done = on_claimed;
    op->context = call;
    op->job.name = STR("job");
    op->right.trusted = true;
    op->claim.max_records = 1 + pick(30);
    op->claim.max_bytes = 1 << 20;
    op->claim.lease_us = LEASE_US;
    op->claim.wait_until_us = pick(4) ? now.mono_us + 1 + (int64_t)rng_below(&rng, 20000000) : 0;
    op->claim.given_up = &call->given_up;
    op->claim.keep = !w->begun;
    op->claim.add = w->begun;
    memcpy(op->claim.token, w->token, sizeof w->token);
    op->claim.running = pick(5) ? running(w) : -1;
    if (w->begun && (w->unsure || w->lets_go || pick(30) == 0)) {
        w->lets_go = false;
        call->holds = xcalloc(RECORDS_MAX, sizeof *call->holds);
        for (int i = 0; i < w->count; i++)
            call->holds[op->claim.hold_count++] = w->hands[i].record;
        op->claim.has_holds = true;
        op->claim.holds = call->holds;
    }
    call->worker = w;
    call->next = calls;
    calls = call;
    w->claim = call;
    step(op);
}

/* As the server does when it finds that an answer did not get through; it may take its time. */
static void give_back(const struct op *claimed)
{
    if (claimed->claim.count == 0 && !claimed->claim.made)
        return;
    struct giving_back *g = xcalloc(1, sizeof *g);
    op_init(&g->op, OP_RELEASE);
    g->records = xstrndup(claimed->claim.records.data, claimed->claim.records.len);
    g->op.lease.records = str_of(g->records);
    g->op.lease.has_lease = claimed->claim.has_lease;
    memcpy(g->op.lease.token, claimed->claim.token, LEASE_TOKEN_BYTES);
    g->op.lease.stays = claimed->claim.add && !claimed->claim.made;
    g->op.lease.answer = claimed->claim.answer;
    g->at_us = now.mono_us + (int64_t)rng_below(&rng, 3000000);
    g->next = on_its_way;
    on_its_way = g;
}

static void deliver_back(bool all)
{
    for (struct giving_back **at = &on_its_way; *at;) {
        struct giving_back *g = *at;
        if (!all && g->at_us > now.mono_us) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        if (!all)
            ask(&g->op); /* refused when its lease is gone: that is fine */
        free(g->records);
        free(g);
    }
}

/* A failure that was told, its answer lost, was taken when its record comes again. */
static void forget_ended(struct worker *w, int64_t record)
{
    for (int i = w->count; i-- > 0;)
        if (w->hands[i].record == record) {
            MUST(w->hands[i].state == ENDED && w->hands[i].outcome == FAIL,
                 "record %lld comes to who has it", (long long)record);
            drop_hand(w, i);
        }
}

static void take_records(struct worker *w, const struct op *op)
{
    struct json j;
    struct str number, record, inner;
    int64_t i = 0, n = 0, same = 0;
    json_open(&j, buf_str(&op->claim.records));
    json_enter(&j, '[');
    for (; json_item(&j); i++) {
        MUST(json_enter(&j, '[') && json_item(&j) && json_value(&j, &number) && json_item(&j) &&
                 json_value(&j, &record) && !json_item(&j) && json_i64(number, 0, lines - 1, &n) &&
                 json_find(record, "n", &inner) && json_i64(inner, 0, lines, &same) && n == same,
             "claim answered %.*s", (int)op->claim.records.len, op->claim.records.data);
        forget_ended(w, n);
        MUST(w->count < RECORDS_MAX, "one worker holds more than there are");
        double at = (double)now.mono_us + op->claim.first_us + (double)i * op->claim.every_us;
        w->hands[w->count++] = (struct hand){.record = n,
                                             .at_us = op->claim.paced ? (int64_t)ceil(at) : 0,
                                             .apart = op->claim.alone};
    }
    MUST(i == op->claim.count, "%lld records, not %lld", (long long)i, (long long)op->claim.count);
    MUST(!op->claim.alone || i > 0, "nothing, alone");
}

static bool job_over;

static void hear(struct worker *w, const struct op *op)
{
    w->claim = NULL;
    if (op->refusal == REFUSED_LEASE_ENDED) {
        forget_all(w);
        return;
    }
    if (op->err.code != ERR_NONE) /* a commit failed, or a later claim came: the session goes on */
        return;
    if (pick(15) == 0) {
        w->unsure = w->begun;
        for (int i = 0; i < lines && op->claim.made && op->claim.alone; i++)
            blamed[i] = true; /* nobody has heard which it was */
        if (pick(3))
            give_back(op);
        return;
    }
    w->unsure = false;
    w->begun = op->claim.has_lease;
    memcpy(w->token, op->claim.token, sizeof w->token);
    w->slots = op->claim.slots;
    w->every_us = op->claim.paced ? op->claim.every_us : 0;
    MUST(spec.concurrency > 0 || w->slots < 0, "slots without a limit");
    if (op->claim.finished) {
        for (int i = 0; i < w->count; i++) /* what was told, its answer lost, may be there still */
            MUST(w->hands[i].state == ENDED, "finished, and record %lld is at work",
                 (long long)w->hands[i].record);
        job_over = true;
    }
    take_records(w, op);
}

static void hear_answers(void)
{
    for (struct call **at = &calls; *at;) {
        struct call *call = *at;
        if (!call->answered) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        if (call->worker)
            hear(call->worker, &call->op);
        else if (call->op.err.code == ERR_NONE)
            give_back(&call->op);
        op_release(&call->op);
        free(call->holds);
        free(call);
    }
}

/* --- what workers do ------------------------------------------------------------------------- */

static void die(struct worker *w, bool told)
{
    deaths++;
    for (int i = 0; i < w->count; i++)
        blamed[w->hands[i].record] |= w->hands[i].apart;
    if (w->claim) {
        w->claim->worker = NULL;
        atomic_store(&w->claim->given_up, true);
        w->claim = NULL;
    }
    if (told && w->begun) {
        struct op op;
        op_init(&op, OP_RELEASE);
        op.lease.has_lease = op.lease.died = true;
        memcpy(op.lease.token, w->token, sizeof w->token);
        ask(&op);
    }
    forget_all(w);
    w->away_until_us = now.mono_us + (int64_t)rng_below(&rng, 2000000);
}

/* Whether the hand may start: its time, its worker's pace and slots, and nothing beside it that
 * must not be. */
static bool may_start(const struct worker *w, const struct hand *hand)
{
    if (hand->state != WAITS || now.mono_us < hand->at_us ||
        (w->slots >= 0 && running(w) >= w->slots))
        return false;
    if (w->every_us > 0 && (double)now.mono_us < w->last_start_us + 0.996 * w->every_us)
        return false;
    for (int i = 0; i < w->count; i++)
        if (w->hands[i].apart != hand->apart && (hand->apart || w->hands[i].state != WAITS))
            return false;
    return true;
}

/* False when it kills the worker. */
static bool start_one(struct worker *w, struct hand *hand)
{
    note_start();
    w->last_start_us = (double)now.mono_us;
    hand->state = RUNS;
    hand->at_us = now.mono_us + (int64_t)rng_below(&rng, pick(10) ? 50000 : 2000000);
    hand->outcome = pick(8) == 0 ? FAIL : pick(8) == 0 ? SKIP : RESULT;
    hand->throttled = hand->outcome == FAIL && pick(2);
    check_running();
    return !kills[hand->record];
}

/* What could not start in time is not started: another claim will bring it again. */
static void drop_late(struct worker *w)
{
    for (int i = w->count; i-- > 0;)
        if (w->hands[i].state == WAITS && w->hands[i].at_us > 0 &&
            now.mono_us > w->hands[i].at_us + LATE_US) {
            blamed[w->hands[i].record] |= w->hands[i].apart; /* should it die before it says so */
            drop_hand(w, i);
            w->lets_go = true;
        }
}

static void run_records(struct worker *w)
{
    drop_late(w);
    for (int i = 0; i < w->count; i++)
        if (w->hands[i].state == RUNS && w->hands[i].at_us <= now.mono_us)
            w->hands[i].state = ENDED;
    /* In the order of their times. */
    for (struct hand *next = NULL;; next = NULL) {
        for (int i = 0; i < w->count; i++)
            if (may_start(w, &w->hands[i]) && (!next || w->hands[i].at_us < next->at_us))
                next = &w->hands[i];
        if (!next)
            return;
        if (!start_one(w, next)) {
            die(w, pick(4) != 0);
            return;
        }
    }
}

static void plan_fault(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(pick(12) == 0 ? "store.commit:1:fail" : NULL);
#endif
}

static void no_faults(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(NULL);
#endif
}

static void add_entry(struct settle_entry *entry, const struct hand *hand, struct buf *text)
{
    entry->record = hand->record;
    entry->at = (uint32_t)text->len;
    entry->skipped = hand->outcome == SKIP;
    entry->failed = hand->outcome == FAIL;
    entry->throttled = hand->throttled;
    entry->retry_after_us = hand->throttled && pick(2) ? 1 + (int64_t)rng_below(&rng, 3000000) : 0;
    if (hand->outcome == RESULT)
        buf_add_format(text, "{\"n\": %lld}\n", (long long)hand->record);
    else if (hand->outcome == FAIL)
        buf_add_text(text, "{\"message\":\"would not\",\"type\":\"Sim\"}\n");
    entry->len = (uint32_t)text->len - entry->at;
}

static void note_settled(const struct settle_entry *entry)
{
    if (!entry->taken)
        return;
    MUST(!acked[entry->record], "record %lld was settled twice", (long long)entry->record);
    acked[entry->record] = !entry->failed;
    skipped[entry->record] = entry->skipped;
    failures[entry->record] += entry->failed;
}

static void settle(struct worker *w)
{
    struct settle_entry entries[RECORDS_MAX] = {0};
    OWNED_BUF struct buf text;
    struct op op;
    buf_init(&text, BUF_NO_CAP);
    op_init(&op, OP_SETTLE);
    for (int i = 0; i < w->count; i++)
        if (w->hands[i].state == ENDED && pick(20))
            add_entry(&entries[op.settle.count++], &w->hands[i], &text);
    if (op.settle.count == 0)
        return;
    op.settle.entries = entries;
    op.settle.lines = text.data;
    op.settle.has_lease = true;
    memcpy(op.settle.token, w->token, sizeof w->token);
    plan_fault();
    ask(&op);
    no_faults();
    if (op.refusal == REFUSED_LEASE_ENDED) {
        forget_all(w);
        return;
    }
    MUST(op.refusal == REFUSED_OTHERWISE, "%s", op.err.text);
    if (op.err.code != ERR_NONE)
        return; /* it could not be stored: once more, later */
    for (size_t i = 0; i < op.settle.count; i++)
        note_settled(&entries[i]);
    if (pick(20) == 0)
        return; /* the answer is lost: told once more, later */
    for (int i = w->count; i-- > 0;)
        for (size_t k = 0; k < op.settle.count; k++)
            if (w->hands[i].record == entries[k].record) {
                drop_hand(w, i);
                break;
            }
}

static bool has_apart(const struct worker *w)
{
    for (int i = 0; i < w->count; i++)
        if (w->hands[i].apart)
            return true;
    return false;
}

static void act(struct worker *w)
{
    if (w->away_until_us > now.mono_us)
        return;
    if (pick(400) == 0) {
        die(w, pick(3) != 0);
        return;
    }
    if (pick(3) == 0)
        settle(w);
    if (!w->claim && w->count < 20 && !has_apart(w) && pick(3) == 0)
        claim(w);
}

/* --- a run ----------------------------------------------------------------------------------- */

static struct folders *folders;

static void open_engine(void)
{
    OWNED_MEM char *state = path_of("state");
    struct err err;
    struct engine_options options = {
        .state_dir = state, .folders = folders, .seeded = true, .seed = rng_next(&rng)};
    MUST(engine_open(&options, now, &engine, &err), "%s", err.text);
}

/* The engine's process ends, and all workers with it. */
static void restart(void)
{
    for (int i = 0; i < WORKERS; i++)
        if (workers[i].claim) {
            workers[i].claim->worker = NULL;
            workers[i].claim = NULL;
        }
    engine_free(TAKE(engine));
    hear_answers();
    MUST(!calls, "a claim was not answered at the end");
    deliver_back(true);
    for (int i = 0; i < WORKERS; i++)
        forget_all(&workers[i]);
    open_engine();
}

static void choose_job(void)
{
    static const int concurrencies[] = {0, 1, 2, 7, 30};
    static const double rates[] = {0, 0, 240, 1800, 6000};
    data_spec_init(&spec);
    spec.source_format = spec.sink_format = FORMAT_JSONL;
    spec.source_path = path_of("data/in.jsonl");
    spec.sink_path = path_of("data/out.jsonl");
    spec.concurrency = concurrencies[pick(5)];
    spec.rpm = rates[pick(5)];
    spec.adaptive = pick(3) == 0;
    spec.max_attempts = 1 + pick(4);
    spec.retry_delay_us = pick(2) ? 1 + (int64_t)rng_below(&rng, 2000000) : 0;
    spec.retry_factor = 1 + pick(3);
}

static void begin(void)
{
    OWNED_MEM char *data = path_of("data");
    OWNED_MEM char *in = path_of("data/in.jsonl");
    struct err err;
    MUST(mkdir(data, 0700) == 0, "no folder");
    FILE *f = fopen(in, "we");
    MUST(f, "no input");
    lines = 20 + pick(RECORDS_MAX - 20);
    for (int i = 0; i < lines; i++) {
        fprintf(f, "{\"n\": %d}\n", i);
        kills[i] = pick(100) == 0;
    }
    fclose(f);
    folders = folders_new();
    MUST(folders_add(folders, data, &err), "%s", err.text);
    choose_job();
    open_engine();
    struct op op;
    op_init(&op, OP_START);
    op.start.spec = &spec;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "start: %s", op.err.text);
}

static void check_errors(void)
{
    OWNED_MEM char *path = path_of("data/out.jsonl.errors.jsonl");
    OWNED_BUF struct buf text;
    struct err err;
    int told[RECORDS_MAX] = {0};
    buf_init(&text, BUF_NO_CAP);
    if (access(path, F_OK) == 0)
        MUST(file_read_all(path, 1 << 30, &text, &err), "%s", err.text);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        struct str line = {text.data + at, (size_t)(end - (text.data + at))}, number, type;
        int64_t record = 0;
        MUST(json_find(line, "record", &number) && json_i64(number, 0, lines - 1, &record) &&
                 json_find(line, "type", &type),
             "%.*s", (int)line.len, line.ptr);
        bool lost = json_name_is(type, "WorkerLost");
        MUST(!lost || blamed[record], "record %lld is blamed for a death", (long long)record);
        MUST(lost || failures[record] == spec.max_attempts,
             "record %lld has failed after %d of %lld attempts", (long long)record,
             failures[record], (long long)spec.max_attempts);
        told[record]++;
        at += line.len + 1;
    }
    for (int i = 0; i < lines; i++) {
        MUST(told[i] == !acked[i], "record %d has failed %d times, acknowledged: %d", i, told[i],
             acked[i]);
        MUST(!kills[i] || told[i], "record %d kills, and was done", i);
    }
}

static void check_end(void)
{
    OWNED_MEM char *path = path_of("data/out.jsonl");
    OWNED_BUF struct buf text;
    struct err err;
    int written[RECORDS_MAX] = {0};
    buf_init(&text, BUF_NO_CAP);
    if (access(path, F_OK) == 0)
        MUST(file_read_all(path, 1 << 30, &text, &err), "%s", err.text);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        struct str line = {text.data + at, (size_t)(end - (text.data + at))}, number;
        int64_t record = 0;
        MUST(json_find(line, "n", &number) && json_i64(number, 0, lines - 1, &record), "%.*s",
             (int)line.len, line.ptr);
        written[record]++;
        at += line.len + 1;
    }
    int gave_nothing = 0;
    for (int i = 0; i < lines; i++) {
        MUST(written[i] == (acked[i] && !skipped[i]), "record %d is written %d times", i,
             written[i]);
        gave_nothing += skipped[i];
    }
    check_errors();
    struct job_view view = report();
    MUST(view.state == JOB_COMPLETED && view.known == lines && view.waiting == 0 &&
             view.skipped == gave_nothing,
         "%s, %lld known, %lld skipped", job_state_name(view.state), (long long)view.known,
         (long long)view.skipped);
    job_view_release(&view);
}

/* On to the next moment at which something may happen. */
static void pass_time(void)
{
    int64_t next = engine_next_us(engine);
    int64_t most = now.mono_us + 1 + (int64_t)rng_below(&rng, pick(20) ? 20000 : 500000);
    if (next > now.mono_us && next < most)
        most = next;
    for (int i = 0; i < WORKERS; i++)
        for (int k = 0; k < workers[i].count && pick(50); k++) {
            int64_t at = workers[i].hands[k].at_us;
            if (workers[i].hands[k].state != ENDED && at > now.mono_us && at < most)
                most = at;
        }
    now.wall_us += most - now.mono_us;
    now.mono_us = most;
    step(NULL);
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

static void forget_world(void)
{
    memset(workers, 0, sizeof workers);
    memset(acked, 0, sizeof acked);
    memset(skipped, 0, sizeof skipped);
    memset(failures, 0, sizeof failures);
    memset(blamed, 0, sizeof blamed);
    starts_first = starts_count = 0;
    job_over = false;
}

static void run_seed(uint64_t seed)
{
    const char *base = getenv("TMPDIR");
    seed_now = seed;
    rng_init(&rng, seed);
    now = (struct instant){SECOND_US, INT64_C(1700000000) * SECOND_US};
    snprintf(folder, sizeof folder, "%s/penstock-sim-XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(folder), "no folder for the simulation");
    forget_world();
    begin();
    for (int turns = 0; !job_over; turns++) {
        MUST(turns < 2000000, "the job does not end");
        pass_time();
        hear_answers();
        deliver_back(false);
        for (int i = 0; i < WORKERS; i++)
            if (workers[i].away_until_us <= now.mono_us && pick(20))
                run_records(&workers[i]);
        act(&workers[pick(WORKERS)]);
        hear_answers();
        check_running();
        if (pick(20000) == 0)
            restart();
    }
    restart();
    check_end();
    engine_free(TAKE(engine));
    folders_free(folders);
    data_spec_release(&spec);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    log_set_level(LOG_ERROR);
    if (!getenv("SIM_VERBOSE") && !freopen("/dev/null", "a", stdout))
        return 1;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run_seed(seed);
    fprintf(stderr, "%llu seeds, %d deaths: every record exactly once, within its limits\n",
            (unsigned long long)seeds, deaths);
    return 0;
}
