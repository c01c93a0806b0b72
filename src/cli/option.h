/* option.h: options as tables, and a command line read against them.
 *
 * `--name VALUE` and `--name=VALUE`; a few have a letter, too, `-n VALUE`; `--` ends the options.
 * An option that takes no value is there or not. An unknown one is refused with the nearest name
 * that exists. Threads: the main one. */
#ifndef PENSTOCK_CLI_OPTION_H
#define PENSTOCK_CLI_OPTION_H

#include "base/err.h"
#include "base/own.h"

#include <stddef.h>
#include <stdint.h>

/* A row of a table; the table ends with a row without name. */
struct option {
    const char *name;     /* "port", written --port */
    const char *value;    /* what its value is called ("N"), NULL: it takes none */
    const char *help;     /* a sentence without a full stop; its default in words */
    const char *variable; /* environment variable that stands in when it is not given, or NULL */
    bool many;            /* may be given more than once */
    char letter;          /* '\0': none */
};

/* Tables whose options one command takes; NULL ends the list. */
typedef const struct option *const *option_tables;

struct options; /* what was given */

/* Reads argv[0..argc) against the tables. Everything borrowed. ERR_INVALID: unknown option, value
 * missing or not expected, given twice. */
MUST_CHECK bool options_read(option_tables tables, int argc, char **argv, struct options **out,
                             struct err *err);
void options_free(struct options *o);
DEFINE_OWNED(options)

/* In all of these `name` must be in the tables: asserted. */
bool options_has(const struct options *o, const char *name);
/* The value given, else the environment's, else NULL. An empty variable counts as not set. */
const char *options_text(const struct options *o, const char *name);
/* How often it was given, and the i-th value. */
size_t options_count(const struct options *o, const char *name);
const char *options_at(const struct options *o, const char *name, size_t i);
/* Numbers; `fallback` when it is not given. ERR_INVALID names the option. */
MUST_CHECK bool options_i64(const struct options *o, const char *name, int64_t min, int64_t max,
                            int64_t fallback, int64_t *out, struct err *err);
MUST_CHECK bool options_bytes(const struct options *o, const char *name, int64_t min, int64_t max,
                              int64_t fallback, int64_t *out, struct err *err);
/* One of the words of a list that NULL ends, as its index; `fallback` when it is not given. */
MUST_CHECK bool options_word(const struct options *o, const char *name, const char *const *words,
                             int fallback, int *out, struct err *err);

/* Arguments: what is no option. */
size_t options_argument_count(const struct options *o);
const char *options_argument(const struct options *o, size_t i); /* NULL past the end */

/* The word of `words[0..count)` nearest to `word`, NULL when none is near enough to be a slip of
 * the fingers. */
const char *option_nearest(const char *word, const char *const *words, size_t count);

#endif
