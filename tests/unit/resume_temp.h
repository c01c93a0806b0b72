/* resume_temp.h: jobs that go on, in the folders of engine_temp.h. Included by the tests of resume.
 */
#ifndef PENSTOCK_TESTS_RESUME_TEMP_H
#define PENSTOCK_TESTS_RESUME_TEMP_H

#include "engine_temp.h"

static inline void with_ids(struct bench *b)
{
    b->spec.id_key = xstrdup("id");
}

static inline struct op resume_op(struct bench *b)
{
    struct op op;
    prepare_start(b, &op, "job");
    op.start.resume = true;
    ask(b, &op);
    return op;
}

static inline void resume(struct bench *b)
{
    struct op op = resume_op(b);
    assert_went_well(&op);
}

/* Steps until nothing is looked through any more. */
static inline void settle_down(struct bench *b)
{
    for (int i = 0; i < 10000 && engine_next_us(b->engine) == 0; i++)
        pass_time(b, 0);
}

static inline void settle_lines(struct bench *b, int64_t first, int count, const char *const *lines)
{
    struct settling s;
    settling_begin(&s, "job");
    for (int i = 0; i < count; i++)
        settling_add(&s, first + i, false, lines[i]);
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(s.op.settle.written, count);
}
#define SETTLE(b, first, ...)                                                                      \
    settle_lines((b), (first),                                                                     \
                 (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)),              \
                 (const char *[]){__VA_ARGS__})

/* Claims; whatever had to be looked through before is. */
static inline void assert_served(struct bench *b, int64_t max, const char *records)
{
    struct op op;
    prepare_claim(&op, "job", max);
    assert_true(STEP(b, &op));
    for (int i = 0; i < 10000 && !is_answered(&op); i++)
        pass_time(b, 0);
    assert_went_well(&op);
    if (!str_is(buf_str(&op.claim.records), records))
        fail_msg("claimed %.*s, not %s", (int)op.claim.records.len, op.claim.records.data, records);
    op_release(&op);
}

static inline void assert_over(struct bench *b)
{
    assert_served(b, 9, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static inline void resume_portion(struct bench *b, struct portion portion)
{
    struct op op;
    prepare_start(b, &op, "job");
    op.start.resume = true;
    op.start.portion = portion;
    ask(b, &op);
    assert_went_well(&op);
}

/* A claim that waits and is told to go home; all that follows from it has happened. */
static inline void assert_finished(struct bench *b)
{
    struct op op;
    prepare_claim(&op, "job", 9);
    op.claim.wait_until_us = b->now.mono_us + 60 * SECOND_US;
    assert_true(STEP(b, &op));
    for (int i = 0; i < 10000 && !is_answered(&op); i++)
        pass_time(b, 0);
    settle_down(b);
    assert_went_well(&op);
    assert_true(op.claim.finished);
    assert_int_equal(op.claim.count, 0);
    op_release(&op);
}

/* Fails records finally, with a reason. */
static inline void fail_records(struct bench *b, int64_t first, int count, const char *reason)
{
    struct settling s;
    settling_begin(&s, "job");
    for (int i = 0; i < count; i++)
        settling_add(&s, first + i, true, reason);
    s.op.settle.final = true;
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(s.op.settle.failed, count);
}

/* They gave nothing to write. */
static inline void skip_records(struct bench *b, int64_t first, int count)
{
    struct settling s;
    settling_begin(&s, "job");
    for (int i = 0; i < count; i++) {
        struct settle_entry *entry = &s.entries[s.op.settle.count++];
        *entry = (struct settle_entry){.record = first + i, .skipped = true};
    }
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_int_equal(s.op.settle.skipped, count);
}

#endif
