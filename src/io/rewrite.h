/* rewrite.h: a file is written anew and takes the place of the old one at once: whoever reads it,
 * and whatever crash comes, sees all of the old or all of the new. Compressed when its path says
 * so. Threads: one. */
#ifndef PENSTOCK_IO_REWRITE_H
#define PENSTOCK_IO_REWRITE_H

#include "base/buf.h"
#include "base/err.h"
#include "io/folder.h"

struct rewrite;

/* Begins beside the file of this path, which exists: "<its name>.penstock-new", with its mode.
 * Errors: as folders_open, ERR_NO_SPACE, ERR_IO. `folders` must outlive it. */
MUST_CHECK bool rewrite_begin(const struct folders *folders, const char *path, struct rewrite **out,
                              struct err *err);
/* Lets go of it; what was not finished is removed. */
void rewrite_free(struct rewrite *r);
DEFINE_OWNED(rewrite)
/* Adds bytes; they may stay in memory until there are many. ERR_NO_SPACE, ERR_IO. */
MUST_CHECK bool rewrite_add(struct rewrite *r, struct str bytes, struct err *err);
/* Writes and syncs what was added so far, so that the end is not far. */
MUST_CHECK bool rewrite_sync(struct rewrite *r, struct err *err);
/* Makes it the file of that path, durably. ERR_CONFLICT when that is being written by another. */
MUST_CHECK bool rewrite_finish(struct rewrite *r, struct err *err);
/* Removes what a killed process has left of one. Best effort. */
void rewrite_clean(const struct folders *folders, const char *path);

#endif
