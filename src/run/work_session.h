/* work_session.h: a worker's session with a server: one lease under which it claims, settles and
 * says that it lives (docs/worker-protocol.md; for tasks docs/queue.md).
 *
 * Claims and settles go side by side, each on a kept connection, so that none waits for another.
 * What fails for want of a server is tried again, with growing waits, until the server has been
 * away for a while. Nothing waits but work_session_leave. Threads: one. */
#ifndef PENSTOCK_RUN_WORK_SESSION_H
#define PENSTOCK_RUN_WORK_SESSION_H

#include "run/http_client.h"
#include "run/outcomes.h"

struct work_session;

/* For what a session works. */
struct work_source {
    const char *job; /* its records, as client_job_path takes it; NULL: tasks of the queue: */
    struct str queues, functions; /* JSON arrays of names; empty: all */
};

/* `client` must outlive it; the texts are copied. */
struct work_session *work_session_new(struct client *client, const struct work_source *source,
                                      const char *worker);
void work_session_free(struct work_session *s); /* gives nothing back: work_session_leave */
DEFINE_OWNED(work_session)

enum session_news {
    SESSION_QUIET,   /* nothing (more) has happened */
    SESSION_CLAIMED, /* a claim was answered: take it from work_session_answer */
    SESSION_SETTLED, /* what was sent is durable */
    SESSION_ABORTS,  /* tasks are to be stopped: work_session_aborts */
    SESSION_LOST     /* the lease is gone, and all that it held: begin again */
};
/* Takes one piece of news: call it until it is quiet. Also sends again what is due, and keeps the
 * lease alive. False when it cannot go on: ERR_BUSY when the server is away for too long; the
 * server's own words when it refuses. `now_us` is monotonic. */
MUST_CHECK bool work_session_step(struct work_session *s, int64_t now_us, enum session_news *news,
                                  struct err *err);
/* When work_session_step is to be called at the latest; NEVER_US. */
int64_t work_session_next_us(const struct work_session *s);
/* The last claim's answer, to be taken over (record_queue_add). */
struct buf *work_session_answer(struct work_session *s);
/* The tasks that are to be stopped, as in docs/queue.md: [[9,"cancelled"],...]. Borrowed until the
 * next step. */
struct str work_session_aborts(const struct work_session *s);
/* What it said of the lease; NULL: there is none any more. */
void work_session_set_lease(struct work_session *s, const char *lease);
const char *work_session_lease(const struct work_session *s);

/* Why the server gives no answer, as of the last try; NULL: it does. Borrowed until the next step.
 */
const struct err *work_session_away(const struct work_session *s);

/* Whether a claim may be sent now: none is on the way and none has to wait. */
bool work_session_may_claim(const struct work_session *s, int64_t now_us);
/* From when on, after one that failed; monotonic. */
int64_t work_session_claim_again_us(const struct work_session *s);
bool work_session_is_claiming(const struct work_session *s);
/* Whether what the worker holds must be told with the next claim, because the answer to one was
 * lost: then it may be sent only while no outcome is neither settled nor on its way. */
bool work_session_must_tell(const struct work_session *s);
/* Claims up to `max` records, waits up to `wait_s` for the first. `running`: how many are in the
 * program's hands. `holds`: the numbers of all records the worker holds, as a JSON array without
 * its brackets, when they must be told; those on their way to be settled are added. */
MUST_CHECK bool work_session_claim(struct work_session *s, size_t max, double wait_s,
                                   size_t running, struct str holds, struct err *err);
/* Some of what is held is not wanted: the next claim tells what is (work_session_must_tell). One
 * that waits is given up. */
void work_session_give_back(struct work_session *s);
void work_session_stop_claiming(struct work_session *s);

/* Whether a settle can be sent now; how many are on their way. */
bool work_session_may_settle(const struct work_session *s);
size_t work_session_settling(const struct work_session *s);
/* Sends what is in `o`, which is exchanged for an empty one. */
MUST_CHECK bool work_session_settle(struct work_session *s, struct outcomes *o, struct err *err);
/* Gives up what is on its way and releases the lease: what it still holds is served again, unspent.
 * Waits a moment for the answer. */
void work_session_leave(struct work_session *s);

#endif
