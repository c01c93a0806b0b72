/* step_feed.h: what has just happened to step jobs, for those who follow: kept once for all.
 *
 * The engine's thread adds, after each commit, one entry a job that changed; many readers look,
 * each with a place of its own in the sequence. An entry holds no text, so that each reader makes
 * its links itself. Of each job only the last entry is told: who has not read the one before gets
 * both in one. STEP_FEED_ENTRIES are kept; a reader that falls further behind has lost some and is
 * told so: it is to begin anew.
 *
 * A follower is told by its `wake` that there is something, once until it reads. Threads: any; one
 * mutex, under which `wake` is called: it must not block, and takes no lock but a loop's. A
 * follower is one thread's at a time. */
#ifndef PENSTOCK_ENGINE_STEP_FEED_H
#define PENSTOCK_ENGINE_STEP_FEED_H

#include "base/buf.h"
#include "base/own.h"

#define STEP_FEED_KEEP_US INT64_C(30000000)
enum { STEP_FEED_ENTRIES = 1 << 16 };

enum step_feed_kind {
    STEP_FEED_CREATED,
    STEP_FEED_CHANGED,
    STEP_FEED_STATE, /* its state is another */
    STEP_FEED_DELETED
};

struct step_feed_entry {
    int64_t job;
    enum step_feed_kind kind;
};

struct step_feed;
struct step_feed *step_feed_new(void);
void step_feed_free(struct step_feed *f); /* after the last follower; NULL is fine */
DEFINE_OWNED(step_feed)
/* Adds an entry; those who follow that owner are woken by step_feed_wake. `now_us`: monotonic. */
void step_feed_add(struct step_feed *f, struct str owner, int64_t job, enum step_feed_kind kind,
                   int64_t now_us);
void step_feed_wake(struct step_feed *f);
/* Both: tells of a job once again, as if it had changed, those who are there and have read all of
 * it. */
void step_feed_repeat(struct step_feed *f, struct str owner, int64_t job, int64_t now_us);

struct step_follower;
/* Follows one owner's jobs. It begins with the last entry of each job of the last
 * STEP_FEED_KEEP_US. */
struct step_follower *step_feed_follow(struct step_feed *f, struct str owner, int64_t now_us,
                                       void (*wake)(void *context), void *context);
/* Up to `max` entries in order; *count 0: none now, `wake` will be called. False: it fell behind,
 * and some are lost. */
MUST_CHECK bool step_follower_take(struct step_follower *who, struct step_feed_entry *out,
                                   size_t max, size_t *count);
/* `wake` is not called any more when this returns. NULL is fine. */
void step_follower_free(struct step_follower *who);
DEFINE_OWNED(step_follower)

#endif
