/* op.h: an operation: what a surface asks of the engine, and the answer.
 *
 * A surface fills an op, posts it (intake_post) and turns to something else. The engine's thread
 * applies it with everything else it found, makes the group durable, writes the answer into the op
 * and calls `done`. Between intake_post and `done` the op and all it points to belong to the
 * engine; afterwards to the poster again. `done` runs on the engine's thread or on any that posts:
 * it must not block. Whatever an op answers is durable by then.
 *
 * Inputs are borrowed until `done`. Outputs marked "owned" are the poster's to release
 * (op_release). */
#ifndef PENSTOCK_ENGINE_OP_H
#define PENSTOCK_ENGINE_OP_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "core/job.h"
#include "core/lease.h"
#include "core/portion.h"
#include "engine/blob_op.h"
#include "engine/flow_op.h"
#include "engine/folder_op.h"
#include "engine/fragment_op.h"
#include "engine/schedule_op.h"
#include "engine/step_op.h"
#include "engine/task_op.h"
#include "store/job_store.h"

#include <stdatomic.h>

enum op_kind {
    OP_START,     /* make a job, or start an old one again */
    OP_CONTROL,   /* pause, resume, cancel, delete, clean, repair */
    OP_CLAIM,     /* take records */
    OP_SETTLE,    /* report results and failures */
    OP_RELEASE,   /* give claimed records back: their answer did not reach the worker */
    OP_EXTEND,    /* move a lease's deadline */
    OP_REPORT,    /* one job */
    OP_LIST,      /* jobs */
    OP_SUBSCRIBE, /* follow events */
    OP_UNSUBSCRIBE,
    OP_KEYS,   /* create, revoke, list API keys */
    OP_STATS,  /* figures for /metrics and /health */
    OP_DOCTOR, /* compare store, ledger and outputs */
    /* Fragments and blobs: fragment_op.h, blob_op.h */
    OP_FRAGMENTS_PUT,
    OP_FRAGMENTS_READ,
    OP_FRAGMENTS_DELETE,
    OP_DATASETS,
    OP_BLOB_NOTE,
    OP_BLOB_FORGET,
    OP_SCHEDULES,     /* schedule_op.h */
    OP_SCHEDULE_TICK, /* the engine's own */
    /* Tasks: task_op.h */
    OP_ENQUEUE,
    OP_TASK_CLAIM,
    OP_TASK_SETTLE,
    OP_TASK_EXTEND,
    OP_TASK_RELEASE,
    OP_TASK_SHOW,
    OP_TASK_LIST,
    OP_TASK_ERRORS,
    OP_TASK_STATUS,
    OP_TASK_CONTROL,
    OP_GATES,
    OP_LIMITS,
    OP_WORKERS,
    /* Flows: flow_op.h */
    OP_FLOW_START,
    OP_FLOW_SHOW,
    OP_FLOW_LIST,
    OP_FLOW_NODES,
    OP_FLOW_ABORT,
    OP_FLOW_DELETE,
    OP_FLOW_PUT,
    OP_FLOW_GET,
    OP_FLOW_LOCK,
    /* Steps, step jobs, artifacts: step_op.h */
    OP_STEPS,
    OP_STEP_JOB_EDIT,
    OP_STEP_JOB_END,
    OP_STEP_JOB_SHOW,
    OP_STEP_JOBS,
    OP_ARTIFACT_ADD,
    OP_ARTIFACT_EDIT,
    OP_ARTIFACT_SHOW,
    OP_ARTIFACTS,
    OP_LINEAGE,
    OP_STEP_TAGS,
    OP_STEP_USAGE,
    OP_STEP_REPORT,      /* what a run has logged and measured is put */
    OP_STEP_REPORT_SHOW, /* and read */
    OP_FOLDERS,          /* folder_op.h */
    OP_KIND_COUNT
};

/* Which job (or flow): by id when id > 0, else by name. */
struct job_ref {
    int64_t id;
    struct str name;
};

/* Which refusal it is, where a surface must tell one from another of the same code. */
enum op_refusal {
    REFUSED_OTHERWISE,    /* the code and the text say all */
    REFUSED_JOB_UNKNOWN,  /* no job of that name or id */
    REFUSED_TOKEN,        /* wrong or missing token */
    REFUSED_NAME_TAKEN,   /* start: the job exists, neither clean_start nor repair */
    REFUSED_OUTPUT_TAKEN, /* start: the output belongs to another job */
    REFUSED_INPUT,        /* start: the input is missing or cannot be read; err.text says why */
    REFUSED_NO_PROGRAM,   /* start: the operator has named no such reader or writer */
    REFUSED_WRITE_ONLY,   /* claim: mode write */
    REFUSED_READ_ONLY,    /* settle with results: mode read */
    REFUSED_NO_WRITER,    /* settle with results: no sink */
    REFUSED_NEVER_SERVED, /* settle: refused_record was never handed out */
    REFUSED_ALREADY_DONE, /* settle with failures: refused_record is done */
    REFUSED_LEASE_ENDED,  /* settle, extend, release: no such lease (any more) */
    REFUSED_TASK_UNKNOWN, /* show: no task of that id */
    REFUSED_UNIQUE_TAKEN, /* enqueue: a task with that unique key is there; refused_record: its id
                           */
    REFUSED_PARENT,       /* enqueue: a parent is unknown, or can never end as it should;
                             refused_record: its id */
    REFUSED_FLOW_UNKNOWN, /* no flow of that name or id */
    REFUSED_FLOW_RUNS,    /* start, delete: the flow runs */
    REFUSED_VERSION,      /* put: the key has another version by now */
    REFUSED_STALE         /* lock: that run of the task is over */
};

/* What the asker may do with the job. Planchet's tokens: a job with a token takes only its token
 * (or `trusted`); a job without one takes anybody. */
struct op_right {
    bool trusted;   /* master token, key with the right scope, local administrator */
    bool strict;    /* the server asks for keys and none was shown: a job without a token is closed
                       to this asker too */
    bool has_token; /* a token was given: its hash (token_hash_of) */
    uint8_t token_hash[TOKEN_HASH_BYTES];
};

/* One result or failure. A failure's reason in `lines` is a JSON string, or an object of `message`
 * and `type`. */
struct settle_entry {
    int64_t record; /* -1: no number that a ledger could hold */
    uint32_t at,
        len; /* result: one line of JSON in `lines`, ended by '\n' (len counts it). Failure:
                the reason as a JSON string, same place, same line end; len 0: none given */
    bool failed;
    bool skipped;           /* done, and there is nothing to write; len 0 */
    bool final;             /* of a failure: it is not tried again */
    bool throttled;         /* of a failure: a service said it was too much */
    int64_t retry_after_us; /* of a failure: not before so long from now; 0: by the job's delays */
    /* The engine's: */
    bool taken;
    uint8_t before; /* enum record_state to go back to when the group fails */
    int64_t lease;  /* number of the one that held it; 0: none */
};

enum control_verb {
    CONTROL_PAUSE,
    CONTROL_RESUME,
    CONTROL_CANCEL,
    CONTROL_DELETE, /* the output stays */
    CONTROL_CLEAN,  /* forget what is in flight, and the output file when `with_output` */
    CONTROL_REPAIR, /* serve everything that is not done or failed (and failed, `with_failed`) again
                     */
    CONTROL_PURGE   /* delete all jobs, and their outputs when `with_output`; no ref */
};

/* How fast a job goes: the rate that holds now, and what became of it. */
struct pace_view {
    double rpm;        /* 0: no limit */
    double lowest_rpm; /* to which it fell; 0: it never did */
    int64_t halved, throttled;
};

/* A worker that holds a kept lease. */
struct worker_view {
    char *name; /* owned */
    int64_t holding;
    int64_t slots; /* how many of them it may run at once; -1: no limit */
};

/* A job as the surfaces show it. Strings owned. */
struct job_view {
    int64_t id;
    char *name;
    enum job_kind kind;
    enum job_state state;
    bool paused, has_token;
    struct data_spec spec;
    char *failure;     /* NULL */
    char *errors_path; /* where failed records are listed; NULL when there were none */
    int64_t created_at_us, started_at_us, ended_at_us;
    int64_t known;  /* records reading has reached */
    int64_t served; /* in flight, or waiting to be tried again: */
    int64_t waiting;
    int64_t done, failed;
    int64_t bad;    /* of the failed: lines that could not be read */
    int64_t unread; /* of the known: waiting to be served (again) */
    int64_t repeats, written, skipped;
    int64_t retried; /* attempts that failed and were not the last, since the server began */
    int64_t held;    /* of the written: results that wait for those before them */
    /* Since the job was last started, where its records have ids or it takes a portion: */
    int64_t done_before; /* of the done: passed over, the output has them already */
    int64_t duplicates;  /* of the done: passed over, an earlier record has their id */
    int64_t left_out;    /* of the done: passed over, not of the portion */
    int64_t no_id;       /* of the bad: records without an id */
    int64_t leases;
    struct worker_view *workers; /* owned: those with a kept lease */
    size_t worker_count;
    struct pace_view pace;
    bool exhausted; /* reading has met the end of the input */
    double rate;    /* records settled a second, of late; 0 when idle */
    int64_t total;  /* records in all: exact when exhausted, else estimated by size; -1 unknown */
    double eta_s;   /* at that rate; -1 unknown */
    char *tail;     /* why the unfinished last line is no record (yet); NULL */
};

/* A key as it is shown: never its secret but once. */
struct key_view {
    char *name, *owner, *scopes;
    uint8_t hash[32];
    int64_t created_at_us, revoked_at_us;
};

struct op {
    enum op_kind kind;
    struct op *next; /* the engine's */
    void (*done)(struct op *op);
    void *context;           /* the poster's */
    struct err err;          /* code ERR_NONE when all went well */
    enum op_refusal refusal; /* out, with err */
    int64_t refused_record;  /* out, with the refusals of one record; -1: none */
    struct job_ref job;
    struct op_right right;
    struct data_job *of; /* the engine's: the job it was found to mean */

    union {
        struct {
            const struct data_spec *spec;
            bool clean_start; /* an old job of that name forgets all and starts again */
            bool repair;      /* an old job of that name is repaired (`cont`) */
            /* An old job of that name goes on where its output is: by ids when the spec has
             * `id_key`, else by its ledger; what failed is tried again. Without an old job a new
             * one is made that takes the output's lines into account. */
            bool resume;
            struct portion portion; /* with resume: how much of it */
            bool force_overwrite;   /* take an output path over from a job that has ended */
            bool set_token;
            uint8_t token_hash[TOKEN_HASH_BYTES];
            int64_t job_id; /* out */
        } start;
        struct {
            enum control_verb verb;
            bool with_output, with_failed;
            int64_t jobs; /* out: how many were touched */
        } control;
        struct {
            int64_t max_records;   /* <= 0: nothing is taken */
            int64_t max_bytes;     /* of the answer; at least one record is given */
            int64_t wait_until_us; /* monotonic: answer empty only then; 0: at once; NEVER_US */
            int64_t lease_us;      /* > 0 overrides the job's, 0: the job's */
            bool wait_paused;      /* wait as long as the job is paused, whatever wait_until_us */
            bool keep;             /* the lease stays when it holds nothing, and can be added to */
            bool add;              /* adds to the kept lease `token` (in) */
            bool has_holds;        /* with `add`: the worker knows of the records `holds` only, */
            const int64_t *holds;  /* the others that its lease holds are served again */
            size_t hold_count;
            int64_t running;   /* how many records the worker runs now; -1: it did not say */
            struct str worker; /* a name for people; may be empty */
            bool wait_leased;  /* with leases: wait while others hold records that may come back */
            /* Nobody waits for the answer any more, once it is true; whoever sets it wakes the
             * engine then. NULL: never. It outlives the op. */
            const atomic_bool *given_up;
            struct buf records;               /* out, owned: [[number,record],...] */
            int64_t count;                    /* out */
            uint8_t token[LEASE_TOKEN_BYTES]; /* out, when has_lease; in, with `add` */
            bool has_lease;
            int64_t lease_ends_at_us; /* out: wall clock; 0: no deadline */
            bool finished;            /* out: the job has ended, nothing will ever come */
            int64_t slots;            /* out: how many the worker may run at once; -1: no limit */
            bool paced; /* out: record i starts at first_us + i * every_us, not earlier */
            double first_us, every_us;
            int64_t clock_us; /* out, paced: the monotonic moment that first_us counts from */
            int64_t alone_us; /* out, paced: so long from clock_us on nobody else starts */
            bool alone;       /* out: its one record was in the hands of a worker that died */
            int64_t most;     /* the engine's: how many it may get now */
            enum {
                HELD_UP_BY_NOTHING, /* or by what holds up all others, too */
                HELD_UP_BY_PACE,    /* likewise */
                HELD_UP_BY_SLOTS,
                HELD_UP_BY_SUSPECTS
            } held_up; /* the engine's: why it may get none now */
            bool made; /* out: this claim has made its kept lease, the asker does not know it yet */
            int64_t answer; /* out: number of the answer, for giving it back */
        } claim;
        struct {
            struct settle_entry *entries;
            size_t count;
            const char *lines; /* all results' lines, one after the other */
            bool has_lease;    /* only what this lease holds may be settled */
            uint8_t token[LEASE_TOKEN_BYTES];
            bool overwrite; /* write also what is done already (Planchet's overwrite=true) */
            bool final;     /* failures are final whatever max_attempts says (mark-errors) */
            bool results_only, failures_only; /* for messages of the Planchet surface */
            int64_t written, skipped, repeats, failed, retried; /* out */
        } settle;
        struct {
            uint8_t token[LEASE_TOKEN_BYTES]; /* with has_lease; else the records of a claim: */
            bool has_lease;
            bool died;          /* OP_RELEASE: its worker is gone */
            struct str how;     /* with `died`: how that came, as "was killed by signal 9"; may be
                                   empty */
            struct str records; /* the claim's answer, [[number,record],...] */
            bool stays;         /* with `records`: the lease is known to its worker and stays */
            int64_t answer;     /* with `stays`: the answer's number */
            int64_t lease_us;   /* OP_EXTEND: from now; <= 0: the job's */
            int64_t lease_ends_at_us; /* out of OP_EXTEND */
        } lease;
        struct {
            bool contents;        /* what its records say is asked for, too: that needs the right,
                                     which counts and states do not */
            struct job_view view; /* out, owned */
        } report;
        struct {
            bool by_state;
            enum job_state state;
            int64_t after_id; /* only ids above */
            int64_t limit;
            struct job_view *views; /* out, owned, in order of ids */
            size_t count;
            bool more; /* out */
        } list;
        struct {
            struct subscription *subscription; /* feed.h; with job.id 0 and no name: all jobs;
                                                  events of jobs with a token come without their
                                                  detail then, unless the asker is trusted */
            int64_t
                after; /* event id; -1 (or an id not given yet): from now on; -2: read on, feed.h */
        } subscribe;
        struct {
            enum { KEYS_LIST, KEYS_CREATE, KEYS_REVOKE } verb;
            const char *name, *scopes;
            const char *owner; /* NULL: the house's */
            uint8_t hash[32];
            struct key_view *keys; /* out of all verbs, owned: the list afterwards */
            size_t count;
        } keys;
        struct {
            int64_t jobs, jobs_by_state[JOB_STATE_COUNT], flows_by_state[JOB_STATE_COUNT];
            int64_t served_total, written_total, failed_total, repeats_total; /* since start */
            int64_t tasks_enqueued_total, tasks_started_total, tasks_completed_total,
                tasks_retried_total, tasks_failed_total, tasks_lost_total, tasks_cancelled_total;
            int64_t in_flight, leases, leases_ended_total;
            int64_t commits_total, groups_total, sync_us_total, ops_total;
            int64_t started_at_us;
            char **finished; /* names of completed jobs, owned */
            size_t finished_count;
        } stats;
        struct {
            struct buf findings; /* out, owned: JSON array of {level, job, check, text} */
            int64_t faults;      /* out: how many of them are errors */
        } doctor;
        struct op_fragments_put fragments_put;
        struct op_fragments_read fragments_read;
        struct op_fragments_delete fragments_delete;
        struct op_datasets datasets;
        struct op_blob_note blob_note;
        struct op_blob_forget blob_forget;
        struct op_schedules schedules;
        struct op_schedule_tick schedule_tick;
        struct op_enqueue enqueue;
        struct task_claim task_claim;
        struct op_task_settle task_settle;
        struct op_task_extend task_extend;
        struct op_task_release task_release;
        struct op_task_show task_show;
        struct op_task_list task_list;
        struct op_task_errors task_errors;
        struct op_task_status task_status;
        struct op_task_control task_control;
        struct op_gates gates;
        struct op_limits limits;
        struct op_workers workers;
        struct op_flow_start flow_start;
        struct op_flow_show flow_show;
        struct op_flow_list flow_list;
        struct op_flow_nodes flow_nodes;
        struct op_flow_abort flow_abort;
        struct op_flow_put flow_put;
        struct op_flow_get flow_get;
        struct op_flow_lock flow_lock;
        struct op_steps steps;
        struct op_step_job_edit step_job_edit;
        struct op_step_job_end step_job_end;
        struct op_step_job_show step_job_show;
        struct op_step_jobs step_jobs;
        struct op_artifact_add artifact_add;
        struct op_artifact_edit artifact_edit;
        struct op_artifact_show artifact_show;
        struct op_artifacts artifacts;
        struct op_lineage lineage;
        struct op_step_tags step_tags;
        struct op_step_usage step_usage;
        struct op_step_report step_report;
        struct op_step_report_show step_report_show;
        struct op_folders folders;
    };
};

/* A zeroed op of that kind with its buffers initialised. */
void op_init(struct op *op, enum op_kind kind);
/* Whether it looks at one thing in memory and changes nothing: whoever has the engine's turn may
 * apply it, without waiting for a disk. */
bool op_only_looks(const struct op *op);
/* Frees what it answered. Not the op itself. */
void op_release(struct op *op);
void job_view_release(struct job_view *view);

#endif
