/* blob_op.h: what is asked of the engine about blobs: members of struct op's union (op.h). Their
 * bytes are put and read by the asker itself (io/blob.h, engine_blobs). */
#ifndef PENSTOCK_ENGINE_BLOB_OP_H
#define PENSTOCK_ENGINE_BLOB_OP_H

#include "io/blob.h"

/* OP_BLOB_NOTE: a blob was put: it has a row when this is answered, and the pin may be freed as
 * known when it went well. */
struct op_blob_note {
    struct blob_hash hash;
    int64_t bytes;
    bool kept; /* until somebody forgets it */
};

/* OP_BLOB_FORGET: one that nothing refers to is removed. ERR_NOT_FOUND, ERR_CONFLICT. */
struct op_blob_forget {
    struct blob_hash hash;
};

#endif
