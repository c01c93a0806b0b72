/* buf.h: borrowed text (`struct str`) and bytes that grow up to a cap (`struct buf`). */
#ifndef PENSTOCK_BASE_BUF_H
#define PENSTOCK_BASE_BUF_H

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes, not ended by NUL. `ptr` may be NULL when `len` is 0. */
struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
/* The same within the initialiser of a static table. */
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
static inline struct str str_of(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_is(struct str a, const char *b)
{
    return str_eq(a, str_of(b));
}
/* Without blanks, tabs, CR and LF at both ends. */
struct str str_trim(struct str s);
/* The length of the UTF-8 sequence it starts with; 0 when that is not well-formed (Unicode, table
 * 3-7: no surrogates, no overlong forms) or nothing is there. */
size_t str_utf8_length(struct str s);
/* Whether all of it is well-formed UTF-8. */
bool str_is_utf8(struct str s);

/* Bytes that grow. Appending past `max` (or out of memory) drops what is appended and sets `full`,
 * which stays set: write a whole message, then look at `full` once. Zeroed is not a valid buf:
 * start with buf_init. */
struct buf {
    char *data;
    size_t len, cap, max;
    bool full;
};

#define BUF_NO_CAP SIZE_MAX

void buf_init(struct buf *b, size_t max_bytes);
void buf_release(struct buf *b); /* frees; the buf may be initialised again */
/* `OWNED_BUF struct buf b;` needs buf_init at once. */
#define OWNED_BUF __attribute__((cleanup(buf_release)))
/* Makes room for `more` bytes; false (and `full`) when that is past the cap. */
bool buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_str(struct buf *b, struct str s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_add_i64(struct buf *b, int64_t number); /* decimal */
void buf_add_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The bytes as a string ended by NUL that the caller frees; the buf is empty afterwards. */
char *buf_take(struct buf *b);
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->data, b->len};
}

#endif
