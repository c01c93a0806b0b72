/* step_op.h: what is asked of the engine about processing steps, step jobs and artifacts: members
 * of struct op's union (op.h). What each member means is said in docs/steps.md.
 *
 * Inputs are borrowed until `done`. What comes out are immutable things that are shared with the
 * engine's memory: an op holds them (step_hold and its like) and op_release lets go, so a surface
 * may read them on its own thread as long as its request lives, and hold them longer itself.
 *
 * All ops: ERR_NOT_FOUND for what is not there or is another owner's (nobody learns which),
 * ERR_CONFLICT for what the state does not allow, ERR_INVALID for what cannot be right. An op that
 * fails has changed nothing. */
#ifndef PENSTOCK_ENGINE_STEP_OP_H
#define PENSTOCK_ENGINE_STEP_OP_H

#include "core/artifact.h"
#include "core/dispatch.h"
#include "core/step.h"
#include "core/step_job.h"
#include "store/step_log_store.h"
#include "store/step_query.h"

#include <stdatomic.h>

/* On whose behalf. Texts borrowed. */
struct step_asker {
    struct str owner; /* of the key; empty: the house */
    bool everyone;    /* a local administrator: things of all owners, by their ids */
    struct str name;  /* of the key: who created what is new; may be empty */
    int64_t job;      /* it asks as a running job (step token): in that run only; 0 */
    int64_t fence;
};

/* --- OP_STEPS --- */

enum steps_verb {
    STEPS_REGISTER, /* `manifest`; ERR_CONFLICT when there is that name and version, unless
                       `same_is_fine` and it is the same manifest: then `existing` */
    STEPS_SHOW,     /* the one of `id`, else of `name` and `version` (empty or a pattern: the
                       highest that is not deprecated, hidden or a prerelease, if there is one) */
    STEPS_LIST,     /* those the filter finds */
    STEPS_EDIT,     /* the one of `id`: what `sets` says */
    STEPS_DELETE    /* ERR_CONFLICT while a job has selected it */
};
enum steps_order {
    STEPS_BY_NAME, /* and the highest version first */
    STEPS_BY_TITLE,
    STEPS_BY_CREATED,
    STEPS_BY_MODIFIED,
    STEPS_BY_VERSION
};
enum { /* op_steps.sets */
       STEP_SETS_TITLE = 1,
       STEP_SETS_TAGS = 2,
       STEP_SETS_HIDDEN = 4,
       STEP_SETS_PUBLIC = 8,
       STEP_SETS_DEPRECATION = 16, /* NULL: restored */
       STEP_SETS_DEFAULTS = 32,    /* an object the schema allows in part; NULL: none */
       STEP_SETS_CODE_HASH = 64,
       STEP_SETS_FOLDER = 128
};
struct step_view {
    const struct step *step;
    int64_t jobs;    /* that have selected it */
    int64_t workers; /* that take the asker's jobs of it now; -1: this was not asked for */
};
struct op_steps {
    enum steps_verb verb;
    struct step_asker by;
    int64_t id;
    struct str name, version;
    struct str manifest;
    bool same_is_fine;
    /* EDIT */
    unsigned sets;
    struct str title, deprecation, defaults, code_hash; /* no pointer: none */
    struct str folder;                                  /* no pointer: that of folder_id, */
    int64_t folder_id;                                  /* 0: the root */
    const struct str *tags;
    size_t tag_count;
    bool hidden, is_public;
    /* LIST: all that is set must hold. Texts without a pointer are not set. */
    struct {
        struct str name, title, description; /* contained; */
        bool name_is;                        /* name: exactly */
        struct str version;                  /* a pattern (core/semver.h) */
        const struct str *tags_all, *tags_any;
        size_t all_count, any_count;
        enum step_only hidden, deprecated, prerelease, is_public;
        struct str folder, procon_version;
        bool below;
        enum steps_order sort;
        bool descending;
        int64_t offset, limit;
        /* Only what comes behind such a step in this order (its id, and what the order looks at):
         * so that pages do not shift when steps go. NULL: from the first on. */
        const struct step *after;
        bool wants_tags;
    } list;
    struct step_view *views; /* out: owned, held. One, but of LIST */
    size_t count;
    int64_t total;          /* out of LIST */
    bool more;              /* out of LIST: there are some behind it */
    struct step_tags found; /* out of LIST with wants_tags, owned: as `tags` of jobs, below */
    bool existing;          /* out of REGISTER */
};

/* --- OP_STEP_JOB_EDIT: makes or changes a job, all or nothing; a rapid set-up is one of these ---
 */

enum { /* op_step_job_edit.sets */
       STEP_JOB_SETS_NAME = 1,
       STEP_JOB_SETS_STEP = 2,       /* `step` 0: none is selected any more */
       STEP_JOB_SETS_PARAMETERS = 4, /* replaces all; no pointer: none */
       STEP_JOB_SETS_TAGS = 8,
       STEP_JOB_SETS_HIDDEN = 16,
       STEP_JOB_SETS_OUTPUT_DELETABLE = 32, /* of the outputs that are there, too */
       STEP_JOB_SETS_FOLDER = 64,
       STEP_JOB_SETS_OPTIONS = 128, /* `options`, `priority`, `max_attempts` */
       STEP_JOB_STARTS = 256        /* afterwards; ERR_CONFLICT when it is not ready then */
};
struct step_fill_ask { /* replaces what is in the slot; count 0: clears it */
    int64_t slot;      /* its place, or -1: by name */
    struct str name;
    const int64_t *ids;
    size_t count;
};
struct op_step_job_edit {
    struct step_asker by;
    int64_t id;     /* 0: a new one */
    int64_t parent; /* of a new one; 0 */
    unsigned sets;  /* what follows is done in the order of these bits, slots after parameters */
    struct str name, parameters, options;
    struct str folder; /* no pointer: that of folder_id, */
    int64_t folder_id; /* 0: the root */
    int64_t step;
    struct str step_name, step_version; /* with step -1: as STEPS_SHOW finds it */
    const struct str *tags;
    size_t tag_count;
    bool hidden, output_deletable;
    int64_t priority, max_attempts;
    const struct step_fill_ask *fills;
    size_t fill_count;
    bool wants_view;            /* the answer shows it */
    int64_t job;                /* out: its id */
    enum job_state state;       /* out */
    struct step_job_view *view; /* out with wants_view: owned */
};

/* A job with all that a document of it shows; everything in it is held. */
struct step_job_view {
    const struct step_job *job;
    const struct step *step;        /* NULL: none is selected */
    const struct artifact **inputs; /* slot by slot, as job->inputs says; none is NULL */
    size_t input_count;
    const struct artifact **outputs; /* as job->outputs says */
    size_t output_count;
    int64_t attempts; /* starts of its task, if that is still known; else 0 */
    /* Of one that waits or runs and is shown alone: why it does not run at this moment, and which
     * job, if any, keeps it. */
    bool explained;
    enum task_hold hold;
    int64_t held_by; /* 0 */
};
void step_job_view_release(struct step_job_view *view);

/* --- OP_STEP_JOB_END --- */

enum step_job_end { STEP_JOB_END_CANCEL, STEP_JOB_END_FAIL, STEP_JOB_END_DELETE };
struct op_step_job_end {
    struct step_asker by;
    int64_t id;
    enum step_job_end how;
    struct str message; /* FAIL */
};

/* --- OP_STEP_JOB_SHOW, OP_STEP_JOBS --- */

struct op_step_job_show {
    struct step_asker by;
    int64_t id;
    int64_t wait_until_us;     /* monotonic: for its end */
    _Atomic bool given_up;     /* set by any thread */
    struct step_job_view view; /* out */
};

/* What a list says of all that its filter finds, besides the page: `total` and `tags`. It is gone
 * through in slices, so that others are answered meanwhile. Tags: those that they have, but for
 * those that the filter says all must have; in order, the first of them. */
enum { STEP_SUM_TAGS_MAX = 1000 };

struct op_step_jobs { /* a page; filter.owner is `by`'s */
    struct step_asker by;
    struct step_filter filter;
    struct step_page page;
    bool wants_total, wants_tags;
    struct step_job_view *views; /* out, owned */
    size_t count;
    bool more;               /* there are some behind it */
    struct step_place *last; /* owned: the place of the last, when there is one */
    int64_t total;           /* with wants_total, else -1 */
    struct step_tags tags;   /* owned: with wants_tags */
    int64_t reached;         /* the engine's, as the next */
    struct step_seek *seek;  /* owned: the page is being picked out */
};

/* --- OP_ARTIFACT_ADD: a blob that was put (io/blob.h) becomes an artifact --- */

struct op_artifact_add {
    struct step_asker by;
    uint8_t hash[ARTIFACT_HASH_BYTES]; /* pinned by the asker until this is answered, then the pin
                                          is freed as known when it went well */
    int64_t bytes;
    struct str name, media_type, comment; /* media type empty: application/octet-stream */
    struct str folder;                    /* no pointer: that of folder_id, */
    int64_t folder_id;                    /* 0: the root */
    const struct str *tags;
    size_t tag_count;
    bool secret;
    /* An output of a job that runs; ERR_CONFLICT when this run is over. `name` empty: the slot's;
     * media type empty: the slot's. What is in that place already is replaced; it is deleted unless
     * somebody uses it. */
    int64_t job; /* 0: an upload */
    int64_t fence;
    int64_t slot; /* -1: by name: */
    struct str slot_name;
    int64_t place;
    const struct artifact *artifact; /* out, held */
};

/* --- OP_ARTIFACT_EDIT, OP_ARTIFACT_SHOW, OP_ARTIFACTS --- */

enum { /* op_artifact_edit.sets */
       ARTIFACT_SETS_NAME = 1,
       ARTIFACT_SETS_COMMENT = 2, /* no pointer: none */
       ARTIFACT_SETS_TAGS = 4,
       ARTIFACT_SETS_HIDDEN = 8,
       ARTIFACT_SETS_DELETABLE = 16,
       ARTIFACT_SETS_SECRET = 32,
       ARTIFACT_SETS_FOLDER = 64,
       ARTIFACT_DELETES = 128 /* alone */
};
struct op_artifact_edit {
    struct step_asker by;
    int64_t id;
    unsigned sets;
    struct str name, comment;
    struct str folder; /* no pointer: that of folder_id, */
    int64_t folder_id; /* 0: the root */
    const struct str *tags;
    size_t tag_count;
    bool hidden, deletable, secret;
    const struct artifact *artifact; /* out, held; NULL when it was deleted */
};
struct op_artifact_show {
    struct step_asker by;
    int64_t id;
    const struct artifact *artifact; /* out, held */
};
struct op_artifacts {
    struct step_asker by;
    struct step_filter filter;
    struct step_page page;
    bool wants_total, wants_tags;
    const struct artifact **artifacts; /* out, owned, held */
    size_t count;
    bool more;
    struct step_place *last;
    int64_t total;
    struct step_tags tags;
    int64_t reached;
    struct step_seek *seek;
};

/* --- OP_LINEAGE: what made an artifact, and what was made from it --- */

struct op_lineage {
    struct step_asker by;
    int64_t artifact;
    int64_t up, down;           /* so many jobs far each way */
    int64_t limit;              /* jobs in all */
    struct step_job_view *jobs; /* out, owned: nearest first */
    size_t count;
    const struct artifact *of; /* out, held */
    bool more;                 /* there are jobs beyond */
};

/* --- OP_STEP_TAGS: which tags are in use; OP_STEP_USAGE --- */

struct op_step_tags {
    struct step_asker by;
    int thing; /* store/step_store.h: enum step_thing */
    int64_t limit;
    struct step_tags tags; /* out, owned; in order */
};
struct op_step_usage {
    struct step_asker by;
    int64_t artifact_bytes; /* out: of all artifacts of the owner */
};

/* --- OP_STEP_REPORT, OP_STEP_REPORT_SHOW: what the runs of a job log and measure --- */

/* Durable when it is answered. ERR_CONFLICT when another run than `fence` is the job's last by now;
 * a run may still tell after its end. */
struct op_step_report {
    struct step_asker by;
    int64_t job, fence;
    const struct step_log_line *lines; /* their numbers and fences are given here */
    size_t count;
    struct str metrics;        /* a JSON object, replaces those before; no pointer: they stay */
    const struct step_job *of; /* the engine's: held */
};
struct op_step_report_show {
    struct step_asker by;
    int64_t job;
    struct step_log_page page;   /* limit 0: only how many there are */
    struct step_log_line *lines; /* out, owned, with their messages */
    size_t count;
    struct step_metrics metrics; /* out, owned */
};

#endif
