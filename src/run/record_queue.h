/* record_queue.h: claimed records (or tasks of the queue, whole, each known by its id) on their way
 * through a program, first in, first out.
 *
 *   answered ──head──► fed, not answered ──fed──► not fed ──end──►
 *
 * The records stand as lines in the bytes of the claim's answer in which they came, which are kept
 * until the last of them is answered. Pure. */
#ifndef PENSTOCK_RUN_RECORD_QUEUE_H
#define PENSTOCK_RUN_RECORD_QUEUE_H

#include "base/buf.h"
#include "base/err.h"

struct queued_record {
    int64_t number;
    const char *line; /* ended by '\n', which len counts */
    size_t len;
    int64_t not_before_us; /* monotonic: it may not start earlier; 0: any time */
    double every_us;       /* nor sooner than nearly so long after the one before it */
    bool alone;            /* only beside others of the same answer, when all else is settled */
};

/* What the answer to a claim says besides its records. */
struct claim_answer {
    char *lease;  /* owned; NULL: none */
    size_t count; /* records that came */
    bool finished;
    int64_t slots; /* -1: no limit */
    bool paced, alone;
    int64_t alone_until_us; /* paced: nobody else starts until then (monotonic) */
    double again_s;         /* of tasks: a rate holds some back for so long; below 0: none does */
};

struct record_queue;

struct record_queue *record_queue_new(void);
void record_queue_free(struct record_queue *q);
DEFINE_OWNED(record_queue)

/* Takes the answer to a claim, received at `at_us`: its records are added. With `same_clock` the
 * server reads the monotonic clock that we read: starts count from when it answered. `answer` is
 * exchanged for an empty buf of earlier use. ERR_INTERNAL when it is no such answer (it is dropped
 * then). */
MUST_CHECK bool record_queue_add(struct record_queue *q, struct buf *answer, int64_t at_us,
                                 bool same_clock, struct claim_answer *out, struct err *err);

size_t record_queue_fed(const struct record_queue *q);   /* fed and not answered */
size_t record_queue_unfed(const struct record_queue *q); /* not fed, or not wholly */
size_t record_queue_bytes(const struct record_queue *q); /* of all that is held */
/* The first that is not answered; NULL: none is held. Borrowed until the next change. */
const struct queued_record *record_queue_head(const struct record_queue *q);
/* The first that is not wholly fed; NULL: all are. */
const struct queued_record *record_queue_next(const struct record_queue *q);

/* Up to `most` records (1 or more) that are to be fed next, as one piece of bytes: what is left of
 * the first, and those behind it that stand in the same answer and are not bound to a time. Empty
 * when all are fed. */
struct str record_queue_piece(const struct record_queue *q, size_t most);
/* So many bytes of the piece were written; returns how many records were begun by that. */
size_t record_queue_wrote(struct record_queue *q, size_t bytes);
/* Whether a record is written in part. */
bool record_queue_is_torn(const struct record_queue *q);
/* The head was answered (or given up); it must be there. */
void record_queue_pop(struct record_queue *q);
/* What was fed and is not answered is to be fed again. */
void record_queue_rewind(struct record_queue *q);
bool record_queue_has(const struct record_queue *q, int64_t number);
/* Takes one out that is here; what was fed must have been rewound. */
void record_queue_remove(struct record_queue *q, int64_t number);
/* Drops what is not fed and was to start before that moment; returns how many records. What is to
 * start at any time stays, so does what is written in part. */
size_t record_queue_drop_before(struct record_queue *q, int64_t before_us);
/* Drops everything. */
void record_queue_clear(struct record_queue *q);
/* Calls `each` with the number of every record that is held. */
void record_queue_each(const struct record_queue *q, void (*each)(void *context, int64_t number),
                       void *context);

#endif
