/* intake.h: the engine's thread and the way to it.
 *
 * Ops from any thread are queued under one mutex; the engine's thread takes all there are, steps
 * the engine once with them and sleeps until the next op or deadline. While it waits for a sync
 * more ops gather: that is the group commit. Claims and ops that only look at one thing
 * (op_only_looks), which need no sync, are applied by the thread that posts them, when nobody else
 * has the engine in hand just then. */
#ifndef PENSTOCK_ENGINE_INTAKE_H
#define PENSTOCK_ENGINE_INTAKE_H

#include "engine/engine.h"

struct intake;

/* Starts the thread. `on_fatal` is called on it when durability is in doubt; it should end the
 * process (status 75) after saying why. `engine` must outlive the intake. */
struct intake *intake_new(void);
MUST_CHECK bool intake_start(struct intake *in, struct engine *engine,
                             void (*on_fatal)(const struct err *err), struct err *err);
/* Any thread. The op is answered exactly once, also when the engine has stopped (ERR_BUSY); perhaps
 * before this returns. No lock may be held that `done` takes. */
void intake_post(struct intake *in, struct op *op);
/* The same with all that are linked by `next`, in order. */
void intake_post_all(struct intake *in, struct op *ops);
/* Posts and waits for the answer; for the CLI and tests, never on the engine's own thread. True
 * when the op went well. */
bool intake_call(struct intake *in, struct op *op);
/* For engine_options.wake: the context is the intake. Any thread. */
void intake_wake(void *intake);
/* Applies what is queued, stops the thread. Later posts are answered ERR_BUSY. */
void intake_stop(struct intake *in);
void intake_free(struct intake *in);
DEFINE_OWNED(intake)

#endif
