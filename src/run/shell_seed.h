/* shell_seed.h: what the keeper and the seed of its shells say to each other, as bytes on a stream
 * between two processes of one machine (warm_shell.h). Used by warm_shell.c and shell_seed.c only;
 * the latter becomes a library of its own, which knows nothing else of this program. */
#ifndef PENSTOCK_RUN_SHELL_SEED_H
#define PENSTOCK_RUN_SHELL_SEED_H

#include <stdint.h>

/* The head of an order to run a command. Behind it body_bytes of texts, each ended by NUL: the
 * command, then variable_count of NAME=VALUE. A descriptor comes along: the output. */
struct seed_order {
    uint32_t body_bytes, variable_count;
};

/* Its first word: its own process. Then the answer to each order: the shell that was forked, or
 * below 0 the number of the error. */
typedef int32_t seed_answer;

/* Where the seed finds its socket, and the library itself, by which it is preloaded. */
enum { SEED_CONTROL_FD = 3, SEED_LIBRARY_FD = 0 };

#endif
