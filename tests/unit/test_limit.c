/* Limits: no window has too many starts, none too few over time; and which keys a pattern means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "core/limit.h"

#include <math.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)

/* Most of the starts that lie within any window [t, t + span). */
static int64_t fullest(const int64_t *at, size_t count, int64_t span_us)
{
    size_t first = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        while (at[i] - at[first] >= span_us)
            first++;
        most = i - first + 1 > most ? i - first + 1 : most;
    }
    return (int64_t)most;
}

/* Starts whenever it may, looking as late as up to late_us after it could; ends at once. */
static size_t start_all(struct limit *l, int64_t begin_us, int64_t end_us, int64_t late_us,
                        struct rng *rng, int64_t *at, size_t cap)
{
    size_t count = 0;
    for (int64_t now = begin_us; now < end_us;) {
        if (limit_has_room(l, now)) {
            assert_true(limit_next_us(l, now) == now);
            assert_true(count < cap);
            limit_start(l, now);
            limit_end(l);
            at[count++] = now;
            continue;
        }
        int64_t next = limit_next_us(l, now);
        assert_true(next > now);
        struct limit then = *l;
        assert_true(limit_has_room(&then, next) && !limit_has_room(&then, next - 1));
        now = next + (int64_t)rng_below(rng, (uint64_t)late_us + 1);
        if (rng_below(rng, 200) == 0)
            now += (int64_t)rng_below(rng, 3 * SECOND_US); /* nothing was there for a while */
    }
    return count;
}

static void no_window_of_a_second_or_a_minute_has_too_many(void **state)
{
    (void)state;
    static const double rates[] = {0.5, 1, 7, 59, 60, 61, 90, 600, 6000, 60000};
    enum { CAP = 400000 };
    OWNED_MEM int64_t *at = xcalloc(CAP, sizeof *at);
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (int64_t late = 0; late <= 20000; late = late * 4 + 1250) {
            struct limit l;
            int64_t span = rates[i] < 100 ? 3600 * SECOND_US : 300 * SECOND_US;
            limit_init(&l, 0, rates[i]);
            size_t count = start_all(&l, 12345, 12345 + span, late, &rng, at, CAP);
            assert_true((double)fullest(at, count, MINUTE_US) <= ceil(rates[i]));
            if (rates[i] >= 60)
                assert_true((double)fullest(at, count, SECOND_US) <= ceil(rates[i] / 60));
        }
}

static void a_busy_engine_loses_little_of_the_rate(void **state)
{
    (void)state;
    enum { CAP = 100000 };
    OWNED_MEM int64_t *at = xcalloc(CAP, sizeof *at);
    static const double rates[] = {60, 600, 6000, 60000};
    for (size_t i = 0; i < 4; i++) {
        struct limit l;
        size_t count = 0;
        limit_init(&l, 0, rates[i]);
        for (int64_t now = 1; now < MINUTE_US; now += 5000) /* a step each 5 ms */
            for (; limit_has_room(&l, now); count++) {
                limit_start(&l, now);
                limit_end(&l);
                at[count] = now;
            }
        assert_true((double)count >= 0.985 * rates[i]);
        assert_true((double)fullest(at, count, SECOND_US) <= ceil(rates[i] / 60));
    }
}

static void concurrency_is_given_back_by_ends_only(void **state)
{
    (void)state;
    struct limit l;
    limit_init(&l, 2, 0);
    limit_start(&l, 1);
    limit_start(&l, 1);
    assert_false(limit_has_room(&l, 99 * MINUTE_US));
    assert_true(limit_next_us(&l, 1) == NEVER_US);
    limit_end(&l);
    assert_true(limit_has_room(&l, 1));
    assert_false(limit_is_rested(&l, 1));
    limit_resume(&l);
    limit_resume(&l);
    limit_set(&l, 3, 0);
    assert_false(limit_has_room(&l, 1));
    limit_set(&l, 0, 0);
    assert_true(limit_has_room(&l, 1));
}

static void another_rate_holds_from_the_last_start_on(void **state)
{
    (void)state;
    struct limit l;
    int64_t now = 1000 * SECOND_US;
    limit_init(&l, 0, 1);
    limit_start(&l, now);
    limit_set(&l, 0, 60);
    assert_false(limit_has_room(&l, now + SECOND_US - 1));
    assert_true(limit_has_room(&l, now + SECOND_US + SECOND_US / 100));
    limit_set(&l, 0, 1);
    assert_false(limit_has_room(&l, now + MINUTE_US - 1));
    limit_set(&l, 0, 0);
    assert_true(limit_has_room(&l, now));
}

static void what_is_not_known_counts_as_a_start(void **state)
{
    (void)state;
    struct limit l;
    int64_t now = 1000 * SECOND_US;
    limit_init(&l, 0, 60);
    limit_wait(&l, now);
    assert_false(limit_has_room(&l, now + SECOND_US));
    assert_true(limit_has_room(&l, now + SECOND_US + SECOND_US / 100));
    limit_wait(&l, now - MINUTE_US);
    assert_false(limit_has_room(&l, now + SECOND_US));
    assert_true(limit_is_rested(&l, now + 2 * SECOND_US));
    limit_init(&l, 1, 0);
    limit_wait(&l, now);
    assert_true(limit_has_room(&l, 0));
}

static void a_pattern_means_the_whole_key(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *key;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"a", "ab", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"a*", "a", true},
        {"a*c", "abbbc", true},
        {"a*c", "abbb", false},
        {"*b*", "abc", true},
        {"**b", "aab", true},
        {"a*b*c", "a-b-b-c-c", true},
        {"?", "a", true},
        {"?", "", false},
        {"?", "ab", false},
        {"?", "\xc3\xbc", true}, /* one character of two bytes */
        {"??", "\xc3\xbc", false},
        {"*?", "\xc3\xbc", true},
        {"*??", "\xc3\xbc", false},
        {"a?c",
         "a\xf0\x9f\x98\x80"
         "c",
         true},
        {"[a]", "a", false},
        {"\\*", "*", false},
        {"*aab", "aaaaaaab", true},
        {"*.*.example", "a.b.example", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (key_pattern_matches(str_of(cases[i].pattern), str_of(cases[i].key)) != cases[i].matches)
            fail_msg("%s, %s", cases[i].pattern, cases[i].key);
}

static void a_rule_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    char name[] = "n", pattern[] = "*", empty[] = "", control[] = "a\nb", latin[] = "\xfc";
    char *longest = xcalloc(514, 1);
    memset(longest, 'a', 513);
    const struct {
        struct key_rule rule;
        bool good;
    } cases[] = {
        {{name, pattern, 1, 0}, true},
        {{name, pattern, 0, 0.5}, true},
        {{name, pattern, LIMIT_CONCURRENCY_MAX, LIMIT_RPM_MAX}, true},
        {{name, pattern, 0, 0}, false},
        {{name, pattern, -1, 1}, false},
        {{name, pattern, LIMIT_CONCURRENCY_MAX + 1, 0}, false},
        {{name, pattern, 1, -1}, false},
        {{name, pattern, 1, NAN}, false},
        {{name, pattern, 1, LIMIT_RPM_MAX * 2}, false},
        {{empty, pattern, 1, 0}, false},
        {{name, empty, 1, 0}, false},
        {{control, pattern, 1, 0}, false},
        {{name, latin, 1, 0}, false},
        {{name, longest, 1, 0}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        assert_int_equal(key_rule_check(&cases[i].rule, &err), cases[i].good);
        assert_int_equal(err.code, cases[i].good ? ERR_NONE : ERR_INVALID);
    }
    free(longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_window_of_a_second_or_a_minute_has_too_many),
        cmocka_unit_test(a_busy_engine_loses_little_of_the_rate),
        cmocka_unit_test(concurrency_is_given_back_by_ends_only),
        cmocka_unit_test(another_rate_holds_from_the_last_start_on),
        cmocka_unit_test(what_is_not_known_counts_as_a_start),
        cmocka_unit_test(a_pattern_means_the_whole_key),
        cmocka_unit_test(a_rule_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
