/* shell_seed_bytes.h: the library that shell_seed.c is built into, as bytes of this program
 * (tools/embed_bytes.py writes them). */
#ifndef PENSTOCK_RUN_SHELL_SEED_BYTES_H
#define PENSTOCK_RUN_SHELL_SEED_BYTES_H

#include <stddef.h>

extern const unsigned char shell_seed_bytes[];
extern const size_t shell_seed_size;

#endif
