/* in_hand.h: what is remembered of the records in workers' hands: their ids, and the bytes that
 * they were served as. As small as what is in flight. Pure bookkeeping. */
#ifndef PENSTOCK_CORE_IN_HAND_H
#define PENSTOCK_CORE_IN_HAND_H

#include "core/id_set.h"

struct in_hand;

struct held_record {
    int64_t key; /* in_hand's own */
    struct id id;
    const char *bytes; /* as served, NULL when they are not kept; in_hand's own */
    size_t len;
};

struct in_hand *in_hand_new(void);
void in_hand_free(struct in_hand *h);
DEFINE_OWNED(in_hand)
/* Puts a record in, or in its place. `bytes` are copied; a NULL pointer keeps none. */
void in_hand_put(struct in_hand *h, int64_t number, struct id id, struct str bytes);
/* NULL when it is not there. Borrowed until the next put or sweep. */
const struct held_record *in_hand_find(const struct in_hand *h, int64_t number);
/* Forgets those that `keeps` says no of. What was settled is not taken out one by one: a settlement
 * may be taken back. */
void in_hand_sweep(struct in_hand *h, bool (*keeps)(void *context, int64_t number), void *context);
void in_hand_clear(struct in_hand *h);
int64_t in_hand_count(const struct in_hand *h);

#endif
