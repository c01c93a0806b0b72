/* step_job.h: a job that calls a processing step: drafted, configured, started. Pure. Immutable
 * once shared, as a step is (step.h).
 *
 *   draft ⇄ ready ──start──► pending ⇄ running ──► completed | failed | cancelled
 *
 *   draft      no step is selected, or a required parameter or slot is missing
 *   ready      nothing is missing: it may be started
 *   pending    a task of the queue with the job's own id waits; and from then on the state is
 *   ...        the task's: the engine moves both in one commit
 *
 * Draft and ready follow from what is configured (step_job_settle); there is no move between them
 * that anybody asks for. What holds:
 * - a draft or ready job has no task, and is not started, ended, or without its owner's step;
 * - inputs has a list for each input slot of the step, none when no step is selected;
 * - artifacts are used as often as jobs have them in inputs (each job counts once);
 * - a job with outputs or sub jobs is not deleted, nor one that waits or runs. */
#ifndef PENSTOCK_CORE_STEP_JOB_H
#define PENSTOCK_CORE_STEP_JOB_H

#include "core/job.h"
#include "core/step.h"

enum {
    STEP_JOB_NAME_MAX_BYTES = 4096,
    STEP_JOB_INPUTS_MAX = 10000, /* artifacts in all slots */
    STEP_JOB_DEPTH_MAX = 20      /* sub jobs within each other */
};

struct step_fill { /* what is in an input slot, in order */
    int64_t *ids;
    size_t count;
};

struct step_output { /* an artifact that it made */
    int64_t artifact;
    int64_t slot, place; /* they are kept in order of these; slot -1: another took its place, and it
                            stays because somebody uses it */
};

struct step_job {
    _Atomic int32_t refs;
    int64_t id;                               /* its task has the same */
    char *owner, *created_by, *name, *folder; /* never NULL */
    int64_t folder_id;                        /* of `folder`, 0: the root; of memory only */
    enum job_state state;
    struct step_tags tags;
    int64_t step, parent;           /* ids; 0: none */
    char *parameters;               /* as configured: a JSON object; NULL: nothing was */
    char *arguments;                /* with which it was started: defaults filled in; NULL */
    char *options;                  /* retry, timeout_s, keep_s of its task; JSON; NULL */
    int64_t priority, max_attempts; /* of its task; max_attempts 0: not said */
    bool hidden, output_deletable;
    struct step_fill *inputs;
    size_t input_count;
    struct step_output *outputs;
    size_t output_count;
    int64_t sub_jobs;
    int64_t created_at_us, scheduled_at_us, started_at_us, ended_at_us; /* wall; 0: not yet */
    int64_t fence; /* of the run under way or the last; 0 */
    char *worker;  /* who runs or ran it; NULL */
    char *result;  /* JSON; NULL before it completed */
    char *error;   /* JSON object of message, type, traceback, of the last attempt; NULL */
};
struct step_job *step_job_new(void);
struct step_job *step_job_copy(const struct step_job *job);
const struct step_job *step_job_hold(const struct step_job *job);
void step_job_free(const struct step_job *job); /* NULL is fine */

/* What may be done with a job: the surfaces offer it, and the engine does it, only when this says
 * so. */
enum step_job_verb {
    STEP_JOB_SELECT,    /* select a step */
    STEP_JOB_CONFIGURE, /* parameters; there must be some */
    STEP_JOB_FILL,      /* slots, options, priority */
    STEP_JOB_START,
    STEP_JOB_CANCEL,
    STEP_JOB_FAIL, /* a person says that it has failed */
    STEP_JOB_DELETE,
    STEP_JOB_VERB_COUNT
};
/* `step`: the selected one, NULL. ERR_CONFLICT says why not. */
MUST_CHECK bool step_job_may(const struct step_job *job, const struct step *step,
                             enum step_job_verb verb, struct err *err);

/* Selects a step: parameters and slots are empty then. NULL: none. The caller has asked
 * step_job_may. */
void step_job_select(struct step_job *job, const struct step *step);
/* Gives a job that was read from the store, which has rows of what is in slots only, its empty
 * slots. `step`: the selected one, NULL. */
void step_job_add_slots(struct step_job *job, const struct step *step);
/* Sets the parameters (a JSON object; empty: none). ERR_INVALID when the step's schema refuses
 * them. */
MUST_CHECK bool step_job_configure(struct step_job *job, const struct step *step,
                                   struct str parameters, struct err *err);
/* Fills a slot. ERR_INVALID: no such slot, or more than it holds. */
MUST_CHECK bool step_job_fill(struct step_job *job, const struct step *step, size_t slot,
                              const int64_t *ids, size_t count, struct err *err);
/* Draft or ready, as what is configured says. *why (may be NULL): what is missing, for errors. */
void step_job_settle(struct step_job *job, const struct step *step, struct err *why);
/* How often its run may begin. A failure is final unless `retry` says otherwise, whatever this is;
 * a run whose worker was lost begins again. */
int64_t step_job_attempts(const struct step_job *job);
/* Whether it is in the inputs. */
bool step_job_uses(const struct step_job *job, int64_t artifact);
/* Notes that an artifact is in an output slot, in place of *before (0: nothing was there). */
void step_job_add_output(struct step_job *job, int64_t artifact, int64_t slot, int64_t place,
                         int64_t *before);
void step_job_drop_output(struct step_job *job, int64_t artifact);

#endif
