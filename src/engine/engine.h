/* engine.h: the rules, the store, sources and sinks as one running service, step by step.
 *
 * engine_step applies a list of ops at one instant: everything found in one group, made durable
 * once, then answered. It owns no thread and reads no clock, so that the simulation drives it in
 * virtual time; intake.h puts a thread and a clock around it for the server. */
#ifndef PENSTOCK_ENGINE_ENGINE_H
#define PENSTOCK_ENGINE_ENGINE_H

#include "base/rng.h"
#include "engine/op.h"
#include "io/folder.h"
#include "io/program.h"

struct engine;

struct engine_options {
    const char *state_dir;                    /* made when missing, mode 0700 */
    const struct folders *folders;            /* outlive the engine */
    const struct programs *readers, *writers; /* outlive the engine; NULL: none */
    void (*wake)(void *context); /* any thread: a program has more; NULL when nobody runs them */
    void *wake_context;
    int64_t slice_bytes;   /* so much of an input is read in one go for nobody; 0: the usual */
    int64_t slice_rows;    /* so many rows of steps' lists are summed up in one go; 0: the usual */
    int64_t list_work;     /* a page that takes more (stmt_limit) is found so; 0: the usual */
    int64_t blob_grace_us; /* how long a blob that nothing refers to is kept; 0: the usual, a day */
    int64_t held_records;  /* so many results wait at most for their turn; 0: the usual */
    int64_t keep_tasks_us; /* so long tasks are kept that have ended; 0: the usual */
    int64_t keep_tasks;    /* and so many of them at most; 0: the usual */
    int64_t flow_portion;  /* so many nodes are defaulted or left in one go; 0: the usual */
    bool seeded;           /* tokens from `seed` instead of the system (simulation) */
    uint64_t seed;
};

/* Opens the state folder (one process at a time: ERR_BUSY names the other), the store and every job
 * in it; outputs are cut back to what was committed. */
MUST_CHECK bool engine_open(const struct engine_options *options, struct instant now,
                            struct engine **out, struct err *err);
/* Lets go of everything without writing. Waiting ops are answered ERR_BUSY first. */
void engine_free(struct engine *e);
DEFINE_OWNED(engine)

/* Applies the ops (linked by `next`, in order), makes the group durable, calls `done` on each that
 * is answered; claims that wait stay with the engine. Also ends leases that are due. False when
 * durability is in doubt (ERR_FATAL): the process must stop; nothing more was acknowledged, and ops
 * that were not answered are answered with that error. */
MUST_CHECK bool engine_step(struct engine *e, struct op *ops, struct instant now, struct err *err);

/* The same in parts, for who wants to hand out records while the disk is waited for. Between
 * engine_begin (or engine_finish) with *pending and the next engine_finish, engine_commit must run
 * once, on any thread, and beside it only engine_claim_meanwhile may be called, by one at a time:
 *
 *     ok = engine_begin(e, ops, now, &pending, &err);
 *     while (ok && pending) {
 *         engine_commit(e);
 *         ok = engine_finish(e, now, &pending, &err);
 *     } */
MUST_CHECK bool engine_begin(struct engine *e, struct op *ops, struct instant now, bool *pending,
                             struct err *err);
void engine_commit(struct engine *e);
/* Applies one OP_CLAIM. */
void engine_claim_meanwhile(struct engine *e, struct op *claim, struct instant now);
MUST_CHECK bool engine_finish(struct engine *e, struct instant now, bool *pending, struct err *err);
/* Before a stop: syncs into the outputs what the store has of them. Nothing depends on it. Errors:
 * ERR_FATAL. */
MUST_CHECK bool engine_settle(struct engine *e, struct instant now, struct err *err);
/* Answers the ops that wait, ERR_BUSY: nothing will be stepped any more. */
void engine_end_waits(struct engine *e);
/* When engine_step must be called next without any op (monotonic), NEVER_US when not at all. */
int64_t engine_next_us(const struct engine *e);

/* A descriptor that becomes readable when engine_step should be called because an input grew; -1
 * when there is none (it may come later). Borrowed. */
int engine_watch_fd(const struct engine *e);

/* The hash under which a token is stored: keyed with the state folder's secret, so that the store
 * alone does not give tokens away. Threads: any. */
void engine_token_hash(const struct engine *e, struct str token, uint8_t out[TOKEN_HASH_BYTES]);
/* The blobs of the state folder: whoever puts one holds its pin until the engine has answered
 * OP_BLOB_NOTE. Threads: any. */
struct blobs *engine_blobs(const struct engine *e);
/* What happens to step jobs, for followers (step_feed.h): they are gone before the engine is.
 * Threads: any. */
struct step_feed;
struct step_feed *engine_step_feed(const struct engine *e);
/* Which runs of step jobs go on (step_runs.h). Threads: any. */
struct step_runs;
struct step_runs *engine_step_runs(const struct engine *e);
/* Opens the error file of a job, as shown, for reading. Errors: as folders_open. Threads: any. */
MUST_CHECK bool engine_open_errors(const struct engine *e, const struct job_view *view, int *fd,
                                   struct err *err);

#endif
