/* flow_row.h: one row of a task list, as text: cut into fields, variables put in, arguments taken
 * apart. Used by flow.c only. Pure. */
#ifndef PENSTOCK_CORE_FLOW_ROW_H
#define PENSTOCK_CORE_FLOW_ROW_H

#include "core/flow.h"

enum { FLOW_FIELDS_MAX = 9 };

struct flow_row {
    uint32_t line;
    struct str text;                    /* without the blanks around it */
    uint32_t indent;                    /* characters before `text` */
    struct str fields[FLOW_FIELDS_MAX]; /* as they stand, trimmed */
    size_t count;                       /* of the fields that are there, at most the columns */
};

/* The names of a mode's columns, in order; *required: how many a row must have. */
const char *const *flow_columns(enum flow_mode mode, size_t *count, size_t *required);

/* Cuts the row at its separators; tells what is missing and what is too much. */
void flow_row_split(struct flow_row *row, enum flow_mode mode, struct flow_problems *problems);
/* Where something in the row's text stands. */
struct flow_problem flow_row_place(const struct flow_row *row, const char *at, const char *field);
/* The field with its variables put in, to be freed; NULL when one is not defined or misspelt, which
 * is told. */
char *flow_row_expand(const struct flow_row *row, struct str field, const char *column,
                      flow_lookup *lookup, void *context, struct flow_problems *problems);

/* The next argument of a list of them, cut off its front, unquoted, to be freed; NULL: there are no
 * more. */
char *flow_next_argument(struct str *list);

#endif
