/* artifact.h: a named blob with a media type and its lineage (pinexq says WorkData). Pure.
 * Immutable once shared, as a step is (step.h). */
#ifndef PENSTOCK_CORE_ARTIFACT_H
#define PENSTOCK_CORE_ARTIFACT_H

#include "core/step_tag.h"

#include <stdatomic.h>
#include <stdint.h>

#define ARTIFACT_HASH_BYTES 32
enum { ARTIFACT_NAME_MAX_BYTES = 4096, ARTIFACT_MEDIA_TYPE_MAX_BYTES = 255 };

enum artifact_kind { ARTIFACT_UPLOAD, ARTIFACT_OUTPUT, ARTIFACT_KIND_COUNT };
extern const char *const artifact_kind_names[ARTIFACT_KIND_COUNT]; /* "upload", "output" */

struct artifact {
    _Atomic int32_t refs;
    int64_t id;
    char *owner, *created_by, *name, *media_type, *folder; /* never NULL */
    int64_t folder_id; /* of `folder`, 0: the root; of memory only */
    char *comment;     /* NULL: none */
    struct step_tags tags;
    enum artifact_kind kind;
    bool hidden, secret, deletable;
    int64_t created_at_us, bytes;
    uint8_t hash[ARTIFACT_HASH_BYTES]; /* of the blob */
    int64_t used;                      /* step jobs that have it as input */
    int64_t job, step;                 /* an output: who made it; 0 */
    int64_t slot, place;               /* likewise: which output slot, and where in it */
    int64_t fence;                     /* likewise: in which run of the job */
};
struct artifact *artifact_new(void);
struct artifact *artifact_copy(const struct artifact *a);
const struct artifact *artifact_hold(const struct artifact *a);
void artifact_free(const struct artifact *a); /* NULL is fine */

/* Whether it may be deleted: deletable, and no step job's input. ERR_CONFLICT says why not. */
MUST_CHECK bool artifact_may_go(const struct artifact *a, struct err *err);
/* A name is 1 to ARTIFACT_NAME_MAX_BYTES of UTF-8 without control characters; a media type is like
 * "text/csv; header=present": printable ASCII. Each ERR_INVALID. */
MUST_CHECK bool artifact_name_check(struct str name, struct err *err);
MUST_CHECK bool artifact_media_type_check(struct str media_type, struct err *err);
/* A folder's path: "/" or "/a/b/", at most so deep. A missing slash at the end is added.
 * ERR_INVALID. */
enum { STEP_FOLDER_DEPTH_MAX = 32 };
MUST_CHECK bool step_folder_make(struct str path, char **out, struct err *err);

#endif
