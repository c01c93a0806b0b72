/* lease.h: one worker's hold on records of a data job, until a deadline. Pure bookkeeping: no
 * clock, no I/O; the ledger says which of them are still in flight. */
#ifndef PENSTOCK_CORE_LEASE_H
#define PENSTOCK_CORE_LEASE_H

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

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
/* By token, compared in constant time; NULL when there is none. */
struct lease *leases_find(const struct leases *all, const uint8_t token[LEASE_TOKEN_BYTES]);
/* The lease that holds a record, NULL when none does. */
struct lease *leases_holder(const struct leases *all, int64_t record);
/* Whether the lease is (still) one of these; `l` is not looked into. */
bool leases_has(const struct leases *all, const struct lease *l);
/* The one that ends first, NULL when there is none. */
struct lease *leases_first(const struct leases *all);
int64_t leases_count(const struct leases *all);
/* Frees one lease. */
void leases_end(struct leases *all, struct lease *l);
void leases_clear(struct leases *all);
/* Ends those that hold nothing any more. */
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
/* Walks its records in order. */
void lease_each(const struct lease *l, void (*each)(void *context, int64_t record), void *context);

#endif
