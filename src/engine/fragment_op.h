/* fragment_op.h: what is asked of the engine about datasets and fragments: members of struct op's
 * union (op.h). Inputs are borrowed until `done`; what is owned is freed by op_release. */
#ifndef PENSTOCK_ENGINE_FRAGMENT_OP_H
#define PENSTOCK_ENGINE_FRAGMENT_OP_H

#include "store/fragment_store.h"

/* A fragment as it lies in a request: places in its bytes. */
struct fragment_slice {
    uint32_t id_at, origin_at, fragment_at, data_at;
    uint32_t data_len;
    uint16_t id_len, origin_len, fragment_len;
};

/* OP_FRAGMENTS_PUT: durable when it is answered. Stored a portion a group, so that nobody waits for
 * long; when it fails some may be stored: to put them again does no harm. */
struct op_fragments_put {
    struct str dataset; /* made when there is none; checked by the asker */
    const char *bytes;
    const struct fragment_slice *slices;
    size_t count;
    size_t stored;  /* the engine's: how many of them are */
    size_t portion; /* the engine's: how many this group stores */
};

/* OP_FRAGMENTS_READ: lines of fragments, a portion an op; asked again as long as `more`, everything
 * else left as it is. ERR_NOT_FOUND without such a dataset. */
struct op_fragments_read {
    struct str dataset;
    const struct str *ids; /* sorted, each once; absent ones are passed over. NULL: by range: */
    size_t id_count;
    struct str after; /* range: ids above this one, */
    int64_t limit;    /* so many of them */
    struct buf lines; /* out, owned: ["id","origin","fragment",{data}] and a line end each; emptied
                         by each op */
    bool more;        /* out: there are lines left */
    /* out of a range's first op: */
    struct buf last; /* owned: the last id of the range; */
    bool has_next;   /* there are ids above it */
    /* The engine's: */
    bool begun;
    size_t at;                   /* of ids: the one it goes on with */
    struct fragment_place place; /* where it goes on */
};

/* OP_FRAGMENTS_DELETE: those of `id` (empty: all) and `origin` (ptr NULL: any); the dataset, too,
 * when nothing of it is left. ERR_NOT_FOUND without such a dataset. Portions as with put. */
struct op_fragments_delete {
    struct str dataset, id, origin;
    int64_t deleted; /* out */
    /* The engine's: */
    bool begun, more;
    int64_t portion;
    struct fragment_place place;
};

struct dataset_view {
    char *name; /* owned */
    int64_t fragments, created_at_us, updated_at_us;
};
/* OP_DATASETS: a page of them in order of their names. */
struct op_datasets {
    struct str after;
    int64_t limit;
    struct dataset_view *views; /* out, owned */
    size_t count;
    bool more; /* out */
};

#endif
