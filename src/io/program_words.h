/* program_words.h: what a program says beside its records, on standard error: passed on to the
 * server's, line by line, the last one kept to be told should the program fail. Threads: one. */
#ifndef PENSTOCK_IO_PROGRAM_WORDS_H
#define PENSTOCK_IO_PROGRAM_WORDS_H

#include "base/err.h"
#include "base/own.h"

#include <stddef.h>

enum { PROGRAM_WORDS_LAST = 160, PROGRAM_WORDS_HELD = 4096 };

struct program_words {
    int fd; /* our end of the pipe, -1: none */
    char held[PROGRAM_WORDS_HELD];
    size_t len;                    /* of a line that has not ended */
    char last[PROGRAM_WORDS_LAST]; /* the last line that is not blank: plain text, cut */
};

/* Makes the pipe; *theirs is the program's end, the caller's to close. */
MUST_CHECK bool program_words_open(struct program_words *w, int *theirs, struct err *err);
/* Takes what is there, without waiting; closes the pipe at its end. */
void program_words_take(struct program_words *w);
/* Passes on what is left of an unfinished line and closes the pipe. */
void program_words_close(struct program_words *w);

#endif
