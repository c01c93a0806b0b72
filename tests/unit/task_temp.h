/* task_temp.h: an engine with tasks, for one test: engine_temp.h and what is asked about tasks. */
#ifndef PENSTOCK_TESTS_TASK_TEMP_H
#define PENSTOCK_TESTS_TASK_TEMP_H

#include "engine_temp.h"

static inline struct task_new new_task(const char *function)
{
    return (struct task_new){.function = str_of(function)};
}

static inline void prepare_enqueue(struct op *op, struct task_new *tasks, size_t count)
{
    prepare(op, OP_ENQUEUE, "");
    op->enqueue.tasks = tasks;
    op->enqueue.count = count;
}

static inline void enqueue_list(struct bench *b, struct task_new *tasks, size_t count)
{
    struct op op;
    prepare_enqueue(&op, tasks, count);
    ask(b, &op);
    assert_went_well(&op);
}

/* One task; its id. */
static inline int64_t enqueue(struct bench *b, struct task_new task)
{
    enqueue_list(b, &task, 1);
    return task.id;
}

static inline void enqueue_refused(struct bench *b, struct task_new *tasks, size_t count,
                                   enum op_refusal refusal, enum err_code code, const char *part)
{
    struct op op;
    prepare_enqueue(&op, tasks, count);
    ask(b, &op);
    assert_refused(&op, refusal, code, part);
}

/* A worker's session. */
struct hand {
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t ids[256];
    size_t count;
    int64_t answer;
};

static inline void prepare_take(struct op *op, const struct hand *hand, int64_t max)
{
    static const uint8_t none[LEASE_TOKEN_BYTES];
    prepare(op, OP_TASK_CLAIM, "");
    op->task_claim.max = max;
    op->task_claim.worker = STR("hand");
    op->task_claim.has_lease = memcmp(hand->token, none, sizeof none) != 0;
    memcpy(op->task_claim.token, hand->token, sizeof hand->token);
}

/* Keeps what a claim was answered, and releases it. */
static inline size_t taken(struct hand *hand, struct op *op)
{
    assert_went_well(op);
    memcpy(hand->token, op->task_claim.token, sizeof hand->token);
    hand->count = op->task_claim.count;
    hand->answer = op->task_claim.answer;
    for (size_t i = 0; i < hand->count; i++)
        hand->ids[i] = op->task_claim.tasks[i].id;
    op_release(op);
    return hand->count;
}

/* Claims; the session is made with the first claim. Returns how many. */
static inline size_t take(struct bench *b, struct hand *hand, int64_t max)
{
    struct op op;
    prepare_take(&op, hand, max);
    ask(b, &op);
    return taken(hand, &op);
}

struct outcomes {
    struct op op;
    struct task_settle_entry entries[16];
};

static inline void outcomes_begin(struct outcomes *o, const struct hand *hand)
{
    memset(o->entries, 0, sizeof o->entries);
    prepare(&o->op, OP_TASK_SETTLE, "");
    memcpy(o->op.task_settle.token, hand->token, sizeof hand->token);
    o->op.task_settle.entries = o->entries;
}

static inline struct task_settle_entry *outcome(struct outcomes *o, int64_t id,
                                                enum task_outcome kind, const char *value)
{
    struct task_settle_entry *entry = &o->entries[o->op.task_settle.count++];
    *entry = (struct task_settle_entry){.id = id, .outcome = kind, .value = str_of(value)};
    return entry;
}

static inline void complete(struct bench *b, const struct hand *hand, int64_t id)
{
    struct outcomes o;
    outcomes_begin(&o, hand);
    outcome(&o, id, TASK_COMPLETED, "{\"r\":1}");
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_int_equal(o.op.task_settle.completed, 1);
    op_release(&o.op);
}

/* A failed attempt of the type "ValueError". */
static inline void fail_task(struct bench *b, const struct hand *hand, int64_t id, bool final)
{
    struct outcomes o;
    outcomes_begin(&o, hand);
    struct task_settle_entry *entry =
        outcome(&o, id, TASK_FAILED, "{\"message\":\"no\",\"type\":\"ValueError\"}");
    entry->type = STR("ValueError");
    entry->final = final;
    ask(b, &o.op);
    assert_went_well(&o.op);
    assert_int_equal(o.op.task_settle.failed + o.op.task_settle.retried, 1);
    op_release(&o.op);
}

/* op_release frees the view. */
static inline const struct task_view *shown(struct bench *b, struct op *op, int64_t id)
{
    prepare(op, OP_TASK_SHOW, "");
    op->task_show.id = id;
    ask(b, op);
    assert_went_well(op);
    return &op->task_show.view;
}

static inline enum job_state task_state(struct bench *b, int64_t id)
{
    struct op op;
    enum job_state state = shown(b, &op, id)->state;
    op_release(&op);
    return state;
}

#define ASSERT_STATE(b, id, state)                                                                 \
    assert_string_equal(job_state_name(task_state((b), (id))), job_state_name(state))

static inline int64_t control_tasks(struct bench *b, enum task_verb verb, struct task_filter filter)
{
    struct op op;
    prepare(&op, OP_TASK_CONTROL, "");
    op.task_control.verb = verb;
    op.task_control.filter = filter;
    ask(b, &op);
    assert_went_well(&op);
    return op.task_control.changed;
}

/* Store and memory agree. */
static inline void assert_sound(struct bench *b)
{
    struct op op;
    prepare(&op, OP_DOCTOR, "");
    ask(b, &op);
    assert_went_well(&op);
    if (op.doctor.faults)
        fail_msg("%.*s", (int)op.doctor.findings.len, op.doctor.findings.data);
    op_release(&op);
}

#endif
