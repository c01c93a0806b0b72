/* sim_resume.c: runs over records with ids, one after the other, under a seeded simulation.
 *
 * Between two runs the input is reordered, grows and shrinks, and somebody edits the output: asks
 * for lines to be done again, deletes lines, leaves a torn one. A run is killed at named points,
 * closed in its middle, or comes to its end; it may take a portion. Some records give nothing to
 * write, the results of some lack their id. In some worlds the output has the order of the input;
 * there a result may wait in the store until the last run. After every life of the engine:
 *
 *   the output is whole lines of JSON;
 *   no id twice: it has at most one line of each;
 *   no id lost: what was acknowledged, and not deleted since, is in the output or is held;
 *
 * and while it lives: nothing is served that was acknowledged and not asked for again. At the end a
 * last run without faults does all that is left.
 *
 * The world lies in shared memory, the engine in a child that may be killed; a failing seed prints
 * itself and replays exactly. Usage: sim_resume [FIRST_SEED [SEEDS [RUNS]]] */
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/engine.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IDS = 120, HELD_MAX = 20, NOBODY = -1 };

enum fate { PLAIN, ANONYMOUS, SILENT }; /* a result; one without its id; none */

struct world {
    struct rng rng;
    struct instant now;
    bool in_input[IDS], done[IDS]; /* acknowledged, and not asked for again since */
    bool again[IDS];               /* somebody has asked for it and it was not done since */
    enum fate fate[IDS];
    int64_t held[HELD_MAX];
    int held_id[HELD_MAX], held_count;
    int crashes;
    bool ordered;
    bool wrote;  /* the last life has: it has cut off what nobody vouched for */
    bool killed; /* the last life was, or one before it and none has written since */
    bool edited; /* after such a one: then results without an id that nothing vouches for stay */
    char folder[64];
};

static struct world *world;
static struct engine *engine;
static uint64_t seed_now;

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: " #condition ": ", (unsigned long long)seed_now);          \
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

static struct buf text_of(const char *name)
{
    struct buf text;
    struct err err;
    OWNED_MEM char *path = path_of(name);
    buf_init(&text, BUF_NO_CAP);
    if (access(path, F_OK) == 0)
        MUST(file_read_all(path, SIZE_MAX, &text, &err), "%s", err.text);
    return text;
}

static void put_text(const char *name, const struct buf *text)
{
    OWNED_MEM char *path = path_of(name);
    FILE *f = fopen(path, "we");
    MUST(f && fwrite(text->data, 1, text->len, f) == text->len, "write %s", path);
    fclose(f);
}

/* --- what stands in the files --------------------------------------------------------------- */

struct seen {
    int lines[IDS], nameless[IDS], held[IDS];
};

static int id_of_line(struct str line, const char *member)
{
    struct str raw;
    int64_t id = NOBODY;
    if (json_find(line, member, &raw))
        MUST(json_i64(raw, 0, IDS - 1, &id), "id %.*s", (int)raw.len, raw.ptr);
    return (int)id;
}

static void count_lines(const char *name, int *lines, int *nameless)
{
    struct buf text = text_of(name);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.data) - at : text.len - at;
        struct str line = {text.data + at, len};
        at += len + 1;
        if (!end && !json_check(line, NULL, NULL))
            break; /* a killed process was writing it */
        MUST(json_check(line, NULL, NULL), "%s has the line %.*s", name, (int)len, line.ptr);
        int id = id_of_line(line, "id"), of = id_of_line(line, "of");
        if (id != NOBODY)
            lines[id]++;
        if (of != NOBODY)
            nameless[of]++;
    }
    buf_release(&text);
}

static void check_files(bool last)
{
    struct seen seen = {0};
    count_lines("data/out.jsonl", seen.lines, seen.nameless);
    count_lines("state/job-1.held", seen.held, seen.nameless);
    for (int id = 0; id < IDS; id++) {
        MUST(seen.lines[id] <= 1, "%d has %d lines", id, seen.lines[id]);
        /* One that no commit vouches for stays until the next start. */
        MUST(seen.nameless[id] <= 1 + world->killed || world->edited, "%d has %d nameless lines",
             id, seen.nameless[id]);
        bool waits = world->ordered && !last && world->done[id];
        bool has_line = world->fate[id] == PLAIN && (world->done[id] || world->again[id]) && !waits;
        MUST(!has_line || seen.lines[id] || seen.held[id], "%d has no line", id);
    }
}

/* --- between the runs ----------------------------------------------------------------------- */

static void write_input(void)
{
    int order[IDS];
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < IDS; i++) {
        int k = pick(i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    for (int i = 0; i < IDS; i++) {
        if (pick(10) == 0)
            world->in_input[order[i]] = !world->in_input[order[i]];
        if (!world->in_input[order[i]])
            continue;
        buf_add_format(&text, "{\"id\":%d}\n", order[i]);
        if (pick(20) == 0) /* twice: the first wins */
            buf_add_format(&text, "{\"id\":%d.0,\"second\":true}\n", order[i]);
        if (pick(30) == 0)
            buf_add_text(&text, "{\"none\":1}\nbroken\n");
    }
    put_text("data/in.jsonl", &text);
}

/* Somebody edits the output: whole lines, and perhaps a torn one at the end. */
static void edit_output(void)
{
    struct buf text = text_of("data/out.jsonl");
    OWNED_BUF struct buf edited;
    buf_init(&edited, BUF_NO_CAP);
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.data) - at : text.len - at;
        struct str line = {text.data + at, len};
        at += len + 1;
        if (!json_check(line, NULL, NULL))
            continue;
        int id = id_of_line(line, "id"), what = pick(15);
        if (id != NOBODY && what == 0) { /* deleted */
            world->done[id] = world->again[id] = false;
            continue;
        }
        if (id != NOBODY && what == 1) {
            world->done[id] = false;
            world->again[id] = true;
            buf_add_format(&edited, "{\"id\":%d,\"again\":null}\n", id);
            continue;
        }
        buf_add_str(&edited, line);
        buf_add_char(&edited, '\n');
    }
    if (pick(3) == 0)
        buf_add_text(&edited, "{\"id\":1,\"torn");
    put_text("data/out.jsonl", &edited);
    buf_release(&text);
}

/* --- a run ----------------------------------------------------------------------------------- */

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

/* Whether it was answered, and well. */
static bool ask(struct op *op)
{
    bool answered = false;
    struct err err;
    prepare(op, &answered);
    for (int i = 0; i < 20000; i++) {
        world->now.mono_us += 100;
        if (!engine_step(engine, i ? NULL : op, world->now, &err))
            _exit(75);
        if (answered)
            return op->err.code == ERR_NONE;
    }
    MUST(answered, "an op of kind %d waits for ever", (int)op->kind);
    return false;
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
                                     .slice_bytes = pick(2) ? 1 : 0,
                                     .seeded = true,
                                     .seed = rng_next(&world->rng)};
    if (!engine_open(&options, world->now, &engine, &err))
        _exit(75); /* a fault */
}

static bool start_run(bool all)
{
    struct op op;
    struct data_spec spec;
    data_spec_init(&spec);
    spec.source_format = spec.sink_format = FORMAT_JSONL;
    spec.source_path = xstrdup("in.jsonl");
    spec.sink_path = xstrdup("out.jsonl");
    spec.id_key = xstrdup("id");
    spec.rerun_key = xstrdup("again");
    spec.errors_records = true;
    spec.ordered = world->ordered;
    spec.lease_us = 1000000000;
    op_init(&op, OP_START);
    op.start.spec = &spec;
    op.start.resume = true;
    switch (all ? 9 : pick(8)) {
    case 0:
        op.start.portion.limit = 1 + pick(20);
        break;
    case 1:
        op.start.portion = (struct portion){.sample = 1 + pick(20), .seed = (uint64_t)pick(3)};
        break;
    case 2:
        op.start.portion.only_failed = true;
        break;
    default:
        break;
    }
    bool ok = ask(&op);
    op_release(&op);
    data_spec_release(&spec);
    return ok;
}

/* Takes the records of an answer into hand. */
static void note_claim(struct op *op)
{
    struct json j;
    struct str number, record;
    world->held_count = 0;
    json_open(&j, buf_str(&op->claim.records));
    if (json_enter(&j, '['))
        while (json_item(&j)) {
            MUST(json_enter(&j, '[') && json_item(&j) && json_value(&j, &number) && json_item(&j) &&
                     json_value(&j, &record) && !json_item(&j),
                 "a claim's answer");
            int id = id_of_line(record, "id");
            MUST(id != NOBODY && !world->done[id], "%d is served and was done", id);
            MUST(json_i64(number, 0, INT64_MAX, &world->held[world->held_count]), "a number");
            world->held_id[world->held_count++] = id;
        }
    MUST(json_end(&j), "a claim's answer");
}

/* False when there is nothing more in this run. */
static bool claim(uint8_t *token)
{
    struct op op;
    op_init(&op, OP_CLAIM);
    op.claim.max_records = 1 + pick(HELD_MAX);
    op.claim.max_bytes = 1 << 20;
    op.claim.running = -1;
    op.claim.wait_until_us = world->now.mono_us + 500000;
    bool ok = ask(&op);
    if (ok) {
        note_claim(&op);
        memcpy(token, op.claim.token, LEASE_TOKEN_BYTES);
    }
    bool more = ok && op.claim.count > 0;
    op_release(&op);
    return more;
}

static void settle(const uint8_t *token, int failing)
{
    struct op op;
    struct settle_entry entries[HELD_MAX] = {0};
    OWNED_BUF struct buf lines;
    buf_init(&lines, BUF_NO_CAP);
    for (int i = 0; i < world->held_count; i++) {
        int id = world->held_id[i];
        entries[i].record = world->held[i];
        entries[i].at = (uint32_t)lines.len;
        entries[i].failed = failing && pick(failing) == 0;
        entries[i].final = true;
        entries[i].skipped = !entries[i].failed && world->fate[id] == SILENT;
        if (entries[i].failed)
            buf_add_text(&lines, "\"no\"\n");
        else if (world->fate[id] == PLAIN)
            buf_add_format(&lines, "{\"id\":%d,\"text\":\"zwölf\"}\n", id);
        else if (world->fate[id] == ANONYMOUS)
            buf_add_format(&lines, "{\"of\":%d}\n", id);
        entries[i].len = (uint32_t)lines.len - entries[i].at;
    }
    op_init(&op, OP_SETTLE);
    op.settle.entries = entries;
    op.settle.count = (size_t)world->held_count;
    op.settle.lines = lines.data;
    op.settle.has_lease = true;
    memcpy(op.settle.token, token, LEASE_TOKEN_BYTES);
    bool ok = ask(&op);
    for (int i = 0; ok && i < world->held_count; i++)
        if (!entries[i].failed) {
            world->done[world->held_id[i]] = true;
            world->again[world->held_id[i]] = false;
            world->wrote = world->wrote || !entries[i].skipped;
        }
    op_release(&op);
}

static void plan_fault(bool calm)
{
#ifdef PENSTOCK_FAULTS
    static const char *const points[] = {"sink.write",      "sink.written",  "sink.synced",
                                         "store.commit",    "group.written", "store.committed",
                                         "held.added",      "rewrite.write", "rewrite.rename",
                                         "rewrite.renamed", "held.put-back", "file.write"};
    static const char *const actions[] = {"kill", "kill", "kill", "fail", "full"};
    OWNED_MEM char *plan = NULL;
    if (!calm && pick(3))
        plan = xasprintf("%s:%d:%s", points[pick(sizeof points / sizeof *points)], 1 + pick(3),
                         actions[pick(5)]);
    fault_set(plan);
#else
    (void)calm;
#endif
}

/* One life: `all` comes to its end without faults. */
static void live(bool all)
{
    uint8_t token[LEASE_TOKEN_BYTES];
    int left = all ? 10000 : pick(20);
    plan_fault(all);
    open_engine();
    bool ok = start_run(all);
    MUST(ok || !all, "the last run does not start");
    while (ok && left-- > 0 && claim(token)) {
        if (all || pick(4))
            settle(token, all ? 0 : 5);
        else if (pick(2))
            break;
    }
    plan_fault(true);
    engine_free(engine);
}

/* --- the parent ------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static void run_child(bool all)
{
    world->wrote = false;
    pid_t child = fork();
    if (child == 0) {
        live(all);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    world->crashes += killed;
    world->killed = killed || (world->killed && !world->wrote);
    if (!killed && !(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 75)))
        exit(1);
}

static void simulate(uint64_t seed, int runs)
{
    memset(world, 0, sizeof *world);
    seed_now = seed;
    rng_init(&world->rng, seed);
    world->now = (struct instant){1000000, INT64_C(1700000000000000)};
    strcpy(world->folder, "/tmp/penstock-sim-XXXXXX");
    MUST(mkdtemp(world->folder), "a folder");
    OWNED_MEM char *data = path_of("data");
    MUST(mkdir(data, 0700) == 0, "a data folder");
    world->ordered = pick(2);
    for (int id = 0; id < IDS; id++) {
        world->in_input[id] = pick(2);
        world->fate[id] = pick(6) ? PLAIN : pick(2) ? ANONYMOUS : SILENT;
    }
    for (int run = 0; run < runs; run++) {
        write_input();
        if (pick(2)) {
            edit_output();
            world->edited = world->edited || world->killed;
        }
        run_child(false);
        check_files(false);
    }
    write_input();
    run_child(true);
    run_child(true); /* what a broken line kept from being read the first time is nothing */
    check_files(true);
    struct seen seen = {0};
    count_lines("data/out.jsonl", seen.lines, seen.nameless);
    for (int id = 0; id < IDS; id++)
        MUST(!world->in_input[id] || world->done[id] || world->fate[id] == SILENT ||
                 seen.lines[id] || seen.nameless[id],
             "%d was not done", id);
    nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    int seeds = argc > 2 ? atoi(argv[2]) : 20, runs = argc > 3 ? atoi(argv[3]) : 12, crashes = 0;
    log_set_level(getenv("SIM_LOG") ? LOG_DEBUG : LOG_ERROR);
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        return 1;
    for (uint64_t seed = first; seed < first + (uint64_t)seeds; seed++) {
        simulate(seed, runs);
        crashes += world->crashes;
    }
    printf("%d seeds, %d crashes\n", seeds, crashes);
    return 0;
}
