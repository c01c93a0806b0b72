/* python_program.h: which Python runs what of this program is written in it. Threads: any. */
#ifndef PENSTOCK_CLI_PYTHON_PROGRAM_H
#define PENSTOCK_CLI_PYTHON_PROGRAM_H

#include "base/err.h"
#include "base/own.h"

/* The path of `asked` (a path, or a name that is looked for as a shell does); NULL: that of the
 * virtual environment that is active, else the one beside this program, else python3. The caller's.
 * NULL, ERR_INVALID: it is no program, or there is none. */
MUST_CHECK char *python_find(const char *asked, struct err *err);
/* A value for PYTHONPATH: built in its source tree, the program brings the package along. The
 * caller's; NULL when there is nothing to bring. */
char *python_path(void);

#endif
