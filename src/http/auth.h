/* auth.h: who asks: API keys, the master token, and what browsers say of themselves.
 *
 * Threads: any. */
#ifndef PENSTOCK_HTTP_AUTH_H
#define PENSTOCK_HTTP_AUTH_H

#include "core/api_key.h"
#include "engine/op.h"
#include "http/route.h"

struct engine;

/* API keys as the engine last told them. */
struct auth;
struct auth *auth_new(const struct engine *engine, const char *master_token);
void auth_free(struct auth *a);
void auth_set_keys(struct auth *a, const struct key_view *keys, size_t count);
/* What a key allows; SCOPE_NONE when nobody knows it. Constant time in the number of keys. */
enum scope auth_key_scope(struct auth *a, struct str key);
/* Whose key it is: texts empty where there are none. */
struct key_identity {
    char name[API_KEY_NAME_MAX + 1], owner[STEP_OWNER_MAX_BYTES + 1];
};
/* The same, and whose it is. */
enum scope auth_key_find(struct auth *a, struct str key, struct key_identity *out);
bool auth_has_master(const struct auth *a);
/* "read work" and the like: the highest word. */
enum scope auth_scope_of_words(const char *words);
/* Against DNS rebinding: whether a Host names this machine. */
bool auth_host_is_loopback(const char *host);
/* Whether an Origin is the Host's own. */
bool auth_origin_is_own(const char *origin, const char *host);

#endif
