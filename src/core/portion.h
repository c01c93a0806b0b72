/* portion.h: how much of what is left one run of a job takes. Pure rules. */
#ifndef PENSTOCK_CORE_PORTION_H
#define PENSTOCK_CORE_PORTION_H

#include "base/buf.h"
#include "base/err.h"

#define PORTION_SAMPLE_MAX 10000000

/* Zeroes: all of it. */
struct portion {
    int64_t limit;  /* > 0: at most so many records */
    int64_t sample; /* > 0: so many, chosen at random from the whole input by `seed` */
    uint64_t seed;
    bool only_failed;   /* exactly those that have failed in earlier runs */
    bool retry_skipped; /* those that gave nothing to write are tried again, too */
};

/* Reads {"limit", "sample", "seed", "only_failed", "retry_skipped"}, all of which may be absent or
 * null. ERR_INVALID names what is wrong; `out` is then untouched. */
MUST_CHECK bool portion_read(struct str json, struct portion *out, struct err *err);
void portion_write(const struct portion *p, struct buf *out);
/* Whether it leaves anything out. */
bool portion_is_part(const struct portion *p);

/* Draws a sample from numbers that come one after the other: the `size` with the smallest keyed
 * hashes, so that the same seed and the same numbers give the same sample. */
struct sample;

struct sample *sample_new(int64_t size, uint64_t seed);
void sample_free(struct sample *s);
DEFINE_OWNED(sample)
void sample_offer(struct sample *s, int64_t number);
/* The numbers drawn, in growing order, to be freed; *count of them. */
int64_t *sample_take(struct sample *s, size_t *count);

#endif
