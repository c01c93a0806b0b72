/* task.c: names of what tasks are asked to do. */
#include "core/task.h"

const char *task_abort_name(enum task_abort abort)
{
    static const char *const names[] = {"", "cancelled", "timeout"};
    return names[abort];
}
