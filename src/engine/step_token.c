/* step_token.c: see step_token.h. */
#include "engine/step_token.h"

#include "base/parse.h"
#include "engine/engine.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

enum { SIGNATURE_BYTES = 16, HASH_BYTES = 32 };

/* What is signed: the token without its signature. */
static void sign(const struct engine *e, struct str what, char out[2 * SIGNATURE_BYTES + 1])
{
    uint8_t hash[HASH_BYTES];
    engine_token_hash(e, what, hash);
    sodium_bin2hex(out, 2 * SIGNATURE_BYTES + 1, hash, SIGNATURE_BYTES);
}

void step_token_write(const struct engine *e, const struct step_token *token,
                      char out[STEP_TOKEN_SIZE])
{
    char signature[2 * SIGNATURE_BYTES + 1];
    int len = snprintf(out, STEP_TOKEN_SIZE, "st:%" PRId64 ":%" PRId64 ":%s:", token->job,
                       token->fence, token->owner);
    sign(e, (struct str){out, (size_t)len}, signature);
    snprintf(out + len, STEP_TOKEN_SIZE - (size_t)len, "%s", signature);
}

/* The text up to the next colon, which is passed; false when there is none. */
static bool take_field(struct str *text, struct str *field)
{
    const char *colon = text->len ? memchr(text->ptr, ':', text->len) : NULL;
    if (!colon)
        return false;
    *field = (struct str){text->ptr, (size_t)(colon - text->ptr)};
    *text = (struct str){colon + 1, text->len - field->len - 1};
    return true;
}

bool step_token_read(const struct engine *e, struct str text, struct step_token *out)
{
    struct str left = text, word, job, fence, owner;
    struct step_token token;
    struct err ignored;
    char signature[2 * SIGNATURE_BYTES + 1];
    if (!take_field(&left, &word) || !str_is(word, "st") || !take_field(&left, &job) ||
        !take_field(&left, &fence) || !take_field(&left, &owner) ||
        left.len != 2 * SIGNATURE_BYTES || owner.len > STEP_OWNER_MAX_BYTES ||
        !parse_i64(job, 1, INT64_MAX, &token.job, &ignored) ||
        !parse_i64(fence, 1, INT64_MAX, &token.fence, &ignored))
        return false;
    sign(e, (struct str){text.ptr, text.len - left.len}, signature);
    if (sodium_memcmp(signature, left.ptr, left.len) != 0)
        return false;
    memcpy(token.owner, owner.ptr, owner.len);
    token.owner[owner.len] = '\0';
    *out = token;
    return true;
}
