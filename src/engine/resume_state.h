/* resume_state.h: the inside of resume.h, shared by the files that do its phases only.
 *
 * A phase is a function that does one slice of work and moves `phase` on when it is through; false
 * fails the job. The order of the enum is their order; what a run does not need passes at once. */
#ifndef PENSTOCK_ENGINE_RESUME_STATE_H
#define PENSTOCK_ENGINE_RESUME_STATE_H

#include "core/portion.h"
#include "engine/engine_state.h"
#include "engine/line_scout.h"
#include "engine/resume.h"
#include "io/line_reader.h"
#include "io/rewrite.h"

enum phase {
    PHASE_NOTES,      /* ids that the store notes */
    PHASE_HELD,       /* lines that were cut out of the output before, to be done again */
    PHASE_OUTPUT,     /* ids of the output */
    PHASE_CUT,        /* lines to be done again are cut out of it */
    PHASE_PUT_BACK,   /* lines that were not done again are put back */
    PHASE_COUNT_LIST, /* how often each record is in the error file */
    PHASE_LIST,       /* the error file is made to tell of the present */
    PHASE_SAMPLE,     /* the portion is drawn */
    PHASE_INPUT,      /* records that were known before */
    PHASE_END
};

enum { RESUME_BATCH = 16 };

struct resume {
    enum resume_kind kind;
    enum phase phase;
    int fd;     /* of the file that is read; -1 */
    char *path; /* of the output */
    bool reading;
    struct line_reader lines;
    struct line_scout *scout; /* reads them instead of `lines`; NULL */
    int64_t scouted_bytes;    /* how far it is */
    int64_t expect_at;        /* when so much is read the set is given room for the rest */
    struct rewrite *rewrite;
    struct source *input;
    struct sample *sample;

    /* Ids are put into the set so many at a time: their places are fetched from memory together. */
    struct id ids[RESUME_BATCH];
    unsigned flags[RESUME_BATCH];
    size_t batched;

    bool header;                     /* of a CSV: met */
    int64_t id_column, rerun_column; /* of a CSV; -1 */
    char *columns;                   /* of a CSV: as its header names them; NULL */
    bool has_held;                   /* lines are kept that were cut out before */
    int64_t torn_at;                 /* where an unfinished last line begins that is none; -1 */
    int64_t vouched;                 /* what lies behind was left by a killed process of ours; -1 */
    int64_t orphans;                 /* lines there that tell of no record */
    int64_t since_sync;              /* bytes given to the rewrite */
    struct buf held;                 /* lines on their way to the held file */
    struct id_set *put_back;         /* ids of held lines that are in the output again; NULL */
    struct attempts *listed;         /* lines of the error file by record */
    int64_t stale;                   /* its lines that may have to leave */
    int64_t line, done, rerun, unreadable, without_id;
};

/* Reads one line; of a CSV the first one is the header, which is no record. */
void resume_read_line(struct data_job *job, struct resume *r, const struct line *line,
                      struct output_line *out);
void resume_put_id(struct data_job *job, struct resume *r, struct id id, unsigned flags);
void resume_put_batch(struct data_job *job, struct resume *r);
struct resume *resume_new(enum resume_kind kind);
/* Starts reading the file at `fd`, which becomes the resume's. */
void resume_open_lines(struct resume *r, int fd, const char *name, int64_t limit_bytes, bool csv);
void resume_close_lines(struct resume *r);
/* Gives each line to `each`, for one slice. LINE_PAUSE when that is used up, LINE_NONE when all
 * have been given, LINE_FAILED when reading them or `each` has failed. */
enum line_got resume_each_line(struct engine *e, struct data_job *job, struct resume *r,
                               bool (*each)(struct data_job *job, struct resume *r,
                                            const struct line *line, struct err *err),
                               struct err *err);

/* resume_output.c */
/* Starts reading the output, locked, up to where it is whole. Without one nothing is read. */
bool resume_open_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
bool resume_scan_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
bool resume_cut_output(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
/* held_lines.c */
bool resume_read_held(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
bool resume_put_back(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
/* Appends what is in r->held to the held file, durably. */
bool held_lines_add(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
/* resume_errors.c */
bool resume_count_list(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
bool resume_list(struct engine *e, struct data_job *job, struct resume *r, struct err *err);
/* resume_portion.c */
bool resume_draw(struct engine *e, struct data_job *job, struct resume *r, struct err *err);

#endif
