/* ledger.h: what is known of each record of a data job: two bits each, in pages of 4,096.
 *
 * The ledger knows the records that reading has reached: [0, known). Beside the bits a page keeps
 * the place where a reader can start to get at its first record, so that nothing before it is ever
 * read again. Counts are kept per page and in all, so that finding what is left to do skips whole
 * pages.
 *
 * Not everything is stored: which records are in flight is not (after a crash they are unread
 * again), and a page is stored when it was settled into, with the next commit. */
#ifndef PENSTOCK_CORE_LEDGER_H
#define PENSTOCK_CORE_LEDGER_H

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

enum record_state { RECORD_UNREAD, RECORD_SERVED, RECORD_DONE, RECORD_FAILED, RECORD_STATE_COUNT };

#define LEDGER_PAGE_RECORDS 4096
#define LEDGER_PAGE_BYTES (LEDGER_PAGE_RECORDS / 4)
#define LEDGER_RECORDS_MAX (INT64_C(1) << 46)

/* Where a reader can start: the record `record` begins `bytes` into the (decompressed) input, on
 * the physical line `line` (from 1). */
struct place {
    int64_t record, bytes, line;
};

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);
DEFINE_OWNED(ledger)

/* How many records reading has reached. */
int64_t ledger_known(const struct ledger *l);
/* How many of the known ones are in this state. */
int64_t ledger_count(const struct ledger *l, enum record_state state);
/* State of one record; RECORD_UNREAD beyond the known. */
enum record_state ledger_get(const struct ledger *l, int64_t record);
/* Sets it, returns what it was. `record` is known. A change marks its page for storing with the
 * next commit; serving alone causes none. */
enum record_state ledger_set(struct ledger *l, int64_t record, enum record_state state);
/* One more record is known, number ledger_known(), in this state. When it opens a page, `from` is
 * the place to start reading from to get at it (from.record <= its number). */
void ledger_append(struct ledger *l, struct place from, enum record_state state);

/* The first unread record in [from, known), or -1. Pages without any are skipped. */
int64_t ledger_next_unread(const struct ledger *l, int64_t from);
/* Where to start reading for `record` (known). */
struct place ledger_place(const struct ledger *l, int64_t record);

/* Everything in flight is unread again (repair). Returns how many. */
int64_t ledger_unserve(struct ledger *l);
/* Everything failed is unread again. Returns how many. */
int64_t ledger_unfail(struct ledger *l);
/* Forgets all (clean start). */
void ledger_clear(struct ledger *l);

/* Storing. A page as stored: its bits, little-endian within a byte (record 0 in the low two bits),
 * served written as unread unless `keep_served`. */
struct ledger_page {
    int64_t number; /* of the page */
    struct place place;
    uint8_t bits[LEDGER_PAGE_BYTES];
};

/* How many pages changed since ledger_stored. */
size_t ledger_changed_count(const struct ledger *l);
/* Copies of all of them. */
void ledger_changed(const struct ledger *l, bool keep_served, struct ledger_page *out);
/* Storing a page failed: it counts as changed. */
void ledger_change_page(struct ledger *l, int64_t page);
/* All changed pages are stored. */
void ledger_stored(struct ledger *l);
/* Puts a stored page back; pages come in order, from 0, without gaps. False when the page is
 * damaged (wrong number or place): nothing is changed. */
MUST_CHECK bool ledger_load_page(struct ledger *l, const struct ledger_page *page);
/* After the last page: how many records were known. False when that does not fit the pages, or when
 * they tell of records behind it. */
MUST_CHECK bool ledger_load_known(struct ledger *l, int64_t known);

/* Walks everything and compares counts with bits; asserts on a mistake. For tests and doctor. */
void ledger_check(const struct ledger *l);

#endif
