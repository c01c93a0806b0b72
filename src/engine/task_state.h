/* task_state.h: the engine's inside about tasks, shared by engine/task_*.c, group.c and engine.c
 * only. The engine's thread; while a group is being committed nothing here is touched.
 *
 * What has not ended is in the dispatch (core/dispatch.h). A task that a group changes has a
 * *note*: its row as it is to be stored. Notes of running tasks stay between groups. A note's texts
 * are borrowed from the op that brought them, which is answered after the commit. What ends leaves
 * the dispatch at once; its note leaves with the commit. */
#ifndef PENSTOCK_ENGINE_TASK_STATE_H
#define PENSTOCK_ENGINE_TASK_STATE_H

#include "core/attempts.h"
#include "core/delays.h"
#include "core/dispatch.h"
#include "core/lease.h"
#include "core/task_graph.h"
#include "core/unique_map.h"
#include "engine/flow_state.h"
#include "engine/op.h"
#include "store/task_edge_store.h"
#include "store/task_gate_store.h"
#include "store/task_store.h"
#include "store/task_tally_store.h"

struct engine;
struct group;

/* A key, batch, queue and function that tasks of notes have: what becomes of its counts. */
struct task_leaf {
    struct task_leaf *next; /* of its bucket */
    uint64_t hash;
    uint32_t queue, function; /* places in the dispatch */
    struct str key, batch;    /* behind the struct */
    int64_t refs;
    bool touched; /* in the group's list */
    int64_t delta[JOB_STATE_COUNT];
    int64_t first_at_us;
    double ends; /* of late: each counts less and less, see task_leaf.c */
    int64_t ends_at_us;
};

/* What of a note is to be stored. */
enum task_write { WRITE_NOTHING, WRITE_START, WRITE_COMPLETE, WRITE_SAVE };

struct task_note {
    struct task *t; /* NULL: it has ended */
    struct task_leaf *leaf;
    struct task_row row; /* texts borrowed, or owned by: */
    char *options, *error, *error_type;
    enum task_write write;
    bool in_group;  /* in the building group's list */
    bool inserts;   /* the store has no row of it yet */
    bool replaces;  /* arguments and options are new */
    bool told;      /* its worker was told to stop */
    int64_t answer; /* number of the claim's answer that it went out with */
    size_t event;   /* 1 + place of the group's event that told of it last; 0: none did */
    struct unique_key unique;
};

/* A queue or a function: what the store knows of it. */
struct task_gate {
    int64_t number; /* 0: it is not stored */
    bool fresh;     /* it is to be stored with this group */
    bool changed;   /* its settings are */
    bool of_steps;  /* a queue of step jobs */
    int64_t counts[JOB_STATE_COUNT], delta[JOB_STATE_COUNT]; /* of those that have ended */
};

struct task_session {
    int64_t number;           /* of its lease */
    char *queues, *functions; /* as its last claim asked; comma-separated, NULL: all */
    int64_t since_at_us, last_at_us;
    bool put; /* it is to be stored with this group */
};

/* What a group's events are made of: one for tasks that went the same way. */
struct task_event {
    const char *kind;
    struct buf detail;
};

struct task_drop {
    int64_t parent;
    bool all; /* who waits for its completion, too */
};

/* A child waits for another task than it did. */
struct task_move {
    int64_t from, to, child;
};

/* The part of a group about tasks. */
struct task_group {
    struct task_note **notes;
    size_t note_count, note_cap;
    struct task_edge_row *edges;
    size_t edge_count, edge_cap;
    struct task_drop *drops;
    size_t drop_count, drop_cap;
    struct task_move *moves;
    size_t move_count, move_cap;
    struct id_list forgets, deletes, ended, session_deletes, gate_deletes;
    struct task_leaf **leaves;
    size_t leaf_count, leaf_cap;
    struct task_event *events;
    size_t event_count, event_cap;
    bool gates_changed, sessions_changed, rules_changed, enqueues, trims;
    struct flow_group flows; /* what was decided about flows, see flow_state.h */
    struct err
        broken; /* a task that must change could not be read: nothing of the group is stored */
    /* made when it is staged: */
    int64_t last_id, at_us;
    struct task_tally_row *tallies;
    struct task_gate_row *gates; /* new ones and changed ones, */
    bool *gate_fresh;            /* which are new, */
    size_t gate_count;
    struct task_gate_row *counts; /* and those whose counts change */
    size_t count_count;
    struct task_session_row *sessions;
    size_t session_count;
    struct task_rule_row *rules;
    size_t rule_count;
};

struct tasks {
    struct dispatch *dispatch;
    struct task_graph *graph;
    struct leases *leases;
    struct unique_map *unique;
    struct delays *timeouts;  /* running tasks whose time will be over, or that are to be lost */
    struct attempts *ended;   /* of the building group: id to 1 + state; JOB_STATE_COUNT: deleted */
    struct attempts *watched; /* ids that a show waits for: how many do */
    struct task_leaf **leaves;
    size_t leaf_mask, leaf_count;
    struct task_gate *queues, *functions; /* by place in the dispatch */
    size_t queue_count, function_count;
    int64_t last_gate;
    uint32_t *by_number; /* place of each gate that was loaded, by its number; up to loaded_gates */
    int64_t loaded_gates;
    struct task_session **sessions; /* by number */
    size_t session_count, session_cap;
    struct key_rule *rules;
    size_t rule_count;
    uint64_t seed; /* of unique keys */

    struct flows *flows; /* flow_state.h */

    struct op *claims, **claims_end; /* that wait, the oldest first */
    struct op *extends, *shows;      /* that wait */
    struct op *slices;               /* that go on a slice a step */
    bool stirred;                    /* something may be claimed that could not */
    bool woken;                      /* a session is to be told to stop a task */
    int64_t aborting;                /* so many running tasks are to stop */
    int64_t refused_until_us;        /* after a failed commit: changes are refused */
    struct err refused_why;
    bool unreadable;     /* memory is not what the store holds */
    int64_t events;      /* stored since the oldest were last trimmed */
    int64_t keep_due_us; /* retention looks again, monotonic */
};

/* --- task_state.c --- */
MUST_CHECK bool tasks_open(struct engine *e, struct err *err);
void tasks_free(struct engine *e);
/* Whether an op may be applied; refuses it otherwise. `changes`: it changes something. */
bool tasks_are_ready(struct engine *e, struct op *op, bool changes);

/* --- task_load.c --- */
/* Throws memory of tasks away and reads it from the store. */
MUST_CHECK bool tasks_load(struct engine *e, struct err *err);
void tasks_forget(struct engine *e);

/* --- task_note.c --- */
/* The note of a task, read from the store where there is none. NULL with err. */
struct task_note *note_need(struct engine *e, struct task *t, struct err *err);
/* The same where it must change, with whatever else is going on: NULL breaks the group. */
struct task_note *note_must(struct engine *e, struct task *t);
/* Makes the note of a task from its row, whose texts are copied but for arguments and result. */
struct task_note *note_of_row(struct engine *e, struct task *t, const struct task_row *row);
/* A note without a row: of a new task. */
struct task_note *note_new(struct engine *e, struct task *t, struct task_leaf *leaf);
void note_free(struct engine *e, struct task_note *note);
/* So much of it goes to the store with this group. */
void note_write(struct engine *e, struct task_note *note, enum task_write write);
/* The task is in another state: counts it. */
void note_move(struct engine *e, struct task_note *note, enum job_state state);
/* The group's event tells of it. */
void note_event(struct engine *e, struct task_note *note, const char *kind);
void note_set_error(struct task_note *note, struct str error, struct str type);
/* The row's text lies in that blob, which is borrowed as texts are; or in none. */
struct task_blob note_blob(const struct task_blob_ref *ref);
/* The other way round. */
struct task_blob_ref task_blob_ref_of(const struct task_blob *blob);

/* --- task_leaf.c --- */
struct task_leaf *leaf_get(struct engine *e, uint32_t queue, uint32_t function, struct str key,
                           struct str batch); /* a reference, leaf_put */
void leaf_put(struct engine *e, struct task_leaf *leaf);
/* One fewer in a state, one more in another; JOB_STATE_COUNT: none. */
void leaf_count(struct engine *e, struct task_leaf *leaf, enum job_state from, enum job_state to);
double leaf_rate(const struct task_leaf *leaf, int64_t now_us);
struct task_leaf *leaf_find(const struct engine *e, uint32_t queue, uint32_t function,
                            struct str key, struct str batch);
void leaves_release(struct engine *e);

/* --- task_gate.c --- */
/* The place of a queue or a function in the dispatch, stored with this group when it is new. */
uint32_t gate_need(struct engine *e, bool of_function, struct str name);
/* The place alone. */
uint32_t gate_place(struct engine *e, bool of_function, struct str name);
struct task_gate *gate_at(struct engine *e, bool of_function, uint32_t place);
/* The place of the gate with that number in the store; UINT32_MAX: none. */
uint32_t gate_by_number(struct engine *e, bool of_function, int64_t number);
/* Forgets a name that no task has and nothing is set for: the store's row goes with this group, and
 * no list has it any more. Its place stays for who still asks for it. Once all else is staged. */
void gate_forget_unused(struct engine *e, bool of_function, uint32_t place);
void gate_row(struct engine *e, bool of_function, uint32_t place, struct task_gate_row *row);

/* --- task_gates.c --- */
/* How many sessions take such tasks; it counts no further than `most`. */
int64_t task_sessions_taking(const struct engine *e, const char *queue, const char *function,
                             int64_t most);
/* Why a task does not run at this moment, as dispatch_explain; and that nobody takes such tasks,
 * where nothing else keeps them. */
enum task_hold task_explain(const struct engine *e, const struct task *t, int64_t *by);

/* --- task_enqueue.c --- */
/* Whether all of them can be enqueued; sets id and existing of those that are there already. */
MUST_CHECK bool enqueue_check(struct engine *e, struct op *op, struct op_enqueue *enqueue);
/* Does it; cannot fail. */
void enqueue_apply(struct engine *e, struct op_enqueue *enqueue);
/* The child waits for the parent, in memory and with this group in the store. */
void task_edge_add(struct engine *e, int64_t parent, int64_t child, enum after_when when);
/* --- task_replace.c --- */
/* Whether a task of the list, which replaces an older one, would wait for itself. */
bool replace_makes_circle(struct engine *e, const struct op_enqueue *enqueue, size_t place);

/* --- task_claim.c --- */
/* Gives the session what it asks for. False with the op's error: nothing was taken. */
MUST_CHECK bool claim_tasks(struct engine *e, struct task_claim *claim, struct lease *lease,
                            struct err *err);
/* Turns the names that it asks for into places. */
void task_claim_find_places(struct engine *e, struct task_claim *claim);
/* What its answer says besides its tasks. */
void task_claim_finish(struct engine *e, struct task_claim *claim, struct lease *lease);
/* Waiting claims get what can be had now; those whose wait is over are answered. */
void task_claims_feed(struct engine *e);

/* --- task_session.c --- */
/* The lease of that token, which lives on; refuses the op when there is none. */
struct lease *task_session_find(struct engine *e, struct op *op,
                                const uint8_t token[LEASE_TOKEN_BYTES], int64_t wait_until_us);
struct lease *task_session_make(struct engine *e, struct op *op, struct task_claim *claim);
struct task_session *task_session_of(struct engine *e, const struct lease *lease);
/* Its part beside the lease of that number. */
struct task_session *task_session_add(struct engine *e, int64_t number);
/* What it holds besides goes back. */
void task_session_recall(struct engine *e, struct lease *lease, const int64_t *holds, size_t count);
/* A sign of life: it ends not before its span from then. */
void task_session_lives(struct engine *e, struct lease *lease, int64_t from_us);
/* Its claim says how long it lives from now on (0: nothing), and what it takes. */
MUST_CHECK bool task_session_span(struct engine *e, struct op *op, struct lease *lease,
                                  int64_t asked_us);
void task_session_asks(struct engine *e, struct lease *lease, const struct task_claim *claim);
/* Whether it is to stop a task and was not told of it. */
bool task_session_untold(struct engine *e, const struct lease *lease);
/* What of its tasks is to stop; all are told then. */
void task_session_aborts(struct engine *e, struct lease *lease, struct task_aborted **out,
                         size_t *count);
void task_sessions_tick(struct engine *e);
int64_t task_sessions_next_us(const struct engine *e);
/* Forgets a session whose lease is ended by this. */
void task_session_end(struct engine *e, struct lease *lease);
void task_sessions_release(struct engine *e);

/* --- task_end.c: how attempts and tasks end --- */
/* A text may have no pointer. All: the note is of a task that is in the dispatch. */
void task_complete(struct engine *e, struct task_note *note, struct str result,
                   struct task_blob result_blob);
struct task_failure {
    struct str error, type;
    bool final, lost;       /* as of struct task_settle_entry */
    int64_t retry_after_us; /* likewise */
};
/* An attempt has failed: another follows (returns true), or the task has failed. */
bool task_fail(struct engine *e, struct task_note *note, const struct task_failure *why);
void task_cancel(struct engine *e, struct task_note *note);
/* The same, for what it waited for: of a flow's node, that is defaulted. */
void task_cancel_in_vain(struct engine *e, struct task_note *note);
/* Its worker is gone: an attempt was spent. */
void task_lose(struct engine *e, struct task_note *note, const char *why);
/* It has failed, wherever it is, as somebody says. */
void task_end_failed(struct engine *e, struct task_note *note, struct str error, struct str type);
/* It goes back as if it had not been started. */
void task_give_back(struct engine *e, struct task_note *note);
/* A running one is to stop. */
void task_abort(struct engine *e, struct task_note *note, enum task_abort why);
/* Time-outs that are due. */
void task_timeouts_tick(struct engine *e);
/* Who waits for a parent that will never end as it should is cancelled. */
void task_cancel_children(struct engine *e, int64_t parent);
/* Another has done what they wait for: as if the parent had completed. */
void task_free_children(struct engine *e, int64_t parent);
/* What a failure by time-out says. */
#define TIMEOUT_ERROR "{\"message\":\"its time was over\",\"type\":\"TimeoutError\"}"
/* A run begins: its time-out is watched. */
void task_watch_time(struct engine *e, struct task *t, struct str options);
/* What its options say: timeout_s, keep_s; 0: nothing. */
int64_t task_option_us(struct str options, const char *name);

/* --- task_show.c --- */
/* Answers those whose wait is over. */
void task_shows_look(struct engine *e);
/* These tasks have ended: whoever waits for one of them is answered. */
void task_shows_committed(struct engine *e, const struct id_list *ended);
/* The state as it is told: who waits for its time or its parents is blocked. */
enum job_state task_state_of_row(struct engine *e, const struct task_row *row);
/* What a row and memory say of a task. */
void task_view_of_row(struct engine *e, const struct task_row *row, bool whole,
                      struct task_view *view);

/* --- task_list.c, task_control.c --- */
bool filter_matches(struct engine *e, const struct task_filter *filter, const struct task_row *row);
/* The rows among which it finds its own. */
enum task_walk filter_walk(const struct task_filter *filter);
/* Goes on with ops that take many steps. */
void task_slices_step(struct engine *e);
void task_slice_add(struct engine *e, struct op *op);
/* One slice each; true: it is done. */
bool task_list_slice(struct engine *e, struct op *op);
bool task_errors_slice(struct engine *e, struct op *op);
bool task_control_slice(struct engine *e, struct op *op);
/* The verb to one task; false: it is otherwise by now, or err. */
bool task_control_one(struct engine *e, enum task_verb verb, int64_t id, struct err *err);

/* --- task_retry.c --- */
/* A task that has failed or was cancelled waits again; false: it cannot, or with err. */
bool task_retry(struct engine *e, int64_t id, struct err *err);

/* --- task_keep.c --- */
void tasks_keep_begin(struct engine *e);
void tasks_keep_tick(struct engine *e);
/* More have ended: it looks again. */
void tasks_keep_later(struct engine *e);
/* A row that has ended is forgotten, unless it came back or is forgotten already. */
bool task_delete_row(struct engine *e, const struct task_row *row);

/* --- task_group.c --- */
bool tasks_stir(const struct group *g);
void tasks_stage(struct engine *e, struct group *g);
MUST_CHECK bool tasks_store(struct tx *tx, struct task_group *g, struct err *err);
/* The outcome; ops of the group are answered afterwards. */
void tasks_committed(struct engine *e, struct group *g);
void tasks_failed(struct engine *e, struct group *g, const struct err *why);
void task_group_release(struct task_group *g);
/* Memory is thrown away: so are its notes. */
void task_group_drop_notes(struct engine *e, struct task_group *g);
/* An op of a failed group gets its error and gives nothing out. */
void task_take_back(struct op *op, const struct err *why);

/* --- task_wait.c: ops that wait --- */
/* Extends of sessions that are to be told something, or whose wait is over, are answered. */
void task_extends_look(struct engine *e);
void task_claim_wait(struct engine *e, struct op *op);
void task_extend_wait(struct engine *e, struct op *op);
/* The waiting claim of a session is over: another request came, or its end. */
void task_waits_end_of(struct engine *e, const uint8_t token[LEASE_TOKEN_BYTES]);
/* task_settle.c: what the answer of an extend says. */
void task_extend_finish(struct engine *e, struct op *op, struct lease *lease);
/* When the first wait of a claim, an extend or a show is over. */
int64_t task_waits_next_us(const struct engine *e);

/* --- the engine's steps --- */
/* Before ops are applied: what is due. After: what follows. */
void tasks_begin(struct engine *e);
void tasks_feed(struct engine *e);
int64_t tasks_next_us(const struct engine *e);
void tasks_end_waits(struct engine *e, const struct err *why);

#endif
