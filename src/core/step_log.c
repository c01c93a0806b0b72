/* step_log.c: see step_log.h. */
#include "core/step_log.h"

const char *const step_log_levels[STEP_LOG_LEVEL_COUNT + 1] = {
    "debug", "info", "warning", "error", "critical", NULL,
};
const char *const step_log_sources[STEP_LOG_SOURCE_COUNT + 1] = {
    "log",
    "stdout",
    "stderr",
    NULL,
};

struct str step_log_cut(struct str message)
{
    size_t len = message.len;
    if (len <= STEP_LOG_LINE_MAX_BYTES)
        return message;
    /* A character's later bytes begin with the bits 10. */
    for (len = STEP_LOG_LINE_MAX_BYTES; len > 0 && (message.ptr[len] & 0xc0) == 0x80; len--)
        ;
    return (struct str){message.ptr, len};
}
