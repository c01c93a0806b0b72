/* engine_temp.h: an engine of its own for each test, in a folder of its own, in virtual time: data/
 * is the data folder, state/ the state folder. Included by the tests of engine/. */
#ifndef PENSTOCK_TESTS_ENGINE_TEMP_H
#define PENSTOCK_TESTS_ENGINE_TEMP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/engine.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

struct bench {
    char dir[64];
    struct folders *folders;
    struct programs *readers, *writers;
    struct engine_options options;
    struct engine *engine;
    struct instant now;
    struct data_spec spec; /* data/in.jsonl to data/out.jsonl; a test changes it before start() */
    struct err err;
};

#define SECOND_US INT64_C(1000000)

/* "<dir>/<name>", valid until the call after the next three. */
static inline const char *path_of(const struct bench *b, const char *name)
{
    static char paths[4][256];
    static unsigned at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", b->dir, name);
    return path;
}

static inline void no_faults(void)
{
#ifdef PENSTOCK_FAULTS
    fault_set(NULL);
#endif
}

/* Plans a fault, or skips the test where the build has none. */
static inline void plan_fault(const char *plan)
{
#ifdef PENSTOCK_FAULTS
    fault_set(plan);
#else
    (void)plan;
    skip();
#endif
}

static inline void open_engine(struct bench *b)
{
    b->options.state_dir = path_of(b, "state");
    b->options.folders = b->folders;
    b->options.readers = b->readers;
    b->options.writers = b->writers;
    b->options.seeded = true;
    b->options.seed = 1;
    if (!engine_open(&b->options, b->now, &b->engine, &b->err))
        fail_msg("the engine does not open: %s", b->err.text);
}

static inline void close_engine(struct bench *b)
{
    engine_free(TAKE(b->engine));
}

/* As a restart would: what was not stored is forgotten. */
static inline void reopen_engine(struct bench *b)
{
    close_engine(b);
    open_engine(b);
}

static inline int bench_begin(void **state)
{
    struct bench *b = xcalloc(1, sizeof *b);
    log_set_level(LOG_ERROR);
    strcpy(b->dir, "/tmp/penstock-engine-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(mkdir(path_of(b, "data"), 0700), 0);
    b->folders = folders_new();
    assert_true(folders_add(b->folders, path_of(b, "data"), &b->err));
    b->readers = programs_new();
    b->writers = programs_new();
    b->now = (struct instant){100 * SECOND_US, INT64_C(1700000000) * SECOND_US};
    data_spec_init(&b->spec);
    b->spec.source_format = b->spec.sink_format = FORMAT_JSONL;
    b->spec.source_path = xstrdup("in.jsonl");
    b->spec.sink_path = xstrdup("out.jsonl");
    no_faults();
    open_engine(b);
    *state = b;
    return 0;
}

static inline int bench_remove_one(const char *path, const struct stat *st, int kind,
                                   struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static inline int bench_end(void **state)
{
    struct bench *b = *state;
    no_faults();
    close_engine(b);
    nftw(b->dir, bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    folders_free(b->folders);
    programs_free(b->readers);
    programs_free(b->writers);
    data_spec_release(&b->spec);
    free(b);
    return 0;
}

#define ENGINE_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

/* --- files ----------------------------------------------------------------------------------- */

static inline void put_bytes(struct bench *b, const char *name, int flags, const void *bytes,
                             size_t len)
{
    OWNED_FD int fd = open(path_of(b, name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
}

static inline void put(struct bench *b, const char *name, const char *text)
{
    put_bytes(b, name, O_TRUNC, text, strlen(text));
}

static inline void put_more(struct bench *b, const char *name, const char *text)
{
    put_bytes(b, name, O_APPEND, text, strlen(text));
}

/* Appends the lines {"n":first} and so on. */
static inline void put_lines(struct bench *b, const char *name, int first, int count)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = first; i < first + count; i++)
        buf_add_format(&text, "{\"n\":%d}\n", i);
    put_bytes(b, name, O_APPEND, text.data, text.len);
    buf_release(&text);
}

/* The same as a gzip member; `mode` as for gzopen. */
static inline void gzip_more(struct bench *b, const char *name, const char *mode, int first,
                             int count)
{
    gzFile f = gzopen(path_of(b, name), mode);
    assert_non_null(f);
    for (int i = first; i < first + count; i++)
        assert_true(gzprintf(f, "{\"n\":%d}\n", i) > 0);
    assert_int_equal(gzclose(f), Z_OK);
}

/* The file's text, to be freed; "" when it is not there. */
static inline char *text_of(struct bench *b, const char *name)
{
    struct buf got;
    buf_init(&got, BUF_NO_CAP);
    if (access(path_of(b, name), F_OK) == 0)
        assert_true(file_read_all(path_of(b, name), SIZE_MAX, &got, &b->err));
    return buf_take(&got);
}

static inline void assert_text(struct bench *b, const char *name, const char *text)
{
    OWNED_MEM char *got = text_of(b, name);
    if (strcmp(got, text) != 0)
        fail_msg("%s holds \"%s\", not \"%s\"", name, got, text);
}

static inline void assert_text_has(struct bench *b, const char *name, const char *part)
{
    OWNED_MEM char *got = text_of(b, name);
    if (!strstr(got, part))
        fail_msg("%s holds \"%s\", which has no \"%s\"", name, got, part);
}

static inline int line_count(struct bench *b, const char *name)
{
    OWNED_MEM char *got = text_of(b, name);
    int count = 0;
    for (const char *at = got; (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

/* --- ops -------------------------------------------------------------------------------------- */

/* How often an op was answered is counted in its context. */
static inline void count_answer(struct op *op)
{
    op->context = (void *)((uintptr_t)op->context + 1);
}

static inline bool is_answered(const struct op *op)
{
    return op->context != NULL;
}

static inline void prepare(struct op *op, enum op_kind kind, const char *job)
{
    op_init(op, kind);
    op->done = count_answer;
    op->job.name = str_of(job);
}

/* One step with these ops, ended by NULL; they may be answered or wait. */
static inline bool step_ops(struct bench *b, struct op *const *ops)
{
    struct op *first = NULL, **end = &first;
    for (; *ops; ops++) {
        (*ops)->next = NULL;
        *end = *ops;
        end = &(*ops)->next;
    }
    return engine_step(b->engine, first, b->now, &b->err);
}
#define STEP(bench, ...) step_ops((bench), (struct op *const[]){__VA_ARGS__, NULL})

static inline void pass_time(struct bench *b, int64_t us)
{
    b->now.mono_us += us;
    b->now.wall_us += us;
    assert_true(engine_step(b->engine, NULL, b->now, &b->err));
}

/* One op, that must be answered exactly once, after as many steps as the engine wants at once. */
static inline void ask(struct bench *b, struct op *op)
{
    assert_true(STEP(b, op));
    while (!is_answered(op) && engine_next_us(b->engine) <= b->now.mono_us)
        pass_time(b, 0);
    assert_ptr_equal(op->context, (void *)1);
}

static inline void assert_went_well(const struct op *op)
{
    assert_true(is_answered(op));
    if (op->err.code != ERR_NONE)
        fail_msg("op %d: %s", (int)op->kind, op->err.text);
}

static inline void assert_refused(const struct op *op, enum op_refusal refusal, enum err_code code,
                                  const char *part)
{
    assert_true(is_answered(op));
    if (op->refusal != refusal || op->err.code != code || !strstr(op->err.text, part))
        fail_msg("refusal %d, %s \"%s\"; not %d, %s \"%s\"", (int)op->refusal,
                 err_name(op->err.code), op->err.text, (int)refusal, err_name(code), part);
}

static inline void prepare_start(struct bench *b, struct op *op, const char *job)
{
    prepare(op, OP_START, job);
    op->start.spec = &b->spec;
}

static inline int64_t start(struct bench *b, const char *job)
{
    struct op op;
    prepare_start(b, &op, job);
    ask(b, &op);
    assert_went_well(&op);
    return op.start.job_id;
}

/* The usual: a job "job" over `lines` records. */
static inline void start_lines(struct bench *b, int lines)
{
    put_lines(b, "data/in.jsonl", 0, lines);
    start(b, "job");
}

static inline struct job_view view_of(struct bench *b, const char *job)
{
    struct op op;
    prepare(&op, OP_REPORT, job);
    ask(b, &op);
    assert_went_well(&op);
    return op.report.view;
}

/* The counts that every test looks at. */
struct counts {
    enum job_state state;
    int64_t known, served, done, failed, unread, written;
};

static inline struct counts counts_of(struct bench *b, const char *job)
{
    struct job_view v = view_of(b, job);
    struct counts c = {v.state, v.known, v.served, v.done, v.failed, v.unread, v.written};
    job_view_release(&v);
    return c;
}

static inline enum job_state state_of(struct bench *b, const char *job)
{
    return counts_of(b, job).state;
}

static inline void prepare_claim(struct op *op, const char *job, int64_t max)
{
    prepare(op, OP_CLAIM, job);
    op->claim.max_records = max;
    op->claim.max_bytes = 1 << 20;
}

/* Claims and compares the answer as text. */
static inline void assert_claim(struct bench *b, int64_t max, const char *records)
{
    struct op op;
    prepare_claim(&op, "job", max);
    ask(b, &op);
    assert_went_well(&op);
    if (!str_is(buf_str(&op.claim.records), records))
        fail_msg("claimed %.*s, not %s", (int)op.claim.records.len, op.claim.records.data, records);
    op_release(&op);
}

/* Claims `max` records without looking at them; returns how many came. */
static inline int64_t claim(struct bench *b, int64_t max)
{
    struct op op;
    prepare_claim(&op, "job", max);
    ask(b, &op);
    assert_went_well(&op);
    int64_t count = op.claim.count;
    op_release(&op);
    return count;
}

/* A settle op with its entries and lines; the results are {"r":number}. */
struct settling {
    struct op op;
    struct settle_entry entries[64];
    char lines[4096];
    size_t len;
};

static inline void settling_begin(struct settling *s, const char *job)
{
    memset(s, 0, sizeof *s);
    prepare(&s->op, OP_SETTLE, job);
    s->op.settle.entries = s->entries;
    s->op.settle.lines = s->lines;
}

static inline void settling_add(struct settling *s, int64_t record, bool failed, const char *line)
{
    struct settle_entry *entry = &s->entries[s->op.settle.count++];
    assert_true(s->op.settle.count <= 64);
    entry->record = record;
    entry->failed = failed;
    entry->at = (uint32_t)s->len;
    s->len += (size_t)snprintf(s->lines + s->len, sizeof s->lines - s->len, "%s\n", line);
    entry->len = (uint32_t)s->len - entry->at;
}

static inline void settling_result(struct settling *s, int64_t record)
{
    char line[64];
    snprintf(line, sizeof line, "{\"r\":%lld}", (long long)record);
    settling_add(s, record, false, line);
}

/* Results of the records [first, first + count) of "job". */
static inline void prepare_results(struct settling *s, int64_t first, int count)
{
    settling_begin(s, "job");
    for (int i = 0; i < count; i++)
        settling_result(s, first + i);
}

/* One result, too large to ride with the store's commit; settling_release. */
static inline void settling_large(struct settling *s, int64_t record)
{
    enum { LEN = 200000 };
    char *line = xcalloc(1, LEN + 1);
    settling_begin(s, "job");
    snprintf(line, LEN, "{\"r\":%lld,\"pad\":\"", (long long)record);
    memset(line + strlen(line), 'x', LEN - strlen(line));
    memcpy(line + LEN - 3, "\"}\n", 3);
    s->op.settle.lines = line;
    s->op.settle.count = 1;
    s->entries[0] = (struct settle_entry){.record = record, .len = LEN};
}

static inline void settling_release(struct settling *s)
{
    free((void *)(uintptr_t)s->op.settle.lines);
}

static inline void settle(struct bench *b, int64_t first, int count)
{
    struct settling s;
    prepare_results(&s, first, count);
    ask(b, &s.op);
    assert_went_well(&s.op);
}

static inline void assert_settled(const struct settling *s, int64_t written, int64_t repeats,
                                  int64_t failed, int64_t retried)
{
    assert_went_well(&s->op);
    assert_int_equal(s->op.settle.written, written);
    assert_int_equal(s->op.settle.repeats, repeats);
    assert_int_equal(s->op.settle.failed, failed);
    assert_int_equal(s->op.settle.retried, retried);
}

/* Claims `max` records for `seconds`; the op has the token. */
static inline void claim_leased(struct bench *b, struct op *op, int64_t max, int64_t seconds)
{
    prepare_claim(op, "job", max);
    op->claim.lease_us = seconds * SECOND_US;
    ask(b, op);
    assert_went_well(op);
    assert_true(op->claim.has_lease);
    assert_int_equal(op->claim.lease_ends_at_us, b->now.wall_us + seconds * SECOND_US);
}

static inline void with_lease(struct settling *s, const struct op *claimed)
{
    s->op.settle.has_lease = true;
    memcpy(s->op.settle.token, claimed->claim.token, LEASE_TOKEN_BYTES);
}

/* One failure, told to "job". */
static inline void fail_one(struct settling *s, int64_t record, bool final)
{
    settling_begin(s, "job");
    settling_add(s, record, true, "\"no\"");
    s->op.settle.final = final;
}

static inline void control_op(struct bench *b, struct op *op, const char *job,
                              enum control_verb verb)
{
    prepare(op, OP_CONTROL, job);
    op->control.verb = verb;
    ask(b, op);
}

static inline void control(struct bench *b, const char *job, enum control_verb verb)
{
    struct op op;
    control_op(b, &op, job, verb);
    assert_went_well(&op);
}

#endif
