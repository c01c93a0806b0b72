/* test_fragment_store.c: datasets and fragments, on every engine. */
#include "store_fixture.h"

#include "store/fragment_store.h"

#include <stdio.h>

#define ROW(id, origin, fragment, data)                                                            \
    {                                                                                              \
        STR_INIT(id), STR_INIT(origin), STR_INIT(fragment), STR_INIT(data)                         \
    }

static int64_t dataset(struct fixture *f, const char *name)
{
    int64_t id = 0;
    OK(f, dataset_store_need(f->tx, str_of(name), 10, &id, &f->err));
    assert_true(id > 0);
    return id;
}

static int64_t put(struct fixture *f, int64_t to, const struct fragment_row *rows, size_t count)
{
    int64_t added = -1;
    OK(f, fragment_store_put(f->tx, to, rows, count, 20, &added, &f->err));
    OK(f, dataset_store_count(f->tx, to, added, 20, &f->err));
    return added;
}

/* Rows as text, up to `most` of them. */
struct heard {
    char text[512];
    int most;
};

static bool hear(void *context, const struct fragment_row *row)
{
    struct heard *h = context;
    size_t len = strlen(h->text);
    if (h->most-- == 0)
        return false;
    snprintf(h->text + len, sizeof h->text - len, "%.*s/%.*s/%.*s=%.*s ", (int)row->id.len,
             row->id.ptr, (int)row->origin.len, row->origin.ptr, (int)row->fragment.len,
             row->fragment.ptr, (int)row->data.len, row->data.ptr);
    return true;
}

static const struct fragment_row some[] = {
    ROW("b", "o", "1", "1"), ROW("a", "p", "1", "2"), ROW("a", "o", "2", "3"),
    ROW("a", "o", "", "4"),  ROW("c", "", "", "5"),
};

static void fragments_come_in_the_order_of_their_names(void **state)
{
    struct fixture *f = *state;
    struct heard all = {.most = -1}, of_a = {.most = -1}, on = {.most = 2};
    fixture_begin(f);
    int64_t d = dataset(f, "d"), other = dataset(f, "other");
    assert_int_equal(put(f, d, some, 5), 5);
    assert_int_equal(put(f, other, some, 1), 1);
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    OK(f, fragment_store_range(f->tx, d, STR(""), STR(""), STR(""), STR("b"), hear, &all, &f->err));
    assert_string_equal(all.text, "a/o/=4 a/o/2=3 a/p/1=2 b/o/1=1 ");
    OK(f, fragment_store_of_id(f->tx, d, STR("a"), STR("o"), STR("1"), hear, &of_a, &f->err));
    assert_string_equal(of_a.text, "a/o/2=3 a/p/1=2 ");
    OK(f,
       fragment_store_range(f->tx, d, STR("a"), STR("p"), STR(""), STR("z"), hear, &on, &f->err));
    assert_string_equal(on.text, "a/p/1=2 b/o/1=1 ");
    fixture_roll_back(f);
}

static void the_same_triple_is_replaced_and_not_counted_again(void **state)
{
    struct fixture *f = *state;
    static const struct fragment_row again[] = {ROW("b", "o", "1", "9"), ROW("n", "o", "1", "8"),
                                                ROW("n", "o", "1", "7")};
    struct heard of_b = {.most = -1}, of_n = {.most = -1};
    fixture_begin(f);
    int64_t d = dataset(f, "d");
    assert_int_equal(dataset(f, "d"), d);
    assert_int_equal(put(f, d, some, 5), 5);
    assert_int_equal(put(f, d, again, 3), 1);
    OK(f, fragment_store_of_id(f->tx, d, STR("b"), STR(""), STR(""), hear, &of_b, &f->err));
    OK(f, fragment_store_of_id(f->tx, d, STR("n"), STR(""), STR(""), hear, &of_n, &f->err));
    assert_string_equal(of_b.text, "b/o/1=9 ");
    assert_string_equal(of_n.text, "n/o/1=7 ");
    fixture_commit(f);
}

static void ids_are_found_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"a", "b", "c"};
    OWNED_BUF struct buf id;
    buf_init(&id, 100);
    bool found = false;
    fixture_begin(f);
    int64_t d = dataset(f, "d");
    put(f, d, some, 5);
    for (size_t i = 0; i < 3; i++) {
        OK(f, fragment_store_next_id(f->tx, d, buf_str(&id), &id, &found, &f->err));
        assert_true(found && str_is(buf_str(&id), ids[i]));
    }
    OK(f, fragment_store_next_id(f->tx, d, buf_str(&id), &id, &found, &f->err));
    assert_false(found);
    fixture_roll_back(f);
}

static int64_t delete_all(struct fixture *f, int64_t d, struct str id, struct str origin)
{
    struct fragment_place place;
    int64_t all = 0, deleted = 0;
    bool more = true;
    fragment_place_init(&place);
    fragment_place_set(&place, id, STR(""), STR(""));
    while (more) {
        OK(f, fragment_store_delete(f->tx, d, id, origin, &place, 2, &deleted, &more, &f->err));
        all += deleted;
    }
    fragment_place_release(&place);
    OK(f, dataset_store_count(f->tx, d, -all, 30, &f->err));
    return all;
}

static void deletion_goes_in_steps_and_takes_what_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct heard left = {.most = -1};
    int64_t found = 0;
    fixture_begin(f);
    int64_t d = dataset(f, "d");
    put(f, d, some, 5);
    assert_int_equal(delete_all(f, d, STR("a"), STR("p")), 1);
    assert_int_equal(delete_all(f, d, (struct str){0}, STR("")), 1);
    assert_int_equal(delete_all(f, d, STR("nobody"), (struct str){0}), 0);
    OK(f,
       fragment_store_range(f->tx, d, STR(""), STR(""), STR(""), STR("z"), hear, &left, &f->err));
    assert_string_equal(left.text, "a/o/=4 a/o/2=3 b/o/1=1 ");
    OK(f, dataset_store_forget(f->tx, d, &f->err)); /* it has some */
    OK(f, dataset_store_find(f->tx, STR("d"), &found, &f->err));
    assert_int_equal(found, d);
    assert_int_equal(delete_all(f, d, (struct str){0}, (struct str){0}), 3);
    OK(f, dataset_store_forget(f->tx, d, &f->err));
    OK(f, dataset_store_find(f->tx, STR("d"), &found, &f->err));
    assert_int_equal(found, 0);
    fixture_commit(f);
}

static void hear_dataset(void *context, const struct dataset_row *row)
{
    struct heard *h = context;
    size_t len = strlen(h->text);
    snprintf(h->text + len, sizeof h->text - len, "%.*s:%d@%d-%d ", (int)row->name.len,
             row->name.ptr, (int)row->fragments, (int)row->created_at_us, (int)row->updated_at_us);
}

static void datasets_are_listed_with_their_counts(void **state)
{
    struct fixture *f = *state;
    struct heard all = {.most = 0}, page = {.most = 0};
    fixture_begin(f);
    put(f, dataset(f, "z"), some, 2);
    put(f, dataset(f, "a"), some, 5);
    (void)dataset(f, "m");
    OK(f, dataset_store_list(f->tx, (struct str){0}, 10, hear_dataset, &all, &f->err));
    assert_string_equal(all.text, "a:5@10-20 m:0@10-10 z:2@10-20 ");
    OK(f, dataset_store_list(f->tx, STR("a"), 1, hear_dataset, &page, &f->err));
    assert_string_equal(page.text, "m:0@10-10 ");
    fixture_roll_back(f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(fragments_come_in_the_order_of_their_names),
        CASE(the_same_triple_is_replaced_and_not_counted_again),
        CASE(ids_are_found_one_after_the_other),
        CASE(deletion_goes_in_steps_and_takes_what_it_is_told),
        CASE(datasets_are_listed_with_their_counts),
    };
    return RUN(cases);
}
