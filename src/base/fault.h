/* fault.h: named places where a test makes things fail.
 *
 * FAULT("sink.written") is false in release builds and costs nothing. In test builds
 * (-Dfaults=true) the environment, PENSTOCK_FAULT="name:n:action[,...]", names what happens on the
 * n-th pass of a place: `kill` (SIGKILL to ourselves), `fail` (FAULT is true: the caller takes its
 * error path, errno is EIO), `full` (the same with ENOSPC). PENSTOCK_FAULT_LOG=FILE appends the
 * name of each place at its first pass, so that a test can see that all were visited. Tests in the
 * same process use fault_set. Threads: any. */
#ifndef PENSTOCK_BASE_FAULT_H
#define PENSTOCK_BASE_FAULT_H

#include <stdbool.h>

#ifdef PENSTOCK_FAULTS
#define FAULT(name) fault_hit(name)
bool fault_hit(const char *name);
/* Replaces the plan, in the same syntax as the environment; NULL clears it. */
void fault_set(const char *plan);
#else
#define FAULT(name) false
#endif

#endif
