/* flow_state.h: the engine's inside about flows, shared by engine/flow_*.c and engine/task_*.c
 * only. The engine's thread; while a group is being committed nothing here is touched.
 *
 * Every flow is in memory with its row; one that runs has its marks, too (core/flow_marks.h). Its
 * nodes are tasks, whose ids follow each other in the order of the list. How a task goes moves the
 * mark of its node (flow_task_*), and what has ended is stored with the same group. When a commit
 * fails, all of this is thrown away and read again, as tasks are. */
#ifndef PENSTOCK_ENGINE_FLOW_STATE_H
#define PENSTOCK_ENGINE_FLOW_STATE_H

#include "engine/op.h"
#include "store/flow_store.h"

struct engine;
struct task;
struct task_note;

struct id_list {
    int64_t *items;
    size_t count, cap;
};
void id_list_add(struct id_list *l, int64_t id);
void id_list_release(struct id_list *l);

struct flow_job {
    struct flow_store_row row; /* texts owned, behind these: */
    char *name, *pools, *variables;
    struct flow_marks *marks; /* from its start until its end is committed; else NULL */
    uint32_t *places;         /* of its tasks, in their order */
    int64_t stop_at; /* it stops: of its tasks those before this one may have to be left yet */
    bool in_group;
};

/* A node that has ended: what of it is to be stored. */
struct flow_change {
    struct flow_job *flow;
    struct task_note *note; /* has its error's text until the commit */
    struct flow_node_row row;
};

/* A run begins: all nodes are new. */
struct flow_begin {
    struct flow_job *flow;
    struct flow_node_row *rows; /* owned; texts of the op, or in `texts` */
    size_t count;
    char **texts; /* owned */
    size_t text_count;
    bool clears;                       /* the context */
    const struct flow_preset *presets; /* the op's */
    size_t preset_count;
};

/* What happened to a flow: told behind what happened to its tasks. */
struct flow_event {
    const char *kind;
    struct buf detail;
};

/* The part of a group about flows. */
struct flow_group {
    struct flow_job **touched; /* their rows are stored */
    size_t touched_count, touched_cap;
    struct flow_change *changes;
    size_t change_count, change_cap;
    struct flow_begin *begins;
    size_t begin_count;
    int64_t *deletes; /* ids */
    size_t delete_count;
    struct flow_event *events;
    size_t event_count;
    int64_t now_us; /* wall; when it was staged */
};

struct flows {
    struct flow_job **list; /* in order of their ids */
    size_t count;
    size_t running;           /* so many of them have marks */
    struct op *shows, *locks; /* that wait, the oldest first */
    bool cascades;            /* what is cancelled now waited for what has failed */
    struct id_list cascade;   /* tasks that did not complete, whose children are to be told: from */
    size_t cascade_at;        /* this one on */
    size_t stopping;          /* so many have a stop_at */
    int64_t portion;          /* so much is done yet in this step, see flow_cascade.c */
    bool look;                /* something that those who wait might wait for has happened */
};

/* --- flow_state.c --- */
struct flows *flows_new(void);
/* Reads them all, marks of those that run too; tasks were read before. */
MUST_CHECK bool flows_load(struct engine *e, struct tx *tx, struct err *err);
void flows_forget(struct engine *e);
/* Forgets them and ends; ops that wait were answered. */
void flows_free(struct engine *e);
/* The flow that the op names; NULL: refused. */
struct flow_job *flow_find(struct engine *e, struct op *op);
struct flow_job *flow_by_name(const struct engine *e, struct str name);
/* A new one, that nothing knows of yet; takes its place in the list. */
struct flow_job *flow_add(struct engine *e, int64_t id, struct str name);
/* It is gone: takes it off the list and frees it. */
void flow_drop(struct engine *e, struct flow_job *flow);
/* Lets go of its marks. */
void flow_rest(struct engine *e, struct flow_job *flow);
/* Its row goes with the group. */
void flow_touch(struct engine *e, struct flow_job *flow);
/* Puts an event on the group's list; `behind`: after those of tasks. */
void flow_event(struct engine *e, const struct flow_job *flow, const char *kind, bool behind);
/* Nothing of it is open any more: what its run was. */
void flow_finish(struct engine *e, struct flow_job *flow);
/* Names of its queue, and of the key and the limit of a pool; to be freed. */
char *flow_queue_name(struct str flow);
char *flow_pool_key(struct str flow, struct str pool);

/* --- what becomes of tasks (task_*.c tell) --- */
/* Whether the task is a flow's, of this run or the last. */
bool flow_has_task(const struct engine *e, int64_t task);
/* A task was handed out; waits again; has ended. */
void flow_task_started(struct engine *e, const struct task *t);
void flow_task_waits(struct engine *e, const struct task_note *note);
/* Returns whether a failure is final for those who wait for it, too: it is a flow's. */
bool flow_task_ended(struct engine *e, struct task_note *note, enum job_state state);
/* What its worker gets as arguments, where it is a flow's; false: it is none, nothing is written.
 */
bool flow_write_arguments(const struct engine *e, int64_t task, struct str row, struct buf *out);

/* --- flow_wait.c: shows and locks that wait --- */
void flow_wait(struct op **list, struct op *op);
void flows_look(struct engine *e);
int64_t flows_next_us(const struct engine *e);
void flows_end_waits(struct engine *e, const struct err *why);
/* What a flow is now. */
MUST_CHECK bool flow_view_fill(struct engine *e, struct flow_job *flow, bool whole,
                               struct flow_view *view, struct err *err);

/* --- flow_lock.c --- */
/* The run of that task is over: it holds no lock any more. */
void flow_lock_leave(struct engine *e, struct flow_job *flow, int64_t task);
/* Answers a waiting lock, when that can be: true. */
bool flow_lock_try(struct engine *e, struct op *op);

/* --- flow_control.c --- */
/* Ends all of its run at once, what runs too, as if its workers were gone. */
void flow_end_at_once(struct engine *e, struct flow_job *flow);
/* Takes away the limits of its pools. */
void flow_drop_pools(struct engine *e, const struct flow_job *flow);
/* The tasks of its last run are forgotten. */
MUST_CHECK bool flow_forget_tasks(struct engine *e, const struct flow_job *flow, struct err *err);

/* --- flow_cascade.c --- */
/* Who waits for the task, which has ended otherwise, is told: some of them at once, as long as this
 * step's portion lasts (flow_cascade_go), the others with the next steps. */
void flow_cascade_add(struct engine *e, int64_t parent);
void flow_cascade_go(struct engine *e);
/* What a cascade of before had yet to come to, of a flow that was just loaded. */
void flow_cascade_resume(struct engine *e, const struct flow_job *flow);
/* Nothing of it starts; or may start again. */
void flow_close(struct engine *e, const struct flow_job *flow, bool closed);
/* Leaves what of flows with a stop_at does not run: a portion; of one flow all. */
void flow_stops_go(struct engine *e);
void flow_stop_whole(struct engine *e, struct flow_job *flow);
/* A step begins: the next portion of all this. Whether there is more. */
void flows_step(struct engine *e);
bool flows_go_on(const struct engine *e);

/* --- flow_context.c --- */
/* The committer's part of OP_FLOW_PUT. */
MUST_CHECK bool flow_put_store(struct tx *tx, struct op *op, int64_t now_us, struct err *err);
/* A text as Python reads it: a pickle of a str. */
void flow_pickle_text(struct str text, struct buf *out);

/* --- flow_group.c --- */
bool flows_stir(const struct flow_group *g);
void flows_stage(struct engine *e, struct flow_group *g);
void flow_events_stage(struct engine *e, struct flow_group *g);
MUST_CHECK bool flows_store(struct tx *tx, const struct flow_group *g, struct err *err);
void flows_committed(struct engine *e, struct flow_group *g);
void flow_group_release(struct flow_group *g);
/* Where a group's changes are noted. */
void flow_group_change(struct flow_group *g, const struct flow_change *change);
void flow_group_begin(struct flow_group *g, const struct flow_begin *begin);
void flow_group_delete(struct flow_group *g, int64_t id);
/* It is begun anew, or gone: what was noted of its nodes is void. */
void flow_group_drop(struct flow_group *g, const struct flow_job *flow);

/* flow_op.c: the parts of op_init and op_release about flows. */
void flow_op_init(struct op *op);
void flow_op_release(struct op *op);

#endif
