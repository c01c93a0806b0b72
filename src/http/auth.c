#include "http/auth.h"
#include "engine/engine.h"

#include "http/server_own.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct known_key {
    uint8_t hash[TOKEN_HASH_BYTES];
    enum scope scope;
    struct key_identity who;
};

struct auth {
    const struct engine *engine;
    bool has_master;
    uint8_t master_hash[TOKEN_HASH_BYTES];
    pthread_rwlock_t lock;
    struct known_key *keys; /* guarded by lock */
    size_t count;           /* guarded by lock */
};

struct auth *auth_new(const struct engine *engine, const char *master_token)
{
    struct auth *a = xcalloc(1, sizeof *a);
    a->engine = engine;
    pthread_rwlock_init(&a->lock, NULL);
    a->has_master = master_token && *master_token;
    if (a->has_master)
        engine_token_hash(engine, str_of(master_token), a->master_hash);
    return a;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    pthread_rwlock_destroy(&a->lock);
    free(a->keys);
    free(a);
}

enum scope auth_scope_of_words(const char *words)
{
    static const struct {
        const char *word;
        enum scope scope;
    } table[] = {{"read", SCOPE_READ}, {"work", SCOPE_WORK}, {"admin", SCOPE_ADMIN}};
    enum scope best = SCOPE_NONE;
    for (const char *at = words; *at;) {
        size_t len = strcspn(at, " ,");
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            if (str_is((struct str){at, len}, table[i].word) && table[i].scope > best)
                best = table[i].scope;
        at += len;
        at += strspn(at, " ,");
    }
    return best;
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

void auth_set_keys(struct auth *a, const struct key_view *keys, size_t count)
{
    struct known_key *fresh = xcalloc(count + 1, sizeof *fresh);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (keys[i].revoked_at_us != 0)
            continue;
        memcpy(fresh[used].hash, keys[i].hash, sizeof fresh[used].hash);
        struct known_key *key = &fresh[used++];
        key->scope = auth_scope_of_words(keys[i].scopes);
        copy_text(key->who.name, sizeof key->who.name, keys[i].name);
        copy_text(key->who.owner, sizeof key->who.owner, keys[i].owner);
    }
    pthread_rwlock_wrlock(&a->lock);
    struct known_key *old = a->keys;
    a->keys = fresh;
    a->count = used;
    pthread_rwlock_unlock(&a->lock);
    free(old);
}

static bool is_master(struct auth *a, struct str token)
{
    if (!a->has_master || token.len == 0)
        return false;
    uint8_t hash[TOKEN_HASH_BYTES];
    engine_token_hash(a->engine, token, hash);
    return sodium_memcmp(hash, a->master_hash, sizeof hash) == 0;
}

enum scope auth_key_scope(struct auth *a, struct str key)
{
    struct key_identity ignored;
    return auth_key_find(a, key, &ignored);
}

enum scope auth_key_find(struct auth *a, struct str key, struct key_identity *out)
{
    *out = (struct key_identity){.name = ""};
    if (key.len == 0)
        return SCOPE_NONE;
    uint8_t hash[TOKEN_HASH_BYTES];
    engine_token_hash(a->engine, key, hash);
    enum scope scope = SCOPE_NONE;
    pthread_rwlock_rdlock(&a->lock);
    for (size_t i = 0; i < a->count; i++)
        if (sodium_memcmp(a->keys[i].hash, hash, sizeof hash) == 0) {
            scope = a->keys[i].scope;
            *out = a->keys[i].who;
        }
    pthread_rwlock_unlock(&a->lock);
    if (is_master(a, key))
        scope = SCOPE_ADMIN;
    return scope;
}

bool auth_has_master(const struct auth *a)
{
    return a->has_master;
}

/* The host without its port and brackets; empty when what follows it is no port. */
static struct str host_name(const char *host)
{
    bool bracket = host[0] == '[';
    const char *name = bracket ? host + 1 : host, *end = name + strcspn(name, bracket ? "]" : ":");
    const char *rest = bracket && *end ? end + 1 : end;
    if (bracket && !*end)
        return STR("");
    bool port = *rest == ':' && rest[1 + strspn(rest + 1, "0123456789")] == '\0';
    return *rest && !port ? STR("") : (struct str){name, (size_t)(end - name)};
}

bool auth_host_is_loopback(const char *host)
{
    struct str name = host_name(host);
    if (name.len == strlen("localhost") && strncasecmp(name.ptr, "localhost", name.len) == 0)
        return true;
    if (str_is(name, "::1"))
        return true;
    if (name.len < strlen("127.0.0.1") || memcmp(name.ptr, "127.", 4) != 0)
        return false;
    /* Only digits and dots: 127.0.0.1.evil.example is a name that anybody may own. */
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] != '.' && (name.ptr[i] < '0' || name.ptr[i] > '9'))
            return false;
    return true;
}

bool auth_origin_is_own(const char *origin, const char *host)
{
    const char *behind_scheme = strstr(origin, "://");
    return behind_scheme && host && strcasecmp(behind_scheme + 3, host) == 0;
}
