/* rng.h: randomness. Rules and the simulation take a seeded `struct rng`; secrets come from the
 * system. */
#ifndef PENSTOCK_BASE_RNG_H
#define PENSTOCK_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256**: fast, good enough for everything but secrets. */
struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* Uniform in [0, n), n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

/* Unpredictable bytes from the system; aborts when the system has none. */
void random_bytes(void *out, size_t len);

#endif
