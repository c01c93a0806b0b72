/* Numbers and sizes from outside: what is taken is within its bounds, and a whole number that is
 * written again is the same number. */
#include "base/parse.h"
#include "fuzz.h"

static void look_at_i64(struct str text, int64_t min, int64_t max)
{
    struct err err;
    int64_t number, again;
    if (!parse_i64(text, min, max, &number, &err)) {
        HOLDS(err.code == ERR_INVALID && strlen(err.text) < sizeof err.text);
        return;
    }
    HOLDS(number >= min && number <= max);
    OWNED_BUF struct buf written;
    buf_init(&written, BUF_NO_CAP);
    buf_add_i64(&written, number);
    HOLDS(parse_i64(buf_str(&written), min, max, &again, &err) && again == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct err err;
    int64_t number;
    bool flag;
    look_at_i64(text, INT64_MIN, INT64_MAX);
    look_at_i64(text, -5, 1000);
    look_at_i64(str_trim(text), 1, INT64_MAX);
    if (parse_bytes(text, 1, INT64_C(1) << 40, &number, &err))
        HOLDS(number >= 1 && number <= INT64_C(1) << 40);
    if (parse_seconds(text, 1000, INT64_C(86400) * 1000000, &number, &err))
        HOLDS(number >= 1000 && number <= INT64_C(86400) * 1000000);
    (void)!parse_bool(text, &flag);
    return 0;
}
