/* pinexq_folder.h: folders, for the files of the pinexq surface that show or ask for them. */
#ifndef PENSTOCK_HTTP_PINEXQ_PINEXQ_FOLDER_H
#define PENSTOCK_HTTP_PINEXQ_PINEXQ_FOLDER_H

#include "engine/folder_op.h"
#include "http/pinexq/siren.h"
#include "http/request.h"

/* The request's op about the folder of that id (0: the root). */
struct op *pinexq_folders_op(struct request *req, enum folders_verb verb, int64_t id);
/* The last part of a folder's path. Borrowed. */
struct str pinexq_folder_name(const struct folder_view *view);
/* A whole document of it, embedded as `rel`, or NULL: by itself. `may_work` as in
 * pinexq_work_data.h. */
void pinexq_write_folder(struct siren *s, const struct folder_view *view, const char *rel,
                         bool may_work);
/* The link of something to the folder it is in; none to the root (0). */
void pinexq_folder_link(struct siren *s, int64_t folder);

#endif
