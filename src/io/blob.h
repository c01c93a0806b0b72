/* blob.h: bytes that are named by their SHA-256, as files in the state folder.
 *
 *     blobs/aa/bb/<64 hexadecimal digits>    a blob; aa and bb are the first four digits
 *     blobs/new/N                            what is being written
 *     blobs/new/<digits>.N                   an empty mark: a blob was put, and no row tells of it
 * yet
 *
 * A blob is written beside its place, synced, renamed to it, and its folder is synced: who sees the
 * name sees all of it. Putting bytes that are there replaces them with themselves, which mends a
 * file that was damaged. A put hands out a *pin*; what has one is not removed. So a blob is kept in
 * this order:
 *
 *     blob_put (or blob_begin, blob_write..., blob_finish)     its bytes are durable
 *     blob_store_refer in the transaction of what needs it     and so is that it is needed
 *     blob_pin_free(pin, committed)                            now the row holds it
 *
 * The other way round, a blob that nothing needs is marked (blobs_mark) before its row is deleted,
 * and blobs_sweep removes the file after that was committed. So whatever a crash leaves has a row
 * or a mark, and the sweep at the next start finds it; a pin that came meanwhile keeps the file,
 * for its row comes next.
 *
 * Names for people in errors are the digits. Threads: any, but for what is said of blobs_open,
 * blobs_sweep and blobs_free. */
#ifndef PENSTOCK_IO_BLOB_H
#define PENSTOCK_IO_BLOB_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

#define BLOB_HASH_BYTES 32
/* Its name in lower case, and NUL. */
#define BLOB_NAME_SIZE (2 * BLOB_HASH_BYTES + 1)

struct blob_hash {
    uint8_t bytes[BLOB_HASH_BYTES];
};

void blob_hash_of(struct str bytes, struct blob_hash *out);
void blob_name(const struct blob_hash *hash, char out[BLOB_NAME_SIZE]);
/* 64 hexadecimal digits of either case, nothing else. ERR_INVALID. */
MUST_CHECK bool blob_name_read(struct str text, struct blob_hash *out, struct err *err);
bool blob_hash_same(const struct blob_hash *a, const struct blob_hash *b);

/* The folder of blobs in a state folder that this process has locked. Opening makes it, mode 0700,
 * and removes what a dead process was writing. Before any other thread knows of it. Errors: ERR_IO,
 * ERR_NO_SPACE. */
struct blobs;
MUST_CHECK bool blobs_open(int state_fd, struct blobs **out, struct err *err);
/* After all writers, pins and readers are freed. */
void blobs_free(struct blobs *b);
DEFINE_OWNED(blobs)

/* --- putting --- */

/* Says that a blob which was put is not to be removed yet. */
struct blob_pin;
const struct blob_hash *blob_pin_hash(const struct blob_pin *pin);
int64_t blob_pin_bytes(const struct blob_pin *pin);
/* Lets go of it. `known`: the store has a row of the blob, durably; false when that came to
 * nothing: then the file stays until the next sweep. NULL is fine. */
void blob_pin_free(struct blob_pin *pin, bool known);

/* Keeps bytes that are in memory; durable on return. Blocks for the disk. Errors: ERR_NO_SPACE,
 * ERR_IO: nothing was kept. */
MUST_CHECK bool blob_put(struct blobs *b, struct str bytes, struct blob_pin **out, struct err *err);

/* The same piece by piece; a writer is one thread's at a time. Nothing is held in memory; the disk
 * is set to work as the pieces come. */
struct blob_writer;
MUST_CHECK bool blob_begin(struct blobs *b, struct blob_writer **out, struct err *err);
MUST_CHECK bool blob_write(struct blob_writer *w, struct str piece, struct err *err);
int64_t blob_written(const struct blob_writer *w);
/* Syncs it into its place. The writer is to be freed in any case. `want`: what it must be, else
 * ERR_INVALID and nothing is kept; NULL: whatever it is. */
MUST_CHECK bool blob_finish(struct blob_writer *w, const struct blob_hash *want,
                            struct blob_pin **out, struct err *err);
/* Removes what was not finished. NULL is fine. */
void blob_writer_free(struct blob_writer *w);
DEFINE_OWNED(blob_writer)

/* --- reading --- */

/* Appends the whole blob to `out`, verified. Errors: ERR_NOT_FOUND: there is none of that name;
 * ERR_STORE: the bytes are not what the name says; ERR_LIMIT: more than out's cap; ERR_IO. */
MUST_CHECK bool blob_load(const struct blobs *b, const struct blob_hash *hash, struct buf *out,
                          struct err *err);

/* The same portion by portion. */
struct blob_reader;
/* ERR_NOT_FOUND, ERR_IO. */
MUST_CHECK bool blob_open(const struct blobs *b, const struct blob_hash *hash,
                          struct blob_reader **out, struct err *err);
int64_t blob_reader_bytes(const struct blob_reader *r); /* its length */
/* The next up to `max` bytes; *got is 0 at the end. The last portion is given only when all
 * of it was what the name says: else ERR_STORE, then and ever after. */
MUST_CHECK bool blob_read(struct blob_reader *r, void *out, size_t max, size_t *got,
                          struct err *err);
/* Reads it all, to see that it is what its name says, and goes back to its start: what is read then
 * may be given away portion by portion. ERR_STORE, ERR_IO. Blocks for the disk. */
MUST_CHECK bool blob_verify(struct blob_reader *r, struct err *err);
/* Only these bytes are read from now on; what is less than all is not verified. Before the first
 * read; within its length. */
void blob_reader_limit(struct blob_reader *r, int64_t from, int64_t count);
void blob_reader_free(struct blob_reader *r); /* NULL is fine */
DEFINE_OWNED(blob_reader)

/* Tells all files that stand for blobs, and how long each is; in no order. For those who compare.
 * ERR_IO. */
MUST_CHECK bool blobs_each(const struct blobs *b,
                           void (*each)(void *context, const struct blob_hash *hash, int64_t bytes),
                           void *context, struct err *err);
/* Whether the next sweep will look at it: there is a mark. ERR_IO. */
MUST_CHECK bool blob_is_marked(const struct blobs *b, const struct blob_hash *hash, bool *out,
                               struct err *err);

/* --- removing: the engine's thread --- */

/* The blob's row is about to be deleted: a mark for the next sweep. ERR_IO, ERR_NO_SPACE. */
MUST_CHECK bool blobs_mark(struct blobs *b, const struct blob_hash *hash, struct err *err);
/* Whether a pin was let go of that came to nothing, or a blob was marked, since the last sweep.
 * Any thread. */
bool blobs_left(const struct blobs *b);
/* Looks at the marks of what has no pin. `known` says whether the store has a row of it (1, 0; -1
 * with err ends the sweep); where it has none the file goes, durably. ERR_IO, or what `known` says.
 */
MUST_CHECK bool blobs_sweep(struct blobs *b,
                            int (*known)(void *context, const struct blob_hash *hash,
                                         struct err *err),
                            void *context, struct err *err);

#endif
