/* csv_type.c: see csv_type.h. */
#include "io/csv_type.h"

#include "base/json.h"

#include <strings.h>

/* Longer numbers are text: no reader's float could hold them, and Python refuses integers beyond
 * some thousand digits. */
enum { NUMBER_MAX_BYTES = 300 };

static const char *const missing_marks[] = {
    "NA",   "NaN",  "nan",  "NULL",   "null",    "N/A",     "n/a",      "#N/A",     "#NA",
    "-NaN", "-nan", "<NA>", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "#N/A N/A",
};
enum { MISSING_MARK_MAX = 8 };

static bool is_missing(struct str cell)
{
    if (cell.len == 0)
        return true;
    if (cell.len > MISSING_MARK_MAX || !memchr("Nn#-<1", cell.ptr[0], 6))
        return false;
    for (size_t i = 0; i < sizeof missing_marks / sizeof *missing_marks; i++)
        if (str_is(cell, missing_marks[i]))
            return true;
    return false;
}

static bool is_any_of(struct str cell, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == cell.len && strncasecmp(*words, cell.ptr, cell.len) == 0)
            return true;
    return false;
}

/* A number's parts, blanks around it left out. */
struct number {
    bool negative, point;
    struct str before, after, exponent; /* digits before and behind the point; from the 'e' on */
};

static size_t digits_at(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    return n;
}

static struct str take_front(struct str *s, size_t len)
{
    struct str front = {s->ptr, len};
    s->ptr += len;
    s->len -= len;
    return front;
}

static struct str trim_blanks(struct str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        take_front(&s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* "e5", "E-05"; nothing when there is none; false when an 'e' has no digits. */
static bool take_exponent(struct str *s, struct str *exponent)
{
    *exponent = (struct str){s->ptr, 0};
    if (!s->len || (s->ptr[0] != 'e' && s->ptr[0] != 'E'))
        return true;
    size_t sign = s->len > 1 && (s->ptr[1] == '+' || s->ptr[1] == '-');
    size_t digits = digits_at((struct str){s->ptr + 1 + sign, s->len - 1 - sign});
    *exponent = take_front(s, 1 + sign + digits);
    return digits > 0;
}

/* Whether it is 1e308 or more: then a double may not hold it, and it would be no number to whoever
 * reads the JSON. */
static bool is_too_large(const struct number *n)
{
    int64_t power = 0;
    bool small = false;
    for (size_t i = 1; i < n->exponent.len; i++) {
        char c = n->exponent.ptr[i];
        small = small || c == '-';
        if (c >= '0' && c <= '9' && power < 100000)
            power = power * 10 + (c - '0');
    }
    int64_t digits = str_is(n->before, "0") ? 0 : (int64_t)n->before.len;
    return !small && power + digits > 308;
}

static bool is_whole(const struct number *n)
{
    return !n->point && !n->exponent.len;
}

static bool parse_number(struct str cell, struct number *n)
{
    struct str s = trim_blanks(cell);
    if (!s.len || s.len > NUMBER_MAX_BYTES)
        return false;
    n->negative = s.ptr[0] == '-';
    if (s.ptr[0] == '-' || s.ptr[0] == '+')
        take_front(&s, 1);
    n->before = take_front(&s, digits_at(s));
    n->point = s.len && s.ptr[0] == '.';
    if (n->point)
        take_front(&s, 1);
    n->after = take_front(&s, n->point ? digits_at(s) : 0);
    if (!n->before.len && !n->after.len)
        return false;
    if (!take_exponent(&s, &n->exponent) || s.len)
        return false;
    while (n->before.len > 1 && n->before.ptr[0] == '0')
        take_front(&n->before, 1);
    return !is_too_large(n);
}

enum csv_look csv_look(struct str cell)
{
    static const char *const truths[] = {"true", "false", NULL};
    static const char *const infinities[] = {"inf",       "+inf",      "-inf", "infinity",
                                             "+infinity", "-infinity", NULL};
    struct number n;
    if (is_missing(cell))
        return CSV_MISSING;
    if (parse_number(cell, &n))
        return is_whole(&n) ? CSV_WHOLE : CSV_DECIMAL;
    if (cell.len <= 5 && is_any_of(cell, truths))
        return CSV_TRUTH;
    return cell.len <= 9 && is_any_of(cell, infinities) ? CSV_INFINITE : CSV_WORDS;
}

enum csv_type csv_type_of(unsigned looks)
{
    const unsigned numbers = CSV_WHOLE | CSV_DECIMAL | CSV_INFINITE;
    if (looks == 0)
        return CSV_NOTHING;
    if (looks & CSV_WORDS || (looks & CSV_TRUTH && looks & numbers))
        return CSV_TEXT;
    if (looks & CSV_TRUTH)
        return CSV_BOOLEANS;
    return looks == CSV_WHOLE ? CSV_INTEGERS : CSV_FLOATS;
}

static void write_number(const struct number *n, bool as_float, struct buf *out)
{
    struct str before = n->before.len ? n->before : STR("0");
    if (n->negative && (as_float || !str_is(before, "0")))
        buf_add_char(out, '-');
    buf_add_str(out, before);
    if (n->point || (as_float && !n->exponent.len)) {
        buf_add_char(out, '.');
        buf_add_str(out, n->after.len ? n->after : STR("0"));
    }
    buf_add_str(out, n->exponent);
}

void csv_cell_write(struct str cell, enum csv_type type, struct buf *out)
{
    struct number n;
    struct json_out o;
    json_out_init(&o, out);
    if (is_missing(cell))
        json_out_null(&o);
    else if (type == CSV_TEXT)
        json_out_str(&o, cell);
    else if (type == CSV_BOOLEANS)
        json_out_bool(&o, cell.ptr[0] == 't' || cell.ptr[0] == 'T');
    else if (parse_number(cell, &n))
        write_number(&n, type == CSV_FLOATS, out);
    else
        json_out_null(&o); /* infinite */
}
