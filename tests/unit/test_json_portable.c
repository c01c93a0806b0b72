/* The portable validator, built here beside the one with SSE2, gives the same answers: the same
 * end, or the same fault at the same byte, for texts broken at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_scan.h"

#define JSON_SCAN_PORTABLE
#define json_scan portable_scan
#define json_scan_name portable_scan_name
#define json_scan_members portable_scan_members
const char *portable_scan(const char *p, const char *begin, const char *end, int levels,
                          struct json_fault *fault);
const char *portable_scan_name(const char *p, const char *begin, const char *end,
                               const char **name_end, struct json_fault *fault);
const char *portable_scan_members(const char *p, const char *begin, const char *end, int levels,
                                  void (*member)(void *context, struct str name, struct str value),
                                  void *context, struct json_fault *fault);
#include "../../src/base/json_scan.c"
#undef json_scan
#undef json_scan_name
#undef json_scan_members

#include "base/rng.h"

#include <stdlib.h>

static void assert_same(struct str text)
{
    char *copy = malloc(text.len + !text.len);
    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    const char *end = copy + text.len;
    struct json_fault wide = {NULL, ""}, portable = {NULL, ""};
    const char *a = json_scan(copy, copy, end, 8, &wide);
    const char *b = portable_scan(copy, copy, end, 8, &portable);
    if (a != b || wide.at != portable.at || strcmp(wide.text, portable.text) != 0)
        fail_msg("%s at %td, portable %s at %td: %.*s", wide.text, wide.at - copy, portable.text,
                 portable.at - copy, (int)text.len, text.ptr);
    free(copy);
}

static const struct str seeds[] = {
    STR_INIT(
        "{\"id\": 123456, \"name\": \"Ann\\u00e4\", \"n\": [-1.25e+3, 0.5, true, null, {}], \"x\": "
        "[]}"),
    STR_INIT("[\"a text that is longer than sixteen bytes, and than thirty-two\", \"short\"]"),
    STR_INIT(
        "\"\xd0\x9a\xd0\xbe\xd0\xb3\xd0\xb4\xd0\xb0 \xd0\xb2\xd1\x8b\xd1\x88\xd0\xbb\xd0\xb8, "
        "\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\x8b\xe3\x81\xaa \xf0\x9f\x98\x80\xf0\x9f\x98\x80 "
        "\xed\x9f\xbf\xee\x80\x80\xe0\xa4\x95\xf4\x8f\xbf\xbf\xf0\x90\x80\x80 \\ud83d\\ude00\""),
};

static void both_validators_agree_on_broken_texts(void **state)
{
    (void)state;
    static const char bytes[] =
        "\"\\\\{}[]:,0-.eEtfnu \n\x01\x1f\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1"
        "\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff";
    struct rng rng;
    rng_init(&rng, 3);
    for (int round = 0; round < 300000; round++) {
        struct str seed = seeds[rng_below(&rng, sizeof seeds / sizeof *seeds)];
        char text[256];
        assert_true(seed.len < sizeof text);
        memcpy(text, seed.ptr, seed.len);
        for (uint64_t edits = rng_below(&rng, 3); edits > 0; edits--)
            text[rng_below(&rng, seed.len)] = bytes[rng_below(&rng, sizeof bytes)];
        size_t from = rng_below(&rng, 2) ? 0 : rng_below(&rng, seed.len);
        size_t to = rng_below(&rng, 2) ? seed.len : from + rng_below(&rng, seed.len - from + 1);
        assert_same((struct str){text + from, to - from});
    }
}

static void both_validators_agree_on_every_pair_of_bytes(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char text[24] = "\"......................";
            text[23] = '"';
            for (size_t at = 1; at < 22; at += 7) {
                text[at] = (char)first;
                text[at + 1] = (char)second;
                assert_same((struct str){text, sizeof text});
                text[at] = text[at + 1] = '.';
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_validators_agree_on_broken_texts),
        cmocka_unit_test(both_validators_agree_on_every_pair_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
