/* api_key.h: what an API key looks like: its name, its scopes, its secret. Pure. */
#ifndef PENSTOCK_CORE_API_KEY_H
#define PENSTOCK_CORE_API_KEY_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define API_KEY_NAME_MAX 64
/* 1 to 64 letters, digits, dots, hyphens and underscores; `member` says whose name it is.
 * ERR_INVALID. */
MUST_CHECK bool api_key_name_check(const char *member, const char *name, struct err *err);

/* The words of scopes, each including those before it: "read", "work", "admin". */
#define API_KEY_SCOPE_COUNT 3
extern const char *const api_key_scopes[API_KEY_SCOPE_COUNT];
/* The scopes marked in `wanted`, as they are stored: words with blanks between. */
#define API_KEY_SCOPES_SIZE 32
void api_key_scopes_write(const bool wanted[API_KEY_SCOPE_COUNT], char out[API_KEY_SCOPES_SIZE]);
/* Marks the scope that the word names; false when there is none. */
bool api_key_scope_mark(struct str word, bool wanted[API_KEY_SCOPE_COUNT]);

/* The secret made of random bytes: "pk_" and 43 letters, ended by NUL. */
#define API_KEY_RANDOM_BYTES 32
#define API_KEY_SECRET_SIZE 48
void api_key_secret(const uint8_t random[API_KEY_RANDOM_BYTES], char out[API_KEY_SECRET_SIZE]);

#endif
