/* fragment_store.h: datasets and the fragments of their entities. Rules as in job_store.h, and on
 * the committer's thread too, within a group's transaction.
 *
 * A fragment is known by dataset, id, origin and fragment; order is by the bytes of id, origin and
 * fragment. */
#ifndef PENSTOCK_STORE_FRAGMENT_STORE_H
#define PENSTOCK_STORE_FRAGMENT_STORE_H

#include "base/buf.h"
#include "store/store.h"

/* --- datasets --- */

/* The dataset of that name; *id 0 when there is none. */
MUST_CHECK bool dataset_store_find(struct tx *tx, struct str name, int64_t *id, struct err *err);
/* The same, made when there is none. */
MUST_CHECK bool dataset_store_need(struct tx *tx, struct str name, int64_t now_us, int64_t *id,
                                   struct err *err);
/* It has so many fragments more (or less), as of now. */
MUST_CHECK bool dataset_store_count(struct tx *tx, int64_t id, int64_t by, int64_t now_us,
                                    struct err *err);
/* Forgets one that has no fragments; one that has some, or is unknown, stays as it is. */
MUST_CHECK bool dataset_store_forget(struct tx *tx, int64_t id, struct err *err);

struct dataset_row {
    int64_t id;
    struct str name;
    int64_t fragments;
    int64_t created_at_us, updated_at_us;
};
/* Up to `limit` datasets whose names come after `after`, in order of their names; each borrowed for
 * the call. */
MUST_CHECK bool dataset_store_list(struct tx *tx, struct str after, int64_t limit,
                                   void (*each)(void *context, const struct dataset_row *row),
                                   void *context, struct err *err);

/* --- fragments --- */

struct fragment_row {
    struct str id, origin, fragment; /* UTF-8 without NUL */
    struct str data;                 /* JSON */
};
/* Puts rows, or replaces those that are there (the later one of two that are the same). *added: how
 * many were not there. */
MUST_CHECK bool fragment_store_put(struct tx *tx, int64_t dataset_id,
                                   const struct fragment_row *rows, size_t count, int64_t now_us,
                                   int64_t *added, struct err *err);

/* Fragments of one id from this origin and fragment on (empty: from the first), in order, each
 * borrowed for the call, until `each` says no: that ends the walk before its row. */
typedef bool fragment_store_each(void *context, const struct fragment_row *row);
MUST_CHECK bool fragment_store_of_id(struct tx *tx, int64_t dataset_id, struct str id,
                                     struct str origin, struct str fragment,
                                     fragment_store_each *each, void *context, struct err *err);
/* The same of all ids from this one's on up to `last`, both included. */
MUST_CHECK bool fragment_store_range(struct tx *tx, int64_t dataset_id, struct str id,
                                     struct str origin, struct str fragment, struct str last,
                                     fragment_store_each *each, void *context, struct err *err);
/* The first id after `after`; false in *found when there is none. Replaces what is in `id`. */
MUST_CHECK bool fragment_store_next_id(struct tx *tx, int64_t dataset_id, struct str after,
                                       struct buf *id, bool *found, struct err *err);

/* Where a deletion goes on: the fragment that is looked at next. */
struct fragment_place {
    struct buf id, origin, fragment;
};
void fragment_place_init(struct fragment_place *place);
void fragment_place_release(struct fragment_place *place);
void fragment_place_set(struct fragment_place *place, struct str id, struct str origin,
                        struct str fragment);

/* Looks at up to `limit` fragments from `place` on and deletes those of `origin` (ptr NULL: of
 * any), of `id` alone where that is not empty. *more false: the end was reached; else place is
 * moved. */
MUST_CHECK bool fragment_store_delete(struct tx *tx, int64_t dataset_id, struct str id,
                                      struct str origin, struct fragment_place *place,
                                      int64_t limit, int64_t *deleted, bool *more, struct err *err);

#endif
