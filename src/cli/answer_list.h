/* answer_list.h: the lists in the server's answers: {"jobs":[...],"next":...}. Threads: the main
 * one. */
#ifndef PENSTOCK_CLI_ANSWER_LIST_H
#define PENSTOCK_CLI_ANSWER_LIST_H

#include "base/buf.h"
#include "base/err.h"

/* What is done with one entry; false ends the walk as a failure with the error it set. */
typedef bool answer_taker(void *context, struct str entry, struct err *err);

/* Gives each entry of the member `name` to `take`. ERR_INTERNAL when the answer has no such list.
 */
MUST_CHECK bool answer_list_each(struct str answer, const char *name, answer_taker *take,
                                 void *context, struct err *err);
/* A taker: prints the entry as it is, one a line, for programs. */
bool answer_list_print(void *unused, struct str entry, struct err *err);

#endif
