/* step_seek.h: a page of a list, picked out of all that a filter finds, which comes in any order:
 * the first `limit` and one more behind the page's place and offset. Memory grows with where the
 * page ends, not with what is found. Thread: one at a time. */
#ifndef PENSTOCK_ENGINE_STEP_SEEK_H
#define PENSTOCK_ENGINE_STEP_SEEK_H

#include "base/own.h"
#include "store/step_query.h"

/* A page may not end farther from the list's beginning than this. */
enum { STEP_SEEK_MAX = 100000 };

struct step_seek;

/* `page`, whose texts are copied, has a limit and an offset of STEP_SEEK_MAX together at most. */
struct step_seek *step_seek_new(const struct step_page *page);
void step_seek_free(struct step_seek *seek); /* NULL is fine */
DEFINE_OWNED(step_seek)

/* One that was found (step_job_store_found). `seek` is a struct step_seek. */
void step_seek_add(void *seek, int64_t id, struct str text, int64_t number);
/* Hands over the page's places, up to limit + 1 of them, to be freed with their texts. */
struct step_place *step_seek_take(struct step_seek *seek, size_t *count);

#endif
