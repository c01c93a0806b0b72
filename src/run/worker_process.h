/* worker_process.h: one worker process and what leads to it: a pidfd that says when it has ended,
 * the control channel, and a pipe for what it prints. Threads: one owner, which outlives it. */
#ifndef PENSTOCK_RUN_WORKER_PROCESS_H
#define PENSTOCK_RUN_WORKER_PROCESS_H

#include "base/err.h"
#include "base/own.h"
#include "run/line_stream.h"

#include <sys/types.h>

enum worker_end { WORKER_EXIT, WORKER_CONTROL, WORKER_OUTPUT, WORKER_END_COUNT };

struct worker_process {
    pid_t pid;
    int fds[WORKER_END_COUNT]; /* none blocks; -1: closed */
    struct line_stream lines[WORKER_END_COUNT];
};

/* Starts the program in a group of its own, its standard input empty. All descriptors are watched
 * by the epoll instance, as number first + enum worker_end. Errors: as spawn_start. */
MUST_CHECK bool worker_process_start(struct worker_process *p, const char *const *argv,
                                     const char *const *environment, int epoll_fd, uint64_t first,
                                     struct err *err);
/* Sends a message. It always fits into the socket of a process that reads what it is told; what
 * does not is found when its time is over. */
void worker_process_tell(struct worker_process *p, const struct buf *message);
/* Gives every line that has come to `take`; closes what has ended. */
void worker_process_read(struct worker_process *p, enum worker_end end,
                         void (*take)(void *context, struct str line), void *context);
/* Kills it and all it started. */
void worker_process_kill(struct worker_process *p);
/* Waits for the end of one that has ended or was killed, and takes what is left of its group along;
 * the status as of waitpid. */
int worker_process_reap(struct worker_process *p);
/* Closes what leads to it. Zeroed memory is no process: only after worker_process_start. */
void worker_process_release(struct worker_process *p);
/* How often the kernel has killed a process since it started, because memory was short: of all
 * processes that /proc/vmstat counts; -1 when that cannot be said. */
int64_t worker_process_oom_kills(void);
/* The same from what that file says. */
int64_t worker_process_oom_kills_in(struct str vmstat);
/* How much memory it holds; 0 when that cannot be said. */
int64_t worker_process_memory_bytes(const struct worker_process *p);

#endif
