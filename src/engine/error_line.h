/* error_line.h: a line of an error file in the form that holds the records themselves. Internal to
 * engine/.
 *
 *   {"record_id":7,"error_message":"...","error_type":"KeyError","attempts":3,"at":"...",
 *    "original_record":{...}}
 *
 * record_id is the id as it stands in the record, or without ids the record's number; null for what
 * has neither. original_record is the record byte for byte, null when it could not be read. */
#ifndef PENSTOCK_ENGINE_ERROR_LINE_H
#define PENSTOCK_ENGINE_ERROR_LINE_H

#include "engine/data_job.h"

struct error_record {
    int64_t record;         /* a number whose id and bytes are known or not; -1: none */
    const char *type;       /* when the reason names none; NULL */
    const char *reason;     /* when `reason_json` is empty */
    struct str reason_json; /* a text, or an object of `message` and `type` */
    const char *file;       /* NULL */
    int64_t line;           /* 0: unknown */
    int64_t attempts;       /* 0: none */
    struct str original;    /* when there is no number */
};

void error_record_line(const struct data_job *job, struct buf *out, const struct error_record *told,
                       int64_t at_us);

#endif
