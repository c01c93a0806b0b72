/* native_token.c: see native.h. */
#include "http/native/native.h"

void native_token_write(const uint8_t token[LEASE_TOKEN_BYTES], char out[NATIVE_TOKEN_TEXT + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < LEASE_TOKEN_BYTES; i++) {
        out[2 * i] = digits[token[i] >> 4];
        out[2 * i + 1] = digits[token[i] & 15];
    }
    out[NATIVE_TOKEN_TEXT] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool native_token_read(struct str text, uint8_t out[LEASE_TOKEN_BYTES], struct err *err)
{
    uint8_t token[LEASE_TOKEN_BYTES];
    bool fits = text.len == NATIVE_TOKEN_TEXT;
    for (size_t i = 0; fits && i < LEASE_TOKEN_BYTES; i++) {
        int high = digit_value(text.ptr[2 * i]), low = digit_value(text.ptr[2 * i + 1]);
        fits = high >= 0 && low >= 0;
        token[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    if (!fits)
        return err_set(err, ERR_INVALID, "lease: expected a token of %d hexadecimal digits",
                       NATIVE_TOKEN_TEXT);
    memcpy(out, token, sizeof token);
    return true;
}
