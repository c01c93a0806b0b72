/* step_log.h: what a step job's runs have logged: lines, and how many of them are kept. Pure. */
#ifndef PENSTOCK_CORE_STEP_LOG_H
#define PENSTOCK_CORE_STEP_LOG_H

#include "base/buf.h"

#include <stdint.h>

enum {
    STEP_LOG_LINE_MAX_BYTES = 16 << 10, /* of a message; what is longer is cut */
    STEP_LOG_POST_MAX = 1000,           /* lines that come at once */
    STEP_LOG_KEPT_LINES = 10000,        /* of a job: the oldest go, */
    STEP_LOG_KEPT_BYTES = 1 << 20,      /* until what stays is that small, too */
    STEP_METRICS_MAX_BYTES = 64 << 10
};

enum step_log_level {
    STEP_LOG_DEBUG,
    STEP_LOG_INFO,
    STEP_LOG_WARNING,
    STEP_LOG_ERROR,
    STEP_LOG_CRITICAL,
    STEP_LOG_LEVEL_COUNT
};
extern const char *const step_log_levels[STEP_LOG_LEVEL_COUNT + 1]; /* "debug", …; NULL ends them */

/* Where a line was written to. */
enum step_log_source { STEP_LOG_LOGGED, STEP_LOG_STDOUT, STEP_LOG_STDERR, STEP_LOG_SOURCE_COUNT };
extern const char
    *const step_log_sources[STEP_LOG_SOURCE_COUNT + 1]; /* "log", "stdout", "stderr" */

struct step_log_line {
    int64_t number; /* of the job's lines, from 0; also those that are gone count */
    int64_t at_us;  /* wall */
    int64_t fence;  /* of the run that wrote it */
    enum step_log_level level;
    enum step_log_source source;
    struct str message;
};

/* As much of a message as is kept: cut before the character that would make it too long. */
struct str step_log_cut(struct str message);

#endif
