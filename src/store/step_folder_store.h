/* step_folder_store.h: folders of steps, step jobs and artifacts in the store. Rules as in
 * step_store.h. A folder is a row; what is in it holds its path. */
#ifndef PENSTOCK_STORE_STEP_FOLDER_STORE_H
#define PENSTOCK_STORE_STEP_FOLDER_STORE_H

#include "store/step_store.h"

/* Ids are of a sequence of their own, none is given twice. Texts borrowed. */
struct step_folder_row {
    int64_t id;
    const char *owner, *path, *created_by; /* path: "/a/b/", never "/" */
    int64_t created_at_us;
};

MUST_CHECK bool step_folder_store_add(struct tx *tx, const struct step_folder_row *row,
                                      struct err *err);
MUST_CHECK bool step_folder_store_delete(struct tx *tx, int64_t id, struct err *err);
/* All, and the highest id that ever was. */
MUST_CHECK bool step_folder_store_load(struct tx *tx,
                                       void (*each)(void *context,
                                                    const struct step_folder_row *row),
                                       void *context, int64_t *last_id, struct err *err);

/* What is in a folder, or with `below` beneath it, too. */
struct step_folder_place {
    struct str owner, path;
    bool below;
};
/* Jobs or artifacts in it, up to `limit`: 0 tells that it has none. */
MUST_CHECK bool step_folder_store_count(struct tx *tx, const struct step_folder_place *place,
                                        enum step_thing thing, int64_t limit, int64_t *out,
                                        struct err *err);
/* Jobs and artifacts with ids below `before`, newest first. */
MUST_CHECK bool step_folder_store_contents(
    struct tx *tx, const struct step_folder_place *place, int64_t before, int64_t limit,
    void (*each)(void *context, int64_t id, enum step_thing thing), void *context, struct err *err);
/* The folder, what is in it and what is below it have paths that begin with `to` from now on. */
MUST_CHECK bool step_folder_store_move(struct tx *tx, struct str owner, struct str from,
                                       struct str to, struct err *err);

#endif
