/* line_reader.h: the lines of a text file, or the rows of a CSV, compressed or not, one after the
 * other, as bytes: for files of Penstock's own form (outputs, error files), whose lines end with
 * \n. Memory is that of the longest line, at most SOURCE_LINE_MAX. Threads: one. */
#ifndef PENSTOCK_IO_LINE_READER_H
#define PENSTOCK_IO_LINE_READER_H

#include "io/csv_row.h"
#include "io/source_bytes.h"

struct line_reader {
    struct source_bytes bytes;
    int64_t began_at; /* of the line it is in */
    size_t searched;  /* so much of the window has no line end */
    bool in_long;     /* that line is too long */
    bool csv;         /* rows: line ends within quotes belong to them */
    struct csv_scan scan;
};

struct line {
    struct str text;  /* without its end and without a byte order mark; borrowed until the next */
    int64_t at_bytes; /* where it begins in the (decompressed) file */
    bool ended;       /* by a line end; only the last one may lack it */
    bool too_long;    /* to be held: `text` is empty */
};

enum line_got { LINE_HERE, LINE_NONE, LINE_PAUSE, LINE_FAILED };

/* As source_bytes_init. */
void line_reader_init(struct line_reader *r, int fd, const char *name, int64_t limit_bytes,
                      bool csv);
void line_reader_release(struct line_reader *r);
/* So much may be read, or come out of decompression, before the next pause; at first: any amount.
 */
void line_reader_allow(struct line_reader *r, int64_t bytes);
/* LINE_NONE: the file has ended. LINE_PAUSE: what was allowed is read. Errors as source_bytes_fill.
 */
enum line_got line_reader_next(struct line_reader *r, struct line *out, struct err *err);
/* How far it is in the (decompressed) file. */
int64_t line_reader_at(const struct line_reader *r);

#endif
