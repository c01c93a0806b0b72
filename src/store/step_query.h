/* step_query.h: what lists of step jobs and artifacts are asked for. */
#ifndef PENSTOCK_STORE_STEP_QUERY_H
#define PENSTOCK_STORE_STEP_QUERY_H

#include "base/buf.h"
#include "core/job.h"

/* Selects by a property: only those that have it, only those that do not, or both. */
enum step_only { STEP_BOTH, STEP_ONLY_NOT, STEP_ONLY };

enum step_sort {
    STEP_SORT_CREATED,
    STEP_SORT_NAME,
    STEP_SORT_ENDED,      /* jobs */
    STEP_SORT_MEDIA_TYPE, /* artifacts, as the next */
    STEP_SORT_KIND,
    STEP_SORT_BYTES,
    STEP_SORT_COUNT
};

/* All that is set must hold. Texts are borrowed, those of a NULL pointer not set; ids 0: not set.
 */
struct step_filter {
    struct str owner;    /* exactly */
    struct str name;     /* contained, as it is written */
    struct str tags_all; /* JSON array of whole tags: it has all of these */
    struct str tags_any; /* and one of these */
    enum step_only hidden;
    int64_t created_from_us, created_before_us; /* wall; 0: not set */
    struct str folder;                          /* exactly, or with `below` beneath it, too */
    bool below;
    int64_t step; /* jobs: of this step; artifacts: made by it */
    /* jobs: */
    bool by_state;
    enum job_state state;
    int64_t artifact, parent; /* has it as input; is its sub job */
    enum step_only sub_job;
    /* artifacts: */
    int64_t producer; /* made by this job */
    bool by_kind;
    int64_t kind;          /* enum artifact_kind */
    struct str media_type; /* contained */
    enum step_only deletable, used, secret;
};

/* Which part of the list. Equal keys keep the order of creation. */
struct step_page {
    enum step_sort sort;
    bool descending;
    int64_t offset; /* so many of them are passed over first */
    int64_t limit;
    bool goes_on; /* only what comes behind the place that a page before ended at: */
    struct str after_text;
    int64_t after_number, after_id;
    int64_t work; /* stmt_limit's, when the list is not to take longer: ERR_LIMIT; 0: no limit */
};

/* A part of what a filter finds: the ids above `after`, up to `to`. What is long is gone through a
 * range at a time. */
struct step_range {
    int64_t after, to;
};

/* Where something stands in such a list: behind it the next page goes on. */
struct step_place {
    int64_t id, number; /* the key, where it is a number */
    char *text;         /* where it is a text; owned, NULL */
};

#endif
