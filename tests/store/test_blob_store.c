/* test_blob_store.c: rows of blobs, on every engine. */
#include "store_fixture.h"

#include "store/blob_store.h"

static const uint8_t a[BLOB_STORE_HASH_BYTES] = {1}, b[BLOB_STORE_HASH_BYTES] = {2},
                     c[BLOB_STORE_HASH_BYTES] = {3};

static void assert_row(struct fixture *f, const uint8_t *hash, int64_t refs, int64_t unused_at_us)
{
    struct blob_row row = {0};
    bool found = false;
    OK(f, blob_store_find(f->tx, hash, &row, &found, &f->err));
    assert_true(found);
    assert_int_equal(row.refs, refs);
    assert_int_equal(row.unused_at_us, unused_at_us);
}

static void references_are_counted_and_grace_begins_after_the_last(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    OK(f, blob_store_note(f->tx, a, 5, false, 100, &f->err));
    assert_row(f, a, 0, 100);
    OK(f, blob_store_refer(f->tx, a, 5, 110, &f->err));
    OK(f, blob_store_refer(f->tx, a, 5, 120, &f->err));
    assert_row(f, a, 2, 0);
    OK(f, blob_store_note(f->tx, a, 5, false, 125,
                          &f->err)); /* put again: it is in use all the same */
    assert_row(f, a, 2, 0);
    OK(f, blob_store_release(f->tx, a, 130, &f->err));
    assert_row(f, a, 1, 0);
    OK(f, blob_store_release(f->tx, a, 140, &f->err));
    assert_row(f, a, 0, 140);
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_row(f, a, 0, 140);
    OK(f, blob_store_note(f->tx, a, 5, false, 150, &f->err));
    assert_row(f, a, 0, 150);
    struct blob_row row = {0};
    bool found = false;
    OK(f, blob_store_find(f->tx, a, &row, &found, &f->err));
    assert_int_equal(row.bytes, 5);
    assert_int_equal(row.created_at_us, 100);
    fixture_roll_back(f);
}

static void letting_go_of_what_nobody_holds_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, blob_store_release(f->tx, a, 1, &f->err));
    OK(f, blob_store_note(f->tx, a, 5, false, 100, &f->err));
    REFUSED(f, ERR_NOT_FOUND, blob_store_release(f->tx, a, 1, &f->err));
    assert_row(f, a, 0, 100);
    fixture_commit(f);
}

static void only_what_nobody_needs_is_forgotten(void **state)
{
    struct fixture *f = *state;
    bool found = true;
    struct blob_row row = {0};
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, blob_store_forget(f->tx, a, &f->err));
    OK(f, blob_store_refer(f->tx, a, 5, 1, &f->err));
    REFUSED(f, ERR_CONFLICT, blob_store_forget(f->tx, a, &f->err));
    OK(f, blob_store_release(f->tx, a, 2, &f->err));
    OK(f, blob_store_forget(f->tx, a, &f->err));
    OK(f, blob_store_find(f->tx, a, &row, &found, &f->err));
    assert_false(found);
    fixture_commit(f);
}

struct collected {
    int count;
    uint8_t first[4]; /* of each hash */
};

static void collect(void *context, const uint8_t hash[BLOB_STORE_HASH_BYTES])
{
    struct collected *all = context;
    all->first[all->count++] = hash[0];
}

static void what_is_kept_stays_until_it_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct collected all = {0};
    int64_t first_us = 0;
    bool found = true;
    fixture_begin(f);
    OK(f, blob_store_note(f->tx, a, 5, false, 100, &f->err));
    OK(f, blob_store_note(f->tx, a, 5, true, 110, &f->err));
    OK(f, blob_store_note(f->tx, a, 5, false, 120, &f->err)); /* once kept, it is kept */
    OK(f, blob_store_note(f->tx, b, 5, true, 100, &f->err));
    OK(f, blob_store_refer(f->tx, b, 5, 110, &f->err));
    OK(f, blob_store_release(f->tx, b, 120, &f->err));
    OK(f, blob_store_first_unused(f->tx, &first_us, &found, &f->err));
    assert_false(found);
    OK(f, blob_store_collect(f->tx, 1000, 10, collect, &all, &f->err));
    assert_int_equal(all.count, 0);
    OK(f, blob_store_forget(f->tx, a, &f->err));
    REFUSED(f, ERR_NOT_FOUND, blob_store_forget(f->tx, a, &f->err));
    fixture_commit(f);
}

static void the_longest_unused_are_collected_first(void **state)
{
    struct fixture *f = *state;
    struct collected all = {0};
    int64_t first_us = 0;
    bool found = true;
    fixture_begin(f);
    OK(f, blob_store_first_unused(f->tx, &first_us, &found, &f->err));
    assert_false(found);
    OK(f, blob_store_note(f->tx, a, 5, false, 300, &f->err));
    OK(f, blob_store_note(f->tx, b, 5, false, 100, &f->err));
    OK(f, blob_store_refer(f->tx, c, 5, 50, &f->err));
    OK(f, blob_store_first_unused(f->tx, &first_us, &found, &f->err));
    assert_true(found);
    assert_int_equal(first_us, 100);
    OK(f, blob_store_collect(f->tx, 100, 10, collect, &all, &f->err));
    assert_int_equal(all.count, 0); /* not before, but then */
    OK(f, blob_store_collect(f->tx, 1000, 1, collect, &all, &f->err));
    assert_int_equal(all.count, 1);
    assert_int_equal(all.first[0], 2);
    OK(f, blob_store_collect(f->tx, 1000, 10, collect, &all, &f->err));
    assert_int_equal(all.count, 2);
    assert_int_equal(all.first[1], 1);
    assert_row(f, c, 1, 0);
    fixture_commit(f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(references_are_counted_and_grace_begins_after_the_last),
        CASE(letting_go_of_what_nobody_holds_is_refused),
        CASE(only_what_nobody_needs_is_forgotten),
        CASE(what_is_kept_stays_until_it_is_forgotten),
        CASE(the_longest_unused_are_collected_first),
    };
    return RUN(cases);
}
