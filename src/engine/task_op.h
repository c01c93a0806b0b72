/* task_op.h: what is asked of the engine about tasks, and the answers: members of struct op's union
 * (op.h). Texts and arrays that go in are borrowed until `done`; what comes out is owned and freed
 * by op_release. What each member means is said in docs/queue.md. */
#ifndef PENSTOCK_ENGINE_TASK_OP_H
#define PENSTOCK_ENGINE_TASK_OP_H

#include "base/buf.h"
#include "base/clock.h"
#include "core/dispatch.h"
#include "core/lease.h"
#include "core/task_graph.h"
#include "io/blob.h"

/* Arguments and results above this are not for a row: whoever has them puts them into a blob, and
 * hands that in. */
#define TASK_TEXT_MAX_BYTES (256 << 10)

/* The blob that a text lies in. Going in: a pin (io/blob.h) is held until `done`. */
struct task_blob_ref {
    struct blob_hash hash;
    int64_t bytes; /* 0: it lies in none */
};

/* --- OP_ENQUEUE --- */

enum unique_while { UNIQUE_PENDING, UNIQUE_UNFINISHED, UNIQUE_STORED };
enum unique_clash { CLASH_EXISTING, CLASH_REFUSE, CLASH_REPLACE };

struct task_new {
    struct str function, queue;          /* checked by the engine; queue empty: "default" */
    struct str arguments;                /* JSON, valid; empty: {} */
    struct task_blob_ref arguments_blob; /* in place of `arguments` */
    struct str
        options; /* JSON object of `retry`, `timeout_s`, `keep_s` as given, valid in shape; empty */
    struct str key, batch, lock; /* empty: none */
    struct str unique;           /* empty: none */
    enum unique_while unique_while;
    enum unique_clash on_clash;
    const int64_t *after; /* parents: ids, or -1 - place in this batch */
    size_t after_count;
    enum after_when after_when;
    int64_t run_at_us; /* wall; 0: at once */
    int64_t delay_us;  /* from now; 0 */
    int64_t priority;
    int64_t max_attempts; /* 0: the default */
    int64_t of;     /* within a settlement: the task that asks for it, and without which it is not
                       enqueued; 0 */
    int64_t own_id; /* the engine's: a step job becomes a task under its own id; 0 */
    /* out: */
    int64_t id;
    bool existing; /* the id is of an older task with that unique key */
    bool left_out; /* of a settlement: `of` is stale, or it would wait for one that is left out */
};

struct op_enqueue {
    struct task_new *tasks; /* all or none of them */
    size_t count;
    size_t refused; /* out, with err: the place of the one that could not be, SIZE_MAX: none */
};
/* Of a list that went well: whether the store needs all blobs of arguments that it names, so that
 * their pins may be freed as known. */
bool enqueue_needs_all_blobs(const struct op_enqueue *enqueue);

/* --- OP_TASK_CLAIM; also within a settlement --- */

/* A task as its worker gets it. */
struct task_handed {
    int64_t id, created_at_us;
    uint32_t attempt, max_attempts, fence;
    int16_t priority;
    struct str function, queue, key, batch, lock; /* empty: none */
    struct str arguments, options;                /* JSON */
    struct task_blob_ref arguments_blob;          /* in place of `arguments` */
};

struct task_claim {
    /* in: */
    struct str *queues, *functions; /* NULL: all */
    size_t queue_count, function_count;
    int64_t max;
    int64_t max_bytes;     /* of arguments: at least one task all the same */
    int64_t wait_until_us; /* monotonic, <= now: do not wait */
    bool has_lease;
    uint8_t token[LEASE_TOKEN_BYTES]; /* in with has_lease, out otherwise */
    struct str worker;
    int64_t lease_us;
    const int64_t *holds; /* with has_holds: all that it has */
    size_t holds_count;
    bool has_holds;
    bool early;            /* what it takes is told when that is written and not synced yet */
    _Atomic bool given_up; /* set by any thread: nobody waits for the answer any more */
    /* out: */
    struct task_handed *tasks; /* texts in `texts` */
    size_t count;
    struct buf texts;
    struct task_aborted *aborts; /* of the session; not within a settlement, which has its own */
    size_t abort_count;
    int64_t lease_ends_at_us; /* wall */
    int64_t
        again_us;   /* nothing came: in so long a rate lets something start; NEVER_US: none does */
    int64_t answer; /* number of the answer, to give it back when it does not get through */
    bool made;      /* this claim made the lease */
    uint32_t *queue_places, *function_places; /* the engine's */
};

/* A task that its session is to stop. */
struct task_aborted {
    int64_t id;
    enum task_abort why;
};

/* --- OP_TASK_SETTLE --- */

enum task_outcome { TASK_COMPLETED, TASK_FAILED, TASK_ABORTED };

struct task_settle_entry {
    int64_t id;
    enum task_outcome outcome;
    struct str value; /* completed: the result as JSON, empty: null. Failed: JSON object of message,
                         type, traceback */
    struct str type;  /* failed: the error's type, decoded */
    struct task_blob_ref value_blob; /* completed: in place of `value`, if there is one */
    bool final;
    bool lost; /* failed: who ran it was killed; by no policy, another may try at once */
    int64_t retry_after_us; /* 0: by the policy */
    bool stale;             /* out: the session does not hold it */
    bool keeps_value;       /* out: a step job keeps `value`; the blob is not needed */
};

struct op_task_settle {
    uint8_t token[LEASE_TOKEN_BYTES];
    struct task_settle_entry *entries;
    size_t count;
    struct op_enqueue enqueue; /* stored with the outcomes; count 0: nothing */
    bool claims;
    struct task_claim claim;     /* with `claims`; its lease is this one, it does not wait */
    struct task_aborted *aborts; /* out */
    size_t abort_count;
    int64_t completed, retried, failed, cancelled; /* out */
};

/* --- OP_TASK_EXTEND, OP_TASK_RELEASE --- */

struct task_progress {
    int64_t id;
    double part;
    struct str text;
};

struct op_task_extend {
    uint8_t token[LEASE_TOKEN_BYTES];
    const struct task_progress *progress;
    size_t progress_count;
    const int64_t *holds;
    size_t holds_count;
    bool has_holds;
    int64_t wait_until_us;
    _Atomic bool given_up;
    struct task_aborted *aborts; /* out */
    size_t abort_count;
    int64_t lease_ends_at_us; /* out */
};

struct op_task_release {
    uint8_t token[LEASE_TOKEN_BYTES];
    bool died; /* attempts are spent */
    struct str
        how; /* with `died`: what became of its worker, as "was killed by ..."; may be empty */
    int64_t answer; /* > 0: give back the tasks of that answer only */
    bool made;      /* with `answer`: and end the lease, nobody knows it */
};

/* --- showing --- */

/* Frees what they answered; op_release does it for ops. */
void task_claim_release(struct task_claim *claim);

/* Which tasks; empty texts and no state: any. */
struct task_filter {
    struct str queue, function, key, batch, lock, error_type;
    bool by_state;
    enum job_state state;
    const int64_t *ids; /* NULL: any */
    size_t id_count;
};

/* A task whole. Texts owned, NULL: none. */
struct task_view {
    int64_t id;
    char *function, *queue, *key, *batch, *lock, *unique;
    enum job_state state;
    int64_t priority;
    int64_t attempts, max_attempts, fence;
    int64_t created_at_us, run_at_us, started_at_us, ended_at_us;
    char *arguments, *options; /* JSON; NULL in lists */
    char *result;              /* JSON; NULL in lists and when there is none */
    struct task_blob_ref arguments_blob, result_blob; /* in place of these; not in lists */
    char *error;     /* the last: JSON object of message, type, traceback, attempt, at, worker */
    char *worker;    /* who runs it */
    double progress; /* -1: not told */
    char *progress_text;
    enum task_abort abort;
    enum task_hold hold; /* why it does not run; not in lists */
    int64_t held_by;     /* a task's id, 0 */
    int64_t *parents;    /* owned: open ones, at most 100 are listed */
    size_t parent_count, parents_open;
};
void task_view_release(struct task_view *view);

struct op_task_show { /* OP_TASK_SHOW */
    int64_t id;
    int64_t wait_until_us; /* for its end */
    _Atomic bool given_up;
    struct task_view view; /* out */
};

struct op_task_list { /* OP_TASK_LIST: in order of ids, above `after` */
    struct task_filter filter;
    int64_t after, limit;
    struct task_view *views; /* out */
    size_t count;
    bool more;
};

struct task_error_group {
    char *function, *type, *example; /* owned; example: a message */
    int64_t example_id, count, first_at_us, last_at_us;
};
struct op_task_errors { /* OP_TASK_ERRORS: failed tasks by function and error type */
    struct task_filter filter;
    struct task_error_group *groups; /* out, most first */
    size_t count;
    int64_t reached; /* the engine's: it goes on in slices */
};

/* A tree of more is refused: as long as it is read the engine does nothing else. */
enum { TASK_STATUS_LEAVES_MAX = 20000 };

/* A leaf of the status tree; leaves come ordered by key, batch, queue, function. */
struct task_tally {
    char *key, *batch, *queue, *function; /* owned; "" where there is none */
    int64_t counts[JOB_STATE_COUNT];
    int64_t first_at_us, last_at_us; /* wall: first enqueued, last moved */
    double rate;                     /* ends a second, of late; 0 */
};
struct op_task_status {        /* OP_TASK_STATUS */
    struct str key, batch;     /* empty: all */
    bool active_only;          /* leaves with unfinished tasks */
    struct task_tally *leaves; /* out */
    size_t count;
};

/* --- changing --- */

enum task_verb { TASK_CANCEL, TASK_RETRY, TASK_DELETE };
struct op_task_control { /* OP_TASK_CONTROL */
    enum task_verb verb;
    struct task_filter filter;
    int64_t matched, changed; /* out */
    /* the engine's: a bulk verb goes on in slices */
    int64_t reached;
};

/* --- queues, functions, limits, workers --- */

struct gate_view { /* a queue or a function */
    char *name;    /* owned */
    struct gate gate;
    struct task_counts counts;
    int64_t completed, failed, cancelled; /* kept in the store */
    int64_t workers;                      /* sessions that take from it */
};
struct op_gates { /* OP_GATES: lists, or sets one and lists that */
    bool of_functions;
    struct str set; /* the name; empty: list */
    bool sets_paused, sets_concurrency, sets_rpm, sets_fair;
    struct gate gate;        /* the members that are set */
    struct gate_view *views; /* out */
    size_t count;
};

struct op_limits { /* OP_LIMITS: lists after the change */
    enum { LIMITS_LIST, LIMITS_PUT, LIMITS_DELETE } verb;
    struct key_rule rule;   /* texts borrowed; name alone with LIMITS_DELETE */
    struct key_rule *rules; /* out, owned with its texts */
    size_t count;
};

struct session_view {
    char *worker, *queues, *functions; /* owned; comma-separated, NULL: all */
    int64_t holding, since_at_us, last_at_us, ends_at_us;
    int64_t *tasks; /* owned: what it holds, at most 100 are listed */
    size_t task_count;
};
struct op_workers {                /* OP_WORKERS */
    struct session_view *sessions; /* out */
    size_t count;
};

#endif
