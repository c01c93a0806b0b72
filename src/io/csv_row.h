/* csv_row.h: where a CSV row ends and what its cells are (RFC 4180, read as forgivingly as Python's
 * pandas does). Threads: a struct belongs to one.
 *
 * Cells are separated by commas; rows end with \n, \r\n or a lone \r. A cell that begins with a
 * double quote goes on to the closing one, commas and line ends included, "" being one quote; what
 * stands behind the closing quote belongs to the cell as it is. Anywhere else a quote is a plain
 * character. A row of nothing or blanks only is blank and is no row. */
#ifndef PENSTOCK_IO_CSV_ROW_H
#define PENSTOCK_IO_CSV_ROW_H

#include "base/buf.h"

enum csv_scan_state { CSV_CELL_START, CSV_UNQUOTED, CSV_QUOTED, CSV_QUOTE };

/* Finds the end of one row in bytes that come in pieces. */
struct csv_scan {
    enum csv_scan_state state;
    bool blank;    /* nothing but blanks so far */
    bool after_cr; /* within quotes: a \n would belong to the \r before it */
    int64_t cells; /* so far, at least 1 */
    int64_t lines; /* line ends within the row's quotes */
};

void csv_scan_init(struct csv_scan *s);
/* Goes on through `text`. True when the row has ended: *used counts its line end's first byte (a \n
 * behind a \r is not looked at). False: all of it was used and the row goes on. */
bool csv_scan(struct csv_scan *s, struct str text, size_t *used);

/* Counts rows, blank ones left out, in a stream that comes in pieces. Start zeroed. */
struct csv_count {
    struct csv_scan scan;
    bool within;  /* a row */
    int64_t rows; /* ended ones */
};
void csv_count_add(struct csv_count *c, struct str text);
int64_t csv_count_end(const struct csv_count *c); /* with the last row, ended or not */

/* The cells of one row, without its line end. */
struct csv_cells {
    const char *at, *end;
    bool more;
    char *scratch; /* for cells with quotes inside */
    size_t scratch_cap;
};

/* Zeroed at first; may be used for one row after the other, then csv_cells_release. */
void csv_cells_open(struct csv_cells *c, struct str row);
void csv_cells_release(struct csv_cells *c);
/* The next cell's text, quotes undone; borrowed until the next call. False after the last. */
bool csv_cells_next(struct csv_cells *c, struct str *text);

#endif
