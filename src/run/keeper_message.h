/* keeper_message.h: what a runner and its keeper say to each other, as bytes on a stream between
 * two processes of one program. Used by keeper.c and keeper_link.c only. */
#ifndef PENSTOCK_RUN_KEEPER_MESSAGE_H
#define PENSTOCK_RUN_KEEPER_MESSAGE_H

#include <stdint.h>

enum keeper_order_kind {
    ORDER_START, /* a program: its texts follow, its descriptors come along */
    ORDER_SIGNAL /* to the group of a program that was started, if it has not ended */
};

/* Behind the head of an ORDER_START, body_bytes of texts, each ended by NUL: the program with its
 * arguments, then what is added to the environment. Descriptors: the output and, if there are two,
 * what becomes descriptor 3. */
struct keeper_order {
    uint64_t id;
    uint32_t kind, body_bytes;
    uint32_t argument_count, variable_count;
    int32_t signal, unused;
};

enum { KEEPER_FDS_MAX = 2, KEEPER_BODY_MAX_BYTES = 8 << 20 };

#endif
