/* step_state.h: the engine's inside about steps, step jobs and artifacts, shared by engine/step*.c
 * and group.c only. The engine's thread; while a group is being committed nothing here is changed.
 *
 * All steps are in memory; of jobs and artifacts, which share one sequence of ids and so one table,
 * those that somebody asked for, until there are many. Each has what the store holds (`stored`) and
 * what it is now (`now`); they differ only within a group. */
#ifndef PENSTOCK_ENGINE_STEP_STATE_H
#define PENSTOCK_ENGINE_STEP_STATE_H

#include "core/table.h"
#include "engine/op.h"
#include "store/artifact_store.h"
#include "store/step_job_store.h"
#include "store/step_store.h"

struct engine;
struct group;
struct lease;
struct task_note;
struct op;

enum thing_kind { THING_JOB, THING_ARTIFACT };

struct thing { /* a job or an artifact */
    int64_t id;
    enum thing_kind kind;
    bool in_group;
    union {
        const void *stored; /* held; NULL: the store has none */
        const struct step_job *stored_job;
        const struct artifact *stored_artifact;
    };
    union {
        const void *now; /* held; NULL: it is gone */
        const struct step_job *job;
        const struct artifact *artifact;
    };
};

struct step_entry {
    int64_t id;
    const struct step *stored, *now; /* as of a thing */
    int64_t jobs;                    /* that have selected it */
    bool in_group;
};

/* A folder: as it is now; in the store, too, once its group is. */
struct step_folder {
    int64_t id;
    char *owner, *path, *created_by; /* never NULL */
    int64_t created_at_us;
};
struct step_folder_change { /* a copy: the committer's */
    struct step_folder folder;
    bool gone;
};

/* The part of a group about them. */
struct step_group {
    struct thing **things;
    size_t thing_count, thing_cap;
    struct step_entry **steps;
    size_t step_count, step_cap;
    struct step_folder_change *folders;
    size_t folder_count, folder_cap;
    const struct step_job **held; /* jobs whose texts a task's note borrows until the commit */
    size_t held_count, held_cap;
    int64_t at_us; /* wall, when it was staged */
};

/* How many jobs an owner has in each state, and the bytes of all artifacts, as the store holds
 * them. */
struct step_tally {
    char *owner;
    int64_t counts[JOB_STATE_COUNT];
    int64_t artifact_bytes;
};

struct steps {
    struct step_entry **entries; /* in order of ids */
    size_t count, cap;
    struct table things;
    struct step_folder **folders; /* in order of owners and paths */
    size_t folder_count, folder_cap;
    int64_t last_folder; /* the highest id of a folder */
    struct step_tally *tallies;
    size_t tally_count;
    int64_t text_bytes;  /* about what the things take */
    int64_t last_job_us; /* the latest created_at_us of a job: times of jobs grow */
    struct op *shows;    /* that wait for a job's end */
    struct op *walks;    /* lists that sum up, a slice a step */
    bool unreadable;     /* memory is not what the store holds */
};

/* --- step_memory.c --- */
MUST_CHECK bool steps_open(struct engine *e, struct err *err);
void steps_free(struct engine *e);
/* Throws memory away and reads the steps again. */
MUST_CHECK bool steps_load(struct engine *e, struct err *err);
/* Before a step: lets go of things that nobody changes when there are many. */
void steps_begin(struct engine *e);

/* What is there now, borrowed until it is put anew; NULL with err (ERR_NOT_FOUND or the store's).
 */
const struct step_job *steps_job(struct engine *e, int64_t id, struct err *err);
const struct artifact *steps_artifact(struct engine *e, int64_t id, struct err *err);
struct step_entry *steps_entry(struct engine *e, int64_t id); /* NULL: there is none */
/* The same, when the asker may see it. */
const struct step_job *steps_job_for(struct engine *e, const struct step_asker *by, int64_t id,
                                     struct err *err);
const struct artifact *steps_artifact_for(struct engine *e, const struct step_asker *by, int64_t id,
                                          struct err *err);
struct step_entry *steps_entry_for(struct engine *e, const struct step_asker *by, int64_t id,
                                   struct err *err);
/* The selected step of a job, NULL. */
const struct step *steps_step_of(struct engine *e, const struct step_job *job);
/* The thing is so from now on: takes `after` over, which nobody else has yet; NULL: it is gone. It
 * is in a folder then that is there. What was borrowed of it before is not valid any more. */
void steps_put_job(struct engine *e, int64_t id, struct step_job *after);
void steps_put_artifact(struct engine *e, int64_t id, struct artifact *after);
void steps_put_step(struct engine *e, struct step_entry *entry, struct step *after);
struct step_entry *steps_add_entry(struct engine *e, int64_t id);
/* The next id of the sequence of all jobs. */
int64_t steps_new_id(struct engine *e);
/* The group needs the texts of this job until it is committed. */
void steps_hold_texts(struct engine *e, const struct step_job *job);

/* Counts a job that is stored from now on, or no more (NULL: there is none). */
void steps_count_job(struct engine *e, const struct step_job *before, const struct step_job *after);
/* How many jobs an owner has, in one state or (JOB_STATE_COUNT) in all. */
int64_t steps_tally(const struct engine *e, struct str owner, enum job_state state);
/* The same of the bytes of artifacts. */
void steps_count_artifact(struct engine *e, const struct artifact *before,
                          const struct artifact *after);
int64_t steps_artifact_bytes(const struct engine *e, struct str owner);

/* Whether an op may be applied for that asker; refuses it otherwise. */
bool steps_are_ready(struct engine *e, struct op *op, const struct step_asker *by, bool changes);
/* When the op is answered: with the group, if that has anything about steps. */
enum op_fate steps_fate(const struct engine *e);

/* --- step_folders.c: folders in memory; paths end with a slash --- */
/* NULL: there is none. */
struct step_folder *steps_folder_find(struct engine *e, struct str owner, struct str path);
struct step_folder *steps_folder(struct engine *e, int64_t id);
/* Those beneath a folder (or "/"): the places of the first, and behind the last. */
void steps_folders_below(struct engine *e, struct str owner, struct str path, size_t *first,
                         size_t *end);
/* The part of a path that is its parent's: "/a/" of "/a/b/". */
struct str step_folder_parent(struct str path);
/* Makes it and those above it, unless they are there; never NULL. Not for "/". */
struct step_folder *steps_folder_need(struct engine *e, struct str owner, struct str path,
                                      struct str by);
/* It is empty and goes; freed. */
void steps_folder_drop(struct engine *e, struct step_folder *f);
/* The store has moved it and what is below it. */
void steps_folders_moved(struct engine *e, struct str owner, struct str from, struct str to);
MUST_CHECK bool steps_folders_load(struct engine *e, struct tx *tx, struct err *err);
void steps_folders_forget(struct steps *steps);
MUST_CHECK bool steps_folders_store(struct tx *tx, const struct step_group *g, struct err *err);
void steps_folders_release(struct step_group *g);

/* --- step_folder_op.c, step_folder_clear.c --- */
struct folder_meant {           /* the folder that an op is about */
    struct step_folder *folder; /* NULL: the root */
    char *owner, *path;         /* copies, owned */
};
void folder_meant_release(struct folder_meant *m);
static inline void folder_meant_held_free(struct folder_meant *m)
{
    folder_meant_release(m);
    free(m);
}
static inline void folder_meant_held_drop(struct folder_meant **m)
{
    folder_meant_held_free(*m);
}
/* ERR_NOT_FOUND: there is none, or it is another owner's. */
MUST_CHECK bool steps_folder_meant(struct engine *e, const struct op_folders *ask,
                                   struct folder_meant *out, struct err *err);
/* The path of a folder that something is put into, to be freed: `path`, or without a pointer that
 * of the folder of `id` (0: the root). ERR_INVALID, ERR_NOT_FOUND. */
MUST_CHECK bool steps_folder_wanted(struct engine *e, const struct step_asker *by, struct str path,
                                    int64_t id, char **out, struct err *err);
/* Makes everything durable that was decided, so that the store tells what is; what was borrowed is
 * not valid any more. False: op->err says why. */
MUST_CHECK bool steps_settle_first(struct engine *e, struct op *op, const struct step_asker *by);
MUST_CHECK bool steps_folder_clear(struct engine *e, struct op *op);

/* --- step_folder_list.c --- */
/* Adds the folder as it is now to the answer. */
void steps_folder_view(struct engine *e, struct op_folders *ask, const struct step_folder *f);
/* Whether there are such things (bits of 1 << enum step_thing; 0: yes) in it or beneath. */
MUST_CHECK bool steps_folder_has(struct engine *e, struct tx *tx, const struct step_folder *f,
                                 unsigned things, bool *out, struct err *err);
MUST_CHECK bool steps_folders_list(struct engine *e, struct op_folders *ask, struct err *err);
bool steps_folders_suggest(struct engine *e, struct op_folders *ask); /* always true */
MUST_CHECK bool steps_folder_contents(struct engine *e, struct op_folders *ask, struct err *err);

/* --- step_memory.c, for moving --- */
/* Everything is stored: what is in memory of jobs and artifacts is read anew, and steps get their
 * new folders. */
void steps_things_moved(struct engine *e, struct str owner, struct str from, struct str to);

/* --- step_job_end.c, step_register.c, for clearing --- */
/* Deletes it, if it may go: ERR_CONFLICT. */
MUST_CHECK bool steps_delete_job(struct engine *e, const struct step_job *job, struct err *err);
MUST_CHECK bool steps_delete_step(struct engine *e, struct step_entry *entry, struct err *err);

/* --- step_replay.c --- */
/* When the engine opens: its feed begins with what happened to jobs in the last STEP_FEED_KEEP_US
 * of its life before. ERR_STORE. */
MUST_CHECK bool steps_tell_again(struct engine *e, struct err *err);

/* --- step_views.c --- */
MUST_CHECK bool step_job_view_make(struct engine *e, const struct step_job *job,
                                   struct step_job_view *view, struct err *err);
/* Says why it does not run. */
void step_job_view_explain(const struct engine *e, struct step_job_view *view);
void step_op_release(struct op *op);

/* --- step_register.c --- */
/* The step that a name and a pattern of versions mean to that asker; NULL with err. */
struct step_entry *steps_find(struct engine *e, const struct step_asker *by, struct str name,
                              struct str version, struct err *err);

/* --- step_job_edit.c --- */
/* What follows when a job is so from now on: artifacts are used more or less, and so on. */
void steps_follow_job(struct engine *e, const struct step_job *before,
                      const struct step_job *after);

/* --- step_run.c --- */
/* Makes the task of a job that starts; `job` is as it will be. ERR_INVALID when its options are
 * wrong: nothing was done then. */
MUST_CHECK bool steps_check_start(struct engine *e, struct op *op, const struct step_job *job);
void steps_start(struct engine *e, const struct step_job *job);
/* What happens to the task of a step job happens to the job. The note's row says what. */
void steps_task_started(struct engine *e, const struct task_note *note, const struct lease *lease);
void steps_task_waits(struct engine *e, const struct task_note *note);
void steps_task_ended(struct engine *e, const struct task_note *note, enum job_state state);
/* A task that had ended waits again; outside of any transaction. */
void steps_task_back(struct engine *e, int64_t id);

/* --- step_artifacts.c --- */
/* An artifact goes: out of its job's outputs, too. The caller has checked that it may. */
void steps_drop_artifact(struct engine *e, const struct artifact *a);

/* --- step_report.c --- */
/* store_op.c: puts it into the store, on the committer's thread. */
MUST_CHECK bool step_report_store(struct tx *tx, struct op *op, int64_t now_us, struct err *err);

/* --- step_walk.c --- */
/* Sums up what the list of an OP_STEP_JOBS or OP_ARTIFACTS asks for: a slice at once; false: the op
 * waits for the next. When it is over, op->err tells whether it went well. */
MUST_CHECK bool steps_sum_up(struct engine *e, struct op *op);
/* The page takes long to be found: it is picked out of all that the filter finds, a slice a step
 * (op's `seek`). Always FATE_WAITS. */
enum op_fate steps_seek(struct engine *e, struct op *op);
/* The next slice of the list that has waited longest. */
void steps_walk_step(struct engine *e);
/* Keeps a tag that is not there, in order, in a list of the first STEP_SUM_TAGS_MAX. */
void steps_sum_tag(struct step_tags *tags, struct str tag);

/* --- step_pages.c --- */
/* The page of a list that has summed up, unless that has failed. */
enum op_fate steps_list_page(struct engine *e, struct op *op);

/* --- step_show.c --- */
/* Answers shows whose job has ended, or whose wait is over. */
void steps_shows_look(struct engine *e);
int64_t steps_next_us(const struct engine *e);
void steps_end_waits(struct engine *e, const struct err *why);

/* --- step_group.c --- */
bool steps_stir(const struct group *g);
void steps_stage(struct engine *e, struct group *g);
MUST_CHECK bool steps_store(struct tx *tx, const struct group *g, struct err *err);
void steps_committed(struct engine *e, struct group *g);
void steps_failed(struct engine *e, struct group *g, const struct err *why);
void step_group_release(struct step_group *g);

/* The ops. */
enum op_fate op_steps(struct engine *e, struct op *op);
enum op_fate op_step_job_edit(struct engine *e, struct op *op);
enum op_fate op_step_job_end(struct engine *e, struct op *op);
enum op_fate op_step_job_show(struct engine *e, struct op *op);
enum op_fate op_step_jobs(struct engine *e, struct op *op);
enum op_fate op_artifact_add(struct engine *e, struct op *op);
enum op_fate op_artifact_edit(struct engine *e, struct op *op);
enum op_fate op_artifact_show(struct engine *e, struct op *op);
enum op_fate op_artifacts(struct engine *e, struct op *op);
enum op_fate op_lineage(struct engine *e, struct op *op);
enum op_fate op_step_tags(struct engine *e, struct op *op);
enum op_fate op_step_usage(struct engine *e, struct op *op);
enum op_fate op_step_report(struct engine *e, struct op *op);
enum op_fate op_step_report_show(struct engine *e, struct op *op);
enum op_fate op_folders(struct engine *e, struct op *op);

#endif
