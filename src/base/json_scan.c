/* json_scan.c: see json_scan.h.
 *
 * Most bytes of a record are text, so strings decide the speed. Sixteen bytes are looked at
 * together (SSE2, which every x86-64 has; elsewhere eight in a word); one comparison finds all that
 * is not plain, because as signed numbers both the control characters and the bytes of UTF-8
 * sequences are below the blank. Text that is not ASCII is checked sixteen bytes at a time too.
 * Whatever looks wrong to a wide step is left to the step that goes byte by byte, which alone names
 * faults. */
#include "base/json_scan.h"

#include <assert.h>

#if defined(__SSE2__) && !defined(JSON_SCAN_PORTABLE)
#include <emmintrin.h>
#define JSON_SCAN_SSE2
#endif

__attribute__((cold, noinline)) static const char *refuse(struct json_fault *fault, const char *at,
                                                          const char *text)
{
    *fault = (struct json_fault){at, text};
    return NULL;
}

static inline bool is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

static inline bool is_plain(char c)
{
    return (signed char)c >= ' ' && c != '"' && c != '\\';
}

#ifdef JSON_SCAN_SSE2
#define WIDE 16

/* A bit for each of the 16 bytes that is less than `limit`, as signed numbers. */
static inline unsigned below(__m128i bytes, int limit)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8((char)limit)));
}

static inline unsigned equal(__m128i bytes, int byte)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)byte)));
}

/* A bit for each of the 16 bytes at p that is not plain. */
static inline unsigned stops_at(const char *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    __m128i stops = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')),
                                 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                              _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
    return (unsigned)_mm_movemask_epi8(stops);
}

/* Passes plain ASCII up to anything else or the end. What is less than 16 bytes from the end is
 * seen in the last 16, if the text, which begins at `begin`, has as many. */
static inline const char *skip_plain_wide(const char *p, const char *begin, const char *end)
{
    for (; end - p >= WIDE; p += WIDE) {
        unsigned stops = stops_at(p);
        if (stops)
            return p + __builtin_ctz(stops);
    }
    if (p == end || end - begin < WIDE)
        return p;
    unsigned stops = stops_at(end - WIDE) >> (WIDE - (end - p));
    return stops ? p + __builtin_ctz(stops) : end;
}

/* p, or where the sequence began that `asked` bytes at p belong to. */
static inline const char *sequence_start(const char *p, unsigned asked)
{
    if (asked)
        do
            p--;
        while (((unsigned char)*p & 0xc0) == 0x80);
    return p;
}

/* Passes text of whole, well-formed UTF-8 sequences, 16 bytes at a time: up to a quote, a
 * backslash, a control character, 16 bytes of ASCII, a sequence that is not well-formed, or fewer
 * than 16 bytes before `end`. Bits are bytes: a leading byte asks for continuation bytes in the
 * bits behind it, and exactly those must be there; what it asks for beyond the 16 is carried over.
 */
static const char *skip_utf8_wide(const char *p, const char *end)
{
    unsigned carried = 0;
    for (; end - p >= WIDE; p += WIDE) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        unsigned high = below(bytes, 0);
        if (!high)
            break;
        unsigned stops = (below(bytes, ' ') & ~high) | equal(bytes, '"') | equal(bytes, '\\');
        unsigned in = stops ? (stops & -stops) - 1 : 0xffff;
        high &= in;
        unsigned tail = below(bytes, 0xc0) & in, lead = high & ~tail;
        unsigned wrong = lead & below(bytes, 0xc2);
        unsigned asked = carried | lead << 1, lead3 = high & ~below(bytes, 0xe0);
        unsigned again = 0; /* the last bit, when its second byte must be seen together with it */
        if (lead3) {
            unsigned lead4 = high & ~below(bytes, 0xf0);
            asked |= lead3 << 2 | lead4 << 3;
            /* Overlong forms, surrogates and what is above U+10FFFF show in the second byte. */
            unsigned less_90 = below(bytes, 0x90), less_a0 = below(bytes, 0xa0);
            unsigned low_a0 = equal(bytes, 0xe0), high_9f = equal(bytes, 0xed);
            unsigned low_90 = equal(bytes, 0xf0), high_8f = equal(bytes, 0xf4);
            wrong |= (high & ~below(bytes, 0xf5)) | (low_a0 << 1 & less_a0) |
                     (high_9f << 1 & ~less_a0) | (low_90 << 1 & less_90) |
                     (high_8f << 1 & ~less_90);
            again = (low_a0 | high_9f | low_90 | high_8f) & in & 1u << (WIDE - 1);
        }
        if ((wrong & in) || (asked & in) != tail || (stops && asked & ~in))
            break;
        if (stops)
            return p + __builtin_ctz(stops);
        carried = again ? 0 : asked >> WIDE;
        p -= again >> (WIDE - 1);
    }
    return sequence_start(p, carried);
}

#else
#define WIDE 8

/* The same on eight bytes in a word. The sums may carry from one byte into the next, which can
 * only make a plain word look as if it were not; the step by bytes then passes it. */
static inline const char *skip_plain_wide(const char *p, const char *begin, const char *end)
{
    (void)begin;
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    for (; end - p >= WIDE; p += WIDE) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        uint64_t stops = word | (word - ones * ' ') | (quote - ones) | (backslash - ones);
        if (stops & tops)
            return p;
    }
    return p;
}

static const char *skip_utf8_wide(const char *p, const char *end)
{
    (void)end;
    return p;
}
#endif

/* Four hex digits, or -1 with *at at what is none. */
static int32_t hex4(const char **at, const char *end)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++, ++*at) {
        const char *p = *at;
        if (p == end)
            return -1;
        char c = *p >= 'A' && *p <= 'F' ? (char)(*p | 0x20) : *p;
        if (is_digit(p, end))
            value = value << 4 | (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (c - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static const char *refuse_hex(struct json_fault *fault, const char *at, const char *end)
{
    return refuse(fault, at, at == end ? JSON_FAULT_EARLY : "expected four hex digits after \\u");
}

/* p is behind the backslash. */
static const char *scan_escape(const char *p, const char *end, struct json_fault *fault)
{
    if (p == end)
        return refuse(fault, p, JSON_FAULT_EARLY);
    if (*p != 'u')
        return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : refuse(fault, p, "unknown escape");
    const char *first = p - 1;
    p++;
    int32_t unit = hex4(&p, end);
    if (unit < 0)
        return refuse_hex(fault, p, end);
    if (unit < 0xd800 || unit > 0xdfff)
        return p;
    if (unit > 0xdbff)
        return refuse(fault, first, "lone surrogate");
    if (p == end || (*p == '\\' && p + 1 == end))
        return refuse(fault, end, JSON_FAULT_EARLY);
    if (p[0] != '\\' || p[1] != 'u')
        return refuse(fault, first, "lone surrogate");
    p += 2;
    unit = hex4(&p, end);
    if (unit < 0)
        return refuse_hex(fault, p, end);
    return unit >= 0xdc00 && unit <= 0xdfff ? p : refuse(fault, first, "lone surrogate");
}

/* What is not plain within a string: p is at it, and it is not the closing quote. */
static const char *scan_special(const char *p, const char *end, struct json_fault *fault)
{
    if (p == end)
        return refuse(fault, p, JSON_FAULT_EARLY);
    if (*p == '\\')
        return scan_escape(p + 1, end, fault);
    if ((unsigned char)*p < ' ')
        return refuse(fault, p, "control character in a string");
    const char *behind = skip_utf8_wide(p, end);
    if (behind != p)
        return behind;
    size_t length = str_utf8_length((struct str){p, (size_t)(end - p)});
    return length ? p + length : refuse(fault, p, "not well-formed UTF-8");
}

/* p is behind the opening quote; answers the byte behind the closing one. */
static const char *scan_long_string(const char *p, const char *begin, const char *end,
                                    struct json_fault *fault)
{
    for (;;) {
        p = skip_plain_wide(p, begin, end);
        while (p < end && is_plain(*p))
            p++;
        if (p < end && *p == '"')
            return p + 1;
        p = scan_special(p, end, fault);
        if (!p)
            return NULL;
    }
}

/* The same, at once when the string ends within 16 bytes, as most names do. */
static inline const char *scan_string(const char *p, const char *begin, const char *end,
                                      struct json_fault *fault)
{
#ifdef JSON_SCAN_SSE2
    if (end - p >= WIDE) {
        unsigned stops = stops_at(p);
        /* The last byte stands in when all are plain; then it is no quote. */
        const char *stop = p + __builtin_ctz(stops | 1u << (WIDE - 1));
        if (*stop == '"')
            return stop + 1;
    }
#endif
    return scan_long_string(p, begin, end, fault);
}

static inline const char *scan_digits(const char *p, const char *end, struct json_fault *fault)
{
    if (!is_digit(p, end))
        return refuse(fault, p, p == end ? JSON_FAULT_EARLY : "expected a digit");
    do
        p++;
    while (is_digit(p, end));
    return p;
}

static inline const char *scan_number(const char *p, const char *end, struct json_fault *fault)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0') {
        p++;
        if (is_digit(p, end))
            return refuse(fault, p, "number with a leading zero");
    } else if (!(p = scan_digits(p, end, fault))) {
        return NULL;
    }
    if (p < end && *p == '.' && !(p = scan_digits(p + 1, end, fault)))
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(p, end, fault);
    }
    return p;
}

static inline const char *scan_word(const char *p, const char *end, const char *word,
                                    struct json_fault *fault)
{
    size_t length = strlen(word);
    if ((size_t)(end - p) >= length && memcmp(p, word, length) == 0)
        return p + length;
    for (; *word && p < end && *p == *word; word++)
        p++;
    return refuse(fault, p, p == end ? JSON_FAULT_EARLY : "expected a value");
}

static inline const char *scan_name(const char *p, const char *begin, const char *end,
                                    const char **name_end, struct json_fault *fault)
{
    if (p == end || *p != '"')
        return refuse(fault, p, p == end ? JSON_FAULT_EARLY : "expected a name in quotes");
    p = scan_string(p + 1, begin, end, fault);
    if (!p)
        return NULL;
    *name_end = p;
    p = json_skip_blanks(p, end);
    if (p == end || *p != ':')
        return refuse(fault, p, p == end ? JSON_FAULT_EARLY : "expected ':'");
    return json_skip_blanks(p + 1, end);
}

const char *json_scan_name(const char *p, const char *begin, const char *end, const char **name_end,
                           struct json_fault *fault)
{
    return scan_name(p, begin, end, name_end, fault);
}

static inline const char *scan_scalar(const char *p, const char *begin, const char *end,
                                      struct json_fault *fault)
{
    switch (*p) {
    case '"':
        return scan_string(p + 1, begin, end, fault);
    case 't':
        return scan_word(p, end, "true", fault);
    case 'f':
        return scan_word(p, end, "false", fault);
    case 'n':
        return scan_word(p, end, "null", fault);
    default:
        if (*p == '-' || is_digit(p, end))
            return scan_number(p, end, fault);
        return refuse(fault, p, "expected a value");
    }
}

/* Behind a value: passes what closes the containers around it, and a comma if more follows. Answers
 * where the next element begins; or, with *depth 0, the end of the outermost value; or NULL. */
static inline const char *scan_after(const char *p, const char *end, uint64_t *objects, int *depth,
                                     struct json_fault *fault)
{
    for (; *depth; p++) {
        p = json_skip_blanks(p, end);
        if (p == end)
            return refuse(fault, p, JSON_FAULT_EARLY);
        if (*p == ',')
            return json_skip_blanks(p + 1, end);
        if (*p != (*objects & 1 ? '}' : ']'))
            return refuse(fault, p, *objects & 1 ? "expected ',' or '}'" : "expected ',' or ']'");
        *objects >>= 1;
        --*depth;
    }
    return p;
}

const char *json_scan(const char *p, const char *begin, const char *end, int levels,
                      struct json_fault *fault)
{
    uint64_t objects = 0; /* the containers we are in, innermost in bit 0: 1 is an object */
    int depth = 0;
    const char *name_end = NULL;
    assert(levels >= 0 && levels <= 64);
    for (;;) {
        if (p == end)
            return refuse(fault, p, JSON_FAULT_EARLY);
        bool inside = *p == '{' || *p == '['; /* whether a first element follows */
        if (inside) {
            if (depth == levels)
                return refuse(fault, p, JSON_FAULT_DEEP);
            objects = objects << 1 | (*p == '{');
            depth++;
            p = json_skip_blanks(p + 1, end);
            inside = p == end || *p != (objects & 1 ? '}' : ']');
        } else if (!(p = scan_scalar(p, begin, end, fault))) {
            return NULL;
        }
        if (!inside) {
            p = scan_after(p, end, &objects, &depth, fault);
            if (!p || !depth)
                return p;
        }
        if (objects & 1 && !(p = scan_name(p, begin, end, &name_end, fault)))
            return NULL;
    }
}

const char *json_scan_members(const char *p, const char *begin, const char *end, int levels,
                              void (*member)(void *context, struct str name, struct str value),
                              void *context, struct json_fault *fault)
{
    assert(p < end && *p == '{' && levels > 0);
    p = json_skip_blanks(p + 1, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        const char *name_end = NULL, *name = p, *value = scan_name(p, begin, end, &name_end, fault);
        if (!value)
            return NULL;
        bool nests = value < end && (*value == '{' || *value == '[');
        if (value == end)
            return refuse(fault, value, JSON_FAULT_EARLY);
        const char *behind = nests ? json_scan(value, begin, end, levels - 1, fault)
                                   : scan_scalar(value, begin, end, fault);
        if (!behind)
            return NULL;
        member(context, (struct str){name, (size_t)(name_end - name)},
               (struct str){value, (size_t)(behind - value)});
        p = json_skip_blanks(behind, end);
        if (p == end)
            return refuse(fault, p, JSON_FAULT_EARLY);
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return refuse(fault, p, "expected ',' or '}'");
        p = json_skip_blanks(p + 1, end);
    }
}
