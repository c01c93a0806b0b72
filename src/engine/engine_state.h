/* engine_state.h: the engine's inside, shared by the files of engine/ only. "The
 * engine's thread" is in these files whoever has the turn (intake.h). */
#ifndef PENSTOCK_ENGINE_ENGINE_STATE_H
#define PENSTOCK_ENGINE_ENGINE_STATE_H

#include "core/event.h"
#include "engine/data_job.h"
#include "engine/engine.h"
#include "engine/feed.h"
#include "engine/job_table.h"
#include "store/ledger_store.h"
#include "store/store.h"

/* So many events are kept. */
enum { EVENTS_KEPT = 100000 };

/* What becomes of an op after its first look. */
enum op_fate {
    FATE_NOW,     /* answered at once: nothing of it needs to be durable */
    FATE_DURABLE, /* answered when the group is durable */
    FATE_WAITS    /* a claim that waits for records; a settlement of what is still far ahead */
};

struct list {
    void **items;
    size_t count, cap;
};
void list_add(struct list *l, void *item);
void list_release(struct list *l);

/* One job's part of a group on its way to the disk: copies, so that claims may go on meanwhile. */
struct staged {
    struct data_job *job;
    struct job_row row; /* to be stored; its lengths are set when the outputs are written; its
                           strings are the job's */
    struct ledger_page *pages;
    size_t page_count;
    struct attempt_row *attempts;
    size_t attempt_count;
    struct order_part order;             /* results that go out, and that wait for their turn */
    bool settles;                        /* the output's tail is synced into it */
    struct buf bad_lines, failure_lines; /* for the error file */
    struct buf notes[NOTE_KIND_COUNT];   /* for the store */
    struct sink_seal seal;               /* of the output as it is written; len 0: none */
    bool sealed;                         /* it is to be stored */
    struct err err;                      /* why this part failed */
};

#include "engine/task_state.h"

#include "engine/step_state.h"

/* What goes to the disk together and is answered together. */
struct group {
    struct list touched;  /* struct data_job: their changes go into the commit */
    struct list answers;  /* struct op: to be answered when it is durable */
    struct list ended;    /* struct data_job that may rest after it */
    struct list stores;   /* struct op: of each a portion is stored with it, see store_op.c, */
    int64_t stores_at_us; /* at this moment (wall) */
    struct event *events; /* strings owned by `texts` */
    size_t event_count, event_cap;
    struct list texts;
    struct staged *staged;
    size_t staged_count;
    struct task_group tasks; /* what was decided about tasks, */
    struct step_group steps; /* and about steps, step jobs and artifacts */
    struct err err;          /* why the store refused */
};

struct stats {
    int64_t tasks_enqueued, tasks_started, tasks_completed, tasks_retried, tasks_failed, tasks_lost,
        tasks_cancelled;
    int64_t served, written, failed, repeats, leases_ended, commits, groups, sync_us, ops;
};

struct engine {
    struct engine_options options;
    char *state_dir;
    int state_fd, lock_fd;
    struct folders *state_folders; /* the state folder, for spools and error files in it */
    uint8_t secret[32];
    struct store *store;
    struct job_table jobs;
    struct tasks *tasks;
    struct steps *steps;
    struct step_feed *step_feed; /* any thread */
    struct step_runs *step_runs; /* likewise */
    int64_t last_id;             /* the highest that a job or a task has */
    struct instant now;          /* of the step */
    struct rng rng;

    struct group building;   /* what was applied and not staged */
    struct group committing; /* staged: the committing thread's until engine_finish */
    bool in_commit;          /* between engine_begin and engine_finish */
    struct list active;      /* struct data_job with leases or waiting claims */
    struct list settled;     /* struct data_job whose group was committed: what follows from it? */
    int programs;            /* how many jobs have one */
    int watch_fd;            /* inotify, -1 before the first watch */
    struct list subscriptions;
    struct list store_ops;     /* struct op: they wait for their (next) portion; see store_op.c */
    struct list schedules;     /* struct scheduled, in order of their names; see schedules.c */
    int64_t schedules_wall_us; /* when they were looked at last */
    struct blobs *blobs;       /* any thread; see io/blob.h */
    int64_t blobs_due_us;      /* when unused blobs are looked for */
    int64_t last_event;
    int64_t progress_due_us; /* when followers are to be shown progress, NEVER_US */
    int64_t settle_due_us;   /* when tails are synced into their outputs, NEVER_US */

    struct stats stats;
    int64_t started_at_us;
    struct err failure;  /* of the last group that failed */
    int64_t retry_at_us; /* when what it has left over is stored at the latest, NEVER_US */
    bool store_failed;   /* the last group's commit: its events wait for the next one */
    bool fatal;
};

/* group.c */
/* The job's changes go into the next commit. */
void engine_touch(struct engine *e, struct data_job *job);
/* Adds an event to the group. `detail` is a JSON object or empty; copied. */
void engine_event(struct engine *e, const struct data_job *job, const char *kind,
                  struct str detail);
/* The same of tasks; `kind` is static. */
void engine_task_event(struct engine *e, const char *kind, struct str detail);
/* And of steps, step jobs and artifacts. */
void engine_step_event(struct engine *e, int64_t id, const char *name, const char *kind,
                       struct str detail);
/* A token for a new lease. */
void engine_new_token(struct engine *e, uint8_t token[LEASE_TOKEN_BYTES]);
/* Takes what was built for committing; false when there is nothing. */
bool group_stage(struct engine *e);
/* Writes and syncs outputs, commits the store. Touches only what was staged. Thread: any. */
void group_commit(struct engine *e);
/* Takes the outcome in and answers all ops of the group. What failed is taken back and its ops get
 * the error; so do those that decided something (a pause, a repair): that stands in memory and is
 * stored with a later group. */
void group_finish(struct engine *e);
/* All three at once. False (and e->fatal, and err) only when durability is in doubt. */
MUST_CHECK bool engine_flush(struct engine *e, struct err *err);
/* The same with this job in the group; false with the error also when its part failed. */
MUST_CHECK bool engine_store(struct engine *e, struct data_job *job, struct err *err);
/* What an earlier group has left over goes into the next one, once that is due. */
void engine_retry(struct engine *e);
void group_release(struct group *g);
/* Moves a job's state by the table, notes the event, touches the job. ERR_CONFLICT. */
MUST_CHECK bool engine_move(struct engine *e, struct data_job *job, enum job_verb verb,
                            struct err *err);

/* tail.c */
/* Opens an output that has a tail, so that it can be settled. One that cannot be opened is told of;
 * the store keeps its tail. */
void tail_reach(struct engine *e, struct data_job *job);
/* What is in the output by now leaves the store, what rides enters it. Thread: the one that
 * commits. */
MUST_CHECK bool tail_store(struct tx *tx, const struct staged *staged, struct err *err);
/* Stores the seal of an output that was just opened, beside the length it has without us. */
MUST_CHECK bool tail_seal(struct tx *tx, const struct data_job *job, struct err *err);
/* Takes the seal of what was synced, if that is more than the store tells of. */
MUST_CHECK bool tail_take_seal(struct staged *staged, struct err *err);
/* The job was committed: its tail will be due. */
void tail_note(struct engine *e, struct data_job *job, const struct staged *staged);
/* engine_flush, then the tail of the job's output is synced into it: to be called before the job
 * lets go of it. An output that cannot be reached is told of and left. Errors: ERR_FATAL. */
MUST_CHECK bool engine_flush_output(struct engine *e, struct data_job *job, struct err *err);
/* Once that is due, the next group settles all tails. */
void engine_settle_due(struct engine *e);

/* One file each: */
enum op_fate op_start(struct engine *e, struct op *op);
enum op_fate op_control(struct engine *e, struct op *op);
enum op_fate op_claim(struct engine *e, struct op *op);
enum op_fate op_settle(struct engine *e, struct op *op);
enum op_fate op_release_claim(struct engine *e, struct op *op);
enum op_fate op_extend(struct engine *e, struct op *op);
enum op_fate op_report(struct engine *e, struct op *op);
enum op_fate op_list(struct engine *e, struct op *op);
enum op_fate op_stats(struct engine *e, struct op *op);
enum op_fate op_doctor(struct engine *e, struct op *op);
enum op_fate op_keys(struct engine *e, struct op *op);
enum op_fate op_subscribe(struct engine *e, struct op *op);
enum op_fate op_unsubscribe(struct engine *e, struct op *op);
enum op_fate op_fragments_read(struct engine *e, struct op *op);
enum op_fate op_datasets(struct engine *e, struct op *op);
enum op_fate op_blob_forget(struct engine *e, struct op *op);
enum op_fate op_schedules(struct engine *e, struct op *op);
enum op_fate op_enqueue(struct engine *e, struct op *op);
enum op_fate op_task_claim(struct engine *e, struct op *op);
enum op_fate op_task_settle(struct engine *e, struct op *op);
enum op_fate op_task_extend(struct engine *e, struct op *op);
enum op_fate op_task_release(struct engine *e, struct op *op);
enum op_fate op_task_show(struct engine *e, struct op *op);
enum op_fate op_task_list(struct engine *e, struct op *op);
enum op_fate op_task_errors(struct engine *e, struct op *op);
enum op_fate op_task_status(struct engine *e, struct op *op);
enum op_fate op_task_control(struct engine *e, struct op *op);
enum op_fate op_gates(struct engine *e, struct op *op);
enum op_fate op_limits(struct engine *e, struct op *op);
enum op_fate op_workers(struct engine *e, struct op *op);
enum op_fate op_flow_start(struct engine *e, struct op *op);
enum op_fate op_flow_show(struct engine *e, struct op *op);
enum op_fate op_flow_list(struct engine *e, struct op *op);
enum op_fate op_flow_nodes(struct engine *e, struct op *op);
enum op_fate op_flow_abort(struct engine *e, struct op *op);
enum op_fate op_flow_delete(struct engine *e, struct op *op);
enum op_fate op_flow_put(struct engine *e, struct op *op);
enum op_fate op_flow_get(struct engine *e, struct op *op);
enum op_fate op_flow_lock(struct engine *e, struct op *op);

/* store_op.c */
/* An op that only changes rows: it waits for a place in a group. */
enum op_fate op_store(struct engine *e, struct op *op);
/* The group that is built takes portions of them along. */
void store_ops_build(struct engine *e);
/* Writes these portions. Thread: the committer's. */
MUST_CHECK bool store_ops_write(struct tx *tx, const struct group *g, struct err *err);
/* The group is finished: answers those that are at their end or have failed. */
void store_ops_finish(struct engine *e, const struct group *g);
/* Answers all that wait with an error. */
void store_ops_end(struct engine *e, const struct err *why);

/* schedules.c */
MUST_CHECK bool schedules_load(struct engine *e, struct err *err);
void schedules_free(struct engine *e);
/* Enqueues the ticks that are due. */
void schedules_due(struct engine *e);
/* When the next one is (monotonic), NEVER_US. */
int64_t schedules_next_us(const struct engine *e);
/* The part of op_release about schedules. */
void schedule_op_release(struct op *op);

/* blob_keeper.c */
/* Takes the folder of blobs into use, and removes what no row tells of. */
MUST_CHECK bool blobs_take_up(struct engine *e, struct err *err);
/* A group lets go of a blob, or notes one that nothing needs yet: it will be looked at. */
void blobs_stir(struct engine *e);
/* Holds rows and files against each other: tells of each that misses the other, and how many rows
 * there are. */
MUST_CHECK bool blobs_check(struct engine *e, void (*tell)(void *context, const char *fault),
                            void *context, int64_t *count, struct err *err);
/* Once that is due, removes some that nothing has referred to for long. */
void blobs_collect_due(struct engine *e);

/* fragments.c: the parts of op_init and op_release about fragments. */
void fragment_op_init(struct op *op);
void fragment_op_release(struct op *op);

/* task_op.c: the parts of op_init and op_release about tasks. */
void task_op_init(struct op *op);
void task_op_release(struct op *op);

/* Finds the op's job and checks the asker's right; sets op->of, or err and refusal. */
MUST_CHECK bool op_find_job(struct engine *e, struct op *op);
/* Refuses an op with a kind of refusal. Always FATE_NOW. */
enum op_fate op_refuse(struct op *op, enum op_refusal refusal, enum err_code code,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Answers an op at once, or has it answered with the group; one that waits stays where it is. */
void op_meet_fate(struct engine *e, struct op *op, enum op_fate fate);

/* claim.c */
/* Tries the waiting claims of a job again; answers those that got something or need not wait. */
void claims_feed(struct engine *e, struct data_job *job);
/* After a start or a repair, and again in each step as long as job->looks_for_end: a job with
 * nothing known to do looks whether its input is at its end, and is complete then. Nobody may be
 * left to ask it for more. */
void claims_look_for_end(struct engine *e, struct data_job *job);
/* Answers all waiting claims of a job as finished, or with an error (NULL: finished). */
void claims_end(struct data_job *job, const struct err *why);
/* Whether a waiting claim is kept whatever its time: what it waits for wakes the engine. */
bool claim_is_held(const struct data_job *job, const struct op *op);
/* Whether whoever asked has gone. */
bool claim_is_given_up(const struct op *op);
/* Answers claims whose wait is over. */
void claims_time_out(struct engine *e, struct data_job *job);
/* Puts a job on the list of those with deadlines. */
void engine_activate(struct engine *e, struct data_job *job);

/* A new lease as the claim asks, NULL when neither it nor the job says how long. */
struct lease *claim_new_lease(struct engine *e, struct data_job *job, const struct op *op);
/* Gives back what a claim of the failed group has taken. */
void claim_revert(struct data_job *job, struct op *op);
/* Gives a claim's records back as if never served, out of this lease (NULL: there was none). */
void claim_take_back(struct data_job *job, struct str records, struct lease *lease);
/* Refuses waiting claims of this lease: it has ended, or claims anew. */
void claims_end_of(struct data_job *job, const uint8_t token[LEASE_TOKEN_BYTES]);

/* session.c */
/* The kept lease that a claim adds to; NULL when it has none (any more). */
struct lease *session_of(const struct data_job *job, const struct op *op);
/* Finds or makes the lease of a claim that wants a kept one. False when the claim is refused. */
MUST_CHECK bool session_begin(struct engine *e, struct data_job *job, struct op *op);
/* Puts the lease into the answer of a claim that wants one. False when it has ended: the claim is
 * refused. */
MUST_CHECK bool session_answer(struct engine *e, struct data_job *job, struct op *op);
/* Nobody hears the claim's answer. */
void session_abandon(struct engine *e, struct data_job *job, struct op *op);
/* A sign of life: a kept lease ends not before its span from then. */
void session_lives(struct data_job *job, struct lease *lease, int64_t from_us);

/* settle.c */
/* Goes on with the settlements that wait until reading has reached what they name. */
void settles_go_on(struct engine *e, struct data_job *job);
/* Answers them with an error. */
void settles_end(struct data_job *job, const struct err *why);
/* Takes an op's settlements back after its group failed. */
void settle_revert(struct engine *e, struct op *op);
/* Records whose wait for their next attempt is over are unread. */
void delays_end_due(struct engine *e, struct data_job *job);
/* Puts a record down as failed (with a line in `lines` for the error file; returns true), or to be
 * tried again. The reason is a text, or JSON where that is not empty. */
bool settle_fail(struct engine *e, struct data_job *job, int64_t record, bool final,
                 struct buf *lines, const char *reason, struct str reason_json);

/* limits.c */
/* Takes the job's limits from its spec. */
void limits_set(struct data_job *job);
/* A job that was there before the engine was opened: permits of that time may be in use still, so
 * that its next one comes a little later. */
void limits_resume(struct engine *e, struct data_job *job);
/* How many records the claim may take now, into op->claim.most; false when none, and in
 * op->claim.held_up why. */
MUST_CHECK bool limits_allow(struct engine *e, struct data_job *job, struct op *op);
/* Puts into an answer what its worker may do with its records, and takes the permits. */
void limits_answer(struct engine *e, struct data_job *job, struct op *op);
/* Whether the session of a waiting claim is to be told of another share, records or not. */
bool limits_changed(const struct data_job *job, const struct op *op);
/* A session comes; its worker says how many records it runs now (-1: it does not say). */
void limits_join(struct engine *e, struct data_job *job, struct lease *session);
void limits_report(struct data_job *job, const struct lease *session, int64_t running);
/* Something may have come free: waiting claims are looked at again. */
void limits_wake(struct data_job *job);
/* A service said of this record, which is in its lease still, that it was too much. */
void limits_slow(struct engine *e, struct data_job *job, int64_t record);

/* suspects.c */
/* How many of its kind may be served together with this record, and nothing else; 0: it is no
 * suspect, or this lease does not care. */
int64_t suspects_together(const struct data_job *job, const struct lease *lease, int64_t record);
/* Whether the lease holds records that are to be settled before it gets others. */
bool suspects_are_open(struct data_job *job, struct lease *lease);
/* A session is lost: what it holds is unread again, and suspect; or failed when it was proven to
 * kill. `how` says what became of its worker, as "was killed by signal 9". Returns how many failed.
 */
int64_t suspects_lose(struct engine *e, struct data_job *job, const struct lease *lease,
                      struct str how);
/* A worker has survived the record. */
void suspects_forget(struct data_job *job, int64_t record);

/* lose.c */
/* Ends leases that are due: their workers are lost. */
void leases_end_due(struct engine *e, struct data_job *job);
/* Ends a lease whose worker is gone: what it held is served again. An ordinary lease spends an
 * attempt of each record. */
void lease_lose(struct engine *e, struct data_job *job, struct lease *lease, struct str how);
/* Gives back all that a lease holds, no attempt spent, and ends it. */
void lease_give_back(struct data_job *job, struct lease *lease);

/* advance.c */
/* Completes the job if nothing is left, fails it if its program did, closes what is done with. */
void job_advance(struct engine *e, struct data_job *job);
/* The job cannot go on: what of it, and why. */
void job_fail(struct engine *e, struct data_job *job, const char *what, const char *why);

/* start.c */
/* Puts a stored job back into the table; takes the row over. One that cannot be read is there, too,
 * as unreadable: it keeps nobody from the others. */
void engine_load_job(struct engine *e, struct job_row *row);
/* Serves everything again that is not done (nor failed, unless `with_failed`). Touches the job. */
void engine_reopen(struct engine *e, struct data_job *job, bool with_failed);
/* A job whose portion is over goes on with what that has left out. */
MUST_CHECK bool engine_go_beyond(struct engine *e, struct data_job *job, struct err *err);
void engine_remove_spools(const struct engine *e, const struct data_job *job);

/* engine.c */
/* Takes a job whose row is deleted out of every list and frees it. */
void engine_forget_job(struct engine *e, struct data_job *job);

/* feed.c */
void feed_publish(struct engine *e, const struct event *events, size_t count);
/* Shows followers how far jobs are that moved since they were last shown. */
void feed_progress(struct engine *e);

/* watch.c */
/* Wakes the engine when this input grows; best effort (network file systems do not tell). */
void watch_job(struct engine *e, struct data_job *job);
void watch_drain(struct engine *e);

#endif
