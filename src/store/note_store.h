/* note_store.h: what is known of records that the output says nothing about: notes of 16 bytes,
 * added by the commit that makes them true and never changed. Rules as in job_store.h. */
#ifndef PENSTOCK_STORE_NOTE_STORE_H
#define PENSTOCK_STORE_NOTE_STORE_H

#include "base/buf.h"
#include "store/store.h"

#define NOTE_BYTES 16

/* What a note says of its record: an id, or without ids a number. */
enum note_kind {
    NOTE_SKIPPED, /* done, and there was nothing to write */
    NOTE_WRITTEN, /* done; its result lacks its id */
    NOTE_KIND_COUNT
};

/* Adds notes, one after the other in `notes`. ERR_NOT_FOUND without such a job: roll back. */
MUST_CHECK bool note_store_add(struct tx *tx, int64_t job_id, enum note_kind kind, struct str notes,
                               struct err *err);
/* All notes of a job, in the portions they came in. */
MUST_CHECK bool note_store_load(struct tx *tx, int64_t job_id,
                                void (*each)(void *context, enum note_kind kind, struct str notes),
                                void *context, struct err *err);
/* Forgets those of one kind. */
MUST_CHECK bool note_store_clear(struct tx *tx, int64_t job_id, enum note_kind kind,
                                 struct err *err);

#endif
