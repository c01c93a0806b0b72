/* data_job.h: one data job as the engine holds it: its row, its ledger, and what it reads and
 * writes. Internal to engine/; the engine's thread. */
#ifndef PENSTOCK_ENGINE_DATA_JOB_H
#define PENSTOCK_ENGINE_DATA_JOB_H

#include "core/attempts.h"
#include "core/delays.h"
#include "core/in_hand.h"
#include "core/lease.h"
#include "core/ledger.h"
#include "core/pace.h"
#include "core/slots.h"
#include "engine/op.h"
#include "engine/order.h"
#include "engine/share.h"
#include "io/program.h"
#include "io/sink.h"
#include "io/source.h"
#include "store/note_store.h"

struct engine;

struct data_job {
    struct job_row row; /* as stored, but for what `live` and the ledger know better */
    struct data_spec spec;
    char *unreadable;  /* what the store says of it cannot be understood, and why; NULL. It is shown
                          as failed and can be deleted or started clean; nothing is stored of it
                          before, so that a program that understands it finds it as it was */
    char *out_name;    /* normal form of the output's path: no two jobs share it; NULL */
    char *errors_path; /* of the error file */
    char *errors_name; /* its normal form; NULL: not in a data folder, or not there */

    struct ledger *ledger;
    struct leases *leases;
    struct attempts *attempts;
    struct in_hand *in_hand; /* of records in flight: ids and bytes, where they will be needed */

    /* Of a job whose records have ids (identity.h): */
    struct id_set *ids; /* NULL: its output was not looked through yet */
    struct id_form id_form;
    int64_t ahead_bytes;   /* ids of the input are looked ahead for up to here */
    struct resume *resume; /* looks its output through; NULL when nothing does */
    bool untidy;           /* there are lines that may have to leave a file when the run is over */
    struct share share;    /* how much of it this run takes */
    struct buf notes[NOTE_KIND_COUNT]; /* for the store: what this group's results do not tell */
    struct delays *delays;     /* served records that wait for their next attempt, in no lease */
    struct attempts *suspects; /* how many were lost together with the record; suspects.c */
    int64_t suspect_count;

    bool limited; /* by any of these: */
    struct slots *slots;
    struct pace pace;
    struct record_set slowed; /* handed out before the rate was halved last, not settled since */

    struct source *reader; /* reads what is not known yet; NULL until needed */
    struct source *coming; /* becomes the reader when it has got to where that stands; NULL */
    bool coming_seeked;    /* it is at its page and passes known records */
    bool exhausted;        /* a claim got nothing at all from it */
    bool at_end;           /* it has met the end of what there is now */
    int64_t end_bytes; /* size of the input, as stored, at whose end the last reader stood; -1 */
    int64_t served_before; /* numbers below it may have been served before the engine was opened */
    char tail[160];        /* why the unfinished last line is no record, or "" */
    struct source *again;  /* reads what is to be served again; NULL until needed */
    int64_t again_next;    /* the number it would give next */
    int64_t again_to;      /* the number that it passes others for, in slices; -1 */
    int64_t unread_from;   /* no known record below is unread */
    double record_bytes;   /* mean size of a served record, for reserving answers */

    struct sink *sink, *errors; /* NULL until needed */
    struct order *order;        /* of a job whose output is in the order of its records; NULL */
    struct program *feed_in, *feed_out;

    struct op *waiting, **waiting_end;   /* claims, oldest first */
    bool again_now;                      /* a waiting claim must go on in the next round */
    int64_t wake_us;                     /* when one may get its next permit; NEVER_US */
    bool held_up;                        /* it waits until fewer results wait for their turn */
    bool looks_for_end;                  /* nobody waits, but see claims_look_for_end */
    struct op *reaching, **reaching_end; /* settlements of records that are not known yet */
    bool portion_over; /* what this run was to take is taken: whoever claims goes home, once nothing
                          of it is in flight */

    /* What settling changes, as counted now; stored with the next commit. */
    struct live {
        int64_t written, repeats, bad, skipped;
        int64_t retried; /* attempts that failed, and were not the last; since this engine began */
    } live, live_before, live_staged; /* before: as the group being built began; staged: as the one
                                         being committed began */
    bool touched;                     /* in the group being built */
    bool settles;                     /* that group syncs the tail into the output */
    bool owed;                        /* memory knows what the store could not be told */
    int64_t sealed_bytes;             /* where the stored seal of the output ends; -1: not known */
    struct data_progress stored;      /* as of the last commit; its string is owned */
    enum job_state stored_state;
    struct buf bad_lines;     /* for the error file: lines that could not be read */
    struct buf failure_lines; /* for the error file: failures of this group */
    int64_t *tried;           /* records whose attempts changed in this group */
    size_t tried_count, tried_cap;

    double rate;                       /* settled a second, decaying */
    int64_t rate_at_us, rate_since_us; /* counted last, and first without a long pause */
    bool progressed;                   /* since followers were shown its progress */
    int64_t progress_at_us;
    bool watched; /* its input is watched for growth */
    bool active;  /* in the engine's list of jobs with leases or waiting claims */
};

struct data_job *data_job_new(void);
/* Closes everything without writing; waiting claims must be gone. */
void data_job_free(struct data_job *job);
DEFINE_OWNED(data_job)

/* The store's word of it cannot be used. Its ledger is forgotten, not what is stored of it. */
void data_job_give_up(struct data_job *job, const char *why);
/* Whether the asker may act on the job. */
bool data_job_allows(const struct data_job *job, const struct op_right *right);

/* What is really opened: a program's lines come from, or go to, a spool in the state folder. The
 * spec is the caller's to release. */
void data_job_source_spec(const struct engine *e, const struct data_job *job,
                          struct data_spec *spec);
void data_job_sink_spec(const struct engine *e, const struct data_job *job, struct data_spec *spec);

/* Reading goes in slices, so that a long way through an input keeps the engine from nothing else:
 * what was read and is not given out counts. Begins a slice of the reader and the re-reader. */
void data_job_begin_slice(struct engine *e, struct data_job *job);

/* Opens on demand. The reader stands at the first record that is not known; job->reader is still
 * NULL when it could not get there in this slice. ERR_CONFLICT when the input is another one than
 * the job was started on. */
MUST_CHECK bool data_job_need_reader(struct engine *e, struct data_job *job, struct err *err);
/* ERR_BUSY while the output has to be looked through. */
MUST_CHECK bool data_job_need_sink(struct engine *e, struct data_job *job, struct err *err);
/* The same whatever has to be done before it is written to. */
MUST_CHECK bool data_job_open_sink(struct engine *e, struct data_job *job, struct err *err);
MUST_CHECK bool data_job_need_errors(struct engine *e, struct data_job *job, struct err *err);
/* Appends what the store has of the job's output, since the file may not: its tail. */
MUST_CHECK bool data_job_load_tail(struct engine *e, const struct data_job *job, struct buf *out,
                                   struct err *err);
/* Where the error file is found. */
const struct folders *data_job_errors_folders(const struct engine *e, const struct data_spec *spec);
/* True when something has to be put in order before the run is over: that has begun. */
bool data_job_tidy_up(struct engine *e, struct data_job *job);
/* Starts the operator's programs of the job, if it has any and they do not run. */
MUST_CHECK bool data_job_need_programs(struct engine *e, struct data_job *job, struct err *err);

/* Whether the input is no longer than when its end was last met, by a look at its size alone; false
 * in *ended also when that is not known. What is compressed cannot be read on from its end cheaply.
 */
MUST_CHECK bool data_job_still_ended(struct engine *e, struct data_job *job, bool *ended,
                                     struct err *err);
/* Compares the input with what the job was started on. */
MUST_CHECK bool data_job_check_input(struct engine *e, struct data_job *job, struct err *err);
/* So much is waiting for the error file that it must be written before more is read. */
bool data_job_must_list(const struct data_job *job);

/* Closes reader, re-reader, sinks and programs (the job ended, or is about to change). */
void data_job_rest(struct data_job *job);

/* So much is read in one go. */
int64_t data_job_slice_bytes(const struct engine *e);
/* Opens the input, compared with what the job was started on. */
MUST_CHECK bool data_job_open_source(struct engine *e, struct data_job *job, struct source **out,
                                     struct err *err);
/* Reads ahead without serving until `record` is known or the input ends for now; *paused when
 * neither has come in this slice. */
MUST_CHECK bool data_job_reach(struct engine *e, struct data_job *job, int64_t record, bool *paused,
                               struct err *err);
/* Reads one record that is not known yet and appends it to the ledger: good ones as `state`, bad
 * ones as failed (noted for the error file). */
enum source_got data_job_read(struct engine *e, struct data_job *job, enum record_state state,
                              struct source_record *out, struct err *err);
/* Reads one known record once more. SOURCE_RECORD, SOURCE_BAD (now noted as failed), SOURCE_PAUSE
 * or SOURCE_FAILED. */
enum source_got data_job_read_again(struct engine *e, struct data_job *job, int64_t record,
                                    struct source_record *out, struct err *err);

/* Nothing is in flight any more, nobody holds anything: all that was served and not settled is
 * unread. */
void data_job_unserve(struct data_job *job);
/* Ends one lease; what it still holds is the caller's to see to. */
void data_job_end_lease(struct data_job *job, struct lease *lease);

/* Sets a record's state and keeps unread_from. Returns what it was. */
enum record_state data_job_set(struct data_job *job, int64_t record, enum record_state state);
/* A record that cannot be served: one line for the error file. `type` names what is wrong with it
 * beside record->reason. */
void data_job_note_bad(const struct engine *e, struct data_job *job,
                       const struct source_record *record, const char *type);
/* The record's attempts go into the next commit. */
void data_job_note_tried(struct data_job *job, int64_t record);
void data_job_set_attempts(struct data_job *job, int64_t record, int64_t attempts);
/* One line for the error file. `file` may be NULL: where the record lies is known only of a job's
 * single input. `reason_json` may be empty, or is a text or an object of `message` and `type`. */
void data_job_error_line(const struct data_job *job, struct buf *out, const char *kind,
                         int64_t record, const char *file, int64_t line, const char *reason,
                         struct str reason_json, int64_t attempts, int64_t at_us);

/* The row brought up to date with ledger, reader and sinks, for storing. */
void data_job_update_row(struct data_job *job);
/* The store holds this row of the job's now. */
void data_job_note_stored(struct data_job *job, const struct job_row *row);
/* How the surfaces see it. */
void data_job_view(const struct data_job *job, struct instant now, struct job_view *out);
/* Counts settled records into the rate. */
void data_job_count_rate(struct data_job *job, int64_t settled, int64_t mono_us);

#endif
