/* step_tag.h: tags of steps, step jobs and artifacts: texts, perhaps "key=value". Pure. */
#ifndef PENSTOCK_CORE_STEP_TAG_H
#define PENSTOCK_CORE_STEP_TAG_H

#include "base/buf.h"
#include "base/err.h"

enum { STEP_TAG_MAX_CHARS = 1024, STEP_TAGS_MAX = 1000 };

enum step_tag_type {
    STEP_TAG_KEY_ONLY,
    STEP_TAG_STRING,
    STEP_TAG_INTEGER,
    STEP_TAG_FLOAT,
    STEP_TAG_BOOLEAN,
    STEP_TAG_DATE,
    STEP_TAG_TIME,
    STEP_TAG_TIMESTAMP,
    STEP_TAG_TYPE_COUNT
};
/* "KeyOnly", "String", ... */
extern const char *const step_tag_type_names[STEP_TAG_TYPE_COUNT];

struct step_tag {
    struct str key, value; /* borrowed, trimmed; value empty of KEY_ONLY */
    enum step_tag_type type;
};
/* What a tag that was checked says: the first `=` separates. */
void step_tag_split(struct str tag, struct step_tag *out);

/* A list of texts on the heap: strings ended by NUL, behind the last a NULL. */
struct step_tags {
    char **items; /* NULL when there are none */
    size_t count;
};
/* The tags with blanks around key and value trimmed, in their order, each once. ERR_INVALID: more
 * than STEP_TAGS_MAX, an empty one, one that is no UTF-8 or has control characters, a key or value
 * of more than STEP_TAG_MAX_CHARS, a timestamp without zone. */
MUST_CHECK bool step_tags_make(const struct str *tags, size_t count, struct step_tags *out,
                               struct err *err);
void step_tags_copy(const struct step_tags *from, struct step_tags *out);
void step_tags_release(struct step_tags *tags);
bool step_tags_have(const struct step_tags *tags, struct str tag);
bool step_tags_same(const struct step_tags *a, const struct step_tags *b);
/* As they are stored: a JSON array of strings, appended; and back (a damaged one has none). */
void step_tags_write(const struct step_tags *tags, struct buf *out);
void step_tags_read(struct str json, struct step_tags *out);

#endif
