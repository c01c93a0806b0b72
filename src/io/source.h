/* source.h: where records come from, as JSON bytes, in order, from any place in the input.
 *
 * A record's number is its position: for JSONL the physical line (bad and empty ones use up their
 * number), for CSV the data row (the header and blank lines have none). The same file gives the
 * same numbers every time. A file may grow: after SOURCE_END a later call goes on with what was
 * appended. A last line without line end is served when it is a whole value; what is appended to it
 * before a line end comes is dropped, since the line has its number already. A compressed input
 * that ends in the middle of a frame is SOURCE_FAILED after its last whole line. Memory does not
 * grow with the input; a line longer than SOURCE_LINE_MAX is a bad record and is skipped without
 * being held. Reading can be told to pause (source_allow), so that a long way through an input does
 * not keep the thread from its other work.
 *
 * CSV rows are typed by column within each chunk (docs/csv.md): chunk_rows rows, fewer when they
 * are very large, the same for everybody who starts at the same place. A place of a CSV source is
 * the start of a chunk. A last row without line end is served when it has all its cells, else it is
 * the tail; one that was served keeps its number however it goes on.
 *
 * Several inputs are read one after the other as one numbering; lines are counted within each file.
 * Only the last of them may grow: an unfinished last line of another one is a bad record. The place
 * of such a source says the file in the upper bits of `bytes`. Threads: the engine's. */
#ifndef PENSTOCK_IO_SOURCE_H
#define PENSTOCK_IO_SOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "core/job.h"
#include "core/ledger.h"
#include "io/folder.h"

#define SOURCE_LINE_MAX (64 << 20) /* bytes */

enum source_got {
    SOURCE_RECORD, /* one record */
    SOURCE_BAD,    /* one record that cannot be read: `reason` says why; it has a number */
    SOURCE_TAIL,   /* the input ends in a line without line end that is no JSON: perhaps still being
                      written. It was not passed; `reason` says what is wrong with it now. */
    SOURCE_END,    /* nothing more for now */
    SOURCE_PAUSE,  /* what was allowed is read, and no record is whole yet: allow more, ask again */
    SOURCE_FAILED  /* the input cannot be read: err is set */
};

struct source_record {
    int64_t number;
    int64_t line;       /* physical line of its file that it begins on, from 1 */
    const char *file;   /* the input it is in, as asked; borrowed from the source */
    struct str json;    /* borrowed until the next call on this source; one line, blanks trimmed */
    struct str id;      /* within it: the raw value of the spec's id_key; NULL pointer: none, or not
                           looked for */
    const char *reason; /* of SOURCE_BAD and SOURCE_TAIL; borrowed until the next call */
};

struct source;

/* Opens the input of a spec, JSONL or CSV (mode and sink are not looked at; for a program's lines
 * the engine asks for the JSONL file they are spooled to). `folders` must outlive the source.
 * Errors: as folders_open; ERR_INVALID for an empty CSV (no header). */
MUST_CHECK bool source_open(const struct data_spec *spec, const struct folders *folders,
                            struct source **out, struct err *err);
void source_free(struct source *s);
DEFINE_OWNED(source)

/* Lets the source read about so many bytes from now on (also those that come out of decompression)
 * before it pauses; what it has read already it gives out. A source begins without a limit. */
void source_allow(struct source *s, int64_t bytes);
/* So many more than it had left. */
void source_allow_more(struct source *s, int64_t bytes);
/* Whether the last call ended early for that. */
bool source_paused(const struct source *s);

/* The next record. */
enum source_got source_next(struct source *s, struct source_record *out, struct err *err);
/* What was read already of the lines that come next, and where in the (decompressed) file they
 * begin; borrowed until the next call. Empty in the middle of a line, and of formats whose records
 * are not lines. */
struct str source_ahead(const struct source *s, int64_t *at_bytes);
/* Where a reader must start to get, sooner or later, the record that the next call would return. */
struct place source_place(const struct source *s);
/* Goes to a place that source_place gave for this input, at any time before. Compressed inputs are
 * decompressed up to it from the start when it lies behind. When it paused on the way (true, and
 * source_paused), only the same call again may follow, or one to another place. */
MUST_CHECK bool source_seek(struct source *s, struct place place, struct err *err);
/* Passes records without validating them until the next one is `record` or the input ends; cheaper
 * than source_next for what is not wanted. Must be ahead: record >= the next number. When it paused
 * on the way the same call goes on. */
MUST_CHECK bool source_skip_to(struct source *s, int64_t record, struct err *err);

/* Of several inputs the first is meant:
 * The first min(length, 4096) bytes as stored (not decompressed): hex SHA-256 into `print`, and how
 * many bytes it covers. With want_bytes > 0 exactly that many; ERR_CONFLICT when the file is
 * shorter. A restart compares it, so that another file under the old name is noticed. */
MUST_CHECK bool source_fingerprint(struct source *s, int64_t want_bytes, char print[65],
                                   int64_t *bytes, struct err *err);
/* What tells several inputs from others, as a text to be kept; of one CSV file whose rows are
 * objects its header; NULL of another, and of a header that is very long or may still go on. To be
 * freed. */
MUST_CHECK bool source_inputs(struct source *s, char **out, struct err *err);
/* Compares with such a text of this input, taken before: the same files in this order, of which all
 * but the last are as long as they were. More may have come behind; then the last one then may have
 * grown. Of a CSV file: the same header. ERR_CONFLICT says which file is another; ERR_STORE when
 * the text is damaged. */
MUST_CHECK bool source_check_inputs(struct source *s, const char *before, struct err *err);
/* For error messages: the path as asked, of several inputs the one being read. Borrowed. */
const char *source_name(const struct source *s);
/* Size of the input in bytes as stored, and the stored offset the reader has reached, for an
 * estimate of how far it is (for a compressed input: of its compressed bytes); false when unknown.
 */
bool source_extent(const struct source *s, int64_t *size_bytes, int64_t *at_bytes);
/* Descriptor of the input to watch for growth, -1 when there is none. Borrowed. */
int source_fd(const struct source *s);

#endif
