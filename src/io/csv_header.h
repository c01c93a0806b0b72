/* csv_header.h: the names of a CSV file's columns as they are kept with a job, so that a header
 * that was edited between two runs is noticed: records are known by their numbers, which stay the
 * same, and half of the results would have other members. */
#ifndef PENSTOCK_IO_CSV_HEADER_H
#define PENSTOCK_IO_CSV_HEADER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

/* `{"header":["a","b"]}` of `names`, which is `"a":"b":`, whose names end at `ends`. NULL when it
 * would be so long that it had better not be kept. To be freed. */
char *csv_header_text(const char *names, const size_t *ends, size_t count);
/* Whether a text that was kept is one of a header, and not of several inputs. */
bool csv_header_is_text(const char *kept);
/* Compares the header as it is now with the one of before, both such texts. ERR_CONFLICT tells
 * both, and `name`, the file. */
MUST_CHECK bool csv_header_check(const char *name, const char *now, const char *before,
                                 struct err *err);

#endif
