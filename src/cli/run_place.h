/* run_place.h: where a local run keeps its state, and the server inside it: the engine with its
 * folder beside the output, reached by a socket in that folder and by nothing else. A run that
 * writes to standard output has nothing beside which a state could lie: its folder is a temporary
 * one and goes with the run. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_PLACE_H
#define PENSTOCK_CLI_RUN_PLACE_H

#include "base/err.h"
#include "base/own.h"

struct run_place;

/* What standard input and output are called as ends of a job. */
#define RUN_STDIN "stdin"
#define RUN_STDOUT "stdout"

/* Takes the folder `<output>.penstock` into use and serves there; folders that are missing on the
 * way to the output are made. Errors: ERR_BUSY names the process that runs on the same output. */
MUST_CHECK bool run_place_open(const char *output, struct run_place **out, struct err *err);
/* The same for another kind of state: takes the folder `dir` into use, made with what is missing on
 * the way to it; NULL: a temporary one, which goes with the place. */
MUST_CHECK bool run_place_open_at(const char *dir, struct run_place **out, struct err *err);
void run_place_free(struct run_place *p);
DEFINE_OWNED(run_place)
/* The URL of its socket, which fits into an address however deep the folder lies; borrowed. */
const char *run_place_url(const struct run_place *p);

/* Makes the folders on the way to a file. */
MUST_CHECK bool run_make_folders(const char *path, struct err *err);
/* The absolute form, without links, of a file that exists (ERR_INVALID: it does not), and
 * of one that may not exist while its folder does; `what` says in a word what it is for. To be
 * freed. */
MUST_CHECK bool run_path_of_input(const char *path, char **out, struct err *err);
MUST_CHECK bool run_path_of_output(const char *path, const char *what, char **out, struct err *err);

#endif
