/* api_key.c: see api_key.h. */
#include "core/api_key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

const char *const api_key_scopes[API_KEY_SCOPE_COUNT] = {"read", "work", "admin"};

bool api_key_name_check(const char *member, const char *name, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    size_t len = strlen(name);
    if (len == 0 || len > API_KEY_NAME_MAX || name[strspn(name, allowed)] != '\0')
        return err_set(err, ERR_INVALID,
                       "%s: expected 1 to %d letters, digits, dots, hyphens and underscores",
                       member, API_KEY_NAME_MAX);
    return true;
}

bool api_key_scope_mark(struct str word, bool wanted[API_KEY_SCOPE_COUNT])
{
    for (size_t i = 0; i < API_KEY_SCOPE_COUNT; i++)
        if (str_is(word, api_key_scopes[i]))
            return wanted[i] = true;
    return false;
}

void api_key_scopes_write(const bool wanted[API_KEY_SCOPE_COUNT], char out[API_KEY_SCOPES_SIZE])
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < API_KEY_SCOPE_COUNT; i++)
        if (wanted[i])
            at += (size_t)snprintf(out + at, API_KEY_SCOPES_SIZE - at, "%s%s", at ? " " : "",
                                   api_key_scopes[i]);
}

void api_key_secret(const uint8_t random[API_KEY_RANDOM_BYTES], char out[API_KEY_SECRET_SIZE])
{
    memcpy(out, "pk_", 3);
    sodium_bin2base64(out + 3, API_KEY_SECRET_SIZE - 3, random, API_KEY_RANDOM_BYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}
