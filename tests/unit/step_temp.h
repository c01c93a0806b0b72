/* step_temp.h: an engine with steps, step jobs and artifacts, for one test: task_temp.h and what is
 * asked about these. */
#ifndef PENSTOCK_TESTS_STEP_TEMP_H
#define PENSTOCK_TESTS_STEP_TEMP_H

#include "task_temp.h"

#define STEP_MANIFEST(name, version)                                                               \
    "{\"function_name\":\"" name "\",\"version\":\"" version "\","                                 \
    "\"short_description\":\"adds\",\"parameters\":{\"type\":\"object\",\"properties\":{"          \
    "\"x\":{\"type\":\"integer\"},\"y\":{\"type\":\"integer\",\"default\":2}},"                    \
    "\"required\":[\"x\"],\"additionalProperties\":false},"                                        \
    "\"input_dataslots\":[{\"name\":\"data\",\"mediatype\":\"text/csv\",\"minSlots\":0,"           \
    "\"maxSlots\":2}],\"output_dataslots\":[{\"name\":\"plot\",\"mediatype\":\"image/png\","       \
    "\"minSlots\":1,\"maxSlots\":1}]}"

static const struct step_asker nobody = {.name = {"tester", 6}};

static inline struct step_asker owner(const char *name)
{
    return (struct step_asker){.owner = str_of(name), .name = STR("tester")};
}

/* Registers a step; its id. */
static inline int64_t register_step(struct bench *b, const char *manifest, struct step_asker by)
{
    struct op op;
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_REGISTER;
    op.steps.by = by;
    op.steps.manifest = str_of(manifest);
    ask(b, &op);
    assert_went_well(&op);
    int64_t id = op.steps.views[0].step->id;
    op_release(&op);
    return id;
}

static inline void prepare_edit(struct op *op, int64_t id, unsigned sets)
{
    prepare(op, OP_STEP_JOB_EDIT, "");
    op->step_job_edit.by = nobody;
    op->step_job_edit.id = id;
    op->step_job_edit.sets = sets;
    op->step_job_edit.name = STR("job");
}

/* Sends it off, which must go well; the job's id. */
static inline int64_t edited(struct bench *b, struct op *op)
{
    ask(b, op);
    assert_went_well(op);
    int64_t id = op->step_job_edit.job;
    op_release(op);
    return id;
}

/* A rapid set-up of the step with x = 5; its id. */
static inline int64_t start_job(struct bench *b, int64_t step)
{
    struct op op;
    prepare_edit(&op, 0,
                 STEP_JOB_SETS_NAME | STEP_JOB_SETS_STEP | STEP_JOB_SETS_PARAMETERS |
                     STEP_JOB_STARTS);
    op.step_job_edit.step = step;
    op.step_job_edit.parameters = STR("{\"x\":5}");
    return edited(b, &op);
}

/* op_release frees it. */
static inline const struct step_job_view *job_shown(struct bench *b, struct op *op, int64_t id)
{
    prepare(op, OP_STEP_JOB_SHOW, "");
    op->step_job_show.by = nobody;
    op->step_job_show.id = id;
    ask(b, op);
    assert_went_well(op);
    return &op->step_job_show.view;
}

static inline void assert_job_state(struct bench *b, int64_t id, enum job_state state)
{
    struct op op;
    assert_string_equal(job_state_name(job_shown(b, &op, id)->job->state), job_state_name(state));
    op_release(&op);
}

/* Claims from the queue of step jobs. */
static inline size_t take_steps(struct bench *b, struct hand *hand, int64_t max)
{
    struct str queue = STR("steps");
    struct op op;
    prepare_take(&op, hand, max);
    op.task_claim.queues = &queue;
    op.task_claim.queue_count = 1;
    ask(b, &op);
    return taken(hand, &op);
}

/* Puts bytes as a blob and prepares its becoming an artifact; the pin is to be freed as known. */
static inline struct blob_pin *prepare_artifact(struct bench *b, struct op *op, const char *name,
                                                const char *bytes)
{
    struct blob_pin *pin = NULL;
    if (!blob_put(engine_blobs(b->engine), str_of(bytes), &pin, &b->err))
        fail_msg("%s", b->err.text);
    prepare(op, OP_ARTIFACT_ADD, "");
    op->artifact_add.by = nobody;
    op->artifact_add.name = str_of(name);
    op->artifact_add.bytes = blob_pin_bytes(pin);
    op->artifact_add.slot = -1;
    memcpy(op->artifact_add.hash, blob_pin_hash(pin)->bytes, ARTIFACT_HASH_BYTES);
    return pin;
}

static inline int64_t add_artifact(struct bench *b, const char *name, const char *bytes)
{
    struct op op;
    struct blob_pin *pin = prepare_artifact(b, &op, name, bytes);
    ask(b, &op);
    assert_went_well(&op);
    int64_t id = op.artifact_add.artifact->id;
    op_release(&op);
    blob_pin_free(pin, true);
    return id;
}

static inline void prepare_end(struct op *op, int64_t id, enum step_job_end how)
{
    prepare(op, OP_STEP_JOB_END, "");
    op->step_job_end.by = nobody;
    op->step_job_end.id = id;
    op->step_job_end.how = how;
    op->step_job_end.message = STR("somebody says so");
}

static inline void end_job(struct bench *b, int64_t id, enum step_job_end how)
{
    struct op op;
    prepare_end(&op, id, how);
    ask(b, &op);
    assert_went_well(&op);
}

static inline void prepare_artifact_edit(struct op *op, int64_t id, unsigned sets)
{
    prepare(op, OP_ARTIFACT_EDIT, "");
    op->artifact_edit.by = nobody;
    op->artifact_edit.id = id;
    op->artifact_edit.sets = sets;
}

#endif
