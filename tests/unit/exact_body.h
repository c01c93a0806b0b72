/* exact_body.h: bodies of requests for tests of what reads them, and what is read of them. */
#ifndef PENSTOCK_TESTS_EXACT_BODY_H
#define PENSTOCK_TESTS_EXACT_BODY_H

#include "base/buf.h"
#include "base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The text in an allocation of its very size, so that sanitizers see a byte too far; to be freed.
 */
static inline char *body_of(const char *text, size_t *len)
{
    *len = strlen(text);
    char *body = xcalloc(*len + !*len, 1);
    memcpy(body, text, *len);
    return body;
}

static inline void check_text(struct str got, const char *expected)
{
    if (!str_is(got, expected))
        fail_msg("expected %s, not %.*s", expected, (int)got.len, got.ptr);
}

#endif
