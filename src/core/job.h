/* job.h: what a user starts and watches, as pure rules: its kinds, its states, what a data job is
 * made of. No I/O, no clock.
 *
 *   draft ──► ready ──► blocked ──► pending ──► running ──► completed
 *                                      ▲           │   └───► failed
 *                                      └───────────┘
 *   A data job is `pending` until the first claim, `running` while records are unread or in flight,
 *   `completed` when its input is at the end and nothing is in flight. A repair, or lines appended
 * to the input, open a completed job again. Paused is no state but a gate: a paused job hands out
 *   nothing and still takes results. */
#ifndef PENSTOCK_CORE_JOB_H
#define PENSTOCK_CORE_JOB_H

#include "base/buf.h"
#include "base/err.h"

enum job_kind { JOB_DATA, JOB_TASK, JOB_FLOW };

enum job_state {
    JOB_DRAFT,
    JOB_READY,
    JOB_BLOCKED,
    JOB_PENDING,
    JOB_RUNNING,
    JOB_COMPLETED,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_STATE_COUNT
};

/* What happens to a job. */
enum job_verb {
    JOB_START,    /* the user lets it go */
    JOB_CLAIM,    /* work of it was handed out */
    JOB_COMPLETE, /* nothing is left to do */
    JOB_FAIL,     /* it cannot go on: input gone or changed, program failed */
    JOB_CANCEL,   /* a person stopped it */
    JOB_REOPEN,   /* repair, clean start, or the input grew */
    JOB_VERB_COUNT
};

const char *job_kind_name(enum job_kind kind);
const char *job_state_name(enum job_state state);
bool job_state_parse(struct str text, enum job_state *out);
const char *job_verb_name(enum job_verb verb);

/* The one table of transitions: where `verb` leads from `state`, or ERR_CONFLICT. */
MUST_CHECK bool job_next_state(enum job_state state, enum job_verb verb, enum job_state *out,
                               struct err *err);
/* Whether the job has ended: completed, failed or cancelled. */
bool job_state_is_final(enum job_state state);

/* Which way records go. */
enum data_mode {
    MODE_READ_WRITE,
    MODE_READ,  /* nothing comes back: handing out is all */
    MODE_WRITE, /* no input: whatever is sent is written */
    MODE_COUNT
};
const char *data_mode_name(enum data_mode mode); /* "read-write", "read", "write" */
bool data_mode_parse(struct str text, enum data_mode *out);

enum data_format { FORMAT_NONE, FORMAT_JSONL, FORMAT_CSV, FORMAT_PROGRAM, FORMAT_COUNT };
const char *data_format_name(enum data_format format); /* "none", "jsonl", "csv", "program" */
bool data_format_parse(struct str text, enum data_format *out);
/* What the path's ending (behind .gz or .zst) says; FORMAT_NONE when it says nothing. */
enum data_format data_format_of_path(const char *path);

/* An input is recognised as compressed by its first bytes, an output is compressed when its path
 * ends in .gz or .zst. */
enum compression { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD };
enum compression compression_of_path(const char *path);

#define DATA_INPUTS_MAX 10000 /* files that one job reads */
#define CSV_CHUNK_ROWS 100    /* rows typed together unless the job says otherwise */
#define CSV_CHUNK_ROWS_MAX 100000
#define DATA_LEASE_MAX_US (INT64_C(7) * 24 * 3600 * 1000000)
#define DATA_ATTEMPTS_MAX 1000000
#define DATA_CONCURRENCY_MAX 1000000
#define DATA_RPM_MAX 60e6
#define DATA_RETRY_DELAY_MAX_US (INT64_C(24) * 3600 * 1000000)

/* What a data job reads, writes and allows; fixed when it is started. Strings are owned, NULL where
 * there is nothing. */
struct data_spec {
    enum data_mode mode;
    enum data_format source_format;
    char *source_path;  /* as asked: absolute below a data folder, or relative to the first */
    char **source_more; /* several inputs: those behind the first, read in this order as one
                           numbering; each is CSV or JSONL by its ending, else source_format */
    size_t source_more_count;
    char *source_program; /* name of the operator's reader, for FORMAT_PROGRAM */
    bool csv_objects;     /* a CSV's rows are objects named by its header, not lists */
    int64_t chunk_rows;   /* CSV: rows typed together, 1..CSV_CHUNK_ROWS_MAX */
    enum data_format sink_format;
    char *sink_path;
    char *sink_program;   /* name of the operator's writer, for FORMAT_PROGRAM */
    bool sink_overwrite;  /* empty the output once, at the first write of the job */
    int64_t lease_us;     /* to DATA_LEASE_MAX_US; 0: held until it is settled or given back */
    int64_t max_attempts; /* per record, to DATA_ATTEMPTS_MAX; 0: no limit */
    bool allow_repeats;   /* Planchet's other modes: results are not checked for repeats */

    int64_t concurrency;    /* records that run at once over all workers; 0: no limit */
    double rpm;             /* starts a minute over all workers, attempts too; 0: no limit */
    bool adaptive;          /* the rate halves when a service says it is too much, climbs back */
    int64_t retry_delay_us; /* before the second attempt; 0: at once */
    double retry_factor;    /* each further wait is so much longer, 1..10; all +-10 % at random */

    char *id_key;        /* records are known by this member, not by their number; NULL */
    char *rerun_key;     /* a line of the output with this member does not count as done; NULL */
    bool ordered;        /* results are written in the order of their records */
    char *errors_path;   /* where failed records are listed; NULL: beside the output */
    bool errors_records; /* the list holds each failed record as it was read (JsonlBatch's form) */
};

void data_spec_init(struct data_spec *spec);
void data_spec_release(struct data_spec *spec);
void data_spec_copy(struct data_spec *to, const struct data_spec *from);
/* How many files it reads, and the i-th of them: 0 is source_path. Borrowed. */
size_t data_spec_input_count(const struct data_spec *spec);
const char *data_spec_input(const struct data_spec *spec, size_t i);
/* As a JSON object, the shape that is stored and that the native surface takes and shows. */
void data_spec_write(const struct data_spec *spec, struct buf *out);
/* Reads that shape over what `out` (initialised) holds: members that are absent or null keep it. A
 * format that is not named follows from the path. Unknown members and wrong types are ERR_INVALID
 * and named; `out` is then untouched. */
MUST_CHECK bool data_spec_read(struct str json, struct data_spec *out, struct err *err);
/* Whether the parts fit together: a mode that writes has a sink, one that reads has a source, ...;
 * what passes can be stored and read again. */
MUST_CHECK bool data_spec_check(const struct data_spec *spec, struct err *err);

/* A name: 1 to 512 bytes of UTF-8 without control characters. */
#define JOB_NAME_MAX_BYTES 512
MUST_CHECK bool job_name_check(struct str name, struct err *err);

#endif
