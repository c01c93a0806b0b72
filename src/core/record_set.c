/* record_set.c: see record_set.h. Workers settle in any order; a word goes when its last record
 * does, so that taking out never splits what is left. */
#include "core/record_set.h"

#include "base/own.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct record_word {
    int64_t index; /* of the records [64 * index, 64 * index + 64) */
    uint64_t bits;
};

static int64_t index_of(int64_t record)
{
    return record >> 6;
}

static uint64_t bit_of(int64_t record)
{
    return UINT64_C(1) << (record & 63);
}

void record_set_release(struct record_set *set)
{
    free(set->words);
    *set = (struct record_set){0};
}

/* Place of the first word that is not before `index`. */
static size_t word_at(const struct record_set *set, int64_t index)
{
    size_t low = 0, high = set->word_count;
    if (high > 0 && set->words[high - 1].index < index) /* most are added behind */
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->words[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_word(const struct record_set *set, size_t at, int64_t index)
{
    return at < set->word_count && set->words[at].index == index;
}

/* The word of this index, made where it is missing. */
static struct record_word *need_word(struct record_set *set, int64_t index)
{
    size_t at = word_at(set, index);
    if (is_word(set, at, index))
        return &set->words[at];
    if (set->word_count == set->word_cap) {
        set->word_cap = set->word_cap ? set->word_cap * 2 : 4;
        set->words = xrealloc(set->words, set->word_cap * sizeof *set->words);
    }
    memmove(set->words + at + 1, set->words + at, (set->word_count - at) * sizeof *set->words);
    set->word_count++;
    set->words[at] = (struct record_word){.index = index};
    return &set->words[at];
}

void record_set_add(struct record_set *set, int64_t record)
{
    assert(record >= 0);
    struct record_word *word = need_word(set, index_of(record));
    assert(!(word->bits & bit_of(record)));
    word->bits |= bit_of(record);
    set->size++;
}

void record_set_drop(struct record_set *set, int64_t record)
{
    size_t at = word_at(set, index_of(record));
    assert(is_word(set, at, index_of(record)) && (set->words[at].bits & bit_of(record)));
    set->words[at].bits &= ~bit_of(record);
    set->size--;
    if (set->words[at].bits)
        return;
    set->word_count--;
    memmove(set->words + at, set->words + at + 1, (set->word_count - at) * sizeof *set->words);
}

bool record_set_has(const struct record_set *set, int64_t record)
{
    size_t at = word_at(set, index_of(record));
    return is_word(set, at, index_of(record)) && (set->words[at].bits & bit_of(record));
}

void record_set_join(struct record_set *set, const struct record_set *other)
{
    for (size_t i = 0; i < other->word_count; i++) {
        struct record_word *word = need_word(set, other->words[i].index);
        set->size += __builtin_popcountll(other->words[i].bits & ~word->bits);
        word->bits |= other->words[i].bits;
    }
}

void record_set_each(const struct record_set *set, void (*each)(void *context, int64_t record),
                     void *context)
{
    for (size_t i = 0; i < set->word_count; i++)
        for (uint64_t left = set->words[i].bits; left; left &= left - 1)
            each(context, set->words[i].index * 64 + __builtin_ctzll(left));
}
