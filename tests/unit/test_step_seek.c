/* test_step_seek.c: a page picked out of what comes in any order is the one that the order has. */
#include "engine/step_seek.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THINGS = 300 };

struct thing {
    int64_t id, number;
    const char *text;
};

static bool descending, by_id;

static int in_order(const void *a, const void *b)
{
    const struct thing *x = a, *y = b;
    int ids = x->id < y->id ? -1 : 1;
    if (by_id)
        return descending ? -ids : ids;
    int by = strcmp(x->text, y->text);
    by = by ? by : (x->number > y->number) - (x->number < y->number);
    by = descending ? -by : by;
    return by ? by : ids;
}

/* Things in an order of no meaning; keys by the sort. */
static void scatter(struct rng *rng, struct thing *things, enum step_sort sort)
{
    static const char *const names[] = {"", "a", "aa", "ab", "b", "\xc3\xa4"};
    for (int i = 0; i < THINGS; i++) {
        struct thing one = {.id = i + 1, .text = ""};
        int at = (int)rng_below(rng, (uint64_t)i + 1);
        if (sort == STEP_SORT_NAME)
            one.text = names[rng_below(rng, sizeof names / sizeof *names)];
        if (sort == STEP_SORT_ENDED)
            one.number = (int64_t)rng_below(rng, 9);
        things[i] = things[at];
        things[at] = one;
    }
}

static void seek_page(const struct thing *things, const struct step_page *page,
                      const struct thing *expected, size_t left)
{
    OWNED(step_seek) struct step_seek *seek = step_seek_new(page);
    for (int i = 0; i < THINGS; i++)
        step_seek_add(seek, things[i].id, str_of(things[i].text), things[i].number);
    size_t count = 0, wanted = (size_t)page->limit + 1;
    struct step_place *places = step_seek_take(seek, &count);
    left = left > (size_t)page->offset ? left - (size_t)page->offset : 0;
    assert_int_equal(count, left < wanted ? left : wanted);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(places[i].id, expected[(size_t)page->offset + i].id);
        assert_string_equal(places[i].text ? places[i].text : "",
                            expected[(size_t)page->offset + i].text);
        free(places[i].text);
    }
    free(places);
}

static void every_page_is_the_one_of_the_order(void **state)
{
    (void)state;
    static const enum step_sort sorts[] = {STEP_SORT_CREATED, STEP_SORT_NAME, STEP_SORT_ENDED};
    struct thing things[THINGS], sorted[THINGS];
    struct rng rng;
    rng_init(&rng, 7);
    for (int round = 0; round < 400; round++) {
        struct step_page page = {.sort = sorts[round % 3],
                                 .descending = round & 1,
                                 .offset = (int64_t)rng_below(&rng, 40) * (round & 4 ? 0 : 9),
                                 .limit = (int64_t)rng_below(&rng, 30)};
        scatter(&rng, things, page.sort);
        memcpy(sorted, things, sizeof sorted);
        descending = page.descending;
        by_id = page.sort == STEP_SORT_CREATED;
        qsort(sorted, THINGS, sizeof *sorted, in_order);
        seek_page(things, &page, sorted, THINGS);
        size_t after = rng_below(&rng, THINGS);
        page.goes_on = true;
        page.after_id = sorted[after].id;
        page.after_text = str_of(sorted[after].text);
        page.after_number = sorted[after].number;
        seek_page(things, &page, sorted + after + 1, THINGS - after - 1);
    }
}

static void what_is_not_taken_is_freed(void **state)
{
    (void)state;
    struct step_page page = {.sort = STEP_SORT_NAME, .limit = 1};
    struct step_seek *seek = step_seek_new(&page);
    for (int i = 0; i < 9; i++)
        step_seek_add(seek, i + 1, STR("name"), 0);
    step_seek_free(seek);
    step_seek_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_page_is_the_one_of_the_order),
        cmocka_unit_test(what_is_not_taken_is_freed),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
