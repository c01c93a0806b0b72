/* fuzz.h: what every fuzz target defines, and how it states what must hold. */
#ifndef PENSTOCK_TESTS_FUZZ_H
#define PENSTOCK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Feeds one input to a parser; always 0. Aborts when the parser breaks a promise. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert, but said in the words of the target: a property that every input must keep. */
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
