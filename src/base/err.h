/* err.h: what went wrong, told once.
 *
 * A `struct err` belongs to the outermost caller and comes last among the parameters. The place
 * that knows the fact states it with err_set; callers put context in front with err_add; both
 * return false, so that `return err_set(...)` reads well. The code is for programs, the text for
 * people: one line, lower case, the values in it, no secrets. Outputs are untouched on failure. */
#ifndef PENSTOCK_BASE_ERR_H
#define PENSTOCK_BASE_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,      /* input that cannot be right: 400; exit 2 */
    ERR_UNAUTHORIZED, /* no key, or an unknown one: 401 */
    ERR_FORBIDDEN,    /* known, and not allowed: 403 */
    ERR_NOT_FOUND,    /* 404 */
    ERR_CONFLICT,     /* the state does not allow it: 409 */
    ERR_LIMIT,        /* larger than a stated cap: 413 */
    ERR_BUSY,         /* try again later: 503; exit 75 */
    ERR_NO_SPACE,     /* disk full: 507; work goes on when space returns */
    ERR_GONE,         /* an output is not there any more, or is another file: 409; exit 75 */
    ERR_IO,           /* a file could not be read or written: 500 */
    ERR_STORE,        /* the store refused or is damaged: 500 */
    ERR_FATAL,        /* durability is in doubt: nothing more may be acknowledged by this process */
    ERR_INTERNAL,     /* our mistake: 500 */
    ERR_INTERRUPTED,  /* stopped by SIGINT; exit 130 */
    ERR_TERMINATED,   /* stopped by SIGTERM; exit 143 */
    ERR_NOT_STARTED,  /* a flow could not be started: exit 3 */
    ERR_BROKEN, /* our mistake, told by a command whose status 1 means something else: exit 70 */
    ERR_CODE_COUNT
};

struct err {
    enum err_code code;
    char text[512];
};

/* States the fact. Always false. */
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* States a failed system call: `what` and the system's words for `number`; the code follows from
 * the number (ENOSPC, EDQUOT and EFBIG: ERR_NO_SPACE, ENOENT: ERR_NOT_FOUND, else ERR_IO). Always
 * false.
 */
bool err_errno(struct err *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of the text. Always false. */
bool err_add(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#if (defined __clang_analyzer__ || defined PENSTOCK_ANALYZER) && !defined PENSTOCK_BASE_ERR_C
/* An analyzer looks at one file at a time; told that these are always false, it follows no path on
 * which a failed call went on. */
#define err_set(...) (err_set(__VA_ARGS__), false)
#define err_errno(...) (err_errno(__VA_ARGS__), false)
#define err_add(...) (err_add(__VA_ARGS__), false)
#endif

/* The code's name in kebab case ("not-found"), for logs and problem types. Static. */
const char *err_name(enum err_code code);
/* The one table to exit status: 0 none, 2 invalid, 75 busy or no space, 130 and 143 stopped by a
 * signal, 3 and 70 of flows (docs/flow-run.md), 1 all else. */
int err_exit_status(enum err_code code);

#endif
