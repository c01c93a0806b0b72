/* folder_op.h: what is asked about folders of steps, step jobs and artifacts: a member of struct
 * op's union (op.h). Rules as in step_op.h; docs/steps.md says what folders are.
 *
 * A folder is a thing of its own with an id. What is in it holds its path, and whatever is put into
 * a folder that is not there makes it, and those above it. The root, "/", is no thing: its id is 0,
 * and it is neither made nor moved nor deleted. */
#ifndef PENSTOCK_ENGINE_FOLDER_OP_H
#define PENSTOCK_ENGINE_FOLDER_OP_H

#include "engine/step_op.h"
#include "store/step_folder_store.h"

enum {
    FOLDER_NAME_MAX_BYTES = 255,
    FOLDER_MOVE_MAX = 100000, /* jobs and artifacts that move at once */
    FOLDER_CLEAR_MAX = 1000   /* that a clearing looks at */
};

enum folders_verb {
    FOLDERS_SHOW,
    FOLDERS_LIST,     /* folders, in an order */
    FOLDERS_SUGGEST,  /* paths that begin with `path`, in order: as LIST, `below` the root */
    FOLDERS_CONTENTS, /* steps, jobs and artifacts in the folder, newest first */
    FOLDERS_CREATE,   /* `name` in the folder that is meant; without a name the path itself, with
                         all above it. ERR_CONFLICT: it is there */
    FOLDERS_EDIT,     /* another name or parent: all that is in it and below it moves along.
                         ERR_CONFLICT: there is one of that path; ERR_LIMIT: more than
                         FOLDER_MOVE_MAX would move */
    FOLDERS_DELETE,   /* ERR_CONFLICT unless nothing is in it */
    FOLDERS_CLEAR     /* deletes what may be deleted, in it and beneath it; folders stay */
};

enum folders_order { FOLDERS_BY_PATH, FOLDERS_BY_NAME, FOLDERS_BY_CREATED };

struct folder_view {
    int64_t id, parent; /* parent 0: the root */
    char *owner, *path, *created_by;
    int64_t created_at_us; /* wall; 0: it is from before folders were things */
};

/* Something in a folder: one of the three, held. */
struct folder_item {
    struct step_view step;
    struct step_job_view job;
    const struct artifact *artifact;
};

struct folder_outcome { /* of a clearing */
    int64_t id;
    enum step_thing thing;
    char *reason; /* why it stayed; NULL: it was deleted */
};

struct op_folders {
    enum folders_verb verb;
    struct step_asker by;
    int64_t id;      /* the folder that is meant; 0: the root; -1: the one of `path` */
    struct str path; /* "/a/b/"; a slash at its end may be missing, but in SUGGEST */
    /* CREATE, EDIT: no pointer: as it is */
    struct str name, parent_path;
    int64_t parent; /* EDIT: the folder into which it goes; -1: as it is, or `parent_path` */
    struct {
        bool below;        /* all beneath it, not only its children */
        bool of_all;       /* of all owners, where the root is meant; the asker sees them all */
        struct str name;   /* contained in the name */
        struct str prefix; /* the path begins with it; empty: any */
        unsigned things;   /* only those with such things in them or beneath: bits of 1 << enum
                              step_thing; 0: all */
        enum folders_order order;
        bool descending; /* equal ones keep the order of creation */
        int64_t offset;
        /* Only those behind the place that a page before ended at: path or name, time, and the id;
         * without an id those of another path. No pointer and no id: from the first on. */
        struct str after;
        int64_t after_number, after_id;
        int64_t before; /* CONTENTS: only ids below; 0: all */
        int64_t limit;
    } list;
    bool keeps_steps;          /* CLEAR: the asker may not delete steps, they stay */
    struct folder_view *views; /* out, owned: of SHOW, CREATE, EDIT one; of LIST and SUGGEST all */
    size_t count;
    int64_t total;             /* out of LIST and CONTENTS: on all pages */
    bool more;                 /* out: there are some behind it; of CLEAR: ask again */
    struct folder_item *items; /* out of CONTENTS: owned */
    size_t item_count;
    struct folder_outcome *outcomes; /* out of CLEAR: owned */
    size_t outcome_count;
    int64_t deleted; /* of the outcomes */
};
void folder_op_release(struct op_folders *op);

#endif
