/* semver.c: see semver.h. */
#include "core/semver.h"

#include <string.h>

enum { DIGITS_MAX = 8 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number that the text begins with; false when there is none, or one of too many digits. */
static bool take_number(struct str *text, uint32_t *out)
{
    size_t len = 0;
    *out = 0;
    while (len < text->len && is_digit(text->ptr[len]))
        len++;
    if (len == 0 || len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        *out = *out * 10 + (uint32_t)(text->ptr[i] - '0');
    *text = (struct str){text->ptr + len, text->len - len};
    return true;
}

static bool take_char(struct str *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = (struct str){text->ptr + 1, text->len - 1};
    return true;
}

static bool postfix_is_fine(struct str postfix)
{
    for (size_t i = 0; i < postfix.len; i++) {
        char c = postfix.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !is_digit(c) && c != '.' && c != '-' && c != '_' && c != '+')
            return false;
    }
    return postfix.len > 0;
}

/* How many numbers it has; 0: it is no version. */
static size_t read(struct str text, struct semver *out)
{
    size_t count = 0;
    struct str left = text;
    *out = (struct semver){.postfix = {NULL, 0}};
    if (text.len > SEMVER_MAX_BYTES)
        return 0;
    do {
        if (count == 3 || !take_number(&left, &out->numbers[count++]))
            return 0;
    } while (take_char(&left, '.'));
    if (left.len == 0)
        return count;
    if (!take_char(&left, '-') || !postfix_is_fine(left))
        return 0;
    out->postfix = left;
    return count;
}

static int shown(struct str text)
{
    return text.len > SEMVER_MAX_BYTES ? SEMVER_MAX_BYTES : (int)text.len;
}

bool semver_parse(struct str text, struct semver *out, struct err *err)
{
    struct semver got;
    if (read(text, &got) == 0)
        return err_set(err, ERR_INVALID,
                       "\"%.*s\" is no version: expected up to three numbers with dots between and "
                       "perhaps a -postfix, 40 characters at most",
                       shown(text), text.ptr ? text.ptr : "");
    *out = got;
    return true;
}

/* --- order --- */

static bool is_number(struct str part)
{
    for (size_t i = 0; i < part.len; i++)
        if (!is_digit(part.ptr[i]))
            return false;
    return part.len > 0;
}

static int compare_bytes(struct str a, struct str b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int by = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return by ? by : (a.len > b.len) - (a.len < b.len);
}

static int compare_parts(struct str a, struct str b)
{
    bool number = is_number(a), other = is_number(b);
    if (number != other)
        return number ? -1 : 1;
    if (!number)
        return compare_bytes(a, b);
    while (a.len > 1 && a.ptr[0] == '0')
        a = (struct str){a.ptr + 1, a.len - 1};
    while (b.len > 1 && b.ptr[0] == '0')
        b = (struct str){b.ptr + 1, b.len - 1};
    return a.len != b.len ? (a.len > b.len ? 1 : -1) : compare_bytes(a, b);
}

/* Up to the next dot; what is left after it. */
static struct str take_part(struct str *text)
{
    const char *dot = memchr(text->ptr, '.', text->len);
    size_t len = dot ? (size_t)(dot - text->ptr) : text->len;
    struct str part = {text->ptr, len};
    size_t passed = dot ? len + 1 : len;
    *text = (struct str){text->ptr + passed, text->len - passed};
    return part;
}

int semver_compare(const struct semver *a, const struct semver *b)
{
    for (int i = 0; i < 3; i++)
        if (a->numbers[i] != b->numbers[i])
            return a->numbers[i] > b->numbers[i] ? 1 : -1;
    struct str x = a->postfix, y = b->postfix;
    if (x.len == 0 || y.len == 0)
        return (x.len == 0) - (y.len == 0);
    while (x.len > 0 && y.len > 0) {
        int by = compare_parts(take_part(&x), take_part(&y));
        if (by)
            return by;
    }
    return (x.len > 0) - (y.len > 0);
}

int semver_compare_texts(struct str a, struct str b)
{
    struct semver x, y;
    bool good = read(a, &x) > 0, other = read(b, &y) > 0;
    if (!good || !other)
        return good - other;
    return semver_compare(&x, &y);
}

/* --- patterns --- */

enum comparison { IS_EQUAL, IS_ABOVE, IS_FROM, IS_BELOW, IS_UP_TO, IS_LIKE_MAJOR, IS_LIKE_MINOR };

static const struct {
    const char *sign;
    enum comparison means;
} signs[] = {{">=", IS_FROM}, {"<=", IS_UP_TO},     {">", IS_ABOVE},     {"<", IS_BELOW},
             {"=", IS_EQUAL}, {"^", IS_LIKE_MAJOR}, {"~", IS_LIKE_MINOR}};

/* The sign that the text begins with is taken off; none: false. */
static bool take_sign(struct str *text, enum comparison *out)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t len = strlen(signs[i].sign);
        if (text->len >= len && memcmp(text->ptr, signs[i].sign, len) == 0) {
            *text = (struct str){text->ptr + len, text->len - len};
            *out = signs[i].means;
            return true;
        }
    }
    return false;
}

/* `*`, `1.*`, `1.2.*`: the numbers before the star, how many; -1: it is no such pattern. */
static int read_star(struct str text, uint32_t numbers[3])
{
    int count = 0;
    while (count < 3 && text.len > 0 && text.ptr[0] != '*')
        if (!take_number(&text, &numbers[count++]) || !take_char(&text, '.'))
            return -1;
    return count < 3 && str_is(text, "*") ? count : -1;
}

/* The next word; false when none is left. */
static bool take_word(struct str *text, struct str *word)
{
    *text = str_trim(*text);
    const char *blank = memchr(text->len ? text->ptr : "", ' ', text->len);
    size_t len = blank ? (size_t)(blank - text->ptr) : text->len;
    *word = (struct str){text->ptr, len};
    *text = (struct str){text->ptr + len, text->len - len};
    return len > 0;
}

static bool word_is_fine(struct str word)
{
    struct semver version;
    uint32_t numbers[3];
    enum comparison means = IS_EQUAL;
    return take_sign(&word, &means) ? read(word, &version) > 0
                                    : read_star(word, numbers) >= 0 || read(word, &version) > 0;
}

bool semver_pattern_check(struct str pattern, struct err *err)
{
    struct str left = pattern, word = {NULL, 0};
    bool any = false;
    while (take_word(&left, &word)) {
        any = true;
        if (!word_is_fine(word))
            return err_set(err, ERR_INVALID, "\"%.*s\" is no pattern of versions", shown(word),
                           word.ptr);
    }
    return any || err_set(err, ERR_INVALID, "a pattern of versions is empty");
}

static bool holds(enum comparison means, const struct semver *a, const struct semver *b)
{
    int by = semver_compare(a, b);
    switch (means) {
    case IS_EQUAL:
        return by == 0;
    case IS_ABOVE:
        return by > 0;
    case IS_FROM:
        return by >= 0;
    case IS_BELOW:
        return by < 0;
    case IS_UP_TO:
        return by <= 0;
    case IS_LIKE_MAJOR:
        return by >= 0 && a->numbers[0] == b->numbers[0];
    case IS_LIKE_MINOR:
        return by >= 0 && a->numbers[0] == b->numbers[0] && a->numbers[1] == b->numbers[1];
    }
    return false;
}

static bool word_matches(struct str word, struct str text, const struct semver *version)
{
    struct semver other;
    uint32_t numbers[3] = {0, 0, 0};
    enum comparison means = IS_EQUAL;
    if (take_sign(&word, &means))
        return read(word, &other) > 0 && holds(means, version, &other);
    int stars = read_star(word, numbers);
    if (stars < 0)
        return str_eq(word, text);
    return memcmp(numbers, version->numbers, (size_t)stars * sizeof *numbers) == 0;
}

bool semver_matches(struct str pattern, struct str text)
{
    struct semver version;
    struct str word = {NULL, 0};
    if (read(text, &version) == 0)
        return false;
    while (take_word(&pattern, &word))
        if (!word_matches(word, text, &version))
            return false;
    return true;
}
