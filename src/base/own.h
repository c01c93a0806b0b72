/* own.h: ownership that is released where it is acquired.
 *
 * `OWNED(noun) struct noun *x = ...` frees x on every way out of the block; `TAKE(x)` passes it on
 * and leaves NULL behind. What is declared last is released first. */
#ifndef PENSTOCK_BASE_OWN_H
#define PENSTOCK_BASE_OWN_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define OWNED(noun) __attribute__((cleanup(noun##_drop)))
#define DEFINE_OWNED(noun)                                                                         \
    static inline void noun##_drop(struct noun **p)                                                \
    {                                                                                              \
        noun##_free(*p);                                                                           \
    }
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

/* A plain allocation or string: `OWNED_MEM char *s = xstrdup(...)`. */
#define OWNED_MEM __attribute__((cleanup(mem_drop)))
/* A descriptor, -1 when there is none: `OWNED_FD int fd = open(...)`. */
#define OWNED_FD __attribute__((cleanup(fd_drop)))
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

void mem_drop(void *pointer_to_pointer);
void fd_drop(int *fd);

/* Allocations that are small and ours: they abort when memory is out, which is safe because the
 * store is durable. What a client can make large goes through `struct buf`, which has a cap. */
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* The same, and NULL for NULL. */
char *xstrdup_or_null(const char *s);
char *xstrndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));
/* A formatted string, to be freed. */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#endif
