/* step.h: a processing step: a function that others call, by name and version, with its parameters
 * and data slots. Pure.
 *
 * What is here is immutable once it is shared: whoever changes a step makes a copy and lets the
 * copy take its place. So a view of it may be held by any thread (step_hold), as long as it likes.
 */
#ifndef PENSTOCK_CORE_STEP_H
#define PENSTOCK_CORE_STEP_H

#include "core/step_tag.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    STEP_NAME_MAX_CHARS = 100,
    STEP_TEXT_MAX_BYTES = 64 << 10, /* title, descriptions */
    STEP_SLOTS_MAX = 100,           /* each way */
    STEP_OWNER_MAX_BYTES = 64
};

struct step_slot {
    char *name, *title, *description,
        *media_type;  /* title to media_type: NULL where none is told */
    int64_t min, max; /* artifacts in it; max -1: no limit */
};
/* Whether it holds a list rather than one artifact. */
bool step_slot_is_collection(const struct step_slot *slot);

/* What an author declares: as pinexq's manifest says it. */
struct step_manifest {
    char *text; /* the manifest as it came */
    char *name, *version, *title, *short_description, *long_description, *procon_version;
    char *parameters, *returns; /* JSON schemas, NULL: none */
    struct step_slot *inputs, *outputs;
    size_t input_count, output_count;
};
/* Reads {"function_name","version","title","short_description","long_description","parameters",
 * "returns","input_dataslots":[{"name","title","description","mediatype","minSlots","maxSlots"}],
 * "output_dataslots","procon_version"}; other members are passed over. ERR_INVALID names the
 * member. */
MUST_CHECK bool step_manifest_read(struct str json, struct step_manifest *out, struct err *err);
void step_manifest_release(struct step_manifest *m);
/* The slot's place among them, -1: there is none of that name. */
int64_t step_slot_find(const struct step_slot *slots, size_t count, struct str name);

struct step {
    _Atomic int32_t refs;
    int64_t id;
    struct step_manifest manifest;
    char *owner;                   /* "": the house's */
    char *created_by;              /* name of the key; "" */
    char *title;                   /* as edited; else the manifest's; NULL */
    char *defaults;                /* configured default parameters: a JSON object; NULL */
    char *code_hash, *deprecation; /* reason; NULL */
    char *folder;                  /* "/", "/a/b/" */
    int64_t folder_id;             /* of `folder`, 0: the root; of memory only */
    struct step_tags tags;
    bool hidden, is_public;                                  /* public: other owners may use it */
    int64_t created_at_us, modified_at_us, deprecated_at_us; /* wall; deprecated 0: it is not */
};
/* A new one, refs 1, everything empty but for texts that are never NULL. */
struct step *step_new(void);
/* A copy, refs 1, to be changed and shared then. */
struct step *step_copy(const struct step *s);
/* One holder more; threads: any. */
const struct step *step_hold(const struct step *s);
/* One less; the last frees it. NULL is fine. */
void step_free(const struct step *s);

bool step_has_parameters(const struct step *s);
bool step_is_prerelease(const struct step *s);
/* Whether that owner may see and use it. */
bool step_is_open_to(const struct step *s, struct str owner);
/* The order of lists: name, then the highest version first, then id. */
int step_compare(const struct step *a, const struct step *b);

/* The queue in which an owner's step jobs wait: "steps", or "steps/OWNER"; and the function that
 * they call: "NAME:VERSION". To be freed. */
char *step_queue_name(struct str owner);
char *step_function_name(const struct step *s);
/* Whether a queue's name is of that kind: then it is only for step jobs, and whoever claims from
 * all queues does not mean it. */
bool step_queue_is(struct str queue);

#endif
