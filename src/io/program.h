/* program.h: custom readers and writers: programs named by the operator when the server starts, and
 * descriptors of this process (standard input and output of `penstock run`).
 *
 * A reader prints JSONL on stdout, a writer reads JSONL on stdin. Neither is trusted to survive a
 * crash, so both work through a spool file in the state folder. A reader's lines are appended to
 * its spool, which is then an input like any other; when the server died before the program ended,
 * the program is run again and must print the same bytes as far as the spool goes: they are
 * compared, a difference is a failure. A writer is started on the whole spool each time the server
 * starts, gets the committed part as it grows, and end of input when the job is complete: whoever
 * is to see every record exactly once begins its own output anew at each start.
 *
 * Commands run by `/bin/sh -c`, in a process group of their own, killed with it.
 *
 * A descriptor goes the same way, without a process: what is read from it is spooled first, and a
 * run that is started again must be given the same bytes again; what is written to it are the
 * committed lines of the spool, from its start. When nobody reads any more what it leads to, the
 * writer fails, and everything is in the spool. */
#ifndef PENSTOCK_IO_PROGRAM_H
#define PENSTOCK_IO_PROGRAM_H

#include "base/err.h"
#include "base/own.h"

#include <stdint.h>

/* The operator's table. */
struct programs;
struct programs *programs_new(void);
void programs_free(struct programs *p);
DEFINE_OWNED(programs)
/* `rule` is NAME=COMMAND. ERR_INVALID when it has no '=' or the name is taken or not
 * [A-Za-z0-9_.-]+ */
MUST_CHECK bool programs_add(struct programs *p, const char *rule, struct err *err);
/* Gives a descriptor a name, for whoever has the engine in its own process. It must stay open as
 * long as the table is used. Errors as programs_add. */
MUST_CHECK bool programs_add_fd(struct programs *p, const char *name, int fd, struct err *err);

/* What a name leads to. */
struct program_end {
    const char *command; /* NULL: the descriptor */
    int fd;              /* with a command -1 */
};
/* False when there is none of that name. The command is borrowed. */
bool programs_find(const struct programs *p, const char *name, struct program_end *out);

enum program_state {
    PROGRAM_RUNNING,
    PROGRAM_ENDED, /* exit status 0 and everything passed on */
    PROGRAM_FAILED /* exit status, signal, spool or comparison: see program_failure */
};

struct program; /* one running program; a thread of its own moves its bytes */

/* Starts a reader whose output goes to the file `spool_path`. `wake` is called on the program's
 * thread whenever more whole lines were spooled and when it has ended; it must not block. It stops
 * reading the program's pipe while more than 64 MiB of the spool lie ahead of program_consumed. */
MUST_CHECK bool program_start_reader(const struct program_end *end, const char *spool_path,
                                     void (*wake)(void *context), void *context,
                                     struct program **out, struct err *err);
/* Starts a writer that is fed the spool's first `committed_bytes`, then what program_advance adds.
 */
MUST_CHECK bool program_start_writer(const struct program_end *end, const char *spool_path,
                                     int64_t committed_bytes, void (*wake)(void *context),
                                     void *context, struct program **out, struct err *err);
/* Reader: how far (bytes of the spool) the engine has read. */
void program_consumed(struct program *p, int64_t bytes);
/* Writer: so much of the spool is committed. */
void program_advance(struct program *p, int64_t committed_bytes);
/* Writer: no more will come; when all is passed on its stdin is closed. */
void program_finish(struct program *p);
enum program_state program_state(struct program *p);
/* Why it failed; "" otherwise. Borrowed until the next call. */
const char *program_failure(struct program *p);
/* Kills the process group if it still runs, reaps it, joins the thread. */
void program_free(struct program *p);
DEFINE_OWNED(program)

#endif
