/* line_program.h: one life of the user's program: it reads lines on its standard input and prints
 * lines on its standard output; what it prints on standard error goes where ours goes.
 *
 * Nothing here waits but line_program_free. The program is killed with its whole process group, at
 * the latest when the thread that started it ends. Threads: one. */
#ifndef PENSTOCK_RUN_LINE_PROGRAM_H
#define PENSTOCK_RUN_LINE_PROGRAM_H

#include "base/buf.h"
#include "base/err.h"
#include "run/feed_window.h"

/* A line is at most so long: an answer must fit into the body of one request. */
#define LINE_PROGRAM_LINE_MAX ((size_t)(64 << 20) - (64 << 10))

struct line_program;

/* Starts `command` by /bin/sh. Errors: as spawn_start. */
MUST_CHECK bool line_program_start(const char *command, struct line_program **out, struct err *err);
/* Kills what still runs and waits for its end. */
void line_program_free(struct line_program *p);
DEFINE_OWNED(line_program)
void line_program_kill(struct line_program *p);

/* For poll: -1 when closed; the last is readable when the program has ended. Borrowed. */
int line_program_input(const struct line_program *p);
int line_program_output(const struct line_program *p);
int line_program_end_fd(const struct line_program *p);

/* Writes as much as its input takes now; *wrote may be 0. False when it has closed its input (which
 * is then closed here too). */
bool line_program_write(struct line_program *p, struct str bytes, size_t *wrote);
/* Ends its input. */
void line_program_close_input(struct line_program *p);
/* Whether it has read all that was written; what it seems to do. */
bool line_program_is_hungry(const struct line_program *p);
enum program_mood line_program_mood(const struct line_program *p);

/* Reads what it has printed, if anything. Errors: ERR_LIMIT when a line is too long. */
MUST_CHECK bool line_program_read(struct line_program *p, struct err *err);
/* The next line it has printed, without its end; borrowed until the next read. False: none is
 * whole.
 */
bool line_program_line(struct line_program *p, struct str *line);
/* What it printed behind its last line, once its output has ended. */
struct str line_program_rest(const struct line_program *p);
/* How many bytes it has printed in its life. */
int64_t line_program_printed(const struct line_program *p);

/* Whether it has ended; *status is then as of waitpid. Kills what is left of its group. */
bool line_program_has_ended(struct line_program *p, int *status);
/* Memory it has now, of its first process; 0: not known. */
int64_t line_program_memory_bytes(const struct line_program *p);

#endif
