/* share.h: a run that takes a portion of what is left (core/portion.h): which records are of it,
 * and when it is over. Internal to engine/; the engine's thread.
 *
 * The portion of a job without ids leaves the others unread in the ledger, for later runs; with ids
 * the ledger is of this run only, and what is left out counts as done in it. When all of the
 * portion is settled the job is paused, and whoever claims is told that nothing will come. */
#ifndef PENSTOCK_ENGINE_SHARE_H
#define PENSTOCK_ENGINE_SHARE_H

#include "core/portion.h"
#include "io/source.h"

#include "core/ledger.h"

struct data_job;
struct engine;

struct share {
    struct portion asked;
    bool on;         /* it leaves something out */
    bool ended;      /* nothing of it is left to be served for the first time */
    int64_t *chosen; /* numbers, in growing order, when they were chosen beforehand */
    size_t chosen_count, chosen_cap;
    bool is_chosen;       /* they were */
    int64_t taken;        /* records served for the first time */
    int64_t known_before; /* records that were known as the run began */
    int64_t old_below;    /* of those, the numbers below this are of the portion */
};

/* A run begins with this portion. */
void share_begin(struct data_job *job, const struct portion *asked);
void share_release(struct share *s);
/* One more number is chosen; in any order until share_chosen. */
void share_choose(struct data_job *job, int64_t number);
/* All are chosen. */
void share_chosen(struct data_job *job);
/* The next unread record that may be served; -1: none. */
int64_t share_next_unread(struct data_job *job, int64_t from);
/* Whether another record that is not known yet may be served. */
bool share_reads_on(struct data_job *job);
/* Decides on a record just read that is to be served otherwise; as identity_judge. `known` is what
 * is known of its id. */
enum source_got share_judge(struct data_job *job, int64_t number, unsigned known,
                            enum record_state *as);
/* Whether this run passes a record over, for later ones: what comes behind does not wait for it. */
bool share_leaves_out(const struct data_job *job, int64_t number);
/* Whether the input was read to its end and all of it was of the portion. */
bool share_left_nothing(const struct data_job *job);
/* Ends the run when all of the portion is settled. */
void share_advance(struct engine *e, struct data_job *job);

#endif
