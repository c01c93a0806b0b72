/* lease.h: one worker's hold on records of a data job, until a deadline. Pure bookkeeping: no
 * clock, no I/O; the ledger says which of them are still in flight.
 *
 * A lease comes with one claim and goes with its last record; a kept one is a worker's session: it
 * stays when it holds nothing, and later claims add to it. */
#ifndef PENSTOCK_CORE_LEASE_H
#define PENSTOCK_CORE_LEASE_H

#include "base/buf.h"
#include "core/record_set.h"

#define LEASE_TOKEN_BYTES 16

struct lease;
struct leases;

/* All leases of one job. */
struct leases *leases_new(void);
void leases_free(struct leases *all);
DEFINE_OWNED(leases)

/* A new lease, owned by `all`, empty, until ends_us (monotonic; NEVER_US for none), with its token.
 */
struct lease *leases_add(struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES],
                         int64_t ends_us);
/* One that was there before: it has that number, and later ones have higher. */
struct lease *leases_restore(struct leases *all, int64_t number,
                             const uint8_t token[LEASE_TOKEN_BYTES], int64_t ends_us);
/* Later ones have numbers above this. */
void leases_number_from(struct leases *all, int64_t number);
/* By token, compared in constant time; NULL when there is none. */
struct lease *leases_find(const struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES]);
/* The lease that holds a record, NULL when none does. */
struct lease *leases_holder(struct leases *all, int64_t record);
/* By its number, NULL when it has ended. */
struct lease *leases_by_number(const struct leases *all, int64_t number);
/* Each of them, in no order, place 0 to leases_count - 1. */
struct lease *leases_at(const struct leases *all, size_t place);
/* The one that ends first, NULL when there is none. */
struct lease *leases_first(const struct leases *all);
int64_t leases_count(const struct leases *all);
/* Frees one lease. */
void leases_end(struct leases *all, struct lease *l);
void leases_clear(struct leases *all);
/* Ends those that hold nothing any more and are not kept. */
void leases_sweep(struct leases *all);

/* Adds a record that is not in it; cheapest in growing order. A record is in one lease at most. */
void lease_add(struct lease *l, int64_t record);
/* Takes out a record that it holds: settled, or given back. */
void lease_drop(struct lease *l, int64_t record);
bool lease_holds(const struct lease *l, int64_t record);
/* How many records it holds. */
int64_t lease_open(const struct lease *l);
int64_t lease_ends_us(const struct lease *l);
void lease_extend(struct leases *all, struct lease *l, int64_t ends_us);
const uint8_t *lease_token(const struct lease *l);
/* Above 0, never given twice within one job's leases; later ones have higher numbers. */
int64_t lease_number(const struct lease *l);
/* What it holds; borrowed until it changes. */
const struct record_set *lease_records(const struct lease *l);
/* Walks its records in order. */
void lease_each(const struct lease *l, void (*each)(void *context, int64_t record), void *context);

/* From now on it is kept, for a worker of that name (copied; may be empty); each of its requests
 * lets it live for span_us more. */
void lease_keep(struct lease *l, struct str worker, int64_t span_us);
bool lease_is_kept(const struct lease *l);
/* "" when it is not kept or has no name. */
const char *lease_worker(const struct lease *l);
int64_t lease_span_us(const struct lease *l);
/* When the first of its records may start, where starts have moments (monotonic); 0: at once. */
int64_t lease_starts_us(const struct lease *l);
void lease_set_starts(struct lease *l, int64_t starts_us);
/* Whether some of what it holds was given to be run with nothing else beside. */
bool lease_is_alone(const struct lease *l);
void lease_set_alone(struct lease *l, bool alone);
void lease_set_span(struct lease *l, int64_t span_us);

/* A claim is answered: counts it, returns the answer's number. */
int64_t lease_count_answer(struct lease *l);
/* The worker knows of these records only: takes out the others and returns them (the caller's to
 * release). All answers so far are accounted for. */
struct record_set lease_recall(struct lease *l, const struct record_set *known);
/* Whether a recall came after that answer: what became of its records is known. */
bool lease_was_recalled(const struct lease *l, int64_t answer);

#endif
