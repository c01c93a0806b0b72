/* record_set.h: a set of record numbers that lie more or less together: 64 a word, words sorted. A
 * step costs a search among the words, whatever the order in which records come and go. Pure.
 * Thread: its owner's. */
#ifndef PENSTOCK_CORE_RECORD_SET_H
#define PENSTOCK_CORE_RECORD_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is valid and empty. */
struct record_set {
    struct record_word *words; /* owned; none is 0 */
    size_t word_count, word_cap;
    int64_t size; /* how many records are in it */
};

/* Frees its memory; it is empty afterwards. */
void record_set_release(struct record_set *set);
/* Adds a record (>= 0) that is not in it; cheapest in growing order. */
void record_set_add(struct record_set *set, int64_t record);
/* Takes out a record that is in it. */
void record_set_drop(struct record_set *set, int64_t record);
bool record_set_has(const struct record_set *set, int64_t record);
/* Adds all records of another set, whichever are in it already. */
void record_set_join(struct record_set *set, const struct record_set *other);
/* Walks in growing order. `each` must not change the set. */
void record_set_each(const struct record_set *set, void (*each)(void *context, int64_t record),
                     void *context);

#endif
