/* own.c: allocation that cannot fail quietly, and the drop functions behind OWNED. */
#include "base/own.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mem_drop(void *pointer_to_pointer)
{
    void *p = NULL;
    memcpy(&p, pointer_to_pointer, sizeof p);
    free(p);
}

void fd_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static void *or_die(void *p)
{
    if (!p) {
        static const char said[] = "penstock: out of memory\n";
        if (write(STDERR_FILENO, said, sizeof said - 1) < 0)
            abort();
        abort();
    }
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    return or_die(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return or_die(realloc(old, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *xstrdup_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

char *xstrndup(const char *s, size_t len)
{
    return or_die(strndup(s, len));
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    char *out = NULL;
    va_start(args, format);
    int len = vasprintf(&out, format, args);
    va_end(args);
    return or_die(len < 0 ? NULL : out);
}
