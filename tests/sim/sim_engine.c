/* sim_engine.c: the engine under a seeded simulation, in virtual time.
 *
 * Workers claim with and without leases, settle, settle twice, settle late, fail, lie and die; the
 * input grows; somebody pauses, repairs, restarts; and the process is killed at named points in the
 * middle of a group. Most results ride with the store's commit; some are too large for it. The
 * world (what was acknowledged, what workers hold, the random state) lives in shared memory, the
 * engine in a child that may be killed at any time; its parent garbles what no commit vouched for,
 * as a power cut would, and starts the next child on the same state folder. After every step:
 *
 *   no record lost: what was acknowledged is in the output;
 *   none twice: every record at most once;
 *   counts equal ledger equal file.
 *
 * Usage: sim_engine [FIRST_SEED [SEEDS [STEPS]]]. A failing seed prints itself and replays exactly.
 */
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/engine.h"
#include "store/job_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_MAX = 600, WORKERS = 5, HELD_MAX = 40, ATTEMPTS = 3 };
#define LEASE_US INT64_C(30000000)

struct worker {
    int64_t held[HELD_MAX];
    int count;
    bool leased;
    uint8_t token[LEASE_TOKEN_BYTES];
};

struct world {
    struct rng rng;
    struct instant now;
    int lines; /* in the input */
    bool bad[LINES_MAX], acked[LINES_MAX];
    struct worker workers[WORKERS];
    int steps_left, crashes;
    bool paused;
    bool ordered; /* the output is in the order of the records */
    bool several; /* of inputs: the second one grows */
    char folder[64];
};

static struct world *world;
static struct engine *engine;
static uint64_t seed_now;

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu, %d steps left: " #condition ": ",                          \
                    (unsigned long long)seed_now, world->steps_left);                              \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, " (%s)\n", world->folder);                                             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static int pick(int n)
{
    return (int)rng_below(&world->rng, (uint64_t)n);
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", world->folder, name);
}

/* --- the input ------------------------------------------------------------------------------- */

static void grow_input(int lines)
{
    bool second = world->several && world->lines > 0;
    OWNED_MEM char *path = path_of(second ? "data/in2.jsonl" : "data/in.jsonl");
    FILE *f = fopen(path, "ae");
    MUST(f, "open %s", path);
    for (; lines > 0 && world->lines < LINES_MAX; lines--, world->lines++) {
        bool bad = pick(20) == 0;
        world->bad[world->lines] = bad;
        fprintf(f, bad ? "{\"n\": %d, oops\n" : "{\"n\": %d, \"text\": \"zwölf\"}\n", world->lines);
    }
    fclose(f);
}

/* --- asking the engine -------------------------------------------------------------------------
 */

static void on_done(struct op *op)
{
    *(bool *)op->context = true;
}

static void prepare(struct op *op, bool *answered)
{
    *answered = false;
    op->done = on_done;
    op->context = answered;
    op->job.name = STR("job");
    op->right.trusted = true;
}

static void prepare_claim(struct op *op, int most);
static void note_claim(struct worker *w, struct op *op);

/* What reading in slices has put off comes in the steps that follow at once. */
static bool go_on(const bool *answered)
{
    struct err err;
    bool ok = true;
    while (ok && !*answered && engine_next_us(engine) == 0)
        ok = engine_step(engine, NULL, world->now, &err);
    return ok;
}

/* One step with one op (or none). While its group is on the way to the disk, other workers may
 * claim. False when the engine gave up (an injected failure of a sync). */
static bool step(struct op *op)
{
    struct err err;
    bool pending = false, ok = engine_begin(engine, op, world->now, &pending, &err);
    while (ok && pending) {
        struct op claims[2];
        struct worker *workers[2];
        bool answered[2];
        int count = pick(3) ? 0 : 1 + pick(2);
        for (int i = 0; i < count; i++) {
            if (i == 1)
                engine_commit(engine);
            workers[i] = &world->workers[pick(WORKERS)];
            prepare_claim(&claims[i], HELD_MAX);
            prepare(&claims[i], &answered[i]);
            engine_claim_meanwhile(engine, &claims[i], world->now);
        }
        if (count < 2)
            engine_commit(engine);
        ok = engine_finish(engine, world->now, &pending, &err);
        while (ok && pending && count) { /* a claim may need a commit of its own */
            engine_commit(engine);
            ok = engine_finish(engine, world->now, &pending, &err);
        }
        for (int i = 0; i < count; i++) {
            ok = ok && go_on(&answered[i]);
            MUST(answered[i], "a claim during a commit was not answered");
            note_claim(workers[i], &claims[i]);
        }
    }
    return ok;
}

static bool ask(struct op *op)
{
    bool answered;
    prepare(op, &answered);
    bool ok = step(op) && go_on(&answered);
    MUST(answered, "op %d was not answered", (int)op->kind);
    return ok;
}

static void start_job(void)
{
    struct data_spec spec;
    data_spec_init(&spec);
    spec.source_format = spec.sink_format = FORMAT_JSONL;
    spec.source_path = path_of("data/in.jsonl");
    spec.sink_path = path_of("data/out.jsonl");
    spec.ordered = world->ordered;
    if (world->several) {
        spec.source_more = xcalloc(1, sizeof *spec.source_more);
        spec.source_more[0] = path_of("data/in2.jsonl");
        spec.source_more_count = 1;
    }
    spec.max_attempts = ATTEMPTS;
    struct op op;
    op_init(&op, OP_START);
    op.start.spec = &spec;
    MUST(ask(&op) && op.err.code == ERR_NONE, "start: %s", op.err.text);
    data_spec_release(&spec);
}

static struct job_view report(void)
{
    struct op op;
    op_init(&op, OP_REPORT);
    MUST(ask(&op) && op.err.code == ERR_NONE, "report: %s", op.err.text);
    return op.report.view;
}

/* --- checks ------------------------------------------------------------------------------------
 */

/* Counts how often each record is named by the member `name` of the file's lines; returns the
 * lines. */
static int64_t count_lines(const char *file, const char *name, int counts[LINES_MAX],
                           const char *only_kind)
{
    OWNED_MEM char *path = path_of(file);
    OWNED_BUF struct buf text;
    struct err err;
    int64_t lines = 0;
    buf_init(&text, BUF_NO_CAP);
    memset(counts, 0, sizeof(int) * LINES_MAX);
    if (access(path, F_OK) != 0)
        return 0;
    MUST(file_read_all(path, 1 << 30, &text, &err), "%s", err.text);
    for (size_t at = 0; at < text.len; lines++) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        MUST(end, "%s ends in half a line", file);
        struct str line = {text.data + at, (size_t)(end - (text.data + at))}, value, kind;
        MUST(json_check(line, NULL, NULL) && json_find(line, name, &value), "%s: %.*s", file,
             (int)line.len, line.ptr);
        int64_t record;
        MUST(json_i64(value, 0, LINES_MAX - 1, &record), "%s: %.*s", file, (int)line.len, line.ptr);
        if (!only_kind || (json_find(line, "kind", &kind) && json_name_is(kind, only_kind)))
            counts[record]++;
        at += line.len + 1;
    }
    return lines;
}

/* A record behind one with a higher number is one that had failed before its result came. */
static void check_order(void)
{
    int failed[LINES_MAX];
    OWNED_MEM char *path = path_of("data/out.jsonl");
    OWNED_BUF struct buf text;
    struct err err;
    int64_t highest = -1;
    buf_init(&text, BUF_NO_CAP);
    if (!world->ordered || access(path, F_OK) != 0)
        return;
    count_lines("data/out.jsonl.errors.jsonl", "record", failed, "failed");
    MUST(file_read_all(path, 1 << 30, &text, &err), "%s", err.text);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        struct str line = {text.data + at, (size_t)(end - (text.data + at))}, value;
        int64_t record = -1;
        MUST(json_find(line, "n", &value) && json_i64(value, 0, LINES_MAX - 1, &record), "no n");
        MUST(record > highest || failed[record], "record %lld is behind %lld", (long long)record,
             (long long)highest);
        highest = record > highest ? record : highest;
        at += line.len + 1;
    }
}

static void check_output(void)
{
    int counts[LINES_MAX], missing = 0;
    int64_t lines = count_lines("data/out.jsonl", "n", counts, NULL);
    struct job_view view = report();
    MUST(lines + view.held == view.written, "%lld lines, %lld held, %lld written", (long long)lines,
         (long long)view.held, (long long)view.written);
    MUST(view.written == view.done, "%lld written, %lld done", (long long)view.written,
         (long long)view.done);
    MUST(world->ordered || view.held == 0, "%lld held", (long long)view.held);
    MUST(view.known == view.served + view.done + view.failed + view.unread, "counts do not add up");
    MUST(view.known <= world->lines, "%lld known of %d", (long long)view.known, world->lines);
    for (int i = 0; i < LINES_MAX; i++) {
        MUST(counts[i] <= 1, "record %d is in the output %d times", i, counts[i]);
        missing += counts[i] == 0 && world->acked[i];
    }
    MUST(missing <= view.held, "%d acknowledged records are gone, %lld are held", missing,
         (long long)view.held);
    check_order();
    job_view_release(&view);
}

/* When all is done: every line is in the output, or in the error file with its reason; what could
 * not be read is only there, whoever told a result of it. */
static void check_end(void)
{
    int written[LINES_MAX], unreadable[LINES_MAX], failed[LINES_MAX];
    count_lines("data/out.jsonl", "n", written, NULL);
    count_lines("data/out.jsonl.errors.jsonl", "record", unreadable, "unreadable");
    count_lines("data/out.jsonl.errors.jsonl", "record", failed, "failed");
    for (int i = 0; i < world->lines; i++) {
        MUST(unreadable[i] == (world->bad[i] ? 1 : 0), "line %d is told %d times as unreadable", i,
             unreadable[i]);
        MUST(world->bad[i] || written[i] + failed[i] >= 1, "record %d is nowhere", i);
        MUST(!world->bad[i] || !written[i], "line %d gave a result, unreadable as it is", i);
        MUST(failed[i] <= 1, "record %d failed %d times", i, failed[i]);
    }
    struct job_view view = report();
    MUST(view.state == JOB_COMPLETED, "the job is %s", job_state_name(view.state));
    MUST(view.held == 0, "%lld results still wait", (long long)view.held);
    MUST(view.known == world->lines, "%lld of %d lines", (long long)view.known, world->lines);
    job_view_release(&view);
}

/* --- what workers do ---------------------------------------------------------------------------
 */

static void prepare_claim(struct op *op, int most)
{
    op_init(op, OP_CLAIM);
    op->claim.max_records = 1 + pick(most);
    op->claim.max_bytes = pick(4) ? 1 << 20 : 100;
    op->claim.lease_us = pick(3) ? LEASE_US : 0;
}

/* The worker holds now what the claim answered; what it held before it has forgotten. */
static void note_claim(struct worker *w, struct op *op)
{
    if (op->err.code != ERR_NONE) {
        op_release(op);
        return;
    }
    w->count = 0;
    w->leased = op->claim.has_lease;
    memcpy(w->token, op->claim.token, sizeof w->token);
    struct json j;
    struct str number, record;
    json_open(&j, buf_str(&op->claim.records));
    json_enter(&j, '[');
    while (json_item(&j)) {
        MUST(json_enter(&j, '[') && json_item(&j) && json_value(&j, &number) && json_item(&j) &&
                 json_value(&j, &record) && !json_item(&j),
             "claim answered %.*s", (int)op->claim.records.len, op->claim.records.data);
        int64_t n;
        struct str inner;
        MUST(json_i64(number, 0, world->lines - 1, &w->held[w->count]) &&
                 json_find(record, "n", &inner) && json_i64(inner, 0, LINES_MAX, &n) &&
                 n == w->held[w->count],
             "number and record differ: %.*s", (int)number.len, number.ptr);
        w->count++;
    }
    MUST(json_end(&j) && w->count == op->claim.count, "claim is no JSON");
    op_release(op);
}

static void claim(struct worker *w, int most)
{
    struct op op;
    prepare_claim(&op, most);
    ask(&op);
    note_claim(w, &op);
}

static void add_result(struct buf *lines, int64_t record, bool large)
{
    buf_add_format(lines, "{\"n\": %lld, \"result\": \"", (long long)record);
    for (int i = large ? 750 : 0; i > 0; i--)
        buf_add_text(lines, "reservoir, penstock, turbine; ");
    buf_add_text(lines, "\"}\n");
}

/* Sends `count` held records from `first` on; failures with one chance in `fail_1_in`. */
static void settle(struct worker *w, int first, int count, int fail_1_in, bool with_token)
{
    struct settle_entry entries[HELD_MAX] = {0};
    OWNED_BUF struct buf lines;
    bool large = pick(12) == 0; /* alone or together more than rides */
    buf_init(&lines, BUF_NO_CAP);
    for (int i = 0; i < count; i++) {
        struct settle_entry *entry = &entries[i];
        entry->record = w->held[first + i];
        entry->at = (uint32_t)lines.len;
        entry->failed = fail_1_in && pick(fail_1_in) == 0;
        if (entry->failed)
            buf_add_text(&lines, "\"would not\"\n");
        else
            add_result(&lines, entry->record, large);
        entry->len = (uint32_t)lines.len - entry->at;
    }
    struct op op;
    op_init(&op, OP_SETTLE);
    op.settle.entries = entries;
    op.settle.count = (size_t)count;
    op.settle.lines = lines.data;
    op.settle.has_lease = with_token && w->leased;
    memcpy(op.settle.token, w->token, sizeof w->token);
    if (!ask(&op) || op.err.code != ERR_NONE)
        return;
    for (int i = 0; i < count; i++)
        if (entries[i].taken && !entries[i].failed)
            world->acked[entries[i].record] = true;
}

static void lie(struct worker *w)
{
    struct worker liar = *w;
    for (int i = 0; i < liar.count; i++)
        liar.held[i] = pick(world->lines + 5);
    if (liar.count)
        settle(&liar, 0, liar.count, 4, true);
}

static void give_back(struct worker *w)
{
    struct op op;
    OWNED_BUF struct buf records;
    buf_init(&records, BUF_NO_CAP);
    for (int i = 0; i < w->count; i++)
        buf_add_format(&records, "%c[%lld,0]", i ? ',' : '[', (long long)w->held[i]);
    buf_add_text(&records, w->count ? "]" : "[]");
    op_init(&op, OP_RELEASE);
    op.lease.records = buf_str(&records);
    op.lease.has_lease = w->leased;
    memcpy(op.lease.token, w->token, sizeof w->token);
    ask(&op);
    w->count = 0;
}

static void control(enum control_verb verb)
{
    struct op op;
    op_init(&op, OP_CONTROL);
    op.control.verb = verb;
    ask(&op);
}

static void pass_time(int64_t most_us)
{
    world->now.mono_us += 1 + (int64_t)rng_below(&world->rng, (uint64_t)most_us);
    world->now.wall_us += 1 + (int64_t)rng_below(&world->rng, (uint64_t)most_us);
    if (!step(NULL))
        _exit(75);
}

static void act(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    switch (pick(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
        /* Whoever still holds something forgets it: it has died and come up anew. */
        claim(w, HELD_MAX);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        if (w->count) {
            int first = pick(w->count);
            settle(w, pick(2) ? 0 : first, pick(2) ? w->count - first : 1, pick(3) ? 0 : 5, true);
        }
        break;
    case 8:
        if (w->count) /* the same twice, once without its token */
            settle(w, 0, w->count, 0, pick(2));
        break;
    case 9:
        lie(w);
        break;
    case 10:
        pass_time(LEASE_US);
        break;
    case 11:
        grow_input(pick(30));
        break;
    case 12:
        give_back(w);
        break;
    case 13:
        if (pick(6) == 0)
            control(CONTROL_REPAIR);
        else if (!(world->paused = pick(3) == 0))
            control(CONTROL_RESUME);
        else
            control(CONTROL_PAUSE);
        break;
    }
}

/* --- the child: the engine until it ends or is killed ---------------------------------------- */

static void plan_fault(void)
{
#ifdef PENSTOCK_FAULTS
    static const char *const points[] = {
        "sink.write",  "sink.written", "sink.synced",     "file.write",   "file.sync",
        "store.begin", "store.commit", "store.committed", "order.stored", "group.written"};
    static const char *const actions[] = {"kill", "kill", "fail", "full"};
    OWNED_MEM char *plan = NULL;
    if (pick(6) == 0)
        plan = xasprintf("%s:%d:%s", points[pick(sizeof points / sizeof *points)], 1 + pick(3),
                         actions[pick(4)]);
    fault_set(plan);
#endif
}

static void no_faults(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(NULL);
#endif
}

/* A restart may be killed, too, while it writes the tail. */
static void plan_opening_fault(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(pick(6) ? NULL : pick(2) ? "sink.tail:1:kill" : "file.write:2:kill");
#endif
}

static void open_engine(void)
{
    struct folders *folders = folders_new();
    OWNED_MEM char *data = path_of("data");
    OWNED_MEM char *state = path_of("state");
    struct err err;
    MUST(folders_add(folders, data, &err), "%s", err.text);
    struct engine_options options = {.state_dir = state,
                                     .folders = folders,
                                     .held_records = pick(2) ? 5 : 0,
                                     .slice_bytes = pick(2), /* 1: reading pauses wherever it can */
                                     .seeded = true,
                                     .seed = rng_next(&world->rng)};
    MUST(engine_open(&options, world->now, &engine, &err), "%s", err.text);
}

static void drive_to_the_end(void)
{
    struct worker *w = &world->workers[0];
    control(CONTROL_RESUME);
    for (int rounds = 0;; rounds++) {
        MUST(rounds < 10000, "the job does not end");
        claim(w, HELD_MAX);
        if (w->count) {
            settle(w, 0, w->count, 0, true);
            continue;
        }
        pass_time(LEASE_US);
        struct job_view view = report();
        bool done = view.state == JOB_COMPLETED;
        /* Who claimed without a lease and died is found by a repair, as on the Planchet surface. */
        if (!done && view.leases == 0 && view.served)
            control(CONTROL_REPAIR);
        job_view_release(&view);
        if (done)
            return;
    }
}

static void run_child(void)
{
    plan_opening_fault();
    open_engine();
    no_faults();
    check_output();
    while (world->steps_left > 0) {
        world->steps_left--;
        if (pick(60) == 0)
            _exit(75); /* dropped between two steps */
        plan_fault();
        act();
        no_faults();
        if (!step(NULL))
            _exit(75); /* durability in doubt: it stops, and recovers by starting again */
        check_output();
    }
    drive_to_the_end();
    check_output();
    check_end();
    engine_free(engine);
    _exit(0);
}

/* --- the parent --------------------------------------------------------------------------------
 */

static int64_t sure_bytes; /* of the output: committed and not in the store */

static bool note_sure(void *context, struct job_row *row, struct err *err)
{
    (void)context;
    (void)err;
    sure_bytes = row->progress.sink_bytes - row->progress.tail_bytes;
    job_row_release(row);
    return true;
}

/* What no commit vouches for, or only with the bytes in the store, may be anything after a power
 * cut: less, or garbage. */
static void garble(void)
{
    OWNED_MEM char *state = path_of("state");
    OWNED_MEM char *path = path_of("data/out.jsonl");
    OWNED_FD int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OWNED_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    struct err err;
    struct stat st;
    if (dir < 0 || fd < 0 || fstat(fd, &st))
        return;
    OWNED(store) struct store *store = NULL;
    OWNED(tx) struct tx *tx = NULL;
    sure_bytes = -1;
    MUST(store_open(dir, state, &store, &err) && tx_begin(store, &tx, &err) &&
             job_store_load(tx, note_sure, NULL, &err),
         "%s", err.text);
    if (sure_bytes < 0)
        sure_bytes = 0;
    MUST(st.st_size >= sure_bytes, "the output is shorter than what was synced");
    int64_t loose = st.st_size - sure_bytes;
    if (loose == 0)
        return;
    int64_t kept = (int64_t)rng_below(&world->rng, (uint64_t)loose + 1);
    MUST(ftruncate(fd, sure_bytes + kept) == 0, "truncate");
    for (int64_t i = 0; i < kept && pick(2); i++) {
        /* A file without a synced byte is known by those it begins with: there it is zeros. */
        char junk = (char)(sure_bytes ? pick(256) : 0);
        MUST(pwrite(fd, &junk, 1, sure_bytes + i) == 1, "garble");
    }
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

/* Starts the job in a child of its own, so that the parent never opens an engine. */
static bool in_child(void (*what)(void), bool *finished)
{
    pid_t pid = fork();
    if (pid == 0) {
        what();
        _exit(0);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    *finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return *finished || (WIFEXITED(status) && WEXITSTATUS(status) == 75) ||
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void begin(void)
{
    no_faults();
    open_engine();
    start_job();
    engine_free(engine);
}

static bool run_seed(uint64_t seed, int steps)
{
    const char *base = getenv("TMPDIR");
    bool finished = false, ok;
    memset(world, 0, sizeof *world);
    seed_now = seed;
    rng_init(&world->rng, seed);
    world->now = (struct instant){1000000, INT64_C(1700000000000000)};
    world->steps_left = steps;
    snprintf(world->folder, sizeof world->folder, "%s/penstock-sim-XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(world->folder), "no folder for the simulation");
    OWNED_MEM char *data = path_of("data");
    MUST(mkdir(data, 0700) == 0, "no folder for the data");
    world->ordered = pick(2);
    world->several = pick(2);
    grow_input(1 + pick(200));
    if (world->several)
        grow_input(pick(20));
    ok = in_child(begin, &finished) && finished;
    for (finished = false; ok && !finished; world->crashes++) {
        ok = in_child(run_child, &finished);
        if (ok && !finished)
            garble();
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
    int steps = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 150;
    int crashes = 0;
    log_set_level(LOG_ERROR);
    if (!getenv("SIM_VERBOSE") && !freopen("/dev/null", "a", stdout))
        return 1;
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        return 1;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (!run_seed(seed, steps))
            return 1;
        crashes += world->crashes - 1;
    }
    fprintf(stderr, "%llu seeds, %d crashes: every record exactly once\n",
            (unsigned long long)seeds, crashes);
    return 0;
}
