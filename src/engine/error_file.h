/* error_file.h: whether the list of a job's failed records may be made where it should stand.
 *
 * The list of an earlier job is replaced; anything else is somebody's own file, and stays. */
#ifndef PENSTOCK_ENGINE_ERROR_FILE_H
#define PENSTOCK_ENGINE_ERROR_FILE_H

#include "io/folder.h"

/* True when nothing stands at `path`, an empty file, or a list that a job has made. ERR_CONFLICT
 * when it is another file, else as folders_open. Threads: any. */
MUST_CHECK bool error_file_may_begin(const struct folders *folders, const char *path,
                                     struct err *err);

#endif
