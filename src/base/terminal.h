/* terminal.h: what the other end of a stream is, and output for people: colours, tables, lines that
 * are drawn again. Threads: the main one. */
#ifndef PENSTOCK_BASE_TERMINAL_H
#define PENSTOCK_BASE_TERMINAL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Whether a person looks at it. */
bool terminal_is(FILE *out);
/* Columns of the terminal; 80 when that is not known. */
int terminal_columns(FILE *out);

enum colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_BAD, COLOUR_WARN, COLOUR_FAINT };
/* What switches a colour on or off: "" when it is no terminal, NO_COLOR is set, or TERM is dumb. */
const char *terminal_colour(FILE *out, enum colour colour);

/* A number with its thousands apart: 1,234,567. */
#define COUNT_TEXT_SIZE 32
void count_text(int64_t number, char out[COUNT_TEXT_SIZE]);
/* Seconds as people say them: 42 s, 3:05, 2:03:05, 4 d 3 h. */
#define SPAN_TEXT_SIZE 32
void span_text(double seconds, char out[SPAN_TEXT_SIZE]);

/* A table whose columns are as wide as what stands in them. */
struct table;
/* `titles` ends with NULL, borrowed; a title that begins with '>' belongs to a column of numbers,
 * which stand to the right. */
struct table *table_new(const char *const *titles);
/* The next cell, copied; control characters become '?'. A row ends by itself. */
void table_cell(struct table *t, struct str text, enum colour colour);
void table_print(const struct table *t, FILE *out);
void table_free(struct table *t);
DEFINE_OWNED(table)

#endif
