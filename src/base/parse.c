/* parse.c: see parse.h. */
#include "base/parse.h"

#include <inttypes.h>
#include <strings.h>

static bool bad_number(struct err *err, struct str text, int64_t min, int64_t max)
{
    int shown = text.len > 40 ? 40 : (int)text.len;
    return err_set(err, ERR_INVALID, "'%.*s' is not a whole number from %" PRId64 " to %" PRId64,
                   shown, text.ptr ? text.ptr : "", min, max);
}

bool parse_i64(struct str text, int64_t min, int64_t max, int64_t *out, struct err *err)
{
    size_t i = 0;
    bool negative = false;
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        negative = text.ptr[i++] == '-';
    if (i == text.len)
        return bad_number(err, text, min, max);
    int64_t value = 0;
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9')
            return bad_number(err, text, min, max);
        /* Counting down holds INT64_MIN too. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, c - '0', &value))
            return bad_number(err, text, min, max);
    }
    if (!negative && value == INT64_MIN)
        return bad_number(err, text, min, max);
    value = negative ? value : -value;
    if (value < min || value > max)
        return bad_number(err, text, min, max);
    *out = value;
    return true;
}

bool parse_bytes(struct str text, int64_t min, int64_t max, int64_t *out, struct err *err)
{
    static const char units[] = "KMGT";
    struct str digits = text;
    int shift = 0;
    if (digits.len > 1) {
        char last = digits.ptr[digits.len - 1];
        const char *unit = strchr(units, last >= 'a' ? last - 'a' + 'A' : last);
        if (last && unit) {
            shift = 10 * (int)(unit - units + 1);
            digits.len--;
        }
    }
    int64_t value = 0;
    if (!parse_i64(digits, 0, INT64_MAX >> shift, &value, err) || value << shift < min ||
        value << shift > max)
        return err_set(err, ERR_INVALID,
                       "'%.*s' is no size from %lld to %lld bytes, such as 4096, 64M or 1G",
                       text.len > 40 ? 40 : (int)text.len, text.ptr ? text.ptr : "", (long long)min,
                       (long long)max);
    *out = value << shift;
    return true;
}

bool parse_seconds(struct str text, int64_t min_us, int64_t max_us, int64_t *out_us,
                   struct err *err)
{
    const char *dot = text.len ? memchr(text.ptr, '.', text.len) : NULL;
    struct str whole = text, part = {NULL, 0};
    if (dot) {
        whole.len = (size_t)(dot - text.ptr);
        part = (struct str){dot + 1, text.len - whole.len - 1};
    }
    int64_t seconds = 0, micros = 0;
    struct err ignored;
    /* "-0.5" must not pass as half a second. */
    bool ok = whole.len && whole.ptr[0] != '-' &&
              parse_i64(whole, 0, INT64_MAX / 1000000 - 1, &seconds, &ignored);
    if (ok && dot) {
        ok = part.len >= 1 && part.len <= 6 && part.ptr[0] != '-' && part.ptr[0] != '+' &&
             parse_i64(part, 0, 999999, &micros, &ignored);
        for (size_t i = part.len; ok && i < 6; i++)
            micros *= 10;
    }
    if (!ok || seconds * 1000000 + micros < min_us || seconds * 1000000 + micros > max_us)
        return err_set(err, ERR_INVALID, "'%.*s' is not a number of seconds from %.10g to %.10g",
                       text.len > 40 ? 40 : (int)text.len, text.ptr ? text.ptr : "",
                       (double)min_us / 1e6, (double)max_us / 1e6);
    *out_us = seconds * 1000000 + micros;
    return true;
}

bool parse_bool(struct str text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"1", true},   {"on", true},     {"yes", true},
                 {"t", true},    {"y", true},   {"false", false}, {"0", false},
                 {"off", false}, {"no", false}, {"f", false},     {"n", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == text.len &&
            strncasecmp(words[i].word, text.ptr, text.len) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}
