/* sink.h: where results go.
 *
 * A sink is written in groups: sink_add any number of times, then sink_flush (bytes written and
 * synced), then the caller's store transaction with sink_length, then sink_commit. When any step
 * fails sink_undo cuts the file back to its committed length. On opening, what lies behind the
 * committed length is cut off: it was never acknowledged. So every result is in the output exactly
 * once.
 *
 * A small group may ride: sink_ride writes its bytes into the file without waiting for the disk,
 * and the caller puts the same bytes (sink_ridden) into the store transaction that tells of the new
 * length. One sync then makes both durable. What rides is the sink's tail, [sink_synced,
 * sink_length); the next sink_flush syncs it into the file, and the transaction after that drops it
 * from the store. After a crash the tail is handed to sink_open, which writes it over whatever the
 * file holds there.
 *
 * The file is made at the first write. It is locked (flock) while open, so that two servers cannot
 * write it. A compressed sink makes each group a frame of its own, so that it can be cut there.
 * The order of a group: sink_begin, sink_add..., sink_flush or sink_ride, store, sink_commit.
 * Threads: the engine's. */
#ifndef PENSTOCK_IO_SINK_H
#define PENSTOCK_IO_SINK_H

#include "base/buf.h"
#include "base/err.h"
#include "core/job.h"
#include "io/folder.h"

struct sink;

/* The last bytes of what is synced: by them a file is known again after a restart. While nothing
 * is: what the system calls it. */
enum { SINK_SEAL_BYTES = 64 };
struct sink_seal {
    int64_t end_bytes; /* the place behind them */
    size_t len;        /* 0: there is none */
    char bytes[SINK_SEAL_BYTES];
};

/* What is stored about a sink between runs. */
struct sink_start {
    int64_t committed_bytes; /* -1: this job has not written yet */
    const char *columns;     /* CSV: see job_store.h; NULL */
    struct str tail; /* the last of the committed bytes, as the store holds them; borrowed for the
                        call, and not with `rested` */
    struct sink_seal seal; /* as stored of late; not looked at with `rested` */
    bool existed; /* before the first write: whether the file existed when the job was started */
    bool rested;  /* the job has ended since: what lies behind its bytes is not ours, and stays */
};

/* Prepares the sink of a spec; opens nothing when committed_bytes is -1 (but refuses what cannot
 * become an output: folder missing, not a file) or when it is `rested`, else opens, cuts back, and
 * looks whether it is the file that was sealed, writes and syncs the tail: then all that is
 * committed is in the file. A sync that fails here is ERR_IO and not ERR_FATAL, for the store has
 * the bytes still and they are written anew each time. A plain append to an existing file whose
 * last line lacks its line end begins with one. Errors: as folders_open; ERR_CONFLICT when another
 * process writes the file, ERR_GONE when it is not there any more, is shorter than the committed
 * length without the tail, or is another one. JSONL or CSV only (for a program the engine asks for
 * a JSONL spool). `folders` must outlive the sink. */
MUST_CHECK bool sink_open(const struct data_spec *spec, const struct folders *folders,
                          const struct sink_start *start, struct sink **out, struct err *err);
void sink_free(struct sink *s); /* closes; nothing is written */
DEFINE_OWNED(sink)

/* Opens the output for writing: makes it when there is none, empties it when the job overwrites and
 * has not written yet; nothing to do while it is open. To be called before the first sink_flush.
 * With *moved sink_length is new (the length that the file has without us): store it in a
 * transaction of its own before sink_flush. Only so can a restart tell what a killed process left
 * behind it, and cut that off. sink_flush does the same by itself, without that guarantee.
 * Errors: as sink_open, ERR_NO_SPACE, ERR_IO. */
MUST_CHECK bool sink_begin(struct sink *s, bool *moved, struct err *err);
/* A point to go back to within the group. */
size_t sink_mark(const struct sink *s);
/* Adds one result: `line` is one JSON value ended by '\n', without any other line break. The bytes
 * are borrowed until sink_commit or sink_undo. CSV: an array becomes a row; an object becomes a row
 * of the columns, which the first object of the job fixes (and writes as header when the file is
 * new). Errors: ERR_INVALID when it does not fit (more cells than columns, unknown column, a
 * scalar); the sink is as before the call. */
MUST_CHECK bool sink_add(struct sink *s, struct str line, struct err *err);
/* Forgets what was added since the mark. */
void sink_rewind(struct sink *s, size_t mark);
/* Whether anything was added since the last commit. */
bool sink_pending(const struct sink *s);
/* Writes what was added and syncs it, with the tail if there is one. On failure the caller must
 * sink_undo. ERR_GONE when the file was removed, moved away or cut, ERR_NO_SPACE, ERR_IO, ERR_FATAL
 * after a failed sync. */
MUST_CHECK bool sink_flush(struct sink *s, struct err *err);
/* sink_flush in two steps, so that its caller can do something else while the disk writes. Behind
 * sink_write sink_length, sink_synced and sink_take_seal answer as they will behind sink_sync; that
 * one does nothing where nothing is owed. Errors: sink_write as sink_flush, but nothing is synced;
 * sink_sync ERR_FATAL. */
MUST_CHECK bool sink_write(struct sink *s, struct err *err);
MUST_CHECK bool sink_sync(struct sink *s, struct err *err);
/* Whether what was added may ride: it is small, the output is not compressed, and the tail is not
 * too long already. */
bool sink_may_ride(const struct sink *s);
/* Writes what was added and leaves it to the caller to make it durable. Errors: as sink_flush, but
 * nothing is synced. */
MUST_CHECK bool sink_ride(struct sink *s, struct err *err);
/* What sink_ride wrote: the bytes that end at sink_length. Empty after sink_flush. Borrowed until
 * sink_commit or sink_undo. */
struct str sink_ridden(const struct sink *s);
/* All bytes below are synced; -1 before the first write. */
int64_t sink_synced(const struct sink *s);
/* Reads the seal of what is synced. ERR_IO. */
MUST_CHECK bool sink_take_seal(struct sink *s, struct sink_seal *out, struct err *err);
/* Length to store: what is committed plus what was flushed; -1 before the first write. */
int64_t sink_length(const struct sink *s);
/* Columns to store, NULL when there are none. Borrowed until the next call. */
const char *sink_columns(const struct sink *s);
/* The store transaction is durable: the new length stands. */
void sink_commit(struct sink *s);
/* Back to the committed state. ERR_IO or ERR_FATAL when the file could not be cut: then it is tried
 * again before the next write. */
MUST_CHECK bool sink_undo(struct sink *s, struct err *err);
/* Removes the output file (clean); the sink is then as before its first write. No file is no error.
 */
MUST_CHECK bool sink_remove(struct sink *s, struct err *err);
/* The job has ended: closes the file, which has no tail, and its lock. A later sink_add opens it
 * again. */
void sink_rest(struct sink *s);
/* Compares the file with what is committed, for doctor: counts lines of the committed part (JSONL
 * records or CSV rows written by anyone, header included). */
MUST_CHECK bool sink_count_lines(struct sink *s, int64_t *lines, struct err *err);
/* Whether the file holds these bytes at this place. ERR_IO. */
MUST_CHECK bool sink_holds(struct sink *s, int64_t at_bytes, struct str bytes, bool *holds,
                           struct err *err);

#endif
